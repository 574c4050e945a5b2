//! Knot DNS as the primary of example.test., inside a tree whose root and TLD named serves.

use std::net::SocketAddr;
use std::path::PathBuf;

use hickory_proto::rr::RecordType;

use super::ask::is_signed;
use super::named::TsigKey;
use super::peer::command;
use super::port::Port;
use super::process::{Process, run_ok};
use super::tree::{Tree, update_at};
use super::unbound::{Unbound, stubs_with};
use super::zone::{Signing, Zone};

/// The zone that Knot serves and signs.
const ZONE: &str = "example.test.";

/// A tree with Knot in it, and an Unbound that knows whom to ask for what.
#[derive(Debug)]
pub struct KnotTree {
    pub knot: Process,
    pub unbound: Unbound,
    pub tree: Tree,
    port: Port,
}

impl KnotTree {
    /// The usual tree, but example.test. is Knot's.
    pub fn start() -> KnotTree {
        KnotTree::start_from(Tree::plan())
    }

    /// The tree of `plan`, but example.test. is Knot's. Zones below it are left out: Knot would have
    /// to serve them as well.
    pub fn start_from(mut plan: super::tree::Plan) -> KnotTree {
        plan.zones.retain(|zone| zone.name == ZONE || !zone.name.ends_with(".example.test."));
        let tree = plan.with(ZONE, |zone| Zone { signing: Signing::Elsewhere, ..zone }).start();
        let port = Port::free();
        let knot = start_knot(&tree, &port);
        let unbound = Unbound::start(&stubs_with(&tree, ZONE, port.addr()), Some(&tree.anchor()));
        KnotTree { knot, unbound, tree, port }
    }

    /// Where Knot answers, over UDP and TCP.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Changes the zone through nsupdate.
    pub fn update(&self, lines: &str) {
        update_at(self.addr(), &self.tree.tsig("zone"), &self.tree.sandbox, &format!("zone {ZONE}\n{lines}"));
    }

    /// The key file of a TSIG key, in Knot's YAML.
    pub fn tsig_yaml(&self, name: &str) -> PathBuf {
        self.tree.sandbox.join(&format!("{name}.yaml"))
    }
}

fn start_knot(tree: &Tree, port: &Port) -> Process {
    let folder = tree.sandbox.join("knot");
    std::fs::create_dir(&folder).unwrap();
    let conf = tree.sandbox.write("knot.conf", &configuration(tree, &folder, port.number()));
    for key in &tree.tsig {
        tree.sandbox.write(&format!("{}.yaml", key.name), &yaml_keys(std::slice::from_ref(key)));
    }
    for key in tree.keys(ZONE).files() {
        let mut keymgr = command("keymgr");
        let file = format!("{}.private", key.display());
        run_ok(keymgr.arg("-c").arg(&conf).args([ZONE, "import-bind", &file]));
    }
    let mut knotd = command("knotd");
    knotd.arg("-c").arg(&conf);
    let addr = port.addr();
    Process::start("knotd", knotd, tree.sandbox.path(), || is_signed(addr, ZONE, RecordType::SOA))
}

fn yaml_keys(keys: &[TsigKey]) -> String {
    let entry = |key: &TsigKey| {
        format!("  - id: {}\n    algorithm: {}\n    secret: {}\n", key.name, key.algorithm, key.secret)
    };
    format!("key:\n{}", keys.iter().map(entry).collect::<String>())
}

/// One rule a key: all, or the SSHFP sets of its owners. The first rule allows questions to all.
pub fn acls(keys: &[TsigKey]) -> (String, String) {
    let mut text = String::from("acl:\n");
    let mut names = Vec::new();
    for key in keys {
        let name = &key.name;
        text += &format!("  - id: acl-{name}\n    key: {name}\n    action: update\n");
        if let Some(owners) = &key.owners {
            let owners = owners.join(", ");
            text += "    update-type: [ SSHFP ]\n    update-owner: name\n    update-owner-match: equal\n";
            text += &format!("    update-owner-name: [ {owners} ]\n");
        }
        names.push(format!("acl-{name}"));
    }
    (text, names.join(", "))
}

fn configuration(tree: &Tree, folder: &std::path::Path, port: u16) -> String {
    let zone = tree.zones.iter().find(|zone| zone.name == ZONE).unwrap();
    let (acls, names) = match &zone.policy {
        Some(acls) => {
            let ids = acls.lines().filter_map(|line| line.trim().strip_prefix("- id: "));
            (acls.clone(), ids.collect::<Vec<_>>().join(", "))
        }
        None => acls(&tree.tsig),
    };
    let keys = yaml_keys(&tree.tsig);
    let nsec3 = match zone.nsec3 {
        true => {
            format!("    nsec3: on\n    nsec3-salt-length: 0\n    nsec3-iterations: {}\n", zone.iterations)
        }
        false => String::new(),
    };
    let folder = folder.display();
    let zones = tree.sandbox.path().display();
    format!(
        "server:
    rundir: \"{folder}\"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: \"{folder}\"
{keys}{acls}policy:
  - id: own
    manual: on
    dnskey-ttl: 60
{nsec3}template:
  - id: default
    storage: \"{zones}\"
    journal-content: changes
    zonefile-sync: -1
    zonefile-load: difference
zone:
  - domain: {ZONE}
    file: example.test.db
    dnssec-signing: on
    dnssec-policy: own
    acl: [ {names} ]
"
    )
}
