//! `verify`, `exec`, `proxy` and `known-hosts` on a host for which a CA vouches, with sshd at one end and ssh, dbclient,
//! asyncssh and paramiko at the other.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use super::*;
use crate::support::certificate::public;
use crate::support::peer::command;
use crate::support::sshd::{Sshd, keygen};
use crate::support::{Finished, Sandbox, Tree, run, run_ok, venv};

const OWNER: &str = "web1.example.test.";
const CERTIFICATE: &str = "ecdsa-sha2-nistp256-cert-v01@openssh.com";

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
    fn reason(&self) -> String {
        let told = self.verify();
        assert_eq!(told["verdict"] == "accept", told["reason"].is_null(), "{told}");
        told["reason"].as_str().unwrap_or_default().to_owned()
    }

    fn ssh(&self, asks: &str, proxy: &str, options: &[&str], host: &str) -> Finished {
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
        run(ssh.args([host, "echo", "hello from $((6*7))"]), LIMIT)
    }

    /// ssh with empty known_hosts, which asks `known-hosts`.
    fn by_known_hosts(&self, options: &[&str], host: &str) -> Finished {
        let program = env!("CARGO_BIN_EXE_sshanchor");
        let asks = format!("KnownHostsCommand={program} known-hosts %I %H %t %K %k %p");
        let proxy = format!("ProxyCommand={program} proxy 127.0.0.1 {}", self.sshd.port());
        let strict = ["StrictHostKeyChecking=yes", "UserKnownHostsFile=none", "CheckHostIP=no"];
        self.ssh(&asks, &proxy, &[options, &strict].concat(), host)
    }

    /// ssh that believes everything, behind `proxy`.
    fn by_proxy(&self, options: &[&str]) -> Finished {
        let proxy = format!("ProxyCommand={} proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
        let port = format!("Port={}", self.sshd.port());
        let lax = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", &port];
        self.ssh("", &proxy, &[options, &lax].concat(), HOST)
    }

    fn negotiated(&self, mark: usize) -> String {
        let log = self.sshd.process.log()[mark..].to_owned();
        let line = log.lines().rev().find_map(|line| line.split_once("kex: host key algorithm: "));
        line.map(|(_, algorithm)| algorithm.split_whitespace().next().unwrap().to_owned()).unwrap()
    }
}

#[track_caller]
fn works(finished: &Finished) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "hello from 42\n"), "{finished:#?}");
}

#[track_caller]
fn is_stopped(finished: &Finished, why: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    assert!(finished.stderr.contains(why), "{why:?} is not on the screen: {finished:#?}");
}

/// A client that takes any key, behind the proxy.
const ASYNCSSH: &str = "import asyncio, asyncssh, shlex, sys
async def main():
    options = dict(known_hosts=None, username='nobody', client_keys=None, config=None)
    if ALGORITHMS: options['server_host_key_algs'] = ALGORITHMS
    async with asyncssh.connect('web1.example.test', proxy_command=shlex.split(sys.argv[1]), **options): pass
asyncio.run(main())
";

const REQUIRED: &str = "without a certificate, and DNSSEC proves CAs for it";

