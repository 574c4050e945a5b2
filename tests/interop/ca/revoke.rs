//! `ca revoke`: by key, certificate, host and digest; what is refused; what is told.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use super::{CA, REVOKED, SENTINEL, ca, command, command_of};
use crate::interop::primary::{
    FOREIGN, HOST, LIMIT, Primary, key, list, on_bind_and_knot, private, record, sorted,
};
use crate::support::peer::command as peer;
use crate::support::process::run_ok;
use crate::support::{Finished, run};

on_bind_and_knot! {
    keys_are_revoked_and_given_back
    a_cas_own_key_is_not_revoked_by_mistake
    what_others_have_revoked_is_theirs_to_give_back
    several_at_once_all_get_there
}

/// `ca revoke --json --at example.test` with these arguments.
fn revoke(primary: &Primary, arguments: &[&str]) -> (Finished, Vec<Value>) {
    let mut made = command(primary, "revoke", "ca");
    let finished = run(made.args(["--json", "--at", "example.test"]).args(arguments), LIMIT);
    let lines = if finished.stdout.trim().is_empty() { Vec::new() } else { finished.json_lines() };
    (finished, lines)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A certificate of `key` for `name`, by ssh-keygen, signed by `ca`.
fn certify(ca: &Path, key: &Path, name: &str) -> PathBuf {
    let private = ca.with_extension("");
    run_ok(peer("ssh-keygen").arg("-q").arg("-s").arg(private).args(["-h", "-I", name, "-n", name]).arg(key));
    PathBuf::from(format!("{}-cert.pub", key.with_extension("").display()))
}

/// The digest as ssh-keygen -l prints it.
fn digest(key: &Path) -> String {
    let line = run_ok(peer("ssh-keygen").arg("-lf").arg(key));
    line.split_ascii_whitespace().nth(1).unwrap().to_owned()
}

fn keys_are_revoked_and_given_back(primary: &Primary) {
    let sandbox = primary.sandbox();
    let [ca_key, a, b, c] = ["ca", "a", "b", "c"].map(|name| key(sandbox, name));
    ca(primary, "publish", "ca", &[&ca_key], &[]);
    let certificate = certify(&ca_key, &b, "web2.example.test");
    let (dry, _) = revoke(primary, &["--key", text(&a), "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:#?}");
    assert_eq!(primary.records(REVOKED).0, [SENTINEL], "it was only looked at");
    let (finished, lines) =
        revoke(primary, &["--key", text(&a), "--certificate", text(&certificate), "--sha256", &digest(&c)]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:#?}");
    let digest_of_c = record(&c)[4..].to_owned();
    let there = sorted(&[SENTINEL, &record(&a), &record(&b), &format!("0 2 {digest_of_c}")]);
    assert_eq!(primary.records(REVOKED), (there.clone(), Some(3600)));
    assert_eq!(primary.records(CA).0, [record(&ca_key)]);
    let told = &lines[1];
    assert_eq!((&told["revoked_at"], &told["revoked"]), (&REVOKED.into(), &true.into()), "{told}");
    assert_eq!(told["keys"].as_array().unwrap().len(), 3, "{told}");
    // named and Knot sign for two weeks or so.
    let seconds = told["window"]["seconds"].as_u64().unwrap();
    assert!((86_400..40 * 86_400).contains(&seconds), "{told}");
    assert!(told["window"]["cached_until"].as_str() < told["window"]["replayed_until"].as_str(), "{told}");

    // Again, and nothing changes; publishing leaves them.
    let (again, lines) = revoke(primary, &["--key", text(&a)]);
    assert_eq!((again.code, &lines[0]["changed"]), (Some(0), &false.into()), "{again:#?}");
    ca(primary, "publish", "ca", &[&ca_key], &["--prune"]);
    assert_eq!(primary.records(REVOKED).0, there);

    // A mistake is taken back, whatever was known of the key, and the sentinel stays.
    let (undone, lines) = revoke(primary, &["--undo", "--key", text(&c), "--sha256", &digest(&a)]);
    assert_eq!(undone.code, Some(0), "{undone:#?}");
    assert_eq!(list(&lines[0]["removed"]).len(), 2, "{lines:#?}");
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &record(&b)]));
    let (undone, _) = revoke(primary, &["--undo", "--key", text(&b)]);
    assert_eq!((undone.code, primary.records(REVOKED).0), (Some(0), vec![SENTINEL.into()]), "{undone:#?}");
    for (what, why) in
        [(digest(&a), "is not revoked"), ("0".repeat(64), "sentinel"), ("00".into(), "no SHA-256")]
    {
        let (refused, _) = revoke(primary, &["--undo", "--sha256", &what]);
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        assert!(refused.stderr.contains(why), "{refused:#?}");
    }
    assert_eq!(primary.records(REVOKED).0, [SENTINEL]);
}

