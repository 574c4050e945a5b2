//! What holds for any way to spoil a chain, and for any order in which its parts come.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::proto::bundle::{Bundle, prove_stored};
use crate::proto::chain::paper::Key;
use crate::proto::chain::{Anchors, Answer, Entry};
use crate::proto::rr::Origin;

const ALIAS: &str = "www.other.test";

/// The host of [`paper`], with an alias to it in another zone.
fn aliased() -> Paper {
    let mut paper = Paper::tree(&[".", "test", "example.test", "other.test"]);
    paper.publish("example.test", HOST, RrType::SSHFP, &[ONE, TWO]);
    let alias = paper.zone("other.test").sign(ALIAS, RrType::CNAME, &[name(HOST).wire()]);
    paper.put(ALIAS, RrType::SSHFP, alias);
    paper
}

/// What of a proof is not to differ.
fn told(answer: &Answer) -> (Vec<Vec<u8>>, u64, u64) {
    let rdatas = answer.data().set().rdatas().map(<[u8]>::to_vec).collect();
    (rdatas, answer.expires(), answer.valid_until())
}

fn cases(count: u32) -> ProptestConfig {
    // Each case starts from the same paper, so that a failing one needs no file to be found again.
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

/// Something that is done to the answer section of one reply.
#[derive(Debug, Clone)]
enum Harm {
    Silence,
    Drop(Index),
    Flip(Index, Index, u8),
    /// Another reply's records in place of its own.
    Replay(Index),
    /// The whole set signed by a key of somebody else, in the name of the zone.
    Forge,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        Just(Harm::Silence),
        any::<Index>().prop_map(Harm::Drop),
        (any::<Index>(), any::<Index>(), 0..8u8)
            .prop_map(|(record, octet, bit)| Harm::Flip(record, octet, bit)),
        any::<Index>().prop_map(Harm::Replay),
        Just(Harm::Forge),
    ]
}

/// Does `harm` to one of the replies, if there is something left of it; whether it is another reply now.
fn spoil(paper: &mut Paper, link: &Index, harm: &Harm) -> bool {
    let (asked, response) = link.get(paper.replies()).clone();
    let owner = asked.name.to_string();
    let mut records = response.answer.clone();
    let signed = records.last().and_then(|last| Rrsig::from_rdata(&last.rdata));
    let gone = match harm {
        _ if records.is_empty() => false,
        Harm::Silence => {
            paper.silence(&owner, asked.rtype);
            return true;
        }
        Harm::Drop(record) => {
            records.remove(record.index(records.len()));
            true
        }
        Harm::Flip(record, octet, bit) => {
            let record = record.get_mut(&mut records);
            let octet = octet.index(record.rdata.len());
            // Names are signed in lower case (RFC 4034 section 6.2): in capitals they are the same.
            let names = match (record.rtype, Rrsig::from_rdata(&record.rdata)) {
                (RrType::CNAME, _) => 0..record.rdata.len(),
                (RrType::RRSIG, Some(rrsig)) => 18..18 + rrsig.signer.wire().len(),
                _ => 0..0,
            };
            let is_same = *bit == 5 && names.contains(&octet) && record.rdata[octet].is_ascii_alphabetic();
            record.rdata[octet] ^= 1 << bit;
            !is_same
        }
        Harm::Replay(other) => {
            records = other.get(paper.replies()).1.answer.clone();
            records != response.answer
        }
        Harm::Forge => {
            let Some(signed) = signed else { return false };
            let zone = Zone::new(&signed.signer.to_string());
            let forger = Zone { key: Key::ed25519("of somebody else"), ..zone };
            let data = records.iter().filter(|record| record.rtype != RrType::RRSIG);
            let rdatas: Vec<&[u8]> = data.map(|record| &*record.rdata).collect();
            let honest = |rrsig: &mut Rrsig| rrsig.key_tag = signed.key_tag;
            records = forger.sign_as(&records[0].owner.to_string(), signed.covered, &rdatas, honest);
            true
        }
    };
    paper.put(&owner, asked.rtype, records);
    gone
}

fn shuffled(count: usize) -> impl Strategy<Value = Vec<usize>> {
    Just((0..count).collect::<Vec<_>>()).prop_shuffle()
}

