//! Each way, good and swapped, with what could weaken it.

use std::fs;

use super::*;

/// What a careless user may have in their configuration. The include comes before it.
fn careless(world: &World, impostor: &str) -> String {
    let known = world.sandbox().write("known_hosts", &entry(world, impostor));
    format!(
        "Host *\n  StrictHostKeyChecking no\n  VerifyHostKeyDNS yes\n  CheckHostIP yes\n  UpdateHostKeys yes\n  \
         NoHostAuthenticationForLocalhost yes\n  UserKnownHostsFile {0}\n  GlobalKnownHostsFile {0}\n",
        known.display()
    )
}

#[test]
fn what_the_user_has_set_does_not_weaken_it() {
    let world = world();
    world.write(&careless(&world, &world.key()));
    for mode in ["known-hosts", "proxy"] {
        world.publish(HOST);
        world.install(&["--mode", mode]);
        world.works(&[], HOST);
        world.works(&[], "WEB1.Example.TEST");
        world.works(&[], "web1.example.test.");
        world.tree.update(
            "update delete web1.example.test. SSHFP\nupdate add web1.example.test. 60 SSHFP 4 2 \
             0000000000000000000000000000000000000000000000000000000000000001",
        );
        for host in [HOST, "WEB1.Example.TEST", "web1.example.test."] {
            let told = world.is_stopped(&[], host);
            assert!(told.contains("DNSSEC proves other keys"), "{mode} {host}: {told}");
        }
        // Nobody has records for it; and one that is left out is as it was before.
        assert!(world.is_stopped(&[], "web3.example.test").contains("web3.example.test"));
        world.works(&[], "web1.elsewhere.test");
    }
    assert_eq!(world.config_ssh(&["--remove"]).code, Some(0));
    world.works(&[], HOST);
}

#[test]
fn options_of_the_command_line_do_not_open_it() {
    let mut world = world();
    world.write("");
    let sets: [&[&str]; 3] = [
        &["-o", "StrictHostKeyChecking=no"],
        &["-o", "StrictHostKeyChecking=accept-new", "-o", "UserKnownHostsFile=/dev/null"],
        &["-o", "UserKnownHostsFile=KNOWN", "-o", "VerifyHostKeyDNS=yes", "-o", "CheckHostIP=yes"],
    ];
    let known = world.sandbox().join("known_hosts").display().to_string();
    let sets = sets.map(|set| set.iter().map(|o| o.replace("KNOWN", &known)).collect::<Vec<_>>());
    for mode in ["known-hosts", "proxy"] {
        world.install(&["--mode", mode]);
        world.publish(HOST);
        for set in &sets {
            let options: Vec<&str> = set.iter().map(String::as_str).collect();
            world.works(&options, HOST);
        }
        // Then ssh knows no key at all.
        world.is_stopped(&["-o", "KnownHostsCommand=none", "-o", "StrictHostKeyChecking=no"], HOST);
        world.sshd.rotate_host_keys();
        world.sandbox().write("known_hosts", &entry(&world, &world.key()));
        for set in &sets {
            let options: Vec<&str> = set.iter().map(String::as_str).collect();
            world.is_stopped(&options, HOST);
        }
    }
}

#[test]
fn a_jump_of_the_command_line_is_verified_at_both_ends() {
    let mut world = world();
    // The network behind the jump host is loopback, and has no names.
    world.write(&format!("Host {HOST}\n  HostName 127.0.0.1\n  HostKeyAlias {HOST}\n"));
    for mode in ["known-hosts", "proxy"] {
        world.install(&["--mode", mode]);
        world.publish(HOST);
        world.publish("web2.example.test");
        world.works(&["-J", "web2.example.test"], HOST);
        world.sshd.rotate_host_keys();
        // The jump host's key is proven, and the target's is not.
        world.publish("web2.example.test");
        let finished = world.runs(&["-J", "web2.example.test"], HOST);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{mode}: {finished:#?}");
        assert!(finished.stderr.contains("DNSSEC proves other keys"), "{mode}: {finished:#?}");
        // And the other way round.
        world.publish(HOST);
        world.sshd.rotate_host_keys();
        world.publish(HOST);
        let told = world.is_stopped(&["-J", "web2.example.test"], HOST);
        assert!(told.contains("web2.example.test shows"), "{mode}: {told}");
    }
}

#[test]
fn a_shared_connection_asks_nobody_until_it_ends() {
    let world = world();
    let socket = world.sandbox().join("c");
    world.write(&format!(
        "Host *\n  ControlMaster auto\n  ControlPersist 60\n  ControlPath {}\n",
        socket.display()
    ));
    world.install(&[]);
    world.works(&[], HOST);
    // The key is withdrawn: whoever joins is not asked about, whoever connects anew is.
    world.tree.update("update delete web1.example.test. SSHFP");
    world.works(&[], HOST);
    let end = run(world.ssh(&["-O", "exit"]).arg(HOST), LIMIT);
    assert_eq!(end.code, Some(0), "{end:#?}");
    world.is_stopped(&[], HOST);
}

#[test]
fn an_include_behind_other_lines_is_overruled_and_told() {
    let mut world = world();
    let known = world.sandbox().join("known_hosts");
    let lax = format!("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile {}\n", known.display());
    world.write("");
    world.install(&["--mode", "known-hosts"]);
    let text = fs::read_to_string(world.config()).unwrap();
    world.sandbox().write("ssh_config", &format!("{lax}{text}"));
    // The command's veto is left: this holds, by one thread.
    world.works(&[], HOST);
    world.sshd.rotate_host_keys();
    world.sandbox().write("known_hosts", &entry(&world, &world.key()));
    world.is_stopped(&[], HOST);
    // A KnownHostsCommand of somebody else is the end of it.
    let other = format!("{lax}  KnownHostsCommand /bin/true\n{text}");
    world.sandbox().write("ssh_config", &other);
    world.works(&[], HOST);
    // It is told, and an install puts itself first again.
    world.install(&[]);
    world.is_stopped(&[], HOST);
}

#[test]
fn the_home_that_the_environment_names_is_no_way_around_it() {
    let mut world = world();
    world.write("");
    world.install(&[]);
    world.sshd.rotate_host_keys();
    let mut ssh = world.ssh(&["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
    let finished = run(ssh.env("HOME", "/nonexistent").args([HOST, "true"]), LIMIT);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("DNSSEC proves other keys"), "{finished:#?}");
    assert!(!std::path::Path::new("/nonexistent").exists(), "no home is made");
}

#[test]
fn file_names_with_every_character_reach_the_command() {
    let world = world();
    world.write("");
    let anchor = world.sandbox().join("it's 50%h \"of\" \\ back\\slash\\'#!$HOME`id`;&|<>()*?~{}[]");
    fs::copy(world.tree.anchor(), &anchor).unwrap();
    for mode in ["known-hosts", "proxy"] {
        let mut command = world.sshanchor();
        command.env("SSHANCHOR_TRUST_ANCHOR", &anchor).args(["config", "ssh", "--install", "--mode", mode]);
        let finished = run(command.arg("--ssh-config").arg(world.config()).arg("*.example.test"), LIMIT);
        assert_eq!(finished.code, Some(0), "{mode}: {finished:#?}");
        world.works(&[], HOST);
    }
    let mut command = world.sshanchor();
    command.env("SSHANCHOR_TRUST_ANCHOR", world.sandbox().join("${HOME}"));
    let finished = run(command.args(["config", "ssh", "--mode", "known-hosts", "*.example.test"]), LIMIT);
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(finished.stderr.contains("variable"), "{finished:#?}");
}