fn a_cas_own_key_is_not_revoked_by_mistake(primary: &Primary) {
    let (own, host) = (key(primary.sandbox(), "ca"), key(primary.sandbox(), "a"));
    ca(primary, "publish", "ca", &[&own], &[]);
    // A host's certificate in its place is what people mix up.
    for arguments in [vec!["--key", text(&own)], vec!["--key", text(&host), "--key", text(&own)]] {
        let (refused, _) = revoke(primary, &arguments);
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        assert!(refused.stderr.contains("--yes-the-ca"), "{refused:#?}");
        assert_eq!(primary.records(REVOKED).0, [SENTINEL], "neither of them");
    }
    let (finished, _) = revoke(primary, &["--key", text(&own), "--yes-the-ca"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &record(&own)]));
    let (refused, _) = ca(primary, "publish", "ca", &[&own], &[]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
}

fn what_others_have_revoked_is_theirs_to_give_back(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    // Another machine, with a state of its own.
    let mut other = command_of("other", primary, "revoke", "ca");
    let finished = run(other.args(["--at", "example.test", "--key"]).arg(&a), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &record(&a)]), "the first brings the sentinel");
    assert!(finished.stdout.contains("there was no revoked set before"), "{finished:#?}");
    let (refused, _) = revoke(primary, &["--undo", "--key", text(&a)]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("not from here"), "{refused:#?}");
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &record(&a)]));
    let (finished, _) = revoke(primary, &["--undo", "--prune", "--key", text(&a)]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(REVOKED).0, [SENTINEL]);
}

/// Three machines revoke, and one publishes a CA, all at once: nobody takes another's record or the sentinel away.
fn several_at_once_all_get_there(primary: &Primary) {
    let keys: Vec<_> = (0..4).map(|n| key(primary.sandbox(), &format!("k{n}"))).collect();
    let running: Vec<_> = (0..4)
        .map(|n| {
            let (name, option) = if n == 0 { ("publish", "--ca-key") } else { ("revoke", "--key") };
            let mut made = command_of(&format!("state{n}"), primary, name, "ca");
            made.args(["--at", "example.test", "--timeout", "30", option]).arg(&keys[n]);
            made.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(primary.records(CA).0, [record(&keys[0])]);
    let revoked = [1, 2, 3].map(|n| record(&keys[n]));
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &revoked[0], &revoked[1], &revoked[2]]));
}

/// A key without leave to write the set, a server that is not there: nothing is told to be revoked.
#[test]
fn what_failed_is_not_told_as_done() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let mut made = command(&primary, "revoke", "web1");
    let refused = run(made.args(["--at", "example.test", "--key"]).arg(&a), LIMIT);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("REFUSED") && !refused.stdout.contains("revoked below"), "{refused:#?}");
    assert!(primary.records(REVOKED).0.is_empty());
    let (finished, _) = revoke(&primary, &["--key", text(&a)]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
}

/// The policy that clients have here shortens the window.
#[test]
fn the_window_is_reckoned_by_policy() {
    let primary = Primary::bind();
    let [a, b] = ["a", "b"].map(|name| key(primary.sandbox(), name));
    let config = |rule: &str| {
        let text = format!("version = 1\n[[host]]\nmatch = \"example.test\"\n{rule}\n");
        private(primary.sandbox().write("config.toml", &text))
    };
    let window = |key: &Path, rule: &str| {
        let mut made = command(&primary, "revoke", "ca");
        made.arg("--config").arg(config(rule)).args(["--json", "--at", "example.test", "--key"]);
        let finished = run(made.arg(key), LIMIT);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        finished.json_lines()[1]["window"].clone()
    };
    assert_eq!(window(&a, ""), Value::Null, "there was no set before");
    let whole = window(&b, "")["seconds"].as_u64().unwrap();
    // named's signatures begin an hour before they are made.
    let short = window(&b, "max_signature_age = \"2h\"")["seconds"].as_u64().unwrap();
    assert!(whole > 86_400 && (1..=2 * 3600).contains(&short), "{whole} {short}");
}

