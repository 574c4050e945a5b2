//! What policy asks of the handshake: of real servers, and of one that leaves out what all of them have by now; by
//! verify, proxy, exec and known-hosts, each refusal beside what it leaves.

mod pair;

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sshanchor::proto::hostkey::HostKey;

use crate::support::dropbear::Dropbear;
use crate::support::handmade::{Lies, blob, keypair, start_for_many};
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::process::Process;
use crate::support::sandbox::{Sandbox, clean};
use crate::support::sshd::{Sshd, keygen, sshfp_lines};
use crate::support::{Finished, Tree, run, venv};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(30);
const HELLO: &str = "hello\n";

/// A zone with these records of the host, and a user.
struct World {
    tree: Tree,
    key: PathBuf,
    port: u16,
}

impl World {
    /// The host is this sshd.
    fn of(sshd: &Sshd) -> World {
        World::with(&sshd.sshfp(&format!("{HOST}.")), sshd.sandbox.join("user"), sshd.port())
    }

    fn with(sshfp: &[String], key: PathBuf, port: u16) -> World {
        World { tree: sshfp.iter().fold(Tree::plan(), |plan, line| plan.record(line)).start(), key, port }
    }

    fn equip(&self, command: &mut Command, rule: &str) {
        let text = format!("version = 1\ntimeout = \"10s\"\n[[host]]\nmatch = \"*.test\"\n{rule}\n");
        let file = self.tree.sandbox.write("config.toml", &text);
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        clean(command, self.tree.sandbox.path());
        command.env("SSHANCHOR_RESOLVER", self.tree.addr().to_string()).env("SSHANCHOR_CACHE", "off");
        command.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor()).env("SSHANCHOR_CONFIG", file);
    }

    fn sshanchor(&self, rule: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
        self.equip(&mut command, rule);
        command.env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Verdict and reason of verify.
    #[track_caller]
    fn verify(&self, rule: &str, verdict: &str, reason: &str) -> Finished {
        let finished =
            run(self.sshanchor(rule).args(["verify", HOST, "-p", &self.port.to_string(), "--json"]), LIMIT);
        let json = finished.json();
        let told = (json["verdict"].as_str(), json["reason"].as_str().unwrap_or_default());
        assert_eq!(told, (Some(verdict), reason), "{rule}: {finished:#?}");
        finished
    }

    fn exec(&self, rule: &str) -> Finished {
        let mut exec = self.sshanchor(rule);
        exec.args(["exec", "-H", HOST, "-p", &self.port.to_string(), "-i"]).arg(&self.key);
        run(exec.args(["--", "echo", "hello"]), LIMIT)
    }

    /// ssh through proxy, without checks of its own.
    fn ssh(&self, rule: &str, options: &[&str]) -> Finished {
        let mut ssh = command("ssh");
        self.equip(&mut ssh, rule);
        let proxy = format!("ProxyCommand='{}' proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
        ssh.args([
            "-F",
            "none",
            "-T",
            "-p",
            &self.port.to_string(),
            "-o",
            "BatchMode=yes",
            "-o",
            &proxy,
            "-i",
        ]);
        ssh.arg(&self.key).args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        for option in options {
            ssh.args(["-o", option]);
        }
        run(ssh.args([HOST, "echo", "hello"]), LIMIT)
    }

    /// Accepted on every way.
    #[track_caller]
    fn works(&self, rule: &str) {
        self.verify(rule, "accept", "");
        for finished in [self.exec(rule), self.ssh(rule, &[])] {
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), HELLO), "{rule}: {finished:#?}");
        }
    }

    /// Refused on every way, with `why`.
    #[track_caller]
    fn is_refused(&self, rule: &str, reason: &str, why: &str) {
        let finished = self.verify(rule, "reject", reason);
        assert_eq!(finished.code, Some(3), "{finished:#?}");
        for finished in [self.exec(rule), self.ssh(rule, &[])] {
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{rule}: {finished:#?}");
            assert!(finished.stderr.contains(why), "{why:?} is not told: {finished:#?}");
        }
    }
}

/// The handmade server's records.
fn handmade() -> Vec<String> {
    let digest = HostKey::from_blob(&blob(&keypair(1))).unwrap().sha256();
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    vec![format!("{HOST}. IN SSHFP 4 2 {hex}")]
}

#[test]
fn a_server_without_the_strict_key_exchange_may_be_refused() {
    let rule = "strict_kex = \"required\"";
    World::of(&Sshd::start(&["ed25519"])).works(rule);
    let sandbox = Sandbox::new();
    keygen(&["-t", "ed25519"], &sandbox.join("user"));
    let lax = Lies { not_strict: true, ..Lies::default() };
    let world = World::with(&handmade(), sandbox.join("user"), start_for_many(lax).port());
    world.is_refused(rule, "no-strict-kex", "the server does not offer the strict key exchange");
    world.verify("strict_kex = \"any\"", "accept", "");
    // There is nobody behind it, and ssh gets as far as that.
    let finished = world.ssh("strict_kex = \"any\"", &["LogLevel=DEBUG"]);
    assert!(finished.stderr.contains("SSH2_MSG_NEWKEYS received"), "{finished:#?}");
}

