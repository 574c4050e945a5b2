//! known_hosts lines and plink's arguments, by OpenSSH and PuTTY themselves.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::support::forger::Forger;
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::run_ok;
use crate::support::sshd::{KEY_TYPES, sshfp_lines};

fn all_types() -> Vec<&'static str> {
    KEY_TYPES.iter().map(|(name, _)| *name).collect()
}

fn target(sshd: &Sshd) -> String {
    format!("{HOST}:{}", sshd.port())
}

/// The host keys of a server, as known_hosts has them.
fn lines_of(sshd: &Sshd, name: &str, types: &[&str]) -> Vec<String> {
    sorted(types.iter().map(|key_type| {
        let key = fs::read_to_string(sshd.host_key(key_type)).unwrap();
        let words: Vec<&str> = key.split(' ').collect();
        format!("{name} {} {}", words[0], words[1])
    }))
}

/// ssh to a server as HOST, which has no other way of knowing it than `known_hosts`.
fn ssh(sshd: &Sshd, known_hosts: &Path, algorithm: &str) -> Finished {
    let there = format!("exec 3<>/dev/tcp/127.0.0.1/{}; cat <&3 & exec cat >&3", sshd.port());
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
    ssh.arg(sshd.sandbox.join("user")).arg("-p").arg(sshd.port().to_string());
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known_hosts.display()));
    ssh.args(["-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes"]);
    ssh.arg("-o").arg(format!("ProxyCommand=bash -c '{there}'"));
    ssh.arg("-o").arg(format!("HostKeyAlgorithms={algorithm}"));
    run(ssh.args([HOST, "true"]), LIMIT)
}

