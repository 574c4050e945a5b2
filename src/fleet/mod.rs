//! Many hosts: which ones are meant, and what is done with all of them.
//!
//! | file | what is in it |
//! |---|---|
//! | [`audit`] | what is true of all of them |
//! | [`host`] | one host of many, as the command line or an inventory names it |
//! | [`inventory`] | where hosts are written down: Ansible's inventories, ssh's configuration, a zone |
//! | [`login`] | who logs in there, at which port, with which keys |
//! | [`report`] | what an audit tells, as CSV, SARIF, Prometheus's metrics and HTML |
//! | [`exec`] | a command on many hosts, each on the very connection that was verified |

pub mod audit;
pub mod exec;
pub mod host;
pub mod inventory;
pub mod login;
pub mod report;

pub use host::{Host, Target};
