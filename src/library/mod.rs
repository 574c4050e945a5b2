//! For Rust programs: what the crate's root shows, and keeps to. Everything here is built from the rooms below, which
//! may change with every release.

pub mod client;
mod options;
mod presented;
mod refusal;
mod verifier;

pub use options::Options;
pub use refusal::Refusal;
pub use verifier::{Expected, Verifier};
