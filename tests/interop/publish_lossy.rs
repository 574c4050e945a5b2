//! A way to the primary that loses datagrams, rejects them, or lets none through: TCP is there.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::primary::{HOST, LIMIT, Primary, key, record};
use crate::support::forger::{Exchange, Forged, Forger, Transport};
use crate::support::run;

fn honest(exchange: &Exchange) -> Vec<Forged> {
    vec![Forged::Send(exchange.reply.clone())]
}

#[test]
fn where_no_datagram_gets_through_tcp_does() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let forger = Forger::start(primary.addr());
    let one = |more: &[&str]| {
        let mut command = primary.command_by(forger.addr(), "publish", "zone");
        run(command.args(["--json", "--name", HOST, "--host-key"]).arg(&a).args(more), LIMIT)
    };
    // Nothing gets through.
    forger.rule(|_| Vec::new());
    let finished = one(&["--timeout", "4"]);
    assert_eq!((finished.code, &finished.json()["reason"]), (Some(1), &"timeout".into()), "{finished:#?}");
    assert!(finished.json()["hint"].as_str().unwrap().contains("firewall"), "{finished:#?}");
    assert!(primary.records(HOST).0.is_empty());

    forger.rule(|exchange| match exchange.transport {
        Transport::Udp => Vec::new(),
        Transport::Tcp => honest(exchange),
    });
    let finished = one(&[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(HOST).0, [record(&a)]);
}

#[test]
fn where_datagrams_are_rejected_tcp_is_the_way_at_once() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let forger = Forger::start(primary.addr());
    forger.reject_datagrams();
    let mut command = primary.command_by(forger.addr(), "publish", "zone");
    let finished = run(command.args(["--json", "--name", HOST, "--host-key"]).arg(&a), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(HOST).0, [record(&a)]);
    let asked = forger.asked();
    assert!(!asked.is_empty() && asked.iter().all(|(transport, _)| *transport == Transport::Tcp));
}

#[test]
fn of_a_batch_whose_datagrams_are_lost_each_is_published() {
    const HOSTS: usize = 200;
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let forger = Forger::start(primary.addr());
    let (count, host) = (AtomicUsize::new(0), |at: usize| format!("web{at}.example.test"));
    // Four of five. Of so few hosts each is asked for by itself.
    forger.rule(move |exchange| match exchange.transport {
        Transport::Udp if count.fetch_add(1, Relaxed) % 5 > 0 => Vec::new(),
        _ => honest(exchange),
    });
    let batch: String = (0..HOSTS).map(|at| format!("{} {}\n", host(at), a.display())).collect();
    let batch = primary.sandbox().write("batch", &batch);
    let mut command = primary.command_by(forger.addr(), "publish", "zone");
    let finished = run(command.args(["--json", "--batch"]).arg(&batch), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let changed = finished.json_lines().iter().filter(|line| line["changed"] == true).count();
    assert_eq!(changed, HOSTS);
    assert_eq!(primary.records(&host(HOSTS - 1)).0, [record(&a)]);
}
