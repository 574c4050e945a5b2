//! The file of `publish --batch`: hosts and the files of their keys, or the keys themselves; one bad line and nothing is done.

use std::path::PathBuf;

use super::primary::{HOST, LIMIT, Primary, key, record, sorted};
use crate::support::run;

#[test]
fn a_batch_with_one_bad_line_does_nothing() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let good = format!("web1.example.test {}\n", a.display());
    let written = |host: &str| format!("{host} {}", std::fs::read_to_string(&a).unwrap().trim());
    for (bad, why) in [
        ("web2.example.test /nowhere/key.pub", "line 2"),
        ("web2.example.test", "no public key file"),
        ("not_a_host x", "line 2"),
        (good.as_str(), "a second time"),
        (&written(HOST), "a second time"),
        (&written("web2.example.test").replace("AAAA", "AAAB"), "line 2: web2.example.test: "),
        (&written("web2.example.test").replace("ssh-ed25519 ", "ssh-rsa "), "line 2: web2.example.test: "),
        ("web2.example.test ssh-ed25519", "line 2: web2.example.test: not a public key line"),
        ("web2.example.test ssh-dss AAAAB3NzaC1kc3MAAACBAA==", "unsupported key type \"ssh-dss\""),
        (&written("@revoked web2.example.test"), "leave it out"),
        (&written("[web2.example.test]:2222"), "--port N"),
        (&written("|1|2gV2nSFxbGZNLpqk2sTTDzVFXgo=|tFjT2mJyKLVjMYxpdNzXVSFLYKA="), "hides names"),
        (&written("web2.example.test,192.0.2.1"), "line 2"),
        (&written("*.example.test"), "line 2"),
        (&written("192.0.2.1"), "line 2"),
    ] {
        let file = primary.sandbox().write("batch", &format!("{good}{bad}\n"));
        let finished = run(primary.command("publish", "zone").arg("--batch").arg(&file), LIMIT);
        assert_ne!(finished.code, Some(0), "{finished:#?}");
        assert!(finished.stderr.contains(why), "{why}: {finished:#?}");
        assert!(primary.records(HOST).0.is_empty());
    }
    // More keys than any server has.
    let blob = |at: u8| [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), &[at; 32]].concat();
    let line = |at: u8| format!("{HOST} ssh-ed25519 {}\n", data_encoding::BASE64.encode(&blob(at)));
    let publish = |keys: u8| {
        let file = primary.sandbox().write("batch", &(0..keys).map(line).collect::<String>());
        run(primary.command("publish", "zone").args(["--dry-run", "--batch"]).arg(&file), LIMIT)
    };
    let finished = publish(65);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains("line 65: web1.example.test has more than 64 keys"), "{finished:#?}");
    assert_eq!(publish(64).code, Some(0));

    let file = primary.sandbox().write("batch", &good);
    assert_eq!(run(primary.command("publish", "zone").arg("--batch").arg(&file), LIMIT).code, Some(0));
    assert_eq!(primary.records(HOST).0, [record(&a)]);
}

#[test]
fn a_batch_holds_keys_as_known_hosts_has_them() {
    let primary = Primary::bind();
    let [a, b, c] = ["a", "b", "c"].map(|name| key(primary.sandbox(), name));
    let text = |key: &PathBuf| std::fs::read_to_string(key).unwrap();
    // A line a key, in any order; one twice; beside a host with files.
    let batch = format!(
        "# known_hosts\nweb1.example.test {}WEB2.example.test. {}\n  web1.example.test\t{}web1.example.test {}web3.example.test \
         {}\n",
        text(&a),
        text(&b).trim().replace('\n', " # provisioned\r\n"),
        text(&b),
        text(&a),
        c.display()
    );
    let file = primary.sandbox().write("batch", &batch);
    let publish = || run(primary.command("publish", "zone").arg("--json").arg("--batch").arg(&file), LIMIT);
    let finished = publish();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let names: Vec<String> =
        finished.json_lines().iter().map(|line| line["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["web1.example.test", "web2.example.test", "web3.example.test"]);
    assert_eq!(primary.records("web1.example.test").0, sorted(&[&record(&a), &record(&b)]));
    assert_eq!(primary.records("web2.example.test").0, [record(&b)]);
    assert_eq!(primary.records("web3.example.test").0, [record(&c)]);
    assert!(publish().json_lines().iter().all(|line| line["changed"] == false));
}