#[test]
fn ssh_reaches_a_host_by_its_certificate_alone_by_whatever_name_it_has_for_it() {
    let mut world = World::start();
    let alias = format!("HostKeyAlias={HOST}");
    for (options, host) in [
        (&[][..], HOST),
        (&["Port=2222"], HOST),
        (&["Port=2222"], "WEB1.Example.test"),
        (&[&alias], "10.0.0.1"),
        (&[&alias, "Port=2222"], "somewhere.test"),
        (&["HostName=web1.example.test"], "web"),
    ] {
        let mark = world.sshd.mark();
        works(&world.by_known_hosts(options, host));
        assert_eq!(world.negotiated(mark), CERTIFICATE, "{options:?} {host}");
    }
    // ssh's own rules count besides: it takes the final dot for part of the name.
    is_stopped(&world.by_known_hosts(&[], "web1.example.test."), "name is not a listed principal");
    works(&world.by_known_hosts(&["HostKeyAlias=WEB1.EXAMPLE.TEST"], "x"));
    is_stopped(&world.by_known_hosts(&["CASignatureAlgorithms=rsa-sha2-512"], HOST), "disallowed algorithm");
    is_stopped(&world.by_known_hosts(&[], "web2.example.test"), "it is for web1.example.test");
    is_stopped(&world.by_known_hosts(&["HostKeyAlgorithms=ssh-ed25519"], HOST), REQUIRED);
    // In the proxy it is the same.
    works(&world.by_proxy(&[]));
    is_stopped(&world.by_proxy(&["HostKeyAlgorithms=ssh-ed25519"]), REQUIRED);
    world.certify(false);
    is_stopped(&world.by_known_hosts(&[], HOST), REQUIRED);
    is_stopped(&world.by_proxy(&[]), REQUIRED);
    assert_eq!(world.reason(), "certificate-required");
}

#[test]
fn known_hosts_prints_the_plain_key_where_that_suffices_and_else_the_ca_alone() {
    let world = World::start();
    let certificate = std::fs::read_to_string(world.sshd.sandbox.join("host_ecdsa256-cert.pub")).unwrap();
    let mut words = certificate.split(' ');
    let (kind, base64) = (words.next().unwrap(), words.next().unwrap());
    let call = |arguments: &[&str]| {
        let finished = run(world.sshanchor().arg("known-hosts").args(arguments), LIMIT);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished.stdout
    };
    let ca = std::fs::read_to_string(world.ca.join("ca.pub")).unwrap();
    let ca = ca.rsplit_once(' ').unwrap().0;
    let key = std::fs::read_to_string(world.sshd.host_key("ecdsa256")).unwrap();
    let key = key.rsplit_once(' ').unwrap().0;
    for name in [HOST, "[web1.example.test]:2222"] {
        world.publish("none");
        assert_eq!(call(&["HOSTNAME", name, kind, base64]), format!("@cert-authority {name} {ca}\n"));
        let order = call(&["ORDER", name, "NONE", "NONE"]);
        let order: Vec<&str> = order.lines().collect();
        assert!(
            matches!(order[..], [ca] if ca.starts_with(&format!("@cert-authority {name} "))),
            "{order:?}"
        );
        assert!(!order[0].contains(ca));
        world.publish("keys");
        assert_eq!(call(&["HOSTNAME", name, kind, base64]), format!("{name} {key}\n"));
        world.publish("stale");
        assert_eq!(call(&["HOSTNAME", name, kind, base64]), format!("@cert-authority {name} {ca}\n"));
    }
}

#[test]
fn what_is_required_decides_which_proof_suffices() {
    let mut world = World::start();
    for certified in [true, false] {
        world.certify(certified);
        for published in ["none", "keys", "stale"] {
            world.publish(published);
            for (rule, wanted) in [
                ("require = \"either\"", [["", "", ""], ["certificate-required", "", "key-mismatch"]]),
                (
                    "require = \"hostkey\"",
                    [["no-record", "", "key-mismatch"], ["no-record", "", "key-mismatch"]],
                ),
                ("require = \"ca\"", [["", "", ""], ["certificate-required"; 3]]),
                (
                    "require = \"both\"",
                    [
                        ["no-record", "", "key-mismatch"],
                        ["no-record", "certificate-required", "certificate-required"],
                    ],
                ),
                ("ca_at = [\"lab.example.test\"]", [["no-record", "", "key-mismatch"]; 2]),
                ("ca_at = [\"example.test\"]", [["", "", ""], ["certificate-required", "", "key-mismatch"]]),
            ] {
                let at = ["none", "keys", "stale"].iter().position(|word| *word == published).unwrap();
                let wanted = wanted[usize::from(!certified)][at];
                world.rule(rule);
                let case = format!("{rule}, certificate: {certified}, SSHFP: {published}");
                assert_eq!(world.reason(), wanted, "{case}");
                let proxied = world.by_proxy(&[]);
                assert_eq!(proxied.code == Some(0), wanted.is_empty(), "{case}: {proxied:#?}");
                let asked = world.by_known_hosts(&[], HOST);
                assert_eq!(asked.code == Some(0), wanted.is_empty(), "{case}: {asked:#?}");
            }
        }
    }
}

