//! What is said of answers that do not prove: each status beside the forgery that must not get it.

mod aliases;
mod anchors;
mod by_nsec;
mod by_nsec3;
mod wildcards;

use super::*;
use crate::proto::chain::paper::{Key, Paper, Zone, name, question, record};
use crate::proto::message::{NOERROR, NXDOMAIN};
use crate::proto::rr::{Record, RrType};

const ZONE: &str = "example.test";
const HOST: &str = "host.example.test";
const SSHFP: &[u8] = b"\x04\x02one";

const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const DNAME: u16 = 39;
const DS: u16 = 43;

/// Root, TLD, a zone, and a signed and an unsigned zone below it.
fn paper() -> Paper {
    Paper::tree(&[".", "test", ZONE, "signed.example.test"])
}

/// A type bitmap (RFC 4034 section 4.1.2) of types below 256.
fn bitmap(types: &[u16]) -> Vec<u8> {
    let mut octets = vec![0; 32];
    for &number in types {
        octets[usize::from(number / 8)] |= 0x80 >> (number % 8);
    }
    [&[0, 32], octets.as_slice()].concat()
}

fn nsec(zone: &Zone, owner: &str, next: &str, types: &[u16]) -> Vec<Record> {
    let mut all = types.to_vec();
    all.extend([46, 47]);
    zone.sign(owner, RrType::NSEC, &[&[name(next).wire(), &bitmap(&all)].concat()])
}

fn soa(zone: &Zone) -> Vec<Record> {
    let rdata = [zone.name.wire(), zone.name.wire(), &[0; 20]].concat();
    zone.sign(&zone.name.to_string(), RrType::SOA, &[&rdata])
}

/// A set at `host` that `zone` signed at `wildcard`.
fn expand(zone: &Zone, wildcard: &str, host: &str, rtype: RrType, rdata: &[u8]) -> Vec<Record> {
    let labels = name(wildcard).label_count() - 1;
    zone.sign_as(host, rtype, &[rdata], |rrsig| rrsig.labels = labels as u8)
}

fn status(paper: &Paper, owner: &str) -> Status {
    paper.failure(owner, RrType::SSHFP).status
}

/// The status of [`HOST`] if its SSHFP records are denied by these records of [`ZONE`].
fn denied(rcode: u16, authority: Vec<Record>) -> Status {
    let mut paper = paper();
    paper.deny(HOST, RrType::SSHFP, rcode, authority);
    // Who asks whether the host is a cut hears that it is none.
    let no_cut = nsec(paper.zone(ZONE), HOST, "next.example.test", &[1]);
    paper.deny(HOST, RrType::DS, NOERROR, no_cut);
    status(&paper, HOST)
}

/// `sub.example.test` is an unsigned zone, as `authority` tells whoever asks for its DS.
fn unsigned(authority: Vec<Record>) -> Paper {
    let mut paper = paper();
    paper.put("h.sub.example.test", RrType::SSHFP, vec![record("h.sub.example.test", RrType::SSHFP, SSHFP)]);
    paper.deny("sub.example.test", RrType::DS, NOERROR, authority);
    paper
}

#[test]
fn data_of_an_unsigned_zone_is_insecure_only_if_the_cut_is_proven() {
    let zone = Zone::new(ZONE);
    let cut = |types: &[u16]| nsec(&zone, "sub.example.test", "zulu.example.test", types);
    let failure = unsigned(cut(&[NS])).failure("h.sub.example.test", RrType::SSHFP);
    assert_eq!(failure.status, Status::Insecure);
    assert_eq!(failure.error.to_string(), "no DS for sub.example.test at example.test");
    let says = |authority| status(&unsigned(authority), "h.sub.example.test");
    assert_eq!(says(Vec::new()), Status::Bogus);
    assert_eq!(says(soa(&zone)), Status::Bogus);
    let mut stripped = cut(&[NS]);
    stripped.pop();
    assert_eq!(says(stripped), Status::Bogus, "an unsigned denial");
    assert_eq!(says(cut(&[NS, DS])), Status::Bogus, "it has a DS after all");
    let sub = Zone::new("sub.example.test");
    assert_eq!(says(nsec(&sub, "sub.example.test", "z.sub.example.test", &[NS, SOA])), Status::Bogus);
    assert_eq!(says(cut(&[NS, SOA])), Status::Bogus, "an apex speaks for no cut");
    let other = Zone::new("other.test");
    assert_eq!(says(nsec(&other, "sub.example.test", "zulu.example.test", &[NS])), Status::Bogus);
    let above = Zone::new("test");
    assert_eq!(says(nsec(&above, "sub.example.test", "zulu.example.test", &[NS])), Status::Bogus);
}

