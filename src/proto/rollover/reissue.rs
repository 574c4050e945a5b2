//! Which hosts still need the old key, by the journal.

use std::collections::{BTreeMap, BTreeSet};

use super::Digest;
use crate::proto::issuance::ledger::{Standing, State};

/// The places of those certificates of the key `old` that hosts may still have nothing better than: good, the last one
/// for their host key and their names, and not of a host that was given up (`skipped`).
///
/// The last one: a later certificate for the same host key and no fewer names takes the place of an earlier one. One of
/// the key `new` is what the roll waits for; one of any other key is somebody else's.
pub fn outstanding(
    certificates: &[Standing],
    old: &Digest,
    new: &Digest,
    skipped: &BTreeSet<String>,
) -> Vec<usize> {
    let mut open: Vec<usize> = Vec::new();
    for good in of_keys(certificates, old, new).values() {
        for (at, (place, standing)) in good.iter().enumerate() {
            let is_of_old = standing.issued.ca_sha256 == *old;
            let is_given_up = standing.issued.principals.iter().any(|name| skipped.contains(name));
            let mut later = good.iter().skip(at + 1);
            if is_of_old && !is_given_up && !later.any(|(_, later)| covers(later, standing)) {
                open.push(*place);
            }
        }
    }
    open.sort_unstable();
    open
}

/// When the hosts have had `settle` seconds to load what replaces their certificates of the key `old`, in seconds
/// since 1970; 0 if there is nothing to load. A certificate that is over before that is not waited for.
pub(super) fn settled(certificates: &[Standing], old: &Digest, new: &Digest, settle: u64) -> u64 {
    let mut until = 0;
    for good in of_keys(certificates, old, new).values() {
        for (at, (_, standing)) in good.iter().enumerate().filter(|(_, (_, s))| s.issued.ca_sha256 == *old) {
            let mut later = good.iter().skip(at + 1).map(|(_, later)| *later);
            let successor = later.find(|later| later.issued.ca_sha256 == *new && covers(later, standing));
            let loaded = successor.map_or(0, |successor| successor.time.saturating_add(settle));
            until = until.max(loaded.min(standing.issued.valid_before));
        }
    }
    until
}

/// The good certificates of these two keys by host key, each in the order in which they were signed.
fn of_keys<'a>(
    certificates: &'a [Standing],
    old: &Digest,
    new: &Digest,
) -> BTreeMap<Digest, Vec<(usize, &'a Standing)>> {
    let mut by_key: BTreeMap<Digest, Vec<(usize, &Standing)>> = BTreeMap::new();
    for (place, standing) in certificates.iter().enumerate() {
        let is_of_either = standing.issued.ca_sha256 == *old || standing.issued.ca_sha256 == *new;
        if standing.state == State::Valid && is_of_either {
            by_key.entry(standing.issued.key.sha256).or_default().push((place, standing));
        }
    }
    by_key
}

/// It is for no fewer names.
fn covers(later: &Standing, earlier: &Standing) -> bool {
    earlier.issued.principals.iter().all(|name| later.issued.principals.contains(name))
}
