//! Which CA sets speak for which hosts.

use super::*;

const IN_CHILD: &str = "web.child.example.test";

/// A tree without CA sets.
fn bare() -> Paper {
    let mut paper = Paper::tree(&[".", "test", ZONE, "_ssh.example.test", CHILD, "other.test"]);
    for (zone, host) in [(ZONE, HOST), (CHILD, IN_CHILD), (ZONE, "web.lab.example.test"), (ZONE, ZONE)] {
        paper.publish(zone, host, RrType::A, &[&[192, 0, 2, 1]]);
    }
    paper.revoke(ZONE, ZONE, &[]);
    paper.revoke(CHILD, CHILD, &[]);
    paper
}

/// A tree with this one CA set, put there by this zone.
fn with(zone: &str, at: &str) -> Paper {
    let mut paper = bare();
    paper.cas(zone, at, &[CA]);
    paper
}

#[test]
fn at_the_apex_for_all_and_below_for_those_below() {
    assert_eq!(by_ca(&with(ZONE, ZONE), HOST), "accept");
    assert_eq!(by_ca(&with(ZONE, ZONE), "web.lab.example.test"), "accept");
    assert_eq!(by_ca(&with(ZONE, "lab.example.test"), "web.lab.example.test"), "accept");
    assert_ne!(by_ca(&with(ZONE, "lab.example.test"), HOST), "accept");
    // Both count together.
    let mut both = with(ZONE, "lab.example.test");
    both.cas(ZONE, ZONE, &[7]);
    assert_eq!(by_ca(&both, "web.lab.example.test"), "accept");
    let ca_7 = Draft { ca: secret(7), ..Draft::of("web.lab.example.test") }.presented();
    assert_eq!(told(&both, "web.lab.example.test", &ca_7, &Policy::default()), ACCEPT);
}

#[test]
fn not_at_the_hosts_own_name_unless_that_is_the_apex() {
    assert_ne!(by_ca(&with(ZONE, HOST), HOST), "accept");
    assert_eq!(by_ca(&with(ZONE, ZONE), ZONE), "accept");
}

#[test]
fn not_from_the_zone_above() {
    assert_eq!(by_ca(&with(CHILD, CHILD), IN_CHILD), "accept");
    assert_ne!(by_ca(&with(ZONE, ZONE), IN_CHILD), "accept");
    // Nor in the child's place, signed from above.
    assert_ne!(by_ca(&with(ZONE, CHILD), IN_CHILD), "accept");
}

#[test]
fn not_by_a_wildcard_of_the_zone_above() {
    let expanded = |paper: &Paper, owner: &str, rtype, rdata: &[u8]| {
        paper.zone(ZONE).sign_as(owner, rtype, &[rdata], |rrsig| rrsig.labels = 2)
    };
    // The child's records are withheld; what the parent's wildcard would say stands in their place.
    let mut paper = with(ZONE, ZONE);
    for rtype in [RrType::A, RrType::AAAA, RrType::CNAME, RrType::SSHFP] {
        let records = expanded(&paper, IN_CHILD, rtype, &[192, 0, 2, 1]);
        paper.put(IN_CHILD, rtype, records);
    }
    assert_ne!(by_ca(&paper, IN_CHILD), "accept");
    assert_eq!(gather(&paper, IN_CHILD, &Policy::default(), Scope::Cas).host_zone(NOW), None);
    // The same with the host's zone known, and its CA set from the wildcard.
    let mut paper = bare();
    let set = expanded(&paper, "_ca._ssh.child.example.test", RrType::SSHFP, &sha256(&public(CA)));
    paper.put("_ca._ssh.child.example.test", RrType::SSHFP, set);
    assert_ne!(by_ca(&paper, IN_CHILD), "accept");
    // The twin: signed for what it is, the parent's address makes the host the parent's.
    let mut paper = with(ZONE, ZONE);
    paper.publish(ZONE, IN_CHILD, RrType::A, &[&[192, 0, 2, 1]]);
    assert_eq!(by_ca(&paper, IN_CHILD), "accept");
}

#[test]
fn two_proofs_that_differ_tell_no_zone() {
    let mut paper = with(ZONE, ZONE);
    paper.publish(ZONE, IN_CHILD, RrType::AAAA, &[&[0; 16]]);
    assert_ne!(by_ca(&paper, IN_CHILD), "accept");
    paper.publish(CHILD, IN_CHILD, RrType::AAAA, &[&[0; 16]]);
    paper.cas(CHILD, CHILD, &[CA]);
    assert_eq!(by_ca(&paper, IN_CHILD), "accept");
}

#[test]
fn another_zone_speaks_where_the_hosts_zone_says_so() {
    let aliased = |zone: &str, owner: &str, target: &str| {
        let mut paper = with(ZONE, ZONE);
        paper.alias(zone, owner, target);
        by_ca(&paper, IN_CHILD)
    };
    let (here, there) = ("_ca._ssh.child.example.test", "_ca._ssh.example.test");
    assert_eq!(aliased(CHILD, here, there), "accept");
    assert_ne!(aliased(ZONE, here, there), "accept", "the zone above says so");
    // To a set of another kind.
    let mut paper = with(ZONE, ZONE);
    paper.publish(ZONE, "cas.example.test", RrType::SSHFP, &[&sha256(&public(CA))]);
    paper.alias(CHILD, here, "cas.example.test");
    assert_ne!(by_ca(&paper, IN_CHILD), "accept");
    // Only the zone that is asked may lead to another.
    let mut paper = with(ZONE, ZONE);
    paper.cas("other.test", "other.test", &[5]);
    paper.alias(CHILD, here, "_ca._ssh.lab.example.test");
    paper.alias(ZONE, "_ca._ssh.lab.example.test", "_ca._ssh.other.test");
    let ca_5 = Draft { ca: secret(5), ..Draft::of(IN_CHILD) }.presented();
    assert!(!told(&paper, IN_CHILD, &ca_5, &Policy::default()).1.contains("accept"));
    // The twin leads there itself.
    paper.alias(CHILD, here, "_ca._ssh.other.test");
    assert_eq!(told(&paper, IN_CHILD, &ca_5, &Policy::default()), ACCEPT);
}

