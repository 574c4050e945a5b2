//! Denials by NSEC (RFC 4034, RFC 4035 section 5.4).

use super::*;

fn zone() -> Zone {
    Zone::new(ZONE)
}

fn at(owner: &str, next: &str, types: &[u16]) -> Vec<Record> {
    nsec(&zone(), owner, next, types)
}

#[test]
fn no_data_is_what_the_names_own_record_says() {
    let case = |types: &[u16]| denied(NOERROR, [soa(&zone()), at(HOST, "next.example.test", types)].concat());
    assert_eq!(case(&[1]), Status::Absent);
    assert_eq!(case(&[1, 44]), Status::Bogus, "there is an SSHFP set");
    assert_eq!(case(&[CNAME]), Status::Bogus, "there is a CNAME to follow");
    assert_eq!(case(&[NS]), Status::Bogus, "at a cut the parent does not speak for the child");
    let sibling = at("sibling.example.test", "z.example.test", &[1]);
    assert_eq!(denied(NOERROR, sibling), Status::Bogus, "a record of another name");
}

#[test]
fn a_name_is_absent_if_it_and_its_wildcard_are_denied() {
    let gap = || at("alpha.example.test", "zulu.example.test", &[1]);
    let no_wildcard = || at(ZONE, "alpha.example.test", &[NS, SOA]);
    assert_eq!(denied(NXDOMAIN, [soa(&zone()), gap(), no_wildcard()].concat()), Status::Absent);
    assert_eq!(denied(NXDOMAIN, [gap(), no_wildcard()].concat()), Status::Absent, "without SOA");
    assert_eq!(denied(NXDOMAIN, gap()), Status::Bogus, "the wildcard may exist");
    assert_eq!(denied(NXDOMAIN, no_wildcard()), Status::Bogus, "the name may exist");
    let beside = at("alpha.example.test", "gamma.example.test", &[1]);
    assert_eq!(denied(NXDOMAIN, [beside, no_wildcard()].concat()), Status::Bogus, "a gap elsewhere");
    let wildcard = |types: &[u16]| at("*.example.test", "alpha.example.test", types);
    assert_eq!(denied(NOERROR, [gap(), wildcard(&[16])].concat()), Status::Absent, "it has no SSHFP");
    assert_eq!(denied(NXDOMAIN, [gap(), wildcard(&[44])].concat()), Status::Bogus, "it has one");
    assert_eq!(denied(NXDOMAIN, [gap(), wildcard(&[CNAME])].concat()), Status::Bogus);
}

#[test]
fn the_last_gap_of_a_zone_ends_at_its_apex() {
    let last = at("alpha.example.test", ZONE, &[1]);
    let no_wildcard = at(ZONE, "alpha.example.test", &[NS, SOA]);
    assert_eq!(denied(NXDOMAIN, [last, no_wildcard.clone()].concat()), Status::Absent);
    assert_eq!(denied(NXDOMAIN, at(ZONE, ZONE, &[NS, SOA])), Status::Absent, "a zone of one name");
    let outwards = at("alpha.example.test", "other.test", &[1]);
    assert_eq!(denied(NXDOMAIN, [outwards, no_wildcard].concat()), Status::Bogus);
}

#[test]
fn an_empty_non_terminal_has_no_data() {
    assert_eq!(denied(NOERROR, at("alpha.example.test", "x.host.example.test", &[1])), Status::Absent);
    assert_eq!(denied(NOERROR, at("alpha.example.test", "x.ghost.example.test", &[1])), Status::Bogus);
}

#[test]
fn a_denial_is_as_good_as_its_signature() {
    let good = || at(HOST, "next.example.test", &[1]);
    assert_eq!(denied(NOERROR, good()), Status::Absent);
    let mut unsigned = good();
    unsigned.pop();
    assert_eq!(denied(NOERROR, unsigned), Status::Bogus);
    let mut changed = good();
    changed[0].rdata = [name("next.example.test").wire(), &bitmap(&[])].concat().into();
    assert_eq!(denied(NOERROR, changed), Status::Bogus);
    assert_eq!(denied(NOERROR, Vec::new()), Status::Bogus);
    let rdata = [name("next.example.test").wire(), &bitmap(&[1])].concat();
    let expired = zone().sign_as(HOST, RrType::NSEC, &[&rdata], |rrsig| rrsig.expiration = 7);
    assert_eq!(denied(NOERROR, expired), Status::Bogus);
    let expanded = zone().sign_as(HOST, RrType::NSEC, &[&rdata], |rrsig| rrsig.labels = 2);
    assert_eq!(denied(NOERROR, expanded), Status::Bogus, "an NSEC is never a wildcard's");
    let cut_short = zone().sign(HOST, RrType::NSEC, &[&rdata[..rdata.len() - 1]]);
    assert_eq!(denied(NOERROR, cut_short), Status::Bogus);
}

#[test]
fn a_soa_beside_a_denial_is_that_of_the_zone() {
    let good = || at(HOST, "next.example.test", &[1]);
    let mut forged = soa(&zone());
    forged[0].rdata[30] ^= 1;
    assert_eq!(denied(NOERROR, [forged, good()].concat()), Status::Bogus);
    let mut unsigned = soa(&zone());
    unsigned.pop();
    assert_eq!(denied(NOERROR, [unsigned, good()].concat()), Status::Bogus);
    let elsewhere = record("insecure.test", RrType::SOA, &soa(&zone())[0].rdata);
    assert_eq!(denied(NOERROR, [vec![elsewhere], good()].concat()), Status::Bogus);
    assert_eq!(denied(NOERROR, [soa(&Zone::new("test")), good()].concat()), Status::Bogus);
    assert_eq!(denied(NOERROR, [soa(&zone()), good()].concat()), Status::Absent);
}

#[test]
fn neither_parent_nor_child_denies_for_the_other() {
    const SUB: &str = "signed.example.test";
    let child = Zone::new(SUB);
    let at_cut = at(SUB, "zulu.example.test", &[NS, DS]);
    let at_apex = || nsec(&child, SUB, SUB, &[NS, SOA]);
    let case = |owner: &str, rtype, authority: Vec<Record>| {
        let mut paper = paper();
        paper.deny(owner, rtype, NOERROR, authority);
        paper.failure(owner, rtype).status
    };
    assert_eq!(case(SUB, RrType::SSHFP, at_apex()), Status::Absent);
    assert_eq!(case(SUB, RrType::SSHFP, at_cut.clone()), Status::Bogus, "the parent's record at the cut");
    assert_eq!(case("h.signed.example.test", RrType::SSHFP, at_apex()), Status::Absent);
    assert_eq!(case("h.signed.example.test", RrType::SSHFP, at_cut.clone()), Status::Bogus, "and below it");
    let liar = at(SUB, "zulu.example.test", &[NS]);
    assert_eq!(case(SUB, RrType::DS, liar), Status::Absent, "the parent may say that there is no DS");
    assert_eq!(case(SUB, RrType::DS, at_apex()), Status::Bogus, "the child may not");
    assert_eq!(case(SUB, RrType::DS, at_cut), Status::Bogus, "and there is one");
    let moved = at("signed.example.test", "zulu.example.test", &[DNAME]);
    assert_eq!(case("h.signed.example.test", RrType::SSHFP, moved), Status::Bogus, "below a DNAME");
}
