//! Anchors, DS sets and keys: who may vouch for a zone.

use super::*;
use crate::proto::chain::Anchors;
use crate::proto::chain::paper::Key;

const ZONE: &str = "example.test";

fn with_ds(rdatas: &[&[u8]]) -> Result<(), &'static str> {
    let mut paper = paper();
    paper.publish("test", ZONE, RrType::DS, rdatas);
    proven(&paper)
}

#[test]
fn an_island_needs_nothing_above_it() {
    for rtype in [RrType::DS, RrType::DNSKEY] {
        let mut paper = Paper::tree(&[ZONE]);
        paper.publish(ZONE, HOST, RrType::SSHFP, &[ONE]);
        paper.anchors = Anchors::from_text(&paper.zone(ZONE).anchor(rtype)).unwrap();
        let run = paper.run(HOST, RrType::SSHFP);
        assert!(run.outcome.is_ok(), "{rtype}");
        assert_eq!(run.asked, [question(HOST, RrType::SSHFP), question(ZONE, RrType::DNSKEY)]);
        paper.anchors = Anchors::from_text(&Zone::new("other.test").anchor(rtype)).unwrap();
        assert_eq!(proven(&paper), Err("no-anchor"), "{rtype}");
        let stranger = Zone { key: Key::ed25519("stranger"), ..Zone::new(ZONE) };
        paper.anchors = Anchors::from_text(&stranger.anchor(rtype)).unwrap();
        assert_eq!(proven(&paper), Err("anchor-mismatch"), "{rtype}");
    }
}

#[test]
fn the_closest_anchor_alone_counts() {
    let mut paper = paper();
    let root = paper.zone(".").anchor(RrType::DS);
    let both = |paper: &Paper, zone: &Zone| {
        Anchors::from_text(&format!("{}{}", paper.zone(".").anchor(RrType::DS), zone.anchor(RrType::DS)))
            .unwrap()
    };
    paper.anchors = both(&paper, paper.zone(ZONE));
    let run = paper.run(HOST, RrType::SSHFP);
    assert!(run.outcome.is_ok());
    assert_eq!(run.asked.len(), 2, "nothing above the island's anchor is asked for");
    // The zones above may sign what they like: it is not heard.
    for above in [".", "test"] {
        paper.publish(above, HOST, RrType::SSHFP, &[ONE]);
        assert_eq!(proven(&paper), Err("above-anchor"), "{above}");
        paper.anchors = Anchors::from_text(&root).unwrap();
        assert_eq!(proven(&paper), Ok(()), "without the island's anchor {above} has its say");
        paper.anchors = both(&paper, paper.zone(ZONE));
    }
    // A stale anchor is no reason to fall back to the root, whose chain would hold.
    paper.publish(ZONE, HOST, RrType::SSHFP, &[ONE]);
    paper.anchors = both(&paper, &Zone { key: Key::ed25519("stale"), ..Zone::new(ZONE) });
    assert_eq!(proven(&paper), Err("anchor-mismatch"));
}

#[test]
fn ds_sets_belong_to_the_parent() {
    let paper = paper();
    let child = paper.zone(ZONE);
    let rdata = child.key.ds(&child.name, 2);
    assert_eq!(with_ds(&[&rdata]), Ok(()));
    let case = |signer: &Zone| {
        let mut paper = super::paper();
        paper.put(ZONE, RrType::DS, signer.sign(ZONE, RrType::DS, &[&rdata]));
        proven(&paper)
    };
    assert_eq!(case(paper.zone("test")), Ok(()));
    assert_eq!(case(child), Err("foreign-signer"), "the child signs its own DS");
    assert_eq!(case(&Zone::new("other.test")), Err("foreign-signer"), "a sibling signs it");
    let pretender = Zone { name: name("test"), ..Zone::new(ZONE) };
    assert_eq!(case(&pretender), Err("no-such-key"), "the child's key signs in the parent's name");
}

