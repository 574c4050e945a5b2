//! Signatures that are right as such, by the wrong key or at the wrong time.

use super::{HOST, World};
use crate::support::forge::{Claims, SigningKey, now};
use crate::support::wire::{RRSIG, Rr, SSHFP, WireName};

/// The impostor's record at the host, signed by `key` as `change` says.
fn signed_by(world: &World, key: &SigningKey, change: impl FnOnce(Claims) -> Claims) -> Vec<Rr> {
    let set = vec![world.impostors_record(HOST)];
    let signature = key.sign_as(&set, change(key.claims(&set)));
    [set, vec![signature]].concat()
}

#[test]
fn expired_and_not_yet_valid_signatures_are_refused() {
    let world = World::start();
    let key = world.key("example.test.");
    let now = now();
    // The twin: the same record, signed by the same key for now.
    world.forge(&[(HOST, SSHFP, signed_by(&world, &key, |claims| claims))]);
    world.accepts(HOST, &world.impostor);
    for (inception, expiration) in [
        (now - 86_400, now - 60),
        (now - 172_800, now - 86_400),
        (now + 3600, now + 86_400),
        // The end before the beginning.
        (now + 86_400, now - 86_400),
        (now - 60, now - 120),
        // Half the circle of serial numbers away (RFC 1982).
        (now - 60, now.wrapping_add(1 << 31).wrapping_add(60)),
    ] {
        let claims = |claims| Claims { inception, expiration, ..claims };
        world.forge(&[(HOST, SSHFP, signed_by(&world, &key, claims))]);
        world.refuses(HOST, &world.impostor);
    }
}

#[test]
fn an_expired_signature_beside_a_good_one_does_no_harm() {
    let world = World::start();
    let key = world.key("example.test.");
    let genuine = world.genuine(HOST, SSHFP);
    let set: Vec<Rr> = genuine.iter().filter(|rr| rr.rtype == SSHFP).cloned().collect();
    let claims = Claims { inception: now() - 86_400, expiration: now() - 60, ..key.claims(&set) };
    let mut both = genuine.clone();
    both.insert(set.len(), key.sign_as(&set, claims));
    world.forge(&[(HOST, SSHFP, both)]);
    world.accepts(HOST, &world.honest);
}

#[test]
fn a_signature_by_a_sibling_zone_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    let key = world.key("other.test.");
    // The twin: at its own names that key counts.
    let own = key.signed(vec![world.impostors_record("web1.other.test.")]);
    world.forge(&[("web1.other.test.", SSHFP, own)]);
    world.accepts("web1.other.test.", &world.impostor);
    // In its own name, in the zone's name, and in that of the parent of both.
    let tag = world.key("example.test.").tag();
    world.forge(&[(HOST, SSHFP, signed_by(&world, &key, |claims| claims))]);
    world.refuses(HOST, &world.impostor);
    for signer in ["example.test.", "test.", "."] {
        for key_tag in [key.tag(), tag] {
            let claims = |claims| Claims { signer: WireName::new(signer), key_tag, ..claims };
            world.forge(&[(HOST, SSHFP, signed_by(&world, &key, claims))]);
            world.refuses(HOST, &world.impostor);
        }
    }
}

#[test]
fn a_child_that_signs_for_its_parent_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    let child = world.key("sub.example.test.");
    let own = child.signed(vec![world.impostors_record("web1.sub.example.test.")]);
    world.forge(&[("web1.sub.example.test.", SSHFP, own)]);
    world.accepts("web1.sub.example.test.", &world.impostor);
    world.forge(&[(HOST, SSHFP, signed_by(&world, &child, |claims| claims))]);
    world.refuses(HOST, &world.impostor);
    let claims = |claims| Claims { signer: WireName::new("example.test."), ..claims };
    world.forge(&[(HOST, SSHFP, signed_by(&world, &child, claims))]);
    world.refuses(HOST, &world.impostor);
}