fn found_by_ssh_keygen(file: &Path, name: &str) -> usize {
    let found = run(command("ssh-keygen").args(["-F", name, "-f"]).arg(file), LIMIT);
    found.stdout.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn ssh_gets_in_by_exported_keys_of_every_type_and_an_impostor_does_not() {
    let mut sshd = Sshd::start(&all_types());
    let tree = published(Tree::plan(), &sshd, OWNER).start();
    let file = tree.sandbox.join("fleet.known_hosts");
    let finished = export(&tree, &["known-hosts", &target(&sshd), "-o", file.to_str().unwrap()]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let name = format!("[{HOST}]:{}", sshd.port());
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(sorted(text.lines()), lines_of(&sshd, &name, &all_types()));
    assert_eq!(run_ok(command("ssh-keygen").arg("-l").arg("-f").arg(&file)).lines().count(), 5);
    assert_eq!(found_by_ssh_keygen(&file, &name), 5);
    let algorithms =
        ["rsa-sha2-512", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-ed25519"];
    for algorithm in algorithms {
        let finished = ssh(&sshd, &file, algorithm);
        assert_eq!(finished.code, Some(0), "{algorithm}: {finished:#?}");
    }

    // Names that cannot be read, and are found all the same.
    let hashed = tree.sandbox.join("hashed");
    let finished = export(&tree, &["known-hosts", &target(&sshd), "--hash", "-o", hashed.to_str().unwrap()]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(!fs::read_to_string(&hashed).unwrap().contains("web1"));
    assert_eq!((found_by_ssh_keygen(&hashed, &name), found_by_ssh_keygen(&hashed, HOST)), (5, 0));
    assert_eq!(ssh(&sshd, &hashed, "ssh-ed25519").code, Some(0));

    sshd.rotate_host_keys();
    for known_hosts in [&file, &hashed] {
        assert_eq!(ssh(&sshd, known_hosts, "ssh-ed25519").code, Some(255));
    }
    // Of an impostor nothing is exported, and what is there stays.
    let finished = export(&tree, &["known-hosts", &target(&sshd), "-o", file.to_str().unwrap()]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:#?}");
    assert!(finished.stderr.contains("DNSSEC proves other keys"), "{finished:#?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    let finished = export(&tree, &["known-hosts", &target(&sshd), "--json"]);
    let json = finished.json();
    assert_eq!(json["reason"], "not-proven", "{json}");
    assert_eq!(json["unproven"][0]["reason"], "key-mismatch", "{json}");
}

#[test]
fn a_host_that_shows_one_false_key_has_none() {
    let (sshd, other) = (Sshd::start(&["ed25519", "rsa"]), Sshd::start(&["rsa"]));
    let ed25519 = sshfp_lines(&sshd.host_key("ed25519"), OWNER).remove(0);
    let false_rsa = sshfp_lines(&other.host_key("rsa"), OWNER).remove(0);
    let tree = Tree::plan().record(&ed25519).record(&false_rsa).start();
    let verified = run(tree.sshanchor(tree.addr()).args(["verify", &target(&sshd)]), LIMIT);
    assert_eq!(verified.code, Some(0), "one connection, with one key: {verified:#?}");
    let finished = export(&tree, &["known-hosts", &target(&sshd)]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:#?}");
    tree.update(&format!(
        "update delete {OWNER} SSHFP\nupdate add {OWNER} 60 {}",
        &ed25519[OWNER.len() + 4..]
    ));
    let finished = export(&tree, &["known-hosts", &target(&sshd)]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let name = format!("[{HOST}]:{}", sshd.port());
    assert_eq!(
        sorted(finished.stdout.lines()),
        lines_of(&sshd, &name, &["ed25519"]),
        "the published type alone"
    );
}

#[test]
fn a_key_that_dns_has_withdrawn_is_not_exported_for_what_a_bundle_says() {
    let (sshd, before) = (Sshd::start(&["ed25519", "rsa"]), Sshd::start(&["rsa"]));
    let of = |sshd: &Sshd, key: &str| sshfp_lines(&sshd.host_key(key), OWNER).remove(0);
    let (ed25519, old_rsa, rsa) = (of(&sshd, "ed25519"), of(&before, "rsa"), of(&sshd, "rsa"));
    let tree = Tree::plan().record(&ed25519).record(&old_rsa).start();
    let file = tree.sandbox.join("fleet.bundle");
    let file = file.to_str().unwrap();
    run_ok(tree.sshanchor(tree.addr()).args(["bundle", "export", &target(&sshd), "-o", file]));
    let publish = |lines: &[&str]| {
        let add = |line: &&str| format!("\nupdate add {OWNER} 60 {}", &line[OWNER.len() + 4..]);
        tree.update(&format!("update delete {OWNER} SSHFP{}", lines.iter().map(add).collect::<String>()));
    };
    let name = format!("[{HOST}]:{}", sshd.port());
    let exported = || {
        let finished = export(&tree, &["known-hosts", &target(&sshd), "--bundle", file]);
        assert_eq!(finished.code, Some(0), "{finished:#?}");
        sorted(finished.stdout.lines())
    };
    // The bundle knows the one key, and DNS has to be asked for the other.
    publish(&[&ed25519, &rsa]);
    assert_eq!(exported(), lines_of(&sshd, &name, &["ed25519", "rsa"]));
    publish(&[&rsa]);
    assert_eq!(exported(), lines_of(&sshd, &name, &["rsa"]), "withdrawn");
    let other = Sshd::start(&["ed25519"]);
    publish(&[&rsa, &of(&other, "ed25519")]);
    let finished = export(&tree, &["known-hosts", &target(&sshd), "--bundle", file]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:#?}");
}

#[test]
fn types_that_are_not_offered_and_curves_that_are_not_published_are_left_out() {
    let sshd = Sshd::start(&["ecdsa256", "ecdsa384", "ed25519"]);
    let unused = Sshd::start(&["rsa"]);
    let records = [sshfp_lines(&sshd.host_key("ecdsa384"), OWNER), unused.sshfp(OWNER)].concat();
    let tree = records.iter().fold(Tree::plan(), |plan, line| plan.record(line)).start();
    let finished = export(&tree, &["known-hosts", &target(&sshd)]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let name = format!("[{HOST}]:{}", sshd.port());
    assert_eq!(sorted(finished.stdout.lines()), lines_of(&sshd, &name, &["ecdsa384"]));
}

#[test]
fn of_several_hosts_all_are_exported_or_none_unless_partial() {
    let sshd = Sshd::start(&["ed25519"]);
    let closed = Port::free();
    let plan = published(Tree::plan(), &sshd, OWNER);
    let tree = published(plan, &sshd, "web2.example.test.").start();
    let (good, second) = (target(&sshd), format!("web2.example.test:{}", sshd.port()));
    let absent = format!("web3.example.test:{}", sshd.port());
    let unreachable = format!("{HOST}:{}", closed.number());
    let list = tree.sandbox.write("hosts", &format!("# the fleet\n{good}\n\n{second}\n{good}\n"));
    let from_file = format!("@{}", list.display());
    let both = export(&tree, &["known-hosts", &from_file]);
    assert_eq!((both.code, both.stdout.lines().count()), (Some(0), 2), "{both:#?}");
    assert!(both.stdout.starts_with("[web1.example.test]:"), "in the order of their names: {both:#?}");
    for (bad, code, reason) in [(&absent, 4, "no-record"), (&unreachable, 1, "unreachable")] {
        let finished = export(&tree, &["known-hosts", &good, bad]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(code), ""), "{finished:#?}");
        let finished = export(&tree, &["known-hosts", bad, &good, "--partial", "--json"]);
        let json = finished.json();
        assert_eq!(finished.code, Some(code), "{json}");
        assert_eq!(json["unproven"][0]["reason"], reason, "{json}");
        assert_eq!(json["hosts"][0]["host"], HOST, "{json}");
        assert_eq!(json["text"].as_str().unwrap().lines().count(), 1, "{json}");
        let alone = export(&tree, &["known-hosts", bad, "--partial"]);
        assert_eq!((alone.code, alone.stdout.as_str()), (Some(code), ""), "{alone:#?}");
    }
    let finished = export(&tree, &["known-hosts", &absent, &unreachable]);
    assert_eq!(finished.code, Some(4), "the gravest: {finished:#?}");
    let finished = export(&tree, &["known-hosts", "192.0.2.1", &good, "--partial"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), ""), "an address: {finished:#?}");
}

#[test]
fn plink_takes_proven_keys_and_no_others() {
    let mut sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let tree = published(Tree::plan(), &sshd, OWNER).start();
    let mark = sshd.mark();
    let finished = export(&tree, &["plink", &target(&sshd)]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(sshd.mark(), mark, "nothing is sent to the host");
    let arguments: Vec<&str> = finished.stdout.split_whitespace().collect();
    assert_eq!(arguments.iter().filter(|word| word.starts_with("SHA256:")).count(), 2, "{finished:#?}");
    let key = tree.sandbox.join("user.ppk");
    run_ok(command("puttygen").arg(sshd.sandbox.join("user")).args(["-O", "private", "-o"]).arg(&key));
    let user = run_ok(command("id").arg("-un"));
    let plink = |sshd: &Sshd| {
        let mut plink = command("plink");
        plink.env("HOME", tree.sandbox.path()).args(["-batch", "-ssh", "-P", &sshd.port().to_string()]);
        plink.args(&arguments).arg("-i").arg(&key).arg(format!("{}@127.0.0.1", user.trim()));
        run(plink.args(["echo", "in"]), LIMIT)
    };
    let finished = plink(&sshd);
    assert_eq!((finished.code, finished.stdout.trim()), (Some(0), "in"), "{finished:#?}");
    sshd.rotate_host_keys();
    let finished = plink(&sshd);
    assert_ne!(finished.code, Some(0), "{finished:#?}");

    let two = export(&tree, &["plink", HOST, &format!("{HOST}:2222")]);
    assert_eq!((two.code, two.stdout.as_str()), (Some(2), ""), "{two:#?}");
    let two = export(&tree, &["plink", HOST, &format!("{HOST}:2222"), "--json"]);
    assert_eq!(two.json()["text"].as_str().unwrap().lines().count(), 2);
    let absent = export(&tree, &["plink", "web2.example.test"]);
    assert_eq!((absent.code, absent.stdout.as_str()), (Some(4), ""), "{absent:#?}");
}

/// `export` under a configuration.
fn export_by(tree: &Tree, rules: &str, arguments: &[&str]) -> Finished {
    let config: PathBuf = tree.sandbox.write("config.toml", &format!("version = 1\n{rules}"));
    let mut command = tree.sshanchor(tree.addr());
    command.env("SSHANCHOR_CONFIG", config).arg("export").args(arguments);
    run(command.args(["--json", "--timeout", "5"]), LIMIT)
}

#[test]
fn policy_counts_and_a_bundle_serves() {
    let sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let tree = published(Tree::plan(), &sshd, OWNER).start();
    let target = target(&sshd);
    let of = |finished: &Finished| {
        let json = finished.json();
        let digests = json["text"].as_str().map_or(0, |text| text.matches("SHA256:").count());
        (finished.code, digests, json["unproven"][0]["reason"].as_str().unwrap_or_default().to_owned())
    };
    let rule = |setting: &str| format!("[[host]]\nmatch = \"*.example.test\"\n{setting}\n");
    for (setting, wanted) in [
        ("mode = \"pass\"", (Some(4), 0, "pass")),
        ("port_labels = \"required\"", (Some(4), 0, "port-label-required")),
        ("algorithms = [\"ssh-ed25519\"]", (Some(0), 1, "")),
        // An ECDSA digest may be of another curve: plink would not tell.
        ("algorithms = [\"ecdsa-sha2-nistp256\"]", (Some(4), 0, "algorithm-not-allowed")),
        ("", (Some(0), 2, "")),
    ] {
        let finished = export_by(&tree, &rule(setting), &["plink", &target]);
        let (code, digests, reason) = of(&finished);
        assert_eq!((code, digests, reason.as_str()), wanted, "{setting}: {finished:#?}");
    }
    let one = export_by(&tree, &rule("algorithms = [\"ecdsa-sha2-nistp256\"]"), &["known-hosts", &target]);
    assert_eq!(one.json()["text"].as_str().unwrap().lines().count(), 1, "a handshake tells: {one:#?}");
    let passed = export_by(&tree, &rule("mode = \"pass\""), &["known-hosts", &target]);
    assert_eq!(passed.json()["unproven"][0]["reason"], "pass", "{passed:#?}");

    let resolver = Forger::start(tree.addr());
    let file = tree.sandbox.join("fleet.bundle");
    let file = file.to_str().unwrap();
    let through = |arguments: &[&str]| {
        run(tree.sshanchor(resolver.addr()).args(arguments).args(["--timeout", "5", "--json"]), LIMIT)
    };
    assert_eq!(through(&["bundle", "export", &target, "--addresses", "-o", file]).code, Some(0));
    resolver.rule(|_| Vec::new());
    for format in ["plink", "known-hosts"] {
        let finished = through(&["export", format, &target, "--bundle", file]);
        assert_eq!(finished.json()["hosts"][0]["source"], "bundle", "{finished:#?}");
    }
    let finished = through(&["export", "plink", &target]);
    assert_eq!(finished.json()["unproven"][0]["reason"], "no-answer", "{finished:#?}");
}
