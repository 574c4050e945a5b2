//! The chain, link by link: each forgery beside its honest twin.

mod alias;
mod delegation;
mod limits;
mod properties;
mod sections;
mod vector;

use super::paper::{MARGIN, NOW, Paper, TTL, Zone, name, question, record, rrsig_record};
use super::{Budget, ChainError, Halt, Material, Prover};
use crate::proto::message::Question;
use crate::proto::rr::{Record, RrType, Rrsig};

const HOST: &str = "host.example.test";
const ONE: &[u8] = b"\x04\x02one";
const TWO: &[u8] = b"\x04\x02two";

/// Root, TLD and a zone with one host of two records.
fn paper() -> Paper {
    let mut paper = Paper::tree(&[".", "test", "example.test"]);
    paper.publish("example.test", HOST, RrType::SSHFP, &[ONE, TWO]);
    paper
}

/// What becomes of [`HOST`] if its answer is `records`.
fn outcome(records: Vec<Record>) -> Result<(), &'static str> {
    let mut paper = paper();
    paper.put(HOST, RrType::SSHFP, records);
    proven(&paper)
}

fn proven(paper: &Paper) -> Result<(), &'static str> {
    paper.prove(HOST, RrType::SSHFP).map(|_| ()).map_err(|error| error.code())
}

fn good() -> Vec<Record> {
    paper().zone("example.test").sign(HOST, RrType::SSHFP, &[ONE, TWO])
}

/// The signature among `records`, with `change` done to its octets afterwards.
fn forged(mut records: Vec<Record>, change: impl FnOnce(&mut Rrsig)) -> Vec<Record> {
    let last = records.pop().unwrap();
    let mut rrsig = Rrsig::from_rdata(&last.rdata).unwrap();
    change(&mut rrsig);
    records.push(rrsig_record(HOST, &rrsig));
    records
}

#[test]
fn three_levels_prove() {
    let answer = paper().prove(HOST, RrType::SSHFP).unwrap();
    let zones: Vec<String> = answer.data().zones().map(|zone| zone.name().to_string()).collect();
    assert_eq!(zones, ["example.test", "test", "."]);
    assert_eq!(answer.data().set().rdatas().collect::<Vec<_>>(), [ONE, TWO]);
    assert_eq!(answer.valid_until(), NOW + u64::from(TTL));
    assert_eq!(answer.expires(), NOW + u64::from(MARGIN));
    assert_eq!(answer.asked(), &question(HOST, RrType::SSHFP));
}

#[test]
fn need_names_exactly_what_is_missing() {
    let run = paper().run(HOST, RrType::SSHFP);
    let wanted = [
        (HOST, RrType::SSHFP),
        ("example.test", RrType::DS),
        ("example.test", RrType::DNSKEY),
        ("test", RrType::DS),
        ("test", RrType::DNSKEY),
        (".", RrType::DNSKEY),
    ];
    let wanted: Vec<Question> = wanted.map(|(owner, rtype)| question(owner, rtype)).into();
    assert_eq!(run.asked, wanted);
    // Host, two DS sets and three DNSKEY sets, each once.
    assert_eq!(run.tried, 6);
    let mut prover = Prover::new(paper().anchors, NOW);
    let need = prover.answer(&wanted[0], &Material::default(), &mut Budget::default());
    assert_eq!(need, Err(Halt::Need(vec![wanted[0].clone()])));
}

#[test]
fn the_same_set_again_costs_no_signature_and_another_set_is_no_proof() {
    let (mut prover, mut budget) = (Prover::new(paper().anchors, NOW), Budget::default());
    let paper = paper();
    let mut material = Material::default();
    let reply = |answer| crate::proto::message::Response { answer, ..Default::default() };
    for (zone, above) in [("example.test", Some("test")), ("test", Some(".")), (".", None)] {
        material.add(&question(zone, RrType::DNSKEY), &reply(paper.zone(zone).keys_and(&[])));
        if let Some(above) = above {
            material.add(&question(zone, RrType::DS), &reply(paper.zone(above).ds(paper.zone(zone))));
        }
    }
    let sets = |records: &[Record]| crate::proto::rr::RrSet::collect(records).remove(0);
    let honest = sets(&good());
    assert!(prover.prove(&honest, &material, &mut budget).is_ok());
    let spent = budget.tried();
    assert!(prover.prove(&honest, &material, &mut budget).is_ok());
    assert_eq!(budget.tried(), spent);
    let mut records = good();
    records.push(record(HOST, RrType::SSHFP, b"\x04\x02evil"));
    assert!(prover.prove(&sets(&records), &material, &mut budget).is_err());
    assert_eq!(budget.tried(), spent + 1);
}

