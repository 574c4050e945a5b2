//! Every key exchange and host key algorithm that real peers agree on, through `proxy`. The clients' own checking is
//! off throughout.

mod python;

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::support::dropbear::{self, Dropbear};
use crate::support::libssh;
use crate::support::peer::command;
use crate::support::sandbox::clean;
use crate::support::sshd::{KEY_TYPES, Sshd, keygen};
use crate::support::{Finished, Tree, run, run_ok};

const HOST: &str = "web1.example.test";
const LIMIT: Duration = Duration::from_secs(60);
/// Connections at the same time.
const AT_ONCE: usize = 4;

/// Lines of `ssh -Q`.
fn known_to_ssh(what: &str) -> Vec<String> {
    run_ok(command("ssh").args(["-Q", what])).lines().map(str::to_owned).collect()
}

/// A tree whose web1 has these SSHFP records.
fn tree(sshfp: &[String]) -> Tree {
    sshfp.iter().fold(Tree::plan(), |plan, line| plan.record(line)).start()
}

/// `command` starts sshanchor: home, resolver and anchor come from the environment.
fn equip(command: &mut Command, tree: &Tree) {
    clean(command, tree.sandbox.path());
    command.env("SSHANCHOR_RESOLVER", tree.addr().to_string());
    command.env("SSHANCHOR_TRUST_ANCHOR", tree.anchor()).env("SSHANCHOR_CACHE", "off");
}

/// What a client is to run in order to reach the host at `port`.
fn proxy(port: u16) -> String {
    format!("'{}' proxy {HOST} {port}", env!("CARGO_BIN_EXE_sshanchor"))
}

/// An sshd that serves every key exchange, key type and certificate that it can.
fn sshd_of_all_trades() -> Sshd {
    let mut sshd = Sshd::start(&KEY_TYPES.map(|(name, _)| name));
    let ca = sshd.sandbox.join("ca");
    keygen(&["-t", "ed25519"], &ca);
    let mut sign = command("ssh-keygen");
    sign.arg("-q").arg("-s").arg(&ca).args(["-I", "web1", "-h", "-n", HOST]).args(sshd.host_keys());
    run_ok(&mut sign);
    let listed = |what: &str, not: &str| {
        let names = known_to_ssh(what).into_iter().filter(|name| !name.starts_with(not));
        names.collect::<Vec<_>>().join(",")
    };
    let mut conf = format!("KexAlgorithms {}\n", listed("kex", "gss"));
    conf += &format!("HostKeyAlgorithms {}\n", listed("HostKeyAlgorithms", "webauthn"));
    for (name, _) in KEY_TYPES {
        let certificate = sshd.sandbox.join(&format!("host_{name}-cert.pub"));
        conf += &format!("HostCertificate {}\n", certificate.display());
    }
    sshd.configure(&conf);
    sshd
}

/// ssh with these options, running `echo hello` on `sshd`.
fn ssh(tree: &Tree, sshd: &Sshd, options: &[String]) -> Finished {
    let mut ssh = sshd.ssh();
    equip(&mut ssh, tree);
    ssh.args(["-v", "-o", "StrictHostKeyChecking=no", "-o", "RequiredRSASize=1024"]);
    ssh.arg("-o").arg(format!("ProxyCommand={}", proxy(sshd.port())));
    for option in options {
        ssh.args(["-o", option]);
    }
    run(ssh.args([HOST, "echo hello"]), LIMIT)
}

/// Works on `items`, a few at the same time.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    for some in items.chunks(AT_ONCE) {
        thread::scope(|scope| some.iter().for_each(|item| drop(scope.spawn(|| work(item)))));
    }
}

