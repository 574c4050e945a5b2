//! Key types and certificates.

use super::{HOST, LAX, OWNER, STRICT, World, world, world_of};
use crate::support::peer::command;
use crate::support::sshd::{KEY_TYPES, Sshd, keygen, sshfp_lines};
use crate::support::{Tree, run_ok};

/// Makes the server's keys of these types all that is published.
fn publish(world: &World, types: &[&str]) {
    let lines = types.iter().flat_map(|name| sshfp_lines(&world.sshd.host_key(name), OWNER));
    let adds: String =
        lines.map(|line| format!("\nupdate add {OWNER} 60 {}", line.split_once(" IN ").unwrap().1)).collect();
    world.tree.update(&format!("update delete {OWNER} SSHFP{adds}"));
}

fn negotiated(world: &World, mark: usize) -> String {
    let log = world.sshd.process.log()[mark..].to_owned();
    let line = log.lines().find_map(|line| line.split_once("kex: host key algorithm: "));
    line.map(|(_, algorithm)| algorithm.split_whitespace().next().unwrap().to_owned()).unwrap()
}

#[test]
fn ssh_is_led_to_the_types_that_are_published() {
    let types: Vec<&str> = KEY_TYPES.iter().map(|(name, _)| *name).collect();
    let world = world_of(&types, Tree::plan());
    for (published, wanted) in [
        (&["rsa"][..], "rsa-sha2-512"),
        (&["ecdsa256"], "ecdsa-sha2-nistp256"),
        (&["ed25519"], "ssh-ed25519"),
        (&["rsa", "ecdsa256"], "ecdsa-sha2-nistp256"),
        (&["rsa", "ed25519"], "ssh-ed25519"),
        (&types, "ssh-ed25519"),
    ] {
        publish(&world, published);
        let mark = world.sshd.mark();
        world.works(&[&STRICT], HOST);
        assert_eq!(negotiated(&world, mark), wanted, "{published:?}");
    }
}

#[test]
fn every_curve_is_asked_for() {
    let mut world = world();
    for name in ["ecdsa256", "ecdsa384", "ecdsa521"] {
        world.sshd = Sshd::start(&["ed25519", name, "rsa"]);
        publish(&world, &[name]);
        let mark = world.sshd.mark();
        world.works(&[&STRICT], HOST);
        assert_eq!(negotiated(&world, mark), name.replace("ecdsa", "ecdsa-sha2-nistp"));
    }
}

#[test]
fn where_ssh_is_told_which_types_to_ask_for_one_that_is_not_published_is_refused() {
    let world = world_of(&["ed25519", "rsa"], Tree::plan());
    publish(&world, &["rsa"]);
    let asking = |types: &str| format!("HostKeyAlgorithms={types}");
    world.is_stopped(&[&LAX, &[&asking("ssh-ed25519")]], HOST, "DNSSEC proves keys of other types only");
    world.works(&[&STRICT, &[&asking("rsa-sha2-256")]], HOST);
}

#[test]
fn a_type_that_policy_does_not_allow_is_neither_asked_for_nor_accepted() {
    let world = world_of(&["ed25519", "rsa"], Tree::plan());
    world.config("[[host]]\nmatch = \"*.test\"\nalgorithms = [\"rsa-sha2-256\"]");
    let mark = world.sshd.mark();
    world.works(&[&STRICT], HOST);
    assert_eq!(negotiated(&world, mark), "rsa-sha2-512");
    world.is_stopped(&[&LAX, &["HostKeyAlgorithms=ssh-ed25519"]], HOST, "policy allows ssh-rsa only");
}

/// Has the server show a certificate by a CA of its own; gives the CA's public key.
fn certify(sshd: &mut Sshd, name: &str) -> String {
    let ca = sshd.sandbox.join("ca");
    if !ca.exists() {
        keygen(&["-t", "ed25519"], &ca);
    }
    let mut sign = command("ssh-keygen");
    sign.arg("-q").arg("-s").arg(&ca).args(["-I", "web1", "-h", "-n", HOST]).arg(sshd.host_key(name));
    run_ok(&mut sign);
    let certificate = sshd.sandbox.join(&format!("host_{name}-cert.pub"));
    sshd.configure(&format!("HostCertificate {}", certificate.display()));
    std::fs::read_to_string(sshd.sandbox.join("ca.pub")).unwrap()
}

#[test]
fn a_certificate_counts_by_the_plain_key_inside_it() {
    let mut world = world();
    for (name, shown, port) in [
        ("ed25519", "ssh-ed25519-cert-v01@openssh.com", "Port=22"),
        ("rsa", "rsa-sha2-512-cert-v01@openssh.com", "Port=2222"),
        ("ecdsa384", "ecdsa-sha2-nistp384-cert-v01@openssh.com", "Port=2222"),
    ] {
        world.sshd = Sshd::start(&[name]);
        certify(&mut world.sshd, name);
        publish(&world, &[name]);
        let mark = world.sshd.mark();
        world.works(&[&STRICT, &[port]], HOST);
        assert_eq!(negotiated(&world, mark), shown);
        // Another key, in a certificate of a CA that ssh believes.
        world.sshd.rotate_host_keys();
        let ca = certify(&mut world.sshd, name);
        let known = world.tree.sandbox.write("known_hosts", &format!("@cert-authority * {ca}"));
        let file = format!("UserKnownHostsFile={}", known.display());
        world.is_stopped(&[&[&file], &LAX], HOST, "DNSSEC proves other keys");
        world.is_stopped(&[&[&file], &STRICT], HOST, "DNSSEC proves other keys");
    }
}
