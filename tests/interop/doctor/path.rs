//! What resolvers hand out: a real validating recursor, and what stands before some of them.

use crate::support::forger::{Exchange, Forged, Forger, Transport, truncated};
use crate::support::port::Port;
use crate::support::unbound::{Unbound, stubs};
use crate::support::wire::{DS, Dns, NSEC, NSEC3, RRSIG};

use super::*;

const OPT: u16 = 41;

fn has_edns(message: &Dns) -> bool {
    message.additional.iter().any(|rr| rr.rtype == OPT)
}

fn has_cd(message: &Dns) -> bool {
    message.flags & 0x10 != 0
}

/// An empty answer with this response code, to whatever was asked.
fn refusal(exchange: &Exchange, rcode: u16) -> Vec<Forged> {
    let mut reply = Dns::read(&exchange.question).answered(Vec::new());
    reply.flags |= rcode;
    vec![Forged::Send(reply.write())]
}

fn honest(exchange: &Exchange) -> Vec<Forged> {
    vec![Forged::Send(exchange.reply.clone())]
}

#[test]
fn a_good_path_is_well_in_all_and_each_fault_is_told_by_its_name() {
    let tree = plan().start();
    let unbound = Unbound::validating(&tree);
    let forger = Forger::start(unbound.addr());
    let look = || doctor(&tree, forger.addr(), &["--timeout", "5"]);
    let well = look();
    assert_eq!(well.complaints(), Vec::<&str>::new(), "{:#?}", well.finished);
    for check in ["udp", "answers", "edns", "dnssec", "ds", "denials", "cd", "tcp", "size"] {
        assert_eq!(well.severity(&format!("resolver-{check}")), "ok", "{:#?}", well.finished);
    }

    // A box that drops signatures.
    forger.change(|message| {
        message.answer.retain(|rr| rr.rtype != RRSIG);
        message.authority.retain(|rr| ![RRSIG, NSEC, NSEC3].contains(&rr.rtype));
    });
    let stripped = look();
    assert_eq!(stripped.severity("resolver-dnssec"), "error");
    assert!(stripped.message("resolver-dnssec").contains("strips"));
    assert_eq!(
        (stripped.severity("resolver-ds"), stripped.severity("resolver-denials")),
        ("error", "warning")
    );
    assert_eq!(stripped.severity("resolver-udp"), "ok");

    // DS records and denials alone.
    forger.change(|message| {
        message.authority.retain(|rr| ![NSEC, NSEC3].contains(&rr.rtype));
        message.answer.retain(|rr| !rr.concerns(DS));
    });
    let no_ds = look();
    assert_eq!((no_ds.severity("resolver-ds"), no_ds.severity("resolver-denials")), ("error", "warning"));
    assert_eq!(no_ds.severity("resolver-dnssec"), "ok");

    // Servers that do not know EDNS: with FORMERR, in silence, and by leaving everything out.
    forger.rule(|exchange| match has_edns(&Dns::read(&exchange.question)) {
        true => refusal(exchange, 1),
        false => honest(exchange),
    });
    assert_eq!(look().severity("resolver-edns"), "error");
    forger.rule(|exchange| match has_edns(&Dns::read(&exchange.question)) {
        true => Vec::new(),
        false => honest(exchange),
    });
    assert!(look().message("resolver-edns").contains("unanswered"));
    forger.change(|message| {
        message.additional.clear();
        message.answer.retain(|rr| rr.rtype != RRSIG);
    });
    assert!(look().message("resolver-edns").contains("answers without EDNS"));

    // One that cannot bear CD, and one that cannot help at all.
    forger.rule(|exchange| match has_cd(&Dns::read(&exchange.question)) {
        true => refusal(exchange, 2),
        false => honest(exchange),
    });
    assert_eq!(look().severity("resolver-cd"), "error");
    forger.rule(|exchange| refusal(exchange, 2));
    let servfail = look();
    assert_eq!(servfail.severity("resolver-answers"), "error");
    assert!(servfail.message("resolver-answers").contains("SERVFAIL"));
    forger.rule(|exchange| refusal(exchange, 5));
    assert!(look().message("resolver-answers").contains("REFUSED"));
    forger.change(|message| message.flags &= !0x10);
    assert_eq!(look().severity("resolver-cd"), "info");
}

