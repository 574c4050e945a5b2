//! known-hosts sees no handshake: by itself it refuses, and behind the proxy of the same ssh it goes by what that has seen.

use super::*;

const RULE: &str = "strict_kex = \"required\"";

/// ssh by what `config ssh` writes, and `options`.
fn ssh(world: &World, mode: &str, rule: &str, options: &[&str]) -> Finished {
    let config = world.tree.sandbox.join("ssh_config");
    let tail = format!(
        "Host *\n  IdentityFile {}\n  IdentitiesOnly yes\n  BatchMode yes\n  Port {}\n  ProxyCommand '{}' --config none \
         proxy --identity {HOST} 127.0.0.1 {}\n",
        world.key.display(),
        world.port,
        env!("CARGO_BIN_EXE_sshanchor"),
        world.port
    );
    std::fs::write(&config, tail).unwrap();
    let mut install = world.sshanchor(rule);
    install.args(["config", "ssh", "--install", "--mode", mode, "*.example.test", "--ssh-config"]);
    let installed = run(install.arg(&config), LIMIT);
    assert_eq!(installed.code, Some(0), "{installed:#?}");
    let mut ssh = command("ssh");
    world.equip(&mut ssh, rule);
    ssh.arg("-T").arg("-F").arg(&config).args(options);
    run(ssh.args([HOST, "echo", "hello"]), LIMIT)
}

#[track_caller]
fn works(finished: &Finished) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), HELLO), "{finished:#?}");
}

#[track_caller]
fn is_refused(finished: &Finished, why: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(255), ""), "{finished:#?}");
    assert!(finished.stderr.contains(why), "{why:?} is not told: {finished:#?}");
}

#[test]
fn known_hosts_alone_refuses_what_it_cannot_see() {
    let sshd = Sshd::start(&["ed25519"]);
    let world = World::of(&sshd);
    // The way there is another proxy, whose policy asks for nothing and which tells nothing.
    works(&ssh(&world, "known-hosts", "strict_kex = \"any\"", &[]));
    let finished = ssh(&world, "known-hosts", RULE, &[]);
    is_refused(&finished, "the handshake is not seen here");
    assert!(finished.stderr.contains("config ssh --mode proxy"), "{finished:#?}");
}

#[test]
fn behind_the_proxy_it_goes_by_what_that_has_seen() {
    let sshd = Sshd::start(&["ed25519"]);
    let world = World::of(&sshd);
    for rule in [RULE, "server_versions = \"OpenSSH_*\"", "kex = \"post-quantum\"", "min_openssh = \"9.0\""] {
        works(&ssh(&world, "proxy", rule, &[]));
    }
    is_refused(&ssh(&world, "proxy", "min_openssh = \"99.0\"", &[]), "OpenSSH 99.0 at least");
    let weak = ["-o", "KexAlgorithms=curve25519-sha256"];
    is_refused(
        &ssh(&world, "proxy", "kex = \"post-quantum\"", &weak),
        "the key exchange is curve25519-sha256",
    );
    works(&ssh(&world, "proxy", "kex = \"any\"", &weak));
}

/// What takes the proxy away takes away whoever has seen the handshake.
#[test]
fn without_the_proxy_nothing_was_seen() {
    let sshd = Sshd::start(&["ed25519"]);
    let world = World::of(&sshd);
    let other = format!(
        "ProxyCommand='{}' --config none proxy --identity {HOST} 127.0.0.1 {}",
        env!("CARGO_BIN_EXE_sshanchor"),
        world.port
    );
    works(&ssh(&world, "proxy", RULE, &[]));
    works(&ssh(&world, "proxy", "strict_kex = \"any\"", &["-o", &other]));
    is_refused(&ssh(&world, "proxy", RULE, &["-o", &other]), "the handshake is not seen here");
    // Another connection of another ssh at the same time tells this one nothing.
    let master = world.tree.sandbox.join("m");
    let path = format!("ControlPath={}", master.display());
    let shared = ["-o", "ControlMaster=yes", "-o", "ControlPersist=60", "-o", &path];
    works(&ssh(&world, "proxy", RULE, &shared));
    is_refused(&ssh(&world, "proxy", RULE, &["-o", &other]), "the handshake is not seen here");
    // Whoever joins a connection that was judged asks nobody.
    works(&ssh(&world, "proxy", RULE, &["-o", &other, "-o", &path]));
    let mut end = command("ssh");
    end.arg("-F").arg(world.tree.sandbox.join("ssh_config")).args(["-o", &path, "-O", "exit", HOST]);
    assert_eq!(run(&mut end, LIMIT).code, Some(0));
}
