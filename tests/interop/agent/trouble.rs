//! Servers that are down or lag, zones that are not signed, and ends without warning.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use serde_json::Value;

use super::super::primary::{FOREIGN, HOST, serial_at};
use super::{Machine, SOON, record, shows};
use crate::support::named::Secondary;
use crate::support::process::wait_until;
use crate::support::{Tree, run};

#[test]
fn a_primary_that_is_down_for_a_while_is_served_when_it_is_back() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let first = record(&machine.key());
    machine.configure(&machine.configuration(HOST, &tree).replace("1s", "1h"));
    let agent = machine.start();
    shows(tree.addr(), HOST, &[&first]);
    agent.says("is as it should be");

    // Stopped, it is silent; the port stays its own.
    tree.named.process.signal(Signal::STOP);
    let second = record(&machine.new_key());
    agent.says("warning: ");
    tree.named.process.signal(Signal::CONT);
    shows(tree.addr(), HOST, &[&second]);
    agent.says("as it should be again");
}

#[test]
fn a_secondary_that_lags_is_told_of_until_it_has_caught_up() {
    let tree = Tree::start();
    let mut secondary = Secondary::start(tree.addr(), "example.test");
    let machine = Machine::at(HOST, &tree);
    let text = machine.configuration(HOST, &tree);
    let both = format!("check_servers = [\"{}\", \"{}\"]", tree.addr(), secondary.addr());
    machine.configure(&text.replace(&format!("check_servers = \"{}\"", tree.addr()), &both));
    let agent = machine.start();
    let lags = format!("pending at {}", secondary.addr());
    agent.says(&lags);
    agent.says("is proven");
    secondary.refresh();
    agent.says(&format!("{} shows {HOST} as it should", secondary.addr()));
    assert_eq!(agent.said(&lags), 1, "it is said once");
    shows(secondary.addr(), HOST, &[&record(&machine.key())]);
}

#[test]
fn a_zone_that_is_not_signed_is_told_of_as_such() {
    // Signed, but no DS leads to it.
    let tree =
        Tree::plan().with("example.test.", |zone| zone.parent(crate::support::zone::Parent::NoDs)).start();
    let machine = Machine::at(HOST, &tree);
    let agent = machine.start();
    agent.says("clients cannot prove");
    shows(tree.addr(), HOST, &[&record(&machine.key())]);
}

#[test]
fn one_that_is_not_allowed_says_so_and_goes_on() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    // The key of web1 may not change web2.
    machine.configure(&machine.configuration(HOST, &tree).replace(HOST, "web2.example.test"));
    let agent = machine.start();
    agent.says("error: ");
    agent.says("update-policy");
    machine.configure(&machine.configuration(HOST, &tree));
    agent.signal(Signal::HUP);
    shows(tree.addr(), HOST, &[&record(&machine.key())]);
}

#[test]
fn a_key_that_may_change_no_more_what_is_as_it_should_be_is_told_of_before_it_is_needed() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let wanted = record(&machine.key());
    let mut agent = machine.start();
    agent.says("is as it should be");
    let before = serial_at(tree.addr());
    let good = fs::read_to_string(tree.tsig("web1")).unwrap();

    // Another secret under the same name; and the key of another host.
    let (name, secret) = good.split_once("secret \"").unwrap();
    let other = format!("{name}secret \"{}{}", if secret.starts_with('A') { 'B' } else { 'A' }, &secret[1..]);
    let strangers = fs::read_to_string(tree.tsig("web2")).unwrap();
    for (key, says) in [(&other, "BADSIG"), (&strangers, "update-policy")] {
        let said = agent.said("as it should be again");
        fs::write(tree.tsig("web1"), key).unwrap();
        agent.signal(Signal::HUP);
        agent.says(says);
        agent.says("are as wanted, and could not be changed now");
        let status = machine.sshanchor(&["agent", "status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["owners"][0]["error"]["hard"], true, "{status:#}");
        assert_eq!(status["owners"][0]["published"][0], wanted.as_str(), "{status:#}");
        // The twin.
        fs::write(tree.tsig("web1"), &good).unwrap();
        agent.signal(Signal::HUP);
        assert!(wait_until(SOON, || agent.said("as it should be again") > said), "{}", agent.0.log());
    }
    agent.ends(Signal::TERM);
    for (key, code) in [(&strangers, 1), (&good, 0)] {
        fs::write(tree.tsig("web1"), key).unwrap();
        let once = run(&mut machine.sshanchor(&["agent", "--once", "--json"]), SOON);
        let reason = if code == 0 { Value::Null } else { "refused".into() };
        assert_eq!((once.code, &once.json()["reason"]), (Some(code), &reason), "{once:#?}");
    }
    shows(tree.addr(), HOST, &[&wanted]);
    assert_eq!(serial_at(tree.addr()), before, "nothing was changed to find it out");
}

#[test]
fn killed_again_and_again_in_the_middle_of_its_work_it_does_no_harm() {
    let tree = Tree::start();
    tree.update(&format!("zone example.test\nupdate add {HOST} 300 SSHFP {FOREIGN}"));
    let machine = Machine::at(HOST, &tree);
    let mut keys = vec![record(&machine.key())];
    for round in 0..60u64 {
        if round % 4 == 0 {
            keys.push(record(&machine.new_key()));
        }
        let mut agent = machine.start();
        // From before it has read anything to after all is done.
        thread::sleep(Duration::from_millis(round * 5));
        agent.0.kill();
        // Somebody else's record stands, and this machine's once it did.
        let (records, _) = super::super::primary::records_at(tree.addr(), HOST);
        assert!(records.contains(&FOREIGN.to_owned()), "{round}: {records:?}");
        let strangers = records.iter().filter(|r| *r != FOREIGN && !keys.contains(r)).count();
        assert_eq!(strangers, 0, "{round}: {records:?}");
        assert!(records.len() <= 2, "old keys do not pile up: {records:?}");
    }
    let agent = machine.start();
    shows(tree.addr(), HOST, &[FOREIGN, keys.last().unwrap()]);
    agent.says("is as it should be");
    assert_eq!(agent.said("putting them back"), 0);
}
