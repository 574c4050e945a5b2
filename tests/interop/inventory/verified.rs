//! `verify` of the hosts that are written down somewhere: a zone, ssh's configuration, an inventory.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::support::knot::KnotTree;
use crate::support::named::TsigKey;
use crate::support::sshd::Sshd;
use crate::support::tree::Plan;
use crate::support::zone::Zone;
use crate::support::{Finished, Tree, run};

const LIMIT: Duration = Duration::from_secs(60);
/// Some digest.
const OTHER: &str = "SSHFP 4 2 aa00000000000000000000000000000000000000000000000000000000000055";

/// A plan with `sshd` at web1, and names that are no hosts.
fn plan(sshd: &Sshd) -> Plan {
    let plan = sshd.sshfp("web1.example.test.").iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let plan = sshd
        .sshfp(&format!("_{}._ssh.web2.example.test.", sshd.port()))
        .iter()
        .fold(plan, |p, l| p.record(l));
    [
        format!("_ca._ssh.example.test. 60 IN {OTHER}"),
        format!("_revoked._ssh.example.test. 60 IN {OTHER}"),
        format!("*.wild.example.test. 60 IN {OTHER}"),
    ]
    .iter()
    .fold(plan, |plan, line| plan.record(line))
}

fn verdicts(finished: &Finished) -> BTreeSet<String> {
    let line = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| json[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", text("host"), json["port"], text("verdict"))
    };
    finished.stdout.lines().map(line).collect()
}

fn is(wanted: &[String]) -> BTreeSet<String> {
    wanted.iter().cloned().collect()
}

/// The zone of `tree` at `server`, which wants the key `zone` for transfers.
fn a_zone_is_verified(tree: &Tree, resolver: std::net::SocketAddr, server: &str, key: &Path, port: u16) {
    let verify = |more: &[&str]| {
        let mut command = tree.sshanchor(resolver);
        command.args([
            "verify",
            "--json",
            "--timeout",
            "10",
            "--zone",
            "example.test",
            "--zone-server",
            server,
            "-p",
        ]);
        run(command.arg(port.to_string()).args(more), LIMIT)
    };
    let with_key = verify(&["--zone-key", key.to_str().unwrap()]);
    let wanted = [format!("web1.example.test {port} accept"), format!("web2.example.test {port} accept")];
    assert_eq!(verdicts(&with_key), is(&wanted), "{with_key:#?}");
    assert_eq!(with_key.code, Some(0), "{with_key:#?}");
    let without = verify(&[]);
    assert_eq!(
        (without.code, without.json()["reason"].as_str()),
        (Some(1), Some("zone-transfer")),
        "{without:#?}"
    );
    assert!(without.stderr.contains("--zone-key FILE"), "{without:#?}");
    let excluded = verify(&["--zone-key", key.to_str().unwrap(), "-x", "web[1,3].example.test"]);
    assert_eq!(verdicts(&excluded), is(&wanted[1..]), "{excluded:#?}");
}

#[test]
fn the_hosts_of_a_zone_that_bind_hands_out() {
    let sshd = Sshd::start(&["ed25519"]);
    let granted = |zone: Zone| {
        zone.policy("update-policy { grant \"zone\" zonesub ANY; }; allow-transfer { key \"zone\"; };")
    };
    let tree = plan(&sshd).with("example.test.", granted).start();
    a_zone_is_verified(
        &tree,
        tree.addr(),
        &tree.addr().to_string(),
        &private(&tree.tsig("zone")),
        sshd.port(),
    );
    // Nobody is asked where no server is known.
    let mut command = tree.sshanchor(tree.addr());
    let finished = run(command.args(["verify", "--timeout", "5", "--zone", "nowhere.test"]), LIMIT);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("--zone-server ADDR[:PORT]"), "{finished:#?}");
}

