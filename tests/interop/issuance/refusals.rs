//! What is not signed, and its twin that is.

use std::fs;
use std::path::Path;

use super::{HOST, inspect, key, listed, refused};
use crate::interop::primary::LIMIT;
use crate::support::ca::Ca;
use crate::support::sshd::keygen;
use crate::support::{run, run_ok};

#[test]
fn what_must_not_be_signed_is_not() {
    let ca = Ca::init(&["--max-validity", "60d"]);
    let host = key(&ca.sandbox, "host");
    let sign = |more: &[&str]| {
        let mut sign = ca.sign(HOST, &host);
        sign.args(more);
        sign
    };
    for (more, words) in [
        (["--name", "web1.example.org"], "is not at or below example.test"),
        (["--name", "badexample.test"], "is not at or below example.test"),
        (["--name", "*.example.test"], "is not a host name"),
        (["--name", "192.0.2.1"], "is an address"),
        (["--name", "web1.example.test,web2.example.test"], "one name at a time"),
        (["--validity", "61d"], "--validity 60d"),
        (["--validity", "0"], "good for no time"),
        (["--serial", "0"], "1 or more"),
        (["--key-id", "a\x1b[31m"], "printable ASCII"),
    ] {
        refused(&mut sign(&more), 2, words);
    }
    assert!(!ca.sandbox.join("host-cert.pub").exists());
    assert_eq!(ca.journal().len(), 1, "only init");
    run_ok(&mut sign(&[
        "--validity",
        "60d",
        "--serial",
        "7",
        "--key-id",
        "a web server",
        "--name",
        "a.b.example.test",
    ]));
    let seen = inspect(&ca.sandbox.join("host-cert.pub"));
    assert!(seen.contains("Serial: 7\n") && seen.contains("Key ID: \"a web server\""), "{seen}");
    refused(&mut sign(&["--serial", "7"]), 2, "serial number 7 is taken");
    run_ok(&mut sign(&["--serial", "8"]));
}

#[test]
fn what_is_no_plain_host_key_gets_no_certificate() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    refused(&mut ca.sign(HOST, &ca.folder().join("ca_key.pub")), 2, "a key of the CA itself");
    run_ok(&mut ca.sign(HOST, &host));
    refused(&mut ca.sign(HOST, &ca.sandbox.join("host-cert.pub")), 2, "is a certificate");
    refused(&mut ca.sign(HOST, &ca.sandbox.join("host")), 2, "private key");
    let token = ca.sandbox.write("token.pub", "sk-ssh-ed25519@openssh.com AAAA token\n");
    refused(&mut ca.sign(HOST, &token), 2, "security-token");
    keygen(&["-t", "rsa", "-b", "1024"], &ca.sandbox.join("small"));
    refused(&mut ca.sign(HOST, &ca.sandbox.join("small.pub")), 2, "RSA key of 1024 bits");
    let both =
        [&host, &ca.folder().join("ca_key.pub")].map(|file| fs::read_to_string(file).unwrap()).concat();
    refused(&mut ca.sign(HOST, &ca.sandbox.write("both.pub", &both)), 2, "several keys");
    // One bad key, and none is signed.
    refused(ca.sign(HOST, &host).arg("--host-key").arg(ca.sandbox.join("small.pub")), 2, "1024 bits");
    refused(
        ca.sign(HOST, &host).arg("--host-key").arg(&host).args(["--serial", "9"]),
        2,
        "--serial is for one",
    );
    assert_eq!(ca.journal().len(), 2, "init and the one certificate");
}

#[test]
fn nothing_but_a_certificate_is_replaced() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    let private = ca.sandbox.join("host");
    let before = fs::read(&private).unwrap();
    refused(ca.sign(HOST, &host).arg("--out").arg(&private), 2, "is no certificate");
    assert_eq!(fs::read(&private).unwrap(), before);
    // Where a link of somebody else's leads, beside the key.
    let notes = ca.sandbox.write("notes", "to be kept\n");
    std::os::unix::fs::symlink(&notes, ca.sandbox.join("host-cert.pub")).unwrap();
    refused(&mut ca.sign(HOST, &host), 2, "is no certificate");
    assert_eq!(fs::read_to_string(&notes).unwrap(), "to be kept\n");
    assert_eq!(ca.journal().len(), 1, "only init");
    fs::remove_file(ca.sandbox.join("host-cert.pub")).unwrap();
    run_ok(&mut ca.sign(HOST, &host));
    run_ok(&mut ca.sign(HOST, &host));
}

