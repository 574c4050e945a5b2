//! The laboratory behind `sshanchor demo` and the tests: signed zones that take updates, and toy SSH
//! hosts. Everything is on loopback, in this process, and ends when it is dropped.

mod authority;
pub mod host;
mod primary;
pub mod story;
pub mod zone;
