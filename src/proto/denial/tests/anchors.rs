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
