//! Servers that are away or behind while keys rotate and clients connect.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::SOON;
use super::clients::{BY_DNS, Clients};
use super::machine::{Machine, last_line};
use super::world::World;
use crate::support::process::wait_until;

#[test]
fn a_secondary_that_lags_is_waited_for() {
    let world = World::new();
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let agent = machine.agent();
    let (old, other) = (machine.record("ed25519"), machine.record("ecdsa256"));
    world.show(&[&old, &other]);
    agent.says("is proven");
    let clients = Clients::connect(&world, &machine, &BY_DNS);

    world.secondary.lags();
    let rotate = machine.rotates(&["--type", "ed25519", "--wait"]);
    let waits = || last_line(&rotate.log())["status"] == "servers";
    assert!(wait_until(SOON, waits), "{}", rotate.log());
    agent.says(&format!("pending at {}", world.secondary.addr()));
    // Longer than any cache holds anything, nothing goes on.
    clients.get_in(3);
    thread::sleep(Duration::from_secs(6));
    assert!(waits(), "{}", rotate.log());
    machine.offers(&["ecdsa-sha2-nistp256"]);
    world.secondary.follows();
    machine.has_rotated(rotate);
    let new = machine.record("ed25519");
    assert_ne!(new, old);
    world.show(&[&new, &other]);

    clients.were_all_let_in();
}

#[test]
fn a_primary_that_is_away_for_a_while_is_waited_for() {
    let world = World::new();
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let agent = machine.agent();
    let (old, other) = (machine.record("ed25519"), machine.record("ecdsa256"));
    world.show(&[&old, &other]);
    agent.says("is proven");
    let clients = Clients::connect(&world, &machine, &BY_DNS);

    let rotate = machine.rotates(&["--type", "ed25519", "--wait"]);
    machine.offers(&["ecdsa-sha2-nistp256"]);
    // The secondary, which cannot ask, answers all the same.
    world.secondary.lags();
    world.tree.named.process.signal(Signal::STOP);
    agent.says("no answer from");
    clients.get_in(2);
    world.tree.named.process.signal(Signal::CONT);
    world.secondary.follows();
    machine.has_rotated(rotate);
    agent.says_again("is as it should be");
    let new = machine.record("ed25519");
    assert_ne!(new, old);
    world.show(&[&new, &other]);

    clients.were_all_let_in();
}
