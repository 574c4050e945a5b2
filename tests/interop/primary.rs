//! The primary of example.test. as `publish` meets it: BIND or Knot.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};
use serde_json::Value;

use crate::support::ask::ask;
use crate::support::knot::KnotTree;
use crate::support::sshd::{keygen, sshfp_lines};
use crate::support::tree::update_at;
use crate::support::{Finished, Sandbox, Tree, run};

pub const LIMIT: Duration = Duration::from_secs(60);
pub const HOST: &str = "web1.example.test";
pub const FOREIGN: &str = "4 2 aa00000000000000000000000000000000000000000000000000000000000055";
pub const SHA1: &str = "4 1 aa000000000000000000000000000000000000ff";

/// The primary of example.test.
pub enum Primary {
    Bind(Box<Tree>),
    Knot(Box<KnotTree>),
}

impl Primary {
    pub fn bind() -> Primary {
        Primary::Bind(Box::new(Tree::start()))
    }

    pub fn knot() -> Primary {
        Primary::Knot(Box::new(KnotTree::start()))
    }

    pub fn tree(&self) -> &Tree {
        match self {
            Primary::Bind(tree) => tree,
            Primary::Knot(knot) => &knot.tree,
        }
    }

    pub fn sandbox(&self) -> &Sandbox {
        &self.tree().sandbox
    }

    pub fn addr(&self) -> SocketAddr {
        match self {
            Primary::Bind(tree) => tree.addr(),
            Primary::Knot(knot) => knot.addr(),
        }
    }

    /// A TSIG key file in this server's own form.
    pub fn tsig(&self, name: &str) -> PathBuf {
        let file = match self {
            Primary::Bind(tree) => tree.tsig(name),
            Primary::Knot(knot) => knot.tsig_yaml(name),
        };
        private(file)
    }

    pub fn update(&self, lines: &str) {
        update_at(
            self.addr(),
            &self.tree().tsig("zone"),
            self.sandbox(),
            &format!("zone example.test\n{lines}"),
        );
    }

    /// Presentation forms of what stands at `owner`, sorted, and their TTL.
    pub fn records(&self, owner: &str) -> (Vec<String>, Option<u32>) {
        records_at(self.addr(), owner)
    }

    pub fn serial(&self) -> u32 {
        serial_at(self.addr())
    }

    /// `sshanchor COMMAND` against this server, with the key `key` and the state folder `state`.
    pub fn command(&self, command: &str, key: &str) -> Command {
        self.command_by(self.addr(), command, key)
    }

    /// The same by way of `relay`, which is taken for the server.
    pub fn command_by(&self, relay: SocketAddr, command: &str, key: &str) -> Command {
        let mut sshanchor = self.sandbox().sshanchor();
        let addr = relay.to_string();
        sshanchor.args([command, "--server", &addr, "--check-server", &addr, "--key-file"]);
        sshanchor.arg(self.tsig(key)).arg("--state").arg(self.sandbox().join("state"));
        sshanchor
    }

    /// `publish --json` of `keys` at [`HOST`] with the key of that host.
    pub fn publish(&self, keys: &[&Path], more: &[&str]) -> (Finished, Value) {
        let mut command = self.command("publish", "web1");
        command.args(["--json", "--name", HOST]).args(more);
        for key in keys {
            command.arg("--host-key").arg(key);
        }
        let finished = run(&mut command, LIMIT);
        let json = finished.json();
        (finished, json)
    }
}

/// The serial of example.test. at `server`.
pub fn serial_at(server: SocketAddr) -> u32 {
    let reply = ask(server, "example.test", RecordType::SOA).unwrap();
    reply
        .answers
        .iter()
        .find_map(|r| if let RData::SOA(soa) = &r.data { Some(soa.serial) } else { None })
        .unwrap()
}

/// Presentation forms of what `server` shows at `owner`, sorted, and their TTL.
pub fn records_at(server: SocketAddr, owner: &str) -> (Vec<String>, Option<u32>) {
    let reply = ask(server, owner, RecordType::SSHFP).unwrap();
    let mut ttl = None;
    let mut records: Vec<String> = reply
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::SSHFP(sshfp) => {
                ttl = Some(record.ttl);
                let (algorithm, kind): (u8, u8) = (sshfp.algorithm.into(), sshfp.fingerprint_type.into());
                Some(format!("{algorithm} {kind} {}", data_encoding::HEXLOWER.encode(&sshfp.fingerprint)))
            }
            _ => None,
        })
        .collect();
    records.sort();
    (records, ttl)
}

pub fn private(file: PathBuf) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// A fresh Ed25519 key's public half.
pub fn key(sandbox: &Sandbox, name: &str) -> PathBuf {
    let file = sandbox.join(name);
    keygen(&["-t", "ed25519"], &file);
    sandbox.join(&format!("{name}.pub"))
}

/// The record of a key, by ssh-keygen.
pub fn record(public: &Path) -> String {
    let lines = sshfp_lines(public, "x");
    lines[0].split_once(" SSHFP ").unwrap().1.to_owned()
}

pub fn sorted(records: &[&str]) -> Vec<String> {
    let mut records: Vec<String> = records.iter().map(|r| (*r).to_owned()).collect();
    records.sort();
    records
}

pub fn list(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// Each test once with BIND and once with Knot.
macro_rules! on_bind_and_knot {
    ($($test:ident)*) => {
        mod bind { $(#[test] fn $test() { super::$test(&crate::interop::primary::Primary::bind()); })* }
        mod knot { $(#[test] fn $test() { super::$test(&crate::interop::primary::Primary::knot()); })* }
    };
}

pub(crate) use on_bind_and_knot;