#[test]
fn a_hosts_keys_are_those_of_its_certificates_and_of_its_records() {
    let primary = Primary::knot();
    let Primary::Knot(knot) = &primary else { panic!("not Knot") };
    let sandbox = primary.sandbox();
    let [a, b, other] = ["a", "b", "other"].map(|name| key(sandbox, name));
    primary.publish(&[&b], &[]);
    let folder = sandbox.join("state/ca");
    let sshanchor = |arguments: &[&str]| {
        let mut made = sandbox.sshanchor();
        let finished =
            run(made.env("SSHANCHOR_STATE", sandbox.join("state")).arg("ca").args(arguments), LIMIT);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
    };
    sshanchor(&["init", "--domain", "example.test"]);
    sshanchor(&["sign", "--name", HOST, "--name", "web.example.test", "--host-key", text(&a)]);
    sshanchor(&["sign", "--name", "web2.example.test", "--host-key", text(&other)]);
    let append = |text: &str| {
        let mut journal =
            std::fs::OpenOptions::new().append(true).open(folder.join("journal.jsonl")).unwrap();
        journal.write_all(text.as_bytes()).unwrap();
    };
    // A line that was cut short by a crash.
    append("{\"time\":\"2026-11-2");
    let revoke = |arguments: &[&str]| {
        let mut made = command(&primary, "revoke", "ca");
        made.env("SSHANCHOR_RESOLVER", knot.unbound.addr().to_string());
        made.env("SSHANCHOR_TRUST_ANCHOR", knot.tree.anchor()).env("SSHANCHOR_CACHE", "off");
        run(made.args(["--json", "--timeout", "3"]).args(arguments), LIMIT)
    };
    let finished = revoke(&["--host", HOST]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &record(&a), &record(&b)]));
    let lines = finished.json_lines();
    let next = list(&lines[1]["next"]);
    assert!(
        next.iter().any(|line| line.contains(&format!("sshanchor withdraw --name {HOST} "))),
        "{next:#?}"
    );
    assert_eq!(lines[0]["proof"]["status"], "secure", "{finished:#?}");
    let written = std::fs::read_to_string(folder.join("journal.jsonl")).unwrap();
    let events: Vec<Value> = written.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let revoked = events.iter().filter(|event| event["event"] == "revoke");
    assert!(revoked.clone().all(|event| event["key"]["type"] == "ssh-ed25519"), "{written}");
    assert_eq!(revoked.count(), 2, "{written}");

    // A digest alone, of which the journal knows the key.
    let finished = revoke(&["--sha256", &digest(&other)]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(primary.records(REVOKED).0.contains(&record(&other)), "with its number");
    // A host of which nothing is known; a journal that somebody wrote into.
    let finished = revoke(&["--host", "web9.example.test"]);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains("no key of web9.example.test is known"), "{finished:#?}");
    // What is taken back may be signed again, and not before.
    let sign = || {
        let mut made = sandbox.sshanchor();
        made.env("SSHANCHOR_STATE", sandbox.join("state")).args(["ca", "sign", "--host-key"]);
        run(made.arg(&other).args(["--name", "web2.example.test"]), LIMIT).code
    };
    assert_eq!(sign(), Some(2));
    assert_eq!(revoke(&["--undo", "--sha256", &digest(&other)]).code, Some(0));
    assert_eq!(sign(), Some(0));
    append("rm -rf\n");
    let finished = revoke(&["--host", HOST]);
    assert!(finished.code == Some(1) && finished.stderr.contains("journal.jsonl"), "{finished:#?}");
}

#[test]
fn what_is_no_key_is_refused_before_anything_is_asked() {
    let primary = Primary::bind();
    let sandbox = primary.sandbox();
    let (own, a) = (key(sandbox, "ca"), key(sandbox, "a"));
    let certificate = certify(&own, &a, HOST);
    for (arguments, why) in [
        (vec![], "required"),
        (vec!["--key", text(&certificate)], "--certificate"),
        (vec!["--certificate", text(&a)], "--key"),
        (vec!["--sha256", "SHA256:xyz"], "ssh-keygen -l"),
        (vec!["--host", "127.0.0.1"], "name"),
        (vec!["--key", "/nowhere"], "cannot read"),
        (vec!["--prune", "--key", text(&a)], "--undo"),
    ] {
        let (refused, _) = revoke(&primary, &arguments);
        assert!(refused.code != Some(0), "{refused:#?}");
        assert!(refused.stderr.contains(why), "{why}: {refused:#?}");
    }
    primary.update(&format!("update add {REVOKED} 300 SSHFP {FOREIGN}"));
    let (finished, _) = revoke(&primary, &["--key", text(&a)]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(
        primary.records(REVOKED),
        (sorted(&[SENTINEL, FOREIGN, &record(&a)]), Some(300)),
        "others' stay"
    );
}