#[test]
fn records_are_all_and_only_those_that_were_signed() {
    assert_eq!(outcome(good()), Ok(()));
    let mut doubled = good();
    doubled.insert(0, doubled[0].clone());
    doubled.reverse();
    assert_eq!(outcome(doubled), Ok(()), "order and duplicates mean nothing");
    let mut flipped = good();
    flipped[0].rdata[3] ^= 1;
    assert_eq!(outcome(flipped), Err("bad-signature"));
    let mut added = good();
    added.insert(0, record(HOST, RrType::SSHFP, b"\x04\x02evil"));
    assert_eq!(outcome(added), Err("bad-signature"));
    let mut removed = good();
    removed.remove(0);
    assert_eq!(outcome(removed), Err("bad-signature"));
    let mut stripped = good();
    stripped.pop();
    assert_eq!(outcome(stripped), Err("no-signature"));
}

#[test]
fn a_signature_is_good_for_its_own_owner_and_type() {
    let zone = Zone::new("example.test");
    let moved = |owner: &str, rtype| {
        let mut records = zone.sign(owner, rtype, &[ONE, TWO]);
        for record in &mut records {
            record.owner = name(HOST);
        }
        records
    };
    assert_eq!(outcome(moved(HOST, RrType::SSHFP)), Ok(()));
    assert_eq!(outcome(moved("mail.example.test", RrType::SSHFP)), Err("bad-signature"));
    assert_eq!(outcome(moved("Host.Example.Test", RrType::SSHFP)), Ok(()), "case means nothing");
    let other_type = moved(HOST, RrType::TXT);
    let mut mixed = good();
    mixed.pop();
    mixed.push(other_type.last().unwrap().clone());
    assert_eq!(outcome(mixed.clone()), Err("no-signature"), "it covers TXT");
    let claims = forged(mixed, |rrsig| rrsig.covered = RrType::SSHFP);
    assert_eq!(outcome(claims), Err("bad-signature"), "and claims to cover SSHFP");
}

#[test]
fn the_window_of_a_signature_includes_its_ends() {
    let now = NOW as u32;
    for (inception, expiration, want) in [
        (now, now, Ok(())),
        (now - 1, now + 1, Ok(())),
        (now - 2, now - 1, Err("signature-expired")),
        (now + 1, now + 2, Err("signature-not-yet-valid")),
    ] {
        let records = Zone::new("example.test").sign_as(HOST, RrType::SSHFP, &[ONE], |rrsig| {
            (rrsig.inception, rrsig.expiration) = (inception, expiration);
        });
        assert_eq!(outcome(records), want, "{inception} to {expiration}");
    }
    let late = Zone::new("example.test").sign_as(HOST, RrType::SSHFP, &[ONE], |r| r.expiration = now - 340);
    let mut paper = paper();
    paper.put(HOST, RrType::SSHFP, late);
    let error = paper.prove(HOST, RrType::SSHFP).unwrap_err();
    assert_eq!(error.to_string(), "RRSIG over host.example.test SSHFP by example.test expired 5 minutes ago");
}

#[test]
fn times_go_on_across_the_wrap_of_32_bits() {
    const WRAP: u64 = 1 << 32;
    for now in [WRAP - 1, WRAP, WRAP + 1, WRAP + u64::from(MARGIN), 2 * WRAP + 7] {
        let case = |expiration: Option<u64>| {
            let mut paper = Paper::tree_at(now, &[".", "test", "example.test"]);
            let records = paper.zone("example.test").sign_as(HOST, RrType::SSHFP, &[ONE], |rrsig| {
                rrsig.expiration = expiration.map_or(rrsig.expiration, |at| at as u32);
            });
            paper.put(HOST, RrType::SSHFP, records);
            paper.prove(HOST, RrType::SSHFP)
        };
        assert_eq!(case(None).unwrap().expires(), now + u64::from(MARGIN));
        assert_eq!(case(Some(now)).unwrap().valid_until(), now);
        assert_eq!(case(Some(now - 1)).unwrap_err().code(), "signature-expired");
    }
    // Each end is near enough by itself, and the end lies before the beginning.
    const THIRD: u32 = 3 << 29;
    let longest = |more: u32| {
        let records = Zone::new("example.test").sign_as(HOST, RrType::SSHFP, &[ONE], |rrsig| {
            rrsig.inception = (NOW as u32).wrapping_sub(THIRD);
            rrsig.expiration = (NOW as u32).wrapping_add((1 << 31) - 1 - THIRD + more);
        });
        outcome(records)
    };
    assert_eq!((longest(0), longest(1)), (Ok(()), Err("bad-signature")));
    // Half the circle away is the past.
    let records = Zone::new("example.test")
        .sign_as(HOST, RrType::SSHFP, &[ONE], |r| r.expiration = (NOW as u32).wrapping_add(1 << 31));
    assert_eq!(outcome(records), Err("signature-expired"));
}

