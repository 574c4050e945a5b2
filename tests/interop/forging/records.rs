//! Real signatures over other records than those that are shown.

use super::{HOST, World};
use crate::support::forge::{Claims, now};
use crate::support::forger::Forger;
use crate::support::wire::{CNAME, NSEC, RRSIG, Rr, SOA, SSHFP, WireName};

/// `answer` with every owner changed to `owner`.
fn renamed(answer: &[Rr], owner: &str) -> Vec<Rr> {
    answer.iter().map(|rr| Rr { name: WireName::new(owner), ..rr.clone() }).collect()
}

#[test]
fn a_flipped_digest_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    for octet in [2, 33] {
        world.forger.change(move |message| {
            for rr in message.answer.iter_mut().filter(|rr| rr.rtype == SSHFP) {
                rr.data[octet] ^= 1;
            }
        });
        world.refuses(HOST, &world.honest);
    }
    // The impostor's digest in place of the host's, its signature as it was.
    let (genuine, theirs) = (world.genuine(HOST, SSHFP), world.impostors_record(HOST));
    let swapped = genuine.iter().map(|rr| if rr.rtype == SSHFP { theirs.clone() } else { rr.clone() });
    world.forge(&[(HOST, SSHFP, swapped.collect())]);
    world.refuses(HOST, &world.impostor);
    // The same relay, the same way, with the truth.
    world.forge(&[(HOST, SSHFP, genuine)]);
    world.accepts(HOST, &world.honest);
}

#[test]
fn an_added_record_spoils_the_set() {
    let world = World::start();
    world.honest_twin_is_accepted();
    let mut answer = world.genuine(HOST, SSHFP);
    answer.insert(0, world.impostors_record(HOST));
    world.forge(&[(HOST, SSHFP, answer)]);
    world.refuses(HOST, &world.impostor);
    world.refuses(HOST, &world.honest);
}

#[test]
fn an_unsigned_set_beside_the_signed_one_is_refused() {
    let world = World::start();
    let theirs = world.impostors_record(HOST);
    // In the authority section, where nobody asked for it: the truth in the answer still holds.
    world.forger.change(move |message| {
        if message.is_for(HOST, SSHFP) {
            message.authority.insert(0, theirs.clone());
            message.additional.insert(0, theirs.clone());
        }
    });
    world.refuses(HOST, &world.impostor);
    world.accepts(HOST, &world.honest);
}

#[test]
fn a_removed_record_spoils_the_set() {
    let world = World::start();
    world.honest_twin_is_accepted();
    for at in 0..2 {
        let mut answer = world.genuine(HOST, SSHFP);
        assert_eq!(answer.iter().filter(|rr| rr.rtype == SSHFP).count(), 2);
        answer.remove(at);
        world.forge(&[(HOST, SSHFP, answer)]);
        world.refuses(HOST, &world.honest);
    }
    // All of them gone: no signature comes with it, and no proof of absence either.
    world.forge(&[(HOST, SSHFP, Vec::new())]);
    world.refuses(HOST, &world.honest);
}

#[test]
fn the_order_of_records_does_not_matter() {
    let world = World::start();
    let mut answer = world.genuine(HOST, SSHFP);
    answer.reverse();
    world.forge(&[(HOST, SSHFP, answer)]);
    world.accepts(HOST, &world.honest);
}

#[test]
fn a_stripped_signature_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    // Everywhere, and of the impostor's record.
    world.forger.change(|message| {
        message.answer.retain(|rr| rr.rtype != RRSIG);
        message.authority.retain(|rr| rr.rtype != RRSIG);
    });
    world.refuses(HOST, &world.honest);
    world.forge(&[(HOST, SSHFP, vec![world.impostors_record(HOST)])]);
    world.refuses(HOST, &world.impostor);
    // Of the keys and the delegation alone.
    for rtype in [crate::support::wire::DNSKEY, crate::support::wire::DS] {
        world.forger.change(move |message| message.answer.retain(|rr| !rr.signs(rtype)));
        world.refuses(HOST, &world.honest);
    }
}

#[test]
fn the_signed_set_of_a_sibling_is_refused_as_it_is_and_renamed() {
    let world = World::start();
    let sibling = world.genuine("web2.example.test.", SSHFP);
    // The twin: at its own name it counts, through the same relay.
    world.forge(&[("web2.example.test.", SSHFP, sibling.clone())]);
    world.accepts("web2.example.test.", &world.impostor);
    world.forge(&[(HOST, SSHFP, sibling.clone())]);
    world.refuses(HOST, &world.impostor);
    world.forge(&[(HOST, SSHFP, renamed(&sibling, HOST))]);
    world.refuses(HOST, &world.impostor);
    // Both sets, so that the question seems answered.
    world.forge(&[(HOST, SSHFP, [sibling, world.genuine(HOST, SSHFP)].concat())]);
    world.refuses(HOST, &world.impostor);
    world.accepts(HOST, &world.honest);
}

#[test]
fn a_set_renamed_to_the_port_label_is_refused() {
    let world = World::start();
    let label = format!("_{}._ssh.{HOST}", world.impostor.port());
    let sibling = world.genuine("web2.example.test.", SSHFP);
    world.forge(&[(&label, SSHFP, renamed(&sibling, &label))]);
    world.refuses(HOST, &world.impostor);
    world.accepts(HOST, &world.honest);
    // Really signed for that label, it counts there and on no other port.
    let key = world.key("example.test.");
    world.forge(&[(&label, SSHFP, key.signed(vec![world.impostors_record(&label)]))]);
    world.accepts(HOST, &world.impostor);
    let other = format!("_{}._ssh.{HOST}", world.honest.port());
    world.forge(&[
        (&label, SSHFP, key.signed(vec![world.impostors_record(&other)])),
        (&other, SSHFP, key.signed(vec![world.impostors_record(&other)])),
    ]);
    world.refuses(HOST, &world.impostor);
}

