//! Where a CA's private key may be: a file with or without a passphrase, ssh-agent.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use ssh_key::{Algorithm, LineEnding, PrivateKey};

use super::{HOST, connects, inspect, key, refused, shows};
use crate::interop::primary::{LIMIT, private};
use crate::support::agent::Agent;
use crate::support::ca::Ca;
use crate::support::peer::command;
use crate::support::sshd::{Sshd, keygen};
use crate::support::terminal::at_a_terminal;
use crate::support::{Sandbox, run, run_ok};

/// `shell` with the words and the environment of `command` as well.
fn with<'a>(shell: &'a mut Command, command: &Command) -> &'a mut Command {
    shell.arg(command.get_program()).args(command.get_args()).env_remove("SSH_AUTH_SOCK");
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
}

#[test]
fn a_new_key_is_a_file_that_ssh_keygen_reads_and_nobody_else() {
    for kind in ["ed25519", "ecdsa-p256", "ecdsa-p384"] {
        let ca = Ca::init(&["--type", kind]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&ca.folder()), 0o700);
        assert_eq!(mode(&ca.folder().join("ca_key")), 0o600);
        let public = run_ok(command("ssh-keygen").arg("-y").arg("-f").arg(ca.folder().join("ca_key")));
        assert_eq!(public, fs::read_to_string(ca.folder().join("ca_key.pub")).unwrap());
        assert!(public.starts_with(&ca.public_key()), "{public}");
    }
}

#[test]
fn a_ca_is_never_overwritten() {
    let ca = Ca::init(&[]);
    let files = || {
        let names = ["ca.json", "ca_key", "ca_key.pub", "journal.jsonl"];
        names.map(|name| fs::read(ca.folder().join(name)).unwrap())
    };
    let before = files();
    refused(ca.command("init").args(["--domain", "example.test"]), 2, "a CA in");
    assert_eq!(files(), before);
    // Where only its description is lost, the key still stays.
    fs::remove_file(ca.folder().join("ca.json")).unwrap();
    refused(&mut ca.command("list"), 2, "sshanchor ca init");
    run_ok(ca.command("init").args(["--domain", "example.test"]));
    assert_eq!(fs::read(ca.folder().join("ca_key")).unwrap(), before[1]);
    assert!(ca.folder().join("ca_key-2").exists());
    run_ok(ca.sign(HOST, &key(&ca.sandbox, "host")).arg("--json"));
}

#[test]
fn a_passphrase_protects_the_key() {
    let sandbox = Sandbox::new();
    let file = private(sandbox.write("passphrase", "open sesame\nand another line\n"));
    let ca = Ca::init(&["--passphrase-file", file.to_str().unwrap()]);
    let public = |passphrase| {
        let mut keygen = command("ssh-keygen");
        run(keygen.args(["-y", "-P", passphrase, "-f"]).arg(ca.folder().join("ca_key")), LIMIT)
    };
    assert_eq!(public("open sesame").code, Some(0));
    assert_ne!(public("").code, Some(0));

    let host = key(&ca.sandbox, "host");
    run_ok(ca.sign(HOST, &host).arg("--passphrase-file").arg(&file));
    // From a descriptor, which no other process can see.
    let mut bash = command("bash");
    bash.args(["-c", "exec \"$@\" --passphrase-file /dev/fd/7 7< <(echo open sesame)", "sign"]);
    run_ok(with(&mut bash, &ca.sign(HOST, &host)));
    let wrong = private(sandbox.write("wrong", "wrong\n"));
    refused(ca.sign(HOST, &host).arg("--passphrase-file").arg(&wrong), 1, "that is not its passphrase");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    refused(ca.sign(HOST, &host).arg("--passphrase-file").arg(&file), 2, "chmod 600");
    // Nobody is there.
    let sign = ca.sign(HOST, &host);
    let mut setsid = command("setsid");
    refused(with(setsid.arg("-w"), &sign), 1, "--passphrase-file FILE");
    assert_eq!(ca.journal().len(), 3, "init and the two certificates");

    // Somebody is.
    let (shown, code) =
        at_a_terminal(&sign, &ca.sandbox, &[("Passphrase for", "wrong"), ("Passphrase for", "open sesame")]);
    assert!(code == Some(0) && !shown.contains("sesame"), "{shown}");
    assert_eq!(ca.journal().len(), 4);

    // Whoever thinks better of it has a terminal that shows again what is typed.
    let mut bash = command("bash");
    bash.args(["-c", "stty echo; \"$@\"; echo status $?; stty -a", "sign"]);
    let (shown, _) = at_a_terminal(with(&mut bash, &sign), &ca.sandbox, &[("Passphrase for", "\u{3}")]);
    assert!(shown.contains("stopped by SIGINT") && shown.contains("status 1"), "{shown}");
    assert!(shown.contains(" echo ") && !shown.contains("-echo "), "{shown}");
    assert_eq!(ca.journal().len(), 4);
}

