//! SSH I/O: handshakes that show a server's host key, and sessions that rest on a verdict about it.

pub mod client;
mod handler;
pub mod hostkeys;
pub mod probe;
pub(crate) mod stream;