#[test]
fn the_hosts_of_a_zone_that_knot_hands_out() {
    let sshd = Sshd::start(&["ed25519"]);
    let acl = "acl:\n  - id: acl-zone\n    key: zone\n    action: [ update, transfer ]\n";
    let knot = KnotTree::start_from(plan(&sshd).with("example.test.", |zone| zone.policy(acl)));
    let key = private(&knot.tsig_yaml("zone"));
    a_zone_is_verified(&knot.tree, knot.unbound.addr(), &knot.addr().to_string(), &key, sshd.port());
}

fn private(file: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file.to_owned()
}

#[test]
fn hosts_of_ssh_go_by_the_name_that_ssh_looks_up() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = plan(&sshd).start();
    let port = sshd.port();
    let included =
        tree.sandbox.write("included", &format!("Host two\n  HostName web2.example.test\n  Port {port}\n"));
    let text = format!(
        "Include {}\nHost one web1.example.test\n  HostName web1.example.test\nHost alias\n  HostName 127.0.0.1\n  \
         HostKeyAlias web1.example.test\n  Port {port}\nHost bare\n  HostName 127.0.0.1\nHost *.example !not\n  User x\n\
         Host *\n  Port {port}\n",
        included.display()
    );
    let config = tree.sandbox.write("ssh_config", &text);
    let mut command = tree.sshanchor(tree.addr());
    command.args(["verify", "--json", "--timeout", "10"]).arg(format!("--ssh-hosts={}", config.display()));
    let finished = run(&mut command, LIMIT);
    let wanted = [
        format!("web1.example.test {port} accept"),
        format!("web2.example.test {port} accept"),
        format!("127.0.0.1 {port} unproven"),
    ];
    assert_eq!(verdicts(&finished), is(&wanted), "{finished:#?}");
    // `one` and `alias` are one name, but `alias` says where: both are looked at.
    assert_eq!((finished.stdout.lines().count(), finished.code), (4, Some(4)), "{finished:#?}");
}

/// As ssh has it: there the connection goes, and by the alias the host is known.
#[test]
fn an_alias_is_proven_where_host_name_leads_to() {
    let sshd = Sshd::start(&["ed25519"]);
    // Nothing listens at the address that DNS has for the alias.
    let plan = sshd.sshfp("far.example.test.").iter().fold(plan(&sshd), |plan, line| plan.record(line));
    let tree =
        plan.record("far.example.test. A 127.80.9.9").record("there.example.test. A 127.0.0.1").start();
    let port = sshd.port();
    let verified = |lines: &str| {
        let config = tree.sandbox.write("ssh_config", &format!("Host one\n  Port {port}\n{lines}"));
        let mut command = tree.sshanchor(tree.addr());
        command
            .args(["verify", "--json", "--timeout", "10"])
            .arg(format!("--ssh-hosts={}", config.display()));
        run(&mut command, LIMIT)
    };
    let alias = "  HostKeyAlias far.example.test\n";
    let there = verified(&format!("  HostName there.example.test\n{alias}"));
    assert_eq!(verdicts(&there), is(&[format!("far.example.test {port} accept")]), "{there:#?}");
    let itself = verified(&format!("  HostName far.example.test\n{alias}"));
    assert_eq!(itself.json()["reason"], "unreachable", "{itself:#?}");
    // The name that it is connected to vouches for nothing.
    let other = verified("  HostName there.example.test\n  HostKeyAlias other.example.test\n");
    assert_eq!(other.json()["verdict"], "unproven", "{other:#?}");
    let none = verified(&format!("  HostName no_name\n{alias}"));
    assert_eq!((none.code, none.json()["verdict"].as_str()), (Some(4), Some("unproven")), "{none:#?}");
}

