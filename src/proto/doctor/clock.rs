//! The clock, by the signatures that are really there.

use super::Finding;
use crate::proto::chain::{Anchors, Budget, MAX_SIGNATURES, Material, Prover};
use crate::proto::message::{Question, Response};
use crate::proto::moment;
use crate::proto::rr::RrSet;
use crate::proto::verdict::RELEASED;

const SET: &str = "set the clock: chronyc makestep, or date -s";

/// When a genuine signature holds, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    begins: u64,
    ends: u64,
}

/// Judges `now` (seconds since 1970) by the signatures in `keys`: replies to questions for the DNSKEY sets of
/// zones that have trust anchors. Only signatures count that are proven for a time of their own.
pub fn judge(now: u64, anchors: &Anchors, keys: &[(Question, Response)]) -> Finding {
    let clock = format!("the clock says {}", moment::text(now));
    if now < RELEASED {
        let message =
            format!("{clock}, which is before this release was made: nothing is proven at such a time");
        return Finding::error("clock", "this machine", message).remedy(SET);
    }
    let windows: Vec<Window> = keys.iter().flat_map(|(q, r)| windows(now, anchors, q, r)).collect();
    let (Some(newest), Some(last)) =
        (windows.iter().map(|w| w.begins).max(), windows.iter().map(|w| w.ends).max())
    else {
        let message = format!("{clock}; there is no genuine signature to compare it with");
        return Finding::info("clock", "this machine", message);
    };
    if windows.iter().any(|w| w.begins <= now && now <= w.ends) {
        let message = format!("{clock}, which fits the signatures of the anchored zones");
        return Finding::ok("clock", "this machine", message);
    }
    let (message, remedy) = if last < now {
        let ago = moment::span(now - last);
        let message = format!(
            "{clock}, and all genuine signatures of the anchored zones expired {ago} ago or earlier: the clock is ahead by \
             that or more, or the zones are no longer signed"
        );
        (
            message,
            format!("compare with another clock (date -u), and {SET}; if it is right, tell the zone's owner"),
        )
    } else {
        let first = windows.iter().map(|w| w.begins).filter(|begins| *begins > now).min().unwrap_or(newest);
        let ahead = moment::span(first.saturating_sub(now));
        let message = format!(
            "{clock}, and the genuine signatures of the anchored zones begin {ahead} later: the clock is behind by that or more"
        );
        (message, SET.to_owned())
    };
    Finding::error("clock", "this machine", message).remedy(remedy)
}

/// The windows of those signatures over a zone's keys that the trust anchors prove at some time.
fn windows(now: u64, anchors: &Anchors, question: &Question, reply: &Response) -> Vec<Window> {
    let sets = RrSet::collect(&reply.answer);
    let Some(set) = sets.iter().find(|s| s.owner() == &question.name && s.rtype() == question.rtype) else {
        return Vec::new();
    };
    let mut material = Material::default();
    material.add(question, reply);
    let claims = set.signatures().iter().take(MAX_SIGNATURES).filter_map(|rrsig| {
        // Serial number arithmetic (RFC 4034 section 3.1.5): within 68 years of now.
        let distance = i64::from(rrsig.inception.wrapping_sub(now as u32) as i32);
        let begins = now.checked_add_signed(distance)?;
        Some(Window {
            begins,
            ends: begins.saturating_add(u64::from(rrsig.expiration.wrapping_sub(rrsig.inception))),
        })
    });
    let genuine = |window: &Window| {
        let middle = window.begins + (window.ends - window.begins) / 2;
        let mut prover = Prover::new(anchors.clone(), middle);
        prover.prove(set, &material, &mut Budget::default()).is_ok()
    };
    claims.filter(genuine).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use crate::proto::chain::paper::{MARGIN, NOW, Zone};
    use crate::proto::rr::RrType;

    /// The finding at `now` on a root that signed around `NOW`; trusted is the key that `trusted` makes.
    fn at(now: u64, trusted: &str) -> Finding {
        let zone = Zone::new(".");
        let other = Zone { key: crate::proto::chain::paper::Key::ed25519(trusted), ..Zone::new(".") };
        let anchors = Anchors::from_text(&other.anchor(RrType::DNSKEY)).unwrap();
        let answer = zone.keys_and(&[]);
        let reply = Response { answer, ..Response::default() };
        judge(now, &anchors, &[(Question::new(zone.name.clone(), RrType::DNSKEY), reply)])
    }

    #[test]
    fn a_clock_that_fits_the_signatures_is_right() {
        for now in [NOW, NOW - u64::from(MARGIN), NOW + u64::from(MARGIN)] {
            assert_eq!(at(now, ".").severity, Severity::Ok);
        }
    }

    #[test]
    fn a_clock_that_fits_none_is_wrong_and_the_direction_is_told() {
        let behind = at(NOW - 10 * 86_400, ".");
        assert_eq!(behind.severity, Severity::Error);
        assert!(behind.message.contains("is behind by") && behind.message.contains("9 days"), "{behind:?}");
        let ahead = at(NOW + 10 * 86_400, ".");
        assert_eq!(ahead.severity, Severity::Error);
        assert!(ahead.message.contains("is ahead by") && ahead.message.contains("9 days"), "{ahead:?}");
        assert!(behind.remedy.is_some() && ahead.remedy.is_some());
    }

    #[test]
    fn a_clock_before_the_release_is_wrong_whatever_is_signed() {
        assert_eq!(at(RELEASED - 1, ".").severity, Severity::Error);
        assert!(at(0, ".").message.contains("before this release"));
        assert!(!at(RELEASED, ".").message.contains("before this release"));
    }

    #[test]
    fn signatures_of_anybody_say_nothing_about_the_clock() {
        for now in [NOW, NOW - 10 * 86_400, NOW + 10 * 86_400] {
            assert_eq!(at(now, "another").severity, Severity::Info);
        }
        assert_eq!(judge(NOW, &Anchors::built_in(), &[]).severity, Severity::Info);
    }
}
