//! Whose turn it is: types that are older than the policy allows, and what a host needs first.

use super::record::Record;
use super::{Digest, Mode};
use crate::proto::hostkey::KeyType;

/// A host key of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Its type.
    pub key_type: KeyType,
    /// SHA-256 of its blob.
    pub digest: Digest,
    /// When its file was last changed, in seconds since 1970.
    pub since: u64,
}

/// The type whose key is the oldest of those that are at least `every` seconds old, among `types` (empty: all); none
/// while a rotation is under way. A key's age counts from the rotation that brought it, else from the time of its file.
pub fn due(record: &Record, held: &[Held], types: &[KeyType], every: u64, now: u64) -> Option<KeyType> {
    if record.round.is_some() || !record.queue.is_empty() {
        return None;
    }
    let since = |held: &Held| {
        let past = record.past.iter().rev().filter(|past| !past.aborted);
        let mut brought = past.filter(|past| past.change.new == Some(held.digest));
        brought.next().map_or(held.since, |past| past.ended)
    };
    let wanted = held.iter().filter(|held| types.is_empty() || types.contains(&held.key_type));
    let old = wanted.filter(|held| now.saturating_sub(since(held)) >= every);
    old.min_by_key(|held| since(held)).map(|held| held.key_type)
}

/// Types that a host with a single one may get beside it, the first choice first.
const MORE: [KeyType; 3] = [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::Rsa];

/// What comes next of a queue: the type that changes, and whether it is new to the host. A host with a single type gets
/// another first, which serves while that one is hidden: one that is not `taken` by records of others, if there is one.
pub fn next(queue: &[KeyType], mode: Mode, has: &[KeyType], taken: &[KeyType]) -> Option<(KeyType, bool)> {
    let wanted = *queue.first()?;
    if mode == Mode::Hide && has == [wanted] {
        let family = wanted.sshfp_algorithm();
        let mut others = MORE.into_iter().filter(|other| other.sshfp_algorithm() != family);
        let first = others.clone().next()?;
        return Some((others.find(|other| !taken.contains(other)).unwrap_or(first), true));
    }
    Some((wanted, false))
}
