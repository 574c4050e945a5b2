//! What holds for any policy, any records and any damage.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

use super::*;
use crate::proto::bundle::Bundle;
use crate::proto::chain::paper::{TTL, name, question};
use crate::proto::chain::{Answer, Prover};
use crate::proto::denial::Unproven;
use crate::proto::policy::{Aliases, Posture, Require, StrictKex};

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

fn policy() -> impl Strategy<Value = Policy> {
    let span = || prop_oneof![Just(0), Just(3600), 0..2 * u64::from(MARGIN)].prop_map(Duration::from_secs);
    (
        prop_oneof![4 => Just(Mode::Verify), 1 => Just(Mode::Pass)],
        prop_oneof![Just(Require::Either), Just(Require::Hostkey)],
        subsequence(KeyType::ALL.to_vec(), 1..=KeyType::ALL.len()),
        prop_oneof![Just(PortLabels::Allowed), Just(PortLabels::Required)],
        prop_oneof![Just(Aliases::Any), Just(Aliases::SameZone)],
        span(),
        proptest::option::of(span()),
        span(),
        prop_oneof![4 => Just(StrictKex::Any), 1 => Just(StrictKex::Required)],
    )
        .prop_map(
            |(mode, require, algorithms, port_labels, aliases, left, age, outage_grace, strict_kex)| Policy {
                mode,
                require,
                algorithms,
                port_labels,
                aliases,
                ca_at: None,
                revocation: Revocation::Ca,
                min_signature_left: left,
                max_signature_age: age,
                outage_grace,
                posture: Posture { strict_kex, ..Posture::default() },
                ..Policy::default()
            },
        )
}

/// Records that may be published: of the two keys, of SHA-1, of an unknown type.
fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let sha1 = [&[4, 1][..], &[0; 20]].concat();
    let unknown = [&[6, 2][..], &[0; 32]].concat();
    let other = [&[4, 2][..], &[0; 32]].concat();
    subsequence(vec![sha256(&ed25519()), sha256(&ecdsa()), sha1, unknown, other], 0..=3)
}

/// What is published where, and whether the host's own records stand behind an alias into another zone.
fn world(at_host: &[Vec<u8>], at_port: &[Vec<u8>], aliased: bool) -> Paper {
    let mut paper = Paper::tree(&[".", "test", ZONE, "other.test"]);
    let mut publish = |zone: &str, owner: &str, rdatas: &[Vec<u8>]| {
        let rdatas: Vec<&[u8]> = rdatas.iter().map(Vec::as_slice).collect();
        if !rdatas.is_empty() {
            paper.publish(zone, owner, RrType::SSHFP, &rdatas);
        }
    };
    publish(ZONE, AT_PORT, at_port);
    match aliased {
        false => publish(ZONE, HOST, at_host),
        true => {
            publish("other.test", "host.other.test", at_host);
            let alias = paper.zone(ZONE).sign(HOST, RrType::CNAME, &[name("host.other.test").wire()]);
            paper.put(HOST, RrType::SSHFP, alias);
        }
    }
    paper
}

proptest! {
    #![proptest_config(cases(64))]

    /// A policy only ever takes accepts away, and what is accepted is published where it counts.
    #[test]
    fn an_accept_under_a_policy_is_one_without(
        policies in vec(policy(), 8), at_host in records(), at_port in records(), aliased: bool,
        later in 0..2 * u64::from(MARGIN),
    ) {
        let evidence = evidence(&world(&at_host, &at_port, aliased), 2222);
        let now = NOW + later;
        let plain = Policy::default();
        for (policy, key) in policies.iter().flat_map(|policy| [(policy, ed25519()), (policy, ecdsa())]) {
            let presented = Presented::Plain(key.clone());
            let published = at_host.contains(&sha256(&key)) || at_port.contains(&sha256(&key));
            let by_default = decide(&evidence, &presented, None, &plain, now);
            if let Verdict::Accept(anchored) = &by_default {
                prop_assert!(published && now <= NOW + u64::from(MARGIN));
                prop_assert_eq!(anchored.key_sha256(), &key.sha256());
            }
            if let Verdict::Accept(anchored) = decide(&evidence, &presented, None, policy, now) {
                prop_assert!(matches!(&by_default, Verdict::Accept(_)), "{:?}", policy);
                prop_assert!(policy.mode == Mode::Verify && policy.allows(key.key_type()));
                prop_assert!(!policy.posture.asks(), "nobody has seen the handshake");
                prop_assert_eq!(anchored.key_sha256(), &key.sha256());
                let label = anchored.owner().to_string() == AT_PORT;
                prop_assert!(label || policy.port_labels == PortLabels::Allowed);
                prop_assert!(label || !aliased || policy.aliases == Aliases::Any);
            }
            let asked_for = evidence.key_types(policy, now);
            prop_assert!(asked_for.iter().all(|t| evidence.key_types(&plain, now).contains(t)));
        }
    }

    /// No accept without what proves it: each part of the evidence taken away takes its accept with it.
    #[test]
    fn an_accept_goes_with_the_proof_that_made_it(at_host in records(), at_port in records(), aliased: bool) {
        let whole = evidence(&world(&at_host, &at_port, aliased), 2222);
        let without_host = evidence(&world(&[], &at_port, false), 2222);
        let without_port = evidence(&world(&at_host, &[], aliased), 2222);
        for key in [ed25519(), ecdsa()] {
            let accepts = |evidence: &Evidence| {
                let presented = Presented::Plain(key.clone());
                matches!(decide(evidence, &presented, None, &Policy::default(), NOW), Verdict::Accept(_))
            };
            let (by_host, by_port) = (at_host.contains(&sha256(&key)), at_port.contains(&sha256(&key)));
            prop_assert_eq!(accepts(&whole), by_host || by_port);
            prop_assert_eq!(accepts(&without_host), by_port);
            prop_assert_eq!(accepts(&without_port), by_host);
        }
    }
}

