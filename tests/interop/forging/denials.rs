//! Forged absence: nothing here could make an accept, but `lookup` must not tell a forger's story of an
//! absent record or an unsigned zone.

use std::time::Duration;

use hickory_proto::rr::RecordType;

use crate::support::ask::question;
use crate::support::forge::SigningKey;
use crate::support::forger::{Forger, ask_tcp};
use crate::support::wire::{DS, Dns, NS, NSEC, NSEC3, RRSIG, Rr, SOA, SSHFP, WireName};
use crate::support::{Tree, Zone, run};

/// Has an SSHFP record, in a zone with NSEC and in one with NSEC3.
const HOSTS: [&str; 2] = ["web1.example.test.", "web1.other.test."];

/// A tree whose TLD skips unsigned delegations (opt-out), and a relay before it.
struct World {
    forger: Forger,
    tree: Tree,
}

impl World {
    fn start() -> World {
        let digest = "aa".repeat(32);
        let mut plan = Tree::plan().with("test.", Zone::opt_out);
        for host in HOSTS {
            plan = plan.record(&format!("{host} SSHFP 4 2 {digest}"));
        }
        plan = plan.record(&format!("web1.sub.example.test. SSHFP 4 2 {digest}"));
        let tree = plan.start();
        World { forger: Forger::start(tree.addr()), tree }
    }

    fn genuine(&self, name: &str, rtype: u16) -> Dns {
        let asked = question(name, RecordType::from(rtype)).to_vec().unwrap();
        Dns::read(&ask_tcp(self.tree.addr(), &asked).unwrap())
    }

    fn status(&self, name: &str) -> String {
        let mut command = self.tree.sshanchor(self.forger.addr());
        command.args(["lookup", name, "--type", "SSHFP", "--json", "--timeout", "5"]);
        let finished = run(&mut command, Duration::from_secs(30));
        let status = finished.json()["status"].as_str().unwrap_or_default().to_owned();
        assert_eq!(finished.code == Some(0), status == "secure", "{finished:#?}");
        status
    }

    /// `name` and `rtype` are answered by nothing, with this proof, and this response code.
    fn deny(&self, name: &str, rtype: u16, authority: Vec<Rr>, rcode: u16) {
        let name = name.to_owned();
        self.forger.change(move |message| {
            if message.is_for(&name, rtype) {
                *message = message.answered(Vec::new());
                message.authority = authority.clone();
                message.flags |= rcode;
            }
        });
    }
}

fn zone_of(host: &str) -> &str {
    host.split_once('.').unwrap().1
}

#[test]
fn through_an_honest_relay_the_statuses_are_the_true_ones() {
    let world = World::start();
    for host in HOSTS {
        let zone = zone_of(host);
        assert_eq!(world.status(host), "secure");
        assert_eq!(world.status(&format!("web2.{zone}")), "absent");
        assert_eq!(world.status(&format!("nobody.{zone}")), "absent");
    }
    assert_eq!(world.status("web1.plain.test."), "insecure");
    assert_eq!(world.status("web1.broken.test."), "bogus");
}

#[test]
fn an_absence_without_its_proof_is_bogus() {
    let world = World::start();
    for host in HOSTS {
        let zone = zone_of(host);
        let soa: Vec<Rr> = world.genuine(&format!("web2.{zone}"), SSHFP).authority;
        let soa: Vec<Rr> = soa.into_iter().filter(|rr| rr.concerns(SOA)).collect();
        assert_eq!(soa.len(), 2);
        for rcode in [0, 3] {
            world.deny(host, SSHFP, Vec::new(), rcode);
            assert_eq!(world.status(host), "bogus", "{host}, nothing, {rcode}");
            world.deny(host, SSHFP, soa.clone(), rcode);
            assert_eq!(world.status(host), "bogus", "{host}, SOA, {rcode}");
            // The SOA of a zone that is honestly unsigned.
            let unsigned = world.genuine("web2.plain.test.", SSHFP).authority;
            world.deny(host, SSHFP, unsigned, rcode);
            assert_eq!(world.status(host), "bogus", "{host}, a foreign SOA, {rcode}");
        }
        // The twin: the very same way of forging, with a true denial.
        let absent = format!("web2.{zone}");
        world.deny(&absent, SSHFP, world.genuine(&absent, SSHFP).authority, 0);
        assert_eq!(world.status(&absent), "absent");
    }
}