/// Nothing here goes through other hosts: that is told, and where it could lead elsewhere it is not done.
#[test]
fn ways_through_other_hosts_are_told_and_not_gone() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = plan(&sshd).start();
    let port = sshd.port();
    let verify_with = |lines: &str, more: &[&str]| {
        let inventory = tree.sandbox.write("hosts", lines);
        let mut command = tree.sshanchor(tree.addr());
        command.args(["verify", "--json", "--timeout", "10", "--ssh-config", "none"]).args(more);
        run(command.arg("-I").arg(&inventory), LIMIT)
    };
    let verify = |lines: &str| verify_with(lines, &[]);
    let mark = sshd.mark();
    let host =
        |address: &str, more: &str| format!("web1.example.test ansible_port={port} {address} {more}\n");
    let (here, jump) = ("ansible_host=127.0.0.1", "ansible_ssh_common_args='-o ProxyJump=me@gate -C'");
    let refused = verify(&host(here, jump));
    assert_eq!((refused.code, refused.json()["reason"].as_str()), (Some(4), Some("jump")), "{refused:#?}");
    assert!(refused.stdout.contains("ProxyJump me@gate") && refused.stdout.contains("--via"), "{refused:#?}");
    assert!(!sshd.process.log()[mark..].contains("Connection from"), "nobody is connected to");
    let direct = verify(&host(here, "ansible_ssh_common_args='-C -o ProxyJump=none'"));
    assert_eq!((direct.code, direct.stderr.as_str()), (Some(0), ""), "{direct:#?}");
    // Whoever knows that it is the same host from here says so.
    let anyway = verify_with(&host(here, jump), &["--direct"]);
    assert_eq!((anyway.code, anyway.stderr.as_str()), (Some(0), ""), "{anyway:#?}");
    // By its own name it is proven whatever is between.
    let named = verify(&host("", jump));
    assert_eq!(named.code, Some(0), "{named:#?}");
    for told in ["1 host connected to directly", "(ProxyJump me@gate): web1.example.test", "proxy --via"] {
        assert!(named.stderr.contains(told), "{told}: {named:#?}");
    }
    let config = format!(
        "Host web1.example.test\n  HostName 127.0.0.1\n  HostKeyAlias web1.example.test\n  Port {port}\n"
    );
    let of_ssh = |more: &str| {
        let config = tree.sandbox.write("ssh_config", &format!("{config}{more}"));
        let mut command = tree.sshanchor(tree.addr());
        command
            .args(["verify", "--json", "--timeout", "10"])
            .arg(format!("--ssh-hosts={}", config.display()));
        run(&mut command, LIMIT)
    };
    let jumped = of_ssh("  ProxyCommand ssh -W %h:%p gate\n");
    assert_eq!((jumped.code, jumped.json()["reason"].as_str()), (Some(4), Some("jump")), "{jumped:#?}");
    // Our own proxy connects directly.
    let own = of_ssh("  ProxyCommand /usr/bin/sshanchor proxy %h %p\n");
    assert_eq!((own.code, own.stderr.as_str()), (Some(0), ""), "{own:#?}");
}

/// Hosts of -H, and those that are named: whatever command connects to them itself.
#[test]
fn named_hosts_that_ssh_reaches_through_another_are_told_of() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = plan(&sshd).start();
    let port = sshd.port();
    // ssh alone can tell who logs in: that keeps nobody from telling of the jump.
    let text = "Match exec true\n  User x\nHost web1.*\n  ProxyJump me@gate\nHost web2.*\n  HostName web2.example.test\n";
    let config = tree.sandbox.write("ssh_config", text);
    let host = format!("web1.example.test:{port}");
    let sshanchor = |arguments: &[&str]| {
        let mut command = tree.sshanchor(tree.addr());
        command.args(["--timeout", "10"]).args(arguments);
        run(&mut command, LIMIT)
    };
    let config = config.to_str().unwrap();
    let audit = ["audit", "--no-servers", "--known-hosts", "none", "--json", "-H", &host];
    for command in [&["verify", &host][..], &["verify", "-H", &host], &audit] {
        let told = sshanchor(&[command, &["--ssh-config", config]].concat());
        assert_eq!(told.code, Some(0), "it is proven all the same: {told:#?}");
        for words in ["1 host connected to directly", "(ProxyJump me@gate): web1.example.test", "--direct"] {
            assert!(told.stderr.contains(words), "{words}: {told:#?}");
        }
        for more in [&["--ssh-config", config, "--direct"][..], &["--ssh-config", "none"]] {
            let quiet = sshanchor(&[command, more].concat());
            assert!(quiet.code == Some(0) && !quiet.stderr.contains("connected to directly"), "{quiet:#?}");
        }
    }
    let other = sshanchor(&["verify", &format!("web2.example.test:{port}"), "--ssh-config", config]);
    assert_eq!((other.code, other.stderr.as_str()), (Some(0), ""), "{other:#?}");
    // exec asks ssh who logs in, and goes by the same.
    let exec = |more: &[&str]| {
        sshanchor(&[&["exec", "--dry-run", "-H", &host, "--ssh-config", config], more].concat())
    };
    assert!(exec(&[]).stderr.contains("1 host connected to directly"), "{:#?}", exec(&[]));
    let direct = exec(&["--direct"]);
    assert_eq!((direct.code, direct.stderr.as_str()), (Some(0), ""), "{direct:#?}");
    let missing = sshanchor(&["verify", &host, "--ssh-config", "/nowhere/config"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("/nowhere/config"), "{missing:#?}");
}