#[test]
fn every_key_exchange_of_openssh_passes() {
    let sshd = sshd_of_all_trades();
    let tree = tree(&sshd.sshfp(&format!("{HOST}.")));
    let kexes: Vec<String> = known_to_ssh("kex").into_iter().filter(|kex| !kex.starts_with("gss")).collect();
    assert!(kexes.len() >= 14, "{kexes:?}");
    let keys = ["ssh-ed25519", "rsa-sha2-512", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp521", "rsa-sha2-256"];
    let pairs: Vec<(String, &str)> = kexes.into_iter().zip(keys.into_iter().cycle()).collect();
    each(&pairs, |(kex, key)| {
        let finished =
            ssh(&tree, &sshd, &[format!("KexAlgorithms={kex}"), format!("HostKeyAlgorithms={key}")]);
        assert_eq!(finished.stdout, "hello\n", "{kex} {key}: {finished:#?}");
        assert!(finished.stderr.contains(&format!("kex: algorithm: {kex}")), "{finished:#?}");
        assert!(finished.stderr.contains(&format!("host key algorithm: {key}")), "{finished:#?}");
    });
}

/// What becomes of a host key algorithm.
fn fate(algorithm: &str) -> Result<(), &'static str> {
    let plain = algorithm.strip_suffix("-cert-v01@openssh.com").unwrap_or(algorithm);
    match plain {
        "ssh-ed25519"
        | "ecdsa-sha2-nistp256"
        | "ecdsa-sha2-nistp384"
        | "ecdsa-sha2-nistp521"
        | "rsa-sha2-256"
        | "rsa-sha2-512" => Ok(()),
        "ssh-rsa" => Err("SHA-1 signatures prove nothing"),
        // Keys on tokens and DSA: this sshd has none to offer, and ssh says so itself.
        _ => Err("no matching host key type found"),
    }
}

