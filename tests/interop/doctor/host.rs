//! A host's proof and what ssh remembers of it.

use std::os::unix::fs::PermissionsExt;

use crate::support::peer::command;
use crate::support::run_ok;
use crate::support::sshd::{keygen, sshfp_lines};
use crate::support::tree::Plan;

use super::*;

#[test]
fn a_sound_proof_is_well_and_a_missing_one_is_an_error_with_its_reason() {
    let tree = plan().record(&format!("web1.plain.test. SSHFP 4 2 {DIGEST}")).start();
    let look = |host: &str| doctor(&tree, tree.addr(), &[host]);
    let well = look(HOST);
    assert_eq!(well.complaints(), Vec::<&str>::new(), "{:#?}", well.finished);
    for check in ["chain", "replay-window", "signature-end", "ttl", "zone-keys", "fingerprints"] {
        assert_eq!(well.severity(check), "ok", "{check}");
    }
    for (host, reason) in [
        ("web2.example.test", "no-record"),
        ("web1.plain.test", "insecure"),
        ("web1.broken.test", "ds-mismatch"),
    ] {
        let found = look(host);
        assert_eq!((found.severity("chain"), found.finished.code), ("error", Some(1)), "{host}");
        assert!(found.message("chain").contains(reason), "{host}: {:#?}", found.finished);
    }
}

#[test]
fn targets_of_aliases_are_judged_with_their_own_zones() {
    let tree = plan()
        .with("other.test.", |zone| zone.valid("now-3600", "now+2592000"))
        .record(&format!("web1.other.test. SSHFP 4 2 {DIGEST}"))
        .record(&format!("web1.plain.test. SSHFP 4 2 {DIGEST}"))
        .record("signed.example.test. CNAME web1.other.test.")
        .record("unsigned.example.test. CNAME web1.plain.test.")
        .start();
    let found = doctor(&tree, tree.addr(), &["signed.example.test", "unsigned.example.test", HOST]);
    assert_eq!(found.all("chain"), ["ok", "error", "ok"], "{:#?}", found.finished);
    assert_eq!(found.all("replay-window"), ["warning", "ok"], "{:#?}", found.finished);
    assert!(found.message("chain").contains("by way of the alias signed.example.test"));
    let of = |host: &str| found.findings.iter().filter(|finding| finding["host"] == host).count();
    assert!(of("signed.example.test") > 5 && of(HOST) > 5 && of("unsigned.example.test") > 1);
}

#[test]
fn lifetimes_are_judged_by_the_signatures_that_are_there() {
    let lives = |start: &str, end: &str| {
        let tree = plan().with("example.test.", |zone| zone.valid(start, end)).start();
        let found = doctor(&tree, tree.addr(), &[HOST]);
        (found.severity("replay-window").to_owned(), found.severity("signature-end").to_owned())
    };
    let word = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(lives("now-3600", "now+518400"), word("ok", "ok"));
    assert_eq!(lives("now-3600", "now+2592000"), word("warning", "ok"));
    assert_eq!(lives("now-518400", "now+50000"), word("ok", "warning"));
}

#[test]
fn weak_keys_old_digests_wildcards_and_long_ttls_are_told() {
    let weak = |zone: crate::support::Zone| {
        let zone = zone.algorithm("RSASHA256");
        zone.key(&["-a", "RSASHA256", "-b", "1024"])
    };
    let tree = plan()
        .with("sub.example.test.", weak)
        .record(&format!("web1.sub.example.test. SSHFP 4 2 {DIGEST}"))
        .record(&format!("web2.example.test. SSHFP 4 1 {}", &DIGEST[..40]))
        .record(&format!("web3.example.test. 604800 SSHFP 4 2 {DIGEST}"))
        .record(&format!("*.wild.example.test. SSHFP 4 2 {DIGEST}"))
        .start();
    let look = |host: &str| doctor(&tree, tree.addr(), &[host]);
    assert_eq!(look(HOST).severity("zone-keys"), "ok");
    let weak = look("web1.sub.example.test");
    assert_eq!(weak.severity("zone-keys"), "warning", "{:#?}", weak.finished);
    assert!(weak.message("zone-keys").contains("sub.example.test key"));
    assert_eq!(look("web2.example.test").severity("fingerprints"), "error");
    assert_eq!(look("web3.example.test").severity("ttl"), "warning");
    assert!(look("web1.wild.example.test").message("chain").contains("wildcard"));
}

