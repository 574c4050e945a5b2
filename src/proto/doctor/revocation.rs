//! The CA sets above a host and the revoked sets beside them: are they there, and for how long can a revoked key still
//! be accepted?

use super::Finding;
use crate::proto::chain::Answer;
use crate::proto::denial::{Status, Unproven};
use crate::proto::duration;
use crate::proto::moment;
use crate::proto::name::{HostName, Name};
use crate::proto::policy::Policy;
use crate::proto::revocation::{self, RevokedSet, Window};

/// A revoked key that is accepted for longer than this, in seconds, is worth a warning.
const LONG_WINDOW: u64 = 7 * 86_400;

/// Both sets of one name at or above a host.
#[derive(Debug)]
pub struct Sets {
    /// The name.
    pub at: Name,
    /// `_ca._ssh` of it.
    pub ca: Result<Answer, Unproven>,
    /// `_revoked._ssh` of it.
    pub revoked: Result<Answer, Unproven>,
}

/// Where sets may stand that count for `host` in `zone`: from the apex down to just above the host, which counts
/// itself only if it is the apex.
pub fn places(host: &HostName, zone: &Name) -> Vec<Name> {
    let name = host.name();
    let (least, most) = (zone.label_count(), name.label_count().saturating_sub(1));
    (least..=most.max(least)).map(|labels| name.last_labels(labels)).collect()
}

/// Judges at `now`, in seconds since 1970, under the host's policy. The first of the sets are those of the host zone's
/// apex. Nothing is said of a zone that has neither.
pub fn judge(now: u64, host: &HostName, sets: &[Sets], policy: &Policy) -> Vec<Finding> {
    let is_used = sets.iter().any(|sets| sets.ca.is_ok());
    let mut findings = Vec::new();
    for (at, sets) in sets.iter().enumerate() {
        // Accepts by a CA rest on the set of the apex and on those beside the CA sets.
        let is_needed = sets.ca.is_ok() || (at == 0 && is_used);
        match &sets.revoked {
            Ok(answer) => findings.extend(proven(now, sets, answer, policy)),
            Err(unproven) if is_needed => findings.push(missing(sets, &unproven.to_string())),
            Err(unproven) if unproven.status == Status::Bogus => {
                findings.push(missing(sets, &unproven.to_string()));
            }
            Err(_) => {}
        }
    }
    findings.into_iter().map(|finding| finding.of(host)).collect()
}

fn about(at: &Name) -> String {
    revocation::owner(at).map_or_else(|_| at.to_string(), |owner| format!("{owner} SSHFP"))
}

fn missing(sets: &Sets, why: &str) -> Finding {
    let message = format!("nobody is accepted by a CA, for the revoked keys are not proven: {why}");
    Finding::warning("revoked-set", about(&sets.at), message).remedy(format!(
        "sshanchor ca publish --at {} --server PRIMARY --key-file KEY (it keeps the set)",
        sets.at
    ))
}

