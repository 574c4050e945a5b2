//! The trust anchors, by the keys that their zones really have.

use super::Finding;
use crate::proto::chain::{Anchors, Budget, Dnskey, Halt, Material, Prover, ROOT, RootKey};
use crate::proto::denial::{Status, Unproven};
use crate::proto::message::{Question, Response};
use crate::proto::moment;
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};
use crate::proto::verdict::{RELEASED, hint_for};

/// How long the built-in keys are taken for current, in seconds: new root keys are published some two years
/// before they are all that there is.
const BUILT_IN_FOR: u64 = 2 * 365 * 86_400;

/// Where anchors come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// They are part of this program.
    BuiltIn,
    /// This file.
    File(String),
}

impl Source {
    fn how_to_renew(&self, zone: &Name) -> String {
        match self {
            Source::BuiltIn => "update sshanchor; until then --trust-anchor FILE can name the root's keys (unbound-anchor -a FILE fetches and proves them)".to_owned(),
            Source::File(path) => {
                format!("compare dig {zone} DNSKEY with what {zone}'s owner says, and write the key into {path}")
            }
        }
    }
}

/// Judges at `now` (seconds since 1970) the anchors of `zone` by the reply to a question for its DNSKEY set, or the
/// reason why there is none.
pub fn judge(
    now: u64,
    anchors: &Anchors,
    source: &Source,
    zone: &Name,
    reply: Result<&Response, &str>,
) -> Vec<Finding> {
    let question = Question::new(zone.clone(), RrType::DNSKEY);
    let reply = match reply {
        Ok(reply) => reply,
        Err(why) => {
            let unproven = Unproven::unanswered(question, why);
            let message = format!("cannot be compared with the zone's keys: {unproven}");
            return vec![Finding::error("anchor-proof", zone, message).remedy(hint_for(zone, &unproven))];
        }
    };
    let mut material = Material::default();
    material.add(&question, reply);
    let mut prover = Prover::new(anchors.clone(), now);
    match prover.answer(&question, &material, &mut Budget::default()) {
        Ok(answer) => proven(anchors, source, zone, answer.data().set()),
        Err(Halt::Failed(error)) => {
            let unproven = Unproven { status: Status::Bogus, error };
            vec![
                Finding::error("anchor-proof", zone, format!("the zone's keys are not proven: {unproven}"))
                    .remedy(hint_for(zone, &unproven)),
            ]
        }
        Err(Halt::Need(_)) => {
            let message = "the reply leads elsewhere than to the zone's keys";
            let remedy =
                format!("dig {zone} DNSKEY shows it; compare with another resolver: --resolver ADDR");
            vec![Finding::error("anchor-proof", zone, message).remedy(remedy)]
        }
    }
}

/// The zone's keys are proven by one anchor at least.
fn proven(anchors: &Anchors, source: &Source, zone: &Name, set: &RrSet) -> Vec<Finding> {
    let keys: Vec<Dnskey> = set.rdatas().filter_map(Dnskey::from_rdata).collect();
    let mut findings = Vec::new();
    let (mut good, mut stale, mut revoked) = (Vec::new(), Vec::new(), Vec::new());
    for anchor in anchors.of(zone) {
        let was = |key: &Dnskey| key.before_revocation().is_some_and(|before| anchor.fits(zone, &before));
        if keys.iter().any(|key| key.is_zone_key() && anchor.fits(zone, key)) {
            good.push(anchor.tag());
        } else if keys.iter().any(was) {
            revoked.push(anchor.tag());
        } else {
            stale.push(anchor.tag());
        }
    }
    findings.push(Finding::ok(
        "anchor-proof",
        zone,
        format!("the zone's keys are proven by {}", tags(&good)),
    ));
    if !revoked.is_empty() {
        let message = format!("the zone has revoked {}, which is trusted here still", tags(&revoked));
        findings.push(Finding::warning("anchor-revoked", zone, message).remedy(match source {
            Source::BuiltIn => source.how_to_renew(zone),
            Source::File(path) => format!("take it out of {path}"),
        }));
    }
    if !stale.is_empty() {
        let message = format!("the zone does not have {}: retired, or not published yet", tags(&stale));
        findings.push(match source {
            Source::BuiltIn => Finding::info("anchor-stale", zone, message),
            Source::File(path) => Finding::warning("anchor-stale", zone, message)
                .remedy(format!("ask {zone}'s owner, and take it out of {path} if it is retired")),
        });
    }
    let unknown: Vec<u16> = keys
        .iter()
        .filter(|key| key.is_zone_key() && key.is_entry() && !anchors.trusts(zone, key))
        .map(Dnskey::tag)
        .collect();
    findings.push(if unknown.is_empty() {
        Finding::ok("anchor-rollover", zone, "every key signing key of the zone is known here")
    } else {
        let message = format!(
            "the zone has {}, which no trust anchor knows: a rollover may be under way, and when it is over nothing is proven here",
            tags(&unknown)
        );
        Finding::warning("anchor-rollover", zone, message).remedy(source.how_to_renew(zone))
    });
    findings
}

fn tags(tags: &[u16]) -> String {
    let words: Vec<String> = tags.iter().map(u16::to_string).collect();
    format!("key {}", words.join(", "))
}

