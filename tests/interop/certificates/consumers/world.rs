//! A host for which a CA vouches, and ssh on its way there.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::interop::certificates::{HOST, LIMIT, with_ca};
use crate::support::certificate::public;
use crate::support::hello::ASKED;
use crate::support::peer::command;
use crate::support::sandbox::clean;
use crate::support::sshd::{Sshd, keygen};
use crate::support::tree::Plan;
use crate::support::{Finished, Sandbox, Tree, run, run_ok};

const OWNER: &str = "web1.example.test.";

/// A host with keys of three types and a certificate for one of them, and nothing in DNS but its address and the CA.
pub struct World {
    pub sshd: Sshd,
    pub tree: Tree,
    pub ca: Sandbox,
}

impl World {
    pub fn start() -> World {
        World::with(|plan| plan)
    }

    pub fn with(more: impl FnOnce(Plan) -> Plan) -> World {
        let ca = Sandbox::new();
        keygen(&["-t", "ed25519"], &ca.join("ca"));
        let key = public(&ca.join("ca.pub"));
        let tree = more(with_ca(Tree::plan(), "example.test.", &[&key])).start();
        let mut world = World { sshd: Sshd::start(&["ed25519", "ecdsa256", "rsa"]), tree, ca };
        world.certify(true);
        world
    }

    /// Has sshd show a certificate, or not.
    pub fn certify(&mut self, shown: bool) {
        let mut sign = command("ssh-keygen");
        sign.args(["-q", "-h", "-I", "test", "-n", HOST, "-s"]).arg(self.ca.join("ca"));
        run_ok(sign.arg(self.sshd.host_key("ecdsa256")));
        let file = self.sshd.sandbox.join("host_ecdsa256-cert.pub");
        let line = format!("HostCertificate {}", file.display());
        self.sshd.configure(if shown { &line } else { "" });
    }

    /// Publishes the server's own keys, those of another, or none.
    pub fn publish(&self, what: &str) {
        let update = match what {
            "keys" => self.sshd.sshfp_update(OWNER),
            "stale" => {
                let stale = |n: u8| format!("\nupdate add {OWNER} 60 SSHFP {n} 2 {}", "ab".repeat(32));
                format!("update delete {OWNER} SSHFP{}{}{}", stale(1), stale(3), stale(4))
            }
            _ => format!("update delete {OWNER} SSHFP"),
        };
        self.tree.update(&update);
    }

    /// From now on this is the rule for hosts.
    pub fn rule(&self, rule: &str) {
        let text = format!(
            "version = 1\n[[host]]\nmatch = \"127.0.0.1\"\nmode = \"pass\"\n[[host]]\nmatch = \"*.test\"\n{rule}\n"
        );
        let file = self.tree.sandbox.write("config.toml", &text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn equip(&self, command: &mut Command, resolver: SocketAddr) {
        clean(command, self.tree.sandbox.path());
        let config = self.tree.sandbox.join("config.toml");
        if !config.exists() {
            self.rule("");
        }
        command.env("SSHANCHOR_CONFIG", config).env("SSHANCHOR_CACHE", "off").env_remove("SSH_AUTH_SOCK");
        command.env("SSHANCHOR_RESOLVER", resolver.to_string());
        command.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor());
    }

    pub fn sshanchor(&self) -> Command {
        let mut command = self.tree.sandbox.sshanchor();
        self.equip(&mut command, self.tree.addr());
        command
    }

    pub fn verify(&self) -> Value {
        let target = format!("{HOST}:{}", self.sshd.port());
        let finished = run(self.sshanchor().args(["verify", "--json", &target]), LIMIT);
        finished.json_lines().pop().unwrap_or_else(|| panic!("{finished:#?}"))
    }

    /// `verify`'s reason; empty if it accepts.
    pub fn reason(&self) -> String {
        let told = self.verify();
        assert_eq!(told["verdict"] == "accept", told["reason"].is_null(), "{told}");
        told["reason"].as_str().unwrap_or_default().to_owned()
    }

    pub fn ssh(&self, asks: &str, proxy: &str, options: &[&str], host: &str) -> Finished {
        let mut ssh = command("ssh");
        self.equip(&mut ssh, self.tree.addr());
        ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
        ssh.arg(self.sshd.sandbox.join("user")).args(["-o", "GlobalKnownHostsFile=none"]);
        for option in options {
            ssh.args(["-o", option]);
        }
        if !asks.is_empty() {
            ssh.args(["-o", asks]);
        }
        ssh.args(["-o", proxy]);
        run(ssh.arg(host).args(ASKED), LIMIT)
    }

    /// ssh with empty known_hosts, which asks `known-hosts`.
    pub fn by_known_hosts(&self, options: &[&str], host: &str) -> Finished {
        let program = env!("CARGO_BIN_EXE_sshanchor");
        let asks = format!("KnownHostsCommand={program} known-hosts %I %H %t %K %k %p");
        let proxy = format!("ProxyCommand={program} proxy 127.0.0.1 {}", self.sshd.port());
        let strict = ["StrictHostKeyChecking=yes", "UserKnownHostsFile=none", "CheckHostIP=no"];
        self.ssh(&asks, &proxy, &[options, &strict].concat(), host)
    }

    /// ssh that believes everything, behind `proxy`.
    pub fn by_proxy(&self, options: &[&str]) -> Finished {
        let proxy = format!("ProxyCommand={} proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
        let port = format!("Port={}", self.sshd.port());
        let lax = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", &port];
        self.ssh("", &proxy, &[options, &lax].concat(), HOST)
    }

    pub fn negotiated(&self, mark: usize) -> String {
        let log = self.sshd.process.log()[mark..].to_owned();
        let line = log.lines().rev().find_map(|line| line.split_once("kex: host key algorithm: "));
        line.map(|(_, algorithm)| algorithm.split_whitespace().next().unwrap().to_owned()).unwrap()
    }
}