/// What a bundle proves of the host.
fn proven_by(text: &str, paper: &Paper) -> Option<Answer> {
    let mut prover = Prover::new(paper.anchors.clone(), NOW);
    Bundle::from_text(text).ok()?.prove(&question(HOST, RrType::SSHFP), &mut prover).ok()
}

/// The verdicts on the key that is published and on two that are not.
fn judged_by(proven: Option<Answer>) -> [bool; 3] {
    let unanswered =
        |owner: &str| Unproven::unanswered(question(owner, RrType::SSHFP), "it is not in the bundle");
    let proven = proven.ok_or_else(|| unanswered(HOST));
    let evidence = Evidence::new(host(HOST), 2222, proven, Err(unanswered(AT_PORT)));
    [ed25519(), flipped_key(), ecdsa()].map(|key| {
        matches!(decide(&evidence, &Presented::Plain(key), None, &Policy::default(), NOW), Verdict::Accept(_))
    })
}

/// The published key with one bit changed.
fn flipped_key() -> HostKey {
    let mut blob = ed25519().blob().to_vec();
    *blob.last_mut().unwrap() ^= 1;
    HostKey::from_blob(&blob).unwrap()
}

/// Every bit in turn: what still proves is the very record until the very moment, and no other key has a verdict. A
/// file with another key's record is the nearest that a forger comes, and nobody signed it.
#[test]
fn no_flipped_bit_in_a_bundle_gives_another_accepted_key() {
    let record = sha256(&ed25519());
    let paper = paper(&[(HOST, std::slice::from_ref(&record))]);
    let answer = paper.prove(HOST, RrType::SSHFP).unwrap();
    let text = Bundle::new(answer.entries(NOW), NOW).to_text();
    assert_eq!(judged_by(proven_by(&text, &paper)), [true, false, false]);
    let base64 = |rdata: &[u8]| data_encoding::BASE64.encode(rdata);
    for key in [flipped_key(), ecdsa()] {
        let forged = text.replace(&base64(&record), &base64(&sha256(&key)));
        assert_ne!(forged, text);
        assert_eq!(judged_by(proven_by(&forged, &paper)), [false; 3]);
    }
    for bit in 0..text.len() * 8 {
        let mut flipped = text.clone().into_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(flipped) = String::from_utf8(flipped) else { continue };
        let Some(proven) = proven_by(&flipped, &paper) else { continue };
        assert_eq!(proven.data().set().rdatas().collect::<Vec<_>>(), [&record], "bit {bit}");
        assert_eq!(proven.expires(), NOW + u64::from(MARGIN), "bit {bit}");
        assert_eq!(judged_by(Some(proven)), [true, false, false], "bit {bit}");
    }
}

proptest! {
    #![proptest_config(cases(64))]

    /// Lines left out, doubled, put elsewhere, mixed with those of another host's proof, and bits flipped.
    #[test]
    fn no_bundle_made_of_parts_gives_another_key(
        parts in vec(any::<Index>(), 0..16), flips in vec((any::<Index>(), 0..8u8), 0..3)
    ) {
        let paper = paper(&[
            (HOST, &[sha256(&ed25519())]), ("other.example.test", &[sha256(&ecdsa())]), (AT_PORT, &[sha256(&ecdsa())]),
        ]);
        let proofs = [HOST, "other.example.test", AT_PORT].map(|owner| paper.prove(owner, RrType::SSHFP).unwrap());
        let text = Bundle::new(proofs.iter().flat_map(|answer| answer.entries(NOW)), NOW).to_text();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        let mut chosen: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for part in &parts {
            let line = part.get(&lines);
            match chosen.iter().position(|kept| kept == line) {
                Some(at) => drop(chosen.remove(at)),
                // The record of one host under the name of the other.
                None => chosen.push(line.replace("other.example.test", HOST)),
            }
        }
        for (at, bit) in flips {
            if let Some(line) = chosen.first_mut() {
                let mut octets = std::mem::take(line).into_bytes();
                let at = at.index(octets.len());
                octets[at] ^= 1 << bit;
                *line = String::from_utf8_lossy(&octets).into_owned();
            }
        }
        let header = format!(
            "{{\"format\":\"sshanchor-bundle\",\"version\":1,\"made\":{NOW},\"entries\":{}}}\n", chosen.len()
        );
        let [_, others @ ..] = judged_by(proven_by(&(header + &chosen.join("\n")), &paper));
        prop_assert_eq!(others, [false; 2]);
    }

    /// The witness never says that it holds for longer than the proof's TTLs and signatures.
    #[test]
    fn a_witness_ends_with_its_proof(ttl in 0..2 * TTL, ends in 0..MARGIN) {
        let mut paper = paper(&[]);
        let mut records = paper.zone(ZONE).sign_as(HOST, RrType::SSHFP, &[&sha256(&ed25519())], |rrsig| {
            rrsig.expiration = NOW as u32 + ends;
        });
        records.iter_mut().for_each(|record| record.ttl = ttl);
        paper.put(HOST, RrType::SSHFP, records);
        let verdict = decide(&evidence(&paper, 22), &Presented::Plain(ed25519()), None, &Policy::default(), NOW);
        let Verdict::Accept(anchored) = verdict else { panic!("{verdict:?}") };
        prop_assert_eq!(anchored.valid_until(), NOW + u64::from(ttl.min(TTL).min(ends)));
    }
}
