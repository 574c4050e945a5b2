//! Rotations of host keys that the agent goes on with, and begins.

use super::super::primary::HOST;
use super::super::rotate::place::Place;
use super::{Agent, Machine};

/// An agent for the host of `place` that looks so often, with `rotate` in its configuration.
fn agent(place: &Place, machine: &Machine, interval: &str, rotate: &str) -> Agent {
    let text = machine.configuration(HOST, place.primary.tree()).replace("1s", interval);
    let text: String =
        text.lines().filter(|line| !line.starts_with("host_keys")).map(|line| format!("{line}\n")).collect();
    let sshd_config = place.sshd.sandbox.join("sshd_config");
    machine.configure(&format!("{text}[rotate]\nsshd_config = \"{}\"\n{rotate}", sshd_config.display()));
    let state = place.primary.sandbox().join("state");
    let agent = machine.start_with(&["--state", state.to_str().unwrap()]);
    agent.says("is as it should be");
    agent
}

#[test]
fn a_rotation_that_was_begun_by_hand_is_brought_to_its_end() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let machine = Machine::new();
    let agent = agent(&place, &machine, "1h", "");
    let (old, other) = (place.record("ed25519"), place.record("ecdsa256"));
    place.rotates(&["--type", "ed25519"], 5, "settle");
    agent.says("(ssh-ed25519) is replaced");
    assert_ne!(place.record("ed25519"), old);
    assert_eq!(place.record("ecdsa256"), other);
    place.dns_is_as_disk();
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    assert_eq!(place.left_over(), [""; 0]);
    agent.says_again("is as it should be");
    place.dns_is_as_disk();
    assert_eq!(agent.said("putting them back"), 0);
}

#[test]
fn a_key_that_is_too_old_is_replaced() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let machine = Machine::new();
    let old = place.record("ed25519");
    let other = place.record("ecdsa256");
    let agent = agent(&place, &machine, "1s", "every = \"2s\"\ntypes = [\"ed25519\"]\n");
    agent.says("(ssh-ed25519) is replaced");
    assert_ne!(place.record("ed25519"), old);
    assert!(place.in_dns().contains(&other) && !place.in_dns().contains(&old));
}
