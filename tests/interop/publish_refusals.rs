//! What `publish` says when a server, a key or a name does not fit, and that the records stay as they were.

use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use super::primary::{HOST, LIMIT, Primary, key, on_bind_and_knot, private, record};
use crate::support::named::TsigKey;
use crate::support::port::Port;
use crate::support::{Sandbox, run};

on_bind_and_knot! {
    each_refusal_says_which_and_leaves_the_records
}

fn each_refusal_says_which_and_leaves_the_records(primary: &Primary) {
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    primary.publish(&[&a], &[]);
    let before = primary.records(HOST);
    let attempt = |key_file: &Path, more: &[&str]| {
        let mut command = primary.sandbox().sshanchor();
        command.args(["publish", "--json", "--name", HOST, "--server", &primary.addr().to_string()]);
        command.arg("--key-file").arg(key_file).arg("--host-key").arg(&b).args(more);
        let finished = run(command.arg("--state").arg(primary.sandbox().join("state")), LIMIT);
        assert_eq!(finished.code, Some(1), "{finished:#?}");
        let json = finished.json();
        assert_eq!(json["changed"], false);
        let (error, hint) =
            (json["error"].as_str().unwrap().to_owned(), json["hint"].as_str().unwrap().to_owned());
        assert!(error.ends_with("the records at web1.example.test are as they were"), "{error}");
        assert!(
            error.contains(&primary.addr().to_string()) && error.contains("zone example.test"),
            "{error}"
        );
        assert!(finished.stderr.contains(&error) && finished.stderr.contains("hint: "), "{finished:#?}");
        assert_eq!(primary.records(HOST), before);
        (json["reason"].as_str().unwrap().to_owned(), error, hint)
    };
    let file = |key: &TsigKey| private(primary.sandbox().write("other.tsig", &key.statement()));

    let (reason, error, _) = attempt(&file(&TsigKey::new("nobody", "hmac-sha256", None)), &[]);
    assert_eq!(reason, "badkey", "{error}");
    assert!(error.contains("BADKEY") && error.contains("nobody"), "{error}");
    let (reason, error, hint) = attempt(&file(&TsigKey::new("web1", "hmac-sha256", None)), &[]);
    assert_eq!(reason, "badsig", "{error}");
    assert!(error.contains("BADSIG") && hint.contains("secret"), "{error}");
    let (reason, error, hint) = attempt(&primary.tsig("web2"), &[]);
    // Knot answers BADKEY where its ACL does not allow what the key asks for.
    let (code, mnemonic) = match primary {
        Primary::Bind(_) => ("refused", "REFUSED"),
        Primary::Knot(_) => ("badkey", "BADKEY"),
    };
    assert_eq!(reason, code, "{error}");
    assert!(error.contains(mnemonic) && error.contains("web2"), "{error}");
    assert!(hint.contains("update-owner-name: [web1.example.test.]"), "{hint}");
    let is_bind = matches!(primary, Primary::Bind(_));
    assert_eq!(hint.contains("grant web2 name web1.example.test SSHFP;"), is_bind, "{hint}");

    // What is refused before anything is sent.
    let mut command = primary.command("publish", "web1");
    let wrong = run(command.args(["--name", HOST, "--zone", "other.test", "--host-key"]).arg(&b), LIMIT);
    assert_eq!(wrong.code, Some(2), "{wrong:#?}");
    assert!(wrong.stderr.contains("does not lie in zone other.test"), "{wrong:#?}");
    let mut command = primary.command("publish", "web1");
    let wrong = run(command.args(["--name", "web1.nowhere.example", "--host-key"]).arg(&b), LIMIT);
    assert_eq!(wrong.code, Some(1), "{wrong:#?}");
    assert!(wrong.stderr.contains("nothing was sent"), "{wrong:#?}");
    // The good twin.
    let (finished, _) = primary.publish(&[&b], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(HOST).0, [record(&b)]);
}

