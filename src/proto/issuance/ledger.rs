//! What a CA has issued and how it stands, by its journal.

use std::collections::BTreeSet;

use super::Issued;
use super::journal::{Entry, Event};

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Good.
    Valid,
    /// Its time is over.
    Expired,
    /// The host's key or the CA's is revoked, whatever the time.
    Revoked,
}

/// A certificate, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// When it was signed, in seconds since 1970.
    pub time: u64,
    /// The certificate.
    pub issued: Issued,
    /// How it stands.
    pub state: State,
}

/// Which keys are revoked, by digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked(BTreeSet<[u8; 32]>);

impl Revoked {
    /// After one more event.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Revoke { sha256, is_undone: false, .. } => drop(self.0.insert(*sha256)),
            Event::Revoke { sha256, is_undone: true, .. } => drop(self.0.remove(sha256)),
            Event::Init { .. } | Event::Sign { .. } | Event::Other { .. } => {}
        }
    }

    /// The key with this SHA-256 is revoked.
    pub fn contains(&self, sha256: &[u8; 32]) -> bool {
        self.0.contains(sha256)
    }
}

/// All certificates of a journal, as they stand at `now`, in seconds since 1970.
pub fn certificates(entries: Vec<Entry>, now: u64) -> Vec<Standing> {
    let mut revoked = Revoked::default();
    entries.iter().for_each(|entry| revoked.note(&entry.event));
    let standing = |entry: Entry| match entry.event {
        Event::Sign { issued, .. } => {
            let is_revoked = revoked.contains(&issued.key.sha256) || revoked.contains(&issued.ca_sha256);
            let state = match (is_revoked, now < issued.valid_before) {
                (true, _) => State::Revoked,
                (false, true) => State::Valid,
                (false, false) => State::Expired,
            };
            Some(Standing { time: entry.time, issued, state })
        }
        _ => None,
    };
    entries.into_iter().filter_map(standing).collect()
}