/// What is told where nobody is there to be asked: ssh-add, which asks once, for all that follow.
#[test]
fn a_key_with_a_passphrase_signs_through_the_agent_that_has_it() {
    let sandbox = Sandbox::new();
    let file = private(sandbox.write("passphrase", "open sesame\n"));
    let ca = Ca::init(&["--passphrase-file", file.to_str().unwrap()]);
    let host = key(&ca.sandbox, "host");
    let agent = Agent::start();
    let sign = || {
        let mut sign = ca.sign(HOST, &host);
        sign.env("SSH_AUTH_SOCK", agent.socket());
        sign
    };
    let mut setsid = command("setsid");
    refused(with(setsid.arg("-w"), &sign()), 1, "ssh-add ");
    let open = ca.sandbox.join("open");
    fs::copy(ca.folder().join("ca_key"), &open).unwrap();
    run_ok(command("ssh-keygen").args(["-q", "-p", "-P", "open sesame", "-N", "", "-f"]).arg(&open));
    agent.add(&open);
    let mut setsid = command("setsid");
    run_ok(with(setsid.arg("-w"), &sign()));
    assert!(inspect(&ca.sandbox.join("host-cert.pub")).contains(HOST));
    // An agent that holds other keys is no help.
    agent.remove_all();
    agent.add(&ca.sandbox.join("host"));
    let mut setsid = command("setsid");
    refused(with(setsid.arg("-w"), &sign()), 1, "ssh-add ");
    run_ok(sign().arg("--passphrase-file").arg(&file));
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    let ca = Ca { sandbox: Sandbox::new() };
    let mut init = ca.command("init");
    init.args(["--domain", "example.test", "--passphrase"]);
    let (first, again) = ("New passphrase", "The same again");
    let (shown, code) = at_a_terminal(&init, &ca.sandbox, &[(first, "one"), (again, "two")]);
    assert!(code == Some(2) && shown.contains("differ"), "{shown}");
    let (shown, code) = at_a_terminal(&init, &ca.sandbox, &[(first, ""), (again, "")]);
    assert!(code == Some(2) && shown.contains("no passphrase"), "{shown}");
    assert!(!ca.folder().exists(), "nothing was made");
    let (shown, code) = at_a_terminal(&init, &ca.sandbox, &[(first, "sesame"), (again, "sesame")]);
    assert!(code == Some(0) && !shown.contains("sesame"), "{shown}");
    run_ok(command("ssh-keygen").args(["-y", "-P", "sesame", "-f"]).arg(ca.folder().join("ca_key")));
}

/// Whether a file below `folder` holds any of these octets.
fn is_on_disk(folder: &Path, octets: &[&[u8]]) -> bool {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            return is_on_disk(&path, octets);
        }
        let held = if kind.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        octets.iter().any(|octets| held.windows(octets.len()).any(|window| window == *octets))
    })
}

