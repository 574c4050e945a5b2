//! Resolvers that fail in some way, alone and beside one that is good: where a good path exists, a lookup
//! succeeds within its deadline.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use sshanchor::dns::lookup::Lookups;
use sshanchor::dns::resolver::Resolver;
use sshanchor::proto::chain::{Anchors, Answer};
use sshanchor::proto::denial::Unproven;
use sshanchor::proto::message::Question;
use sshanchor::proto::name::Name;
use sshanchor::proto::rr::RrType;
use tokio::time::Instant;

use crate::support::forger::{Exchange, Forged, Forger, Transport, truncated};
use crate::support::unbound::Unbound;
use crate::support::wire::{DNSKEY, Dns, RRSIG, Rr};
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test.";
/// For a lookup by a resolver that does not help, in seconds; and for one that has a good one to ask.
const SHORT: &str = "1.5";
const LONG: &str = "8";

/// The file of the root's key.
const ANCHOR: &str = "anchor-root.key";

type Rule = Arc<dyn Fn(&Exchange) -> Vec<Forged> + Send + Sync>;

fn tree() -> Tree {
    (1..=9)
        .fold(Tree::plan(), |plan, i| {
            plan.record(&format!("web{i}.example.test. SSHFP 4 2 {}", "5a".repeat(32)))
        })
        .start()
}

fn lookup(tree: &Tree, resolvers: &[SocketAddr], timeout: &str) -> Finished {
    let list: Vec<String> = resolvers.iter().map(SocketAddr::to_string).collect();
    let mut command = tree.sandbox.sshanchor();
    command.env("SSHANCHOR_TRUST_ANCHOR", tree.sandbox.join(ANCHOR)).env("SSHANCHOR_CACHE", "off");
    command.env("SSHANCHOR_RESOLVER", list.join(",")).args(["lookup", HOST, "--json", "--timeout", timeout]);
    run(&mut command, Duration::from_secs(30))
}

fn changed(change: impl Fn(&mut Dns) + Send + Sync + 'static) -> Rule {
    Arc::new(move |exchange| {
        let mut message = exchange.message();
        change(&mut message);
        vec![Forged::Send(message.write())]
    })
}

/// The question, answered by this response code alone.
fn only_rcode(rcode: u16) -> Rule {
    changed(move |message| {
        *message = message.answered(Vec::new());
        message.additional.clear();
        message.flags |= rcode;
    })
}

/// Truncated over UDP, and this over TCP.
fn over_tcp(then: impl Fn(&Exchange) -> Vec<Forged> + Send + Sync + 'static) -> Rule {
    Arc::new(move |exchange| match exchange.transport {
        Transport::Udp => vec![Forged::Send(truncated(&exchange.reply))],
        Transport::Tcp => then(exchange),
    })
}

fn sections(message: &mut Dns) -> [&mut Vec<Rr>; 2] {
    [&mut message.answer, &mut message.authority]
}

fn unsigned(message: &mut Dns) {
    sections(message).into_iter().for_each(|section| section.retain(|rr| rr.rtype != RRSIG));
}

/// Junk that bears the id and the question, and a cut reply.
fn garbage(exchange: &Exchange) -> Vec<Forged> {
    let mut counts = exchange.reply.clone();
    counts[7] = 77;
    let cut = exchange.reply[..exchange.reply.len() - 3].to_vec();
    [counts, cut, vec![0; 700], exchange.question.clone()].into_iter().map(Forged::Raw).collect()
}

#[test]
fn a_resolver_that_fails_does_not_matter_beside_one_that_is_good() {
    const FORMERR: u16 = 1;
    const SERVFAIL: u16 = 2;
    let failing: Vec<(&str, Rule)> = vec![
        ("silent", Arc::new(|_| Vec::new())),
        ("SERVFAIL", only_rcode(SERVFAIL)),
        ("FORMERR to EDNS", only_rcode(FORMERR)),
        (
            "ignores EDNS",
            changed(|message| {
                unsigned(message);
                message.additional.clear();
            }),
        ),
        ("leaves signatures out", changed(unsigned)),
        (
            "spoils signatures",
            changed(|message| {
                for rr in sections(message).into_iter().flatten().filter(|rr| rr.rtype == RRSIG) {
                    *rr.data.last_mut().unwrap() ^= 1;
                }
            }),
        ),
        (
            "has no DNSKEY",
            Arc::new(|exchange| match exchange.message().rtype {
                DNSKEY => only_rcode(SERVFAIL)(exchange),
                _ => vec![Forged::Send(exchange.reply.clone())],
            }),
        ),
        (
            "leads on and on",
            changed(|message| {
                let further = [b"\x01x", message.name.0.as_slice()].concat();
                let cname = Rr::cname(HOST, HOST);
                message.answer = vec![Rr { name: message.name.clone(), data: further, ..cname }];
                message.authority.clear();
            }),
        ),
        ("garbage, at once and without end", Arc::new(|exchange| vec![garbage(exchange); 2000].concat())),
        ("TCP stalls", over_tcp(|_| vec![Forged::Wait(Duration::from_secs(20))])),
        ("TCP closes", over_tcp(|_| vec![Forged::Close])),
        ("TCP cut short", over_tcp(|e| vec![Forged::Raw(e.reply[..5].to_vec()), Forged::Close])),
    ];
    let tree = tree();
    let good = Unbound::validating(&tree);
    thread::scope(|scope| {
        for (what, rule) in failing {
            let (tree, good) = (&tree, good.addr());
            scope.spawn(move || {
                let forger = Forger::start(good);
                forger.rule(move |exchange| rule(exchange));
                let alone = lookup(tree, &[forger.addr()], SHORT);
                assert_eq!(alone.code, Some(4), "{what}: {alone:#?}");
                let beside = lookup(tree, &[forger.addr(), good], LONG);
                assert_eq!(beside.code, Some(0), "{what}: {beside:#?}");
                assert!(!forger.asked().is_empty());
            });
        }
    });
}

