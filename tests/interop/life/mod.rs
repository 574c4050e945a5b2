//! The whole life of a machine beside real servers: a primary and a secondary named, a validating unbound, sshd, the agent;
//! and clients that connect all the time, stock ssh with `VerifyHostKeyDNS yes` among them, of which none may be refused.
//!
//! Each machine sees its own /etc/ssh and its own /etc/resolv.conf, in a mount namespace: so sshd, the agent and `rotate`
//! have them where they have them in earnest, and ssh asks a resolver that sets the AD bit. That takes root
//! (`support/namespace.rs`).

mod beginning;
mod clients;
mod kills;
mod machine;
mod rotation;
mod secondary;
mod servers;
mod sharing;
mod world;

use std::time::Duration;

pub use super::primary::HOST;

/// How long something may take that takes seconds.
pub const SOON: Duration = Duration::from_secs(60);
/// TTL of the records, in seconds.
pub const TTL: u32 = 2;
/// How long sshd gives a client to log in.
pub const LOGIN_GRACE: Duration = Duration::from_secs(8);
