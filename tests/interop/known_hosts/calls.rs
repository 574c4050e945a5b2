//! The three questions one by one, as ssh puts them or as it never would.

use super::{HOST, LAX, OWNER, STRICT, nobody, world, world_of};
use crate::support::Tree;

#[test]
fn hostname_prints_the_line_or_nothing() {
    let mut world = world();
    let (key_type, key) = world.key("ed25519");
    for sought in [HOST, "[web1.example.test]:2222", "WEB1.example.test."] {
        let finished = world.call(&["HOSTNAME", sought, &key_type, &key]);
        let line = format!("{sought} {key_type} {key}\n");
        assert_eq!((finished.code, finished.stdout, finished.stderr.as_str()), (Some(0), line, ""));
    }
    world.sshd.rotate_host_keys();
    let (key_type, key) = world.key("ed25519");
    let finished = world.call(&["HOSTNAME", HOST, &key_type, &key, HOST, "22"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:#?}");
    assert!(finished.stderr.starts_with("sshanchor: web1.example.test shows ssh-ed25519"), "{finished:#?}");
    let finished = world.call(&["HOSTNAME", "web9.example.test", &key_type, &key]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), ""), "{finished:#?}");
    // Standard output is ssh's in this form too.
    world.options = "--json".to_owned();
    let finished = world.call(&["HOSTNAME", HOST, &key_type, &key]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:#?}");
    let told: serde_json::Value = serde_json::from_str(&finished.stderr).unwrap();
    assert_eq!(told["reason"], "key-mismatch");
}

#[test]
fn order_has_nobodys_keys_of_the_types_that_are_proven() {
    let world = world_of(&["ed25519", "ecdsa384"], Tree::plan());
    let types = |finished: &crate::support::Finished| -> Vec<String> {
        let lines = finished.stdout.lines();
        lines.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
    };
    let finished = world.call(&["ORDER", "[web1.example.test]:2222", "NONE", "NONE", HOST, "2222"]);
    let wanted = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
    assert_eq!(
        (finished.code, types(&finished)),
        (Some(0), wanted.map(str::to_owned).to_vec()),
        "{finished:#?}"
    );
    assert!(
        finished.stdout.lines().all(|line| line.starts_with("[web1.example.test]:2222 ")),
        "{finished:#?}"
    );
    for name in ["ed25519", "ecdsa384"] {
        assert!(!finished.stdout.contains(&world.key(name).1), "{finished:#?}");
    }
    // A server that shows one of them is not accepted for it.
    for line in finished.stdout.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let finished = world.call(&["HOSTNAME", HOST, words[1], words[2]]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:#?}");
    }
    // As ssh before 9.6 asks for a HostKeyAlias: by the bare host, which is an address, or in no DNS.
    for sought in ["10.0.0.1", "somewhere.test"] {
        let finished = world.call(&["ORDER", sought, "NONE", "NONE", HOST, "2222"]);
        assert_eq!((finished.code, types(&finished).len()), (Some(0), 4), "{finished:#?}");
        assert!(finished.stdout.lines().all(|line| line.starts_with(&format!("{sought} "))), "{finished:#?}");
    }
    let finished = world.call(&["ORDER", "web9.example.test", "NONE", "NONE", "web9.example.test", "22"]);
    assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(0), "", ""));
}