#[test]
fn the_proof_of_another_absence_is_bogus() {
    let world = World::start();
    for host in HOSTS {
        let zone = zone_of(host);
        let others = [
            // Another name without SSHFP, a name that does not exist, the host's own for another type.
            world.genuine(&format!("web2.{zone}"), SSHFP).authority,
            world.genuine(&format!("nobody.{zone}"), SSHFP).authority,
            world.genuine(host, crate::support::wire::TXT).authority,
        ];
        let mut all: Vec<Rr> = others.concat();
        all.dedup();
        for proof in others.iter().chain([&all]) {
            assert!(proof.iter().any(|rr| rr.concerns(NSEC) || rr.concerns(NSEC3)), "{proof:?}");
            for rcode in [0, 3] {
                world.deny(host, SSHFP, proof.clone(), rcode);
                assert_eq!(world.status(host), "bogus", "{host} {rcode} {proof:?}");
            }
        }
    }
}

#[test]
fn a_denial_with_its_signature_stripped_or_its_range_widened_is_bogus() {
    let world = World::start();
    for host in HOSTS {
        let absent = format!("web2.{}", zone_of(host));
        let genuine = world.genuine(&absent, SSHFP).authority;
        let stripped: Vec<Rr> = genuine.iter().filter(|rr| rr.rtype != RRSIG).cloned().collect();
        world.deny(&absent, SSHFP, stripped, 0);
        assert_eq!(world.status(&absent), "bogus");
        let widened = genuine.into_iter().map(|rr| match rr.rtype {
            NSEC => Rr { data: [&WireName::new("zzz.test.").0[..], &rr.data].concat(), ..rr },
            NSEC3 => Rr { data: rr.data.iter().map(|octet| octet ^ 0x55).collect(), ..rr },
            _ => rr,
        });
        world.deny(&absent, SSHFP, widened.collect(), 0);
        assert_eq!(world.status(&absent), "bogus");
    }
}

#[test]
fn a_signed_zone_cannot_be_declared_unsigned() {
    let world = World::start();
    let plain = world.genuine("plain.test.", DS).authority;
    let theirs = Rr::sshfp(HOSTS[0], 4, [1; 32]);
    // The parent's denial for an unsigned sibling (opt-out), replayed for the zone, and for the host as
    // if it were a cut with an NS of its own.
    for cut in ["example.test.", HOSTS[0]] {
        for rcode in [0, 3] {
            let (plain, theirs) = (plain.clone(), theirs.clone());
            world.forger.change(move |message| {
                if message.is_for(cut, DS) {
                    *message = message.answered(Vec::new());
                    message.authority = plain.clone();
                    message.flags |= rcode;
                } else if message.is_for(HOSTS[0], SSHFP) {
                    *message = message.answered(vec![theirs.clone()]);
                    message.authority = vec![Rr::new(HOSTS[0], NS, WireName::new("ns.evil.test.").0)];
                }
            });
            assert_eq!(world.status(HOSTS[0]), "bogus", "{cut} {rcode}");
        }
    }
    // Without any proof, and with all signatures gone, as behind a resolver that strips them.
    world.deny("example.test.", DS, Vec::new(), 0);
    let (honest, stripped) = (world.status(HOSTS[0]), {
        world.forger.change(|message| {
            for section in [&mut message.answer, &mut message.authority] {
                section.retain(|rr| ![RRSIG, NSEC, NSEC3].contains(&rr.rtype));
            }
        });
        world.status(HOSTS[0])
    });
    assert!(!["secure", "insecure", "absent"].contains(&honest.as_str()), "{honest}");
    assert!(!["secure", "insecure", "absent"].contains(&stripped.as_str()), "{stripped}");
    world.forger.honest();
    assert_eq!(world.status(HOSTS[0]), "secure");
}

#[test]
fn the_parents_side_of_a_cut_denies_nothing_inside_the_zone() {
    let world = World::start();
    let apex = "sub.example.test.";
    // Seen from above, the apex has NS and DS alone; the record is shown for a name just behind it.
    let above = world.genuine("suc.example.test.", SSHFP).authority;
    assert!(above.iter().any(|rr| rr.rtype == NSEC && rr.name == WireName::new(apex)), "{above:?}");
    world.deny(apex, SSHFP, above, 0);
    assert_eq!(world.status(apex), "bogus");
    world.forger.honest();
    assert_eq!(world.status(apex), "absent");
}

