//! x
#![allow(missing_docs)]
pub mod cli;
pub mod dns;
pub mod error;
pub mod output;
pub mod proto;
