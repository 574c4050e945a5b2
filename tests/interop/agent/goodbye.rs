//! What becomes of the records when the machine goes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::Signal;

use super::super::primary::{FOREIGN, HOST};
use super::{Machine, SOON, record, shows};
use crate::support::Process;
use crate::support::Tree;
use crate::support::process::wait_until;

/// A systemctl that says `jobs` of a systemd on its way down.
fn systemctl(machine: &Machine, jobs: &str) {
    let bin = machine.join("bin");
    let _ = fs::create_dir(&bin);
    let text = format!("#!/bin/sh\n[ \"$1\" = list-jobs ] || exit 9\necho '{jobs}'\n");
    fs::write(bin.join("systemctl"), text).unwrap();
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn start(machine: &Machine) -> Process {
    let mut command: Command = machine.sshanchor(&["-v", "agent"]);
    command.env("PATH", format!("{}:/usr/bin:/bin", machine.join("bin").display()));
    let log = machine.join(&format!("run-{:08x}", rand::random::<u32>()));
    fs::create_dir(&log).unwrap();
    Process::start("agent", command, &log, || true)
}

fn end(agent: &Process) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(agent.id() as i32).unwrap(), Signal::TERM)
        .unwrap();
    let gone = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", agent.id())).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    };
    assert!(wait_until(SOON, gone), "it goes on:\n{}", agent.log());
}

#[test]
fn records_go_at_power_off_and_stay_at_a_reboot_and_at_a_restart() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    tree.update(&format!("zone example.test\nupdate add {HOST} 60 SSHFP {FOREIGN}"));
    let own = record(&machine.key());
    let configuration = machine.configuration(HOST, &tree);
    let poweroff = "7 poweroff.target start waiting";
    let cases = [
        ("withdraw = \"poweroff\"\n", "7 reboot.target start waiting", true),
        ("withdraw = \"poweroff\"\n", "7 sshanchor-agent.service restart running", true),
        ("withdraw = \"poweroff\"\n", "", true),
        ("withdraw = \"never\"\n", poweroff, true),
        ("", poweroff, true),
        ("withdraw = \"poweroff\"\n", poweroff, false),
    ];
    for (line, jobs, stay) in cases {
        machine.configure(&format!("{configuration}{line}"));
        systemctl(&machine, jobs);
        let agent = start(&machine);
        assert!(agent.logs("is proven", SOON), "{}", agent.log());
        shows(tree.addr(), HOST, &[&own, FOREIGN]);
        end(&agent);
        let left = if stay { vec![own.as_str(), FOREIGN] } else { vec![FOREIGN] };
        shows(tree.addr(), HOST, &left);
        assert_eq!(agent.log().contains("was withdrawn"), !stay, "{line} {jobs}: {}", agent.log());
    }
    // Started again, as after a stop of the machine, it publishes anew, and does not take that for drift.
    let agent = start(&machine);
    shows(tree.addr(), HOST, &[&own, FOREIGN]);
    assert!(!agent.log().contains("putting them back"), "{}", agent.log());
}
