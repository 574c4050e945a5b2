//! SSH I/O: handshakes that show a server's host key, sessions that rest on a verdict about it, and
//! the relay behind `sshanchor proxy`.

pub mod accepted;
pub mod client;
pub mod config;
pub mod config_files;
mod copy;
mod handler;
pub mod hostkeys;
pub mod identity;
pub mod known_hosts;
pub mod pass;
pub mod probe;
pub mod program;
pub mod relay;
pub mod server;
#[cfg(target_os = "linux")]
mod splice;
pub mod standard;
pub(crate) mod stream;
pub mod watched;
