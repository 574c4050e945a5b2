//! Denials beside a zone that has a trust anchor of its own.

use super::*;
use crate::proto::chain::Anchors;

/// The root's anchor, and one for `signed.example.test`.
fn paper_with_island() -> Paper {
    let mut paper = paper();
    let lines: String = [".", "signed.example.test"].map(|zone| paper.zone(zone).anchor(RrType::DS)).concat();
    paper.anchors = Anchors::from_text(&lines).unwrap();
    paper
}

#[test]
fn an_anchor_takes_no_denial_from_the_zone_above() {
    let (zone, island) = (Zone::new(ZONE), Zone::new("signed.example.test"));
    let mut paper = paper_with_island();
    let cut = || nsec(&zone, "signed.example.test", "zulu.example.test", &[NS]);
    paper.deny("signed.example.test", RrType::DS, NOERROR, cut());
    let ds = |paper: &Paper| paper.failure("signed.example.test", RrType::DS).status;
    assert_eq!(ds(&paper), Status::Absent);
    // The gap after the cut is the zone's as well.
    let no_wildcard = nsec(&zone, ZONE, "alpha.example.test", &[NS, SOA]);
    let gap = |cut: Vec<Record>| [cut, no_wildcard.clone()].concat();
    paper.deny("tango.example.test", RrType::SSHFP, NXDOMAIN, gap(cut()));
    assert_eq!(status(&paper, "tango.example.test"), Status::Absent);
    // The child's own record at the same name says nothing there.
    let apex = || nsec(&island, "signed.example.test", "zulu.example.test", &[NS, SOA]);
    paper.deny("signed.example.test", RrType::DS, NOERROR, apex());
    assert_eq!(ds(&paper), Status::Bogus);
    paper.deny("tango.example.test", RrType::SSHFP, NXDOMAIN, gap(apex()));
    paper.deny("tango.example.test", RrType::DS, NXDOMAIN, gap(cut()));
    assert_eq!(status(&paper, "tango.example.test"), Status::Bogus);
}

#[test]
fn the_zone_above_denies_nothing_below_an_anchor() {
    let zone = Zone::new(ZONE);
    let mut paper = paper_with_island();
    let cut = || nsec(&zone, "signed.example.test", "zulu.example.test", &[NS]);
    paper.deny("h.signed.example.test", RrType::SSHFP, NXDOMAIN, cut());
    let no_cut =
        nsec(&Zone::new("signed.example.test"), "signed.example.test", "signed.example.test", &[NS, SOA]);
    paper.deny("h.signed.example.test", RrType::DS, NXDOMAIN, no_cut);
    assert_eq!(status(&paper, "h.signed.example.test"), Status::Bogus);
    paper.deny("signed.example.test", RrType::SSHFP, NOERROR, cut());
    assert_eq!(status(&paper, "signed.example.test"), Status::Bogus);
    // Nor is its record the child's NSEC set.
    paper.put("signed.example.test", RrType::NSEC, cut());
    assert!(paper.run("signed.example.test", RrType::NSEC).outcome.is_err());
}

#[test]
fn an_alias_out_of_an_island_leads_to_insecure_data() {
    let island = Zone::new(ZONE);
    let mut paper = Paper::tree(&[ZONE]);
    let alias = |target: &str| island.sign(HOST, RrType::CNAME, &[name(target).wire()]);
    let far = |paper: &mut Paper| {
        paper.put("far.test", RrType::SSHFP, vec![record("far.test", RrType::SSHFP, SSHFP)]);
    };
    far(&mut paper);
    assert_eq!(status(&paper, "far.test"), Status::Indeterminate, "nobody expects it to be signed");
    paper.put(HOST, RrType::SSHFP, alias("far.test"));
    let failure = paper.failure(HOST, RrType::SSHFP);
    assert_eq!((failure.status, failure.error.code()), (Status::Insecure, "no-anchor"));
    // The alias itself has to be proven.
    let mut unsigned = alias("far.test");
    unsigned.pop();
    let no_cut = nsec(&island, HOST, "next.example.test", &[CNAME]);
    paper.put(HOST, RrType::SSHFP, unsigned);
    paper.deny(HOST, RrType::DS, NOERROR, no_cut);
    assert_eq!(status(&paper, HOST), Status::Bogus);
    // And what comes after the way out, back in the island.
    paper.put(HOST, RrType::SSHFP, alias("far.test"));
    let back = name("back.example.test");
    paper.put("far.test", RrType::SSHFP, vec![record("far.test", RrType::CNAME, back.wire())]);
    paper.publish(ZONE, "back.example.test", RrType::SSHFP, &[SSHFP]);
    assert_eq!(status(&paper, HOST), Status::Insecure, "a proven target makes no secure of it");
    assert_eq!(status(&paper, "far.test"), Status::Indeterminate);
    let expired = island.sign_as("back.example.test", RrType::SSHFP, &[SSHFP], |r| r.expiration = 7);
    paper.put("back.example.test", RrType::SSHFP, expired);
    assert_eq!(status(&paper, HOST), Status::Bogus);
    assert_eq!(status(&paper, "far.test"), Status::Bogus);
}

#[test]
fn the_ds_set_of_an_island_is_of_a_zone_that_nobody_vouches_for() {
    let mut paper = Paper::tree(&[ZONE]);
    paper.deny(
        ZONE,
        RrType::DS,
        NOERROR,
        vec![record("test", RrType::SOA, &soa(&Zone::new("test"))[0].rdata)],
    );
    assert_eq!(paper.failure(ZONE, RrType::DS).status, Status::Insecure);
}