#[test]
fn one_resolver_that_fails_once_is_enough() {
    let tree = tree();
    let unbound = Unbound::validating(&tree);
    let forger = Forger::start(unbound.addr());
    forger.rule(|exchange| [garbage(exchange), vec![Forged::Send(exchange.reply.clone())]].concat());
    let finished = lookup(&tree, &[forger.addr()], LONG);
    assert_eq!(finished.code, Some(0), "garbage comes first: {finished:#?}");
    let stalled = AtomicUsize::new(0);
    let stalls_once = over_tcp(move |exchange| match stalled.fetch_add(1, Ordering::Relaxed) {
        0 => vec![Forged::Wait(Duration::from_secs(20))],
        _ => vec![Forged::Send(exchange.reply.clone())],
    });
    forger.rule(move |exchange| stalls_once(exchange));
    let finished = lookup(&tree, &[forger.addr()], "4");
    assert_eq!(finished.code, Some(0), "TCP stalls once: {finished:#?}");
}

/// Lookups of one run, whose deadline is far.
fn lookups(tree: &Tree, resolvers: Vec<SocketAddr>) -> Lookups {
    let anchors = Anchors::from_text(&std::fs::read_to_string(tree.sandbox.join(ANCHOR)).unwrap()).unwrap();
    let now = sshanchor::verifier::now();
    Lookups::new(Resolver::new(resolvers).unwrap(), anchors, now, Instant::now() + Duration::from_secs(30))
}

async fn prove(lookups: &Lookups, number: usize) -> Result<Answer, Unproven> {
    let name = Name::from_text(&format!("web{number}.example.test.")).unwrap();
    lookups.prove(&Question::new(name, RrType::SSHFP)).await
}

#[tokio::test]
async fn a_run_turns_to_the_resolver_that_was_of_use() {
    let tree = tree();
    let good = Unbound::validating(&tree);
    let forger = Forger::start(good.addr());
    forger.change(unsigned);
    let lookups = lookups(&tree, vec![forger.addr(), good.addr()]);
    prove(&lookups, 1).await.unwrap();
    let at_first = forger.asked().len();
    for number in 2..=9 {
        prove(&lookups, number).await.unwrap();
    }
    assert_eq!(forger.asked().len(), at_first, "and the zones that it proved are proven");
}

#[tokio::test]
async fn zone_keys_that_did_not_come_may_come_for_a_later_host() {
    let tree = tree();
    let unbound = Unbound::validating(&tree);
    let forger = Forger::start(unbound.addr());
    let down = Arc::new(AtomicBool::new(true));
    let is_down = down.clone();
    forger.rule(move |exchange| match exchange.message().rtype {
        DNSKEY if is_down.load(Ordering::SeqCst) => only_rcode(2)(exchange),
        _ => vec![Forged::Send(exchange.reply.clone())],
    });
    let lookups = lookups(&tree, vec![forger.addr()]);
    let unproven = prove(&lookups, 1).await.unwrap_err();
    assert!(unproven.is_outage(), "{unproven}");
    down.store(false, Ordering::SeqCst);
    let keys_asked = || forger.asked().iter().filter(|(_, asked)| asked.rtype == DNSKEY).count();
    let (begun, asked) = (Instant::now(), keys_asked());
    assert!(prove(&lookups, 2).await.is_err());
    assert_eq!(keys_asked(), asked, "left alone for a while");
    let mut number = 2;
    while let Err(unproven) = prove(&lookups, number).await {
        assert!(unproven.is_outage(), "{unproven}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{unproven}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        number = 2 + number % 8;
    }
}