#[test]
fn a_ds_names_one_key_of_one_zone() {
    let key = &Zone::new(ZONE).key;
    let good = key.ds(&name(ZONE), 2);
    let other_zone = key.ds(&name("other.test"), 2);
    let other_key = Key::ed25519("other").ds(&name(ZONE), 2);
    assert_eq!(with_ds(&[&other_zone]), Err("ds-mismatch"));
    assert_eq!(with_ds(&[&other_key]), Err("ds-mismatch"));
    assert_eq!(with_ds(&[&other_key, &other_zone, &good]), Ok(()));
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        let code = with_ds(&[&flipped]).unwrap_err();
        assert!(matches!(code, "ds-mismatch" | "unsupported-ds"), "octet {at}: {code}");
    }
    assert_eq!(with_ds(&[&good[..good.len() - 1]]), Err("ds-mismatch"), "a digest cut short");
    assert_eq!(with_ds(&[&good[..4]]), Err("ds-mismatch"), "no digest at all");
}

#[test]
fn sha_1_and_unknown_digests_prove_nothing() {
    let key = &Zone::new(ZONE).key;
    assert_eq!(with_ds(&[&key.ds(&name(ZONE), 2)]), Ok(()));
    assert_eq!(with_ds(&[&key.ds(&name(ZONE), 4)]), Ok(()), "SHA-384");
    let sha1 = key.ds(&name(ZONE), 1);
    assert_eq!(with_ds(&[&sha1]), Err("unsupported-ds"));
    assert_eq!(with_ds(&[&sha1, &key.ds(&name(ZONE), 2)]), Ok(()), "beside one that counts");
    let other = Key::ed25519("other").ds(&name(ZONE), 2);
    assert_eq!(with_ds(&[&sha1, &other]), Err("ds-mismatch"), "it does not step in for one that counts");
}

#[test]
fn keys_that_may_not_sign_do_not() {
    for (flags, protocol, want) in [
        (257, 3, Ok(())),
        (256, 3, Ok(())),
        (257 | 0x80, 3, Err("ds-mismatch")),
        (1, 3, Err("ds-mismatch")),
        (0, 3, Err("ds-mismatch")),
        (257, 1, Err("ds-mismatch")),
    ] {
        let mut zone = Zone::new(ZONE);
        (zone.key.flags, zone.key.protocol) = (flags, protocol);
        let mut paper = paper();
        let ds = paper.zone("test").ds(&zone);
        paper.put(ZONE, RrType::DS, ds);
        paper.put(ZONE, RrType::DNSKEY, zone.keys_and(&[]));
        paper.put(HOST, RrType::SSHFP, zone.sign(HOST, RrType::SSHFP, &[ONE]));
        assert_eq!(proven(&paper), want, "flags {flags} protocol {protocol}");
    }
}

#[test]
fn a_zone_signing_key_signs_data_but_vouches_for_no_key() {
    let (ksk, mut zsk) = (Zone::new(ZONE), Zone { key: Key::ecdsa(13), ..Zone::new(ZONE) });
    zsk.key.flags = 256;
    let mut paper = paper();
    paper.put(ZONE, RrType::DNSKEY, ksk.keys_and(&[&zsk.key]));
    paper.put(HOST, RrType::SSHFP, zsk.sign(HOST, RrType::SSHFP, &[ONE]));
    assert_eq!(proven(&paper), Ok(()));
    // The same set of keys, but signed by the one that no DS names.
    paper.put(ZONE, RrType::DNSKEY, zsk.keys_and(&[&ksk.key]));
    assert_eq!(proven(&paper), Err("no-such-key"));
    let told = paper.failure(HOST, RrType::SSHFP).to_string();
    assert!(told.ends_with("which neither a DS record nor a trust anchor names"), "{told}");
    // A revoked or non-zone key in a proven set signs nothing either.
    for flags in [256 | 0x80, 0] {
        zsk.key.flags = flags;
        paper.put(ZONE, RrType::DNSKEY, ksk.keys_and(&[&zsk.key]));
        paper.put(HOST, RrType::SSHFP, zsk.sign(HOST, RrType::SSHFP, &[ONE]));
        assert_eq!(proven(&paper), Err("no-such-key"), "flags {flags}");
    }
}