#[test]
fn a_name_that_is_no_cut_does_not_make_its_data_insecure() {
    let mut paper = unsigned(nsec(&Zone::new(ZONE), "sub.example.test", "zulu.example.test", &[1]));
    let below = nsec(&Zone::new(ZONE), "h.sub.example.test", "zulu.example.test", &[44]);
    paper.deny("h.sub.example.test", RrType::DS, NOERROR, below);
    assert_eq!(status(&paper, "h.sub.example.test"), Status::Bogus);
}

#[test]
fn stripped_and_broken_answers_of_a_signed_zone_are_bogus() {
    let mut paper = paper();
    let no_cut = nsec(paper.zone(ZONE), HOST, "next.example.test", &[1]);
    paper.deny(HOST, RrType::DS, NOERROR, no_cut);
    paper.put(HOST, RrType::SSHFP, vec![record(HOST, RrType::SSHFP, SSHFP)]);
    assert_eq!(status(&paper, HOST), Status::Bogus);
    paper.put(HOST, RrType::SSHFP, vec![record(HOST, RrType::CNAME, name("h.sub.example.test").wire())]);
    assert_eq!(status(&paper, HOST), Status::Bogus, "an unsigned CNAME into an unsigned zone");
    let expired = paper.zone(ZONE).sign_as(HOST, RrType::SSHFP, &[SSHFP], |rrsig| rrsig.expiration = 7);
    paper.put(HOST, RrType::SSHFP, expired);
    let run = paper.run(HOST, RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().status, Status::Bogus);
    assert!(!run.asked.contains(&question(HOST, RrType::DS)), "its signer is known to be secure");
    paper.publish(ZONE, HOST, RrType::SSHFP, &[SSHFP]);
    assert!(paper.run(HOST, RrType::SSHFP).outcome.is_ok());
}

#[test]
fn without_data_nothing_is_said() {
    let mut paper = paper();
    assert_eq!(status(&paper, HOST), Status::Indeterminate, "nobody answers");
    assert_eq!(status(&paper, "host.test"), Status::Indeterminate);
    paper.anchors = Paper::tree(&["other.test"]).anchors;
    assert_eq!(status(&paper, HOST), Status::Indeterminate, "no anchor");
    paper = Paper::tree(&[".", "test"]);
    let zone = Zone::new(ZONE);
    paper.put(ZONE, RrType::DS, paper.zone("test").ds(&zone));
    paper.put(HOST, RrType::SSHFP, zone.sign(HOST, RrType::SSHFP, &[SSHFP]));
    assert_eq!(status(&paper, HOST), Status::Bogus, "nobody hands out the keys that the DS set calls for");
    let wildcard = zone.sign_as(HOST, RrType::SSHFP, &[SSHFP], |rrsig| rrsig.labels = 2);
    paper.put(HOST, RrType::SSHFP, wildcard);
    assert_eq!(status(&paper, HOST), Status::Bogus, "an expansion needs them as well");
    paper.silence(ZONE, RrType::DS);
    assert_eq!(status(&paper, HOST), Status::Indeterminate, "nobody says whether there are keys");
}

#[test]
fn a_zone_of_algorithms_unknown_here_counts_as_unsigned() {
    let zone = Zone::new(ZONE);
    let case = |rdatas: &[&[u8]]| {
        let mut paper = paper();
        paper.publish("test", ZONE, RrType::DS, rdatas);
        paper.put(HOST, RrType::SSHFP, zone.sign(HOST, RrType::SSHFP, &[SSHFP]));
        paper.run(HOST, RrType::SSHFP).outcome.map_err(|unproven| unproven.status)
    };
    let (good, sha1) = (zone.key.ds(&zone.name, 2), zone.key.ds(&zone.name, 1));
    let mut unknown = good.clone();
    unknown[2] = 17;
    assert!(case(&[&good]).is_ok() && case(&[&good, &sha1]).is_ok());
    assert_eq!(case(&[&sha1, &unknown]).unwrap_err(), Status::Insecure);
    let stranger = Key::ed25519("stranger").ds(&zone.name, 2);
    assert_eq!(case(&[&sha1, &stranger]).unwrap_err(), Status::Bogus);
}

