//! The configuration where it changes a verdict: real zones, real servers, each refusal beside what it leaves.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sshanchor::proto::pattern::PatternList;

use crate::support::hello::{ASKED, is_stopped, works};
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::sandbox::{Sandbox, clean};
use crate::support::sshd::{Sshd, sshfp_lines};
use crate::support::tree::Plan;
use crate::support::unbound::Unbound;
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(30);

/// A plan in which `sshd`'s keys are published at `owner`.
fn published(plan: Plan, sshd: &Sshd, owner: &str) -> Plan {
    sshd.sshfp(owner).iter().fold(plan, |plan, line| plan.record(line))
}

/// A configuration with this rule for every host of the test's zones, and nothing else to say whom to ask and trust.
fn config(tree: &Tree, resolver: SocketAddr, rule: &str) -> PathBuf {
    let anchor = tree.anchor();
    let hosts = "[[host]]\nmatch = \"*.test\"\n";
    let text = format!(
        "version = 1\nresolver = \"{resolver}\"\ntrust_anchor = {anchor:?}\ntimeout = \"5s\"\n{hosts}{rule}\n"
    );
    let file = tree.sandbox.write("config.toml", &text);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

/// `sshanchor verify` under this rule.
fn verify(tree: &Tree, resolver: SocketAddr, rule: &str, host: &str, port: u16) -> Finished {
    let mut command = tree.sandbox.sshanchor();
    command.env("SSHANCHOR_CACHE", "off").arg("--config").arg(config(tree, resolver, rule));
    run(command.args(["verify", &format!("{host}:{port}"), "--json"]), LIMIT)
}

/// Verdict and reason, and the exit status that goes with the verdict.
#[track_caller]
fn expect(tree: &Tree, rule: &str, host: &str, port: u16, verdict: &str, reason: &str) -> Finished {
    expect_by(tree, tree.addr(), rule, host, port, verdict, reason)
}

#[track_caller]
fn expect_by(
    tree: &Tree,
    resolver: SocketAddr,
    rule: &str,
    host: &str,
    port: u16,
    verdict: &str,
    reason: &str,
) -> Finished {
    let finished = verify(tree, resolver, rule, host, port);
    let json = finished.json();
    let told = (json["verdict"].as_str(), json["reason"].as_str().unwrap_or_default());
    assert_eq!(told, (Some(verdict), reason), "{rule}: {finished:#?}");
    let code = ["accept", "", "", "reject", "unproven"].iter().position(|word| *word == verdict);
    assert_eq!(finished.code, code.map(|code| code as i32), "{finished:#?}");
    finished
}

/// ssh through `sshanchor proxy` under this rule, without checks of its own unless `options` say so.
fn ssh(tree: &Tree, sshd: &Sshd, config: &Path, options: &[&str], host: &str) -> Finished {
    let mut ssh: Command = sshd.ssh();
    clean(&mut ssh, tree.sandbox.path());
    ssh.env("SSHANCHOR_CONFIG", config).env("SSHANCHOR_CACHE", "off");
    let proxy = format!("ProxyCommand='{}' -v proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
    ssh.args(options).args(["-o", "StrictHostKeyChecking=no", "-o", "VerifyHostKeyDNS=no", "-o", &proxy]);
    run(ssh.arg(host).args(ASKED), LIMIT)
}

#[test]
fn without_a_rule_that_matches_all_is_as_ever() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = published(Tree::plan(), &sshd, "web1.example.test.").start();
    let other = "port_labels = \"allowed\"\n[[host]]\nmatch = \"*.else\"\nmode = \"pass\"";
    expect(&tree, other, HOST, sshd.port(), "accept", "");
    works(&ssh(&tree, &sshd, &config(&tree, tree.addr(), other), &[], HOST));
}

#[test]
fn a_proven_key_of_a_type_that_is_not_allowed_is_refused() {
    let sshd = Sshd::start(&["ed25519", "rsa"]);
    let tree = published(Tree::plan(), &sshd, "web1.example.test.").start();
    let rule = "algorithms = [\"rsa-sha2-256\", \"ecdsa-sha2-nistp256\"]";
    // Only allowed types are asked for.
    let finished = expect(&tree, rule, HOST, sshd.port(), "accept", "");
    assert_eq!(finished.json()["key"]["type"], "ssh-rsa");
    let config = config(&tree, tree.addr(), rule);
    let offering =
        |types: &str| ssh(&tree, &sshd, &config, &["-o", &format!("HostKeyAlgorithms={types}")], HOST);
    works(&offering("rsa-sha2-512"));
    is_stopped(&offering("ssh-ed25519"), "policy allows ssh-rsa, ecdsa-sha2-nistp256 only");
    // A server that has no other key, and a zone that has no other record.
    let other = Sshd::start(&["ed25519"]);
    expect(&tree, rule, HOST, other.port(), "reject", "algorithm-not-allowed");
    tree.update(&other.sshfp_update("web1.example.test."));
    expect(&tree, rule, HOST, other.port(), "unproven", "algorithm-not-allowed");
    expect(&tree, "", HOST, other.port(), "accept", "");
}

#[test]
fn where_port_labels_are_required_the_hosts_own_records_do_not_count() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = published(Tree::plan(), &sshd, "web1.example.test.").start();
    let rule = "port_labels = \"required\"";
    let finished = expect(&tree, rule, HOST, sshd.port(), "unproven", "port-label-required");
    assert!(finished.json()["hint"].as_str().unwrap().contains(&format!("--port {}", sshd.port())));
    is_stopped(&ssh(&tree, &sshd, &config(&tree, tree.addr(), rule), &[], HOST), "port_labels");
    expect(&tree, "port_labels = \"allowed\"", HOST, sshd.port(), "accept", "");
    tree.update(&sshd.sshfp_update(&format!("_{}._ssh.web1.example.test.", sshd.port())));
    expect(&tree, rule, HOST, sshd.port(), "accept", "");
    works(&ssh(&tree, &sshd, &config(&tree, tree.addr(), rule), &[], HOST));
}