#[test]
fn a_zone_that_takes_no_updates_says_so() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    // other.test is static; nowhere.test is no zone of this server.
    for (host, zone, reason) in
        [("web1.other.test", "other.test", "refused"), ("web1.nowhere.test", "nowhere.test", "notauth")]
    {
        let mut command = primary.command("publish", "zone");
        let finished =
            run(command.args(["--json", "--name", host, "--zone", zone, "--host-key"]).arg(&a), LIMIT);
        assert_eq!((finished.code, &finished.json()["reason"]), (Some(1), &reason.into()), "{finished:#?}");
        let error = finished.json()["error"].as_str().unwrap().to_owned();
        // The key vouches for the refusal. What is told of one for which it does not: publish_hostile.
        assert!(error.contains(&format!("zone {zone}")) && !error.contains("signature"), "{error}");
    }
    primary.update("update add alias.example.test 60 CNAME web1.example.test.");
    let mut command = primary.command("publish", "zone");
    let finished = run(command.args(["--json", "--name", "alias.example.test", "--host-key"]).arg(&a), LIMIT);
    assert_eq!((finished.code, &finished.json()["reason"]), (Some(1), &"alias".into()), "{finished:#?}");
}

#[test]
fn a_zone_above_the_hosts_own_gets_nothing() {
    let primary = Primary::bind();
    let (a, serial) = (key(primary.sandbox(), "a"), primary.serial());
    let attempt = |zone: &[&str]| {
        let mut command = primary.command("publish", "zone");
        run(command.args(["--name", "web9.sub.example.test", "--host-key"]).arg(&a).args(zone), LIMIT)
    };
    let above = attempt(&["--zone", "example.test"]);
    assert_eq!(above.code, Some(2), "{above:#?}");
    assert!(above.stderr.contains("lies in zone sub.example.test"), "{above:#?}");
    assert!(above.stderr.contains("nothing was sent"), "{above:#?}");
    assert_eq!(primary.serial(), serial, "it would have taken the records, where nobody sees them");
    // The host's own zone is not dynamic there: what is sent to it, it refuses.
    for own in [&["--zone", "SUB.example.test."][..], &[]] {
        let refused = attempt(own);
        assert!(refused.code == Some(1) && refused.stderr.contains("REFUSED"), "{refused:#?}");
    }
}

#[test]
fn a_dead_server_ends_in_time() {
    let sandbox = Sandbox::new();
    let a = key(&sandbox, "a");
    let tsig = private(sandbox.write("k", &TsigKey::new("k", "hmac-sha256", None).statement()));
    let nobody = Port::free();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (server, reason) in [(nobody.addr(), "connection-refused"), (silent.local_addr().unwrap(), "timeout")]
    {
        let mut command = sandbox.sshanchor();
        command.args([
            "publish",
            "--json",
            "--name",
            HOST,
            "--timeout",
            "2",
            "--server",
            &server.to_string(),
        ]);
        let finished = run(command.arg("--key-file").arg(&tsig).arg("--host-key").arg(&a), LIMIT);
        assert_eq!((finished.code, &finished.json()["reason"]), (Some(1), &reason.into()), "{finished:#?}");
        assert!(finished.json()["error"].as_str().unwrap().contains("are as they were"), "{finished:#?}");
        assert!(finished.elapsed < Duration::from_secs(4), "{finished:#?}");
    }
}

#[test]
fn weak_or_broken_tsig_keys_are_refused_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    let a = key(&sandbox, "a");
    let attempt = |text: &str| {
        let file = private(sandbox.write("k", text));
        let mut command = sandbox.sshanchor();
        command.args(["publish", "--name", HOST, "--server", "127.0.0.1:9", "--key-file"]).arg(file);
        let finished = run(command.arg("--host-key").arg(&a), LIMIT);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert!(!finished.stderr.contains("c2VjcmV0"), "the secret shows: {finished:#?}");
        finished.stderr
    };
    assert!(attempt("key \"k\" { algorithm hmac-md5; secret \"c2VjcmV0c2VjcmV0\"; };").contains("too weak"));
    assert!(attempt("hmac-sha256:k").contains("not a TSIG key"));
    let mut command = sandbox.sshanchor();
    command.args(["publish", "--name", HOST, "--server", "127.0.0.1:9", "--host-key"]).arg(&a);
    let finished = run(command.args(["--key-file", "hmac-sha256:k:c2VjcmV0c2VjcmV0"]), LIMIT);
    assert!(finished.code == Some(2) && finished.stderr.contains("wants a file"), "{finished:#?}");
    assert!(!finished.stderr.contains("c2VjcmV0"), "{finished:#?}");
    let mut command = sandbox.sshanchor();
    command.args(["publish", "--name", HOST, "--server", "127.0.0.1:9", "--host-key"]);
    let finished = run(command.arg(&a), LIMIT);
    assert!(finished.code == Some(2) && finished.stderr.contains("--key-file"), "{finished:#?}");
}
