//! The same with asyncssh and paramiko, which know key exchanges that no other peer here does, ML-KEM among them.

use super::{HOST, equip, known_to_ssh, proxy, sshd_of_all_trades, tree};
use crate::support::port::Port;
use crate::support::sandbox::Sandbox;
use crate::support::sshd::{keygen, sshfp_lines};
use crate::support::{run_ok, venv};

#[test]
fn every_key_exchange_of_asyncssh_passes_or_says_why_not() {
    let (keys, port) = (Sandbox::new(), Port::free());
    let files = ["ed25519", "ecdsa", "rsa"].map(|name| {
        keygen(&["-t", name], &keys.join(name));
        keys.join(name)
    });
    let owner = format!("{HOST}.");
    let sshfp = files.iter().flat_map(|file| sshfp_lines(&file.with_extension("pub"), &owner));
    let tree = tree(&sshfp.collect::<Vec<_>>());
    let mut python = venv::command("python");
    equip(&mut python, &tree);
    python.args(["-c", include_str!("asyncssh.py"), &port.number().to_string(), &proxy(port.number())]);
    let told = run_ok(python.args(&files));
    let mut passed = Vec::new();
    for line in told.lines() {
        let mut words = line.splitn(3, ' ');
        let [kex, key, outcome] = [(); 3].map(|()| words.next().unwrap());
        match outcome {
            "denied" => passed.push(kex),
            refused if kex.starts_with("rsa") => {
                assert!(refused.ends_with("is not supported in the gate"), "{line}");
            }
            refused => {
                assert!(key == "ssh-rsa" && refused.contains("SHA-1 signatures prove nothing"), "{line}");
            }
        }
    }
    assert!(passed.len() >= 30 && passed.contains(&"mlkem768x25519-sha256"), "{told}");
}

#[test]
fn every_key_exchange_of_paramiko_passes() {
    let sshd = sshd_of_all_trades();
    let tree = tree(&sshd.sshfp(&format!("{HOST}.")));
    let mut python = venv::command("python");
    equip(&mut python, &tree);
    let told = run_ok(python.args(["-c", include_str!("paramiko.py"), &proxy(sshd.port())]));
    let served = known_to_ssh("kex");
    let mut passed = 0;
    for (kex, outcome) in told.lines().map(|line| line.split_once(' ').unwrap()) {
        let expected = if served.iter().any(|name| name == kex) { "denied" } else { "IncompatiblePeer" };
        assert!(outcome.starts_with(expected), "{kex} {outcome}");
        passed += usize::from(outcome == "denied");
    }
    assert!(passed >= 6, "{told}");
}
