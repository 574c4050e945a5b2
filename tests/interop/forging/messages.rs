//! Messages that are no answers, and answers that are no messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{HOST, World};
use crate::support::forger::{Exchange, Forged, Transport, framed, truncated};
use crate::support::wire::{Dns, RRSIG, SSHFP};

fn honest(exchange: &Exchange) -> Vec<Forged> {
    vec![Forged::Send(exchange.reply.clone())]
}

/// The same question's reply under another id.
fn other_id(exchange: &Exchange) -> Vec<u8> {
    let mut reply = exchange.reply.clone();
    reply[1] ^= 1;
    reply
}

#[test]
fn truncated_answers_are_asked_for_again_over_tcp() {
    let world = World::start();
    // The twin: cut short over UDP, whole over TCP.
    world.forger.rule(|exchange| match exchange.transport {
        Transport::Udp => vec![Forged::Send(truncated(&exchange.reply))],
        Transport::Tcp => honest(exchange),
    });
    world.accepts(HOST, &world.honest);
    assert!(world.forger.asked().iter().any(|(transport, _)| *transport == Transport::Tcp));
    // TCP says the same, ends, or ends in the middle.
    world.forger.rule(|exchange| vec![Forged::Send(truncated(&exchange.reply)), Forged::Close]);
    world.refuses(HOST, &world.honest);
    world.forger.rule(|exchange| match exchange.transport {
        Transport::Udp => vec![Forged::Send(truncated(&exchange.reply))],
        Transport::Tcp => vec![Forged::Close],
    });
    world.refuses(HOST, &world.honest);
    world.forger.rule(|exchange| match exchange.transport {
        Transport::Udp => vec![Forged::Send(truncated(&exchange.reply))],
        Transport::Tcp => {
            let whole = framed(&exchange.reply);
            vec![Forged::Raw(whole[..whole.len() / 2].to_vec()), Forged::Close]
        }
    });
    world.refuses(HOST, &world.honest);
    // Octets missing at the end, without the bit that says so.
    for keep in [12, 30, 60] {
        world.forger.rule(move |exchange| {
            vec![Forged::Send(exchange.reply[..keep.min(exchange.reply.len())].to_vec())]
        });
        world.refuses(HOST, &world.honest);
    }
}

#[test]
fn an_answer_with_a_wrong_id_is_not_taken() {
    let world = World::start();
    world.forger.rule(|exchange| vec![Forged::Send(other_id(exchange))]);
    world.refuses(HOST, &world.honest);
    // The twin: a forger's guess arrives first, then the truth.
    world.forger.rule(|exchange| [vec![Forged::Send(other_id(exchange))], honest(exchange)].concat());
    world.accepts(HOST, &world.honest);
}

#[test]
fn an_answer_to_another_question_is_not_taken() {
    let world = World::start();
    let reply = |exchange: &Exchange| {
        let mut message = exchange.message();
        message.name = crate::support::wire::WireName::new("web2.example.test.");
        message.write()
    };
    world.forger.rule(move |exchange| vec![Forged::Send(reply(exchange))]);
    world.refuses(HOST, &world.honest);
    world.forger.rule(move |exchange| [vec![Forged::Send(reply(exchange))], honest(exchange)].concat());
    world.accepts(HOST, &world.honest);
    // A question sent back as it came is no answer.
    world.forger.rule(|exchange| vec![Forged::Send(exchange.question.clone())]);
    world.refuses(HOST, &world.honest);
}

#[test]
fn garbage_is_refused() {
    let world = World::start();
    let noise = || (0..200).map(|_| rand::random::<u8>()).collect::<Vec<u8>>();
    world.forger.rule(move |_| vec![Forged::Send(noise())]);
    world.refuses(HOST, &world.honest);
    world.forger.rule(|_| vec![Forged::Send(Vec::new()), Forged::Raw(vec![0])]);
    world.refuses(HOST, &world.honest);
    // With the right head, and noise after it.
    let headed = move |exchange: &Exchange| {
        let head = exchange.reply.len().min(12 + exchange.message().name.0.len() + 4);
        [&exchange.reply[..head], &noise()].concat()
    };
    world.forger.rule(move |exchange| vec![Forged::Send(headed(exchange))]);
    world.refuses(HOST, &world.honest);
    // The twin: noise first, then the truth.
    world.forger.rule(move |exchange| [vec![Forged::Send(noise())], honest(exchange)].concat());
    world.accepts(HOST, &world.honest);
}

#[test]
fn compression_pointers_that_go_round_in_circles_are_refused() {
    let world = World::start();
    world.forger.rule(|exchange| {
        // An answer whose owner points at itself.
        let mut reply = exchange.message().answered(Vec::new()).write();
        let at = u16::try_from(12 + exchange.message().name.0.len() + 4).unwrap();
        reply.truncate(usize::from(at));
        reply[7] = 1;
        reply[11] = 0;
        reply.extend((0xc000 | at).to_be_bytes());
        reply.extend([0, 44, 0, 1, 0, 0, 0, 60, 0, 2, 4, 2]);
        vec![Forged::Send(reply)]
    });
    world.refuses(HOST, &world.honest);
    world.honest_twin_is_accepted();
}

#[test]
fn silence_ends_at_the_deadline() {
    let world = World::start();
    world.forger.rule(|_| Vec::new());
    world.refuses(HOST, &world.honest);
    // Silence about keys or delegations alone.
    for rtype in [crate::support::wire::DNSKEY, crate::support::wire::DS, SSHFP] {
        world.forger.rule(
            move |exchange| {
                if exchange.message().rtype == rtype { Vec::new() } else { honest(exchange) }
            },
        );
        world.refuses(HOST, &world.honest);
    }
    // The twin: one datagram is lost.
    let count = AtomicUsize::new(0);
    world.forger.rule(move |exchange| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Vec::new(),
        _ => honest(exchange),
    });
    world.accepts(HOST, &world.honest);
}

#[test]
fn a_slow_resolver_is_waited_for_until_the_deadline() {
    let world = World::start();
    let delayed = |time| move |exchange: &Exchange| [vec![Forged::Wait(time)], honest(exchange)].concat();
    world.forger.rule(delayed(Duration::from_millis(100)));
    world.accepts(HOST, &world.honest);
    world.forger.rule(delayed(Duration::from_secs(10)));
    world.refuses(HOST, &world.honest);
}

#[test]
fn errors_of_the_resolver_are_refused() {
    let world = World::start();
    // FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED: without records, as a forger would say them.
    for rcode in 1..=5 {
        world.forger.change(move |message: &mut Dns| {
            *message = message.answered(Vec::new());
            message.flags |= rcode;
        });
        world.refuses(HOST, &world.honest);
    }
    world.honest_twin_is_accepted();
}

#[test]
fn the_ad_bit_says_nothing() {
    const AD: u16 = 0x20;
    let world = World::start();
    let theirs = world.impostors_record(HOST);
    world.forger.change(move |message| {
        message.flags |= AD;
        message.answer.retain(|rr| rr.rtype != RRSIG);
        if message.is_for(HOST, SSHFP) {
            *message = message.answered(vec![theirs.clone()]);
        }
    });
    world.refuses(HOST, &world.impostor);
    // The twin: without it the truth is as good.
    world.forger.change(|message| message.flags &= !AD);
    world.accepts(HOST, &world.honest);
}
