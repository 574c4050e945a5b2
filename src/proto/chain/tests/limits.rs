//! Work is bounded by counted operations, whatever a zone or a resolver piles up (KeyTrap,
//! CVE-2023-50387).

use super::*;
use crate::proto::chain::paper::Key;
use crate::proto::chain::{Fetched, MAX_KEYS, MAX_SIGNATURES, MAX_TRIED, MAX_TRIED_PER_SET, MAX_ZONES};
use crate::proto::message::Response;

/// Signatures at `owner` that look like the one among `signed` and do not hold.
fn junk_for(owner: &str, signed: &[Record], count: usize) -> Vec<Record> {
    let one = Rrsig::from_rdata(&signed.last().unwrap().rdata).unwrap();
    let forge = |at: usize| Rrsig { signature: vec![at as u8; 64].into(), ..one.clone() };
    (0..count).map(|at| rrsig_record(owner, &forge(at))).collect()
}

fn junk(count: usize) -> Vec<Record> {
    junk_for(HOST, &good(), count)
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
        (run.outcome.map(|_| ()).map_err(|unproven| unproven.error.code()), run.tried, run.digested)
    };
    assert_eq!(case(0, Vec::new()), (Ok(()), 6, 2), "test. and the zone have a DS record each");
    let (outcome, _, digested) = case(2, Vec::new());
    assert_eq!((outcome, digested), (Ok(()), 1 + 9), "each key may be that of each record");
    let (outcome, tried, digested) = case(MAX_KEYS - 1, junk(MAX_SIGNATURES - 1));
    assert!(outcome.is_err());
    assert!(tried <= 4 * MAX_TRIED_PER_SET, "{tried}");
    assert_eq!(digested as usize, 1 + MAX_KEYS, "of {} pairs", MAX_KEYS * MAX_KEYS);
    assert_eq!(case(MAX_KEYS, Vec::new()).0, Err("too-long"), "one key too many");
}

#[test]
fn a_lookup_has_one_budget_for_everything() {
    // Every step of a line of aliases carries junk that has to be tried.
    let mut paper = Paper::tree(&[".", "test", "example.test"]);
    let zone = Zone::new("example.test");
    let owner = |at: usize| format!("a{at}.example.test");
    for at in 0..8 {
        let signed = zone.sign(&owner(at), RrType::CNAME, &[name(&owner(at + 1)).wire()]);
        let junk = junk_for(&owner(at), &signed, 7);
        paper.put(&owner(at), RrType::SSHFP, [&signed[..1], &junk, &signed[1..]].concat());
    }
    paper.put(&owner(8), RrType::SSHFP, zone.sign(&owner(8), RrType::SSHFP, &[ONE]));
    assert!(paper.prove(&owner(3), RrType::SSHFP).is_ok(), "some of it is borne");
    let run = paper.run(&owner(0), RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().error.code(), "too-many-signatures");
    assert_eq!(run.tried, MAX_TRIED);
}

#[test]
fn without_budget_the_work_does_not_double_with_each_zone() {
    // Aliases with junk use most of the budget up; the first DS set on the way to the data takes the
    // rest; and each DS set below is signed by many zones above, so that there is always another to try.
    let labels: Vec<String> = (1..24).map(|depth| vec!["z"; depth].join(".")).collect();
    let names: Vec<&str> = std::iter::once(".").chain(labels.iter().map(String::as_str)).collect();
    let mut paper = Paper::tree(&names);
    let root = Zone::new(".");
    let last = names[names.len() - 1];
    let host = format!("h.{last}");
    for at in 0..7 {
        let next = if at == 6 { host.clone() } else { format!("a{}", at + 1) };
        let owner = format!("a{at}");
        let signed = root.sign(&owner, RrType::CNAME, &[name(&next).wire()]);
        let junk = junk_for(&owner, &signed, 7);
        paper.put(&owner, RrType::SSHFP, [&signed[..1], &junk, &signed[1..]].concat());
    }
    for (at, child) in names.iter().enumerate().skip(1) {
        let rdata = Zone::new(child).key.ds(&name(child), 2);
        let mut records = vec![record(child, RrType::DS, &rdata)];
        for above in names[..at].iter().rev().take(MAX_SIGNATURES) {
            let signed = Zone::new(above).sign(child, RrType::DS, &[&rdata]);
            records.extend(junk_for(child, &signed, if at == 1 { 8 } else { 1 }));
        }
        paper.put(child, RrType::DS, records);
    }
    paper.publish(last, &host, RrType::SSHFP, &[ONE]);
    let begun = std::time::Instant::now();
    let run = paper.run("a0", RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().error.code(), "too-many-signatures");
    assert_eq!(run.tried, MAX_TRIED);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn a_message_of_many_owners_is_sorted_in_good_time() {
    let records: Vec<Record> =
        (0..40_000).map(|at| record(&format!("o{at}.test"), RrType::TXT, &[0])).collect();
    let begun = std::time::Instant::now();
    assert_eq!(crate::proto::rr::RrSet::collect(&records).len(), records.len());
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[test]
fn of_an_authority_section_only_what_denies_is_kept() {
    let denials = (0..100).map(|at| record(&format!("o{at}.test"), RrType::NSEC, &[0]));
    let others = (0..100).map(|at| record(&format!("o{at}.test"), RrType::NS, &[0]));
    let authority: Vec<Record> = others.chain(denials).collect();
    let response = Response { authority, ..Response::default() };
    let mut material = Material::default();
    let asked = question(HOST, RrType::SSHFP);
    material.add(&asked, &response);
    let Some(Fetched::Nothing { authority, .. }) = material.get(&asked) else { panic!() };
    assert_eq!(authority.len(), 20);
    assert!(authority.iter().all(|set| set.rtype() == RrType::NSEC));
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

#[test]
fn what_came_for_many_names_goes_with_time_and_what_proves_zones_stays() {
    let mut material = Material::default();
    let keys = question("example.test", RrType::DNSKEY);
    let host = |n: usize| question(&format!("h{n}.example.test"), RrType::SSHFP);
    material.fail(&keys, "nobody answers".to_owned());
    for n in 0..5000 {
        material.fail(&host(n), "nobody answers".to_owned());
    }
    assert!(material.get(&keys).is_some());
    assert_eq!((0..5000).filter(|n| material.get(&host(*n)).is_some()).count(), 4096);
    assert!(material.get(&host(0)).is_none() && material.get(&host(4999)).is_some());
}