#[test]
fn a_zone_above_speaks_for_what_is_below_unless_the_anchor_is_the_own_zone() {
    let mut world = World::start();
    // The TLD signs the host's record itself, across the zone cut. It could as well sign another DS, so
    // this is no wider trust: the README says so, and names the remedy.
    world.forge(&[(HOST, SSHFP, signed_by(&world, &world.key("test."), |claims| claims))]);
    world.accepts(HOST, &world.impostor);
    world.anchor = world.tree.anchor_of("example.test.");
    world.refuses(HOST, &world.impostor);
    world.honest_twin_is_accepted();
}

#[test]
fn claims_that_do_not_fit_the_records_are_refused() {
    let world = World::start();
    let key = world.key("example.test.");
    world.forge(&[(HOST, SSHFP, signed_by(&world, &key, |claims| claims))]);
    world.accepts(HOST, &world.impostor);
    let spoilt: [fn(Claims) -> Claims; 6] = [
        |claims| Claims { covered: 1, ..claims },
        |claims| Claims { algorithm: 8, ..claims },
        |claims| Claims { algorithm: 5, ..claims },
        // As if it came from a wildcard, and as if the owner were longer than it is.
        |claims| Claims { labels: claims.labels - 1, ..claims },
        |claims| Claims { labels: claims.labels + 1, ..claims },
        |claims| Claims { key_tag: claims.key_tag.wrapping_add(1), ..claims },
    ];
    for change in spoilt {
        world.forge(&[(HOST, SSHFP, signed_by(&world, &key, change))]);
        world.refuses(HOST, &world.impostor);
    }
    // The TTL on the wire may shrink on its way, and must not grow beyond what was signed.
    let mut shorter = signed_by(&world, &key, |claims| claims);
    shorter.iter_mut().for_each(|rr| rr.ttl = 1);
    world.forge(&[(HOST, SSHFP, shorter)]);
    world.accepts(HOST, &world.impostor);
}

#[test]
fn fifty_junk_signatures_are_refused_in_time() {
    let world = World::start();
    world.honest_twin_is_accepted();
    let key = world.key("example.test.");
    // Each names the right key and is wrong: what costs most to refuse (CVE-2023-50387).
    let junk = |set: &[Rr], count: u8| -> Vec<Rr> {
        let spoil = |i: u8| {
            let mut rr = key.sign(set);
            let last = rr.data.len() - 1;
            rr.data[last] ^= i + 1;
            rr
        };
        (0..count).map(spoil).collect()
    };
    let theirs = vec![world.impostors_record(HOST)];
    world.forge(&[(HOST, SSHFP, [theirs.clone(), junk(&theirs, 50)].concat())]);
    world.refuses(HOST, &world.impostor);

    let genuine = world.genuine(HOST, SSHFP);
    let (set, real): (Vec<Rr>, Vec<Rr>) = genuine.into_iter().partition(|rr| rr.rtype != RRSIG);
    world.forge(&[(HOST, SSHFP, [set.clone(), junk(&set, 50), real.clone()].concat())]);
    world.refuses(HOST, &world.honest);
    // The twin: a few do no harm.
    world.forge(&[(HOST, SSHFP, [set.clone(), junk(&set, 3), real].concat())]);
    world.accepts(HOST, &world.honest);
}

#[test]
fn a_signature_whose_signer_is_below_the_owner_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    // The zone below is secure, and its key is its own; it signs for the apex of the zone above it.
    let apex = "example.test.";
    let set = vec![world.impostors_record(apex)];
    let child = world.key("sub.example.test.");
    world.forge(&[(apex, SSHFP, child.signed(set.clone()))]);
    assert_eq!(world.refuses(apex, &world.impostor), "foreign-signer");
    // A zone that the host itself seems to hold.
    let signer = WireName::new(&format!("below.{HOST}"));
    let claims = |claims| Claims { signer, ..claims };
    world.forge(&[(HOST, SSHFP, signed_by(&world, &child, claims))]);
    assert_eq!(world.refuses(HOST, &world.impostor), "foreign-signer");
    // The twin: the apex' own zone signs.
    world.forge(&[(apex, SSHFP, world.key(apex).signed(set))]);
    world.accepts(apex, &world.impostor);
}