#[test]
fn tcp_that_is_blocked_is_told_and_graver_where_it_is_needed() {
    let tree = plan().start();
    let forger = Forger::start(tree.addr());
    let look = || doctor(&tree, forger.addr(), &["--timeout", "5"]);
    let no_tcp = |exchange: &Exchange| match exchange.transport {
        Transport::Tcp => vec![Forged::Close],
        Transport::Udp => honest(exchange),
    };
    forger.rule(no_tcp);
    let spare = look();
    assert_eq!(spare.severity("resolver-tcp"), "warning");
    assert_eq!(spare.complaints(), ["resolver-tcp"]);
    forger.rule(|exchange| match exchange.transport {
        Transport::Tcp => vec![Forged::Close],
        Transport::Udp => vec![Forged::Send(truncated(&exchange.reply))],
    });
    let needed = look();
    assert_eq!((needed.severity("resolver-tcp"), needed.severity("resolver-size")), ("error", "error"));
    forger.rule(|exchange| match exchange.transport {
        Transport::Tcp => honest(exchange),
        Transport::Udp => vec![Forged::Send(truncated(&exchange.reply))],
    });
    let open = look();
    assert_eq!((open.severity("resolver-tcp"), open.severity("resolver-size")), ("ok", "ok"));
    assert!(open.message("resolver-size").contains("over TCP"), "{:#?}", open.finished);
}

#[test]
fn udp_that_is_blocked_is_told_and_tcp_serves() {
    let tree = plan().start();
    let forger = Forger::start(tree.addr());
    forger.rule(|exchange| match exchange.transport {
        Transport::Tcp => honest(exchange),
        Transport::Udp => Vec::new(),
    });
    let found = doctor(&tree, forger.addr(), &["--timeout", "5"]);
    assert_eq!(found.complaints(), ["resolver-udp"], "{:#?}", found.finished);
    assert_eq!(found.severity("resolver-udp"), "warning");
    assert!(found.message("resolver-size").contains("over TCP"), "{:#?}", found.finished);
    forger.rule(|_| Vec::new());
    let found = doctor(&tree, forger.addr(), &["--timeout", "5"]);
    assert_eq!(found.severity("resolver-udp"), "error", "{:#?}", found.finished);
}

#[test]
fn a_resolver_that_is_not_there_is_told_within_the_deadline_and_another_stands_in() {
    let tree = plan().start();
    let nobody = Port::free();
    let gone = doctor(&tree, nobody.addr(), &["--timeout", "2"]);
    assert_eq!(gone.severity("resolver-udp"), "error");
    assert!(gone.message("resolver-udp").contains("cannot be reached"));
    assert!(gone.finished.elapsed < Duration::from_secs(15), "{:#?}", gone.finished);

    let silent = Forger::start(tree.addr());
    silent.rule(|_| Vec::new());
    let dead = doctor(&tree, silent.addr(), &["--timeout", "2", HOST]);
    assert_eq!((dead.severity("resolver-udp"), dead.severity("chain")), ("error", "error"));
    assert!(dead.finished.elapsed < Duration::from_secs(20), "{:#?}", dead.finished);

    let both = doctor(
        &tree,
        nobody.addr(),
        &["--resolver", &nobody.addr().to_string(), "--resolver", &tree.addr().to_string()],
    );
    assert_eq!(both.all("resolver-udp"), ["warning", "ok"]);
    assert_eq!(both.finished.code, Some(5));
}

#[test]
fn a_recursor_that_does_not_validate_serves_as_well() {
    let tree = plan().start();
    let plain = Unbound::start(&stubs(&tree), None);
    let found = doctor(&tree, plain.addr(), &[]);
    assert_eq!(found.complaints(), Vec::<&str>::new(), "{:#?}", found.finished);
}
