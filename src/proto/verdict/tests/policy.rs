//! What policy takes away from a proof: each refusal beside the accept that it leaves.

use std::time::Duration;

use super::*;
use crate::proto::chain::paper::name;
use crate::proto::policy::{Aliases, Require};

/// The verdict on `key` at `port` by a policy.
fn judged(paper: &Paper, port: u16, key: HostKey, policy: &Policy) -> Verdict {
    decide(&evidence(paper, port), &Presented::Plain(key), None, policy, NOW)
}

/// In one word, with a sign of whether it is a reject.
fn told(paper: &Paper, port: u16, key: HostKey, policy: &Policy) -> (bool, &'static str) {
    let verdict = judged(paper, port, key, policy);
    (matches!(verdict, Verdict::Reject(_)), code(&verdict))
}

const ACCEPT: (bool, &str) = (false, "accept");

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn allowing(algorithms: &[KeyType]) -> Policy {
    Policy { algorithms: algorithms.to_vec(), ..Policy::default() }
}

#[test]
fn a_proven_key_of_a_type_that_is_not_allowed_is_rejected() {
    let paper = paper(&[(HOST, &[sha256(&ed25519()), sha256(&ecdsa())])]);
    let policy = allowing(&[KeyType::EcdsaP256]);
    assert_eq!(told(&paper, 22, ecdsa(), &policy), ACCEPT);
    assert_eq!(told(&paper, 22, ed25519(), &policy), (true, "algorithm-not-allowed"));
    let verdict = judged(&paper, 22, ed25519(), &policy);
    let Verdict::Reject(reason) = verdict else { panic!("{verdict:?}") };
    assert!(reason.to_string().contains("ssh-ed25519") && reason.to_string().contains("ecdsa-sha2-nistp256"));
    // All three curves share a number; another curve's key is not of the type that is allowed.
    assert_eq!(told(&paper, 22, ecdsa(), &allowing(&[KeyType::EcdsaP384])).1, "algorithm-not-allowed");
}

#[test]
fn only_allowed_types_are_asked_for() {
    let both = evidence(&paper(&[(HOST, &[sha256(&ed25519()), sha256(&ecdsa())])]), 22);
    let types = |policy: &Policy| both.key_types(policy, NOW);
    assert_eq!(types(&Policy::default()).len(), 4, "one, and three curves");
    assert_eq!(types(&allowing(&[KeyType::Rsa, KeyType::EcdsaP384])), [KeyType::EcdsaP384]);
    let none = allowing(&[KeyType::Rsa]);
    assert!(types(&none).is_empty());
    assert_eq!(nothing_vouches(&both, &none, NOW).code(), "algorithm-not-allowed");
    let offers = |names: &[&str], policy: &Policy| {
        nothing_offered(&both, policy, names.iter().map(|n| (*n).to_owned()).collect(), NOW).code()
    };
    let curves = allowing(&[KeyType::EcdsaP256]);
    assert_eq!(offers(&["ssh-ed25519"], &curves), "algorithm-not-allowed");
    assert_eq!(offers(&["ssh-rsa", "rsa-sha2-512"], &curves), "key-type-not-published");
    assert_eq!(offers(&["ssh-rsa", "rsa-sha2-512"], &Policy::default()), "key-type-not-published");
}

#[test]
fn a_key_at_the_host_is_not_enough_where_port_labels_are_required() {
    let required = Policy { port_labels: PortLabels::Required, ..Policy::default() };
    let mut paper = paper(&[(HOST, &[sha256(&ed25519())]), (AT_PORT, &[sha256(&ecdsa())])]);
    assert_eq!(told(&paper, 2222, ecdsa(), &required), ACCEPT);
    assert_eq!(told(&paper, 2222, ed25519(), &Policy::default()), ACCEPT);
    assert_eq!(told(&paper, 2222, ed25519(), &required), (true, "key-type-not-published"));
    assert_eq!(evidence(&paper, 2222).key_types(&required, NOW).len(), 3, "the curves");
    // Nobody answers for port 22: that is no proof of absence.
    assert_eq!(told(&paper, 22, ed25519(), &Policy::default()), ACCEPT);
    assert_eq!(told(&paper, 22, ed25519(), &required), (false, "no-answer"));
    assert!(evidence(&paper, 22).key_types(&required, NOW).is_empty());
    let at_22 = "_22._ssh.host.example.test";
    // Next name and types: nothing between the label and the apex but RRSIG and NSEC.
    let nsec = [name("example.test").wire(), &[0, 6, 0, 0, 0, 0, 0, 3]].concat();
    let denial = paper.zone(ZONE).sign(at_22, RrType::NSEC, &[&nsec]);
    paper.deny(at_22, RrType::SSHFP, crate::proto::message::NOERROR, denial);
    let verdict = judged(&paper, 22, ed25519(), &required);
    assert!(matches!(verdict, Verdict::Unproven(Reason::PortLabelRequired { .. })), "{verdict:?}");
    assert_eq!(code(&verdict), "port-label-required");
    assert_eq!(told(&paper, 22, ed25519(), &Policy::default()), ACCEPT);
}

