//! Host certificates of a CA of one's own, as ssh-keygen reads them and ssh believes them.

mod journal;
mod keys;
mod refusals;

use std::fs;
use std::path::Path;
use std::process::Command;

use super::primary::{LIMIT, key};
use crate::support::ca::Ca;
use crate::support::peer::command;
use crate::support::sshd::{Sshd, keygen};
use crate::support::{Finished, run, run_ok};

const HOST: &str = "web1.example.test";

/// What ssh-keygen says of a certificate.
fn inspect(certificate: &Path) -> String {
    run_ok(command("ssh-keygen").arg("-L").arg("-f").arg(certificate))
}

/// Runs a command that has to be refused, with this status and these words.
fn refused(command: &mut Command, code: i32, words: &str) -> Finished {
    let finished = run(command, LIMIT);
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    assert!(finished.stderr.contains(words), "{words:?} is not in {finished:#?}");
    finished
}

/// The certificates of `ca list --json` with these arguments.
fn listed(ca: &Ca, arguments: &[&str]) -> Vec<serde_json::Value> {
    run(ca.command("list").arg("--json").args(arguments), LIMIT).json_lines()
}

/// ssh to `sshd` as `host`, who knows no more than that this CA is to be believed for example.test.
fn connects(ca: &Ca, sshd: &Sshd, host: &str) -> Finished {
    let known = format!("@cert-authority *.example.test {}\n", ca.public_key());
    let known = ca.sandbox.write("known_hosts", &known);
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "CheckHostIP=no"]);
    ssh.args(["-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=none"]);
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
    ssh.arg("-o").arg(format!("HostKeyAlias={host}"));
    ssh.arg("-i").arg(sshd.sandbox.join("user")).arg("-p").arg(sshd.port().to_string());
    run(ssh.args(["127.0.0.1", "echo", "hello"]).env_remove("SSH_AUTH_SOCK"), LIMIT)
}

/// sshd shows the certificate beside its host key of type `name`.
fn shows(sshd: &mut Sshd, name: &str) {
    let certificate = sshd.sandbox.join(&format!("host_{name}-cert.pub"));
    sshd.configure(&format!("HostCertificate {}", certificate.display()));
}

#[test]
fn a_certificate_is_what_ssh_keygen_expects_and_stands_beside_the_key() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    let finished = run(
        ca.sign("WEB1.example.test", &host)
            .args(["--name", "example.test", "--validity", "1d"])
            .arg("--json"),
        LIMIT,
    );
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let told = finished.json();
    let file = ca.sandbox.join("host-cert.pub");
    assert_eq!(told["file"], file.to_str().unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap().trim_end(), told["certificate"]);
    let seen = inspect(&file);
    for line in [
        "Type: ssh-ed25519-cert-v01@openssh.com host certificate",
        &format!("Serial: {}", told["serial"].as_str().unwrap()),
        "Key ID: \"web1.example.test\"",
        "Critical Options: (none)",
        "Extensions: (none)",
    ] {
        assert!(seen.contains(line), "{line:?} is not in {seen}");
    }
    let principals: Vec<&str> = seen
        .lines()
        .skip_while(|line| !line.contains("Principals"))
        .skip(1)
        .map_while(|line| line.strip_prefix("                "))
        .collect();
    assert_eq!(principals, ["web1.example.test", "example.test"]);
    assert_eq!(told["principals"], serde_json::json!(principals));
    let valid = seen.lines().find(|line| line.contains("Valid: ")).unwrap();
    for end in ["valid_after", "valid_before"] {
        assert!(valid.contains(told[end].as_str().unwrap().trim_end_matches('Z')), "{valid} {told}");
    }
    // The digests are those of the keys.
    let digest = |public: &Path| run_ok(command("ssh-keygen").arg("-l").arg("-f").arg(public));
    let text = run_ok(ca.command("list").args(["--name", "example.test"]));
    assert!(text.contains(digest(&host).split(' ').nth(1).unwrap()), "{text}");
    assert!(text.starts_with("valid   "), "{text}");
    let shown = run_ok(&mut ca.command("show"));
    assert!(shown.contains(digest(&ca.folder().join("ca_key.pub")).split(' ').nth(1).unwrap()), "{shown}");
    let records = run_ok(
        command("ssh-keygen")
            .args(["-r", "_ca._ssh.example.test.", "-f"])
            .arg(ca.folder().join("ca_key.pub")),
    );
    assert!(shown.contains(records.lines().find(|line| line.contains("SSHFP 4 2")).unwrap()), "{shown}");
}

