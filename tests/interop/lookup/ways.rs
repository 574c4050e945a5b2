//! How a resolver is reached: by datagrams, and over TCP where these do not come through.

use std::time::Duration;

use super::{LIMIT, lookup, sshfp, status};
use crate::support::Tree;
use crate::support::forger::{Forged, Forger, Transport};
use crate::support::port::Port;
use crate::support::unbound::Unbound;

#[test]
fn a_set_too_large_for_udp_comes_over_tcp() {
    let records = (0..60).map(|i| format!("web1.example.test. SSHFP 4 2 {i:064x}"));
    let tree = records.fold(Tree::plan(), |plan, line| plan.record(&line)).start();
    let unbound = Unbound::validating(&tree);
    for resolver in [tree.addr(), unbound.addr()] {
        let (finished, json) = lookup(&tree, resolver, "web1.example.test", "SSHFP", &[]);
        assert_eq!(json["status"], "secure", "{finished:#?}");
        assert_eq!(json["records"].as_array().unwrap().len(), 60);
    }
}

#[test]
fn where_no_datagram_gets_through_to_the_resolver_tcp_does() {
    let tree = Tree::plan().record(&sshfp("web1.example.test.")).start();
    let unbound = Unbound::validating(&tree);
    let forger = Forger::start(unbound.addr());
    forger.rule(|exchange| match exchange.transport {
        Transport::Udp => Vec::new(),
        Transport::Tcp => vec![Forged::Send(exchange.reply.clone())],
    });
    assert_eq!(status(&tree, forger.addr(), "web1.example.test"), "secure");
    forger.rule(|_| Vec::new());
    let (finished, json) = lookup(&tree, forger.addr(), "web1.example.test", "SSHFP", &["--timeout", "4"]);
    assert_eq!((finished.code == Some(0), &json["status"]), (false, &"indeterminate".into()), "{json}");
    assert_eq!(json["reason"], "no-answer", "{json}");
}

#[test]
fn where_datagrams_are_rejected_tcp_is_the_way() {
    let tree = Tree::plan().record(&sshfp("web1.example.test.")).start();
    let unbound = Unbound::validating(&tree);
    let forger = Forger::start(unbound.addr());
    forger.reject_datagrams();
    assert_eq!(status(&tree, forger.addr(), "web1.example.test"), "secure");
    // Nobody at either port: at once, whatever the time.
    let nobody = Port::free();
    let (finished, json) = lookup(&tree, nobody.addr(), "web1.example.test", "SSHFP", &["--timeout", "60"]);
    assert_eq!((finished.code == Some(0), &json["status"]), (false, &"indeterminate".into()), "{json}");
    assert!(finished.elapsed < LIMIT / 2, "{finished:#?}");
}

#[test]
fn a_resolver_that_is_not_there_leaves_it_indeterminate_within_the_deadline() {
    let tree = Tree::start();
    let port = Port::free();
    let (finished, json) = lookup(&tree, port.addr(), "web1.example.test", "SSHFP", &["--timeout", "2"]);
    assert_eq!(json["status"], "indeterminate", "{finished:#?}");
    assert_ne!(finished.code, Some(0));
    assert!(finished.elapsed < Duration::from_secs(5), "{finished:#?}");
}
