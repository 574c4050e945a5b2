//! `publish` and `withdraw` by the `[publish]` of the configuration, and with a key from systemd's credentials.

use std::process::Command;

use super::primary::{FOREIGN, HOST, LIMIT, Primary, key, list, record};
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

#[test]
fn names_that_the_machine_had_are_told_of_and_taken_away_when_asked_for() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let table = |names: &str| {
        let (server, tsig) = (primary.addr(), primary.tsig("zone"));
        format!(
            "[publish]\nname = {names}\nserver = \"{server}\"\nkey_file = {tsig:?}\nhost_keys = {a:?}\n\
             check_servers = [\"{server}\"]\n"
        )
    };
    let (old, other, new) = ("web2.example.test", "web3.example.test", HOST);
    done(&mut with(&primary, &table(&format!("[{old:?}, {other:?}]")), &["publish"]));
    let state = std::fs::read_to_string(primary.sandbox().join("state/published.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state["version"], 2);
    let noted = &state["owners"][old];
    assert_eq!((&noted["zone"], &noted["configured"]), (&"example.test".into(), &true.into()), "{noted}");
    assert_eq!(
        (&noted["backend"], &noted["server"]),
        (&"rfc2136".into(), &primary.addr().to_string().into())
    );
    assert!(noted["records"][record(&a)].as_str().unwrap().ends_with('Z'), "{noted}");
    // By hand: nothing that the configuration would have to name.
    let by_hand = "web4.example.test";
    let place =
        ["--server", &primary.addr().to_string(), "--key-file", primary.tsig("zone").to_str().unwrap()]
            .map(str::to_owned);
    let mut publish =
        with(&primary, &table(&format!("[{old:?}, {other:?}]")), &["publish", "--name", by_hand]);
    done(publish.args(&place).arg("--host-key").arg(&a));

    // The machine is called otherwise now, and another name is taken out.
    let told = done(&mut with(&primary, &table(&format!("{new:?}")), &["publish"]));
    for name in [old, other] {
        assert!(told.stderr.contains(&format!("{name} is no name of this machine any more")), "{told:#?}");
        assert_eq!(primary.records(name).0, [record(&a)], "nothing goes by itself");
    }
    assert!(told.stderr.contains("withdraw --orphans") && !told.stderr.contains(by_hand), "{told:#?}");
    // One name comes back; what is left is looked at, then taken away, and nothing of others with it.
    primary.update(&format!("update add {old} 3600 SSHFP {FOREIGN}"));
    let now = table(&format!("[{new:?}, {other:?}]"));
    let looked = done(&mut with(&primary, &now, &["withdraw", "--orphans", "--dry-run"]));
    assert_eq!(list(&looked.json()["removed"]), [record(&a)]);
    let gone = done(&mut with(&primary, &now, &["withdraw", "--orphans"]));
    assert_eq!((&gone.json()["name"], &gone.json()["changed"]), (&old.into(), &true.into()), "{gone:#?}");
    assert_eq!(primary.records(old).0, [FOREIGN]);
    for name in [new, other, by_hand] {
        assert_eq!(primary.records(name).0, [record(&a)], "{name}");
    }
    let none = done(&mut with(&primary, &now, &["withdraw", "--orphans"]));
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""), "{none:#?}");
    assert_eq!(done(&mut with(&primary, &now, &["publish"])).stderr, "");

    // A place that nobody names any more has to be named.
    let elsewhere =
        now.replace(&primary.addr().to_string(), "127.0.0.1:9").replace(other, "web5.example.test");
    let unknown = run(&mut with(&primary, &elsewhere, &["withdraw", "--orphans"]), LIMIT);
    assert!(unknown.code == Some(2) && unknown.stderr.contains("not named here"), "{unknown:#?}");
    done(with(&primary, &elsewhere, &["withdraw", "--orphans"]).args(&place));
    assert!(primary.records(other).0.is_empty());
    let nothing = run(&mut with(&primary, "", &["withdraw", "--orphans"]), LIMIT);
    assert!(nothing.code == Some(2) && nothing.stderr.contains("no such table"), "{nothing:#?}");
}
