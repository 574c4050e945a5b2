//! The laboratory behind `sshanchor demo` and the tests: a signed zone that takes updates, and toy
//! SSH hosts. Everything is on loopback, in this process, and ends when it is dropped.

pub mod host;
