//! Host keys rotate while clients connect.

use super::SOON;
use super::clients::{BY_DNS, Client, Clients, Way};
use super::machine::Machine;
use super::world::World;
use crate::support::process::wait_until;

#[test]
fn all_keys_are_replaced_and_nobody_is_refused() {
    let world = World::new();
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let agent = machine.agent();
    let before = machine.records();
    world.show(&[&before[0], &before[1]]);
    agent.says("is proven");
    let client = Client::of(&world, &machine);
    client.knows(&machine);
    let clients = Clients::of(&client, &machine, &[&BY_DNS[..], &[Way::Learns]].concat());

    machine.has_rotated(machine.rotates(&["--wait", "--announce", "6s"]));
    let after = machine.records();
    assert!(before.iter().all(|old| !after.contains(old)), "{before:?} {after:?}");
    world.show(&[&after[0], &after[1]]);
    machine.offers(&["ecdsa-sha2-nistp256", "ssh-ed25519"]);

    clients.were_all_let_in();
    agent.says_again("is as it should be");
    assert_eq!(agent.said("putting them back"), 0, "{}", agent.0.log());
    assert_eq!(agent.said("error: "), 0, "{}", agent.0.log());
}

#[test]
fn a_machine_with_one_key_gets_another_that_serves_meanwhile() {
    let world = World::new();
    let machine = Machine::with(&world, &["ed25519"]);
    let agent = machine.agent();
    let before = machine.record("ed25519");
    world.show(&[&before]);
    agent.says("is proven");
    let clients = Clients::connect(&world, &machine, &BY_DNS);

    machine.has_rotated(machine.rotates(&["--wait"]));
    let (after, other) = (machine.record("ed25519"), machine.record("ecdsa256"));
    assert_ne!(before, after);
    world.show(&[&after, &other]);
    machine.offers(&["ecdsa-sha2-nistp256", "ssh-ed25519"]);

    clients.were_all_let_in();
}

#[test]
fn an_agent_replaces_keys_by_its_policy_again_and_again() {
    let world = World::new();
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let agent = machine.agent();
    let before = machine.records();
    world.show(&[&before[0], &before[1]]);
    agent.says("is proven");
    let clients = Clients::connect(&world, &machine, &BY_DNS);

    machine.configure(&world, "[rotate]\nevery = \"1s\"");
    let replaced = |times| agent.said("is replaced") >= times;
    assert!(wait_until(3 * SOON, || replaced(3)), "{}", agent.0.log());
    machine.configure(&world, "");
    let is_done = || machine.runs(&["rotate", "--status", "--json"]).json()["status"] == "done";
    assert!(wait_until(2 * SOON, is_done), "{}", agent.0.log());
    let after = machine.records();
    assert!(before.iter().all(|old| !after.contains(old)), "{before:?} {after:?}");
    world.show(&[&after[0], &after[1]]);
    machine.offers(&["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    machine.is_tidy();

    clients.were_all_let_in();
    assert_eq!(agent.said("putting them back"), 0, "{}", agent.0.log());
    assert_eq!(agent.said("error: "), 0, "{}", agent.0.log());
}

/// What all this is against: the same key changed by hand, and each of the clients notices.
#[test]
fn a_key_changed_by_hand_keeps_everybody_out_until_the_agent_has_published_it() {
    let world = World::new();
    let mut machine = Machine::with(&world, &["ed25519"]);
    let published = machine.runs(&["publish"]);
    assert_eq!(published.code, Some(0), "{published:#?}");
    let before = machine.record("ed25519");
    world.show(&[&before]);
    let client = Client::of(&world, &machine);
    client.gets_in();

    machine.changes_host_keys();
    client.is_kept_out();
    let agent = machine.agent();
    world.show(&[&machine.record("ed25519")]);
    agent.says("is proven");
    world.is_in_caches_no_more();
    client.gets_in();
}
