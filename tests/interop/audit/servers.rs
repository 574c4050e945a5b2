//! Every server of a zone: one that lags, one that is dead, one that serves another zone.

use super::{Audit, at, audit_at, plan, published, set};
use crate::support::Tree;
use crate::support::named::Secondary;
use crate::support::port::Port;
use crate::support::sshd::Sshd;

const HOST: &str = "web1.example.test";

#[test]
fn a_server_that_lags_and_one_that_is_dead_are_found() {
    let sshd = Sshd::start(&["ed25519"]);
    let plan = published(Tree::plan(), &sshd, HOST);
    let tree = published(plan, &sshd, "web1.sub.example.test").start();
    let mut secondary = Secondary::start(tree.addr(), "example.test");
    let (primary, second) = (tree.addr().to_string(), secondary.addr().to_string());
    let of_zone = format!("example.test={second}");
    let hosts = [at(HOST, &sshd), at("web1.sub.example.test", &sshd)];
    let look = |more: &[&str]| -> Audit {
        let servers = ["--check-server", &primary, "--check-server", &of_zone];
        audit_at(&tree, &hosts, &[&servers[..], more].concat())
    };
    // named signs the zone for two weeks.
    let usual = "warning replay-window";
    let audit = look(&[]);
    assert_eq!(audit.found(HOST), set(&["info same-machine"]), "{:#}", audit.report["zones"]);
    assert_eq!(audit.of_fleet(), set(&[usual]));
    let zones = audit.report["zones"].as_array().unwrap();
    assert_eq!(
        (zones[0]["servers"].as_array().unwrap().len(), zones[1]["servers"].as_array().unwrap().len()),
        (2, 1)
    );
    assert!(
        zones[0]["servers"].as_array().unwrap().iter().all(|s| s["agrees"] == true && s["serial"].is_u64()),
        "{}",
        zones[0]
    );

    // The primary has a record more.
    tree.update(&format!("update add {HOST}. 60 SSHFP 3 2 {}", "ab".repeat(32)));
    let audit = look(&[]);
    let found = audit.found(HOST);
    assert!(found.contains("warning server-differs"), "{found:?}");
    assert!(audit.message("server-differs").contains(&second), "{}", audit.message("server-differs"));
    assert!(!audit.found("web1.sub.example.test").contains("warning server-differs"));
    assert_eq!(audit.of_fleet(), set(&["info serial-differs", usual]));
    let servers = audit.report["zones"][0]["servers"].as_array().unwrap();
    let agrees = |address: &str| servers.iter().find(|s| s["address"] == address).unwrap()["agrees"].clone();
    assert_eq!((agrees(&primary), agrees(&second)), (true.into(), false.into()));

    // It has caught up; another is dead, and one does not serve the zone.
    secondary.refresh();
    let closed = Port::free().number();
    let dead = format!("127.0.0.1:{closed}");
    let audit = look(&["--check-server", &dead, "--timeout", "4"]);
    assert!(!audit.found(HOST).contains("warning server-differs"));
    assert_eq!(audit.of_fleet(), set(&["warning dead-server", usual]));
    assert!(audit.message("dead-server").contains(&dead));
    let lame = format!("sub.example.test={second}");
    let audit = look(&["--check-server", &lame]);
    assert_eq!(audit.of_fleet(), set(&["warning dead-server", usual]));
    assert!(audit.message("dead-server").contains("sub.example.test"), "{}", audit.message("dead-server"));
    // Nobody is asked who is not to be.
    let audit = audit_at(&tree, &hosts, &["--no-servers"]);
    assert_eq!((audit.of_fleet(), audit.report["zones"].as_array().unwrap().len()), (set(&[usual]), 0));
}

#[test]
fn unsigned_zones_have_servers_too() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = published(plan(), &sshd, "web1.plain.test").start();
    let server = tree.addr().to_string();
    let audit = audit_at(&tree, &[at("web1.plain.test", &sshd)], &["--check-server", &server]);
    let host = audit.host("web1.plain.test");
    assert_eq!((&host["zone"], &host["status"]), (&"plain.test".into(), &"insecure".into()));
    assert_eq!((&host["records"][0]["proven"], &host["servers"][0]["agrees"]), (&false.into(), &true.into()));
}
