//! An ssh without KnownHostsCommand, whose only known_hosts file is the one that the proxy keeps. The ssh of today stands
//! in for it, with KnownHostsCommand left out; 8.4 itself was tried by hand.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn the_proxy_tells_an_old_ssh_what_it_has_proven() {
    let mut world = world();
    world.write("Host *\n  StrictHostKeyChecking no\n");
    world.install_for_old_ssh();
    let written = fs::read_to_string(world.sandbox().join("sshanchor.conf")).unwrap();
    assert!(!written.to_ascii_lowercase().contains("knownhostscommand"), "{written}");
    let file = world.sandbox().join("sshanchor/known_hosts");
    assert!(!file.exists());
    world.works(&[], HOST);
    let line = entry(&world, &world.key());
    assert_eq!(fs::read_to_string(&file).unwrap(), line);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(file.parent().unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o700);

    // Swapped: the proxy refuses, and what was believed before is so no longer.
    world.sshd.rotate_host_keys();
    let lax = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
    for options in [&[][..], &lax] {
        let told = world.is_stopped(options, HOST);
        assert!(told.contains("DNSSEC proves other keys"), "{told}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), line, "the published key is still proven");
    world.publish(HOST);
    world.works(&[], HOST);
    assert_eq!(fs::read_to_string(&file).unwrap(), entry(&world, &world.key()), "the old key is gone");

    // Another host has a line of its own, and a withdrawn one has none.
    world.publish("web2.example.test");
    world.works(&[], "web2.example.test");
    world.tree.update("update delete web1.example.test. SSHFP");
    world.is_stopped(&[], HOST);
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(HOST) && text.lines().count() == 1, "{text}");
}

#[test]
fn many_at_once_lose_nobodys_line() {
    let world = world();
    world.write("");
    world.install_for_old_ssh();
    world.works(&[], "web2.example.test");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| world.works(&[], HOST));
        }
    });
    let text = fs::read_to_string(world.sandbox().join("sshanchor/known_hosts")).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn without_the_proxy_an_old_ssh_knows_what_was_proven_and_nothing_else() {
    let mut world = world();
    world.write(&format!("Host {HOST}\n  HostName 127.0.0.1\n  HostKeyAlias {HOST}\n"));
    world.install_for_old_ssh();
    let jump = ["-J", "web2.example.test"];
    world.works(&[], "web2.example.test");
    // The jump drops the proxy: nobody has proven the target, so nobody is let in.
    let finished = world.runs(&jump, HOST);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("host key is known for"), "{finished:#?}");
    // As the proxy leaves it behind, by the HostKeyAlias.
    let file = world.sandbox().join("sshanchor/known_hosts");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}{HOST} {}\n", world.key())).unwrap();
    world.works(&jump, HOST);
    world.sshd.rotate_host_keys();
    world.publish("web2.example.test");
    let finished = world.runs(&jump, HOST);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("HOST IDENTIFICATION HAS CHANGED"), "{finished:#?}");
}

#[test]
fn a_file_that_others_can_write_is_not_used() {
    let world = world();
    world.write("");
    world.install_for_old_ssh();
    world.works(&[], HOST);
    let folder = world.sandbox().join("sshanchor");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let told = world.is_stopped(&[], HOST);
    assert!(told.contains("ssh cannot be told of the proven key"), "{told}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    world.works(&[], HOST);
}