#[test]
fn order_and_address_never_end_a_connection() {
    let mut world = world();
    let (key_type, key) = world.key("ed25519");
    let nobody = nobody();
    let calls = |world: &super::World, wanted: i32| {
        for (call, sought, key_type, key) in [
            ("ORDER", HOST, "NONE", "NONE"),
            ("ORDER", "-x\u{1b}[31m", "NONE", "NONE"),
            ("ORDER", "10.0.0.1", "NONE", "NONE"),
            ("ADDRESS", "[10.0.0.1]:22", key_type.as_str(), key.as_str()),
            ("ADDRESS", "-x\n", "-", "-"),
        ] {
            let finished =
                world.call_by(nobody.addr(), &[call, sought, key_type, key, "web\u{7}", "no port"]);
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");
            assert!(!finished.stderr.contains(['\u{1b}', '\u{7}']), "{finished:#?}");
        }
        let finished = world.call_by(nobody.addr(), &["HOSTNAME", HOST, &key_type, &key]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(wanted), ""), "{finished:#?}");
    };
    calls(&world, 4);
    // Options that cannot be understood; files that are missing, and a configuration with a mistake in it.
    for options in
        ["--timeout never", "--resolver x", "--nonsense", "--trust-anchor /nowhere", "--config /nowhere"]
    {
        world.options = options.to_owned();
        calls(&world, 2);
    }
    world.options.clear();
    world.config("nonsense = 1");
    calls(&world, 2);
    world.config("");
    let finished = world.call(&["ORDER", HOST, "NONE", "NONE", HOST, "22", "and more"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");
}

#[test]
fn with_checkhostip_a_good_connection_stays_one_and_a_bad_one_is_none() {
    let mut world = world();
    let alias = format!("HostKeyAlias={HOST}");
    let port = format!("Port={}", world.sshd.port());
    // No loopback address by its number, for which ssh would not ask, and yet this machine.
    let direct = ["ProxyCommand=none", "HostName=0.0.0.0", "CheckHostIP=yes", &alias, &port];
    let files = ["UserKnownHostsFile=none", "GlobalKnownHostsFile=none", "LogLevel=DEBUG3"];
    for checking in ["StrictHostKeyChecking=yes", "StrictHostKeyChecking=ask", "StrictHostKeyChecking=no"] {
        let finished = world.works(&[&direct, &files, &[checking]], "web");
        assert!(finished.stderr.contains("KnownHostsCommand-ADDRESS"), "{finished:#?}");
    }
    world.sshd.rotate_host_keys();
    world.is_stopped(&[&direct, &files, &["StrictHostKeyChecking=no"]], "web", "DNSSEC proves other keys");
}

#[test]
fn arguments_that_ssh_would_not_give_are_refused_and_made_harmless() {
    let world = world();
    let (key_type, key) = world.key("ed25519");
    let (key_type, key) = (key_type.as_str(), key.as_str());
    let long = "A".repeat(120_000);
    let other = "AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==";
    for (arguments, code) in [
        // Mixed up, cut short, malformed.
        (["HOSTNAME", HOST, key, key_type, HOST, "22"], 2),
        (["HOSTNAME", HOST, "NONE", "NONE", HOST, "22"], 2),
        (["HOSTNAME", HOST, "ssh-rsa", key, HOST, "22"], 2),
        (["HOSTNAME", HOST, key_type, "\u{1b}[31m!", HOST, "22"], 2),
        (["HOSTNAME", HOST, "\u{1b}[31m", key, HOST, "22"], 2),
        (["HOSTNAME", HOST, key_type, &key[..40], HOST, "22"], 3),
        (["HOSTNAME", HOST, "ssh-rsa", other, HOST, "22"], 3),
        (["HOSTNAME", HOST, key_type, &long, HOST, "22"], 3),
        (["HOSTNAME", HOST, &long, key, HOST, "22"], 2),
        (["HOSTNAME", &long, key_type, key, HOST, "22"], 2),
        (["HOSTNAME", HOST, key_type, key, HOST, "+22"], 2),
        // A pattern for more hosts than one, or for a line that means something else.
        (["HOSTNAME", "*", key_type, key, "*", "22"], 2),
        (["HOSTNAME", "web1.example.test,*", key_type, key, HOST, "22"], 2),
        (["HOSTNAME", "@revoked", key_type, key, HOST, "22"], 2),
        (["HOSTNAME", "web1.example.test\nx", key_type, key, HOST, "22"], 2),
        // ssh looks for the keys of port 22, and is connected to another one.
        (["HOSTNAME", HOST, key_type, key, "web", "2222"], 2),
        (["OTHER", HOST, key_type, key, HOST, "22"], 2),
        (["hostname", HOST, key_type, key, HOST, "22"], 2),
    ] {
        let finished = world.call(&arguments);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(code), ""), "{finished:#?}");
        assert!(finished.stderr.len() < 2000, "{finished:#?}");
        assert!(finished.stderr.lines().all(|line| !line.contains(char::is_control)), "{finished:#?}");
    }
    assert_eq!(world.call(&["HOSTNAME", HOST, key_type, key, HOST, "22"]).code, Some(0));
}

#[test]
fn a_host_that_is_passed_is_left_to_ssh() {
    let mut world = world();
    world.sshd.rotate_host_keys();
    world.is_stopped(&[&LAX], HOST, "DNSSEC proves other keys");
    world.config("[[host]]\nmatch = \"web1.example.test\"\nmode = \"pass\"");
    let (key_type, key) = world.key("ed25519");
    let nobody = nobody();
    for call in ["ORDER", "HOSTNAME", "ADDRESS"] {
        let finished = world.call_by(nobody.addr(), &[call, HOST, &key_type, &key, HOST, "22"]);
        assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(0), "", ""));
    }
    world.works(&[&LAX], HOST);
    world.is_stopped(&[&STRICT], HOST, "Host key verification failed");
    let known = world.tree.sandbox.write("known_hosts", &format!("{HOST} {key_type} {key}\n"));
    let file = format!("UserKnownHostsFile={}", known.display());
    world.works(&[&[&file], &STRICT], HOST);
    // Another one is judged as ever; so is an address by no rule.
    world.tree.update(&world.sshd.sshfp_update("web2.example.test."));
    world.works(&[&STRICT], "web2.example.test");
    world.tree.update(&format!("update delete {OWNER} SSHFP"));
    world.works(&[&[&file], &STRICT], HOST);
}
