//! `VerifyHostKeyDNS yes` and a resolver on the way that forges the AD bit: ssh believes it and asks nobody else.

use super::*;
use crate::support::forger::{Forged, Forger};
use crate::support::namespace::with_files;
use crate::support::wire::{Rr, SSHFP};

const AD: u16 = 0x0020;

/// Has the system's resolver of a command be `forger`, in a mount namespace of its own, which takes root.
fn asking(world: &World, forger: &Forger, ssh: &Command) -> Command {
    let text = format!("nameserver {}\noptions trust-ad timeout:2\n", forger.addr().ip());
    let file = world.sandbox().write("resolv.conf", &text);
    let mut command = with_files(ssh, &[(&file, "/etc/resolv.conf")]);
    clean(&mut command, world.sandbox().path());
    command.env_remove("SSHANCHOR_CONFIG");
    command
}

#[test]
fn the_proxy_holds_where_ssh_believes_a_forged_ad_bit() {
    let mut world = world();
    world.write("");
    let forger = Forger::start_on_port_53(world.tree.addr());
    let forge = |world: &World| {
        let line = world.sshd.sshfp("web1.example.test.").remove(0);
        let hex = line.split_whitespace().last().unwrap().to_lowercase();
        let digest = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap();
        forger.rule(move |exchange| {
            let honest = exchange.message();
            if !honest.is_for("web1.example.test.", SSHFP) {
                return vec![Forged::Send(exchange.reply.clone())];
            }
            let mut forged = honest.answered(vec![Rr::sshfp("web1.example.test.", 4, digest)]);
            forged.flags |= AD;
            vec![Forged::Send(forged.write())]
        });
    };
    let runs = |world: &World, options: &[&str]| {
        let mut ssh = world.ssh(options);
        ssh.arg(HOST).args(hello::ASKED);
        run(&mut asking(world, &forger, &ssh), LIMIT)
    };
    let believing: &[&str] = &["-o", "VerifyHostKeyDNS=yes"];
    for (mode, holds) in [("known-hosts", false), ("proxy", true)] {
        world.install(&["--mode", mode]);
        world.publish(HOST);
        forge(&world);
        for options in [&[][..], believing] {
            let good = runs(&world, options);
            assert_eq!(
                (good.code, good.stdout.as_str()),
                (Some(0), hello::SAID),
                "{mode} {options:?}: {good:#?}"
            );
        }
        // The zone has the old key, and the forger vouches for the new one.
        world.sshd.rotate_host_keys();
        forge(&world);
        let bad = runs(&world, &[]);
        assert_eq!((bad.code, bad.stdout.as_str()), (Some(255), ""), "{mode}: {bad:#?}");
        assert!(bad.stderr.contains("DNSSEC proves other keys"), "{mode}: {bad:#?}");
        let bad = runs(&world, believing);
        let wanted = if holds { (Some(255), "") } else { (Some(0), hello::SAID) };
        assert_eq!((bad.code, bad.stdout.as_str()), wanted, "{mode}: {bad:#?}");
        let was_asked =
            forger.asked().iter().any(|(_, question)| question.is_for("web1.example.test.", SSHFP));
        assert!(holds || was_asked, "ssh has not asked the forger: it proves nothing");
    }
}

/// What overrules the installed option is told.
#[test]
fn doctor_tells_of_a_configuration_that_believes_the_ad_bit() {
    let world = world();
    world.write("");
    world.install(&[]);
    let told = |world: &World| {
        let mut doctor = world.sshanchor();
        let finished =
            run(doctor.args(["doctor", HOST, "--json", "--ssh-config"]).arg(world.config()), LIMIT);
        let findings = finished.json_lines();
        let is_it = |finding: &&serde_json::Value| {
            finding["severity"] != "ok" && finding["message"].as_str().unwrap().contains("VerifyHostKeyDNS")
        };
        findings.iter().filter(is_it).count()
    };
    assert_eq!(told(&world), 0);
    let text = fs::read_to_string(world.config()).unwrap();
    world.sandbox().write("ssh_config", &format!("VerifyHostKeyDNS yes\n{text}"));
    assert!(told(&world) > 0);
}