/// Judges at `now` (seconds since 1970) how old the built-in keys are.
pub fn age(now: u64) -> Finding {
    let day = |seconds| moment::text(seconds).split('T').next().unwrap_or_default().to_owned();
    let told = |key: &RootKey| {
        let signs = if key.signs_since <= now { "signs since" } else { "is to sign from" };
        format!("key {} {signs} {}", key.tag, day(key.signs_since))
    };
    let keys: Vec<String> = ROOT.iter().map(told).collect();
    let message = format!("the built-in root keys: {}", keys.join(", "));
    match now.saturating_sub(RELEASED) {
        old if old > BUILT_IN_FOR => {
            let message =
                format!("{message}; they were current {} ago, and may be no longer", moment::span(old));
            Finding::warning("anchor-age", ".", message).remedy(Source::BuiltIn.how_to_renew(&Name::root()))
        }
        _ => Finding::ok("anchor-age", ".", message),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::super::tests::severity;
    use super::*;
    use crate::proto::chain::paper::{Key, NOW, Zone};

    const ZONE: &str = "example.test";

    fn file() -> Source {
        Source::File("my.anchor".to_owned())
    }

    /// What is found where `trusted` (as lines) stands against a zone with `others` beside its own key.
    fn found(trusted: &str, source: &Source, others: &[&Key]) -> Vec<Finding> {
        let zone = Zone::new(ZONE);
        let anchors = Anchors::from_text(trusted).unwrap();
        let answer = zone.keys_and(others);
        let reply = Response { answer, ..Response::default() };
        judge(NOW, &anchors, source, &zone.name, Ok(&reply))
    }

    fn line(key: Key, rtype: RrType) -> String {
        Zone { key, ..Zone::new(ZONE) }.anchor(rtype)
    }

    fn with_flags(flags: u16, seed: &str) -> Key {
        let mut key = Key::ed25519(seed);
        key.flags = flags;
        key
    }

    #[test]
    fn current_anchors_are_found_current() {
        for rtype in [RrType::DS, RrType::DNSKEY] {
            let findings = found(&Zone::new(ZONE).anchor(rtype), &file(), &[]);
            assert_eq!(super::super::gravest(&findings), Severity::Ok, "{findings:#?}");
            assert_eq!(findings.len(), 2);
        }
        let signing = with_flags(256, "zsk");
        let findings = found(&Zone::new(ZONE).anchor(RrType::DS), &file(), &[&signing]);
        assert_eq!(severity(&findings, "anchor-rollover"), Severity::Ok);
    }

    #[test]
    fn anchors_of_another_key_prove_nothing() {
        let findings = found(&line(Key::ed25519("other"), RrType::DS), &file(), &[]);
        assert_eq!(severity(&findings, "anchor-proof"), Severity::Error);
        assert!(findings[0].remedy.as_ref().unwrap().contains("dig example.test DNSKEY"), "{findings:?}");
        let anchors = Anchors::from_text(&Zone::new(ZONE).anchor(RrType::DS)).unwrap();
        let silent = judge(NOW, &anchors, &file(), &Zone::new(ZONE).name, Err("no answer"));
        assert_eq!(severity(&silent, "anchor-proof"), Severity::Error);
    }

    #[test]
    fn an_anchor_that_no_key_fits_is_stale() {
        for rtype in [RrType::DS, RrType::DNSKEY] {
            let both = Zone::new(ZONE).anchor(rtype) + &line(Key::ed25519("old"), rtype);
            assert_eq!(severity(&found(&both, &file(), &[]), "anchor-stale"), Severity::Warning);
            assert_eq!(severity(&found(&both, &Source::BuiltIn, &[]), "anchor-stale"), Severity::Info);
            assert!(
                found(&both, &file(), &[&Key::ed25519("old")]).iter().all(|f| f.severity == Severity::Ok)
            );
        }
    }

    #[test]
    fn a_revoked_anchor_is_told_from_a_stale_one() {
        let revoked = with_flags(257 | 0x80, "old");
        for rtype in [RrType::DS, RrType::DNSKEY] {
            let both = Zone::new(ZONE).anchor(rtype) + &line(Key::ed25519("old"), rtype);
            let findings = found(&both, &file(), &[&revoked]);
            assert_eq!(severity(&findings, "anchor-revoked"), Severity::Warning);
            assert!(findings.iter().all(|f| f.check != "anchor-stale"), "{findings:#?}");
        }
    }

    #[test]
    fn a_key_that_no_anchor_knows_is_a_rollover() {
        let findings = found(&Zone::new(ZONE).anchor(RrType::DS), &file(), &[&Key::ed25519("new")]);
        assert_eq!(severity(&findings, "anchor-rollover"), Severity::Warning);
        assert_eq!(severity(&findings, "anchor-proof"), Severity::Ok);
    }

    #[test]
    fn built_in_keys_grow_old() {
        assert_eq!(age(RELEASED).severity, Severity::Ok);
        assert_eq!(age(RELEASED + BUILT_IN_FOR + 1).severity, Severity::Warning);
        let words = "key 20326 signs since 2018-10-11, key 38696";
        assert!(
            age(RELEASED).message.contains(&format!("{words} signs since 2026-10-11")),
            "{:?}",
            age(RELEASED)
        );
        assert!(age(1_760_000_000).message.contains(&format!("{words} is to sign from 2026-10-11")));
    }
}
