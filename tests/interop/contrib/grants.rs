//! What a host's key may write: the very files of contrib/, in BIND and Knot.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use hickory_proto::rr::{RData, RecordType};

use super::text;
use crate::interop::primary::{FOREIGN, LIMIT, key, private, record, records_at};
use crate::support::ask::ask;
use crate::support::knot::KnotTree;
use crate::support::named::TsigKey;
use crate::support::peer::command as peer;
use crate::support::tree::Plan;
use crate::support::{Finished, Tree, run};

/// What the key web1.example.test tries, in nsupdate's words; OTHER is a record that stands at web3.
const REFUSED: &[&str] = &[
    "update delete web3.example.test SSHFP",
    "update delete web3.example.test SSHFP OTHER",
    "update add web3.example.test 60 SSHFP FOREIGN",
    "update add web1.example.test 60 A 127.0.0.9",
    "update delete web1.example.test A",
    "update delete web1.example.test A 127.0.0.1",
    "update add web1.example.test 60 AAAA ::1",
    "update add web1.example.test 60 TXT x",
    "update add web1.example.test 60 NS ns.example.test.",
    "update add web1.example.test 60 DS 1 13 2 ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB",
    "update add web1.example.test 60 DNAME other.test.",
    "update add new.example.test 60 CNAME web1.example.test.",
    // All types at the own name, its addresses among them.
    "update delete web1.example.test",
    "update delete web3.example.test",
    "update add new.example.test 60 SSHFP FOREIGN",
    "update add new.web1.example.test 60 SSHFP FOREIGN",
    "update add _ca._ssh.web1.example.test 60 SSHFP FOREIGN",
    "update add _ca._ssh.example.test 60 SSHFP FOREIGN",
    "update add _CA._ssh.example.test 60 SSHFP FOREIGN",
    "update add _revoked._ssh.example.test 60 SSHFP FOREIGN",
    "update add _revoked._ssh.web1.example.test 60 SSHFP FOREIGN",
    "update add _ssh.example.test 60 SSHFP FOREIGN",
    "update add _22._ssh.web1.example.test 60 SSHFP FOREIGN",
    "update add *.example.test 60 SSHFP FOREIGN",
    "update add *.web1.example.test 60 SSHFP FOREIGN",
    "update add example.test 60 SSHFP FOREIGN",
    "update add example.test 60 NS ns.web1.example.test.",
    "update delete example.test SSHFP",
    // What it may write, beside what it may not: all or nothing.
    "update add web1.example.test 60 SSHFP FOREIGN\nupdate add web3.example.test 60 SSHFP FOREIGN",
    "update delete web1.example.test SSHFP\nupdate delete web1.example.test A",
];

/// What web2, whose sets are named, tries.
const REFUSED_BY_NAME: &[&str] = &[
    "update add web1.example.test 60 SSHFP FOREIGN",
    "update add web2.example.test 60 A 127.0.0.9",
    "update delete web2.example.test",
    "update add _22._ssh.web2.example.test 60 SSHFP FOREIGN",
    "update add _2222._ssh.web2.example.test 60 TXT x",
    "update add _ca._ssh.web2.example.test 60 SSHFP FOREIGN",
];

/// A server with the file of contrib/ for it, and how it says no.
struct Primary {
    server: Server,
    no: &'static [&'static str],
}

enum Server {
    Bind(Box<Tree>),
    Knot(Box<KnotTree>),
}

/// The usual tree, with keys for the hosts of the files.
fn plan() -> Plan {
    let own = ["web1.example.test", "web3.example.test", "example.test"];
    own.iter().fold(Tree::plan(), |plan, name| plan.tsig(TsigKey::new(name, "hmac-sha256", None)))
}

fn with_policy(path: &str) -> Plan {
    let policy = text(path);
    plan().with("example.test.", |zone| zone.policy(&policy))
}

impl Primary {
    fn bind() -> Primary {
        let tree = with_policy("bind/host-update-policy.conf").start();
        Primary { server: Server::Bind(Box::new(tree)), no: &["REFUSED"] }
    }

    fn knot() -> Primary {
        let knot = KnotTree::start_from(with_policy("knot/host-acl.conf"));
        // It does not tell a key that may not from one that it does not know.
        Primary { server: Server::Knot(Box::new(knot)), no: &["NOTAUTH", "REFUSED"] }
    }

    fn tree(&self) -> &Tree {
        match &self.server {
            Server::Bind(tree) => tree,
            Server::Knot(knot) => &knot.tree,
        }
    }

    fn addr(&self) -> SocketAddr {
        match &self.server {
            Server::Bind(tree) => tree.addr(),
            Server::Knot(knot) => knot.addr(),
        }
    }

    fn tsig(&self, name: &str) -> PathBuf {
        private(match &self.server {
            Server::Knot(knot) => knot.tsig_yaml(name),
            Server::Bind(tree) => tree.tsig(name),
        })
    }

    fn serial(&self) -> u32 {
        let reply = ask(self.addr(), "example.test", RecordType::SOA).unwrap();
        let serial = |data: &RData| if let RData::SOA(soa) = data { Some(soa.serial) } else { None };
        reply.answers.iter().find_map(|record| serial(&record.data)).unwrap()
    }

