//! Many hosts: which ones are meant, and what is done with all of them.
//!
//! | file | what is in it |
//! |---|---|
//! | [`host`] | one host of many, as the command line or an inventory names it |
//! | [`report`] | what an audit tells, as CSV, SARIF, Prometheus's metrics and HTML |

pub mod host;
pub mod report;

pub use host::{Host, Target};