/// A label of NSEC3 (RFC 5155 section 3), with no salt and no further iterations.
fn hash(name: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &WireName::new(name).0).as_ref().to_vec()
}

/// An NSEC3 record of `zone` from `from` to `to`, opt-out, with the types of a delegating apex.
fn opt_out(zone: &str, from: &[u8], to: &[u8]) -> Rr {
    let label = data_encoding::BASE32HEX_NOPAD.encode(from);
    let types = [0, 1, 0b0010_0010]; // NS SOA
    Rr::new(&format!("{label}.{zone}"), NSEC3, [&[1, 1, 0, 0, 0, 20], to, &types].concat())
}

#[test]
fn nsec3_records_of_a_wrong_zone_deny_nothing() {
    let world = World::start();
    let [host, sibling] = HOSTS;
    // What other.test. says of its own names, as it is and below the apex of the zone asked.
    let theirs = world.genuine("nobody.other.test.", SSHFP).authority;
    assert!(theirs.iter().any(|rr| rr.rtype == NSEC3), "{theirs:?}");
    let moved: Vec<Rr> = theirs
        .iter()
        .cloned()
        .map(|mut rr| {
            let label = usize::from(rr.name.0[0]) + 1;
            let nsec3 = rr.concerns(NSEC3);
            let zone = WireName::new("example.test.");
            rr.name = if nsec3 { WireName([&rr.name.0[..label], &zone.0].concat()) } else { zone };
            rr
        })
        .collect();
    // What the zone above says of both; and what it says of the whole of its tree, if it lies.
    let above = world.genuine("nobody.test.", SSHFP).authority;
    let key = SigningKey::read(&world.tree.keys("test.").zsk);
    let apex = hash("test.");
    let lie = [
        key.signed(vec![opt_out("test.", &apex, &apex)]),
        key.signed(vec![opt_out("test.", &[0; 20], &[0xff; 20])]),
    ]
    .concat();
    for proof in [&theirs, &moved, &above, &lie] {
        for (name, rcode) in [(host, 0), (host, 3), ("nobody.example.test.", 3)] {
            world.deny(name, SSHFP, proof.clone(), rcode);
            assert_eq!(world.status(name), "bogus", "{name} {rcode} {proof:?}");
        }
    }
    for rcode in [0, 3] {
        world.deny(sibling, SSHFP, [above.clone(), lie.clone()].concat(), rcode);
        assert_eq!(world.status(sibling), "bogus", "{rcode}");
    }
    // The twin: the same records, of the names that they are about.
    world.deny("nobody.other.test.", SSHFP, theirs, 3);
    assert_eq!(world.status("nobody.other.test."), "absent");
}

#[test]
fn a_grandparents_insecure_proof_does_not_undo_a_secure_ds() {
    let world = World::start();
    let host = "web1.sub.example.test.";
    // test. is the parent of example.test., which has a DS for sub.example.test.
    let key = SigningKey::read(&world.tree.keys("test.").zsk);
    let apex = hash("test.");
    let everything = [
        key.signed(vec![opt_out("test.", &apex, &apex)]),
        key.signed(vec![opt_out("test.", &[0; 20], &[0xff; 20])]),
    ]
    .concat();
    let genuine = world.genuine("plain.test.", DS).authority;
    for proof in [genuine, everything.clone()] {
        for rcode in [0, 3] {
            let (proof, theirs) = (proof.clone(), Rr::sshfp(host, 4, [1; 32]));
            world.forger.change(move |message| {
                if message.is_for("sub.example.test.", DS) || message.is_for(host, DS) {
                    *message = message.answered(Vec::new());
                    message.authority = proof.clone();
                    message.flags |= rcode;
                } else if message.is_for(host, SSHFP) {
                    *message = message.answered(vec![theirs.clone()]);
                }
            });
            assert_eq!(world.status(host), "bogus", "{rcode}");
        }
    }
    // The twin: of its own delegations it may say so.
    world.deny("plain.test.", DS, everything, 0);
    assert_eq!(world.status("web1.plain.test."), "insecure");
    world.forger.honest();
    assert_eq!(world.status(host), "secure");
}