#[test]
fn an_alias_may_be_kept_within_its_zone() {
    let sshd = Sshd::start(&["ed25519"]);
    let mut plan = published(Tree::plan(), &sshd, "web1.other.test.");
    plan = published(plan, &sshd, "web2.example.test.");
    let tree = plan
        .record("far.example.test. CNAME web1.other.test.")
        .record("near.example.test. CNAME web2.example.test.")
        .start();
    let unbound = Unbound::validating(&tree);
    for (rule, host, verdict, reason) in [
        ("aliases = \"same-zone\"", "near.example.test", "accept", ""),
        ("aliases = \"same-zone\"", "web2.example.test", "accept", ""),
        ("aliases = \"same-zone\"", "far.example.test", "unproven", "alias-leaves-zone"),
        ("aliases = \"any\"", "far.example.test", "accept", ""),
    ] {
        expect_by(&tree, unbound.addr(), rule, host, sshd.port(), verdict, reason);
    }
}

#[test]
fn signatures_may_be_asked_to_hold_longer_and_to_be_younger() {
    let sshd = Sshd::start(&["ed25519"]);
    // Signed an hour ago; the zones above it for a day.
    let tree = published(Tree::plan(), &sshd, "web1.other.test.").start();
    for (rule, verdict, reason) in [
        ("min_signature_left = \"12h\"", "accept", ""),
        ("min_signature_left = \"2d\"", "unproven", "signature-ends-soon"),
        ("max_signature_age = \"2h\"", "accept", ""),
        ("max_signature_age = \"30m\"", "unproven", "signature-too-old"),
        ("max_signature_age = \"none\"", "accept", ""),
    ] {
        expect(&tree, rule, "web1.other.test", sshd.port(), verdict, reason);
    }
    let too_old = config(&tree, tree.addr(), "max_signature_age = \"30m\"");
    is_stopped(&ssh(&tree, &sshd, &too_old, &[], "web1.other.test"), "max_signature_age");
}

#[test]
fn a_host_that_is_passed_is_relayed_and_left_to_ssh() {
    let (sshd, other) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519"]));
    let tree = published(Tree::plan(), &other, "web1.example.test.").start();
    let pass =
        config(&tree, tree.addr(), "mode = \"pass\"\n[[host]]\nmatch = \"127.* localhost\"\nmode = \"pass\"");
    // An impostor by DNSSEC, a name that is not in DNS, and an address: policy passes them, ssh is told to as well.
    for host in [HOST, "localhost", "127.0.0.1"] {
        let finished = ssh(&tree, &sshd, &pass, &[], host);
        works(&finished);
        assert!(
            finished.stderr.contains(&format!("{host} is not verified, for policy passes it")),
            "{finished:#?}"
        );
    }
    // It takes no resolver and no trust anchor.
    let nobody = Port::free();
    let rule = "[[host]]\nmatch = \"localhost\"\nmode = \"pass\"";
    let text = format!("version = 1\nresolver = \"{}\"\ntrust_anchor = \"nowhere\"\n{rule}\n", nobody.addr());
    let alone = tree.sandbox.write("alone.toml", &text);
    std::fs::set_permissions(&alone, std::fs::Permissions::from_mode(0o600)).unwrap();
    works(&ssh(&tree, &sshd, &alone, &[], "localhost"));
    // ssh's own checking is as it is configured.
    let finished = ssh(&tree, &sshd, &pass, &["-o", "StrictHostKeyChecking=yes"], "127.0.0.1");
    is_stopped(&finished, "Host key verification failed");
    let mark = sshd.mark();
    expect(&tree, "mode = \"pass\"", HOST, sshd.port(), "unproven", "pass");
    assert!(!sshd.process.log()[mark..].contains("Connection from"), "nothing is sent to it");
    let verified = config(&tree, tree.addr(), "mode = \"verify\"");
    is_stopped(&ssh(&tree, &sshd, &verified, &[], HOST), "DNSSEC proves other keys");
    is_stopped(&ssh(&tree, &sshd, &verified, &[], "127.0.0.1"), "is an address");
}

