//! Signals, the configuration, a second agent, and what it costs to have one.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::super::primary::HOST;
use super::{Machine, SOON, record, shows};
use crate::support::process::wait_until;
use crate::support::{Tree, run};

const WEB2: &str = "web2.example.test";

#[test]
fn sighup_brings_another_configuration_into_force_and_a_malformed_one_does_not() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let own = record(&machine.key());
    let hourly = |host| machine.configuration(host, &tree).replace("1s", "1h");
    machine.configure(&hourly(HOST));
    let agent = machine.start();
    shows(tree.addr(), HOST, &[&own]);
    agent.says("is as it should be");

    machine.configure("version = 1\n[publish]\nserver = 7\n");
    agent.signal(Signal::HUP);
    agent.says("the configuration stays as it was");
    // The file that is wrong does not hide what the agent says of it.
    let ask = || run(&mut machine.sshanchor(&["agent", "status", "--json"]), SOON);
    assert!(wait_until(SOON, || ask().code == Some(5)), "{:#?}", ask());
    let status = ask();
    assert!(status.json()["error"]["message"].as_str().unwrap().contains("stays as it was"), "{status:#?}");
    assert!(status.stderr.contains("config.toml line 3"), "{status:#?}");
    // It works on with the one that it has.
    tree.update(&format!("zone example.test\nupdate delete {HOST} SSHFP"));
    agent.signal(Signal::HUP);
    shows(tree.addr(), HOST, &[&own]);

    machine.configure(&hourly(WEB2));
    agent.signal(Signal::HUP);
    shows(tree.addr(), WEB2, &[&own]);
    // What it does not know any more it does not touch.
    shows(tree.addr(), HOST, &[&own]);
}

#[test]
fn a_configuration_that_changes_on_disk_is_noticed() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let own = record(&machine.key());
    machine.configure(&machine.configuration(HOST, &tree).replace("1s", "1h"));
    let agent = machine.start();
    shows(tree.addr(), HOST, &[&own]);
    agent.says("is as it should be");
    machine.configure(&machine.configuration(WEB2, &tree).replace("1s", "1h"));
    shows(tree.addr(), WEB2, &[&own]);
}

#[test]
fn it_ends_when_told_to_even_while_it_waits_for_a_silent_primary() {
    let tree = Tree::start();
    for signal in [Signal::TERM, Signal::INT] {
        let machine = Machine::at(HOST, &tree);
        let mut agent = machine.start();
        agent.says("is as it should be");
        assert!(agent.ends(signal) < Duration::from_secs(5));
        // When all was last well is kept.
        assert!(machine.memory()["owners"][0]["last_success"].is_string());
    }
    let machine = Machine::at(HOST, &tree);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let [right, wrong] = [tree.addr(), silent.local_addr().unwrap()].map(|a| format!("\nserver = \"{a}\""));
    machine
        .configure(&machine.configuration(HOST, &tree).replace(&right, &wrong).replace("\"4s\"", "\"300s\""));
    let mut agent = machine.start();
    silent.set_read_timeout(Some(SOON)).unwrap();
    silent.recv_from(&mut [0; 512]).unwrap();
    assert!(agent.ends(Signal::TERM) < Duration::from_secs(5));
}

#[test]
fn a_second_agent_with_the_same_state_refuses_and_publish_by_hand_works_beside_one() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let own = record(&machine.key());
    let agent = machine.start();
    agent.says("is as it should be");
    let second = run(&mut machine.sshanchor(&["agent"]), SOON);
    assert_eq!(second.code, Some(1), "{second:#?}");
    assert!(second.stderr.contains("an agent runs already"), "{second:#?}");
    for _ in 0..3 {
        let by_hand = run(&mut machine.sshanchor(&["publish", "--json"]), SOON);
        assert_eq!(by_hand.code, Some(0), "{by_hand:#?}");
        assert_eq!(by_hand.json()["changed"], false);
    }
    shows(tree.addr(), HOST, &[&own]);
}

#[test]
fn once_is_one_pass_with_the_status_of_publish() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let once = || run(&mut machine.sshanchor(&["agent", "--once", "--json"]), SOON);
    let first = once();
    assert_eq!((first.code, &first.json()["changed"]), (Some(0), &true.into()), "{first:#?}");
    let second = once();
    assert_eq!((second.code, &second.json()["changed"]), (Some(0), &false.into()), "{second:#?}");
    assert_eq!(second.json()["proof"]["status"], "secure");
    fs::remove_file(machine.key()).unwrap();
    let failed = once();
    assert_eq!((failed.code, &failed.json()["reason"]), (Some(1), &"host-key-file".into()), "{failed:#?}");
    // On the command line alone.
    let (machine, other) = (Machine::new(), Machine::at(HOST, &tree));
    machine.configure(&format!(
        "version = 1\nresolver = \"{}\"\ntrust_anchor = \"{}\"\n",
        tree.addr(),
        tree.anchor().display()
    ));
    let nothing = run(&mut machine.sshanchor(&["agent", "--once"]), SOON);
    assert_eq!(nothing.code, Some(2), "{nothing:#?}");
    let mut command = machine.sshanchor(&["agent", "--once", "--name", WEB2, "--server"]);
    command.arg(tree.addr().to_string()).arg("--check-server").arg(tree.addr().to_string());
    command.arg("--key-file").arg(super::private(tree.tsig("web2"))).arg("--host-key").arg(other.key());
    let typed = run(&mut command, SOON);
    assert_eq!(typed.code, Some(0), "{typed:#?}");
    shows(tree.addr(), WEB2, &[&record(&other.key())]);
}

/// Nothing but its timers wakes it, and it is small. The figures of a release build are below these.
#[test]
fn an_idle_agent_sleeps() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    machine.configure(&machine.configuration(HOST, &tree).replace("1s", "1h"));
    let agent = machine.start();
    agent.says("is as it should be");
    // Threads that served the pass, such as the system's resolver, end after a while.
    let threads = || fs::read_dir(format!("/proc/{}/task", agent.0.id())).unwrap().count();
    assert!(wait_until(SOON, || threads() == 1), "{} threads", threads());
    let sleeps = |span| {
        let before = agent.wakeups();
        !wait_until(span, || agent.wakeups() != before)
    };
    // The end of the pass: what is written to the disk.
    assert!(wait_until(SOON, || sleeps(Duration::from_secs(1))), "it never sleeps");
    assert!(sleeps(Duration::from_secs(4)), "it was woken");
    assert_eq!(agent.said("is as it should be"), 1);
}