#[test]
fn an_inventory_says_where_and_the_name_is_proven() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = plan(&sshd).start();
    let port = sshd.port();
    let text = format!(
        "[web]\nweb1.example.test ansible_host=127.0.0.1\nother ansible_host=web2.example.test\nmy_alias ansible_host=127.0.0.1\n\
         [web:vars]\nansible_port={port}\n[db]\ndb1\n"
    );
    let inventory = tree.sandbox.write("hosts", &text);
    let verify = |more: &[&str]| {
        let mut command = tree.sshanchor(tree.addr());
        run(command.args(["verify", "--json", "--timeout", "10", "-I"]).arg(&inventory).args(more), LIMIT)
    };
    let finished = verify(&["--limit", "web"]);
    let wanted = [
        format!("web1.example.test {port} accept"),
        format!("web2.example.test {port} accept"),
        format!("my_alias {port} unproven"),
    ];
    assert_eq!(verdicts(&finished), is(&wanted), "{finished:#?}");
    assert!(finished.stdout.contains("ansible_host"), "what to do about the alias: {finished:#?}");
    assert_eq!(finished.code, Some(4));
    // Nothing listens there: the address is where is connected to.
    let text =
        text.replace("web1.example.test ansible_host=127.0.0.1", "web1.example.test ansible_host=127.9.9.9");
    std::fs::write(&inventory, text).unwrap();
    let finished = verify(&["--limit", "web1.*"]);
    assert_eq!(
        (finished.code, finished.json()["reason"].as_str()),
        (Some(1), Some("unreachable")),
        "{finished:#?}"
    );
    let listed = r#"{"_meta": {"hostvars": {}}, "web": {"hosts": ["web1.example.test"]}}"#;
    let input = tree.sandbox.write("listed.json", listed);
    let mut command = tree.sshanchor(tree.addr());
    command.args(["verify", "--timeout", "10", "--inventory", "-", "-p"]).arg(port.to_string());
    let finished = command.stdin(std::fs::File::open(input).unwrap()).output().unwrap();
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    let told = String::from_utf8(finished.stdout).unwrap();
    assert!(told.starts_with(&format!("web1.example.test:{port} accept")), "{told}");
}

#[test]
fn keys_for_transfers_are_read_as_those_for_updates() {
    let key = TsigKey::new("transfer", "hmac-sha256", None);
    let sandbox = crate::support::Sandbox::new();
    let file = sandbox.write("bad.key", "no key");
    let mut command = sandbox.sshanchor();
    command.args(["verify", "--zone", "example.test", "--zone-server", "127.0.0.1:1", "--zone-key"]);
    let finished = run(command.arg(&file), LIMIT);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(!finished.stderr.contains(&key.secret), "{finished:#?}");
}
