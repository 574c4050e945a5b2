//! Certificates that end, are for others, or of CAs that reach too far.

use std::fs;
use std::path::Path;

use super::{at, audit, plan, set};
use crate::support::peer::command;
use crate::support::run_ok;
use crate::support::sshd::{Sshd, keygen, sshfp_lines};
use crate::support::tree::Plan;

const SENTINEL: &str = "1 2 0000000000000000000000000000000000000000000000000000000000000000";

/// The records that make `ca` a CA at `domain`.
fn with_ca(plan: Plan, ca: &Path, domain: &str) -> Plan {
    let line = sshfp_lines(ca, &format!("_ca._ssh.{domain}.")).remove(0);
    plan.record(&line).record(&format!("_revoked._ssh.{domain}. SSHFP {SENTINEL}"))
}

/// Has `ca` sign the key of `sshd` for `name` and this time (ssh-keygen's -V), and `sshd` show it.
fn certify(sshd: &mut Sshd, ca: &Path, name: &str, validity: &str) {
    let public = sshd.host_key("ed25519");
    let private = ca.with_extension("");
    run_ok(
        command("ssh-keygen")
            .args(["-q", "-s"])
            .arg(private)
            .args(["-I", "x", "-h", "-n", name, "-V", validity])
            .arg(&public),
    );
    let certificate = sshd.sandbox.join("host_ed25519-cert.pub");
    assert!(fs::exists(&certificate).unwrap());
    sshd.configure(&format!("HostCertificate {}", certificate.display()));
}

#[test]
fn certificates_are_held_against_name_time_and_ca() {
    let mut sshd: Vec<Sshd> = (0..5).map(|_| Sshd::start(&["ed25519"])).collect();
    let folder = crate::support::Sandbox::new();
    let (ca, other) = (folder.join("ca.pub"), folder.join("other.pub"));
    for ca in [&ca, &other] {
        keygen(&["-t", "ed25519"], &ca.with_extension(""));
    }
    let name = |n: usize| format!("web{}.example.test", n + 1);
    let mut plan = with_ca(plan(), &ca, "example.test");
    // The last two have keys of their own in DNS, so that they are accepted all the same.
    for (n, sshd) in sshd.iter().enumerate().skip(3) {
        plan = sshd.sshfp(&format!("{}.", name(n))).iter().fold(plan, |plan, line| plan.record(line));
    }
    let tree = plan.start();
    certify(&mut sshd[0], &ca, &name(0), "-1d:+3d");
    certify(&mut sshd[1], &ca, &name(1), "-10d:+1d");
    certify(&mut sshd[2], &ca, "web9.example.test", "-1d:+3d");
    certify(&mut sshd[3], &ca, &name(3), "-10d:-1d");
    certify(&mut sshd[4], &other, &name(4), "-1d:+3d");
    let hosts: Vec<String> = sshd.iter().enumerate().map(|(n, sshd)| at(&name(n), sshd)).collect();
    let audit = audit(&tree, &hosts, &[]);
    assert_eq!(audit.found(&name(0)), set(&[]), "{:#}", audit.host(&name(0)));
    assert_eq!(audit.found(&name(1)), set(&["warning certificate-end"]));
    assert_eq!(audit.found(&name(2)), set(&["error certificate-other-name"]));
    assert_eq!(audit.found(&name(3)), set(&["warning certificate-expired"]));
    assert_eq!(audit.found(&name(4)), set(&["warning ca-not-published"]));
    let verdict = |n: usize| audit.host(&name(n))["verdict"].as_str().unwrap().to_owned();
    assert_eq!([0, 1, 2, 3, 4].map(verdict), ["accept", "accept", "reject", "accept", "accept"]);
    let certificate = &audit.host(&name(0))["certificates"][0];
    assert_eq!(
        (&certificate["good"], certificate["valid_until"].as_str().map(str::len)),
        (&true.into(), Some(20))
    );
    assert_eq!(audit.of_fleet(), set(&[]));
}

#[test]
fn a_ca_that_reaches_further_than_its_use_is_told() {
    let mut sshd: Vec<Sshd> = (0..3).map(|_| Sshd::start(&["ed25519"])).collect();
    let folder = crate::support::Sandbox::new();
    let (ca, unused) = (folder.join("ca.pub"), folder.join("unused.pub"));
    keygen(&["-t", "ed25519"], &ca.with_extension(""));
    keygen(&["-t", "ed25519"], &unused.with_extension(""));
    let name = ["a.lab.example.test", "b.lab.example.test", "web1.example.test"];
    let mut plan = with_ca(plan(), &ca, "example.test");
    for (n, name) in name.iter().enumerate().take(2) {
        plan = plan.record(&format!("{name}. A 127.0.0.1"));
        certify(&mut sshd[n], &ca, name, "-1d:+3d");
    }
    let tree =
        sshd[2].sshfp("web1.example.test.").iter().fold(plan.clone(), |plan, line| plan.record(line)).start();
    let hosts: Vec<String> = name.iter().zip(&sshd).map(|(name, sshd)| at(name, sshd)).collect();
    let found = audit(&tree, &hosts, &[]);
    assert_eq!(found.of_fleet(), set(&["warning ca-wide"]), "{:#}", found.report);
    let message = found.message("ca-wide");
    assert!(
        message.contains("below lab.example.test show") && message.contains("for web1.example.test as well"),
        "{message}"
    );
    // Those who use it are all that there are.
    assert_eq!(audit(&tree, &hosts[..2], &[]).of_fleet(), set(&[]));
    // Where nobody uses it.
    assert_eq!(audit(&tree, &hosts[2..], &[]).of_fleet(), set(&["info ca-unused"]));
}

#[test]
fn a_revoked_key_that_is_live_is_an_error() {
    let sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let ecdsa = sshfp_lines(&sshd.host_key("ecdsa256"), "_revoked._ssh.example.test.").remove(0);
    let published = sshd.sshfp("web1.example.test.").iter().fold(plan(), |plan, line| plan.record(line));
    let tree =
        published.record(&ecdsa).record(&format!("_revoked._ssh.example.test. SSHFP {SENTINEL}")).start();
    let audit = audit(&tree, &[at("web1.example.test", &sshd)], &[]);
    assert_eq!(audit.found("web1.example.test"), set(&["error revoked"]));
    assert_eq!(audit.host("web1.example.test")["verdict"], "accept", "the other key is good");
    assert_eq!(audit.finished.code, Some(5));
}
