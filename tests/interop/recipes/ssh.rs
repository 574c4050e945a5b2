//! Whatever runs ssh: the lines of docs/clients.md, typed as they stand there, the README's among them.

use super::REASON;
use super::fleet::Fleet;

pub const README: &str = include_str!("../../../README.md");
pub const CLIENTS: &str = include_str!("../../../docs/clients.md");

/// The line that begins so.
fn line(start: &str) -> &'static str {
    let mut lines = CLIENTS.lines().filter_map(|line| line.strip_prefix("    "));
    lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("there is no line {start:?}"))
}

/// A user whose ssh is configured as these lines have it.
pub fn configured() -> Fleet {
    let fleet = Fleet::start();
    install(&fleet, line("sshanchor config ssh --install"));
    fleet
}

/// Left to itself it would write where ssh reads: the home that the user database has, not this one.
fn install(fleet: &Fleet, line: &str) {
    let finished = fleet.shell(&format!("{line} --ssh-config \"$HOME/.ssh/config\""));
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

/// One test a client: the line that is typed, and the hosts it talks to.
macro_rules! readme {
    ($($name:ident $hosts:tt $start:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let fleet = configured();
                let srv = fleet.srv();
                fleet.lets_only_the_proven_in(&line($start).replace("/srv", &srv), &$hosts, REASON);
            }
        )*
    };
}

readme! {
    ssh [1] "ssh web1";
    jump [1, 2] "ssh -J";
    git [1] "git clone";
    rsync [1] "rsync -a";
    scp [1] "scp web1";
    scp_between_hosts [1, 2] "scp -3";
    sftp [1] "echo 'get";
    clush [1, 2] "clush";
    parallel_ssh [1, 2] "parallel-ssh";
    ansible [1, 2] "ansible";
}

#[test]
fn the_lines_of_the_readme_are_among_them() {
    let chapter =
        README.split_once("\n## ssh, and whatever runs it\n").unwrap().1.split("\n## ").next().unwrap();
    let lines: Vec<&str> = chapter.lines().filter(|line| line.starts_with("    ")).collect();
    assert!(lines.len() > 5, "{chapter}");
    for line in lines {
        assert!(CLIENTS.lines().any(|other| other == line), "{line}");
    }
}

#[test]
fn what_ansible_calls_no_host_key_checking_does_not_end_it() {
    let mut fleet = configured();
    // ssh gets StrictHostKeyChecking=no from it, on its command line.
    let lax = format!("ANSIBLE_HOST_KEY_CHECKING=False {}", line("ansible"));
    fleet.with_impostor(2, |fleet| drop(fleet.is_stopped(&lax, 2, REASON)));
}

#[test]
fn a_shared_connection_is_verified_once_and_an_impostor_gets_none() {
    let mut fleet = configured();
    let folder = fleet.home();
    fleet.ssh_config(&format!(
        "    ControlMaster auto\n    ControlPath {folder}/.ssh/%C\n    ControlPersist 60"
    ));
    let ssh = line("ssh web1");
    fleet.works(ssh, &[1]);
    let (connections, again) = (fleet.connections(1), fleet.shell(ssh));
    assert_eq!((again.code, fleet.connections(1)), (Some(0), connections), "{again:#?}");
    fleet.part();
    fleet.with_impostor(1, |fleet| drop(fleet.is_stopped(ssh, 1, REASON)));
}

#[test]
fn the_proxy_stands_before_ssh_where_that_is_wanted() {
    let mut fleet = Fleet::start();
    fleet.find_hosts_by_name();
    install(&fleet, &format!("{} --mode proxy", line("sshanchor config ssh --install")));
    for start in ["ssh web1", "git clone"] {
        let line = line(start).replace("/srv", &fleet.srv());
        fleet.works(&line, &[1]);
        fleet.fails_without_sshanchor(&line, &[1]);
        fleet.with_impostor(1, |fleet| {
            let screen = fleet.is_stopped(&line, 1, REASON).stderr;
            // What to do about it is told once, though ssh shows the packet too.
            assert_eq!(screen.matches("hint: do not connect").count(), 1, "{screen}");
        });
    }
}
