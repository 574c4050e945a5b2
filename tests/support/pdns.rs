//! PowerDNS as the primary of example.test., with its HTTP API, inside a tree whose root and TLD named serves.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use hickory_proto::rr::RecordType;

use super::ask::is_signed;
use super::peer::command;
use super::port::Port;
use super::process::{Process, run_ok};
use super::sandbox::Sandbox;
use super::tree::{Plan, Tree};
use super::unbound::{Unbound, stubs_with};
use super::zone::{Signing, Zone};

const ZONE: &str = "example.test.";

/// A tree with PowerDNS in it, and an Unbound that knows whom to ask for what.
#[derive(Debug)]
pub struct PdnsTree {
    pub pdns: Process,
    pub unbound: Unbound,
    pub tree: Tree,
    pub key: String,
    dns: Port,
    api: Port,
}

impl PdnsTree {
    /// The usual tree, but example.test. is PowerDNS's, signed by it with the tree's keys.
    pub fn start() -> PdnsTree {
        PdnsTree::start_from(Tree::plan(), |_| String::new())
    }

    /// The same from `plan`, with `more` at the end of its configuration; files go into its folder.
    pub fn start_from(mut plan: Plan, more: impl FnOnce(&Sandbox) -> String) -> PdnsTree {
        plan.zones.retain(|zone| zone.name == ZONE || !zone.name.ends_with(".example.test."));
        let tree = plan.with(ZONE, |zone| Zone { signing: Signing::Elsewhere, ..zone }).start();
        let (dns, api) = (Port::free(), Port::free());
        let key = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
        private(tree.sandbox.write("api.key", &format!("{key}\n")));
        let folder = tree.sandbox.path().display();
        let more = more(&tree.sandbox);
        tree.sandbox.write(
            "pdns.conf",
            &format!(
                "launch=gsqlite3\ngsqlite3-database={folder}/pdns.db\ngsqlite3-dnssec=yes\n\
                 local-address=127.0.0.1\nlocal-port={}\n\
                 api=yes\napi-key={key}\nwebserver-address=127.0.0.1\nwebserver-port={}\nwebserver-allow-from=127.0.0.1\n\
                 socket-dir={folder}\ndaemon=no\nguardian=no\ndisable-syslog=yes\nsecurity-poll-suffix=\n\
                 setuid=\nsetgid=\nreceiver-threads=1\ndistributor-threads=1\n\
                 cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n{more}",
                dns.number(),
                api.number()
            ),
        );
        let schema = "import sqlite3, sys\n\
            sqlite3.connect(sys.argv[1]).executescript(open(sys.argv[2]).read())";
        let schema_file = "/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql";
        run_ok(command("python3").args(["-c", schema]).arg(tree.sandbox.join("pdns.db")).arg(schema_file));
        let util = |arguments: &[&str]| run_ok(util(&tree).args(arguments));
        util(&["load-zone", ZONE, tree.sandbox.join("example.test.db").to_str().unwrap()]);
        let keys = tree.keys(ZONE);
        for (file, role) in [(&keys.ksk, "ksk"), (&keys.zsk, "zsk")] {
            util(&["import-zone-key", ZONE, &format!("{}.private", file.display()), "active", role]);
        }
        util(&["set-meta", ZONE, "SOA-EDIT-API", "DEFAULT"]);
        util(&["set-meta", ZONE, "API-RECTIFY", "1"]);
        util(&["rectify-zone", ZONE]);
        for key in &tree.tsig {
            util(&["import-tsig-key", &key.name, &key.algorithm, &key.secret]);
        }
        let mut server = command("pdns_server");
        server.arg(format!("--config-dir={folder}"));
        let pdns = Process::start("pdns_server", server, tree.sandbox.path(), || {
            is_signed(dns.addr(), ZONE, RecordType::SOA) && std::net::TcpStream::connect(api.addr()).is_ok()
        });
        let unbound = Unbound::start(&stubs_with(&tree, ZONE, dns.addr()), Some(&tree.anchor()));
        PdnsTree { pdns, unbound, tree, key, dns, api }
    }

    /// Where it answers, over UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.dns.addr()
    }

    /// Its API.
    pub fn url(&self) -> String {
        format!("http://{}", self.api.addr())
    }

    /// A file with the API key.
    pub fn key_file(&self) -> PathBuf {
        self.tree.sandbox.join("api.key")
    }

    /// `pdnsutil` for this server.
    pub fn util(&self) -> Command {
        util(&self.tree)
    }
}

fn private(file: PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn util(tree: &Tree) -> Command {
    let mut util = command("pdnsutil");
    util.arg(format!("--config-dir={}", tree.sandbox.path().display()));
    util
}