#[test]
fn the_end_of_a_line_of_aliases_decides() {
    let zone = Zone::new(ZONE);
    let alias = |target: &str| zone.sign(HOST, RrType::CNAME, &[name(target).wire()]);
    let mut paper = unsigned(nsec(&zone, "sub.example.test", "zulu.example.test", &[NS]));
    paper.put(HOST, RrType::SSHFP, alias("h.sub.example.test"));
    assert_eq!(status(&paper, HOST), Status::Insecure);
    let signed = Zone::new("signed.example.test");
    paper.put(HOST, RrType::SSHFP, alias("x.signed.example.test"));
    let apex = nsec(&signed, "signed.example.test", "signed.example.test", &[NS, SOA]);
    paper.deny("x.signed.example.test", RrType::SSHFP, NXDOMAIN, apex.clone());
    assert_eq!(status(&paper, HOST), Status::Absent);
    paper.deny("x.signed.example.test", RrType::SSHFP, NXDOMAIN, soa(&signed));
    assert_eq!(status(&paper, HOST), Status::Bogus);
    // An alias out of a wildcard leads on only where the zone shows that the name has nothing of its own.
    paper.deny("x.signed.example.test", RrType::SSHFP, NXDOMAIN, apex);
    let mut wild = |beside| {
        let target = name("x.signed.example.test");
        let expanded = expand(&zone, "*.example.test", HOST, RrType::CNAME, target.wire());
        paper.put_beside(HOST, RrType::SSHFP, expanded, beside);
        let failure = paper.failure(HOST, RrType::SSHFP);
        (failure.status, failure.error.code())
    };
    assert_eq!(wild(nsec(&zone, ZONE, "zulu.example.test", &[NS, SOA])), (Status::Absent, "no-record"));
    assert_eq!(wild(Vec::new()), (Status::Bogus, "wildcard"));
    let looped = alias(HOST);
    paper.put(HOST, RrType::SSHFP, looped);
    assert_eq!(status(&paper, HOST), Status::Indeterminate);
}

#[test]
fn long_names_take_few_questions() {
    let mut paper = paper();
    let long = format!("{}{ZONE}", "a.".repeat(100));
    let gap = nsec(&Zone::new(ZONE), ZONE, "zulu.example.test", &[NS, SOA]);
    paper.deny(&long, RrType::SSHFP, NXDOMAIN, Vec::new());
    paper.deny("a.example.test", RrType::DS, NXDOMAIN, gap.clone());
    let run = paper.run(&long, RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().status, Status::Bogus, "the denial was stripped");
    assert!(run.asked.len() <= 20, "{}", run.asked.len());
    paper.deny(&long, RrType::SSHFP, NXDOMAIN, gap);
    let run = paper.run(&long, RrType::SSHFP);
    assert_eq!(run.outcome.unwrap_err().status, Status::Absent);
    assert_eq!(run.asked.len(), 6, "the answer and the zones' own records: {:?}", run.asked);
}

#[test]
fn no_mixture_of_records_makes_secure_of_a_denial() {
    let (zone, signed, above) = (Zone::new(ZONE), Zone::new("signed.example.test"), Zone::new("test"));
    let mut unsigned_gap = nsec(&zone, ZONE, "zulu.example.test", &[NS, SOA]);
    unsigned_gap.pop();
    let pieces = [
        soa(&zone),
        soa(&above),
        nsec(&zone, ZONE, "alpha.example.test", &[NS, SOA]),
        nsec(&zone, "alpha.example.test", "zulu.example.test", &[1]),
        nsec(&signed, "signed.example.test", "z.signed.example.test", &[NS, SOA]),
        nsec(&above, ZONE, "zulu.test", &[NS, DS]),
        unsigned_gap,
    ];
    let mut seen = std::collections::HashSet::new();
    for chosen in 0..1u32 << pieces.len() {
        let mixture: Vec<Record> = (0..pieces.len())
            .filter(|at| chosen & (1 << at) != 0)
            .flat_map(|at| pieces[at].clone())
            .collect();
        seen.insert(denied(NXDOMAIN, mixture));
    }
    assert_eq!(seen, [Status::Absent, Status::Bogus].into());
}
