//! kill -9 in the middle of a rotation, while clients connect.

use std::thread;
use std::time::Duration;

use super::clients::{BY_DNS, Clients, Way};
use super::machine::Machine;
use super::world::World;
use super::{HOST, SOON};
use crate::support::run;

/// What a round of a type that is hidden writes down, in its order: the first publication, and what `ground` is about, are
/// those of another type's record, which somebody took away.
const HIDING: [&str; 11] = [
    "prepare", "publish", "ground", "announce", "hide", "replace", "publish", "spread", "prove", "show",
    "finish",
];
/// The same with --overlap, which stock ssh does not stand.
const OVERLAPPING: [&str; 10] =
    ["prepare", "publish", "spread", "prove", "replace", "show", "withdraw", "publish", "finish", ""];

/// Killed at this place of each step of a round; run again each time, it comes to the next step and ends well.
fn killed_at_each(place: &str, steps: &[&str], arguments: &[&str], ways: &[Way]) {
    let world = World::new();
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let published = machine.runs(&["publish"]);
    assert_eq!(published.code, Some(0), "{published:#?}");
    let (old, other) = (machine.record("ed25519"), machine.record("ecdsa256"));
    world.show(&[&old, &other]);
    if steps.contains(&"ground") {
        world.update(&format!("update delete {HOST} SSHFP {other}"));
        world.show(&[&old]);
    }
    let clients = Clients::connect(&world, &machine, ways);

    let mut arguments = [&["rotate", "--json", "--wait", "--type", "ed25519"], arguments].concat();
    for step in steps.iter().filter(|step| !step.is_empty()) {
        let at = format!("{step}:{place}");
        let finished = run(machine.sshanchor(&arguments).env("SSHANCHOR_CRASH_AT", &at), SOON);
        assert_eq!(finished.code, None, "{at}, {:.3} s: {finished:#?}", clients.clock());
        arguments = vec!["rotate", "--json", "--wait", "--resume"];
    }
    machine.has_rotated(machine.rotates(&arguments[2..]));
    let new = machine.record("ed25519");
    assert_ne!(new, old);
    assert_eq!(machine.record("ecdsa256"), other);
    world.show(&[&new, &other]);
    machine.offers(&["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    clients.were_all_let_in();
}

mod hiding {
    use super::*;

    #[test]
    fn killed_while_one_half_of_the_key_is_in_place() {
        killed_at_each("within", &["replace"], &[], &BY_DNS);
    }

    #[test]
    fn killed_before_each_step_is_done() {
        killed_at_each("before", &HIDING, &["--announce", "1s"], &BY_DNS);
    }

    #[test]
    fn killed_after_each_step_before_it_is_written_down() {
        killed_at_each("between", &HIDING, &["--announce", "1s"], &BY_DNS);
    }

    #[test]
    fn killed_after_each_step_is_written_down() {
        killed_at_each("after", &HIDING, &["--announce", "1s"], &BY_DNS);
    }
}

mod overlapping {
    use super::*;

    #[test]
    fn killed_while_one_half_of_the_key_is_in_place() {
        killed_at_each("within", &["replace"], &["--overlap"], &BY_DNS[1..]);
    }

    #[test]
    fn killed_before_each_step_is_done() {
        killed_at_each("before", &OVERLAPPING, &["--overlap"], &BY_DNS[1..]);
    }

    #[test]
    fn killed_after_each_step_before_it_is_written_down() {
        killed_at_each("between", &OVERLAPPING, &["--overlap"], &BY_DNS[1..]);
    }

    #[test]
    fn killed_after_each_step_is_written_down() {
        killed_at_each("after", &OVERLAPPING, &["--overlap"], &BY_DNS[1..]);
    }
}

#[test]
fn killed_at_any_moment_it_goes_on_and_so_does_the_agent() {
    let world = World::new();
    let machine = Machine::with(&world, &["ed25519", "ecdsa256"]);
    let mut agent = machine.agent();
    let old = machine.records();
    world.show(&[&old[0], &old[1]]);
    agent.says("is proven");
    let clients = Clients::connect(&world, &machine, &BY_DNS);

    let is_begun = || !machine.runs(&["rotate", "--status", "--json"]).stdout.contains("\"done\"");
    let mut arguments: &[&str] = &["--wait"];
    for kills in 1.. {
        let mut rotate = machine.rotates(arguments);
        match rotate.wait(Duration::from_millis(rand::random_range(50..2000))) {
            Some(status) if status.success() => break,
            Some(status) => panic!("{status} after {kills} kills: {}", rotate.log()),
            None => rotate.kill(),
        }
        if is_begun() {
            arguments = &["--resume", "--wait"];
        }
        agent.0.kill();
        agent = machine.agent();
        thread::sleep(Duration::from_millis(rand::random_range(0..300)));
        assert!(clients.clock() < 100.0, "{kills} kills: {}", rotate.log());
    }
    machine.is_tidy();
    let new = machine.records();
    assert!(old.iter().all(|key| !new.contains(key)), "{old:?} {new:?}");
    world.show(&[&new[0], &new[1]]);
    clients.were_all_let_in();
}