#[test]
fn a_key_that_only_the_agent_has_signs_and_never_touches_the_disk() {
    let agent = Agent::start();
    let key = PrivateKey::random(&mut rand::rng(), Algorithm::Ed25519).unwrap();
    let text = key.to_openssh(LineEnding::LF).unwrap();
    let seed = key.key_data().ed25519().unwrap().private.to_bytes();
    agent.add_text(&text);

    let ca = Ca { sandbox: Sandbox::new() };
    let public = ca.sandbox.write("token.pub", &key.public_key().to_openssh().unwrap());
    let init = || {
        let mut init = ca.command("init");
        init.args(["--domain", "example.test", "--agent", "--public-key"]).arg(&public);
        init
    };
    refused(&mut init(), 2, "SSH_AUTH_SOCK is not set");
    run_ok(init().env("SSH_AUTH_SOCK", agent.socket()));

    let mut sshd = Sshd::start(&["ed25519"]);
    let host = sshd.host_key("ed25519");
    run_ok(ca.sign(HOST, &host).env("SSH_AUTH_SOCK", agent.socket()));
    shows(&mut sshd, "ed25519");
    let finished = connects(&ca, &sshd, HOST);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    for folder in [ca.sandbox.path(), agent.socket().parent().unwrap()] {
        let line = text.lines().nth(3).unwrap();
        assert!(!is_on_disk(folder, &[&seed, line.as_bytes(), b"PRIVATE KEY"]), "{folder:?}");
    }
    assert!(is_on_disk(sshd.sandbox.path(), &[b"PRIVATE KEY"]), "what is there is found");

    // Without the agent, and without the key, nothing is signed, and it is told what to do.
    refused(&mut ca.sign(HOST, &host), 2, "ssh-add");
    refused(ca.sign(HOST, &host).env("SSH_AUTH_SOCK", ca.sandbox.join("nobody")), 1, "no ssh-agent at");
    agent.remove_all();
    let finished = refused(
        ca.sign(HOST, &host).env("SSH_AUTH_SOCK", agent.socket()),
        1,
        "ssh-agent does not hold the key ssh-ed25519 SHA256:",
    );
    assert!(finished.stderr.contains("ssh-add FILE"), "{finished:#?}");
    assert_eq!(ca.journal().len(), 2, "init and the one certificate");
}

#[test]
fn an_rsa_key_in_the_agent_never_signs_with_sha1() {
    let agent = Agent::start();
    let ca = Ca { sandbox: Sandbox::new() };
    keygen(&["-t", "rsa", "-b", "2048"], &ca.sandbox.join("rsa"));
    agent.add(&ca.sandbox.join("rsa"));
    fs::remove_file(ca.sandbox.join("rsa")).unwrap();
    let mut init = ca.command("init");
    init.args(["--domain", "example.test", "--agent", "--public-key"]).arg(ca.sandbox.join("rsa.pub"));
    run_ok(init.env("SSH_AUTH_SOCK", agent.socket()));
    let host = key(&ca.sandbox, "host");
    run_ok(ca.sign(HOST, &host).env("SSH_AUTH_SOCK", agent.socket()));
    let seen = inspect(&ca.sandbox.join("host-cert.pub"));
    assert!(seen.contains("(using rsa-sha2-512)"), "{seen}");
}

#[test]
fn a_key_file_that_is_there_is_adopted_and_stays_where_it_is() {
    let ca = Ca { sandbox: Sandbox::new() };
    let file = ca.sandbox.join("old_ca");
    keygen(&["-t", "ed25519"], &file);
    let init = |file: &Path| {
        let mut init = ca.command("init");
        init.args(["--domain", "example.test", "--key-file"]).arg(file);
        init
    };
    refused(&mut init(&ca.sandbox.join("old_ca.pub")), 2, "--agent --public-key");
    refused(&mut init(&ca.sandbox.join("nothing")), 1, "nothing");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    refused(&mut init(&file), 1, "chmod 600");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    run_ok(&mut init(&file));
    assert!(!ca.folder().join("ca_key").exists());
    let host = key(&ca.sandbox, "host");
    run_ok(&mut ca.sign(HOST, &host));
    // It is another CA's key by now.
    fs::remove_file(&file).unwrap();
    keygen(&["-t", "ed25519"], &file);
    refused(&mut ca.sign(HOST, &host), 1, "does not hold the key");
}
