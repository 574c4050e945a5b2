//! What changed since an earlier audit.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{Change, Changes, Finding, Report, Severity, VERSION};

/// Why an earlier audit cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is no audit.
    #[error("not the JSON of an audit: {0}")]
    Form(#[from] serde_json::Error),
    /// It is of a form of another program's.
    #[error("an audit of version {0}, and this program knows {VERSION}")]
    Version(u32),
}

/// Reads what an earlier audit has written.
pub fn read(text: &str) -> Result<Report, BaselineError> {
    /// What every version has.
    #[derive(serde::Deserialize)]
    struct Head {
        version: u32,
    }
    let Head { version } = serde_json::from_str(text)?;
    match version {
        VERSION => Ok(serde_json::from_str(text)?),
        other => Err(BaselineError::Version(other)),
    }
}

/// What tells a finding from others: its host, code and subject.
type Id<'a> = (Option<String>, &'a str, &'a str);

fn findings(report: &Report) -> BTreeMap<Id<'_>, &Finding> {
    let id = |(host, finding): (Option<&super::HostReport>, _)| {
        let finding: &Finding = finding;
        ((host.map(super::HostReport::place), finding.code.as_str(), finding.subject.as_str()), finding)
    };
    report.all_findings().map(id).collect()
}

/// What is new in `now`, and what is gone. A finding that has become graver is new. Of hosts that are no longer audited
/// nothing is known, so that nothing of them is gone.
pub fn compare(earlier: &Report, now: &Report) -> Changes {
    let places =
        |report: &Report| -> BTreeSet<String> { report.hosts.iter().map(|host| host.place()).collect() };
    let (before, after) = (places(earlier), places(now));
    let (old, new) = (findings(earlier), findings(now));
    let severity =
        |of: &BTreeMap<Id<'_>, &Finding>, id: &Id<'_>| -> Option<Severity> { of.get(id).map(|f| f.severity) };
    let change =
        |(id, finding): (&Id<'_>, &&Finding)| Change { host: id.0.clone(), finding: (*finding).clone() };
    let is_new =
        |(id, finding): &(&Id<'_>, &&Finding)| severity(&old, id).is_none_or(|was| was < finding.severity);
    let is_gone = |(id, _): &(&Id<'_>, &&Finding)| {
        !new.contains_key(*id) && id.0.as_ref().is_none_or(|host| after.contains(host))
    };
    Changes {
        since: earlier.time,
        new: new.iter().filter(is_new).map(change).collect(),
        gone: old.iter().filter(is_gone).map(change).collect(),
        hosts_new: after.difference(&before).cloned().collect(),
        hosts_gone: before.difference(&after).cloned().collect(),
    }
}