#[test]
fn a_stale_record_does_not_stand_against_a_good_certificate() {
    let world = World::start();
    world.publish("stale");
    let told = world.verify();
    assert_eq!(told["verdict"], "accept", "{told}");
    assert!(told["message"].as_str().unwrap().contains("_ca._ssh.example.test"), "{told}");
    works(&world.by_proxy(&[]));
    works(&world.by_known_hosts(&[], HOST));
    // A client that asks for a plain key gets one that the record speaks against.
    is_stopped(&world.by_proxy(&["HostKeyAlgorithms=ssh-ed25519"]), "DNSSEC proves other keys");
}

#[test]
fn exec_runs_a_command_on_a_host_with_a_certificate_alone() {
    let mut world = World::start();
    let exec = |world: &World| {
        let mut exec = world.sshanchor();
        exec.args(["exec", "-H", HOST, "-p", &world.sshd.port().to_string(), "-i"]);
        run(exec.arg(world.sshd.sandbox.join("user")).args(["--", "echo", "hello from $((6*7))"]), LIMIT)
    };
    world.sshd.configure(&format!(
        "LogLevel VERBOSE\nHostCertificate {}",
        world.sshd.sandbox.join("host_ecdsa256-cert.pub").display()
    ));
    works(&exec(&world));
    world.publish("stale");
    works(&exec(&world));
    world.publish("none");
    world.certify(false);
    is_stopped(&exec(&world), "offers no certificate, and DNSSEC proves CAs for it");
}

#[test]
fn revoked_keys_can_be_asked_for_of_every_host() {
    let mut world = World::start();
    world.publish("keys");
    world.certify(false);
    let set = "_revoked._ssh.example.test.";
    world.rule("revocation = \"always\"");
    assert_eq!(world.reason(), "");
    works(&world.by_known_hosts(&[], HOST));
    world.tree.update(&format!("update delete {set} SSHFP"));
    assert_eq!(world.reason(), "revocation-unproven");
    is_stopped(&world.by_proxy(&[]), "that its key is not revoked is not proven");
    world.rule("revocation = \"ca\"");
    assert_eq!(world.reason(), "");
    // A set without its sentinel says that nothing is known, and still that this key is revoked.
    world.tree.update(&format!("update add {set} 60 SSHFP 4 2 {}", "cd".repeat(32)));
    assert_eq!(world.reason(), "");
    world.rule("revocation = \"always\"");
    assert_eq!(world.reason(), "revocation-unproven");
    world.rule("");
    let keys: String = ["ed25519", "ecdsa256", "rsa"]
        .map(|name| format!("update add {set} 60 SSHFP {}\n", record_of(&public(&world.sshd.host_key(name)))))
        .concat();
    world.tree.update(&keys);
    assert_eq!(world.reason(), "revoked");
    is_stopped(&world.by_proxy(&[]), "_revoked._ssh.example.test revokes");
    is_stopped(&world.by_known_hosts(&[], HOST), "_revoked._ssh.example.test revokes");
}

#[test]
fn an_ssh_without_known_hosts_command_reads_the_proxys_file() {
    let mut world = World::start();
    let file = world.tree.sandbox.join("proven");
    let through = |world: &World| {
        let program = env!("CARGO_BIN_EXE_sshanchor");
        let proxy = format!("ProxyCommand={program} proxy --known-hosts-file {} %h %p", file.display());
        let known = format!("UserKnownHostsFile={}", file.display());
        let port = format!("Port={}", world.sshd.port());
        world.ssh("", &proxy, &["StrictHostKeyChecking=yes", &known, &port], HOST)
    };
    works(&through(&world));
    works(&through(&world));
    world.certify(false);
    is_stopped(&through(&world), REQUIRED);
    let left = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(!left.contains("ecdsa-sha2-nistp256"), "{left}");
    world.certify(true);
    works(&through(&world));
}

