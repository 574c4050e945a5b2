//! `ca publish` and `ca withdraw` against BIND and Knot: both sets, or neither; who may write what.

use std::process::Stdio;

use super::{CA, REVOKED, SENTINEL, ca, command, command_of};
use crate::interop::primary::{FOREIGN, HOST, LIMIT, Primary, key, list, on_bind_and_knot, record, sorted};
use crate::support::knot::KnotTree;
use crate::support::named::TsigKey;
use crate::support::{Tree, run};

on_bind_and_knot! {
    a_cas_life
    what_others_revoked_stays_revoked
    a_sentinel_that_was_taken_away_comes_back
    a_set_below_the_apex_brings_the_revoked_set_of_the_apex
    each_key_writes_its_own_sets_alone
    several_at_once_all_get_there
}

fn a_cas_life(primary: &Primary) {
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    let (finished, lines) = ca(primary, "publish", "ca", &[&a], &[]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:#?}");
    assert_eq!(lines.iter().map(|l| l["owner"].as_str().unwrap()).collect::<Vec<_>>(), [REVOKED, CA]);
    assert!(lines.iter().all(|l| l["name"] == "example.test" && l["changed"] == true), "{lines:#?}");
    assert_eq!(primary.records(CA), (vec![record(&a)], Some(3600)));
    assert_eq!(primary.records(REVOKED), (vec![SENTINEL.into()], Some(3600)));

    let serial = primary.serial();
    let (finished, lines) = ca(primary, "publish", "ca", &[&a], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(lines.iter().all(|l| l["changed"] == false), "{lines:#?}");
    assert_eq!(primary.serial(), serial, "a repeat sends nothing");

    // Another CA beside it: hosts show certificates of both.
    let (finished, _) = ca(primary, "publish", "ca", &[&b], &["--ttl", "120"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:#?}");
    assert_eq!(primary.records(CA), (sorted(&[&record(&a), &record(&b)]), Some(120)));
    assert_eq!(primary.records(REVOKED), (vec![SENTINEL.into()], Some(120)));

    let (finished, lines) = ca(primary, "withdraw", "ca", &[&a], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(list(&lines[0]["removed"]), [record(&a)]);
    assert_eq!(primary.records(CA).0, [record(&b)]);
    // What was published from here, without a key at hand.
    let (finished, _) = ca(primary, "withdraw", "ca", &[], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(CA).0, Vec::<String>::new());
    assert_eq!(primary.records(REVOKED).0, [SENTINEL], "it stays");
}

fn what_others_revoked_stays_revoked(primary: &Primary) {
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    primary.update(&format!(
        "update add {CA} 300 SSHFP {FOREIGN}\nupdate add {REVOKED} 300 SSHFP {}",
        record(&b)
    ));
    let (finished, lines) = ca(primary, "publish", "ca", &[&a], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(
        finished.stderr.contains("somebody else's CA vouches for the hosts of example.test"),
        "{finished:#?}"
    );
    assert_eq!(list(&lines[1]["foreign"]), [FOREIGN]);
    assert_eq!(primary.records(CA), (sorted(&[FOREIGN, &record(&a)]), Some(300)));
    let revoked = sorted(&[SENTINEL, &record(&b)]);
    assert_eq!(primary.records(REVOKED), (revoked.clone(), Some(300)));

    let (finished, _) = ca(primary, "publish", "ca", &[&a], &["--prune"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:#?}");
    assert_eq!(primary.records(CA).0, [record(&a)]);
    assert_eq!(primary.records(REVOKED).0, revoked, "nobody's revocation is pruned");
    // A revoked key is no CA's; its twin above is.
    let (finished, _) = ca(primary, "publish", "ca", &[&b], &[]);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains("is revoked at _revoked._ssh.example.test"), "{finished:#?}");
    assert_eq!(primary.records(CA).0, [record(&a)]);
}

fn a_sentinel_that_was_taken_away_comes_back(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    ca(primary, "publish", "ca", &[&a], &[]);
    primary.update(&format!("update delete {REVOKED} SSHFP"));
    let (check, _) = ca(primary, "publish", "ca", &[&a], &["--check"]);
    assert_eq!(check.code, Some(5), "{check:#?}");
    let (finished, lines) = ca(primary, "publish", "ca", &[&a], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(lines.iter().map(|l| l["changed"].as_bool().unwrap()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(primary.records(REVOKED).0, [SENTINEL]);
    let (check, _) = ca(primary, "publish", "ca", &[&a], &["--check"]);
    assert_eq!(check.code, Some(0), "{check:#?}");
}

fn a_set_below_the_apex_brings_the_revoked_set_of_the_apex(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    let publish = |tsig: &str| {
        let mut made = command(primary, "publish", tsig);
        run(made.args(["--json", "--at", "lab.example.test", "--ca-key"]).arg(&a), LIMIT)
    };
    let finished = publish("zone");
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.json_lines().len(), 3, "{finished:#?}");
    assert_eq!(primary.records("_ca._ssh.lab.example.test").0, [record(&a)]);
    assert_eq!(primary.records("_revoked._ssh.lab.example.test").0, [SENTINEL]);
    assert_eq!(primary.records(REVOKED).0, [SENTINEL]);
    assert_eq!(primary.records(CA).0, Vec::<String>::new());
}

fn each_key_writes_its_own_sets_alone(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    // A host's key writes neither set, not even the one of them.
    for tsig in ["web1", "web2"] {
        let (finished, lines) = ca(primary, "publish", tsig, &[&a], &[]);
        assert_eq!(finished.code, Some(1), "{finished:#?}");
        assert!(lines.iter().all(|l| l["reason"] == "refused" || l["reason"] == "badkey"), "{lines:#?}");
        let hint = lines[0]["hint"].as_str().unwrap();
        // Knot says that it does not know the key: what BIND would have to be told is nothing for it.
        let is_bind = matches!(primary, Primary::Bind(_));
        for owner in [CA, REVOKED] {
            assert!(hint.contains(&format!("{owner}.")), "{hint}");
            assert_eq!(hint.contains(&format!("grant {tsig} name {owner} SSHFP; ")), is_bind, "{hint}");
        }
    }
    assert!(primary.records(CA).0.is_empty() && primary.records(REVOKED).0.is_empty());
    // The CA's key writes no host's set, and no port label.
    for more in [&[][..], &["--port", "2222"]] {
        let mut made = primary.command("publish", "ca");
        let finished = run(made.args(["--json", "--name", HOST, "--host-key"]).arg(&a).args(more), LIMIT);
        assert_eq!(finished.code, Some(1), "{finished:#?}");
        let reason = finished.json()["reason"].clone();
        assert!(reason == "refused" || reason == "badkey", "{reason}");
    }
    assert!(primary.records(HOST).0.is_empty());
    // Each writes its own.
    assert_eq!(ca(primary, "publish", "ca", &[&a], &[]).0.code, Some(0));
    assert_eq!(primary.publish(&[&a], &[]).0.code, Some(0));
    assert_eq!(primary.records(HOST).0, primary.records(CA).0);
}

fn several_at_once_all_get_there(primary: &Primary) {
    let keys: Vec<_> = (0..4).map(|n| key(primary.sandbox(), &format!("k{n}"))).collect();
    let running: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(n, public)| {
            let mut made = command_of(&format!("state{n}"), primary, "publish", "ca");
            made.args(["--at", "example.test", "--timeout", "30", "--ca-key"]).arg(public);
            made.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let wanted: Vec<String> = keys.iter().map(|public| record(public)).collect();
    assert_eq!(primary.records(CA).0, sorted(&wanted.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(primary.records(REVOKED).0, [SENTINEL]);
}

/// A key that may write the CA set and not the one beside it.
#[test]
fn without_leave_for_the_revoked_set_there_is_no_ca_set() {
    let plan = || Tree::plan().tsig(TsigKey::new("half", "hmac-sha256", Some(vec![format!("{CA}.")])));
    let primaries =
        [Primary::Bind(Box::new(plan().start())), Primary::Knot(Box::new(KnotTree::start_from(plan())))];
    for primary in primaries {
        let a = key(primary.sandbox(), "a");
        let (finished, _) = ca(&primary, "publish", "half", &[&a], &[]);
        assert_eq!(finished.code, Some(1), "{finished:#?}");
        assert!(primary.records(CA).0.is_empty() && primary.records(REVOKED).0.is_empty());
        // With the sentinel there, leave for the one suffices.
        primary.update(&format!("update add {REVOKED} 300 SSHFP {SENTINEL}"));
        let (finished, _) = ca(&primary, "publish", "half", &[&a], &[]);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(primary.records(CA).0, [record(&a)]);
    }
}

#[test]
fn what_is_published_is_proven_and_what_is_no_ca_is_refused() {
    let primary = Primary::knot();
    let Primary::Knot(knot) = &primary else { panic!("not Knot") };
    let a = key(primary.sandbox(), "a");
    let publish = |file: &std::path::Path, at: &str| {
        let mut made = command(&primary, "publish", "ca");
        made.env("SSHANCHOR_RESOLVER", knot.unbound.addr().to_string());
        made.env("SSHANCHOR_TRUST_ANCHOR", knot.tree.anchor());
        run(made.args(["--json", "--timeout", "5", "--at", at, "--ca-key"]).arg(file), LIMIT)
    };
    for (text, why) in [
        ("sk-ssh-ed25519@openssh.com AAAA", "cannot be published"),
        ("@revoked * ssh-ed25519 AAAA", "@revoked"),
        ("# nothing\n", "holds no public key"),
        ("hello world", "line 1"),
    ] {
        let file = primary.sandbox().write("other.pub", text);
        let finished = publish(&file, "example.test");
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        assert!(finished.stderr.contains(why), "{why}: {finished:#?}");
    }
    let finished = publish(&a, CA);
    assert!(finished.code == Some(2) && finished.stderr.contains("--at example.com"), "{finished:#?}");
    assert!(primary.records(CA).0.is_empty() && primary.records(REVOKED).0.is_empty());

    let line = std::fs::read_to_string(&a).unwrap();
    let file = primary.sandbox().write("known_hosts", &format!("@cert-authority *.example.test {line}"));
    let finished = publish(&file, "example.test");
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:#?}");
    for line in finished.json_lines() {
        assert_eq!(line["proof"]["status"], "secure", "{line}");
        assert!(line["proof"]["reason"].is_null(), "{line}");
    }
    assert_eq!(primary.records(CA).0, [record(&a)]);
}

#[test]
fn a_folder_says_which_keys_and_where_and_is_told_what_was_done() {
    let primary = Primary::bind();
    let (a, old) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "old"));
    let line = |public: &std::path::Path| std::fs::read_to_string(public).unwrap().trim().to_owned();
    let text = serde_json::json!({
        "version": 1, "domains": ["example.test"], "validity": "30d", "max_validity": "90d",
        "keys": [
            { "state": "current", "public_key": line(&a), "key_file": "ca_key" },
            { "state": "retired", "public_key": line(&old), "agent": true },
        ],
    });
    std::fs::create_dir_all(primary.sandbox().join("state/ca")).unwrap();
    primary.sandbox().write("state/ca/ca.json", &text.to_string());
    let finished = run(command(&primary, "publish", "ca").arg("--json"), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(CA).0, [record(&a)], "keys that sign no more are not published anew");
    let finished = run(command(&primary, "withdraw", "ca").arg("--json"), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(primary.records(CA).0.is_empty());
    let journal = std::fs::read_to_string(primary.sandbox().join("state/ca/journal.jsonl")).unwrap();
    let events: Vec<serde_json::Value> = journal.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(
        events.iter().map(|e| e["event"].as_str().unwrap()).collect::<Vec<_>>(),
        ["publish", "withdraw"]
    );
    assert_eq!(events[0]["owner"], CA);

    // Others could have their keys published.
    use std::os::unix::fs::PermissionsExt;
    let file = primary.sandbox().join("state/ca/ca.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    let finished = run(command(&primary, "publish", "ca").arg("--json"), LIMIT);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("can be written by others"), "{finished:#?}");
    assert!(primary.records(CA).0.is_empty());
    let finished = run(command(&primary, "publish", "ca").args(["--ca", "/nowhere"]), LIMIT);
    assert!(finished.code == Some(2) && finished.stderr.contains("there is no CA in"), "{finished:#?}");
}