#[test]
fn a_key_set_is_signed_in_its_own_zones_name() {
    let zone = Zone::new(ZONE);
    let case = |signer: &str| {
        let mut paper = paper();
        let keys = zone.sign_as(ZONE, RrType::DNSKEY, &[&zone.key.rdata()], |r| r.signer = name(signer));
        paper.put(ZONE, RrType::DNSKEY, keys);
        proven(&paper)
    };
    assert_eq!(case(ZONE), Ok(()));
    for signer in ["test", ".", "other.test"] {
        assert_eq!(case(signer), Err("no-signature"), "{signer}");
    }
}

#[test]
fn keys_added_on_the_way_or_signed_by_nobody_are_not_keys() {
    let evil = Zone { key: Key::ed25519("evil"), ..Zone::new(ZONE) };
    let mut paper = paper();
    paper.put(HOST, RrType::SSHFP, evil.sign(HOST, RrType::SSHFP, &[ONE]));
    assert_eq!(proven(&paper), Err("no-such-key"));
    let mut keys = paper.zone(ZONE).keys_and(&[]);
    keys.insert(0, record(ZONE, RrType::DNSKEY, &evil.key.rdata()));
    paper.put(ZONE, RrType::DNSKEY, keys.clone());
    assert_eq!(proven(&paper), Err("bad-signature"));
    keys.pop();
    paper.put(ZONE, RrType::DNSKEY, keys);
    assert_eq!(proven(&paper), Err("no-signature"));
    paper.put(ZONE, RrType::DNSKEY, evil.keys_and(&[]));
    assert_eq!(proven(&paper), Err("ds-mismatch"));
    let ds = evil.ds(&evil);
    paper.put(ZONE, RrType::DS, ds);
    assert_eq!(proven(&paper), Err("foreign-signer"), "a whole chain of one's own leads nowhere");
}

#[test]
fn a_link_that_is_missing_ends_the_chain() {
    let mut paper = paper();
    paper.deny(ZONE, RrType::DS, 0, Vec::new());
    let error = paper.prove(HOST, RrType::SSHFP).unwrap_err();
    assert_eq!(error.to_string(), "no DS for example.test at test");
    paper.deny(ZONE, RrType::DNSKEY, 3, Vec::new());
    let mut paper = super::paper();
    paper.deny(ZONE, RrType::DNSKEY, 3, Vec::new());
    let error = paper.prove(HOST, RrType::SSHFP).unwrap_err();
    assert_eq!(error.to_string(), "example.test has no DNSKEY record (NXDOMAIN)");
    paper.put(ZONE, RrType::DNSKEY, vec![record(ZONE, RrType::CNAME, name("test").wire())]);
    assert_eq!(proven(&paper), Err("bad-alias"), "zone material is never behind an alias");
}

#[test]
fn zones_of_each_algorithm_prove() {
    for algorithm in [13, 14] {
        let zone = Zone { key: Key::ecdsa(algorithm), ..Zone::new(ZONE) };
        let mut paper = paper();
        let ds = paper.zone("test").ds(&zone);
        paper.put(ZONE, RrType::DS, ds);
        paper.put(ZONE, RrType::DNSKEY, zone.keys_and(&[]));
        paper.put(HOST, RrType::SSHFP, zone.sign(HOST, RrType::SSHFP, &[ONE]));
        assert_eq!(proven(&paper), Ok(()), "{algorithm}");
        let mut flipped = zone.sign(HOST, RrType::SSHFP, &[ONE]);
        flipped[0].rdata[3] ^= 1;
        paper.put(HOST, RrType::SSHFP, flipped);
        assert_eq!(proven(&paper), Err("bad-signature"), "{algorithm}");
    }
}
