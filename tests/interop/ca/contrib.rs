//! The snippets of `contrib` are what the other tests here run with, in the servers' own words; and the lines of docs/ca.md.

use std::path::Path;

use super::{CA, REVOKED, SENTINEL};
use crate::interop::primary::{LIMIT, Primary, key, record, sorted};
use crate::support::peer::command as peer;
use crate::support::process::run_ok;
use crate::support::{Tree, knot, run};

const README: &str = include_str!("../../../README.md");
const DOCS: &str = include_str!("../../../docs/ca.md");

fn snippet(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(path);
    std::fs::read_to_string(path).unwrap().replace("example.com", "example.test")
}

/// The lines that hold more than comments, blanks put together.
fn lines(text: &str, comment: &str) -> Vec<String> {
    let bare = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.lines().map(bare).filter(|line| !line.is_empty() && !line.starts_with(comment)).collect()
}

#[test]
fn the_update_policy_of_bind_is_the_one_under_test() {
    let plan = Tree::plan();
    let keys = |name: &str| plan.tsig.iter().find(|key| key.name == name).unwrap();
    let grants = format!("update-policy {{\n{}{}}};\n", keys("ca").grants(), keys("web1").grants());
    assert_eq!(lines(&snippet("bind/ca-update-policy.conf"), "//"), lines(&grants, "//"));
}

#[test]
fn the_acl_of_knot_is_the_one_under_test() {
    let plan = Tree::plan();
    let mut keys: Vec<_> =
        plan.tsig.into_iter().filter(|key| ["ca", "web1"].contains(&key.name.as_str())).collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(lines(&snippet("knot/ca-acl.conf"), "#"), lines(&knot::acls(&keys).0, "#"));
}

#[test]
fn the_lines_of_the_readme_are_among_those_of_the_docs() {
    let chapter = README.split_once("\n## A CA for many hosts\n").unwrap().1.split("\n## ").next().unwrap();
    let lines: Vec<&str> = chapter.lines().filter(|line| line.starts_with("    ")).collect();
    assert!(lines.len() >= 4, "{chapter}");
    for line in lines {
        assert!(DOCS.lines().any(|other| other == line), "{line}");
    }
}

/// Each line of docs/ca.md about a CA in DNS, in its order, from nothing. A passphrase is for somebody at a terminal.
#[test]
fn the_lines_of_the_docs_run_as_they_stand() {
    let primary = Primary::bind();
    let Primary::Bind(tree) = &primary else { panic!("not BIND") };
    let sandbox = primary.sandbox();
    for name in ["ca_key", "old_ca", "ssh_host_ed25519_key"] {
        key(sandbox, name);
    }
    let file = |name: &str| sandbox.join(name).display().to_string();
    let certify = ["-q", "-s", &file("ca_key"), "-h", "-I", "x", "-n", "web8.example.test"];
    run_ok(peer("ssh-keygen").args(certify).arg(file("ssh_host_ed25519_key.pub")));
    let host_key = key(sandbox, "web7");
    primary.update(&format!("update add web7.example.test 60 SSHFP {}", record(&host_key)));
    let lines: Vec<&str> = DOCS
        .lines()
        .filter_map(|line| line.strip_prefix("    sshanchor "))
        .filter(|line| {
            let starts = ["ca init ", "ca publish ", "ca sign ", "ca list", "ca revoke ", "export krl "];
            starts.iter().any(|start| line.starts_with(start)) && !line.contains("--agent")
        })
        .filter_map(|line| line.split(" #").next())
        .map(str::trim_end)
        .collect();
    assert!(lines.len() >= 10, "{lines:#?}");
    for line in lines {
        let typed = line
            .replace("example.com", "example.test")
            .replace("192.0.2.53", &primary.addr().to_string())
            .replace("/etc/ssh/revoked_host_keys", &file("krl"))
            .replace(" ca.key", &format!(" {}", primary.tsig("ca").display()))
            .replace(" --passphrase", "")
            .replace("ca_key.pub", &file("ca_key.pub"))
            .replace("ssh_host_ed25519_key.pub", &file("ssh_host_ed25519_key.pub"))
            .replace("ssh_host_ed25519_key-cert.pub", &file("ssh_host_ed25519_key-cert.pub"));
        let mut made = tree.sshanchor(tree.addr());
        made.env("SSHANCHOR_STATE", sandbox.join("state")).args(typed.split(' '));
        let finished = run(&mut made, LIMIT);
        assert_eq!(finished.code, Some(0), "{line}: {finished:#?}");
    }
    let cas = ["ca_key.pub", "state/ca/ca_key.pub"].map(|name| record(&sandbox.join(name)));
    assert_eq!(primary.records(CA).0, sorted(&[&cas[0], &cas[1]]));
    // The host that was revoked is so no more.
    let revoked = sorted(&[SENTINEL, &record(&sandbox.join("ssh_host_ed25519_key.pub"))]);
    assert_eq!(primary.records(REVOKED).0, revoked);
    assert!(sandbox.join("krl").exists());
}
