//! Which CA sets may vouch for which hosts: by zones, aliases, delegations, and what a forging resolver makes of them.
//! The host's certificate is the same good one throughout but for the name in it.

mod world;

use self::world::{World, world};
use super::*;
use crate::support::forge::{Claims, SigningKey, now};
use crate::support::forger::{Forged, Forger};
use crate::support::unbound::Unbound;
use crate::support::wire::{A, AAAA, Rr, SSHFP, WireName};

const CA_ALONE: &str = "require = \"ca\"";

/// Host, CA (`other` or not), why it is refused where a CA has to vouch.
const TABLE: [(&str, bool, &str); 35] = [
    // The host's zone is told by whatever stands at its name.
    ("web1.example.test", false, ""),
    ("six.example.test", false, ""),
    ("alias.example.test", false, ""),
    ("keys.example.test", false, ""),
    ("web1.wild.example.test", false, "no-host-zone"),
    ("nothing-there.example.test", false, "no-host-zone"),
    ("web1.example.test", true, "ca-not-published"),
    // A DNAME above the host does not stand at its name.
    ("web1.dn.example.test", false, "no-host-zone"),
    // A CNAME does not take the host to another zone.
    ("web1.other.test", false, "no-record"),
    // Narrow sets.
    ("web.lab.example.test", true, ""),
    ("web.lab.example.test", false, ""),
    ("web3.example.test", true, "ca-not-published"),
    ("web.bare.example.test", true, "revocation-unproven"),
    ("web.bare.example.test", false, ""),
    // At the host's own name, and at an apex that is a host.
    ("web2.example.test", true, "ca-not-published"),
    ("web2.example.test", false, ""),
    ("apex.test", true, ""),
    ("apex.test", false, "ca-not-published"),
    // Parent and child; the child's apex is the child's.
    ("sub.example.test", false, "no-record"),
    ("web1.sub.example.test", false, "no-record"),
    ("web1.alias.test", false, ""),
    ("web1.alias.test", true, "ca-not-published"),
    ("web1.bald.test", false, "revocation-unproven"),
    ("web1.unrevoked.test", false, "revocation-unproven"),
    ("web1.hop.test", false, "no-ca"),
    ("web1.circle.test", false, ""),
    ("web1.odd.test", false, "no-ca"),
    ("web1.dname.test", false, "no-ca"),
    // Zones of their own.
    ("web1.deleg.test", true, ""),
    ("web1.nods.test", true, "insecure"),
    ("web1.cut.test", true, "no-ca"),
    ("web1.star.test", true, "wildcard"),
    // Revoked sets.
    ("web1.nosentinel.test", true, "revocation-unproven"),
    ("web1.norevoked.test", true, "revocation-unproven"),
    ("web1.old.test", true, ""),
];