#[test]
fn a_set_elsewhere_needs_the_revoked_set_beside_it_too() {
    let mut paper = with(ZONE, ZONE);
    paper.alias(CHILD, "_ca._ssh.child.example.test", "_ca._ssh.example.test");
    assert_eq!(by_ca(&paper, IN_CHILD), "accept");
    for at in [ZONE, CHILD] {
        let mut lacking = with(ZONE, ZONE);
        lacking.alias(CHILD, "_ca._ssh.child.example.test", "_ca._ssh.example.test");
        lacking.silence(&format!("_revoked._ssh.{at}"), RrType::SSHFP);
        assert_eq!(by_ca(&lacking, IN_CHILD), "revocation-unproven", "{at}");
    }
    // A host's zone without keys of its own to revoke may lead to another's as well.
    paper.alias(CHILD, "_revoked._ssh.child.example.test", "_revoked._ssh.example.test");
    assert_eq!(by_ca(&paper, IN_CHILD), "accept");
    paper.alias(ZONE, "_revoked._ssh.child.example.test", "_revoked._ssh.example.test");
    assert_eq!(by_ca(&paper, IN_CHILD), "revocation-unproven", "the zone above says so");
}

#[test]
fn a_narrow_set_needs_the_revoked_set_of_the_zone_too() {
    let host = "web.lab.example.test";
    assert_eq!(by_ca(&with(ZONE, "lab.example.test"), host), "accept");
    for at in [ZONE, "lab.example.test"] {
        let mut lacking = with(ZONE, "lab.example.test");
        lacking.silence(&format!("_revoked._ssh.{at}"), RrType::SSHFP);
        assert_eq!(by_ca(&lacking, host), "revocation-unproven", "{at}");
    }
}

#[test]
fn the_underscore_name_may_be_a_zone_of_its_own() {
    let delegated = "_ssh.example.test";
    assert_eq!(by_ca(&with(delegated, ZONE), HOST), "accept");
    // Its DS is the word of the host's zone.
    let mut paper = with(delegated, ZONE);
    paper.silence(delegated, RrType::DS);
    assert_ne!(by_ca(&paper, HOST), "accept");
    // It speaks for no zone but that above it.
    let mut paper = with(delegated, ZONE);
    paper.alias(delegated, "_ca._ssh.example.test", "_ca._ssh.other.test");
    paper.cas("other.test", "other.test", &[CA]);
    assert_ne!(by_ca(&paper, HOST), "accept");
}

#[test]
fn what_stands_at_the_hosts_name_tells_its_zone() {
    let paper = |rtype: Option<RrType>| {
        let mut paper = with(ZONE, ZONE);
        paper.silence(HOST, RrType::A);
        if let Some(rtype) = rtype {
            let target = name("elsewhere.other.test");
            let rdata: &[u8] = match rtype {
                RrType::CNAME => target.wire(),
                RrType::SSHFP => &[4, 2, 1],
                RrType::A => &[192, 0, 2, 1],
                _ => &[0; 16],
            };
            let records = paper.zone(ZONE).sign(HOST, rtype, &[rdata]);
            if rtype == RrType::CNAME {
                for asked in [RrType::SSHFP, RrType::A, RrType::AAAA] {
                    paper.put(HOST, asked, records.clone());
                }
            }
            paper.put(HOST, rtype, records);
        }
        paper
    };
    for rtype in [RrType::A, RrType::AAAA, RrType::CNAME, RrType::SSHFP] {
        assert_eq!(by_ca(&paper(Some(rtype)), HOST), "accept", "{rtype}");
    }
    assert_ne!(by_ca(&paper(None), HOST), "accept");
    // A CNAME made from a DNAME is nobody's, and so is a port label.
    let mut dname = paper(None);
    let records = dname.zone(ZONE).sign("host.example.test", RrType::DNAME, &[name("other.test").wire()]);
    dname.put("web.host.example.test", RrType::A, records);
    assert_ne!(by_ca(&dname, "web.host.example.test"), "accept");
    let mut label = paper(None);
    label.publish(ZONE, "_22._ssh.host.example.test", RrType::SSHFP, &[&sha256(&ecdsa())]);
    assert_ne!(by_ca(&label, HOST), "accept");
}

#[test]
fn sets_are_sought_from_the_apex_down_to_above_the_host() {
    let places = |of: &str, policy: &Policy| {
        let evidence = gather(&bare(), of, policy, Scope::Cas);
        evidence.places(policy, NOW).iter().map(|at| at.to_string()).collect::<Vec<_>>()
    };
    let any = Policy::default();
    assert_eq!(places("web.lab.example.test", &any), [ZONE, "lab.example.test"]);
    assert_eq!(places(ZONE, &any), [ZONE]);
    assert_eq!(places(IN_CHILD, &any), [CHILD]);
    assert!(places("nowhere.example.test", &any).is_empty());
    let pinned = Policy { ca_at: Some(vec![name("lab.example.test")]), ..Policy::default() };
    assert_eq!(places("web.lab.example.test", &pinned), ["lab.example.test"]);
}
