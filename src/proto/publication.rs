//! What speaks against publishing before anything is sent: a clock that is off, a zone that nobody signs.

use serde::Serialize;

use super::moment;
use super::rr::Rrsig;
use super::verdict::{RELEASED, Reason};

/// How far two clocks may differ, in seconds: as far as a signed update lets them (RFC 8945 section 10).
pub const SLACK: u64 = 300;

/// Whether the zone that holds the records is signed, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signing {
    /// Clients can prove it from a trust anchor.
    Proven,
    /// The place of its records says so.
    Signed,
    /// The place of its records shows no signatures; a signer behind it may add them.
    Unsigned,
}

/// Why our clock is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    /// Before this release, or before a signature that has been verified here.
    #[error("{}", Reason::Clock { now: *now, not_before: *not_before })]
    Before {
        /// What it shows, in seconds since 1970.
        now: u64,
        /// The earliest that it can be.
        not_before: u64,
    },
    /// All signatures over the zone's SOA record begin later.
    #[error("the clock says {}, and the zone's signatures begin at {}", moment::text(*now), moment::text(*begin))]
    Early {
        /// What it shows.
        now: u64,
        /// When the first of them begins.
        begin: u64,
    },
    /// All of them have ended.
    #[error("the clock says {}, and the zone's signatures ended at {}", moment::text(*now), moment::text(*ended))]
    Late {
        /// What it shows.
        now: u64,
        /// When the last of them ended.
        ended: u64,
    },
}

impl ClockError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Before { .. } => {
                "set the clock (chronyc makestep, or date -s), then try again. If the clock was wrong earlier, delete the cache \
                 folder"
            }
            Self::Early { .. } => {
                "compare with another clock (date -u): set the one that is wrong (chronyc makestep, or date -s), then try again"
            }
            Self::Late { .. } => {
                "compare with another clock (date -u): if this one is ahead, set it (chronyc makestep, or date -s); if it is \
                 right, the zone is no longer signed anew: see its server's log"
            }
        }
    }
}

/// The clock by what this program knows: its release, and the newest inception of a signature that was verified here,
/// both like `now` in seconds since 1970.
pub fn check_clock(now: u64, newest_inception: u64) -> Result<(), ClockError> {
    match now < RELEASED || now < newest_inception {
        true => Err(ClockError::Before { now, not_before: RELEASED.max(newest_inception) }),
        false => Ok(()),
    }
}

/// The clock by the signatures over the zone's SOA record: whose fault it is where none of them holds now, they do not
/// tell. Nobody has verified them: they can only keep from publishing.
pub fn check_signatures(now: u64, signatures: &[Rrsig]) -> Result<(), ClockError> {
    // Serial number arithmetic (RFC 4034 section 3.1.5): within 68 years of now.
    let at = |time: u32| now.saturating_add_signed(i64::from(time.wrapping_sub(now as u32) as i32));
    let windows: Vec<(u64, u64)> = signatures.iter().map(|s| (at(s.inception), at(s.expiration))).collect();
    let holds = |(begin, end): &(u64, u64)| *begin <= now + SLACK && now <= *end + SLACK;
    if windows.iter().any(holds) {
        return Ok(());
    }
    let later = windows.iter().map(|(begin, _)| *begin).filter(|begin| *begin > now).min();
    match (later, windows.iter().map(|(_, end)| *end).max()) {
        (Some(begin), _) => Err(ClockError::Early { now, begin }),
        (None, Some(ended)) => Err(ClockError::Late { now, ended }),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::name::Name;
    use crate::proto::rr::RrType;

    const NOW: u64 = 1_900_000_000;

    fn signature(begin: u64, end: u64) -> Rrsig {
        Rrsig {
            covered: RrType::SOA,
            algorithm: 13,
            labels: 1,
            original_ttl: 60,
            expiration: end as u32,
            inception: begin as u32,
            key_tag: 1,
            signer: Name::root(),
            signature: Box::default(),
        }
    }

    #[test]
    fn a_clock_before_what_is_known_is_none() {
        assert!(check_clock(RELEASED, 0).is_ok() && check_clock(NOW, NOW).is_ok());
        assert_eq!(
            check_clock(RELEASED - 1, 0),
            Err(ClockError::Before { now: RELEASED - 1, not_before: RELEASED })
        );
        assert_eq!(check_clock(NOW - 1, NOW), Err(ClockError::Before { now: NOW - 1, not_before: NOW }));
    }

    #[test]
    fn one_signature_that_holds_is_enough() {
        let at = |windows: &[(u64, u64)]| {
            let signatures: Vec<Rrsig> = windows.iter().map(|(b, e)| signature(*b, *e)).collect();
            check_signatures(NOW, &signatures)
        };
        assert!(at(&[]).is_ok(), "an unsigned zone says nothing of clocks");
        assert!(at(&[(NOW - 9, NOW + 9)]).is_ok());
        assert!(at(&[(NOW + SLACK, NOW + 900)]).is_ok() && at(&[(NOW - 900, NOW - SLACK)]).is_ok());
        assert!(at(&[(NOW - 900, NOW - 800), (NOW - 9, NOW + 9)]).is_ok(), "an old one beside a new one");
        let early = |begin| Err(ClockError::Early { now: NOW, begin });
        assert_eq!(at(&[(NOW + SLACK + 1, NOW + 900)]), early(NOW + SLACK + 1));
        assert_eq!(at(&[(NOW + 9_000, NOW + 9_900), (NOW + 500, NOW + 900)]), early(NOW + 500));
        let late = |ended| Err(ClockError::Late { now: NOW, ended });
        assert_eq!(at(&[(NOW - 900, NOW - SLACK - 1)]), late(NOW - SLACK - 1));
        assert_eq!(at(&[(NOW - 9_900, NOW - 9_000), (NOW - 900, NOW - 500)]), late(NOW - 500));
        // Across the wrap of 32 bits, in the year 2106.
        let wrap = (1 << 32) + 5;
        assert!(check_signatures(wrap, &[signature(wrap - 900, wrap + 900)]).is_ok());
        assert!(check_signatures(5, &[signature(wrap - 900, wrap + 900)]).is_ok(), "no time before 1970");
    }
}