#[test]
fn ssh_believes_the_host_by_its_certificate_for_its_names_alone() {
    let ca = Ca::init(&["--type", "ecdsa-p256"]);
    let mut sshd = Sshd::start(&["ed25519"]);
    let before = connects(&ca, &sshd, HOST);
    assert_ne!(before.code, Some(0), "a plain key is nobody's: {before:#?}");
    run_ok(ca.sign(HOST, &sshd.host_key("ed25519")).args(["--name", "www.example.test"]));
    shows(&mut sshd, "ed25519");
    for name in [HOST, "www.example.test"] {
        let finished = connects(&ca, &sshd, name);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), "hello\n"), "{finished:#?}");
    }
    let other = connects(&ca, &sshd, "web2.example.test");
    assert_ne!(other.code, Some(0), "{other:#?}");
    assert!(other.stderr.contains("name is not a listed principal"), "{other:#?}");
    // Another CA's certificate is worth nothing.
    let stranger = Ca::init(&[]);
    let finished = connects(&stranger, &sshd, HOST);
    assert_ne!(finished.code, Some(0), "{finished:#?}");
}

#[test]
fn every_type_of_key_signs_and_is_signed() {
    let mut sshd = Sshd::start(&["rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"]);
    let keys = Ca::init(&[]);
    keygen(&["-t", "rsa", "-b", "3072"], &keys.sandbox.join("rsa"));
    keygen(&["-t", "ecdsa", "-b", "521"], &keys.sandbox.join("p521"));
    let (rsa, p521) = (keys.sandbox.join("rsa"), keys.sandbox.join("p521"));
    let cas: [(&[&str], &str); 5] = [
        (&["--type", "ed25519"], "using ssh-ed25519"),
        (&["--type", "ecdsa-p256"], "using ecdsa-sha2-nistp256"),
        (&["--type", "ecdsa-p384"], "using ecdsa-sha2-nistp384"),
        (&["--key-file", rsa.to_str().unwrap()], "using rsa-sha2-512"),
        (&["--key-file", p521.to_str().unwrap()], "using ecdsa-sha2-nistp521"),
    ];
    let host_keys = sshd.host_keys();
    let types = ["rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"];
    for ((arguments, algorithm), name) in cas.into_iter().zip(types) {
        let ca = Ca::init(arguments);
        let mut sign = ca.command("sign");
        sign.args(["--name", HOST]);
        for file in &host_keys {
            sign.arg("--host-key").arg(file);
        }
        run_ok(&mut sign);
        for file in &host_keys {
            let seen = inspect(
                &file.with_file_name(file.file_stem().unwrap().to_str().unwrap().to_owned() + "-cert.pub"),
            );
            assert!(seen.contains(algorithm), "{seen}");
        }
        assert_eq!(listed(&ca, &[]).len(), 5);
        shows(&mut sshd, name);
        let finished = connects(&ca, &sshd, HOST);
        assert_eq!(finished.code, Some(0), "{arguments:?} {name}: {finished:#?}");
    }
}

#[test]
fn a_key_on_standard_input_gets_its_certificate_on_standard_output() {
    let ca = Ca::init(&[]);
    let host = key(&ca.sandbox, "host");
    let mut sh = command("bash");
    let sign = ca.sign(HOST, Path::new("-"));
    let words: Vec<&str> = sign.get_args().map(|word| word.to_str().unwrap()).collect();
    let script = format!(
        "set -o pipefail; cat {} | {} {} | ssh-keygen -L -f -",
        host.display(),
        sign.get_program().to_str().unwrap(),
        words.join(" ")
    );
    sh.args(["-c", &script]).envs(sign.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let seen = run_ok(&mut sh);
    assert!(seen.contains("host certificate") && seen.contains(HOST), "{seen}");
    // And from a file, where that is asked for.
    let line = run_ok(ca.sign(HOST, &host).args(["--out", "-"]));
    assert!(line.starts_with("ssh-ed25519-cert-v01@openssh.com ") && line.lines().count() == 1, "{line}");
    assert!(!ca.sandbox.join("host-cert.pub").exists());
    run_ok(ca.sign(HOST, &host).arg("--out").arg(ca.sandbox.join("elsewhere")));
    assert!(inspect(&ca.sandbox.join("elsewhere")).contains(HOST));
}
