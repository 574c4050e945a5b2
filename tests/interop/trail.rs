//! The trail: a line for each verdict of verify, exec, proxy and known-hosts, whatever it is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::port::Port;
use crate::support::sandbox::{Sandbox, clean};
use crate::support::sshd::Sshd;
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(60);
const HELLO: &str = "hello\n";

struct World {
    sshd: Sshd,
    tree: Tree,
}

fn world() -> World {
    let sshd = Sshd::start(&["ed25519"]);
    let tree =
        sshd.sshfp(&format!("{HOST}.")).iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    World { sshd, tree }
}

/// A configuration with this `[trail]`.
fn config(sandbox: &Sandbox, trail: &str) -> PathBuf {
    let rules = "[[host]]\nmatch = \"passed.test\"\nmode = \"pass\"";
    let file =
        sandbox.write("config.toml", &format!("version = 1\ntimeout = \"15s\"\n[trail]\n{trail}\n{rules}\n"));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    file
}

impl World {
    fn equip(&self, command: &mut Command, trail: &str) {
        clean(command, self.tree.sandbox.path());
        command.env("SSHANCHOR_RESOLVER", self.tree.addr().to_string()).env("SSHANCHOR_CACHE", "off");
        command.env("SSHANCHOR_TRUST_ANCHOR", self.tree.anchor()).env_remove("SSH_AUTH_SOCK");
        command.env("SSHANCHOR_CONFIG", config(&self.tree.sandbox, trail));
    }

