//! One RRSIG over one RRset: everything that must hold before and besides the cryptography
//! (RFC 4035 section 5.3).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::error::ChainError;
use super::key::{Algorithm, Dnskey};
use super::{MAX_HASHED, MAX_TRIED, MAX_TRIED_PER_SET};
use crate::proto::name::Name;
use crate::proto::rr::{CLASS_IN, Origin, RrSet, Rrsig};

/// Checks that need no key: label count, algorithm, time. `now` in seconds since 1970.
pub(super) fn check_form(set: &RrSet, rrsig: &Rrsig, now: u64) -> Result<(), ChainError> {
    let (owner, rtype) = (set.owner().clone(), set.rtype());
    let signed = usize::from(rrsig.labels);
    let labels = owner.label_count() - usize::from(owner.is_wildcard());
    if signed > labels {
        return Err(ChainError::Labels { owner, rtype, labels: rrsig.labels });
    }
    if signed < labels {
        let above = owner.last_labels(signed);
        let wildcard = above.child(b"*").unwrap_or(above);
        return Err(ChainError::Wildcard { owner, rtype, wildcard });
    }
    if Algorithm::from_number(rrsig.algorithm).is_none() {
        return Err(ChainError::Algorithm { owner, rtype, algorithm: rrsig.algorithm });
    }
    // Serial number arithmetic (RFC 4034 section 3.1.5): the difference decides, across the wrap.
    let now = now as u32;
    let (left, begun) = (rrsig.expiration.wrapping_sub(now) as i32, now.wrapping_sub(rrsig.inception) as i32);
    let signer = rrsig.signer.clone();
    if left < 0 {
        return Err(ChainError::Expired { owner, rtype, signer, ago: left.unsigned_abs() });
    }
    if begun < 0 {
        return Err(ChainError::NotYetValid { owner, rtype, signer, ahead: begun.unsigned_abs() });
    }
    // Each less than half the circle away, and together more.
    if left.checked_add(begun).is_none() {
        return Err(ChainError::Backwards { owner, rtype, signer });
    }
    Ok(())
}

/// Until when something holds, both in seconds since 1970, last second included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// By the signatures alone.
    pub(super) expires: u64,
    /// By the TTLs too: how long it may be kept (RFC 4035 section 5.3.3).
    pub(super) valid_until: u64,
}

impl Lifetime {
    /// Of a set under a signature of which [`check_form`] has approved at `now`.
    pub(super) fn of(set: &RrSet, rrsig: &Rrsig, now: u64) -> Self {
        let expires = now.saturating_add(u64::from(rrsig.expiration.wrapping_sub(now as u32)));
        let kept = match set.origin() {
            Origin::Dns | Origin::Cache => now.saturating_add(u64::from(set.ttl().min(rrsig.original_ttl))),
            Origin::Bundle => expires,
            Origin::Grace { until, .. } => until,
        };
        Lifetime { expires, valid_until: expires.min(kept) }
    }

    /// Of two links together.
    pub(super) fn and(self, other: Lifetime) -> Self {
        Lifetime {
            expires: self.expires.min(other.expires),
            valid_until: self.valid_until.min(other.valid_until),
        }
    }
}

/// What one lookup may spend, counted by operations: checks of signatures ([`MAX_TRIED`]) and rounds of
/// hashing for NSEC3 ([`MAX_HASHED`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budget {
    tried: u32,
    hashed: u32,
    digested: u32,
    /// By name, salt and iterations: on the way down a name is met again and again.
    hashes: HashMap<(Name, Box<[u8]>, u16), Nsec3Hash>,
}

/// SHA-1, as NSEC3 hashes names (RFC 5155 section 5).
pub(in crate::proto) type Nsec3Hash = [u8; 20];

impl Budget {
    /// How many signatures have been checked.
    pub fn tried(&self) -> u32 {
        self.tried
    }

    /// How many rounds of SHA-1 have been made for NSEC3.
    pub fn hashed(&self) -> u32 {
        self.hashed
    }

    /// How many digests of DNSKEY records have been held against DS records: [`MAX_KEYS`](super::MAX_KEYS)
    /// a zone at most.
    pub fn digested(&self) -> u32 {
        self.digested
    }

    pub(super) fn count_digest(&mut self) {
        self.digested += 1;
    }

    /// The hash of `name`, computed once; none if there are no more rounds to spend on it.
    pub(in crate::proto) fn nsec3_hash(
        &mut self,
        name: &Name,
        salt: &[u8],
        iterations: u16,
        compute: impl FnOnce() -> Nsec3Hash,
    ) -> Option<Nsec3Hash> {
        match self.hashes.entry((name.clone(), salt.into(), iterations)) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(place) => {
                let hashed = self.hashed.saturating_add(u32::from(iterations) + 1);
                if hashed > MAX_HASHED {
                    return None;
                }
                self.hashed = hashed;
                Some(*place.insert(compute()))
            }
        }
    }
}

/// Signature checks so far: over one set, and all in all.
pub(super) struct Tries<'b> {
    set: u32,
    pub(super) budget: &'b mut Budget,
}

impl<'b> Tries<'b> {
    /// None over this set.
    pub(super) fn new(budget: &'b mut Budget) -> Self {
        Tries { set: 0, budget }
    }
}

/// `rrsig` over `set` is good under one of `keys`; every try counts.
pub(super) fn verify(
    set: &RrSet,
    rrsig: &Rrsig,
    keys: &[Dnskey],
    tries: &mut Tries<'_>,
) -> Result<(), ChainError> {
    let (owner, rtype, signer) = (set.owner().clone(), set.rtype(), rrsig.signer.clone());
    let mut candidates = keys.iter().filter(|k| fits(rrsig, k)).peekable();
    let (tag, algorithm) = (rrsig.key_tag, rrsig.algorithm);
    if candidates.peek().is_none() {
        return Err(ChainError::NoKey { owner, rtype, signer, tag, algorithm });
    }
    let Some(data) = signed_data(set, rrsig) else {
        return Err(ChainError::BadSignature { owner, rtype, signer, tag });
    };
    for key in candidates {
        if tries.set >= MAX_TRIED_PER_SET || tries.budget.tried >= MAX_TRIED {
            return Err(ChainError::Budget { owner, rtype, tried: tries.budget.tried });
        }
        tries.set += 1;
        tries.budget.tried += 1;
        if key.verifies(&data, &rrsig.signature) {
            return Ok(());
        }
    }
    Err(ChainError::BadSignature { owner, rtype, signer, tag })
}

/// `key` may have made `rrsig`: a zone key of its tag and algorithm.
fn fits(rrsig: &Rrsig, key: &Dnskey) -> bool {
    key.tag() == rrsig.key_tag && key.algorithm() == rrsig.algorithm && key.is_zone_key()
}

/// The octets that are signed (RFC 4034 section 3.1.8.1). None for RDATA whose length has no room there: several
/// records could be made to look like one.
fn signed_data(set: &RrSet, rrsig: &Rrsig) -> Option<Vec<u8>> {
    let mut data = rrsig.signed_prefix();
    for rdata in set.rdatas() {
        data.extend(set.owner().wire());
        data.extend(set.rtype().0.to_be_bytes());
        data.extend(CLASS_IN.to_be_bytes());
        data.extend(rrsig.original_ttl.to_be_bytes());
        data.extend(u16::try_from(rdata.len()).ok()?.to_be_bytes());
        data.extend(rdata);
    }
    Some(data)
}
