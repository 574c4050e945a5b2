//! The host keys of a machine whose sshd is the real one: which of them are published, and what stops it.

use std::fs;
use std::path::{Path, PathBuf};

use super::primary::{HOST, LIMIT, Primary, key, record, sorted};
use crate::support::peer::peer;
use crate::support::sshd::keygen;
use crate::support::{Finished, Sandbox, run, run_ok};

/// A machine with an Ed25519 and an ECDSA key, and sshd as it is found in PATH.
struct Machine {
    primary: Primary,
    bin: PathBuf,
}

impl Machine {
    fn new(more: &str) -> Machine {
        let primary = Primary::bind();
        let sandbox = primary.sandbox();
        let private = |name: &str| sandbox.join(name).display().to_string();
        keygen(&["-t", "ed25519"], &sandbox.join("host_ed25519"));
        keygen(&["-t", "ecdsa"], &sandbox.join("host_ecdsa"));
        let keys: String = ["host_ed25519", "host_ecdsa", "host_none"]
            .map(|key| format!("HostKey {}\n", private(key)))
            .concat();
        let config = sandbox.write("sshd_config", &format!("{keys}{more}"));
        let bin = sandbox.join("bin");
        fs::create_dir(&bin).unwrap();
        let sshd = bin.join("sshd");
        let script = format!("#!/bin/sh\nexec {} \"$@\" -f {}\n", peer("sshd").display(), config.display());
        fs::write(&sshd, script).unwrap();
        fs::set_permissions(&sshd, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Machine { primary, bin }
    }

    fn sandbox(&self) -> &Sandbox {
        self.primary.sandbox()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sandbox().join(name)
    }

    fn publish(&self) -> Finished {
        let mut command = self.primary.command("publish", "web1");
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.bin.display()));
        run(command.args(["--json", "--name", HOST]), LIMIT)
    }

    fn shown(&self) -> Vec<String> {
        self.primary.records(HOST).0
    }
}

#[test]
fn what_sshd_has_is_published_although_it_does_not_offer_all_of_it() {
    let machine = Machine::new("HostKeyAlgorithms ssh-ed25519\n");
    let done = machine.publish();
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert!(done.stderr.contains("host_none does not exist: passed over"), "{done:#?}");
    let both = [machine.file("host_ed25519.pub"), machine.file("host_ecdsa.pub")].map(|file| record(&file));
    assert_eq!(machine.shown(), sorted(&[&both[0], &both[1]]));
}

#[test]
fn keys_that_are_not_whole_stop_it_and_leave_the_records() {
    let machine = Machine::new("");
    assert_eq!(machine.publish().code, Some(0));
    let before = machine.shown();
    let (private, public) = (machine.file("host_ecdsa"), machine.file("host_ecdsa.pub"));
    let (good, line) = (fs::read(&private).unwrap(), fs::read(&public).unwrap());
    let half = |octets: &[u8]| octets[..octets.len() / 2].to_vec();
    let other = fs::read(key(machine.sandbox(), "other")).unwrap();
    for (case, file, octets, reason, code) in [
        ("a .pub file of another key", &public, other, "key-mismatch", 1),
        ("half a private key", &private, half(&good), "host-key-file", 1),
        ("an empty private key", &private, Vec::new(), "host-key-file", 1),
        ("half a public key", &public, half(&line), "host-key", 2),
        ("an empty public key", &public, Vec::new(), "host-key", 2),
    ] {
        let kept = fs::read(file).unwrap();
        fs::write(file, octets).unwrap();
        let refused = machine.publish();
        assert_eq!(refused.code, Some(code), "{case}: {refused:#?}");
        assert_eq!(refused.json()["reason"], reason, "{case}: {refused:#?}");
        assert!(refused.stderr.contains("hint: "), "{case}: {refused:#?}");
        assert_eq!(machine.shown(), before, "{case}");
        fs::write(file, kept).unwrap();
        assert_eq!(machine.publish().code, Some(0), "{case}: its twin");
    }
    // Replaced, and the old .pub file left: sshd offers the new key. What the hint says helps.
    keygen(&["-t", "ecdsa"], &machine.file("new"));
    fs::rename(machine.file("new"), &private).unwrap();
    let refused = machine.publish();
    let hint = refused.json()["hint"].as_str().unwrap().to_owned();
    let command = hint.split_once(": ssh-keygen").unwrap().1;
    run_ok(std::process::Command::new("sh").arg("-c").arg(format!("ssh-keygen{command}")));
    let done = machine.publish();
    assert_eq!((done.code, &done.json()["changed"]), (Some(0), &true.into()), "{done:#?}");
    assert!(machine.shown().contains(&record(&machine.file("new.pub"))));
}

#[test]
fn without_any_key_or_with_links_in_a_circle_nothing_is_published() {
    let machine = Machine::new("");
    assert_eq!(machine.publish().code, Some(0));
    let before = machine.shown();
    let away = |name: &str| fs::rename(machine.file(name), machine.file(&format!("{name}.away"))).unwrap();
    let back = |name: &str| fs::rename(machine.file(&format!("{name}.away")), machine.file(name)).unwrap();
    away("host_ecdsa.pub");
    let circle = machine.file("host_ecdsa.pub");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    let refused = machine.publish();
    assert_eq!((refused.code, &refused.json()["reason"]), (Some(1), &"host-key-file".into()), "{refused:#?}");
    back("host_ecdsa.pub");
    // Another configuration's keys, below /etc/ssh, do not stand in.
    let all = ["host_ed25519", "host_ecdsa", "host_ed25519.pub", "host_ecdsa.pub"];
    all.iter().for_each(|name| away(name));
    let none = machine.publish();
    assert_eq!((none.code, &none.json()["reason"]), (Some(1), &"no-host-keys".into()), "{none:#?}");
    assert_eq!(machine.shown(), before);
    // A pipe that nobody writes to is not waited for for ever.
    run_ok(std::process::Command::new("mkfifo").arg(machine.file("pipe.pub")));
    let mut command = machine.primary.command("publish", "web1");
    command.args(["--name", HOST, "--timeout", "0.3", "--host-key"]).arg(machine.file("pipe.pub"));
    let pipe = run(&mut command, LIMIT);
    assert!(pipe.code == Some(1) && pipe.stderr.contains("a pipe that nobody writes to"), "{pipe:#?}");
    all.iter()
        .for_each(|name| fs::rename(machine.file(&format!("{name}.away")), machine.file(name)).unwrap());
    assert_eq!(machine.publish().code, Some(0));
    assert_eq!(machine.shown(), before);
}

#[test]
fn one_key_on_several_hosts_of_a_batch_is_told_of() {
    let primary = Primary::bind();
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    let publish = |second: &Path| {
        let lines = format!("web1.example.test {}\nweb2.example.test {}\n", a.display(), second.display());
        let file = primary.sandbox().write("batch", &lines);
        run(primary.command("publish", "zone").arg("--batch").arg(file), LIMIT)
    };
    let copied = publish(&a);
    assert_eq!(copied.code, Some(0), "it may be one machine: {copied:#?}");
    assert!(
        copied.stderr.contains("web1.example.test, web2.example.test have the same host key"),
        "{copied:#?}"
    );
    let different = publish(&b);
    assert_eq!(different.code, Some(0), "{different:#?}");
    assert!(!different.stderr.contains("same host key"), "{different:#?}");
}
