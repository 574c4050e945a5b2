//! `publish` and `withdraw` by the `[publish]` of the configuration, and with a key from systemd's credentials.

use std::process::Command;

use super::primary::{HOST, LIMIT, Primary, key, record};
use crate::support::{Finished, run};

/// sshanchor with this configuration and a state folder of its own.
fn with(primary: &Primary, configuration: &str, arguments: &[&str]) -> Command {
    let file = primary.sandbox().write("config.toml", &format!("version = 1\n{configuration}"));
    let mut command = primary.sandbox().sshanchor();
    command.arg("--config").arg(file).args(arguments).arg("--json");
    command.env("SSHANCHOR_STATE", primary.sandbox().join("state"));
    command
}

fn done(command: &mut Command) -> Finished {
    let finished = run(command, LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    finished
}

#[test]
fn what_is_configured_need_not_be_typed() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let table = format!(
        "[publish]\nname = {HOST:?}\nserver = \"{}\"\nkey_file = {:?}\nhost_keys = {a:?}\nttl = 77\n",
        primary.addr(),
        primary.tsig("web1")
    );
    let check = |code| {
        let finished = run(&mut with(&primary, &table, &["publish", "--check"]), LIMIT);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
    };
    check(5);
    let json = done(&mut with(&primary, &table, &["publish"])).json();
    assert_eq!((&json["name"], &json["ttl"]), (&HOST.into(), &77.into()));
    assert_eq!(primary.records(HOST), (vec![record(&a)], Some(77)));
    check(0);
    // What is typed comes first.
    assert_eq!(done(&mut with(&primary, &table, &["publish", "--ttl", "78"])).json()["ttl"], 78);
    done(&mut with(&primary, &table, &["withdraw"]));
    assert!(primary.records(HOST).0.is_empty());
}

#[test]
fn several_tables_are_told_apart_by_their_names() {
    let primary = Primary::bind();
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    let table = |name: &str, tsig: &str, key: &std::path::Path| {
        let (server, tsig) = (primary.addr(), primary.tsig(tsig));
        format!(
            "[[publish]]\nname = {name:?}\nserver = \"{server}\"\nkey_file = {tsig:?}\nhost_keys = {key:?}\n"
        )
    };
    let other = "web2.example.test";
    let both = table(HOST, "web1", &a) + &table(other, "web2", &b);
    done(&mut with(&primary, &both, &["publish", "--name", other]));
    assert_eq!((primary.records(HOST).0.len(), primary.records(other).0), (0, vec![record(&b)]));
    let finished = done(&mut with(&primary, &both, &["publish"]));
    assert_eq!(finished.stdout.lines().count(), 2, "{finished:#?}");
    assert_eq!(primary.records(HOST).0, [record(&a)]);
    let unknown = run(&mut with(&primary, &both, &["publish", "--name", "web9.example.test"]), LIMIT);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("no [[publish]] table names"), "{unknown:#?}");
}

#[test]
fn without_a_name_or_a_place_it_says_what_is_missing() {
    let primary = Primary::bind();
    let nothing = run(&mut with(&primary, "", &["publish"]), LIMIT);
    assert!(nothing.code == Some(2) && nothing.stderr.contains("--name HOST"), "{nothing:#?}");
    let nowhere = run(&mut with(&primary, "", &["publish", "--name", HOST]), LIMIT);
    assert!(nowhere.code == Some(2) && nowhere.stderr.contains("[publish] table"), "{nowhere:#?}");
}

#[test]
fn a_key_may_come_from_systemds_credentials() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let table = format!("[publish]\nname = {HOST:?}\nserver = \"{}\"\nhost_keys = {a:?}\n", primary.addr());
    let without = run(&mut with(&primary, &table, &["publish"]), LIMIT);
    assert!(without.code == Some(2) && without.stderr.contains("TSIG key"), "{without:#?}");
    // As systemd leaves them: a folder of its own, files that can only be read.
    let folder = primary.sandbox().join("credentials");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(primary.tsig("web1"), folder.join("sshanchor.tsig")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
    std::fs::set_permissions(folder.join("sshanchor.tsig"), mode).unwrap();
    let mut command = with(&primary, &table, &["publish"]);
    let finished = done(command.env("CREDENTIALS_DIRECTORY", &folder));
    assert!(!finished.stderr.contains("key file"), "{finished:#?}");
    assert_eq!(primary.records(HOST).0, [record(&a)]);
}