#[test]
fn what_ssh_remembers_is_compared_with_what_is_proven() {
    let sandbox = crate::support::Sandbox::new();
    for name in ["published", "old"] {
        keygen(&["-t", "ed25519"], &sandbox.join(name));
    }
    let line = |name: &str| {
        let text = std::fs::read_to_string(sandbox.join(&format!("{name}.pub"))).unwrap();
        text.trim().to_owned()
    };
    let owner = "web4.example.test.";
    let plan = sshfp_lines(&sandbox.join("published.pub"), owner)
        .iter()
        .fold(plan(), |plan, line| plan.record(line));
    let tree = plan.start();
    let look = |entries: &str, port: u16| {
        let file = tree.sandbox.write("known_hosts", entries);
        let config = format!(
            "Host *\n  Port {port}\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n",
            file.display()
        );
        tree.sandbox.write("ssh_config", &config);
        doctor(&tree, tree.addr(), &["web4.example.test"])
    };
    let (published, old) = (line("published"), line("old"));
    let fits = look(&format!("web4.example.test {published}\nweb5.example.test {old}\n"), 22);
    assert_eq!((fits.severity("known-hosts"), fits.finished.code), ("ok", Some(0)));
    let conflict = look(&format!("web4.example.test {old}\n"), 22);
    assert_eq!((conflict.severity("known-hosts-conflict"), conflict.finished.code), ("warning", Some(5)));
    assert_eq!(look(&format!("web4.example.test {old}\n"), 2222).severity("known-hosts"), "ok");
    assert_eq!(
        look(&format!("[web4.example.test]:2222 {old}\n"), 2222).severity("known-hosts-conflict"),
        "warning"
    );

    // What others may write they may change.
    let file = tree.sandbox.join("known_hosts");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let entry = format!("web4.example.test {published}\n");
    assert!(look(&entry, 22).all("file-mode").is_empty());
    mode(0o666);
    assert_eq!(look(&entry, 22).severity("file-mode"), "warning");
    mode(0o600);

    // ssh-keygen hashes the names, and takes out what the remedy says.
    let hashed = tree.sandbox.write("hashed", &format!("web4.example.test {old}\n"));
    run_ok(command("ssh-keygen").arg("-H").arg("-f").arg(&hashed));
    let hashed = std::fs::read_to_string(hashed).unwrap();
    assert!(!hashed.contains("web4"));
    let found = look(&hashed, 22);
    let conflict = found.findings.iter().find(|f| f["check"] == "known-hosts-conflict").unwrap();
    let remedy = conflict["remedy"].as_str().unwrap().to_owned();
    let words: Vec<&str> = remedy.split(' ').collect();
    run_ok(command(words[0]).args(&words[1..]));
    let after = std::fs::read_to_string(tree.sandbox.join("known_hosts")).unwrap();
    assert_eq!(look(&after, 22).severity("known-hosts"), "ok", "{remedy}: {after:?}");
}

#[test]
fn a_proof_that_does_not_suffice_by_policy_is_told() {
    let tree = plan().start();
    let look = |rule: &str| {
        let text = format!("version = 1\n[[host]]\nmatch = \"*.example.test\"\n{rule}\n");
        let file = tree.sandbox.write("config.toml", &text);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        doctor(&tree, tree.addr(), &["--config", file.to_str().unwrap(), HOST])
    };
    let enough = look("min_signature_left = \"1h\"");
    assert_eq!((enough.severity("policy"), enough.severity("configuration")), ("ok", "ok"));
    let short = look("min_signature_left = \"30d\"");
    assert_eq!((short.severity("policy"), short.finished.code), ("error", Some(1)));
    assert_eq!(look("mode = \"pass\"").severity("policy"), "info");
    // A rule that never decides.
    let dead = look("mode = \"verify\"\n[[host]]\nmatch = \"web1.example.test\"\nmode = \"pass\"");
    assert_eq!(dead.severity("configuration"), "warning", "{:#?}", dead.finished);
    assert!(doctor(&tree, tree.addr(), &[HOST]).all("policy").is_empty());
}

#[test]
fn revoked_sets_are_judged_where_there_are_cas() {
    let sentinel = format!("1 2 {}", "0".repeat(64));
    let ca = |plan: Plan| plan.record(&format!("_ca._ssh.example.test. SSHFP 4 2 {DIGEST}"));
    let revoked =
        |plan: Plan, record: &str| plan.record(&format!("_revoked._ssh.example.test. SSHFP {record}"));
    let look = |plan: Plan| {
        let tree = plan.start();
        doctor(&tree, tree.addr(), &[HOST])
    };
    assert!(look(plan()).all("revoked-set").is_empty(), "a zone without CAs");
    assert_eq!(look(ca(plan())).severity("revoked-set"), "warning");
    let other = format!("4 2 {DIGEST}");
    assert_eq!(look(revoked(ca(plan()), &other)).severity("revoked-set"), "warning", "no sentinel");
    // What nothing but a CA could vouch for is told why none does.
    let bare = ca(plan()).record("bare.example.test. A 127.0.0.1").start();
    let bare = doctor(&bare, bare.addr(), &["bare.example.test"]);
    assert_eq!((bare.severity("chain"), bare.finished.code), ("error", Some(1)));
    assert!(bare.message("chain").contains("_revoked._ssh.example.test"), "{:#?}", bare.finished);
    let well = look(revoked(ca(plan()), &sentinel));
    assert_eq!((well.severity("revoked-set"), well.severity("revocation-window")), ("ok", "ok"));
    let window = well.findings.iter().find(|f| f["check"] == "revocation-window").unwrap();
    assert!(window["until"].as_str().unwrap().ends_with('Z'), "{window}");
    let long = plan().with("example.test.", |zone| zone.valid("now-3600", "now+2592000"));
    assert_eq!(look(revoked(ca(long), &sentinel)).severity("revocation-window"), "warning");
}
