//! What is printed and written, what counts, and what changed since.

use std::fs;

use super::{LIMIT, at, audit, plan, published, set};
use crate::support::sshd::{Sshd, sshfp_lines};
use crate::support::{Tree, run};

const HOST: &str = "web1.example.test";

/// A host whose second key has no record: one warning.
fn one_warning() -> (Tree, Sshd) {
    let sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let line = sshfp_lines(&sshd.host_key("ed25519"), &format!("{HOST}.")).remove(0);
    let tree = published(plan().record(&line), &sshd, "web2.example.test").start();
    (tree, sshd)
}

#[test]
fn only_what_counts_fails() {
    let (tree, sshd) = one_warning();
    let code = |fail_on: &str| audit(&tree, &[at(HOST, &sshd)], &["--fail-on", fail_on]).finished.code;
    assert_eq!(["error", "warning", "info", "never"].map(code), [Some(0), Some(5), Some(5), Some(0)]);
    assert_eq!(audit(&tree, &[at(HOST, &sshd)], &[]).finished.code, Some(0));
}

#[test]
fn what_changed_is_told_and_alone_counts() {
    let (tree, sshd) = one_warning();
    let old = tree.sandbox.join("old.json");
    let old = old.to_str().unwrap();
    let (one, two) = ([at(HOST, &sshd)], [at(HOST, &sshd), at("web2.example.test", &sshd)]);
    let first = audit(&tree, &one, &["--output", old, "--fail-on", "warning"]);
    assert_eq!(first.finished.code, Some(5));
    assert_eq!(first.finished.stdout, fs::read_to_string(old).unwrap(), "the file is what is printed");
    assert!(first.report["changes"].is_null());

    let since = |hosts: &[String]| audit(&tree, hosts, &["--baseline", old, "--fail-on", "warning"]);
    let same = since(&one);
    assert_eq!(same.finished.code, Some(0), "that is known");
    assert_eq!(same.found(HOST), set(&["warning missing-record"]), "and told all the same");
    let changes = &same.report["changes"];
    assert_eq!(changes["since"], first.report["time"]);
    assert_eq!((changes["new"].as_array().unwrap().len(), changes["gone"].as_array().unwrap().len()), (0, 0));

    // A new host, which is one machine with the other: that is no warning.
    let more = since(&two);
    assert_eq!(
        (more.finished.code, &more.report["changes"]["hosts_new"][0]),
        (Some(0), &two[1].clone().into())
    );
    assert_eq!(more.report["changes"]["new"].as_array().unwrap().len(), 2);

    // Its records go, and the first is whole.
    sshd.process.signal(rustix::process::Signal::STOP);
    let worse = since(&one);
    sshd.process.signal(rustix::process::Signal::CONT);
    assert_eq!(worse.finished.code, Some(5), "{:#}", worse.report["changes"]);
    let gone = &worse.report["changes"]["gone"];
    assert_eq!(
        (&gone[0]["host"], &gone[0]["finding"]["code"]),
        (&one[0].clone().into(), &"missing-record".into())
    );
    assert_eq!(since(&two[1..]).report["changes"]["hosts_gone"][0], one[0]);
}

/// People see what is new in full, and what they know already as a number.
#[test]
fn a_table_counts_what_is_known_already() {
    let (tree, sshd) = one_warning();
    let old = tree.sandbox.join("old.json");
    let (one, two) = (at(HOST, &sshd), at("web2.example.test", &sshd));
    let table = |hosts: &[&str], arguments: &[&str]| {
        let mut command = tree.sshanchor(tree.addr());
        command.args(["audit", "--check-server", &tree.addr().to_string(), "-H", &hosts.join(",")]);
        run(command.args(arguments), LIMIT)
    };
    let old = old.to_str().unwrap();
    assert!(table(&[&one], &["-o", old]).stdout.contains("warning missing-record"));
    let known = table(&[&one], &["--baseline", old]);
    assert!(!known.stdout.contains("missing-record"), "{known:#?}");
    assert!(known.stdout.ends_with("\n1 finding was there before (-v shows all)\n"), "{known:#?}");
    assert!(table(&[&one], &["--baseline", old, "-v"]).stdout.contains("warning missing-record"));
    // Two hosts with one key are new, and shown with what to do.
    let more = table(&[&one, &two], &["--baseline", old]);
    assert!(more.stdout.contains("\ninfo ") && !more.stdout.contains("missing-record"), "{more:#?}");
    // Quiet: only what counts.
    let quiet = |arguments: &[&str]| {
        let finished = table(&[&one], &[&["-q", "--fail-on", "warning"], arguments].concat());
        (finished.code, finished.stdout)
    };
    assert_eq!(quiet(&["--baseline", old]), (Some(0), String::new()));
    let (code, told) = quiet(&[]);
    assert!(code == Some(5) && told.starts_with("warning missing-record: "), "{told}");
    assert_eq!(table(&[&one], &["-q"]).stdout, "", "a warning does not count by itself");
}

#[test]
fn a_baseline_that_is_none_is_a_usage_error() {
    let (tree, sshd) = one_warning();
    for text in ["", "{}", "[]", "{\"version\":2}", "{\"version\":1}", "\u{1b}[31m"] {
        let file = tree.sandbox.write("foreign.json", text);
        let refused = audit(&tree, &[at(HOST, &sshd)], &["--baseline", file.to_str().unwrap()]);
        assert_eq!(
            (refused.finished.code, &refused.report["reason"]),
            (Some(2), &"baseline".into()),
            "{text}"
        );
    }
    let missing = audit(&tree, &[at(HOST, &sshd)], &["--baseline", "/nowhere/x.json"]);
    assert_eq!(missing.finished.code, Some(2));
}

#[test]
fn a_table_has_the_summary_first_and_files_are_whole() {
    let (tree, sshd) = one_warning();
    let file = tree.sandbox.join("audit.txt");
    let mut command = tree.sshanchor(tree.addr());
    command
        .args(["audit", "--check-server", &tree.addr().to_string(), "-H", &at(HOST, &sshd), "-o"])
        .arg(&file);
    let finished = run(&mut command, LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(
        lines[0],
        "1 host: 1 accept, 0 reject, 0 unproven, 0 unreachable; findings: 0 error, 1 warning, 0 info"
    );
    assert_eq!(lines[2], format!("warning missing-record: {}", at(HOST, &sshd)));
    assert!(lines[3].contains("ecdsa-sha2-nistp256") && lines[4].starts_with("    hint: "), "{finished:#?}");
    assert!(fs::read_to_string(&file).unwrap().contains("accept: secure, 1 record, 2 live keys, 1 finding"));
    // A form that nobody knows, and a place where nothing can be written.
    for (output, code) in [("audit.xyz", 2), ("/nowhere/audit.json", 1)] {
        let mut command = tree.sshanchor(tree.addr());
        let finished =
            run(command.args(["audit", "--no-servers", "-H", &at(HOST, &sshd), "-o", output]), LIMIT);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
    }
}
