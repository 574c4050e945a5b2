//! Whatever runs ssh: the lines of the README, typed as they stand there.

use super::REASON;
use super::fleet::Fleet;

const README: &str = include_str!("../../../README.md");

/// The README's line that begins so.
fn line(start: &str) -> &'static str {
    let mut lines = README.lines().filter_map(|line| line.strip_prefix("    "));
    lines.find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("the README has no line {start:?}"))
}

/// A user whose ssh is configured by this line of the README.
fn with_ssh(start: &str) -> Fleet {
    let fleet = Fleet::start();
    // Left to itself it would write where ssh reads: the home that the user database has, not this one.
    let finished = fleet.shell(&format!("{} --ssh-config \"$HOME/.ssh/config\"", line(start)));
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    fleet
}

/// One test a client: the line that is typed, and the hosts it talks to.
macro_rules! readme {
    ($($name:ident $hosts:tt $start:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let fleet = with_ssh("sshanchor config ssh --install");
                let srv = fleet.srv();
                fleet.lets_only_the_proven_in(&line($start).replace("/srv", &srv), &$hosts, REASON);
            }
        )*
    };
}

readme! {
    ssh [1] "ssh web1";
    git [1] "git clone";
    rsync [1] "rsync -a";
    scp [1] "scp web1";
    scp_between_hosts [1, 2] "scp -3";
    sftp [1] "echo 'get";
    clush [1, 2] "clush";
    parallel_ssh [1, 2] "parallel-ssh";
    ansible [1, 2] "ansible";
}
