//! From the first boot to the goodbye.

use super::clients::{Client, Way};
use super::machine::Machine;
use super::world::World;
use super::{HOST, SOON, TTL};
use crate::support::process::wait_until;

/// Somebody else's key, of a type that the machine does not have: ssh wants all records of an algorithm to match.
const ANOTHERS: &str = "1 2 bb00000000000000000000000000000000000000000000000000000000000066";

#[test]
fn from_the_first_boot_to_the_goodbye() {
    let world = World::new();
    world.update(&format!("update add {HOST} {TTL} SSHFP {ANOTHERS}"));
    let mut machine = Machine::new(&world);
    let client = Client::of(&world, &machine);

    // Its agent is there before it has host keys.
    let agent = machine.agent();
    agent.says("no host key");
    machine.makes_host_keys(&["ed25519", "ecdsa256"]);
    machine.starts_sshd();
    let own = machine.records();
    let all = [ANOTHERS, &own[0], &own[1]];
    world.show(&all);
    agent.says("is proven");
    client.gets_in();
    agent.says("not this machine's");

    // Somebody removes what is its own.
    agent.says_again("is as it should be");
    world.update(&format!("update delete {HOST} SSHFP {}\nupdate delete {HOST} SSHFP {}", own[0], own[1]));
    agent.says("putting them back");
    world.show(&all);
    agent.says_again("is as it should be");
    world.is_in_caches_no_more();
    client.gets_in();

    // The next boot changes nothing.
    agent.ends();
    let serial = world.serial();
    let agent = machine.agent();
    agent.says("is as it should be");
    assert_eq!(world.serial(), serial);
    client.gets_in();

    // It goes, and leaves what is not its own.
    agent.ends();
    let gone = machine.runs(&["withdraw"]);
    assert_eq!(gone.code, Some(0), "{gone:#?}");
    world.show(&[ANOTHERS]);
    let is_out = || !Client::is_let_in(Way::Verify, &client.connects(Way::Verify));
    assert!(wait_until(SOON, is_out));
    world.is_in_caches_no_more();
    client.is_kept_out();

    // And comes back.
    let agent = machine.agent();
    world.show(&all);
    agent.says("is proven");
    world.is_in_caches_no_more();
    client.gets_in();
    agent.ends();
    world.show(&all);
}