#[test]
fn the_end_is_that_of_the_weakest_link() {
    let mut paper = paper();
    let soon = NOW as u32 + 60;
    let ds = paper.zone("test").key.ds(&name("test"), 2);
    let ds = paper.zone(".").sign_as("test", RrType::DS, &[&ds], |rrsig| rrsig.expiration = soon);
    paper.put("test", RrType::DS, ds);
    let answer = paper.prove(HOST, RrType::SSHFP).unwrap();
    assert_eq!((answer.expires(), answer.valid_until()), (NOW + 60, NOW + 60));
    let mut short = good();
    short[0].ttl = 5;
    paper.put(HOST, RrType::SSHFP, short);
    let answer = paper.prove(HOST, RrType::SSHFP).unwrap();
    assert_eq!((answer.expires(), answer.valid_until()), (NOW + 60, NOW + 5));
    let mut long = good();
    long.iter_mut().for_each(|record| record.ttl = i32::MAX as u32);
    paper.put(HOST, RrType::SSHFP, long);
    let fresh = paper.prove(HOST, RrType::SSHFP).unwrap();
    assert_eq!(fresh.valid_until(), NOW + 60, "a TTL stretched on the way is that of the signature");
}

#[test]
fn labels_tell_of_wildcards() {
    let zone = Zone::new("example.test");
    let with = |labels| zone.sign_as(HOST, RrType::SSHFP, &[ONE], |rrsig| rrsig.labels = labels);
    assert_eq!(outcome(with(3)), Ok(()));
    assert_eq!(outcome(with(2)), Err("wildcard"), "a good signature of *.example.test");
    assert_eq!(outcome(with(0)), Err("wildcard"));
    assert_eq!(outcome(with(4)), Err("bad-signature"), "more labels than the name has");
    assert_eq!(outcome(with(255)), Err("bad-signature"));
    let hidden = forged(with(2), |rrsig| rrsig.labels = 3);
    assert_eq!(outcome(hidden), Err("bad-signature"), "the label count is signed");
    // The wildcard itself is a name like any other.
    let mut paper = paper();
    paper.publish("example.test", "*.example.test", RrType::TXT, &[b"\x01x"]);
    assert!(paper.prove("*.example.test", RrType::TXT).is_ok());
    let error =
        ChainError::Wildcard { owner: name(HOST), rtype: RrType::SSHFP, wildcard: name("*.example.test") };
    paper.put(HOST, RrType::SSHFP, with(2));
    assert_eq!(paper.prove(HOST, RrType::SSHFP), Err(error));
}

#[test]
fn a_signer_has_say_only_from_above_and_from_within_the_chain() {
    let case = |signer: &str, key_of: &str| {
        let zone = Zone { name: name(signer), ..Zone::new(key_of) };
        outcome(zone.sign(HOST, RrType::SSHFP, &[ONE]))
    };
    assert_eq!(case("example.test", "example.test"), Ok(()));
    assert_eq!(case("test", "test"), Ok(()), "whoever is above can speak for what is below");
    assert_eq!(case(".", "."), Ok(()));
    assert_eq!(case("sub.host.example.test", "example.test"), Err("foreign-signer"), "below the owner");
    assert_eq!(case("other.test", "other.test"), Err("foreign-signer"), "a sibling");
    assert_eq!(case("ample.test", "ample.test"), Err("foreign-signer"), "a suffix of a label is no zone");
    assert_eq!(case("example.test", "other.test"), Err("no-such-key"), "a key of another zone");
    assert_eq!(case(HOST, HOST), Err("no-answer"), "a zone that nobody delegated");
}

#[test]
fn broken_and_weak_algorithms_prove_nothing() {
    for algorithm in [1, 3, 5, 6, 7, 12, 17, 23, 252, 253, 254, 255, 0] {
        let records =
            Zone::new("example.test").sign_as(HOST, RrType::SSHFP, &[ONE], |r| r.algorithm = algorithm);
        assert_eq!(outcome(records), Err("signature-algorithm"), "{algorithm}");
    }
    // One that is known, but is not the key's.
    let records = Zone::new("example.test").sign_as(HOST, RrType::SSHFP, &[ONE], |r| r.algorithm = 13);
    assert_eq!(outcome(records), Err("no-such-key"));
    assert_eq!(outcome(good()), Ok(()));
}

#[test]
fn every_field_of_a_signature_is_signed() {
    assert_eq!(outcome(forged(good(), |_| {})), Ok(()));
    type Change = fn(&mut Rrsig);
    let cases: [(Change, &str); 6] = [
        (|r| r.original_ttl += 1, "bad-signature"),
        (|r| r.expiration += 1, "bad-signature"),
        (|r| r.inception -= 1, "bad-signature"),
        (|r| r.key_tag ^= 1, "no-such-key"),
        (|r| r.signature = Box::new([]), "bad-signature"),
        (|r| r.signature[63] ^= 0x80, "bad-signature"),
    ];
    for (at, (change, want)) in cases.into_iter().enumerate() {
        assert_eq!(outcome(forged(good(), change)), Err(want), "case {at}");
    }
}
