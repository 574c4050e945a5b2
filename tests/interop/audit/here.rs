//! This machine: its keys on disk, its known_hosts, its own records.

use std::fs;

use super::{at, audit, plan, published, set};
use crate::support::Sandbox;
use crate::support::sshd::{Sshd, keygen, sshfp_lines};

const HOST: &str = "web1.example.test";

#[test]
fn keys_on_disk_are_compared_where_this_machine_is_the_host() {
    let sshd = Sshd::start(&["ed25519"]);
    let folder = Sandbox::new();
    keygen(&["-t", "ecdsa"], &folder.join("other"));
    let (live, other) = (sshd.host_key("ed25519"), folder.join("other.pub"));
    let lines = sshfp_lines(&other, &format!("{HOST}."));
    let tree = published(plan(), &sshd, HOST).record(&lines[0]).start();
    let hosts = [at(HOST, &sshd)];
    // From afar that record is of a key that nobody has.
    assert_eq!(audit(&tree, &hosts, &[]).found(HOST), set(&["warning stale-record"]));
    let (live, other) = (live.to_str().unwrap(), other.to_str().unwrap());
    let local = ["--local", HOST, "--host-key", live, "--host-key", other];
    let audit = audit(&tree, &hosts, &local);
    assert_eq!(audit.found(HOST), set(&["info key-not-offered"]));
    let keys = audit.host(HOST)["keys"].as_array().unwrap();
    let seen: Vec<_> = keys.iter().map(|key| key["seen"].to_string()).collect();
    assert_eq!(seen, [r#"["live","disk"]"#, r#"["disk"]"#]);
    let wrong = super::audit(&tree, &hosts, &["--local", "web2.example.test"]);
    assert_eq!((wrong.finished.code, &wrong.report["reason"]), (Some(2), &"local".into()));
}

#[test]
fn known_hosts_that_contradict_or_are_stale_are_told() {
    let (sshd, other) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519", "rsa"]));
    let tree = published(plan(), &sshd, HOST).start();
    let line = |from: &Sshd, key: &str| {
        let public = fs::read_to_string(from.host_key(key)).unwrap();
        format!("[{HOST}]:{} {public}", sshd.port())
    };
    for (lines, want) in [
        (vec![line(&sshd, "ed25519")], &[][..]),
        (vec![line(&other, "ed25519")], &["warning known-hosts-conflict"]),
        (vec![line(&sshd, "ed25519"), line(&other, "rsa")], &["warning known-hosts-stale"]),
        (
            vec![format!(
                "@cert-authority *.example.test {}",
                line(&other, "rsa").split_once(' ').unwrap().1
            )],
            &[],
        ),
        (
            vec![format!(
                "@cert-authority [*.example.test]:* {}",
                line(&other, "rsa").split_once(' ').unwrap().1
            )],
            &["info known-hosts-ca"],
        ),
    ] {
        let file = tree.sandbox.write("known", &lines.concat());
        let audit = audit(&tree, &[at(HOST, &sshd)], &["--known-hosts", file.to_str().unwrap()]);
        assert_eq!(audit.found(HOST), set(want), "{lines:?}");
    }
    // The user's own is read unless others are named.
    let home = tree.sandbox.join(".ssh");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("known_hosts"), line(&other, "ed25519")).unwrap();
    let found = |arguments: &[&str]| audit(&tree, &[at(HOST, &sshd)], arguments).found(HOST);
    assert_eq!(found(&[]), set(&["warning known-hosts-conflict"]));
    assert_eq!(found(&["--known-hosts", "none"]), set(&[]));
}

#[test]
fn own_records_whose_keys_nobody_shows_are_orphans() {
    let sshd = Sshd::start(&["ed25519"]);
    let key = |octet: &str| format!("4 2 {}", octet.repeat(32));
    let tree = published(plan(), &sshd, HOST)
        .record(&format!("web7.example.test. SSHFP {}", key("ab")))
        .record(&format!("web8.example.test. SSHFP {}", key("cd")))
        .start();
    let state = tree.sandbox.join("state");
    fs::create_dir(&state).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let (gone, there) = (key("ee"), key("ab"));
    let text = format!(
        r#"{{"version":1,"owners":{{"web7.example.test":["{there}"],"web8.example.test":["{gone}"]}}}}"#
    );
    let file = state.join("published.json");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let audit = audit(&tree, &[at(HOST, &sshd)], &["--state", state.to_str().unwrap()]);
    assert_eq!(audit.found(HOST), set(&[]));
    assert_eq!(audit.of_fleet(), set(&["warning orphan"]));
    let orphans = audit.report["findings"].as_array().unwrap();
    assert_eq!((orphans.len(), &orphans[0]["subject"]), (1, &"web7.example.test".into()), "{orphans:?}");
}
