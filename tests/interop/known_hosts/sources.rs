//! Where proofs come from, and what they cost.

use super::{HOST, LAX, LIMIT, OWNER, STRICT, World, world};
use crate::support::forger::Forged;
use crate::support::process::wait_until;
use crate::support::run;

fn questions(world: &World) -> usize {
    world.resolver.asked().len()
}

/// How many questions it takes to do this.
fn asked(world: &World, work: impl FnOnce()) -> usize {
    let before = questions(world);
    work();
    questions(world) - before
}

#[test]
fn the_calls_of_one_connection_cost_one_lookup() {
    let mut world = world();
    let (key_type, key) = world.key("ed25519");
    let hostname = ["HOSTNAME", HOST, &key_type, &key, HOST, "22"];
    let one = asked(&world, || assert_eq!(world.call(&hostname).code, Some(0)));
    assert!(one > 0);
    // Nothing is kept: each call looks up for itself.
    let uncached = asked(&world, || drop(world.works(&[&STRICT], HOST)));
    assert_eq!(uncached, 2 * one);
    world.cache = true;
    let alias = format!("HostKeyAlias={HOST}");
    let address = ["ProxyCommand=none", "HostName=0.0.0.0", "CheckHostIP=yes", &alias];
    let port = format!("Port={}", world.sshd.port());
    let first = asked(&world, || drop(world.works(&[&address, &[&port], &STRICT[..3]], "web")));
    assert_eq!(first, one, "ORDER, HOSTNAME and ADDRESS of a first connection");
    assert_eq!(asked(&world, || drop(world.works(&[&STRICT], HOST))), 0, "those of a second one");
    // What is stored accepts, and never refuses.
    world.sshd.rotate_host_keys();
    assert!(asked(&world, || drop(world.is_stopped(&[&LAX], HOST, "DNSSEC proves other keys"))) > 0);
    world.tree.update(&world.sshd.sshfp_update(OWNER));
    world.works(&[&STRICT], HOST);
    assert_eq!(asked(&world, || drop(world.works(&[&STRICT], HOST))), 0);
}

#[test]
fn a_cached_proof_serves_while_dns_is_silent_and_grace_is_told() {
    let mut world = world();
    world.cache = true;
    world.works(&[&STRICT], HOST);
    let servfail = |world: &World| {
        world.resolver.change(|message| {
            *message = message.answered(Vec::new());
            message.flags = message.flags & !15 | 2;
        });
    };
    servfail(&world);
    let finished = world.works(&[&STRICT], HOST);
    assert!(!finished.stderr.contains("outage_grace"), "{finished:#?}");
    world.resolver.honest();
    // Records with a second to live, so that it is soon over.
    world.tree.update(&world.sshd.sshfp_update(OWNER).replace(" 60 SSHFP", " 1 SSHFP"));
    std::fs::remove_dir_all(world.tree.sandbox.join("cache")).unwrap();
    world.works(&[&STRICT], HOST);
    servfail(&world);
    world.config("[[host]]\nmatch = \"*.test\"\noutage_grace = \"1h\"");
    assert!(wait_until(LIMIT, || world.works(&[&STRICT], HOST).stderr.contains("outage_grace")));
    let finished = world.works(&[&STRICT], HOST);
    assert_eq!(finished.stderr.matches("outage_grace").count(), 1, "it is told once: {finished:#?}");
    world.config("");
    world.is_stopped(&[&LAX], HOST, "nothing vouches for");
}

#[test]
fn a_bundle_accepts_without_dns_and_an_impostor_stays_one() {
    let mut world = world();
    let file = world.tree.sandbox.join("fleet.bundle");
    let mut export = world.tree.sshanchor(world.resolver.addr());
    export.args(["bundle", "export", HOST, "-o"]).arg(&file);
    assert_eq!(run(&mut export, LIMIT).code, Some(0));
    world.resolver.change(|message| {
        *message = message.answered(Vec::new());
        message.flags = message.flags & !15 | 2;
    });
    world.is_stopped(&[&LAX], HOST, "nothing vouches for");
    let (key_type, key) = world.key("ed25519");
    let with = |world: &World, call: &str, key_type: &str, key: &str| {
        world.call(&["--bundle", file.to_str().unwrap(), call, HOST, key_type, key])
    };
    assert!(with(&world, "ORDER", "NONE", "NONE").stdout.starts_with("web1.example.test ssh-ed25519 "));
    let finished = with(&world, "HOSTNAME", &key_type, &key);
    assert_eq!((finished.code, finished.stdout), (Some(0), format!("{HOST} {key_type} {key}\n")));
    world.sshd.rotate_host_keys();
    let (key_type, key) = world.key("ed25519");
    let finished = with(&world, "HOSTNAME", &key_type, &key);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:#?}");
    // A file that is none.
    std::fs::write(&file, "no bundle").unwrap();
    assert_eq!(with(&world, "ORDER", "NONE", "NONE").code, Some(0));
    let finished = with(&world, "HOSTNAME", &key_type, &key);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{finished:#?}");
}

#[test]
fn a_session_over_an_open_connection_asks_nothing() {
    let mut world = world();
    let socket = format!("ControlPath={}", world.tree.sandbox.join("c").display());
    let options = ["ControlMaster=auto", "ControlPersist=60", &socket];
    assert!(asked(&world, || drop(world.works(&[&STRICT, &options], HOST))) > 0);
    // The host's key is another one by now: the session goes over the old connection.
    world.tree.update(&format!("update delete {OWNER} SSHFP"));
    assert_eq!(asked(&world, || drop(world.works(&[&STRICT, &options], HOST))), 0);
    let mut exit = world.ssh(&options);
    assert_eq!(run(exit.args(["-O", "exit", HOST]), LIMIT).code, Some(0));
    world.sshd.rotate_host_keys();
    world.is_stopped(&[&LAX, &options], HOST, "nothing vouches for");
}

#[test]
fn a_silent_resolver_is_waited_for_once_and_a_half() {
    let mut world = world();
    world.resolver.rule(|_| vec![Forged::Close]);
    world.options = "--timeout 2".to_owned();
    let finished = world.is_stopped(&[&LAX], HOST, "check that the resolver can be reached");
    assert!(finished.elapsed.as_secs() < 20, "{finished:#?}");
}
