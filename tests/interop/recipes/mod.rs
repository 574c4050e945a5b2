//! What people copy from contrib/ and from the README, run as it stands: with the host's own key it works; with an
//! impostor in the host's place, or without `sshanchor`, it fails before anybody is told a user's name.

mod fleet;
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
