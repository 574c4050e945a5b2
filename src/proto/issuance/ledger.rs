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

/// All certificates of a journal, as they stand at `now`, in seconds since 1970.
pub fn certificates(entries: Vec<Entry>, now: u64) -> Vec<Standing> {
    let mut revoked: BTreeSet<[u8; 32]> = BTreeSet::new();
    for (digest, is_revoked) in entries.iter().filter_map(|entry| entry.event.revokes()) {
        match is_revoked {
            true => drop(revoked.insert(digest)),
            false => drop(revoked.remove(&digest)),
        }
    }
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