#[test]
fn what_is_no_ca_is_not_made() {
    let ca = Ca::init(&[]);
    keygen(&["-t", "rsa", "-b", "1024"], &ca.sandbox.join("small"));
    let token = ca.sandbox.write("token.pub", "sk-ssh-ed25519@openssh.com AAAA token\n");
    let init = |more: &[&str]| {
        let mut init = ca.command("init");
        init.arg("--ca").arg(ca.sandbox.join("new")).args(more);
        init
    };
    let small = ca.sandbox.join("small");
    let domain = ["--domain", "example.test"];
    for (more, words) in [
        (&["--domain", "*.example.test"][..], "is not a host name"),
        (&[], "--domain <DOMAIN>"),
        (&["--domain", "example.test", "--key-file", small.to_str().unwrap()], "RSA key of 1024 bits"),
        (&["--domain", "example.test", "--agent"], "--public-key"),
        (&["--domain", "example.test", "--agent", "--public-key", token.to_str().unwrap()], "security-token"),
        (&["--domain", "example.test", "--validity", "2d", "--max-validity", "1d"], "does not fit"),
        (&["--domain", "example.test", "--validity", "0"], "does not fit"),
    ] {
        refused(&mut init(more), 2, words);
        assert!(!ca.sandbox.join("new/ca.json").exists() && !ca.sandbox.join("new/ca_key").exists());
    }
    run_ok(&mut init(&domain));
    // Where none is named, it is in the state folder.
    let mut state = ca.command("init");
    state.args(domain).env_remove("SSHANCHOR_CA").env("SSHANCHOR_STATE", ca.sandbox.join("state"));
    run_ok(&mut state);
    assert!(ca.sandbox.join("state/ca/ca.json").exists());
    // More than one domain is fine, and so is a long validity that is asked for.
    let mut wide = ca.command("init");
    wide.arg("--ca").arg(ca.sandbox.join("wide")).args(domain).args([
        "--domain",
        "example.org",
        "--validity",
        "365d",
    ]);
    run_ok(&mut wide);
    let host = key(&ca.sandbox, "host");
    run_ok(ca.sign("web1.example.org", &host).arg("--ca").arg(ca.sandbox.join("wide")));
}

#[test]
fn a_ca_that_others_can_write_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    let folder = ca.folder();
    let file = |name: &str| folder.join(name);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (path, bad, good, words) in [
        (&folder, 0o770, 0o700, "can be written by others"),
        (&file("ca.json"), 0o660, 0o600, "can be written by others"),
        (&file("journal.jsonl"), 0o660, 0o600, "can be written by others"),
        (&file("ca_key"), 0o640, 0o600, "others can read"),
    ] {
        mode(path, bad);
        refused(&mut ca.sign(HOST, &host), 1, words);
        mode(path, good);
        run_ok(&mut ca.sign(HOST, &host));
    }
    assert_eq!(ca.journal().len(), 5);
}

#[test]
fn a_revoked_key_is_not_signed_and_is_listed_as_such() {
    let ca = Ca::init(&[]);
    let (host, other) = (key(&ca.sandbox, "host"), key(&ca.sandbox, "other"));
    run_ok(&mut ca.sign(HOST, &host));
    run_ok(&mut ca.sign("web2.example.test", &other));
    let key = listed(&ca, &["--name", HOST])[0]["key"].clone();
    let line = serde_json::json!({ "time": "2026-11-22T08:00:00Z", "event": "revoke", "key": key });
    let journal = ca.journal().join("\n") + "\n" + &line.to_string() + "\n";
    fs::write(ca.folder().join("journal.jsonl"), journal).unwrap();
    let states: Vec<_> = listed(&ca, &[]).iter().map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["revoked", "valid"]);
    refused(&mut ca.sign(HOST, &host), 2, "is revoked");
    run_ok(&mut ca.sign("web2.example.test", &other));
    assert!(run(&mut ca.command("list"), LIMIT).stdout.starts_with("revoked "));
}
