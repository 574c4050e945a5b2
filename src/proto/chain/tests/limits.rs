//! Work is bounded by counted operations, whatever a zone or a resolver piles up (KeyTrap,
//! CVE-2023-50387).

use super::*;
use crate::proto::chain::paper::Key;
use crate::proto::chain::{MAX_KEYS, MAX_SIGNATURES, MAX_TRIED, MAX_TRIED_PER_SET, MAX_ZONES};

/// Signatures that look right and are not.
fn junk(count: usize) -> Vec<Record> {
    let one = Rrsig::from_rdata(&good().last().unwrap().rdata).unwrap();
    let forge = |at: usize| Rrsig { signature: vec![at as u8; 64].into(), ..one.clone() };
    (0..count).map(|at| rrsig_record(HOST, &forge(at))).collect()
}

fn run(records: Vec<Record>) -> (Result<(), &'static str>, u32) {
    let mut paper = paper();
    paper.put(HOST, RrType::SSHFP, records);
    let run = paper.run(HOST, RrType::SSHFP);
    (run.outcome.map(|_| ()).map_err(|unproven| unproven.error.code()), run.tried)
}

#[test]
fn some_junk_is_tried_and_much_is_refused_unseen() {
    let chain = run(good()).1 - 1;
    let few = MAX_TRIED_PER_SET as usize - 1;
    assert_eq!(run([junk(few), good()].concat()), (Ok(()), chain + MAX_TRIED_PER_SET));
    assert_eq!(run([good(), junk(few)].concat()).0, Ok(()));
    for records in [[junk(50), good()].concat(), [good(), junk(50)].concat()] {
        assert_eq!(run(records), (Err("too-many-signatures"), 0));
    }
    let (outcome, tried) = run([junk(MAX_SIGNATURES - 1), good()].concat());
    assert_eq!(outcome, Err("too-many-signatures"));
    assert_eq!(tried, chain + MAX_TRIED_PER_SET);
}

#[test]
fn junk_that_fits_no_key_costs_nothing() {
    let mut records = junk(MAX_SIGNATURES - 1);
    for (at, record) in records.iter_mut().enumerate() {
        let mut rrsig = Rrsig::from_rdata(&record.rdata).unwrap();
        rrsig.key_tag ^= 1 + at as u16;
        *record = rrsig_record(HOST, &rrsig);
    }
    let (outcome, tried) = run([records, good()].concat());
    assert_eq!((outcome, tried), (Ok(()), run(good()).1));
}

/// A key that is none, of the same tag: its words in another order.
fn colliding(key: &Key, at: usize) -> Key {
    let mut twin = Key::ed25519("twin");
    twin.public = key.public.clone();
    let words = twin.public.len() / 2;
    let (a, b) = (2 * (at % words), 2 * (at / words));
    for offset in 0..2 {
        twin.public.swap(a + offset, b + offset);
    }
    twin
}

#[test]
fn colliding_key_tags_are_tried_a_few_times() {
    let zone = Zone::new("example.test");
    let twins: Vec<Key> =
        (0..256).filter(|at| at % 16 < at / 16).map(|at| colliding(&zone.key, at)).take(MAX_KEYS).collect();
    assert!(twins.iter().all(|twin| twin.tag() == zone.key.tag()) && twins.len() == MAX_KEYS);
    let case = |count: usize, signatures: Vec<Record>| {
        let mut paper = paper();
        let others: Vec<&Key> = twins.iter().take(count).collect();
        paper.put("example.test", RrType::DNSKEY, zone.keys_and(&others));
        // DS records of the twins too, so that each of them may have signed the keys.
        let ds: Vec<Vec<u8>> =
            std::iter::once(&zone.key).chain(others).map(|key| key.ds(&zone.name, 2)).collect();
        let ds: Vec<&[u8]> = ds.iter().map(Vec::as_slice).collect();
        paper.publish("test", "example.test", RrType::DS, &ds);
        paper.put(HOST, RrType::SSHFP, [signatures, good()].concat());
        let run = paper.run(HOST, RrType::SSHFP);
        (run.outcome.map(|_| ()).map_err(|unproven| unproven.error.code()), run.tried)
    };
    assert_eq!(case(0, Vec::new()).0, Ok(()));
    assert_eq!(case(2, Vec::new()).0, Ok(()));
    let (outcome, tried) = case(MAX_KEYS - 1, junk(MAX_SIGNATURES - 1));
    assert!(outcome.is_err());
    assert!(tried <= 4 * MAX_TRIED_PER_SET, "{tried}");
    assert_eq!(case(MAX_KEYS, Vec::new()).0, Err("too-long"), "one key too many");
}

