//! What people copy from contrib/ and from the docs, run as it stands: with the host's own key it works; with an
//! impostor in the host's place, or without `sshanchor`, it fails before anybody is told a user's name.

mod fleet;
mod screens;
mod ssh;

use fleet::Fleet;

/// What is to be read where an impostor was met.
const REASON: &str = "DNSSEC proves other keys";

/// One test a recipe: its name, the hosts it talks to, the line that is typed, and what is read of an impostor.
macro_rules! recipes {
    ($($name:ident $hosts:tt $line:expr, $says:expr;)*) => {
        $(
            #[test]
            fn $name() {
                Fleet::start().lets_only_the_proven_in($line, &$hosts, $says);
            }
        )*
    };
}

recipes! {
    paramiko [1] "python contrib/paramiko/connect_verified.py web1.example.com $PORT1 uptime", REASON;
    asyncssh [1] "python contrib/asyncssh/connect_verified.py web1.example.com $PORT1 uptime", REASON;
    dbclient [1] "DBCLIENT_OPTIONS=\"-i $HOME/.ssh/id_dropbear\" contrib/dbclient/dbclient-verified web1.example.com $PORT1 uptime", REASON;
    plink [1] "PLINK_OPTIONS=\"-i $HOME/.ssh/id.ppk -proxycmd to-web1\" contrib/plink/plink-verified web1.example.com $PORT1 uptime", "Host key not in manually configured list";
    ansible_with_paramiko [1] "ANSIBLE_CONFIG=contrib/ansible/ansible.cfg \
        ansible -c paramiko -i web1.example.com, -e ansible_port=$PORT1 -m ping all || ! cat ~/.ansible.log", REASON;
}

/// Their own check of host keys is off: a configuration that passes a host, such as the system's, must not leave it unchecked.
#[test]
fn a_host_that_policy_passes_is_nobodys_to_take() {
    let mut fleet = Fleet::start();
    fleet.swap(1);
    for line in [
        "python contrib/paramiko/connect_verified.py web1.example.com $PORT1 uptime",
        "python contrib/asyncssh/connect_verified.py web1.example.com $PORT1 uptime",
        "DBCLIENT_OPTIONS=\"-i $HOME/.ssh/id_dropbear\" contrib/dbclient/dbclient-verified web1.example.com $PORT1 uptime",
        "PLINK_OPTIONS=\"-i $HOME/.ssh/id.ppk -proxycmd to-web1\" contrib/plink/plink-verified web1.example.com $PORT1 uptime",
        "ANSIBLE_CONFIG=contrib/ansible/ansible.cfg ansible -c paramiko -i web1.example.com, -e ansible_port=$PORT1 -m ping all",
    ] {
        let rule = "version = 1\n[[host]]\nmatch = \"*\"\nmode = \"pass\"\n";
        let finished = fleet
            .shell(&format!("printf '{rule}' > pass.toml; export SSHANCHOR_CONFIG=$PWD/pass.toml; {line}"));
        assert_ne!(finished.code, Some(0), "{line}: {finished:#?}");
        assert_eq!(fleet.users_named(1), 0, "{line}: {finished:#?}");
    }
}

#[test]
fn asyncssh_takes_no_way_around_the_relay_from_the_users_configuration() {
    let mut fleet = Fleet::start();
    fleet.ssh_config("    ProxyJump web2.example.com");
    let line = "python contrib/asyncssh/connect_verified.py web1.example.com $PORT1 uptime";
    fleet.works(line, &[1]);
    fleet.with_impostor(1, |fleet| drop(fleet.is_stopped(line, 1, REASON)));
    assert_eq!(fleet.connections(2), 0);
}

#[test]
fn paramikos_client_takes_no_key_outside_the_relay() {
    let fleet = Fleet::start();
    let line = "PYTHONPATH=contrib/paramiko python -c '
from connect_verified import connect_verified
client = connect_verified(\"web1.example.com\", '$PORT1')
client.connect(\"127.0.0.1\", '$PORT1')'";
    let finished = fleet.shell(line);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("not connected through sshanchor"), "{finished:#?}");
    assert_eq!((fleet.connections(1), fleet.users_named(1)), (2, 1));
}

#[test]
fn no_host_is_taken_for_an_option() {
    let fleet = Fleet::start();
    for script in ["dbclient/dbclient-verified", "plink/plink-verified"] {
        for host in
            ["-J@web1.example.com", "-proxycmd", "web1.example.com,web2.example.com", "'web1.example.com -v'"]
        {
            let finished = fleet.shell(&format!("contrib/{script} {host} $PORT1 uptime"));
            assert_eq!(finished.code, Some(2), "{finished:#?}");
        }
    }
    assert_eq!((fleet.connections(1), fleet.connections(2)), (0, 0));
}
