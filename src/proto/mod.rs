//! Decisions, and nothing else: no I/O, no async, no clock, no environment. Time is an argument.

pub mod hostkey;
pub mod name;
pub mod sshfp;
pub mod verdict;
pub mod wire;
