//! kill -9 in the middle of a rotation, while clients connect.

use std::thread;
use std::time::Duration;

use super::clients::{BY_DNS, Client, Clients};
use super::machine::{Machine, last_line};
use super::world::World;
use super::SOON;

/// The steps of a round that write something down; each is tried before anything was done, when it was done, and when it
/// was written down.
const STEPS: [&str; 8] = ["prepare", "hide", "replace", "publish", "spread", "prove", "show", "finish"];
const PLACES: [&str; 3] = ["before", "between", "after"];

#[test]
fn killed_at_every_step_it_goes_on_and_nobody_is_refused() {
    let Some(world) = World::new() else { return };
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let agent = machine.agent();
    let (old, other) = (machine.record("ed25519"), machine.record("ecdsa256"));
    world.show(&[&old, &other]);
    agent.says("is proven");
    let client = Client::of(&world, &machine);
    let clients = Clients::connect(&client, &BY_DNS);
    clients.get_in(1);

    let mut begin = ["--type", "ed25519", "--wait"].as_slice();
    for step in STEPS {
        for place in PLACES {
            let at = format!("{step}:{place}");
            let mut rotate = machine.sshanchor(&[&["rotate", "--json"], begin].concat());
            rotate.env("SSHANCHOR_CRASH_AT", &at);
            let finished = crate::support::run(&mut rotate, SOON);
            assert_eq!(finished.code, None, "{at} at {:.3} s: {finished:#?}", clients.clock());
            begin = &["--resume", "--wait"];
        }
    }
    // The last one has written down that all is done.
    machine.has_rotated(machine.rotates(begin));
    let new = machine.record("ed25519");
    assert_ne!(new, old);
    assert_eq!(machine.record("ecdsa256"), other);
    world.show(&[&new, &other]);
    assert_eq!(machine.offered(), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);

    clients.get_in(2);
    clients.were_all_let_in(machine.reloads());
    assert_eq!(agent.said("error: "), 0, "{}", agent.0.log());
}

#[test]
fn killed_at_any_moment_it_goes_on_and_nobody_is_refused() {
    let Some(world) = World::new() else { return };
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let mut agent = machine.agent();
    let old = machine.records();
    world.show(&[&old[0], &old[1]]);
    agent.says("is proven");
    let client = Client::of(&world, &machine);
    let clients = Clients::connect(&client, &BY_DNS);
    clients.get_in(1);

    let mut arguments: &[&str] = &["--wait"];
    let mut kills = 0;
    loop {
        let mut rotate = machine.rotates(arguments);
        let patience = Duration::from_millis(rand::random_range(50..1500));
        match rotate.wait(patience) {
            Some(status) if status.success() => break,
            Some(status) => panic!("{status}: {}", rotate.log()),
            None => rotate.kill(),
        }
        // The agent as well.
        agent.0.kill();
        agent = machine.agent();
        kills += 1;
        if !machine.runs(&["rotate", "--status", "--json"]).stdout.contains("\"done\"") {
            arguments = &["--resume", "--wait"];
        }
        thread::sleep(Duration::from_millis(rand::random_range(0..300)));
        assert!(clients.clock() < 60.0, "{kills} kills: {}", rotate.log());
        drop(rotate);
    }
    machine.is_tidy();
    let new = machine.records();
    assert!(old.iter().all(|key| !new.contains(key)), "{kills} kills");
    world.show(&[&new[0], &new[1]]);
    clients.get_in(2);
    clients.were_all_let_in(machine.reloads());
    let _ = last_line;
}