#[test]
fn a_ca_set_vouches_for_hosts_of_its_own_zone_and_where_that_zone_says_so() {
    let world = world();
    let mut wrong = Vec::new();
    for (host, other, wanted) in TABLE {
        let ca = if other { &world.cas.other } else { &world.cas.zone };
        let (reason, finished) = world.judge(host, ca, CA_ALONE);
        if reason != wanted {
            wrong.push(format!("{host} ({other}): {reason:?}, not {wanted:?}: {}", finished.stderr));
        }
        // One sufficient proof is all that is asked for by default: no more is accepted, and no less.
        let (reason, finished) = world.judge(host, ca, "");
        if reason.is_empty() != wanted.is_empty() {
            wrong.push(format!("{host} ({other}), either: {reason:?}: {}", finished.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let finished = world.is("web1.wild.example.test", &world.cas.zone, CA_ALONE, "no-host-zone");
    assert!(finished.stderr.contains("wildcards do not count"), "{finished:#?}");
    // That is why, whatever is required; and a set that is missing is made by what the hint says.
    world.is("web1.wild.example.test", &world.cas.zone, "", "no-host-zone");
    let finished = world.is("web1.norevoked.test", &world.cas.other, "", "revocation-unproven");
    assert!(finished.stderr.contains("sshanchor ca publish --at norevoked.test --server"), "{finished:#?}");
    // Where CAs may stand.
    for (pinned, host, other, wanted) in [
        ("\"example.test\"", "web.lab.example.test", false, ""),
        ("\"example.test\"", "web.lab.example.test", true, "ca-not-published"),
        ("\"lab.example.test\"", "web.lab.example.test", true, ""),
        ("\"lab.example.test\"", "web.lab.example.test", false, "ca-not-published"),
        ("\"other.test\"", "web1.example.test", false, "no-ca"),
    ] {
        let ca = if other { &world.cas.other } else { &world.cas.zone };
        world.is(host, ca, &format!("{CA_ALONE}\nca_at = [{pinned}]"), wanted);
    }
    world.is("web1.example.test", &world.cas.zone, "require = \"hostkey\"", "no-record");
}

#[test]
fn the_parents_wildcard_replayed_for_a_hidden_child_vouches_for_nobody() {
    let world = world();
    let (host, cas) = ("web1.sub.example.test.", &world.cas);
    world.is("web1.sub.example.test", &cas.zone, CA_ALONE, "no-record");
    // Of the parent's wildcards, with their signatures, at the child's names.
    let stolen: Vec<(u16, Vec<Rr>)> = [A, AAAA, SSHFP]
        .map(|rtype| {
            let answer = world.genuine("no-such-host.example.test.", rtype).answer;
            assert!(answer.iter().any(|rr| rr.rtype == rtype), "the wildcard answers");
            (rtype, answer)
        })
        .to_vec();
    let renamed = |answer: &[Rr], owner: &str| -> Vec<Rr> {
        answer.iter().map(|rr| Rr { name: WireName::new(owner), ..rr.clone() }).collect()
    };
    let forge = |to_sets: bool, as_wildcard: bool| {
        let stolen = stolen.clone();
        world.forger.change(move |message| {
            let below = message.name.0.ends_with(&WireName::new("sub.example.test.").0);
            let set = message.name.0.starts_with(b"\x03_ca") || message.name.0.starts_with(b"\x08_revoked");
            if !below || (set && !to_sets) {
                return;
            }
            let found = stolen.iter().find(|(rtype, _)| *rtype == message.rtype);
            let name = message.name.clone();
            let answer = found.map(|(_, answer)| answer.clone()).unwrap_or_default();
            let renamed = answer.into_iter().map(|rr| Rr { name: name.clone(), ..rr });
            let renamed = renamed.map(|rr| match as_wildcard {
                true => Rr { name: WireName::new("*.example.test."), ..rr },
                false => rr,
            });
            *message = message.answered(renamed.collect());
        });
    };
    for (to_sets, as_wildcard) in [(false, false), (true, false), (false, true), (true, true)] {
        forge(to_sets, as_wildcard);
        for rule in ["", CA_ALONE, "require = \"both\""] {
            let (reason, finished) = world.judge("web1.sub.example.test", &cas.zone, rule);
            assert!(!reason.is_empty(), "{finished:#?}");
        }
        assert!(!world.forger.asked().is_empty());
    }
    // The parent's own CA set and an honest record of the parent's in the child's place.
    let theirs = renamed(&world.genuine("web1.example.test.", A).answer, host);
    let set = renamed(&world.genuine("_ca._ssh.example.test.", SSHFP).answer, "_ca._ssh.sub.example.test.");
    world.forger.change(move |message| {
        if message.is_for("web1.sub.example.test.", A) {
            *message = message.answered(theirs.clone());
        } else if message.is_for("_ca._ssh.sub.example.test.", SSHFP) {
            *message = message.answered(set.clone());
        }
    });
    let (reason, finished) = world.judge("web1.sub.example.test", &cas.zone, CA_ALONE);
    assert!(!reason.is_empty(), "{finished:#?}");
    // A CNAME that the parent has signed, where the child's should be.
    let parent = SigningKey::read(&world.tree.keys("example.test.").zsk);
    let child = SigningKey::read(&world.tree.keys("sub.example.test.").zsk);
    let alias = vec![Rr::cname("_ca._ssh.sub.example.test.", "_ca._ssh.example.test.")];
    let revoked = vec![Rr::sshfp("_revoked._ssh.sub.example.test.", 1, [0; 32])];
    let target = world.genuine("_ca._ssh.example.test.", SSHFP).answer;
    let serve = |alias: Vec<Rr>, revoked: Vec<Rr>| {
        let answer = [alias, target.clone()].concat();
        world.forger.change(move |message| {
            if message.is_for("_ca._ssh.sub.example.test.", SSHFP) {
                *message = message.answered(answer.clone());
            } else if message.is_for("_revoked._ssh.sub.example.test.", SSHFP) {
                *message = message.answered(revoked.clone());
            }
        });
    };
    serve(parent.signed(alias.clone()), child.signed(revoked.clone()));
    world.is("web1.sub.example.test", &cas.zone, CA_ALONE, "no-ca");
    serve(child.signed(alias.clone()), parent.signed(revoked.clone()));
    world.is("web1.sub.example.test", &cas.zone, CA_ALONE, "revocation-unproven");
    // The twin: the child's own word.
    serve(child.signed(alias), child.signed(revoked));
    world.is("web1.sub.example.test", &cas.zone, CA_ALONE, "");
    world.forger.honest();
    world.is("web1.alias.test", &cas.zone, CA_ALONE, "");
}

#[test]
fn who_hides_or_replays_a_revoked_set_gains_no_accept_but_for_its_time() {
    let world = world();
    let (cas, at) = (&world.cas, "_revoked._ssh.example.test.");
    world.is("web1.example.test", &cas.zone, CA_ALONE, "");
    // Hidden, in whatever way.
    for how in ["empty", "servfail", "silent", "unsigned", "no-sentinel"] {
        world.forger.rule(move |exchange| {
            let mut message = exchange.message();
            if !message.is_for(at, SSHFP) {
                return vec![Forged::Send(exchange.reply.clone())];
            }
            match how {
                "empty" => message = message.answered(Vec::new()),
                "servfail" => {
                    message = message.answered(Vec::new());
                    message.flags = (message.flags & !0xf) | 2;
                }
                "silent" => return Vec::new(),
                "unsigned" => message.answer.retain(|rr| rr.rtype == SSHFP),
                _ => message.answer.retain(|rr| rr.rtype != SSHFP),
            }
            vec![Forged::Send(message.write())]
        });
        world.is("web1.example.test", &cas.zone, CA_ALONE, "revocation-unproven");
        world.is("web1.example.test", &cas.zone, "", "revocation-unproven");
    }
    // Revoked now; and replayed from before.
    let before = world.genuine(at, SSHFP).answer;
    world.forger.honest();
    let digest = record_of(&cas.zone.public_key().to_bytes().unwrap());
    world.tree.update(&format!("update add {at} 60 SSHFP {digest}"));
    let fresh = Unbound::validating(&world.tree);
    let world = World { forger: Forger::start(fresh.addr()), unbound: fresh, ..world };
    world.is("web1.example.test", &world.cas.zone, CA_ALONE, "revoked");
    let replayed = before.clone();
    world.forger.change(move |message| {
        if message.is_for(at, SSHFP) {
            *message = message.answered(replayed.clone());
        }
    });
    world.is("web1.example.test", &world.cas.zone, CA_ALONE, "");
    world.is(
        "web1.example.test",
        &world.cas.zone,
        &format!("{CA_ALONE}\nmax_signature_age = \"30m\""),
        "signature-too-old",
    );
    // Until its signature ends, and no later.
    let key = SigningKey::read(&world.tree.keys("example.test.").zsk);
    let set: Vec<Rr> = before.into_iter().filter(|rr| rr.rtype == SSHFP).collect();
    for (ends, wanted) in [(now() + 3600, ""), (now() - 1, "revocation-unproven")] {
        let claims = Claims { expiration: ends, ..key.claims(&set) };
        let signed = [set.clone(), vec![key.sign_as(&set, claims)]].concat();
        world.forger.change(move |message| {
            if message.is_for(at, SSHFP) {
                *message = message.answered(signed.clone());
            }
        });
        world.is("web1.example.test", &world.cas.zone, CA_ALONE, wanted);
    }
}

#[test]
fn an_old_revoked_set_is_bounded_by_the_policys_age_of_signatures() {
    let world = world();
    let aged = |span: &str| format!("{CA_ALONE}\nmax_signature_age = \"{span}\"");
    world.is("web1.old.test", &world.cas.other, &aged("11d"), "");
    world.is("web1.old.test", &world.cas.other, &aged("9d"), "signature-too-old");
    world.is("web1.old.test", &world.cas.other, "max_signature_age = \"9d\"", "signature-too-old");
}