#[test]
fn an_alias_into_another_zone_is_not_enough_where_one_zone_is_wanted() {
    let same_zone = Policy { aliases: Aliases::SameZone, ..Policy::default() };
    let mut paper = Paper::tree(&[".", "test", ZONE, "other.test"]);
    let key = sha256(&ed25519());
    paper.publish(ZONE, "near.example.test", RrType::SSHFP, &[&key]);
    paper.publish("other.test", "far.other.test", RrType::SSHFP, &[&key]);
    for (target, want) in [("near.example.test", "accept"), ("far.other.test", "alias-leaves-zone")] {
        let alias = paper.zone(ZONE).sign(HOST, RrType::CNAME, &[name(target).wire()]);
        paper.put(HOST, RrType::SSHFP, alias);
        assert_eq!(told(&paper, 22, ed25519(), &same_zone), (false, want), "{target}");
        assert_eq!(told(&paper, 22, ed25519(), &Policy::default()), ACCEPT, "{target}");
    }
    assert!(evidence(&paper, 22).key_types(&same_zone, NOW).is_empty());
    // Out of the zone and back into it is out of the zone.
    let back =
        paper.zone("other.test").sign("far.other.test", RrType::CNAME, &[name("near.example.test").wire()]);
    paper.put("far.other.test", RrType::SSHFP, back);
    assert_eq!(told(&paper, 22, ed25519(), &Policy::default()), ACCEPT);
    assert_eq!(told(&paper, 22, ed25519(), &same_zone), (false, "alias-leaves-zone"));
}

#[test]
fn signatures_that_end_soon_or_are_old_are_not_enough() {
    let paper = paper(&[(HOST, &[sha256(&ed25519())])]);
    let margin = u64::from(MARGIN);
    let left = |least| Policy { min_signature_left: seconds(least), ..Policy::default() };
    assert_eq!(told(&paper, 22, ed25519(), &left(margin)), ACCEPT);
    assert_eq!(told(&paper, 22, ed25519(), &left(margin + 1)), (false, "signature-ends-soon"));
    let age = |most| Policy { max_signature_age: Some(seconds(most)), ..Policy::default() };
    assert_eq!(told(&paper, 22, ed25519(), &age(margin)), ACCEPT);
    assert_eq!(told(&paper, 22, ed25519(), &age(margin - 1)), (false, "signature-too-old"));
    // What does not suffice speaks neither for nor against a key.
    assert_eq!(told(&paper, 22, ecdsa(), &age(margin - 1)), (false, "signature-too-old"));
    assert!(evidence(&paper, 22).key_types(&age(margin - 1), NOW).is_empty());
    assert_eq!(nothing_vouches(&evidence(&paper, 22), &age(0), NOW).code(), "signature-too-old");
}

#[test]
fn the_age_of_signatures_counts_from_the_aliases_to_the_data() {
    let mut paper = paper(&[]);
    let fresh = |rrsig: &mut crate::proto::rr::Rrsig| rrsig.inception = (NOW - 60) as u32;
    let target = name("other.example.test");
    let keys = paper.zone(ZONE).sign_as("other.example.test", RrType::SSHFP, &[&sha256(&ed25519())], fresh);
    paper.put("other.example.test", RrType::SSHFP, keys);
    let hour = Policy { max_signature_age: Some(seconds(3600)), ..Policy::default() };
    // The zones above were signed a day ago; they do not count.
    let alias = paper.zone(ZONE).sign_as(HOST, RrType::CNAME, &[target.wire()], fresh);
    paper.put(HOST, RrType::SSHFP, alias);
    assert_eq!(told(&paper, 22, ed25519(), &hour), ACCEPT);
    let old = paper.zone(ZONE).sign(HOST, RrType::CNAME, &[target.wire()]);
    paper.put(HOST, RrType::SSHFP, old);
    assert_eq!(told(&paper, 22, ed25519(), &Policy::default()), ACCEPT);
    assert_eq!(told(&paper, 22, ed25519(), &hour), (false, "signature-too-old"));
}