#[test]
fn a_key_exchange_that_a_quantum_computer_undoes_may_be_refused() {
    let rule = "kex = \"post-quantum\"";
    let sshd = Sshd::start_with(&["ed25519"], "KexAlgorithms curve25519-sha256,ecdh-sha2-nistp256");
    let world = World::of(&sshd);
    world.works("kex = \"any\"");
    let finished = world.verify(rule, "reject", "weak-kex");
    assert!(finished.json()["message"].as_str().unwrap().contains("curve25519-sha256"), "{finished:#?}");
    let finished = world.exec(rule);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    assert!(finished.stderr.contains("no post-quantum key exchange"), "{finished:#?}");
    let finished = world.ssh(rule, &[]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    assert!(finished.stderr.contains("the key exchange is curve25519-sha256"), "{finished:#?}");
}

/// OpenSSH before 9.9 has a post-quantum key exchange that this program has not; ssh may have it.
#[test]
fn a_server_that_has_sntrup761_alone_is_told_of_exactly() {
    let rule = "kex = \"post-quantum\"";
    let sntrup = "sntrup761x25519-sha512@openssh.com";
    let sshd = Sshd::start_with(&["ed25519"], &format!("KexAlgorithms {sntrup},curve25519-sha256"));
    let world = World::of(&sshd);
    let finished = world.verify(rule, "reject", "weak-kex");
    let message = finished.json()["message"].as_str().unwrap().to_owned();
    for told in [sntrup, "mlkem768x25519-sha256 alone", "russh"] {
        assert!(message.contains(told), "{told}: {message}");
    }
    assert!(world.exec(rule).stderr.contains("hint: OpenSSH's server has mlkem768x25519-sha256 from 9.9 on"));
    let by_ssh = world.ssh(rule, &[]);
    assert_eq!((by_ssh.code, by_ssh.stdout.as_str()), (Some(0), HELLO), "{by_ssh:#?}");
}

#[test]
fn a_post_quantum_key_exchange_is_asked_for_and_taken() {
    let rule = "kex = \"post-quantum\"";
    let (sandbox, port) = (Sandbox::new(), Port::free());
    for name in ["user", "host"] {
        keygen(&["-t", "ed25519"], &sandbox.join(name));
    }
    let mut python = venv::command("python");
    python.args(["-c", include_str!("asyncssh.py"), &port.number().to_string()]);
    python.arg(sandbox.join("host")).arg(sandbox.join("user.pub"));
    let _server =
        Process::start("asyncssh", python, sandbox.path(), || TcpStream::connect(port.addr()).is_ok());
    let sshfp = sshfp_lines(&sandbox.join("host.pub"), &format!("{HOST}."));
    let world = World::with(&sshfp, sandbox.join("user"), port.number());
    for rule in [rule, "kex = \"any\""] {
        world.verify(rule, "accept", "");
        let finished = world.exec(rule);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), HELLO), "{finished:#?}");
    }
}

/// By ssh's own hybrid: this program's handshakes do not know it, and say so.
#[test]
fn what_this_connection_agrees_upon_counts_for_the_proxy() {
    let rule = "kex = \"post-quantum\"";
    let sshd =
        Sshd::start_with(&["ed25519"], "KexAlgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256");
    let world = World::of(&sshd);
    let finished = world.ssh(rule, &["KexAlgorithms=sntrup761x25519-sha512@openssh.com"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), HELLO), "{finished:#?}");
    let finished = world.ssh(rule, &["KexAlgorithms=curve25519-sha256"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    let finished = world.verify(rule, "reject", "weak-kex");
    assert!(finished.json()["hint"].as_str().unwrap().contains("sshanchor proxy"), "{finished:#?}");
}

#[test]
fn servers_may_be_chosen_by_what_they_call_themselves() {
    let sshd = Sshd::start(&["ed25519"]);
    let world = World::of(&sshd);
    for taken in [
        "server_versions = [\"OpenSSH_9.*\", \"OpenSSH_1?.*\"]",
        "server_versions = \"!dropbear_*\"",
        "min_openssh = \"9.0\"",
    ] {
        world.works(taken);
    }
    for (rule, why) in [
        ("server_versions = \"dropbear_*\"", "server_versions"),
        ("server_versions = [\"*\", \"!OpenSSH_9.*\", \"!OpenSSH_1?.*\"]", "server_versions"),
        ("min_openssh = \"99.0\"", "OpenSSH 99.0 at least"),
    ] {
        world.is_refused(rule, "server-version", why);
    }
    let dropbear = Dropbear::start();
    let world = World::with(&dropbear.sshfp(&format!("{HOST}.")), sshd.sandbox.join("user"), dropbear.port());
    world.verify("server_versions = \"dropbear_20*\"", "accept", "");
    world.verify("min_openssh = \"99.0\"", "accept", "");
    world.verify("server_versions = \"!dropbear_20*\"", "reject", "server-version");
}

#[test]
fn short_rsa_keys_are_refused_unless_policy_takes_them() {
    let sshd = Sshd::start_with(&["rsa1024"], "RequiredRSASize 1024");
    let world = World::of(&sshd);
    world.is_refused("", "short-key", "1024 bits, and policy wants 2048");
    world.works("min_rsa_bits = 1024");
    let sshd = Sshd::start(&["rsa"]);
    let long = World::of(&sshd);
    long.verify("min_rsa_bits = 2048", "accept", "");
    long.verify("min_rsa_bits = 16384", "reject", "short-key");
}
