//! Forged links further up: keys and delegations.

use super::{HOST, World};
use crate::support::forge::{Claims, SigningKey, key_tag};
use crate::support::wire::{DNSKEY, DS, Rr, SSHFP, WireName};

const ZONE: &str = "example.test.";

fn renamed(answer: Vec<Rr>, owner: &str) -> Vec<Rr> {
    answer.into_iter().map(|rr| Rr { name: WireName::new(owner), ..rr }).collect()
}

/// All that the owner of other.test. can make for the host with its own keys: its DNSKEY set as the
/// zone's, and the impostor's record, both signed in the zone's name.
fn usurped(world: &World) -> (Vec<Rr>, Vec<Rr>) {
    let (ksk, zsk) = (world.ksk("other.test."), world.key("other.test."));
    let signer = WireName::new(ZONE);
    let keys = vec![ksk.as_of(ZONE), zsk.as_of(ZONE)];
    let mut claims = ksk.claims(&keys);
    claims.signer = signer.clone();
    let keys = [keys.clone(), vec![ksk.sign_as(&keys, claims)]].concat();
    let set = vec![world.impostors_record(HOST)];
    let mut claims = zsk.claims(&set);
    claims.signer = signer;
    let set = [set.clone(), vec![zsk.sign_as(&set, claims)]].concat();
    (keys, set)
}

#[test]
fn keys_that_no_ds_names_are_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    let (keys, set) = usurped(&world);
    world.forge(&[(ZONE, DNSKEY, keys.clone()), (HOST, SSHFP, set.clone())]);
    world.refuses(HOST, &world.impostor);
    // Slipped in among the real keys, whose signature does not cover it.
    let mixed = [world.genuine(ZONE, DNSKEY), keys].concat();
    world.forge(&[(ZONE, DNSKEY, mixed), (HOST, SSHFP, set)]);
    world.refuses(HOST, &world.impostor);
    world.refuses(HOST, &world.honest);
}

#[test]
fn the_ds_of_another_zone_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    let (keys, set) = usurped(&world);
    let theirs = world.genuine("other.test.", DS);
    // As it is, renamed with its signature, and made for the zone with the digest that fits.
    let made = vec![world.ksk("other.test.").ds(ZONE)];
    let by_itself = world.key("other.test.").signed(made.clone());
    let real_signature: Vec<Rr> = world.genuine(ZONE, DS).into_iter().filter(|rr| rr.signs(DS)).collect();
    for ds in [
        theirs.clone(),
        renamed(theirs.clone(), ZONE),
        [made.clone(), renamed(theirs.into_iter().filter(|rr| rr.signs(DS)).collect(), ZONE)].concat(),
        [made.clone(), real_signature].concat(),
        by_itself,
        made.clone(),
    ] {
        world.forge(&[(ZONE, DS, ds), (ZONE, DNSKEY, keys.clone()), (HOST, SSHFP, set.clone())]);
        world.refuses(HOST, &world.impostor);
    }
    // The twin: if the TLD itself signs that DS, it holds. Whoever holds a key above speaks for all below.
    let delegated = world.key("test.").signed(made);
    world.forge(&[(ZONE, DS, delegated), (ZONE, DNSKEY, keys), (HOST, SSHFP, set)]);
    world.accepts(HOST, &world.impostor);
}

#[test]
fn a_key_that_is_no_zone_key_signs_nothing() {
    let world = World::start();
    let ksk = world.ksk(ZONE);
    let zsk = world.key(ZONE);
    let set = vec![world.impostors_record(HOST)];
    let with_flags = |flags: u16| {
        let mut key = zsk.as_of(ZONE);
        key.data[..2].copy_from_slice(&flags.to_be_bytes());
        let keys = vec![ksk.as_of(ZONE), key.clone()];
        let mut claims = zsk.claims(&set);
        claims.key_tag = key_tag(&key.data);
        (ksk.signed(keys), [set.clone(), vec![zsk.sign_as(&set, claims)]].concat())
    };
    // 256: a zone key. 0: none. 384: a zone key that has been revoked (RFC 5011).
    for (flags, good) in [(256, true), (0, false), (384, false)] {
        let (keys, set) = with_flags(flags);
        world.forge(&[(ZONE, DNSKEY, keys), (HOST, SSHFP, set)]);
        if good {
            world.accepts(HOST, &world.impostor);
        } else {
            world.refuses(HOST, &world.impostor);
        }
    }
}

#[test]
fn a_zone_declared_unsigned_by_a_forger_proves_nothing() {
    let world = World::start();
    world.honest_twin_is_accepted();
    // No DS any more, and the impostor's record without a signature, as in an unsigned zone.
    world.forge(&[(ZONE, DS, Vec::new()), (HOST, SSHFP, vec![world.impostors_record(HOST)])]);
    world.refuses(HOST, &world.impostor);
    // With the real denial of another delegation's DS.
    let plain = {
        let asked = crate::support::ask::question("plain.test.", hickory_proto::rr::RecordType::DS);
        let reply = crate::support::forger::ask_tcp(world.unbound.addr(), &asked.to_vec().unwrap()).unwrap();
        crate::support::wire::Dns::read(&reply).authority
    };
    let theirs = vec![world.impostors_record(HOST)];
    world.forger.change(move |message| {
        if message.is_for(ZONE, DS) {
            *message = message.answered(Vec::new());
            message.authority = plain.clone();
        } else if message.is_for(HOST, SSHFP) {
            *message = message.answered(theirs.clone());
        }
    });
    world.refuses(HOST, &world.impostor);
}