fn proven(now: u64, sets: &Sets, answer: &Answer, policy: &Policy) -> Vec<Finding> {
    let revoked = match RevokedSet::from_rdatas(answer.data().set().rdatas()) {
        Ok(revoked) => revoked,
        Err(no_sentinel) => return vec![missing(sets, &no_sentinel.to_string())],
    };
    let count = match revoked.digests().len() {
        0 => "no key is revoked".to_owned(),
        1 => "1 key is revoked".to_owned(),
        count => format!("{count} keys are revoked"),
    };
    let mut findings = vec![Finding::ok("revoked-set", about(&sets.at), count)];
    let Some(window) = Window::of(now, answer.data().set().signatures(), policy) else { return findings };
    let length = window.length(now);
    let by_policy = match policy.max_signature_age {
        Some(age) => format!("max_signature_age = {}", duration::text(age)),
        None => "no max_signature_age is set".to_owned(),
    };
    let message = format!(
        "a key that is revoked now may still be accepted until {} ({}), by whoever is shown the set of before; {} from \
         caches; {by_policy}",
        moment::text(window.replayed_until),
        moment::span(length),
        moment::span(window.cached_until.saturating_sub(now)),
    );
    let finding = match length > LONG_WINDOW {
        true => Finding::warning("revocation-window", about(&sets.at), message).remedy(format!(
            "have {} signed for days (BIND's dnssec-policy signatures-validity 7d, Knot's rrsig-lifetime: 7d), or set \
             max_signature_age in the clients' configuration",
            answer.data().zone().name()
        )),
        false => Finding::ok("revocation-window", about(&sets.at), message),
    };
    findings.push(finding.until(window.replayed_until));
    findings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::severity;
    use super::super::{Severity, gravest};
    use super::*;
    use crate::proto::chain::paper::{NOW, Paper};
    use crate::proto::rr::RrType;

    const ZONE: &str = "example.test";
    const CA: &str = "_ca._ssh.example.test";
    const REVOKED: &str = "_revoked._ssh.example.test";
    const KEY: [u8; 34] = [7; 34];

    fn host() -> HostName {
        HostName::parse("web1.lab.example.test").unwrap()
    }

    fn zone() -> Name {
        Name::from_text(ZONE).unwrap()
    }

    fn found(paper: &Paper, policy: &Policy) -> Vec<Finding> {
        let sets = places(&host(), &zone()).into_iter().map(|at| {
            let run = |owner: Name| paper.run(&owner.to_string(), RrType::SSHFP).outcome;
            let (ca, revoked) = (revocation::ca_owner(&at).unwrap(), revocation::owner(&at).unwrap());
            Sets { at, ca: run(ca), revoked: run(revoked) }
        });
        judge(NOW, &host(), &sets.collect::<Vec<_>>(), policy)
    }

    /// The revoked set with a signature for so many days; and a CA set.
    fn signed(days: u32) -> Paper {
        let mut paper = Paper::tree(&[".", "test", ZONE]);
        let records =
            paper.zone(ZONE).sign_as(REVOKED, RrType::SSHFP, &[&revocation::SENTINEL, &KEY], |rrsig| {
                rrsig.inception = NOW as u32 - 3600;
                rrsig.expiration = NOW as u32 + days * 86_400;
            });
        paper.put(REVOKED, RrType::SSHFP, records);
        paper.publish(ZONE, CA, RrType::SSHFP, &[&KEY]);
        paper
    }

    #[test]
    fn sets_are_sought_from_the_apex_down_to_above_the_host() {
        let names = |host: &str| {
            let host = HostName::parse(host).unwrap();
            places(&host, &zone()).iter().map(Name::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names("web1.lab.example.test"), ["example.test", "lab.example.test"]);
        assert_eq!(names("web1.example.test"), ["example.test"]);
        assert_eq!(names("example.test"), ["example.test"], "the apex itself");
    }

    #[test]
    fn the_window_is_told_and_a_long_one_is_a_warning() {
        let policy = Policy::default();
        let of = |days| severity(&found(&signed(days), &policy), "revocation-window");
        assert_eq!((of(7), of(8)), (Severity::Ok, Severity::Warning));
        let findings = found(&signed(30), &policy);
        let window = findings.iter().find(|finding| finding.check == "revocation-window").unwrap();
        assert!(window.message.contains("30 days") && window.message.contains("60 minutes"), "{window:?}");
        assert_eq!(window.until, Some(NOW + 30 * 86_400));
        let json = serde_json::to_value(window).unwrap();
        assert_eq!(json["until"], moment::rfc3339(NOW + 30 * 86_400).unwrap());
        // By policy it is shorter.
        let policy = Policy { max_signature_age: Some(Duration::from_secs(86_400)), ..policy };
        let findings = found(&signed(30), &policy);
        assert_eq!(gravest(&findings), Severity::Ok, "{findings:#?}");
        assert!(findings[1].message.contains("max_signature_age = 1d"), "{findings:#?}");
    }

    #[test]
    fn a_ca_set_without_a_whole_revoked_set_beside_it_is_told() {
        let policy = Policy::default();
        let mut paper = Paper::tree(&[".", "test", ZONE]);
        assert_eq!(found(&paper, &policy), [], "a zone without CAs");
        paper.publish(ZONE, CA, RrType::SSHFP, &[&KEY]);
        assert_eq!(severity(&found(&paper, &policy), "revoked-set"), Severity::Warning);
        paper.publish(ZONE, REVOKED, RrType::SSHFP, &[&KEY]);
        let findings = found(&paper, &policy);
        assert_eq!(severity(&findings, "revoked-set"), Severity::Warning);
        assert!(findings[0].message.contains("sentinel"), "{findings:#?}");
        paper.publish(ZONE, REVOKED, RrType::SSHFP, &[&revocation::SENTINEL]);
        let findings = found(&paper, &policy);
        assert_eq!(gravest(&findings), Severity::Ok, "{findings:#?}");
        // A narrower CA set wants one of its own as well, and that of the apex stays needed.
        paper.publish(ZONE, "_ca._ssh.lab.example.test", RrType::SSHFP, &[&KEY]);
        let findings = found(&paper, &policy);
        assert_eq!(gravest(&findings), Severity::Warning, "{findings:#?}");
        assert!(findings.iter().any(|f| f.about == "_revoked._ssh.lab.example.test SSHFP"), "{findings:#?}");
        let mut narrow = Paper::tree(&[".", "test", ZONE]);
        narrow.publish(ZONE, "_ca._ssh.lab.example.test", RrType::SSHFP, &[&KEY]);
        narrow.publish(ZONE, "_revoked._ssh.lab.example.test", RrType::SSHFP, &[&revocation::SENTINEL]);
        let findings = found(&narrow, &policy);
        assert!(
            findings.iter().any(|f| f.severity == Severity::Warning && f.about == format!("{REVOKED} SSHFP"))
        );
    }
}
