//! contrib/powerdns/host-zone: a zone and a key for one host, in a real PowerDNS.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::contrib;
use crate::interop::primary::{FOREIGN, LIMIT, key, private, record, records_at};
use crate::support::pdns::PdnsTree;
use crate::support::peer::command as peer;
use crate::support::{Finished, Tree, run, run_ok};

/// A server that takes updates by key alone, with zones for web1 and web2.
struct Hosts {
    pdns: PdnsTree,
    keys: [PathBuf; 2],
}

impl Hosts {
    fn start() -> Hosts {
        let more = "dnsupdate=yes\nallow-dnsupdate-from=\n";
        let pdns = PdnsTree::start_from(Tree::plan(), |_| more.to_owned());
        let keys = ["web1", "web2"].map(|host| zone_of(&pdns, host));
        Hosts { pdns, keys }
    }

    /// nsupdate of `zone`, in the name of `key` or of nobody.
    fn nsupdate(&self, key: Option<&Path>, zone: &str, line: &str) -> Finished {
        let (addr, sandbox) = (self.pdns.addr(), &self.pdns.tree.sandbox);
        let script = format!("server {} {}\nzone {zone}\n{line}\nsend\n", addr.ip(), addr.port());
        let mut nsupdate = peer("nsupdate");
        if let Some(key) = key {
            // ALGORITHM:NAME:SECRET, in the form of nsupdate.
            let line = std::fs::read_to_string(key).unwrap();
            let (algorithm, rest) = line.trim().split_once(':').unwrap();
            let (name, secret) = rest.split_once(':').unwrap();
            let file = format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n");
            nsupdate.arg("-k").arg(sandbox.write(&format!("nsupdate-{name}"), &file));
        }
        run(nsupdate.arg(sandbox.write("update", &script)), LIMIT)
    }

    fn publish(&self, name: &str, key: &Path, public: &Path) -> Command {
        let addr = self.pdns.addr().to_string();
        let mut sshanchor = self.pdns.tree.sshanchor(self.pdns.unbound.addr());
        sshanchor.args(["publish", "--json", "--name", name, "--server", &addr, "--check-server", &addr]);
        sshanchor.arg("--key-file").arg(key).arg("--host-key").arg(public);
        sshanchor
    }
}

/// Runs the script for `host`, puts the delegation above, and gives the key's file.
fn zone_of(pdns: &PdnsTree, host: &str) -> PathBuf {
    let sandbox = &pdns.tree.sandbox;
    let zone = format!("{host}.example.test");
    let mut script = Command::new(contrib("powerdns/host-zone"));
    script.args([&zone, "ns.example.test.", "127.0.0.0/8 192.0.2.0/24"]);
    script.arg(format!("--config-dir={}", sandbox.path().display()));
    let made = run(&mut script, LIMIT);
    assert_eq!(made.code, Some(0), "{made:#?}");
    let secret = made.stdout.trim().rsplit_once(':').unwrap().1.to_owned();
    assert!(!made.stderr.contains(&secret), "the secret shows");
    let ds = made.stderr.lines().find_map(|line| line.split_once(" IN DS ")).unwrap().1;
    let ds = ds.split(" ;").next().unwrap();
    run_ok(pdns.util().args(["add-record", "example.test", host, "NS", "60", "ns.example.test."]));
    run_ok(pdns.util().args(["add-record", "example.test", host, "DS", "60", ds]));
    run_ok(pdns.util().args(["rectify-zone", "example.test"]));
    private(sandbox.write(&format!("{host}.key"), &made.stdout))
}

#[test]
fn a_key_of_a_host_s_zone_writes_there_alone() {
    let hosts = Hosts::start();
    let [web1, web2] = &hosts.keys;
    let public = key(&hosts.pdns.tree.sandbox, "key");
    let (own, other) = ("web1.example.test", "web2.example.test");

    // Published, raised, and proven down from the root.
    let published = run(&mut hosts.publish(own, web1, &public), LIMIT);
    assert_eq!(published.code, Some(0), "{published:#?}");
    assert_eq!(published.json()["proof"]["status"], "secure", "{published:#?}");
    assert_eq!(records_at(hosts.pdns.addr(), own).0, [record(&public)]);

    let refused = |key: Option<&Path>, zone: &str, line: &str| {
        let line = format!("update add {line}");
        let finished = hosts.nsupdate(key, zone, &line);
        let says_no = ["REFUSED", "NOTZONE", "NOTAUTH"].iter().any(|no| finished.stderr.contains(no));
        assert!(finished.code == Some(2) && says_no, "{key:?} {zone} {line}: {finished:#?}");
    };
    let record_at = |owner: &str| format!("{owner} 60 SSHFP {FOREIGN}");
    for owner in ["web3.example.test", "example.test", "_ca._ssh.example.test", "_revoked._ssh.example.test"]
    {
        refused(Some(web1), "example.test", &record_at(owner));
        refused(Some(web1), own, &record_at(owner));
        assert!(records_at(hosts.pdns.addr(), owner).0.is_empty(), "{owner}");
    }
    for (key, zone) in
        [(Some(web1), other), (Some(web2), own), (None, own), (None, other), (None, "example.test")]
    {
        refused(key.map(PathBuf::as_path), zone, &record_at(zone));
    }
    let stolen = run(&mut hosts.publish(other, web1, &public), LIMIT);
    assert_eq!(stolen.code, Some(1), "{stolen:#?}");
    assert_eq!(stolen.json()["reason"], "refused");
    assert!(records_at(hosts.pdns.addr(), other).0.is_empty());

    // As the script says: all of its own zone. And nobody without a key right after it, either.
    let address = "update add web1.example.test 60 A 192.0.2.1";
    assert_eq!(hosts.nsupdate(Some(web1), own, address).code, Some(0));
    refused(None, own, &record_at(own));
    assert_eq!(records_at(hosts.pdns.addr(), own).0, [record(&public)]);
}