#[test]
fn a_lookup_has_one_budget_for_everything() {
    // Every step of a line of aliases carries junk that has to be tried.
    let mut paper = Paper::tree(&[".", "test", "example.test"]);
    let zone = Zone::new("example.test");
    let owner = |at: usize| format!("a{at}.example.test");
    for at in 0..8 {
        let next = name(&owner(at + 1));
        let mut records = zone.sign(&owner(at), RrType::CNAME, &[next.wire()]);
        let good = Rrsig::from_rdata(&records.pop().unwrap().rdata).unwrap();
        // The junk comes first.
        for junk in 0..7 {
            let bad = Rrsig { signature: vec![junk; 64].into(), ..good.clone() };
            records.push(rrsig_record(&owner(at), &bad));
        }
        records.push(rrsig_record(&owner(at), &good));
        paper.put(&owner(at), RrType::SSHFP, records);
    }
    paper.put(&owner(8), RrType::SSHFP, zone.sign(&owner(8), RrType::SSHFP, &[ONE]));
    assert!(paper.prove(&owner(3), RrType::SSHFP).is_ok(), "some of it is borne");
    let run = paper.run(&owner(0), RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().error.code(), "too-many-signatures");
    assert_eq!(run.tried, MAX_TRIED);
}

#[test]
fn zones_signed_by_all_their_ancestors_do_not_double_the_work() {
    // With the budget gone, every link must not try all its signers again.
    let labels: Vec<String> = (1..=MAX_ZONES)
        .map(|depth| (0..depth).map(|at| format!("z{}", depth - at)).collect::<Vec<_>>().join("."))
        .collect();
    let names: Vec<&str> = std::iter::once(".").chain(labels.iter().map(String::as_str)).collect();
    let mut paper = Paper::tree(&names);
    for (at, child) in names.iter().enumerate().skip(1) {
        let rdata = Zone::new(child).key.ds(&name(child), 2);
        let mut records = vec![record(child, RrType::DS, &rdata)];
        for above in &names[..at] {
            // The right tag, the wrong signature: each costs a try.
            let signed = Zone::new(above).sign(child, RrType::DS, &[b"another"]);
            records.push(signed.into_iter().next_back().unwrap());
        }
        paper.put(child, RrType::DS, records);
    }
    let host = format!("h.{}", names[names.len() - 1]);
    paper.publish(names[names.len() - 1], &host, RrType::SSHFP, &[ONE]);
    let begun = std::time::Instant::now();
    let run = paper.run(&host, RrType::SSHFP);
    assert!(run.outcome.is_err() && run.tried <= MAX_TRIED);
    assert!(begun.elapsed().as_secs() < 5);
}

#[test]
fn chains_are_of_bounded_length() {
    let case = |zones: usize| {
        let labels: Vec<String> = (1..zones).map(|depth| vec!["z"; depth].join(".")).collect();
        let names: Vec<&str> = std::iter::once(".").chain(labels.iter().map(String::as_str)).collect();
        let mut paper = Paper::tree(&names);
        let host = format!("h.{}", names[zones - 1]);
        paper.publish(names[zones - 1], &host, RrType::SSHFP, &[ONE]);
        paper.prove(&host, RrType::SSHFP).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(case(MAX_ZONES), Ok(()));
    assert_eq!(case(MAX_ZONES + 1), Err("too-long"));
}
