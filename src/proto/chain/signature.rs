//! One RRSIG over one RRset: everything that must hold before and besides the cryptography
//! (RFC 4035 section 5.3).

use super::error::ChainError;
use super::key::{Algorithm, Dnskey};
use crate::proto::rr::{CLASS_IN, RrSet, Rrsig};

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
        let ttl = u64::from(set.ttl().min(rrsig.original_ttl));
        Lifetime { expires, valid_until: expires.min(now.saturating_add(ttl)) }
    }

    /// Of two links together.
    pub(super) fn and(self, other: Lifetime) -> Self {
        Lifetime {
            expires: self.expires.min(other.expires),
            valid_until: self.valid_until.min(other.valid_until),
        }
    }
}

/// `key` may have made `rrsig`: a zone key of its tag and algorithm.
pub(super) fn fits(rrsig: &Rrsig, key: &Dnskey) -> bool {
    key.tag() == rrsig.key_tag && key.algorithm() == rrsig.algorithm && key.is_zone_key()
}

/// The octets that are signed (RFC 4034 section 3.1.8.1).
pub(super) fn signed_data(set: &RrSet, rrsig: &Rrsig) -> Vec<u8> {
    let mut data = rrsig.signed_prefix();
    for rdata in set.rdatas() {
        data.extend(set.owner().wire());
        data.extend(set.rtype().0.to_be_bytes());
        data.extend(CLASS_IN.to_be_bytes());
        data.extend(rrsig.original_ttl.to_be_bytes());
        // RDATA out of a message is at most 65535 octets long.
        data.extend((rdata.len() as u16).to_be_bytes());
        data.extend(rdata);
    }
    data
}