#[test]
fn a_wildcard_replayed_at_an_existing_name_is_refused() {
    let world = World::start();
    let host = "web1.wild.example.test.";
    world.forger.honest();
    world.accepts(host, &world.honest);
    // What the zone really answers for a name that the wildcard covers, with its denial of the name.
    let expanded = world.genuine("web9.wild.example.test.", SSHFP);
    assert!(expanded.iter().any(|rr| rr.rtype == SSHFP), "the wildcard answers: {expanded:?}");
    world.forge(&[(host, SSHFP, renamed(&expanded, host))]);
    world.refuses(host, &world.impostor);
    let replayed = renamed(&expanded, host);
    world.forger.change(move |message| {
        if message.is_for(host, SSHFP) {
            let denial: Vec<Rr> = message.authority.iter().filter(|rr| rr.concerns(NSEC)).cloned().collect();
            *message = message.answered(replayed.clone());
            message.authority = denial;
            // An unsigned stranger beside it.
            message.authority.push(Rr::new("unrelated.", SOA, vec![0; 22]));
        }
    });
    world.refuses(host, &world.impostor);
    // Nor does it vouch for names that do not exist, honestly expanded.
    world.forger.honest();
    world.refuses("web9.wild.example.test.", &world.impostor);
}

#[test]
fn an_unsigned_alias_is_refused() {
    let world = World::start();
    world.honest_twin_is_accepted();
    // The twin: a signed alias to the same place.
    world.accepts("alias.example.test.", &world.impostor);
    let alias = Rr::cname(HOST, "web1.other.test.");
    let target = world.genuine("web1.other.test.", SSHFP);
    world.forge(&[(HOST, SSHFP, [vec![alias.clone()], target.clone()].concat())]);
    world.refuses(HOST, &world.impostor);
    // With the signature of another alias.
    let mut signed = world.genuine("alias.example.test.", CNAME);
    signed.retain(|rr| rr.rtype == RRSIG);
    let borrowed = renamed(&signed, HOST);
    world.forge(&[(HOST, SSHFP, [vec![alias], borrowed, target.clone()].concat())]);
    world.refuses(HOST, &world.impostor);
    // The signed alias bent to another target.
    let mut bent = world.genuine("alias.example.test.", CNAME);
    bent[0].data = WireName::new("web1.sub.example.test.").0;
    let elsewhere = world.genuine("web1.sub.example.test.", SSHFP);
    world.forge(&[("alias.example.test.", SSHFP, [bent, elsewhere].concat())]);
    world.refuses("alias.example.test.", &world.impostor);
}

#[test]
fn a_parents_wildcard_replayed_below_the_cut_is_refused() {
    let world = World::start();
    let (host, zone) = ("web2.sub.example.test.", world.key("example.test."));
    // *.example.test., as the parent of sub.example.test. signed it, shown for a host of the child.
    let expanded = |host: &str| {
        let set = vec![world.impostors_record(host)];
        let claims = Claims { labels: 2, ..zone.claims(&set) };
        [set.clone(), vec![zone.sign_as(&set, claims)]].concat()
    };
    world.forge(&[(host, SSHFP, expanded(host)), (HOST, SSHFP, expanded(HOST))]);
    assert_eq!(world.refuses(host, &world.impostor), "wildcard");
    assert_eq!(world.refuses(HOST, &world.impostor), "wildcard", "nor for a host of its own");
    // As if it had been signed for the host.
    let mut hidden = expanded(host);
    hidden[1].data[3] = 4;
    world.forge(&[(host, SSHFP, hidden)]);
    assert_eq!(world.refuses(host, &world.impostor), "bad-signature");
    // The twin: a set that the child signed for its host.
    let own = world.key("sub.example.test.").signed(vec![world.impostors_record(host)]);
    world.forge(&[(host, SSHFP, own)]);
    world.accepts(host, &world.impostor);
}

#[test]
fn a_set_that_was_replaced_is_good_until_its_signature_expires() {
    // No signature tells of what came after it, so a replay holds for as long as the zone signed for: the
    // README says so, and advises to sign for days.
    let mut world = World::start();
    let old = world.genuine(HOST, SSHFP);
    world.tree.update(&world.impostor.sshfp_update(HOST));
    world.forger = Forger::start(world.tree.addr());
    world.accepts(HOST, &world.impostor);
    assert_eq!(world.refuses(HOST, &world.honest), "key-mismatch", "the set is another now");
    world.forge(&[(HOST, SSHFP, old.clone())]);
    world.accepts(HOST, &world.honest);
    let set: Vec<Rr> = old.into_iter().filter(|rr| rr.rtype == SSHFP).collect();
    let key = world.key("example.test.");
    let expired = Claims { expiration: now() - 1, ..key.claims(&set) };
    world.forge(&[(HOST, SSHFP, [set.clone(), vec![key.sign_as(&set, expired)]].concat())]);
    assert_eq!(world.refuses(HOST, &world.honest), "signature-expired");
}
