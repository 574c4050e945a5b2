//! One host of many, as the command line or an inventory names it.

use std::fmt;
use std::path::PathBuf;

use crate::error::Error;
use crate::proto::destination::Destination;
use crate::proto::name::HostName;
use crate::proto::ssh_config::jump::Jump;

/// A host, or an address, which nothing can vouch for.
#[derive(Debug, Clone)]
pub enum Target {
    /// A name whose keys can be proven.
    Host(HostName),
    /// An address as it was typed, and why nothing vouches for it.
    Address(String, Error),
}

/// The name, or the address as it was typed.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host(name) => name.fmt(f),
            Target::Address(text, _) => f.write_str(text),
        }
    }
}

/// One host, and how to get there and in.
#[derive(Debug, Clone)]
pub struct Host {
    /// The identity that is proven.
    pub target: Target,
    /// Its port.
    pub port: u16,
    /// Somebody named that port; else it is 22 for want of anything better, which ssh's configuration may know.
    pub has_named_port: bool,
    /// Where to connect in place of the addresses that the name has: a hint, which vouches for nothing.
    pub address: Option<Destination>,
    /// Who to log in as; none: whoever the command line or ssh's configuration names, else this user.
    pub user: Option<String>,
    /// Keys to log in with, behind those that the command line names.
    pub identities: Vec<PathBuf>,
    /// Whoever named it goes there through something else.
    pub jump: Option<Jump>,
}

impl Host {
    /// A host of which nothing more is known; the port was named.
    pub fn new(target: Target, port: u16) -> Self {
        Host {
            target,
            port,
            has_named_port: true,
            address: None,
            user: None,
            identities: Vec::new(),
            jump: None,
        }
    }
}
