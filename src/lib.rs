//! x
#![allow(missing_docs)]
pub mod agent;
pub mod backend;
pub mod cli;
pub mod dns;
pub mod error;
#[cfg(feature = "lab")]
pub mod lab;
pub mod output;
pub mod proto;
pub mod ssh;
pub mod verifier;
