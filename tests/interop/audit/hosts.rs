//! Records, live keys, and hosts that are not there.

use std::net::TcpListener;

use super::{at, audit, plan, published, set};
use crate::support::handmade::{Lies, blob, keypair, start_in_thread};
use crate::support::peer::command;
use crate::support::sshd::{Sshd, sshfp_lines};
use crate::support::{run, run_ok};

const NOBODY: &str = "4 2 aa00000000000000000000000000000000000000000000000000000000000055";

#[test]
fn a_fleet_that_is_well_has_no_findings() {
    let (one, two) = (Sshd::start(&["ed25519", "ecdsa256"]), Sshd::start(&["ed25519"]));
    let plan = published(plan(), &one, "web1.example.test");
    let tree = published(plan, &two, "web1.sub.example.test").start();
    let hosts = [at("web1.example.test", &one), at("web1.sub.example.test", &two)];
    let audit = audit(&tree, &hosts, &["--fail-on", "info"]);
    assert_eq!((audit.all(), audit.finished.code), (vec![], Some(0)), "{:#?}", audit.finished);
    let host = audit.host("web1.example.test");
    assert_eq!(
        (&host["verdict"], &host["status"], &host["zone"]),
        (&"accept".into(), &"secure".into(), &"example.test".into())
    );
    assert_eq!(host["records"].as_array().unwrap().len(), 2, "{host}");
    let keys = host["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "every type was learnt: {host}");
    assert!(keys.iter().all(|key| key["published"] == true && key["seen"][0] == "live"), "{host}");
    assert_eq!((&host["servers"][0]["agrees"], &host["address"]), (&true.into(), &"127.0.0.1".into()));
    assert!(host["signed_until"].as_str().unwrap() > host["valid_until"].as_str().unwrap(), "{host}");
    assert!(host["server_version"].as_str().unwrap().starts_with("SSH-2.0-OpenSSH"), "{host}");
    let summary = &audit.report["summary"];
    assert_eq!(
        (&summary["hosts"], &summary["accept"], &summary["errors"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert_eq!(audit.report["zones"].as_array().unwrap().len(), 2);
    // Nobody was to authenticate.
    assert!(!one.process.log().contains("userauth"));
}

#[test]
fn records_and_live_keys_are_held_against_each_other() {
    let sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let other = Sshd::start(&["ed25519", "ecdsa256"]);
    let line =
        |sshd: &Sshd, host: &str, key: &str| sshfp_lines(&sshd.host_key(key), &format!("{host}.")).remove(0);
    let name = |n: u8| format!("web{n}.example.test");
    let sha1 = |host: &str| {
        let all = run_ok(command("ssh-keygen").args(["-r", host, "-f"]).arg(sshd.host_key("ed25519")));
        all.lines().find(|line| line.contains("SSHFP 4 1 ")).unwrap().to_owned()
    };
    let tree = plan()
        // web1: its second key contradicts its record, though it is accepted by the first.
        .record(&line(&sshd, &name(1), "ed25519"))
        .record(&line(&other, &name(1), "ecdsa256"))
        // web2: the second key has no record.
        .record(&line(&sshd, &name(2), "ed25519"))
        // web3: a record too many, of one algorithm.
        .record(&line(&sshd, &name(3), "ed25519"))
        .record(&line(&sshd, &name(3), "ecdsa256"))
        .record(&format!("{}. SSHFP {NOBODY}", name(3)))
        // web4: a record of an algorithm that it has no key of. And SHA-1 beside SHA-256.
        .record(&line(&sshd, &name(4), "ed25519"))
        .record(&line(&sshd, &name(4), "ecdsa256"))
        .record(&format!("{}. SSHFP {}", name(4), NOBODY.replacen('4', "1", 1)))
        .record(&sha1(&format!("{}.", name(4))))
        // web5 has none. web6: SHA-1 alone. web7: another's.
        .record(&sha1(&format!("{}.", name(6))))
        .record(&line(&other, &name(7), "ed25519"))
        .start();
    let mut hosts: Vec<String> = (1..=7).map(|n| at(&name(n), &sshd)).collect();
    hosts.push(at("web1.plain.test", &sshd));
    hosts.push(at("web1.broken.test", &sshd));
    hosts.push(format!("127.0.0.1:{}", sshd.port()));
    let audit = audit(&tree, &hosts, &[]);
    assert_eq!(audit.finished.code, Some(5), "{:#?}", audit.finished);
    // They are all one machine, and that is said of each.
    for (host, want) in [
        (name(1), &["error key-mismatch", "warning stale-record"][..]),
        (name(2), &["warning missing-record"]),
        (name(3), &["warning several-of-algorithm", "warning stale-record"]),
        (name(4), &["info sha1-record", "warning stale-record"]),
        (name(5), &["error no-record"]),
        (name(6), &["error sha1-only", "info sha1-record"]),
        (name(7), &["error key-mismatch", "warning missing-record", "warning stale-record"]),
        ("web1.plain.test".into(), &["error insecure"]),
    ] {
        let mut found = audit.found(&host);
        assert!(found.remove("info same-machine"), "{host}: {found:?}");
        assert_eq!(found, set(want), "{host}: {:#}", audit.host(&host)["findings"]);
    }
    assert!(audit.message("same-machine").contains("is the same machine as"));
    assert_eq!(audit.host("web1.example.test")["verdict"], "accept");
    assert_eq!(audit.host("web1.broken.test")["status"], "bogus");
    assert!(audit.found("web1.broken.test").iter().any(|code| code.starts_with("error ")));
    assert_eq!(audit.found("127.0.0.1"), set(&["error address"]));
    let summary = &audit.report["summary"];
    assert_eq!(
        (&summary["accept"], &summary["reject"], &summary["unproven"]),
        (&4.into(), &1.into(), &5.into())
    );
}

#[test]
fn one_key_on_two_machines_is_told_from_one_machine_with_two_names() {
    let other = Sshd::start(&["ed25519"]);
    let port = crate::support::port::Port::free();
    // One sshd at two addresses: to those who look, two machines from one image.
    let sshd = Sshd::start_with(
        &["ed25519"],
        &format!("ListenAddress 127.0.0.2:{}\nListenAddress 127.0.0.3:{0}", port.number()),
    );
    let key = sshd.sshfp("x.").remove(0).split_once("SSHFP ").unwrap().1.to_owned();
    let tree = published(plan(), &other, "web1.example.test")
        .record("clone1.example.test. A 127.0.0.2")
        .record(&format!("clone1.example.test. SSHFP {key}"))
        .record("clone2.example.test. A 127.0.0.3")
        .record(&format!("clone2.example.test. SSHFP {key}"))
        .record("alias.example.test. CNAME clone1.example.test.")
        .start();
    let host = |name: &str| format!("{name}.example.test:{}", port.number());
    let audit = |hosts: &[String]| audit(&tree, hosts, &[]);
    let found = audit(&[host("clone1"), host("clone2"), host("alias"), at("web1.example.test", &other)]);
    assert_eq!(found.found("clone1.example.test"), set(&["warning shared-key"]));
    assert_eq!(found.found("clone2.example.test"), set(&["warning shared-key"]));
    assert_eq!(found.found("alias.example.test"), set(&["warning shared-key"]));
    assert_eq!(found.found("web1.example.test"), set(&[]));
    assert!(
        found.message("shared-key").contains("so does clone2.example.test:"),
        "{}",
        found.message("shared-key")
    );
    assert_eq!(found.finished.code, Some(0), "warnings alone");
    let found = audit(&[host("clone1"), host("alias")]);
    assert_eq!(found.found("alias.example.test"), set(&["info same-machine"]));
}

#[test]
fn hosts_that_do_not_answer_are_told_and_records_of_them_are_orphans() {
    let (sshd, silent) = (Sshd::start(&["ed25519"]), TcpListener::bind("127.0.0.1:0").unwrap());
    let closed = crate::support::port::Port::free();
    let tree = published(plan(), &sshd, "web1.example.test");
    let tree = published(tree, &sshd, "web2.example.test");
    let tree = published(tree, &sshd, "web3.example.test");
    let tree = published(tree, &sshd, "gone.example.test").start();
    let hosts = [
        at("web1.example.test", &sshd),
        format!("web2.example.test:{}", closed.number()),
        format!("web3.example.test:{}", silent.local_addr().unwrap().port()),
        at("gone.example.test", &sshd),
        format!("web4.example.test:{}", closed.number()),
    ];
    let audit = audit(&tree, &hosts, &["--timeout", "3"]);
    assert_eq!(audit.found("web1.example.test"), set(&[]));
    assert_eq!(audit.found("web2.example.test"), set(&["warning orphan"]));
    assert_eq!(audit.found("web3.example.test"), set(&["warning unreachable"]));
    assert_eq!(audit.found("gone.example.test"), set(&["warning orphan"]));
    assert_eq!(audit.found("web4.example.test"), set(&["error no-record", "warning unreachable"]));
    let gone = &audit.host("gone.example.test")["findings"][0];
    assert!(gone["message"].as_str().unwrap().contains("has no address any more"), "{gone}");
    assert!(gone["hint"].as_str().unwrap().contains("sshanchor withdraw --name gone.example.test"), "{gone}");
    assert_eq!(audit.report["summary"]["unreachable"], 3);
    assert_eq!(audit.finished.code, Some(5));
}

#[test]
fn weak_keys_and_algorithms_are_told() {
    let sshd = Sshd::start(&["rsa1024", "ed25519"]);
    let strong = Sshd::start(&["rsa"]);
    let sha1 = Sshd::start_with(&["rsa", "ed25519"], "HostKeyAlgorithms ssh-ed25519,ssh-rsa");
    let tree = published(plan(), &sshd, "web1.example.test");
    let tree = published(tree, &strong, "web2.example.test");
    let tree = published(tree, &sha1, "web3.example.test").start();
    let hosts =
        [at("web1.example.test", &sshd), at("web2.example.test", &strong), at("web3.example.test", &sha1)];
    let audit = audit(&tree, &hosts, &[]);
    assert_eq!(audit.found("web1.example.test"), set(&["warning weak-key"]));
    assert_eq!(audit.found("web2.example.test"), set(&["info weak-key"]));
    assert_eq!(audit.found("web3.example.test"), set(&["warning stale-record", "warning weak-algorithm"]));
}

#[test]
fn lifetimes_and_ttls_are_told_once_a_zone() {
    let sshd = Sshd::start(&["ed25519"]);
    let line = sshd.sshfp("web2.sub.example.test.").remove(0).replacen("IN", "172800 IN", 1);
    let tree = plan()
        .with("example.test.", |zone| zone.valid("now-3600", "now+1209600"))
        .with("test.", |zone| zone.valid("now-864000", "now+36000"));
    let tree = published(tree, &sshd, "web1.example.test");
    let tree = published(tree, &sshd, "web2.example.test");
    let tree = published(tree, &sshd, "web1.sub.example.test").record(&line).start();
    let hosts = ["web1.example.test", "web2.example.test", "web1.sub.example.test", "web2.sub.example.test"];
    let audit = audit(&tree, &hosts.map(|host| at(host, &sshd)), &[]);
    let of = |host| {
        let mut found = audit.found(host);
        found.remove("info same-machine");
        found
    };
    assert_eq!((of(hosts[0]), of(hosts[1])), (set(&[]), set(&[])));
    assert_eq!((of(hosts[2]), of(hosts[3])), (set(&[]), set(&["warning ttl"])));
    assert_eq!(audit.of_fleet(), set(&["warning replay-window", "warning signature-end"]));
    assert!(audit.message("replay-window").ends_with("(2 hosts)"), "{}", audit.message("replay-window"));
}

#[test]
fn text_of_a_hostile_server_does_not_reach_the_terminal() {
    let digest = sshanchor::proto::hostkey::HostKey::from_blob(&blob(&keypair(1))).unwrap().sha256();
    let hex: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let tree = plan().record(&format!("web1.example.test. SSHFP 4 2 {hex}")).start();
    let banner = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = banner.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::Write;
        for stream in banner.incoming() {
            let _ = stream.unwrap().write_all(b"SSH-2.0-\x1b[31mred\x07\r\n");
        }
    });
    let server = start_in_thread(Lies::default());
    for port in [port, server.port()] {
        let mut command = tree.sshanchor(tree.addr());
        command.args(["audit", "-v", "--check-server", &tree.addr().to_string(), "-H"]);
        let finished = run(command.arg(format!("web1.example.test:{port}")), super::LIMIT);
        let is_clean = |text: &str| text.chars().all(|c| c == '\n' || c == ' ' || c.is_ascii_graphic());
        assert!(is_clean(&finished.stdout) && is_clean(&finished.stderr), "{finished:#?}");
        assert!(finished.stdout.starts_with("1 host: "), "{finished:#?}");
        assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
    }
}