    fn sshanchor(&self, trail: &str, arguments: &[&str]) -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
        self.equip(&mut command, trail);
        run(command.args(arguments), LIMIT)
    }

    fn verify(&self, trail: &str, host: &str, port: u16) -> Finished {
        self.sshanchor(trail, &["verify", host, "-p", &port.to_string(), "--json"])
    }

    fn exec(&self, trail: &str) -> Finished {
        let key = self.sshd.sandbox.join("user");
        let port = self.sshd.port().to_string();
        let exec = ["exec", "-H", HOST, "-p", &port, "-i", key.to_str().unwrap(), "--", "echo", "hello"];
        self.sshanchor(trail, &exec)
    }

    /// ssh by proxy, or by known-hosts, with a way to the server that notes nothing.
    fn ssh(&self, trail: &str, by: &str) -> Finished {
        let mut ssh = self.sshd.ssh();
        self.equip(&mut ssh, trail);
        let program = env!("CARGO_BIN_EXE_sshanchor");
        let port = self.sshd.port();
        let options = match by {
            "proxy" => {
                [format!("ProxyCommand='{program}' proxy %h %p"), "StrictHostKeyChecking=no".to_owned()]
            }
            _ => [
                format!("ProxyCommand='{program}' --config none proxy --identity {HOST} 127.0.0.1 {port}"),
                format!("KnownHostsCommand={program} known-hosts %I %H %t %K %k %p"),
            ],
        };
        for option in &options {
            ssh.args(["-o", option]);
        }
        run(ssh.args([HOST, "echo", "hello"]), LIMIT)
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Command, host, verdict and reason of each line; the file is empty afterwards.
fn taken(file: &Path) -> Vec<[String; 4]> {
    let told = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let read = lines(file)
        .into_iter()
        .map(|line| ["command", "host", "verdict", "reason"].map(|key| told(&line[key])));
    let read = read.collect();
    std::fs::write(file, "").unwrap();
    read
}

#[track_caller]
fn expect(file: &Path, wanted: &[[&str; 4]]) {
    let taken = taken(file);
    assert_eq!(taken, wanted.iter().map(|line| line.map(str::to_owned)).collect::<Vec<_>>());
}

fn user_name() -> String {
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    String::from_utf8(name).unwrap().trim().to_owned()
}

#[test]
fn every_verdict_has_its_line() {
    let mut world = world();
    let (file, port) = (world.tree.sandbox.join("trail.jsonl"), world.sshd.port());
    let trail = &format!("file = {file:?}");
    let told = world.verify(trail, HOST, port);
    assert_eq!(told.code, Some(0), "{told:#?}");
    let (line, json) = (lines(&file).remove(0), told.json());
    for key in ["host", "port", "verdict", "reason", "key", "ca", "source", "age", "valid_until", "handshake"]
    {
        assert_eq!(line[key], json[key], "{key}: {line} {json}");
    }
    assert_eq!((&line["basis"], &line["owner"]), (&"hostkey".into(), &HOST.into()), "{line}");
    assert_eq!(line["handshake"]["strict_kex"], true, "{line}");
    assert!(line["handshake"]["server_version"].as_str().unwrap().starts_with("SSH-2.0-OpenSSH"), "{line}");
    assert_eq!(line["uid"], rustix::process::getuid().as_raw(), "{line}");
    assert!(line["user"].is_null(), "nobody logs in: {line}");
    let accept = |command| [command, HOST, "accept", "-"];
    expect(&file, &[accept("verify")]);
    assert_eq!(world.exec(trail).stdout, HELLO);
    assert_eq!(world.ssh(trail, "proxy").stdout, HELLO);
    assert_eq!(world.ssh(trail, "known-hosts").stdout, HELLO);
    let users: Vec<Value> = lines(&file).iter().map(|line| line["user"].clone()).collect();
    assert_eq!(users, [user_name().into(), Value::Null, Value::Null], "exec alone knows who logs in");
    expect(&file, &[accept("exec"), accept("proxy"), accept("known-hosts")]);
    // An impostor.
    world.sshd.rotate_host_keys();
    assert_eq!(world.verify(trail, HOST, port).code, Some(3));
    assert!(lines(&file)[0]["key"]["sha256"].is_string());
    assert_eq!(world.exec(trail).code, Some(255));
    assert_eq!(world.ssh(trail, "proxy").code, Some(255));
    let reject = |command| [command, HOST, "reject", "key-mismatch"];
    expect(&file, &[reject("verify"), reject("exec"), reject("proxy")]);
    let key = std::fs::read_to_string(world.sshd.host_key("ed25519")).unwrap();
    let words: Vec<&str> = key.split(' ').collect();
    let asked = ["known-hosts", "HOSTNAME", HOST, words[0], words[1], HOST, "22"];
    assert_eq!(world.sshanchor(trail, &asked).code, Some(3));
    expect(&file, &[reject("known-hosts")]);
    // Nothing vouches for it, policy passes it, it is an address, or it is not there.
    let nobody = Port::free();
    world.verify(trail, "web9.example.test", port);
    world.verify(trail, "passed.test", port);
    world.verify(trail, "192.0.2.1", port);
    world.verify(trail, HOST, nobody.number());
    world.sshanchor(trail, &["known-hosts", "HOSTNAME", "web9.example.test", words[0], words[1]]);
    world.sshanchor(trail, &["known-hosts", "HOSTNAME", "[127.0.0.1]:2222", words[0], words[1]]);
    world.sshanchor(trail, &["known-hosts", "ORDER", HOST, "NONE", "NONE"]);
    expect(
        &file,
        &[
            ["verify", "web9.example.test", "unproven", "no-record"],
            ["verify", "passed.test", "unproven", "pass"],
            ["verify", "192.0.2.1", "unproven", "address"],
            ["verify", HOST, "-", "unreachable"],
            ["known-hosts", "web9.example.test", "unproven", "no-record"],
            ["known-hosts", "127.0.0.1", "unproven", "address"],
        ],
    );
    // Others look, and nobody connects by what they see.
    world.sshanchor(trail, &["lookup", HOST]);
    world.sshanchor(trail, &["export", "known-hosts", &format!("{HOST}:{port}")]);
    expect(&file, &[]);
}

#[test]
fn where_the_trail_is_required_nothing_goes_on_without_it() {
    let world = world();
    let (file, port) = (world.tree.sandbox.join("none/trail.jsonl"), world.sshd.port());
    let lost = &format!("file = {file:?}");
    let required = &format!("file = {file:?}\nrequired = true");
    for finished in [world.exec(lost), world.ssh(lost, "proxy"), world.ssh(lost, "known-hosts")] {
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), HELLO), "{finished:#?}");
        assert_eq!(finished.stderr.matches("the trail cannot be written").count(), 1, "{finished:#?}");
    }
    let mark = world.sshd.mark();
    for finished in [world.exec(required), world.ssh(required, "proxy"), world.ssh(required, "known-hosts")] {
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
        assert!(finished.stderr.contains("the trail cannot be written"), "{finished:#?}");
    }
    assert!(!world.sshd.saw_userauth(mark), "{}", &world.sshd.process.log()[mark..]);
    let finished = world.verify(lost, HOST, port);
    assert_eq!(
        (finished.code, finished.json()["verdict"].as_str()),
        (Some(0), Some("accept")),
        "{finished:#?}"
    );
    let finished = world.verify(required, HOST, port);
    assert_eq!(
        (finished.code, finished.json()["reason"].as_str()),
        (Some(1), Some("trail")),
        "{finished:#?}"
    );
}

#[test]
fn two_hundred_at_once_do_not_mix_their_lines() {
    let sandbox = Sandbox::new();
    let file = sandbox.join("trail.jsonl");
    let config = config(&sandbox, &format!("file = {file:?}"));
    let start = |number: usize| {
        let mut verify = sandbox.sshanchor();
        verify.env("SSHANCHOR_CONFIG", &config).env("SSHANCHOR_CACHE", "off");
        // An address is judged without a question to anybody.
        verify.args(["verify", &format!("192.0.2.{number}"), "--resolver", "127.0.0.1:1"]);
        verify.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let started: Vec<_> = (0..200).map(start).collect();
    for mut process in started {
        assert_eq!(process.wait().unwrap().code(), Some(4));
    }
    let mut hosts: Vec<String> =
        lines(&file).iter().map(|line| line["host"].as_str().unwrap().to_owned()).collect();
    hosts.sort();
    hosts.dedup();
    assert_eq!(hosts.len(), 200);
}
