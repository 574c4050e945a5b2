//! What is true of a fleet: facts about each host, data in, findings out.
//!
//! | file | what is in it |
//! |---|---|
//! | [`report`] | what an audit tells: the one form from which all others are made |

pub mod report;
mod time;

pub use report::{
    Change, Changes, Finding, HostCertificate, HostReport, Key, Record, Report, Server, Severity, Summary,
    ZoneReport,
};
