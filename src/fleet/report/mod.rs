//! The forms of an audit beside its table and its JSON: pure functions of [`Report`] alone. Text in a report may hold
//! peers' octets; every form makes them harmless in its own way.
//!
//! | file | what is in it |
//! |---|---|
//! | `csv` | a line a finding, for spreadsheets |
//! | `sarif` | for tools that gather findings from run to run |
//! | [`mod@prometheus`] | for the textfile collector of Prometheus's node exporter |
//! | `html` | a page that people can look at |
//! | `catalogue` | what the codes of findings mean |

use std::collections::HashSet;

#[cfg(test)]
use crate::proto::audit;
use crate::proto::audit::{Finding, HostReport, Report};

mod catalogue;
mod csv;
mod html;
pub mod prometheus;
#[cfg(test)]
mod samples;
mod sarif;

pub use csv::csv;
pub use html::html;
pub use prometheus::prometheus;
pub use sarif::sarif;

/// What is said of a host in one word.
fn verdict(host: &HostReport) -> &str {
    host.verdict.as_deref().unwrap_or("unreachable")
}

/// Which findings an earlier audit did not have.
struct New(Option<HashSet<(Option<String>, String, String)>>);

impl New {
    fn of(report: &Report) -> Self {
        let of_change = |change: &crate::proto::audit::Change| {
            let Finding { code, subject, .. } = &change.finding;
            (change.host.clone(), code.clone(), subject.clone())
        };
        New(report.changes.as_ref().map(|changes| changes.new.iter().map(of_change).collect()))
    }

    /// Whether this one is new; none where nothing was compared.
    fn has(&self, host: Option<&HostReport>, finding: &Finding) -> Option<bool> {
        let new = self.0.as_ref()?;
        let place = host.map(HostReport::place);
        Some(new.contains(&(place, finding.code.clone(), finding.subject.clone())))
    }
}
