//! SSH I/O: handshakes that show a server's host key, sessions that rest on a verdict about it, and
//! the relay behind `sshanchor proxy`.

pub mod ca;
pub mod client;
pub mod config;
mod handler;
pub mod host_key_file;
pub mod hostkeys;
pub mod identity;
pub mod keygen;
pub mod known_hosts;
pub mod probe;
pub mod relay;
pub mod sibling;
pub mod sshd;
pub(crate) mod stream;
