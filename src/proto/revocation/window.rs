//! For how long a key that is revoked now can still be accepted.
//!
//! A client accepts by a revoked set as long as the set that it is shown is validly signed, and nothing shows it that
//! there is a newer one. So what counts is the *old* set, the one from before the revocation:
//!
//! ```text
//! replayed = latest over the RRSIGs of the old set: min(expiration, inception + max_signature_age)
//! cached   = min(replayed, now + original TTL + outage_grace)
//! ```
//!
//! * `replayed` is the bound whatever happens on the way: whoever is between client and DNS may show the old set until
//!   then. `max_signature_age` of the client's policy shortens it, as does a zone that signs for shorter. The
//!   signatures over aliases and over the keys of the zones do not: whoever replays the old set can fetch fresh ones.
//! * `cached` is the bound where nobody does: resolvers' caches and sshanchor's own keep the set for its TTL (the one
//!   that is signed, RFC 4035 section 5.3.3), sshanchor's for `outage_grace` more while DNS gives no usable answer.
//!
//! Neither a negative TTL nor a bundle adds to them: without a proven set nothing is accepted by a CA at all, and a
//! bundle ends with its signatures. Sessions that are open already stay open.

use serde::Serialize;

use crate::proto::policy::Policy;
use crate::proto::rr::Rrsig;

/// For how long, both in seconds since 1970; `cached_until` is never the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// While nobody interferes: caches, and grace by policy.
    pub cached_until: u64,
    /// At the very latest, with somebody on the way who replays the old set.
    pub replayed_until: u64,
}

impl Window {
    /// The window that begins at `now` (seconds since 1970) for clients with this policy, by the formula above, from
    /// all signatures over the old set. None if it has none: then nobody knows.
    pub fn of(now: u64, old: &[Rrsig], policy: &Policy) -> Option<Self> {
        let age = policy.max_signature_age.map_or(u64::MAX, |age| age.as_secs());
        let end = |rrsig: &Rrsig| {
            // Serial number arithmetic (RFC 4034 section 3.1.5): less than half the circle before or after now.
            let ahead = |moment: u32| i64::from(moment.wrapping_sub(now as u32) as i32);
            let moment = |ahead: i64| now.saturating_add_signed(ahead);
            let by_age = moment(ahead(rrsig.inception)).saturating_add(age);
            moment(ahead(rrsig.expiration)).min(by_age)
        };
        let replayed_until = old.iter().map(end).max()?.max(now);
        let ttl = old.iter().map(|rrsig| rrsig.original_ttl).max().unwrap_or(0);
        let kept = u64::from(ttl).saturating_add(policy.outage_grace.as_secs());
        Some(Window { cached_until: replayed_until.min(now.saturating_add(kept)), replayed_until })
    }

    /// How long it is, in seconds, from `now` on.
    pub fn length(&self, now: u64) -> u64 {
        self.replayed_until.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::proto::name::Name;
    use crate::proto::rr::RrType;

    const NOW: u64 = 1_800_000_000;
    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;

    /// A signature of so many seconds ago, good for so many more, negative if it is over.
    fn signature(ttl: u32, ago: u64, left: i64) -> Rrsig {
        Rrsig {
            covered: RrType::SSHFP,
            algorithm: 13,
            labels: 4,
            original_ttl: ttl,
            expiration: NOW.saturating_add_signed(left) as u32,
            inception: (NOW - ago) as u32,
            key_tag: 1,
            signer: Name::root(),
            signature: Box::default(),
        }
    }

    fn window(old: &[Rrsig], age: Option<u64>, grace: u64) -> (u64, u64) {
        let policy = Policy {
            max_signature_age: age.map(Duration::from_secs),
            outage_grace: Duration::from_secs(grace),
            ..Policy::default()
        };
        let window = Window::of(NOW, old, &policy).unwrap();
        assert!(window.cached_until <= window.replayed_until);
        assert_eq!(window.length(NOW), window.replayed_until - NOW);
        (window.cached_until - NOW, window.replayed_until - NOW)
    }

    #[test]
    fn the_least_of_all_bounds_counts() {
        let old = [signature(3600, DAY, 13 * 86_400)];
        assert_eq!(window(&old, None, 0), (HOUR, 13 * DAY));
        assert_eq!(window(&old, None, DAY), (DAY + HOUR, 13 * DAY), "grace is added to the TTL");
        assert_eq!(window(&old, Some(3 * DAY), 0), (HOUR, 2 * DAY), "counted from the inception");
        assert_eq!(window(&old, Some(30 * DAY), 0), (HOUR, 13 * DAY), "an age that never comes");
        assert_eq!(window(&old, Some(DAY + 60), DAY), (60, 60), "caches do not outlive the policy");
        assert_eq!(window(&old, Some(HOUR), DAY), (0, 0), "too old already");
        assert_eq!(window(&[signature(3600, DAY, 60)], None, DAY), (60, 60), "nor the signature");
        assert_eq!(window(&[signature(3600, DAY, -1)], None, DAY), (0, 0), "it is over");
        assert_eq!(window(&old, Some(u64::MAX), u64::MAX), (13 * DAY, 13 * DAY));
    }

    #[test]
    fn of_several_signatures_any_may_be_replayed() {
        let old = [signature(300, 3 * DAY, 86_400), signature(300, 60, 7 * 86_400), signature(300, DAY, -5)];
        assert_eq!(window(&old, None, 0), (300, 7 * DAY));
        assert_eq!(window(&old, Some(DAY), 0), (300, DAY - 60));
        assert_eq!(Window::of(NOW, &[], &Policy::default()), None, "nobody knows");
    }
}
