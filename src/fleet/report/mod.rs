//! The forms of an audit beside its table and its JSON: pure functions of [`Report`] alone. Text in a report may hold
//! peers' octets; every form makes them harmless in its own way.
//!
//! | file | what is in it |
//! |---|---|
//! | [`csv`] | a line a finding, for spreadsheets |
//! | [`sarif`] | for tools that gather findings from run to run |
//! | [`prometheus`] | for the textfile collector of Prometheus's node exporter |
//! | [`html`] | a page that people can look at |

mod csv;
mod html;
mod prometheus;
mod sarif;

pub use csv::csv;
pub use html::html;
pub use prometheus::prometheus;
pub use sarif::sarif;
