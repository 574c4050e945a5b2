//! What is true of a fleet: facts about each host, data in, findings out.
//!
//! | file | what is in it |
//! |---|---|
//! | [`report`] | what an audit tells: the one form from which all others are made |

pub mod report;

pub use report::{Finding, HostReport, Key, Record, Report, Server, Severity};
