//! SSHFP records for zones, by ssh-keygen, named and nsupdate themselves.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::*;
use crate::support::peer::command;
use crate::support::run_ok;
use crate::support::sshd::sshfp_lines;

/// What DNS has at HOST, proven.
fn in_dns(tree: &Tree, name: &str) -> Vec<String> {
    let finished =
        run(tree.sshanchor(tree.addr()).args(["lookup", name, "--type", "SSHFP", "--json"]), LIMIT);
    let json = finished.json();
    sorted(json["records"].as_array().into_iter().flatten().map(|record| record.as_str().unwrap()))
}

/// The SHA-256 lines of ssh-keygen for these keys, in generic form or not.
fn by_ssh_keygen(keys: &[&Path], generic: bool) -> Vec<String> {
    let lines = |key: &&Path| {
        let mut keygen = command("ssh-keygen");
        keygen.args(["-r", OWNER, "-f"]).arg(key);
        let text = run_ok(if generic { keygen.arg("-g") } else { &mut keygen });
        let is_sha256 =
            |line: &str| line.contains(if generic { "\\# 34 " } else { " 2 " }) && line.len() > 80;
        text.lines().filter(|line| is_sha256(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    sorted(keys.iter().flat_map(lines))
}

#[test]
fn lines_of_key_files_are_those_of_ssh_keygen() {
    let sshd = Sshd::start(&["ed25519", "rsa", "ecdsa384"]);
    let tree = Tree::start();
    let files = sshd.host_keys();
    let mut arguments = vec!["--name", HOST];
    arguments.extend(files.iter().flat_map(|file| ["--host-key", file.to_str().unwrap()]));
    let paths: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
    for (format, generic) in [("sshfp", false), ("rfc3597", true)] {
        let finished = export(&tree, &[&[format], &arguments[..]].concat());
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        assert_eq!(sorted(finished.stdout.lines()), by_ssh_keygen(&paths, generic), "{format}");
    }
    // Either source or the other, and one of them.
    for wrong in [&["sshfp"][..], &["sshfp", HOST, "--name", HOST], &["sshfp", HOST, "--host-key", "x"]] {
        assert_eq!(export(&tree, wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn nsupdate_carries_the_script_out_and_the_records_come_back() {
    let (sshd, next) = (Sshd::start(&["ed25519", "rsa"]), Sshd::start(&["ed25519"]));
    let tree = Tree::start();
    let server = tree.addr().to_string();
    let nsupdate = |sshd: &Sshd, more: &[&str]| {
        let script = tree.sandbox.join("script");
        let batch = format!(
            "{HOST} {0}\nweb2.example.test {0} # the same\n",
            sshd.host_keys().iter().map(|key| key.display().to_string()).collect::<Vec<_>>().join(" ")
        );
        let batch = tree.sandbox.write("batch", &batch);
        let arguments = ["nsupdate", "--server", &server, "--batch", batch.to_str().unwrap(), "-o"];
        let finished = export(&tree, &[&arguments[..], &[script.to_str().unwrap()], more].concat());
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        run_ok(command("nsupdate").arg("-k").arg(tree.tsig("zone")).arg(&script));
    };
    let records = |sshd: &Sshd| {
        let data = |line: String| line.split_once(" SSHFP ").unwrap().1.to_owned();
        sorted(sshd.sshfp(OWNER).into_iter().map(data))
    };
    nsupdate(&sshd, &["--ttl", "120"]);
    assert_eq!(in_dns(&tree, HOST), records(&sshd));
    assert_eq!(in_dns(&tree, "web2.example.test"), records(&sshd));
    // Records of others stay, unless they are to go; in one update with the zone named, in two without.
    nsupdate(&next, &["--zone", "example.test"]);
    assert_eq!(in_dns(&tree, HOST), sorted([records(&sshd), records(&next)].concat()));
    nsupdate(&next, &["--zone", "example.test", "--replace"]);
    assert_eq!(in_dns(&tree, "web2.example.test"), records(&next));
    nsupdate(&sshd, &["--replace", "--port", "2222"]);
    assert_eq!(in_dns(&tree, "_2222._ssh.web1.example.test"), records(&sshd));

    // The way back, from what is proven: of a host and of its port.
    nsupdate(&next, &["--replace", "--ttl", "77"]);
    let finished = export(&tree, &["sshfp", HOST]);
    let line = sshfp_lines(&next.host_key("ed25519"), OWNER).remove(0).replace(" IN ", " 77 IN ");
    assert_eq!((finished.code, finished.stdout.trim_end()), (Some(0), line.as_str()), "{finished:#?}");
    let both = export(&tree, &["sshfp", &format!("{HOST}:2222"), HOST]);
    assert_eq!(both.stdout.lines().filter(|line| line.starts_with("_2222._ssh.web1.")).count(), 2);
    assert_eq!(both.stdout.lines().count(), 3, "each owner once: {both:#?}");
    let nothing = export(&tree, &["sshfp", HOST, "web3.example.test"]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (Some(4), ""), "{nothing:#?}");
}

#[test]
fn tools_get_what_is_proven_and_names_outside_their_zone_are_refused() {
    let sshd = Sshd::start(&["ed25519"]);
    let plan = published(Tree::plan(), &sshd, "web1.sub.example.test.");
    let tree = plan.record("alias.example.test. CNAME web1.sub.example.test.").start();
    let digest = sshd.sshfp(OWNER).remove(0).rsplit_once(' ').unwrap().1.to_owned();
    // The records are where the alias leads.
    for (format, told) in [
        (
            "octodns",
            format!(
                "\"web1\":\n  ttl: 60\n  type: SSHFP\n  values:\n    - algorithm: 4\n      fingerprint: \"{digest}\"\n"
            ),
        ),
        (
            "dnscontrol",
            format!("D_EXTEND(\"sub.example.test\",\n  SSHFP(\"web1\", 4, 2, \"{digest}\", TTL(60))\n);"),
        ),
    ] {
        let finished = export(&tree, &[format, "--zone", "sub.example.test", "alias.example.test"]);
        assert!(finished.stdout.contains(&told), "{finished:#?}");
        let finished = export(&tree, &[format, "--zone", "other.test", "alias.example.test"]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:#?}");
        assert!(finished.stderr.contains("web1.sub.example.test is not in the zone other.test"));
    }
    let finished = export(&tree, &["terraform", "alias.example.test"]);
    let terraform: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(terraform["locals"]["sshfp"]["web1.sub.example.test"]["records"][0], format!("4 2 {digest}"));

    let target = format!("alias.example.test:{}", sshd.port());
    let own =
        export(&tree, &["ansible", "--name", HOST, "--host-key", sshd.host_key("ed25519").to_str().unwrap()]);
    let own: Value = serde_json::from_str(&own.stdout).unwrap();
    assert_eq!(own["hosts"][HOST]["sshfp"][0]["fingerprint"], digest.as_str());
    let finished = export(&tree, &["ansible", &target]);
    let proven: Value = serde_json::from_str(&finished.stdout).unwrap();
    let host = &proven["hosts"][format!("[alias.example.test]:{}", sshd.port())];
    assert_eq!(host["host_keys"][0]["sha256"], digest.as_str(), "{finished:#?}");
    assert_eq!(host["sshfp"][0]["owner"], "web1.sub.example.test");
}

#[test]
fn files_are_written_whole_and_devices_stay() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = Tree::start();
    let key = sshd.host_key("ed25519");
    let to = |file: &str| {
        export(&tree, &["sshfp", "--name", HOST, "--host-key", key.to_str().unwrap(), "-o", file])
    };
    let file = tree.sandbox.write("zone.part", "what was there\n");
    assert_eq!(to(file.to_str().unwrap()).code, Some(0));
    assert!(fs::read_to_string(&file).unwrap().starts_with("web1.example.test. IN SSHFP 4 2 "));
    assert_eq!(to("/dev/null").code, Some(0));
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    let finished = to(tree.sandbox.join("no/folder").to_str().unwrap());
    assert_eq!(finished.code, Some(1), "{finished:#?}");
}
