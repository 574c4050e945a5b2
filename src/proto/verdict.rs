//! The verdict, and the one place that makes an accept.

use std::fmt;

use super::hostkey::KeyType;
use super::name::{HostName, Name};

/// What a connection to a host is judged to be; never a bool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The presented key is proven to be the host's.
    Accept(Anchored),
    /// A proof speaks against the presented key.
    Reject(Reason),
    /// Nothing vouches for the presented key.
    Unproven(Reason),
}

/// The witness of an accept: private fields, made only by `decide()`. Whoever holds one knows that
/// DNSSEC proves this key for this host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    host: HostName,
    port: u16,
    key_type: KeyType,
    key_sha256: [u8; 32],
    owner: Name,
    valid_until: u64,
}

impl Anchored {
    /// The host, as it was asked for.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The port that the verdict is about.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The type of the plain key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 of the plain key's blob.
    pub fn key_sha256(&self) -> &[u8; 32] {
        &self.key_sha256
    }

    /// The owner of the SSHFP set that vouches.
    pub fn owner(&self) -> &Name {
        &self.owner
    }

    /// Until when the proof holds, in seconds since 1970.
    pub fn valid_until(&self) -> u64 {
        self.valid_until
    }

    /// A witness out of nothing, for unit tests of what needs one.
    #[cfg(test)]
    pub fn for_tests(host: &str, port: u16, key: &super::hostkey::HostKey) -> Self {
        let host = HostName::parse(host).unwrap();
        let owner = host.name().clone();
        let key_sha256 = key.sha256();
        Anchored { host, port, key_type: key.key_type(), key_sha256, owner, valid_until: u64::MAX }
    }
}

/// Why there is no accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("")
    }
}