#[test]
fn a_ds_set_signed_by_the_child_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    // Whoever has taken the zone's own keys delegates it to keys of their choice.
    let (keys, set) = usurped(&world);
    let made = vec![world.ksk("other.test.").ds(ZONE)];
    let signed_by = |key: &SigningKey, signer: &str| {
        let claims = Claims { signer: WireName::new(signer), ..key.claims(&made) };
        [made.clone(), vec![key.sign_as(&made, claims)]].concat()
    };
    for key in [world.ksk(ZONE), world.key(ZONE)] {
        for signer in [ZONE, "test.", "."] {
            let ds = signed_by(&key, signer);
            world.forge(&[(ZONE, DS, ds), (ZONE, DNSKEY, keys.clone()), (HOST, SSHFP, set.clone())]);
            world.refuses(HOST, &world.impostor);
        }
    }
    // The twin: the parent may.
    let ds = signed_by(&world.key("test."), "test.");
    world.forge(&[(ZONE, DS, ds), (ZONE, DNSKEY, keys), (HOST, SSHFP, set)]);
    world.accepts(HOST, &world.impostor);
}

#[test]
fn a_downgrade_of_the_algorithm_or_the_digest_does_not_make_a_zone_unsigned() {
    let world = World::start();
    world.honest_twin_is_accepted();
    let genuine = world.genuine(ZONE, DS);
    let theirs = vec![world.impostors_record(HOST)];
    // Octet 2 is the algorithm, octet 3 the type of the digest: unknown ones, and SHA-1.
    for (octet, number) in [(2, 200), (2, 5), (3, 200), (3, 1)] {
        let mut weak = genuine.clone();
        weak.iter_mut().filter(|rr| rr.rtype == DS).for_each(|rr| rr.data[octet] = number);
        let bare: Vec<Rr> = weak.iter().filter(|rr| rr.rtype == DS).cloned().collect();
        for ds in [weak, bare.clone(), world.key(ZONE).signed(bare.clone())] {
            world.forge(&[(ZONE, DS, ds), (HOST, SSHFP, theirs.clone())]);
            assert_ne!(world.refuses(HOST, &world.impostor), "insecure", "{octet} {number}");
        }
        // The twin: the parent may say so, and then the zone counts as unsigned, and vouches for nobody.
        let said = world.key("test.").signed(bare);
        world.forge(&[(ZONE, DS, said), (HOST, SSHFP, theirs.clone())]);
        assert_eq!(world.refuses(HOST, &world.impostor), "insecure", "{octet} {number}");
    }
}

#[test]
fn a_key_with_the_tag_of_another_is_not_taken_for_it() {
    let world = World::start();
    let (ksk, zsk) = (world.ksk(ZONE), world.key(ZONE));
    // Unassigned flags are free to choose, so that any two keys can be given one tag.
    let colliding = |key: &SigningKey, with: u16| {
        let mut rr = key.as_of(ZONE);
        let flags = (0..=u16::MAX).filter(|flags| flags & 0x0180 == 0x0100).find(|flags| {
            rr.data[..2].copy_from_slice(&flags.to_be_bytes());
            key_tag(&rr.data) == with
        });
        flags.map(|_| rr)
    };
    let others = ["other.test.", "sub.example.test.", "test.", ".", "broken.test."];
    let keys = others.iter().flat_map(|zone| [world.key(zone), world.ksk(zone)]);
    let tags = [zsk.tag(), ksk.tag()];
    let twin_of = |key: &SigningKey| tags.iter().find_map(|tag| Some((colliding(key, *tag)?, *tag)));
    let (key, (twin, key_tag)) = keys.filter_map(|key| twin_of(&key).map(|twin| (key, twin))).next().unwrap();
    let set = vec![world.impostors_record(HOST)];
    let claims = Claims { signer: WireName::new(ZONE), key_tag, ..key.claims(&set) };
    let forged = [set.clone(), vec![key.sign_as(&set, claims)]].concat();
    world.forge(&[(HOST, SSHFP, forged.clone())]);
    world.refuses(HOST, &world.impostor);
    let slipped_in = [world.genuine(ZONE, DNSKEY), vec![twin.clone()]].concat();
    world.forge(&[(ZONE, DNSKEY, slipped_in), (HOST, SSHFP, forged.clone())]);
    world.refuses(HOST, &world.impostor);
    // The twins: a zone that has two keys of one tag is proven by either.
    let both = ksk.signed(vec![ksk.as_of(ZONE), twin, zsk.as_of(ZONE)]);
    world.forge(&[(ZONE, DNSKEY, both.clone())]);
    world.accepts(HOST, &world.honest);
    world.forge(&[(ZONE, DNSKEY, both), (HOST, SSHFP, forged)]);
    world.accepts(HOST, &world.impostor);
}