/// Those that know no host certificates, or are told to ask for none, agree on a plain key.
#[test]
fn clients_without_certificates_are_told_that_one_is_needed() {
    let world = World::start();
    let proxy = format!("'{}' proxy {HOST} {}", env!("CARGO_BIN_EXE_sshanchor"), world.sshd.port());
    let told = |mut client: Command| {
        world.equip(&mut client, world.tree.addr());
        run(&mut client, LIMIT)
    };
    let python = |code: &str| {
        let mut python = venv::command("python");
        python.args(["-c", code, &proxy]);
        python
    };
    let clients = || {
        let mut dbclient = command("dbclient");
        dbclient.args(["-y", "-y", "-J", &proxy.replace('\'', ""), HOST, "true"]);
        let asyncssh = python(&ASYNCSSH.replace("ALGORITHMS", "['ssh-ed25519']"));
        let paramiko = python(
            "import logging, paramiko, sys\n\
             logging.basicConfig(level=logging.INFO)\n\
             transport = paramiko.Transport(paramiko.ProxyCommand(sys.argv[1]))\n\
             transport.start_client(timeout=20)\n\
             transport.auth_none('nobody')\n",
        );
        [("dbclient", dbclient), ("asyncssh", asyncssh), ("paramiko", paramiko)]
    };
    for (name, client) in clients() {
        let mark = world.sshd.mark();
        let finished = told(client);
        assert_ne!(finished.code, Some(0), "{name} {finished:#?}");
        assert!(finished.stderr.contains(REQUIRED), "{name} {finished:#?}");
        assert!(finished.stderr.contains("a client that knows none"), "{name} {finished:#?}");
        assert!(!world.sshd.saw_userauth(mark), "{name}");
    }
    // asyncssh knows certificates, and asks for them first.
    let mark = world.sshd.mark();
    let finished = told(python(&ASYNCSSH.replace("ALGORITHMS", "()")));
    assert!(finished.stderr.contains("PermissionDenied"), "{finished:#?}");
    assert_eq!(world.negotiated(mark), CERTIFICATE);
    // The twin: with records of the plain keys they get as far as to say who they are.
    world.publish("keys");
    for (name, client) in clients() {
        let mark = world.sshd.mark();
        let finished = told(client);
        assert!(!finished.stderr.contains("sshanchor: "), "{name} {finished:#?}");
        assert!(
            crate::support::process::wait_until(LIMIT, || world.sshd.saw_userauth(mark)),
            "{name} {finished:#?}"
        );
    }
}

/// What is exported are keys that records vouch for, and there are none; nor does a CA speak for a line in known_hosts.
#[test]
fn nothing_is_exported_of_a_host_without_records_and_nothing_tidied() {
    let world = World::start();
    let target = format!("{HOST}:{}", world.sshd.port());
    let export = |format: &str| run(world.sshanchor().args(["export", format, &target]), LIMIT);
    for format in ["known-hosts", "plink", "ansible", "sshfp"] {
        let finished = export(format);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), ""), "{format}: {finished:#?}");
    }
    let key = std::fs::read_to_string(world.sshd.host_key("ecdsa256")).unwrap();
    let known = world.tree.sandbox.write("known", &format!("[{HOST}]:{} {key}", world.sshd.port()));
    let finished = run(world.sshanchor().args(["tidy", "--file"]).arg(&known), LIMIT);
    assert!(finished.stdout.contains("1 unproven"), "{finished:#?}");
    world.publish("keys");
    assert_eq!(export("known-hosts").code, Some(0));
}