/// Root, TLD, two zones, the host and its alias: a reply each for keys, and for DS sets but the root's.
const REPLIES: usize = 4 + 3 + 2;

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_chain_with_a_link_spoilt_proves_nothing(link: Index, harm in harm()) {
        let mut paper = aliased();
        prop_assert_eq!(paper.replies().len(), REPLIES);
        if spoil(&mut paper, &link, &harm) {
            prop_assert!(paper.prove(ALIAS, RrType::SSHFP).is_err());
        }
    }

    /// Even by several that are spoilt together, and of each other's parts.
    #[test]
    fn a_chain_that_was_spoilt_never_proves_anything_else(harms in vec((any::<Index>(), harm()), 1..5)) {
        let mut paper = aliased();
        for (link, harm) in &harms {
            spoil(&mut paper, link, harm);
        }
        if let Ok(answer) = paper.prove(ALIAS, RrType::SSHFP) {
            prop_assert_eq!(told(&answer), told(&aliased().prove(ALIAS, RrType::SSHFP).unwrap()));
        }
    }

    #[test]
    fn without_its_very_anchor_nothing_is_proven(octet in any::<Index>(), bit in 0..8u8, elsewhere in "[a-z]{1,8}") {
        let mut paper = aliased();
        let root = paper.zone(".");
        let mut ds = root.key.ds(&root.name, 2);
        let digest = 4 + octet.index(32);
        ds[digest] ^= 1 << bit;
        let line = |owner: &str, rdata: &[u8]| {
            format!("{owner} DS {}", crate::proto::rr::presentation(RrType::DS, rdata))
        };
        paper.anchors = Anchors::from_text(&line(".", &ds)).unwrap();
        prop_assert!(paper.prove(ALIAS, RrType::SSHFP).is_err());
        ds[digest] ^= 1 << bit;
        let here = format!("{elsewhere}.example.test");
        prop_assume!(here != HOST);
        paper.anchors = Anchors::from_text(&line(&here, &ds)).unwrap();
        prop_assert_eq!(paper.prove(ALIAS, RrType::SSHFP).unwrap_err().code(), "no-anchor");
    }

    /// Order, duplicates, and records beside the point change nothing.
    #[test]
    fn a_proof_does_not_depend_on_how_a_reply_is_arranged(
        orders in vec(vec(any::<Index>(), 0..6), REPLIES),
        extra in vec(("(host\\.|zz\\.)?(example|other|com)(\\.test)?", prop_oneof![Just(1u16), Just(16), Just(47)]), 0..4),
    ) {
        let honest = aliased();
        let mut paper = aliased();
        for ((asked, response), order) in honest.replies().iter().zip(&orders) {
            let mut records = response.answer.clone();
            records.extend(extra.iter().map(|(owner, rtype)| record(owner, RrType(*rtype), b"\x01a\x00")));
            for index in order {
                let twice = index.get(&records).clone();
                let at = index.index(records.len());
                records.insert(records.len() - at, twice);
                records.swap(0, at);
            }
            records.reverse();
            paper.put_beside(&asked.name.to_string(), asked.rtype, records.clone(), records);
        }
        let answer = paper.prove(ALIAS, RrType::SSHFP).unwrap();
        prop_assert_eq!(&answer, &honest.prove(ALIAS, RrType::SSHFP).unwrap());
    }

    /// Replies come in any order, and the proof is tried after each: it waits for all, and is the same.
    #[test]
    fn a_proof_does_not_depend_on_which_reply_comes_first(order in shuffled(REPLIES)) {
        let paper = aliased();
        let asked = question(ALIAS, RrType::SSHFP);
        let (mut prover, mut material) = (Prover::new(paper.anchors.clone(), NOW), Material::default());
        let mut budget = Budget::default();
        for (count, at) in order.iter().enumerate() {
            let (question, response) = &paper.replies()[*at];
            material.add(question, response);
            match prover.answer(&asked, &material, &mut budget) {
                Ok(answer) => {
                    prop_assert_eq!(count + 1, REPLIES);
                    prop_assert_eq!(answer, paper.prove(ALIAS, RrType::SSHFP).unwrap());
                }
                Err(Halt::Need(_)) => prop_assert!(count + 1 < REPLIES),
                Err(Halt::Failed(error)) => prop_assert!(false, "{}", error),
            }
        }
        // Nothing was verified twice: two sets, four DNSKEY sets, three DS sets.
        prop_assert_eq!(budget.tried(), REPLIES as u32);
    }
}