/// For clients that check no keys by themselves (contrib/).
#[test]
fn no_host_is_passed_where_nobody_else_would_check_it() {
    let (sshd, impostor) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519"]));
    let tree = published(Tree::plan(), &sshd, "web1.example.test.").start();
    let pass =
        config(&tree, tree.addr(), "mode = \"pass\"\n[[host]]\nmatch = \"127.* localhost\"\nmode = \"pass\"");
    let proxy = format!("ProxyCommand='{}' proxy --no-pass -- %h %p", env!("CARGO_BIN_EXE_sshanchor"));
    let through = |sshd: &Sshd, config: &Path, host: &str| ssh(&tree, sshd, config, &["-o", &proxy], host);
    for sshd in [&sshd, &impostor] {
        works(&ssh(&tree, sshd, &pass, &[], HOST));
        is_stopped(&through(sshd, &pass, HOST), "policy passes it");
        is_stopped(&through(sshd, &pass, "127.0.0.1"), "is an address");
    }
    let verify = config(&tree, tree.addr(), "mode = \"verify\"");
    works(&through(&sshd, &verify, HOST));
    is_stopped(&through(&impostor, &verify, HOST), "DNSSEC proves other keys");
}

#[test]
fn a_file_that_others_may_have_written_changes_no_verdict() {
    let (sshd, impostor) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519"]));
    let line = sshfp_lines(&sshd.host_key("ed25519"), "web1.example.test.").remove(0);
    let tree = Tree::plan().record(&line).start();
    let file = config(&tree, tree.addr(), "mode = \"pass\"");
    let through = |sshd: &Sshd| {
        let mut ssh = sshd.ssh();
        clean(&mut ssh, tree.sandbox.path());
        ssh.env("SSHANCHOR_CONFIG", &file).env("SSHANCHOR_RESOLVER", tree.addr().to_string());
        ssh.env("SSHANCHOR_TRUST_ANCHOR", tree.anchor()).env("SSHANCHOR_CACHE", "off");
        let proxy = format!("ProxyCommand='{}' proxy %h %p", env!("CARGO_BIN_EXE_sshanchor"));
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", &proxy, HOST, "echo", "hello from $((6*7))"]);
        run(&mut ssh, LIMIT)
    };
    works(&through(&impostor));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o622)).unwrap();
    is_stopped(&through(&impostor), "DNSSEC proves other keys");
    let finished = through(&sshd);
    works(&finished);
    assert!(finished.stderr.contains("chmod go-w"), "{finished:#?}");
}

/// Small numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // MMIX's constants; the upper bits are the random ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len() as u64) as usize]
    }

    fn host(&mut self) -> String {
        let addresses = ["10.0.0.1", "192.168.1.200", "fe80::1", "2001:db8::5"];
        if self.roll(6) == 0 {
            return self.one(&addresses).to_owned();
        }
        let labels: Vec<&str> =
            (0..=self.roll(3)).map(|_| self.one(&["a", "b", "ab", "web1", "xn--a", "10", "db"])).collect();
        format!("{}.test", labels.join("."))
    }

    /// Much like `host`, or like another one.
    fn pattern(&mut self, host: &str) -> String {
        let base = if self.roll(2) == 0 { host.to_owned() } else { self.host() };
        let change = |c: char| match self.roll(8) {
            0 => "*".to_owned(),
            1 => "?".to_owned(),
            2 => String::new(),
            _ => c.to_string(),
        };
        let pattern: String = base.chars().map(change).collect();
        let pattern = if pattern.is_empty() { "*".to_owned() } else { pattern };
        if self.roll(4) == 0 { format!("!{pattern}") } else { pattern }
    }
}

/// Where they differ on purpose does not come up here: ssh takes upper case in a pattern and a final dot for part
/// of it, so that such a pattern matches no host or few; and a comma for a letter.
#[test]
fn patterns_match_the_hosts_that_ssh_matches() {
    let sandbox = Sandbox::new();
    let mut dice = Dice(2026);
    let mut matched = 0;
    for _ in 0..200 {
        let host = dice.host();
        let patterns: Vec<String> = (0..=dice.roll(3)).map(|_| dice.pattern(&host)).collect();
        let patterns = patterns.join(" ");
        let file = sandbox.write("ssh_config", &format!("Host {patterns}\nUser matched\n"));
        let said = run(command("ssh").arg("-G").arg("-F").arg(&file).arg("--").arg(&host), LIMIT);
        assert_eq!(said.code, Some(0), "{patterns:?} {host} {said:#?}");
        let by_ssh = said.stdout.lines().any(|line| line == "user matched");
        let ours = PatternList::parse(&patterns).unwrap().matches(&host);
        assert_eq!(ours, by_ssh, "Host {patterns}, of {host}");
        matched += usize::from(ours);
    }
    assert!((50..150).contains(&matched), "of both kinds there are enough: {matched}");
}
