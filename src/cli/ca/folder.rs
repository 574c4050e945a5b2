//! What these commands need of a CA's folder: what the CA is for, its keys, what it has signed; and a line in its
//! journal for what was done here.

use std::path::Path;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::ca_error;
use crate::error::Error;
use crate::proto::hostkey::{HostKey, KeyType};
use crate::proto::issuance::KeyState;
use crate::proto::issuance::journal::{Entry, Event};
use crate::proto::name::HostName;
use crate::ssh::ca::{Ca, CaError};

/// A CA's folder, as far as it matters here.
#[derive(Debug)]
pub(super) struct Folder {
    ca: Ca,
    /// What the CA is for.
    pub(super) domains: Vec<HostName>,
    /// Its keys that sign, or will.
    pub(super) keys: Vec<HostKey>,
    /// Those that sign no more.
    pub(super) retired: Vec<HostKey>,
}

/// A certificate that the CA has signed.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) principals: Vec<String>,
    /// The host's key.
    pub(super) key: Digest,
}

/// A key by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    /// None where only the digest is known.
    pub(super) key_type: Option<KeyType>,
    pub(super) sha256: [u8; 32],
}

impl From<&HostKey> for Digest {
    fn from(key: &HostKey) -> Self {
        Digest { key_type: Some(key.key_type()), sha256: key.sha256() }
    }
}

impl Folder {
    /// The CA in this folder; none if there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let ca = match Ca::open(path) {
            Ok(ca) => ca,
            Err(CaError::Absent(_)) => return Ok(None),
            Err(e) => return Err(ca_error(e)),
        };
        let keys = ca.authority().keys().iter().cloned();
        let (retired, keys): (Vec<_>, Vec<_>) = keys.partition(|key| key.state == KeyState::Retired);
        let [keys, retired] = [keys, retired].map(|keys| keys.into_iter().map(|key| key.key).collect());
        Ok(Some(Folder { domains: ca.authority().domains().to_vec(), keys, retired, ca }))
    }

    /// Every certificate of the journal.
    pub(super) fn issued(&self) -> Result<Vec<Issued>, Error> {
        let mut all = Vec::new();
        for entry in self.ca.journal().entries().map_err(ca_error)? {
            if let Event::Sign { issued, .. } = entry.map_err(ca_error)?.event {
                let key = Digest { key_type: Some(issued.key.key_type), sha256: issued.key.sha256 };
                all.push(Issued { principals: issued.principals, key });
            }
        }
        Ok(all)
    }

    /// Appends an event at `now`, in seconds since 1970, and waits until it is on disk.
    pub(super) fn note(&self, now: u64, event: Event) -> Result<(), Error> {
        self.ca.journal().append(&Entry { time: now, event }).map_err(ca_error)
    }
}

/// A key for the journal.
pub(super) fn key_form(key: &Digest) -> Value {
    json!({ "type": key.key_type.map(KeyType::name), "sha256": HEXLOWER.encode(&key.sha256) })
}
