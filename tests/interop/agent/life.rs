//! Keys and records.

use std::fs;

use super::super::primary::{FOREIGN, HOST};
use super::{Machine, SOON, record, shows};
use crate::support::Tree;
use crate::support::process::wait_until;

#[test]
fn it_waits_for_the_keys_publishes_them_and_follows_them() {
    let tree = Tree::start();
    let machine = Machine::new();
    fs::remove_dir(machine.join("ssh")).unwrap();
    machine.configure(&machine.configuration(HOST, &tree).replace("1s", "1h"));
    let agent = machine.start();
    agent.says("ssh/host.pub");
    fs::create_dir(machine.join("ssh")).unwrap();
    let first = record(&machine.new_key());
    shows(tree.addr(), HOST, &[&first]);
    agent.says("is proven");

    // Another key: noticed although the next look is an hour away.
    let second = record(&machine.new_key());
    shows(tree.addr(), HOST, &[&second]);
    assert_ne!(first, second);
    // In place, as a copy would; one half after the other.
    let other = Machine::new();
    other.new_key();
    for half in ["ssh/host", "ssh/host.pub"] {
        fs::copy(other.join(half), machine.join(half)).unwrap();
    }
    shows(tree.addr(), HOST, &[&record(&other.key())]);
    let kept = || machine.memory()["owners"][0]["standing"][0] == record(&other.key());
    assert!(wait_until(SOON, kept), "{}", machine.memory());
}

#[test]
fn own_records_are_put_back_twice_and_then_it_stops_and_says_so() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let own = record(&machine.key());
    let agent = machine.start();
    shows(tree.addr(), HOST, &[&own]);
    for time in 1..=2 {
        agent.says_again("is as it should be");
        tree.update(&format!("zone example.test\nupdate delete {HOST} SSHFP"));
        assert!(wait_until(SOON, || agent.said("putting them back") == time), "{}", agent.0.log());
        shows(tree.addr(), HOST, &[&own]);
    }
    agent.says_again("is as it should be");
    tree.update(&format!("zone example.test\nupdate delete {HOST} SSHFP"));
    agent.says("were removed 3 times within a day");
    agent.says_again("were removed 3 times");
    shows(tree.addr(), HOST, &[]);
    // It keeps to that when it is started anew.
    drop(agent);
    assert_eq!(machine.memory()["owners"][0]["vanished"].as_array().unwrap().len(), 3);
    let agent = machine.start();
    agent.says("were removed 3 times");
    agent.says_again("were removed 3 times");
    shows(tree.addr(), HOST, &[]);
    // Until somebody asks.
    agent.signal(rustix::process::Signal::HUP);
    shows(tree.addr(), HOST, &[&own]);
    agent.says("as it should be again");
}

#[test]
fn others_records_are_told_of_and_left_and_two_machines_share_a_name() {
    let tree = Tree::start();
    tree.update(&format!("zone example.test\nupdate add {HOST} 300 SSHFP {FOREIGN}"));
    let machines = [Machine::at(HOST, &tree), Machine::at(HOST, &tree)];
    let agents = machines.each_ref().map(Machine::start);
    let [a, b] = machines.each_ref().map(|machine| record(&machine.key()));
    shows(tree.addr(), HOST, &[FOREIGN, &a, &b]);
    agents.iter().for_each(|agent| agent.says("not this machine's"));
    let c = record(&machines[1].new_key());
    shows(tree.addr(), HOST, &[FOREIGN, &a, &c]);
    // They leave each other alone.
    agents.iter().for_each(|agent| agent.says_again("is as it should be"));
    shows(tree.addr(), HOST, &[FOREIGN, &a, &c]);
    assert!(agents.iter().all(|agent| agent.said("putting them back") == 0));
}