/// How long one link holds: TTL on the wire, TTL as signed, and the end of its signature from now, in seconds.
type Times = (u32, u32, u32);

/// [`paper`], whose links hold for these times: the host, then keys and DS set of each zone but the root's DS.
fn timed(times: &[Times]) -> Paper {
    let mut paper = paper();
    let zones = [".", "test", "example.test"];
    let mut links = vec![("example.test", HOST.to_owned(), RrType::SSHFP, vec![ONE.to_vec()])];
    for (at, zone) in zones.iter().enumerate() {
        let key = &paper.zone(zone).key;
        links.push((*zone, (*zone).to_owned(), RrType::DNSKEY, vec![key.rdata()]));
        if let Some(parent) = at.checked_sub(1) {
            links.push((zones[parent], (*zone).to_owned(), RrType::DS, vec![key.ds(&name(zone), 2)]));
        }
    }
    assert_eq!(links.len(), times.len());
    for ((zone, owner, rtype, rdatas), (ttl, signed, ends)) in links.into_iter().zip(times) {
        let rdatas: Vec<&[u8]> = rdatas.iter().map(Vec::as_slice).collect();
        let mut records = paper.zone(zone).sign_as(&owner, rtype, &rdatas, |rrsig| {
            rrsig.original_ttl = *signed;
            rrsig.expiration = NOW as u32 + ends;
        });
        records.iter_mut().for_each(|record| record.ttl = *ttl);
        paper.put(&owner, rtype, records);
    }
    paper
}

fn least(times: &[Times], of: impl Fn(&Times) -> u32) -> u64 {
    times.iter().map(of).min().unwrap().into()
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_proof_holds_as_long_as_the_first_of_its_links_to_end(
        times in vec((0..10_000u32, 0..10_000u32, 0..20_000u32), 6)
    ) {
        let paper = timed(&times);
        let answer = paper.prove(HOST, RrType::SSHFP).unwrap();
        let expires = NOW + least(&times, |(_, _, ends)| *ends);
        let ttls = NOW + least(&times, |(ttl, signed, _)| *ttl.min(signed));
        prop_assert_eq!(answer.expires(), expires);
        prop_assert_eq!(answer.valid_until(), expires.min(ttls));
    }

    /// A stored proof serves within its TTLs, then for the grace that is left to it, and never when a signature
    /// has ended.
    #[test]
    fn what_is_stored_never_outlives_its_signatures(
        times in vec((0..10_000u32, 0..10_000u32, 0..20_000u32), 6), later in 0..30_000u64, grace in 0..30_000u64
    ) {
        let answer = timed(&times).prove(HOST, RrType::SSHFP).unwrap();
        let (expires, bundle) = (answer.expires(), Bundle::new(answer.entries(NOW), NOW));
        let ttls = NOW + least(&times, |(ttl, signed, _)| *ttl.min(signed));
        let (now, asked) = (NOW + later, question(HOST, RrType::SSHFP));
        let prover = || Prover::new(paper().anchors, now);
        let bundled = bundle.prove(&asked, &mut prover());
        prop_assert_eq!(bundled.is_ok(), now <= expires);
        let kept = |grace: u64| {
            prove_stored(&asked, &mut prover(), |q| bundle.get(q).and_then(|entry: &Entry| entry.kept(now, grace)))
        };
        prop_assert_eq!(kept(0).is_ok(), now <= expires.min(ttls));
        let late = kept(grace);
        prop_assert_eq!(late.is_ok(), now <= expires.min(ttls.saturating_add(grace)));
        for answer in [bundled, kept(0), late.clone()].into_iter().flatten() {
            prop_assert_eq!(answer.expires(), expires);
            prop_assert!(now <= answer.valid_until() && answer.valid_until() <= expires);
        }
        if let Ok(late) = late {
            prop_assert_eq!(matches!(late.origin(), Origin::Grace { .. }), now > ttls);
            prop_assert!(late.valid_until() <= ttls.saturating_add(grace).max(ttls));
        }
    }
}
