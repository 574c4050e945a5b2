//! Names of hosts: what a verdict speaks of.

use std::fmt;

use super::{MAX_LABEL, Name, NameError};
use crate::proto::text::cut;

/// The name of a host as it was asked for: lower case, absolute, letters, digits and inner hyphens
/// (RFC 952, RFC 1123 section 2.1). It is the identity that a verdict speaks of.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct HostName(Name);

/// Why something is not a host name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostNameError {
    /// An address: no DNS name vouches for it.
    #[error("{0} is an address, and no DNS record vouches for an address")]
    Address(String),
    /// Something else than letters, digits and inner hyphens.
    #[error("{0:?} is not a host name (letters, digits and inner hyphens, at most 63 a label)")]
    Grammar(String),
}

impl HostName {
    /// Parses strictly; one final dot is allowed.
    pub fn parse(text: &str) -> Result<Self, HostNameError> {
        let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
        let without_scope = bare.split('%').next().unwrap_or(bare);
        if without_scope.parse::<std::net::IpAddr>().is_ok() {
            return Err(HostNameError::Address(bare.to_owned()));
        }
        let grammar = || HostNameError::Grammar(cut(text, 80).into_owned());
        let trimmed = text.strip_suffix('.').unwrap_or(text);
        let good_label = |label: &str| {
            (1..=MAX_LABEL).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // An all-numeric last label would read as an address somewhere (RFC 3696 section 2).
        let last_is_number =
            trimmed.rsplit('.').next().is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        if !trimmed.split('.').all(good_label) || last_is_number {
            return Err(grammar());
        }
        Name::from_text(trimmed).map(HostName).map_err(|_| grammar())
    }

    /// As a DNS name.
    pub fn name(&self) -> &Name {
        &self.0
    }

    /// `_PORT._ssh.HOST`, the owner of host keys that are good on one port only.
    pub fn port_label(&self, port: u16) -> Result<Name, NameError> {
        self.0.child(b"_ssh")?.child(format!("_{port}").as_bytes())
    }
}

impl std::str::FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, HostNameError> {
        Self::parse(text)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