#[test]
fn every_host_key_algorithm_of_openssh_passes_or_says_why_not_and_anothers_key_does_not() {
    let sshd = sshd_of_all_trades();
    let tree = tree(&sshd.sshfp(&format!("{HOST}.")));
    let known = known_to_ssh("HostKeyAlgorithms");
    let mut algorithms: Vec<&String> = known.iter().filter(|name| !name.starts_with("webauthn")).collect();
    assert!(algorithms.iter().filter(|name| fate(name).is_ok()).count() >= 12, "{known:?}");
    each(&algorithms, |algorithm| {
        let finished = ssh(&tree, &sshd, &[format!("HostKeyAlgorithms={algorithm}")]);
        match fate(algorithm) {
            Ok(()) => {
                assert_eq!(finished.stdout, "hello\n", "{algorithm}: {finished:#?}");
                let agreed = format!("host key algorithm: {algorithm}");
                assert!(finished.stderr.contains(&agreed), "{finished:#?}");
            }
            Err(reason) => {
                assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{algorithm}");
                assert!(finished.stderr.contains(reason), "{algorithm}: {finished:#?}");
                assert!(!finished.stderr.contains("SSH2_MSG_NEWKEYS sent"), "{algorithm}: {finished:#?}");
            }
        }
    });
    // The same once other keys of these types are the host's.
    let adds =
        [1, 3, 4].map(|number| format!("\nupdate add {HOST}. 60 SSHFP {number} 2 {}", "0a".repeat(32)));
    tree.update(&format!("update delete {HOST}. SSHFP{}", adds.concat()));
    algorithms.retain(|algorithm| fate(algorithm).is_ok());
    each(&algorithms, |algorithm| {
        let finished = ssh(&tree, &sshd, &[format!("HostKeyAlgorithms={algorithm}")]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{algorithm}: {finished:#?}");
        assert!(finished.stderr.contains("DNSSEC proves other keys"), "{algorithm}: {finished:#?}");
        assert!(!finished.stderr.contains("Server host key"), "ssh saw the reply: {finished:#?}");
    });
}

/// Nobody's key is let in: to be asked for one at all shows that the handshake went through.
fn ssh_to_stranger(tree: &Tree, port: u16, options: &[String]) -> Finished {
    let mut ssh = command("ssh");
    equip(&mut ssh, tree);
    ssh.args(["-v", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]);
    ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", &format!("ProxyCommand={}", proxy(port))]);
    for option in options {
        ssh.args(["-o", option]);
    }
    run(ssh.args([HOST, "true"]), LIMIT)
}

#[test]
fn every_key_exchange_and_key_of_dropbear_passes() {
    let dropbear = Dropbear::start_with(&["ed25519", "ecdsa", "rsa"]);
    let tree = tree(&dropbear.sshfp(&format!("{HOST}.")));
    let kexes = [
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha256",
    ];
    let keys = ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256"];
    let pairs: Vec<(&str, &str)> = kexes.into_iter().zip(keys.into_iter().cycle()).collect();
    each(&pairs, |(kex, key)| {
        let options = [format!("KexAlgorithms={kex}"), format!("HostKeyAlgorithms={key}")];
        let finished = ssh_to_stranger(&tree, dropbear.port(), &options);
        assert!(finished.stderr.contains("Permission denied"), "{kex} {key}: {finished:#?}");
        assert!(finished.stderr.contains(&format!("kex: algorithm: {kex}")), "{finished:#?}");
    });
}

#[test]
fn guesses_of_dbclient_right_and_wrong_pass() {
    let tree_of = |sshfp: Vec<String>| tree(&sshfp);
    let (sandbox_sshd, kexes) = (Sshd::start(&["ed25519"]), ["curve25519-sha256", "ecdh-sha2-nistp256"]);
    let tree = tree_of(sandbox_sshd.sshfp(&format!("{HOST}.")));
    let mut sshd = sandbox_sshd;
    let (id, public) = dropbear::key(&tree.sandbox.join("id"));
    std::fs::copy(public, sshd.sandbox.join("authorized_keys")).unwrap();
    // What sshd lists first decides whether the guess is right.
    for kex in [kexes.join(","), kexes[1].to_owned(), "diffie-hellman-group14-sha256".to_owned()] {
        sshd.configure(&format!("KexAlgorithms {kex}"));
        let finished = dbclient(&tree, sshd.port(), &id);
        assert_eq!(finished.stdout, "hello\n", "{kex}: {finished:#?}");
    }
    let dropbear = Dropbear::start();
    let tree = tree_of(dropbear.sshfp(&format!("{HOST}.")));
    let finished = dbclient(&tree, dropbear.port(), &id);
    assert!(finished.stderr.contains("No auth methods could be used"), "{finished:#?}");
}

fn dbclient(tree: &Tree, port: u16, id: &Path) -> Finished {
    let mut dbclient = command("dbclient");
    equip(&mut dbclient, tree);
    dbclient.args(["-y", "-y", "-T", "-i"]).arg(id).args(["-p", &port.to_string(), "-J", &proxy(port), HOST]);
    run(dbclient.arg("echo hello"), LIMIT)
}

/// What libssh 0.10 has, without what it never chooses by itself.
const OF_LIBSSH: [&str; 9] = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha256",
];
const KEYS_OF_LIBSSH: [&str; 4] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256"];

#[test]
fn every_key_exchange_of_libssh_as_the_client_passes() {
    let mut sshd = sshd_of_all_trades();
    let tree = tree(&sshd.sshfp(&format!("{HOST}.")));
    let connect = |sshd: &Sshd, kex: &str, key: &str| {
        let mut client = libssh::client(HOST, sshd.port(), kex, key, &proxy(sshd.port()));
        equip(&mut client, &tree);
        run(&mut client, LIMIT)
    };
    let pairs: Vec<(&str, &str)> = OF_LIBSSH.into_iter().zip(KEYS_OF_LIBSSH.into_iter().cycle()).collect();
    each(&pairs, |(kex, key)| {
        let finished = connect(&sshd, kex, key);
        assert!(finished.stdout == "denied\n", "{kex} {key}: {finished:#?}");
    });
    sshd.rotate_host_keys();
    let finished = connect(&sshd, OF_LIBSSH[0], KEYS_OF_LIBSSH[0]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""), "{finished:#?}");
    assert!(finished.stderr.contains("DNSSEC proves other keys"), "{finished:#?}");
}

#[test]
fn every_key_exchange_of_libssh_as_the_server_passes() {
    let libssh = libssh::Server::start();
    let tree = tree(&libssh.sshfp(&format!("{HOST}.")));
    // It serves one client at a time.
    for (kex, key) in OF_LIBSSH.into_iter().zip(KEYS_OF_LIBSSH.into_iter().cycle()) {
        let options = [format!("KexAlgorithms={kex}"), format!("HostKeyAlgorithms={key}")];
        let finished = ssh_to_stranger(&tree, libssh.port(), &options);
        assert!(finished.stderr.contains("Permission denied"), "{kex} {key}: {finished:#?}");
        assert!(finished.stderr.contains(&format!("kex: algorithm: {kex}")), "{finished:#?}");
    }
}
