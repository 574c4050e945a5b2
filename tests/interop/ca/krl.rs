//! `export krl`: what ssh-keygen and ssh make of the list, and that only a proven set becomes one.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{REVOKED, SENTINEL};
use crate::interop::primary::{LIMIT, Primary, key, record};
use crate::support::peer::command as peer;
use crate::support::process::run_ok;
use crate::support::sshd::Sshd;
use crate::support::{Finished, Tree, run};

/// `export krl`, asking the authority itself.
fn export(tree: &Tree, file: &Path, arguments: &[&str]) -> Finished {
    let mut made = tree.sshanchor(tree.addr());
    run(made.args(["--json", "--timeout", "5", "export", "krl", "-o"]).arg(file).args(arguments), LIMIT)
}

/// ssh-keygen's word on a key.
fn is_revoked(krl: &Path, key: &Path) -> bool {
    let output = peer("ssh-keygen").arg("-Q").arg("-f").arg(krl).arg(key).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.contains("REVOKED"), !output.status.success(), "{output:?}");
    assert!(text.contains("REVOKED") || text.contains(": ok"), "{output:?}");
    !output.status.success()
}

/// A certificate of a copy of `key`, by ssh-keygen.
fn certify(primary: &Primary, ca: &Path, key: &Path, name: &str) -> PathBuf {
    let copy = primary.sandbox().join(&format!("{name}.pub"));
    std::fs::copy(key, &copy).unwrap();
    let private = ca.with_extension("");
    run_ok(
        peer("ssh-keygen").arg("-q").arg("-s").arg(private).args(["-h", "-I", name, "-n", name]).arg(&copy),
    );
    primary.sandbox().join(&format!("{name}-cert.pub"))
}

#[test]
fn ssh_keygen_refuses_what_the_set_revokes_and_nothing_else() {
    let primary = Primary::bind();
    let Primary::Bind(tree) = &primary else { panic!("not BIND") };
    let sandbox = primary.sandbox();
    let krl = sandbox.join("krl");
    let [ca, bad_ca, good, bad] = ["ca", "bad_ca", "good", "bad"].map(|name| key(sandbox, name));
    primary.update(&format!("update add {REVOKED} 60 SSHFP {SENTINEL}"));
    // Nothing is revoked, and that is proven.
    let finished = export(tree, &krl, &["--at", "example.test"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:#?}");
    assert!(!is_revoked(&krl, &bad) && !is_revoked(&krl, &good));

    let many: String = (1..=50).map(|n| format!("update add {REVOKED} 60 SSHFP 4 2 {n:064x}\n")).collect();
    primary.update(&format!(
        "{many}update add {REVOKED} 60 SSHFP {}\nupdate add {REVOKED} 60 SSHFP 0 2 {}",
        record(&bad),
        &record(&bad_ca)[4..]
    ));
    let finished = export(tree, &krl, &["web1.example.test"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.json()["sha256"].as_array().unwrap().len(), 52, "{finished:#?}");
    assert_eq!(finished.json()["owners"][0], REVOKED);
    // A plain key, a certificate with the key, a certificate of the CA, the CA itself.
    let of = |ca: &Path, key: &Path, name: &str| certify(&primary, ca, key, name);
    for revoked in [bad.clone(), of(&ca, &bad, "x1"), of(&bad_ca, &good, "x2"), bad_ca] {
        assert!(is_revoked(&krl, &revoked), "{}", revoked.display());
    }
    for other in [good.clone(), of(&ca, &good, "x3"), ca] {
        assert!(!is_revoked(&krl, &other), "{}", other.display());
    }
    let listed = run_ok(peer("ssh-keygen").args(["-Q", "-l", "-f"]).arg(&krl));
    assert_eq!(listed.matches("hash: SHA256:").count(), 52, "{listed}");
}

#[test]
fn only_a_proven_set_with_its_sentinel_becomes_a_list() {
    let primary = Primary::bind();
    let Primary::Bind(tree) = &primary else { panic!("not BIND") };
    let (krl, bad) = (primary.sandbox().join("krl"), key(primary.sandbox(), "bad"));
    let refused = |name: &str, arguments: &[&str], why: &str| {
        let before = std::fs::read(&krl).ok();
        let mut made = tree.sshanchor(tree.addr());
        if name == "anchor" {
            made.env("SSHANCHOR_TRUST_ANCHOR", tree.anchor_of("other.test."));
        }
        let finished =
            run(made.args(["--timeout", "5", "export", "krl", "-o"]).arg(&krl).args(arguments), LIMIT);
        assert_eq!(finished.code, Some(4), "{name}: {finished:#?}");
        assert!(finished.stderr.contains(why), "{name}: {finished:#?}");
        assert_eq!(std::fs::read(&krl).ok(), before, "{name}: the file is as it was");
    };
    refused("none", &["--at", "example.test"], "was not written");
    primary.update(&format!("update add {REVOKED} 60 SSHFP {}", record(&bad)));
    refused("no sentinel", &["--at", "example.test"], "no sentinel");
    primary.update(&format!("update add {REVOKED} 60 SSHFP {SENTINEL}"));
    // Its twin.
    let finished = export(tree, &krl, &["--at", "example.test"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(is_revoked(&krl, &bad));
    refused("anchor", &["--at", "example.test"], "was not written");
    refused("one of two", &["--at", "example.test", "--at", "other.test"], "was not written");
    refused("unsigned", &["web1.plain.test"], "was not written");
    // A list of a later set: this one is what somebody replays.
    let mut octets = std::fs::read(&krl).unwrap();
    octets[12..20].copy_from_slice(&(u64::from(u32::MAX)).to_be_bytes());
    std::fs::write(&krl, &octets).unwrap();
    refused("older", &["--at", "example.test"], "signed at");
    assert!(is_revoked(&krl, &bad));
    std::fs::remove_file(&krl).unwrap();
    assert_eq!(export(tree, &krl, &["--at", "example.test"]).code, Some(0));
}

#[test]
fn ssh_refuses_a_revoked_host_key_whatever_else_it_is_told() {
    let primary = Primary::bind();
    let Primary::Bind(tree) = &primary else { panic!("not BIND") };
    let sshd = Sshd::start(&["ed25519"]);
    let krl = primary.sandbox().join("krl");
    let login = || {
        let mut ssh: Command = sshd.ssh();
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o"]).arg(format!("RevokedHostKeys={}", krl.display()));
        run(ssh.args(["127.0.0.1", "echo in"]), LIMIT)
    };
    primary.update(&format!("update add {REVOKED} 60 SSHFP {SENTINEL}"));
    assert_eq!(export(tree, &krl, &["--at", "example.test"]).code, Some(0));
    assert_eq!(login().stdout.trim(), "in");
    let host_key = record(&sshd.host_key("ed25519"));
    primary.update(&format!("update add {REVOKED} 60 SSHFP {host_key}"));
    assert_eq!(export(tree, &krl, &["--at", "example.test"]).code, Some(0));
    let refused = login();
    assert_eq!(refused.code, Some(255), "{refused:#?}");
    assert!(refused.stderr.contains("revoked") && refused.stdout.is_empty(), "{refused:#?}");
}