    /// nsupdate with a key in BIND's form, or with none.
    fn nsupdate(&self, key: Option<&str>, lines: &str) -> Finished {
        let (addr, sandbox) = (self.addr(), &self.tree().sandbox);
        let name = format!("update-{:08x}", rand::random::<u32>());
        let script = format!("server {} {}\nzone example.test\n{lines}\nsend\n", addr.ip(), addr.port());
        let mut nsupdate = peer("nsupdate");
        if let Some(key) = key {
            nsupdate.arg("-k").arg(self.tree().tsig(key));
        }
        run(nsupdate.arg(sandbox.write(&name, &script)), LIMIT)
    }

    fn refuses(&self, key: Option<&str>, lines: &str, other: &str) {
        let lines = lines.replace("FOREIGN", FOREIGN).replace("OTHER", other);
        let serial = self.serial();
        let finished = self.nsupdate(key, &lines);
        let says_no = self.no.iter().any(|no| finished.stderr.contains(no));
        assert!(finished.code == Some(2) && says_no, "{key:?}: {lines}: {finished:#?}");
        // Nothing else changes it meanwhile.
        assert_eq!(self.serial(), serial, "{key:?}: {lines}");
    }

    fn command(&self, command: &str, name: &str, key: &str) -> Command {
        let (addr, sandbox) = (self.addr().to_string(), &self.tree().sandbox);
        let mut sshanchor = sandbox.sshanchor();
        sshanchor.args([command, "--json", "--name", name, "--server", &addr, "--check-server", &addr]);
        sshanchor.arg("--key-file").arg(self.tsig(key)).arg("--state").arg(sandbox.join(key));
        sshanchor
    }

    /// `publish` of one key at `name`; gives what stands there afterwards.
    fn publish(&self, name: &str, tsig: &str, public: &PathBuf, more: &[&str]) -> Vec<String> {
        let mut publish = self.command("publish", name, tsig);
        let finished = run(publish.arg("--host-key").arg(public).args(more), LIMIT);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(finished.json()["changed"], true, "{finished:#?}");
        records_at(self.addr(), finished.json()["owner"].as_str().unwrap_or(name)).0
    }
}

macro_rules! on_each {
    ($($test:ident)*) => {
        mod bind { $(#[test] fn $test() { super::$test(super::Primary::bind()); })* }
        mod knot { $(#[test] fn $test() { super::$test(super::Primary::knot()); })* }
    };
}

on_each! {
    a_key_named_like_its_host_writes_that_set_alone
    a_key_writes_the_sets_that_are_named_for_it_alone
}

fn a_key_named_like_its_host_writes_that_set_alone(primary: Primary) {
    let sandbox = &primary.tree().sandbox;
    let [first, second, third] = ["first", "second", "third"].map(|name| key(sandbox, name));
    let (own, other) = ("web1.example.test", "web3.example.test");
    assert_eq!(primary.publish(other, other, &third, &[]), [record(&third)]);
    assert_eq!(primary.publish(own, own, &first, &[]), [record(&first)]);
    for lines in REFUSED {
        primary.refuses(Some(own), lines, &record(&third));
    }
    // Without a key, and with one that has nothing to do with hosts.
    let add = "update add web1.example.test 60 SSHFP FOREIGN";
    primary.refuses(None, add, "");
    primary.refuses(Some("web2"), add, "");
    primary.refuses(Some("example.test"), add, "");
    assert_eq!(records_at(primary.addr(), own).0, [record(&first)]);
    assert_eq!(records_at(primary.addr(), other).0, [record(&third)]);

    // What it may, by sshanchor and by others.
    let serial = primary.serial();
    assert_eq!(primary.publish(own, own, &second, &[]), [record(&second)]);
    assert!(primary.serial() > serial, "secondaries see nothing");
    let set = format!("update delete {own} SSHFP\nupdate add {own} 60 SSHFP {}", record(&second));
    assert_eq!(primary.nsupdate(Some(own), &set).code, Some(0));
    let withdrawn = run(&mut primary.command("withdraw", own, own), LIMIT);
    assert_eq!(withdrawn.code, Some(0), "{withdrawn:#?}");
    assert!(records_at(primary.addr(), own).0.is_empty());
    let address = ask(primary.addr(), own, RecordType::A).unwrap();
    assert!(address.answers.iter().any(|record| record.record_type() == RecordType::A));

    // As sshanchor tells it.
    let refused = run(primary.command("publish", other, own).arg("--host-key").arg(&first), LIMIT);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(["refused", "badkey"].contains(&refused.json()["reason"].as_str().unwrap()), "{refused:#?}");
}

fn a_key_writes_the_sets_that_are_named_for_it_alone(primary: Primary) {
    let public = key(&primary.tree().sandbox, "key");
    for lines in REFUSED_BY_NAME {
        primary.refuses(Some("web2"), lines, "");
    }
    let name = "web2.example.test";
    assert_eq!(primary.publish(name, "web2", &public, &[]), [record(&public)]);
    primary.publish(name, "web2", &public, &["--port", "2222"]);
    assert_eq!(records_at(primary.addr(), "_2222._ssh.web2.example.test").0, [record(&public)]);
    let refused = run(
        primary.command("publish", name, "web2").args(["--port", "22", "--host-key"]).arg(&public),
        LIMIT,
    );
    assert_eq!(refused.code, Some(1), "{refused:#?}");
}
