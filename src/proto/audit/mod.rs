//! What is true of a fleet: facts about each host, data in, findings out.
//!
//! | file | what is in it |
//! |---|---|
//! | [`facts`] | what was gathered about hosts and zones |
//! | `rules` | what is not as it should be, a file for each thing that they are about |
//! | [`judge`](mod@judge) | from facts to a report |
//! | [`compare`](mod@compare) | what changed since an earlier audit |
//! | [`report`] | what an audit tells: the one form from which all others are made |

pub mod compare;
pub mod facts;
pub mod judge;
pub mod report;
mod rules;
#[cfg(test)]
mod tests;
mod time;

pub use compare::compare;
pub use judge::{Judged, fleet, judge};
pub use report::{
    Change, Changes, Finding, HostCertificate, HostReport, Key, Record, Report, Server, Severity, Summary,
    ZoneReport,
};
pub use rules::RULES;
