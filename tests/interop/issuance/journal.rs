//! The journal: nothing leaves that does not stand in it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{HOST, key, listed, refused};
use crate::interop::primary::LIMIT;
use crate::support::ca::Ca;
use crate::support::peer::command;
use crate::support::{run, run_ok};

/// `sign`, which can write no more than 1024 octets into a file.
fn on_a_full_disk(sign: &Command) -> Command {
    let mut bash = command("bash");
    bash.args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sign"])
        .arg(sign.get_program())
        .args(sign.get_args());
    bash.envs(sign.get_envs().filter_map(|(name, value)| Some((name, value?)))).env_remove("SSH_AUTH_SOCK");
    bash
}

#[test]
fn without_a_line_in_the_journal_no_certificate_leaves() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    let certificate = ca.sandbox.join("host-cert.pub");
    let journal = ca.folder().join("journal.jsonl");
    for to_stdout in [false, true] {
        let before = fs::read(&journal).unwrap();
        let mut sign = ca.sign(HOST, &host);
        sign.args(["--key-id", &"x".repeat(256)]);
        if to_stdout {
            sign.args(["--out", "-"]);
        }
        let finished = refused(&mut on_a_full_disk(&sign), 1, "journal.jsonl");
        assert!(!finished.stdout.contains("cert-v01"), "{finished:#?}");
        assert!(!certificate.exists());
        let after = fs::read(&journal).unwrap();
        assert!(after.starts_with(&before), "nothing in it is changed");
    }
    let torn = fs::read_to_string(&journal).unwrap();
    assert!(!torn.ends_with('\n'), "the line was cut short");
    assert!(listed(&ca, &["--expired"]).is_empty(), "what was cut short is passed over");

    // The next one stands on a line of its own.
    run_ok(&mut ca.sign(HOST, &host));
    assert!(certificate.exists());
    assert_eq!(listed(&ca, &[]).len(), 1);
    assert!(fs::read_to_string(&journal).unwrap().starts_with(&(torn + "\n{")));

    // Where only the certificate cannot be written, the journal has it.
    refused(
        ca.sign(HOST, &host).arg("--out").arg(ca.sandbox.join("no/folder")),
        1,
        "sshanchor ca list --json",
    );
    assert_eq!(listed(&ca, &[]).len(), 2);

    // A link would have it written elsewhere.
    let kept = ca.sandbox.join("kept");
    fs::rename(&journal, &kept).unwrap();
    symlink(&kept, &journal).unwrap();
    fs::remove_file(&certificate).unwrap();
    refused(&mut ca.sign(HOST, &host), 1, "is a symbolic link");
    assert!(!certificate.exists());
}

#[test]
fn a_journal_that_somebody_wrote_into_stops_the_ca() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    run_ok(&mut ca.sign(HOST, &host));
    let journal = ca.folder().join("journal.jsonl");
    let good = fs::read_to_string(&journal).unwrap();
    // What a later version does is kept, and passed over.
    let later = format!("{good}{{\"time\":\"2026-11-22T08:00:00Z\",\"event\":\"later\",\"more\":[1]}}\n");
    fs::write(&journal, &later).unwrap();
    run_ok(&mut ca.sign(HOST, &host));
    assert!(fs::read_to_string(&journal).unwrap().starts_with(&later));
    for bad in ["x\n", "{}\n", "[]\n", "{\"time\":\"2026-11-22T08:00:00Z\",\"event\":\"sign\"}\n"] {
        fs::write(&journal, format!("{good}{bad}{good}")).unwrap();
        refused(&mut ca.command("list"), 1, "journal.jsonl line 3: ");
        refused(&mut ca.sign(HOST, &host), 1, "journal.jsonl line 3: ");
    }
    fs::write(&journal, &good).unwrap();
    run_ok(&mut ca.sign(HOST, &host));
}

#[test]
fn many_at_once_have_a_line_and_a_serial_number_each() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    let certificates: Vec<String> = std::thread::scope(|scope| {
        let sign = || run_ok(ca.sign(HOST, &host).args(["--out", "-"]));
        let all: Vec<_> = (0..8).map(|_| scope.spawn(sign)).collect();
        all.into_iter().map(|one| one.join().unwrap().trim_end().to_owned()).collect()
    });
    let listed = listed(&ca, &[]);
    let serials: BTreeSet<&str> = listed.iter().map(|line| line["serial"].as_str().unwrap()).collect();
    assert_eq!((listed.len(), serials.len()), (8, 8));
    for certificate in certificates {
        assert!(listed.iter().any(|line| line["certificate"] == certificate), "{certificate}");
    }
}

#[test]
fn the_list_is_by_name_and_by_time() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    let finished = run(&mut ca.command("list"), LIMIT);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");
    assert!(finished.stderr.contains("nothing was signed yet"), "{finished:#?}");
    run_ok(ca.sign(HOST, &host).args(["--name", "www.example.test"]));
    run_ok(ca.sign("web2.example.test", &host).args(["--validity", "1s"]));
    let is_over = || listed(&ca, &[]).len() == 1;
    assert!(crate::support::process::wait_until(LIMIT, is_over));
    assert_eq!(listed(&ca, &[])[0]["principals"][1], "www.example.test");
    let all = listed(&ca, &["--expired"]);
    assert_eq!(all.iter().map(|line| line["state"].clone()).collect::<Vec<_>>(), ["valid", "expired"]);
    assert_eq!(listed(&ca, &["--name", "WWW.example.test"]).len(), 1);
    assert!(listed(&ca, &["--name", "web2.example.test"]).is_empty());
    assert_eq!(listed(&ca, &["--expired", "--name", "web2.example.test"]).len(), 1);
    refused(ca.command("list").args(["--name", "web_2"]), 2, "is not a host name");
}