#[test]
fn of_two_sets_one_that_suffices_is_enough() {
    let mut paper = paper(&[(HOST, &[sha256(&ed25519())])]);
    let fresh = paper.zone(ZONE).sign_as(AT_PORT, RrType::SSHFP, &[&sha256(&ecdsa())], |rrsig| {
        rrsig.inception = NOW as u32;
    });
    paper.put(AT_PORT, RrType::SSHFP, fresh);
    let hour = Policy { max_signature_age: Some(seconds(3600)), ..Policy::default() };
    assert_eq!(told(&paper, 2222, ecdsa(), &hour), ACCEPT);
    assert_eq!(told(&paper, 2222, ed25519(), &Policy::default()), ACCEPT);
    assert_eq!(told(&paper, 2222, ed25519(), &hour), (true, "key-type-not-published"));
}

#[test]
fn a_host_that_is_passed_is_never_accepted() {
    let pass = Policy { mode: Mode::Pass, ..Policy::default() };
    let paper = paper(&[(HOST, &[sha256(&ed25519())])]);
    assert_eq!(told(&paper, 22, ed25519(), &Policy::default()), ACCEPT);
    for key in [ed25519(), ecdsa()] {
        let verdict = judged(&paper, 22, key, &pass);
        assert!(matches!(verdict, Verdict::Unproven(Reason::Passed { .. })), "{verdict:?}");
    }
    let evidence = evidence(&paper, 22);
    assert!(evidence.key_types(&pass, NOW).is_empty(), "nothing is sent to it");
    assert_eq!(nothing_vouches(&evidence, &pass, NOW).code(), "pass");
}

#[test]
fn to_require_the_host_key_is_what_happens_anyway() {
    let paper = paper(&[(HOST, &[sha256(&ed25519())])]);
    for require in [Require::Either, Require::Hostkey] {
        let policy = Policy { require, ..Policy::default() };
        assert_eq!(told(&paper, 22, ed25519(), &policy), ACCEPT);
        assert_eq!(told(&paper, 22, ecdsa(), &policy), (true, "key-type-not-published"));
    }
}

#[test]
fn a_policy_only_ever_takes_accepts_away() {
    use proptest::prelude::*;
    let mut aliased = Paper::tree(&[".", "test", ZONE, "other.test"]);
    aliased.publish("other.test", "far.other.test", RrType::SSHFP, &[&sha256(&ed25519())]);
    let alias = aliased.zone(ZONE).sign(HOST, RrType::CNAME, &[name("far.other.test").wire()]);
    aliased.put(HOST, RrType::SSHFP, alias);
    let evidences = [
        evidence(&paper(&[(HOST, &[sha256(&ed25519()), sha256(&ecdsa())])]), 2222),
        evidence(&paper(&[(HOST, &[sha256(&ed25519())]), (AT_PORT, &[sha256(&ecdsa())])]), 2222),
        evidence(&paper(&[]), 2222),
        evidence(&aliased, 2222),
    ];
    let margin = u64::from(MARGIN);
    let policies = (
        any::<[bool; 4]>(),
        proptest::sample::subsequence(KeyType::ALL.to_vec(), 1..=5),
        prop_oneof![Just(0), 0..2 * margin],
        proptest::option::of(0..2 * margin),
    );
    proptest!(|((words, algorithms, left, age) in policies, at in NOW - 10..NOW + margin + 10)| {
        let policy = Policy {
            mode: if words[0] && words[1] { Mode::Pass } else { Mode::Verify },
            require: if words[1] { Require::Hostkey } else { Require::Either },
            port_labels: if words[2] { PortLabels::Required } else { PortLabels::Allowed },
            aliases: if words[3] { Aliases::SameZone } else { Aliases::Any },
            algorithms,
            ca_at: None,
            revocation: Revocation::Ca,
            min_signature_left: seconds(left),
            max_signature_age: age.map(seconds),
            outage_grace: seconds(left),
            ..Policy::default()
        };
        for evidence in &evidences {
            let types = evidence.key_types(&policy, at);
            for key in [ed25519(), ecdsa()] {
                let presented = Presented::Plain(key.clone());
                let freely = decide(evidence, &presented, None, &Policy::default(), at);
                match decide(evidence, &presented, None, &policy, at) {
                    Verdict::Accept(_) => {
                        prop_assert!(matches!(freely, Verdict::Accept(_)), "{policy:?}");
                        prop_assert!(types.contains(&key.key_type()), "what is accepted is asked for");
                    }
                    Verdict::Reject(_) => prop_assert!(!types.is_empty() || policy.algorithms.len() < 5),
                    Verdict::Unproven(_) => {}
                }
            }
        }
    });
}
