//! A primary, or something on the way to it, that lies, cuts, dawdles or babbles while `publish` and `withdraw` talk to it:
//! a relay in front of named. What it lets through has been done; what it says of that counts only if the key vouches
//! for it.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::Value;

use super::primary::{LIMIT, Primary, key, record};
use crate::support::forger::{Exchange, Forged, Forger, framed};
use crate::support::wire::{Dns, Rr, SOA, SSHFP, WireName};
use crate::support::{Finished, run};

/// TSIG (RFC 8945).
const TSIG: u16 = 250;
pub const AXFR: u16 = 252;

/// What comes back in place of a reply.
pub type Lie = fn(&Exchange) -> Vec<Forged>;

/// A lie takes no more time than this, for a time-out of [`TIMEOUT`].
const LONGEST: Duration = Duration::from_secs(20);
const TIMEOUT: &str = "3";
/// Where named is honest it has the time that a busy machine takes.
const PATIENCE: &str = "20";
/// How many hosts are lied to at a time, where each is one and where it is a batch.
const AT_ONCE: usize = 8;
const BATCHES_AT_ONCE: usize = 3;

fn sent(message: Vec<u8>) -> Vec<Forged> {
    vec![Forged::Send(message)]
}

/// The reply with one of its first octets changed.
fn with(exchange: &Exchange, at: usize, change: fn(u8) -> u8) -> Vec<Forged> {
    let mut reply = exchange.reply.clone();
    reply[at] = change(reply[at]);
    sent(reply)
}

fn rcode(exchange: &Exchange, code: u8) -> Vec<Forged> {
    let mut message = exchange.message();
    message.flags = message.flags & !0xf | u16::from(code);
    message.additional.retain(|record| record.rtype != TSIG);
    sent(message.write())
}

/// The reply's signature record, changed. Its data: algorithm, time (6), fudge (2), MAC, original id, error, other.
fn signature(exchange: &Exchange, change: impl Fn(&mut Vec<u8>, usize)) -> Vec<Forged> {
    let mut message = exchange.message();
    for record in message.additional.iter_mut().filter(|record| record.rtype == TSIG) {
        let algorithm = record.data.iter().position(|octet| *octet == 0).unwrap() + 1;
        change(&mut record.data, algorithm);
    }
    sent(message.write())
}

/// NOTAUTH with this TSIG error, with or without the signature it had, and what it has to say besides.
fn tsig_error(exchange: &Exchange, error: u16, keeps_mac: bool, other: &[u8]) -> Vec<Forged> {
    let mut message = exchange.message();
    message.flags = message.flags & !0xf | 9;
    for record in message.additional.iter_mut().filter(|record| record.rtype == TSIG) {
        let at = record.data.iter().position(|octet| *octet == 0).unwrap() + 9;
        let length = usize::from(u16::from_be_bytes([record.data[at], record.data[at + 1]]));
        let id = record.data[at + 2 + length..at + 4 + length].to_vec();
        let mac = if keeps_mac { record.data[at + 2..at + 2 + length].to_vec() } else { Vec::new() };
        record.data.truncate(at);
        record.data.extend((mac.len() as u16).to_be_bytes());
        record.data.extend(
            [mac, id, error.to_be_bytes().into(), (other.len() as u16).to_be_bytes().into()].concat(),
        );
        record.data.extend(other);
    }
    sent(message.write())
}

fn drop_by_drop(exchange: &Exchange) -> Vec<Forged> {
    let octets = framed(&exchange.reply).into_iter();
    octets.flat_map(|octet| [Forged::Raw(vec![octet]), Forged::Wait(Duration::from_millis(400))]).collect()
}

fn loops(exchange: &Exchange) -> Vec<Forged> {
    // One answer whose owner is a pointer to itself.
    let mut reply = exchange.question[..12].to_vec();
    (reply[2], reply[3]) = (exchange.reply[2], exchange.reply[3] & 0xf0);
    reply[4..12].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0]);
    reply.extend([0xc0, 12, 0, 44, 0, 1, 0, 0, 0, 60, 0, 0]);
    sent(reply)
}

fn babble(exchange: &Exchange) -> Vec<Forged> {
    let asked = u16::from_be_bytes([exchange.question[0], exchange.question[1]]);
    // With the id that was asked with it would be the reply.
    let mut all: Vec<Forged> = (0..200u16)
        .filter(|id| *id != asked)
        .map(|id| {
            let mut reply = exchange.reply.clone();
            reply[..2].copy_from_slice(&id.to_be_bytes());
            Forged::Send(reply)
        })
        .collect();
    all.extend((0..50).map(|_| Forged::Raw(vec![0xff; 65_537])));
    all
}

/// How it lies, and the reasons that may be told where it does so about an update; none where what is there speaks for
/// itself.
const LIES: [(&str, Lie, &[&str]); 38] = [
    ("another id", |e| with(e, 0, |octet| octet ^ 0x55), &["timeout"]),
    ("another question", |e| with(e, 14, |octet| octet ^ 1), &["not-vouched"]),
    ("no response", |e| with(e, 2, |octet| octet & 0x7f), &["timeout"]),
    ("the request itself", |e| sent(e.question.clone()), &["timeout"]),
    ("another opcode", |e| with(e, 2, |octet| octet ^ 0x20), &["timeout"]),
    ("formerr", |e| rcode(e, 1), &["formerr"]),
    ("servfail", |e| rcode(e, 2), &["servfail"]),
    ("notimp", |e| rcode(e, 4), &["notimp"]),
    ("refused", |e| rcode(e, 5), &["refused"]),
    ("yxdomain", |e| rcode(e, 6), &[]),
    ("yxrrset", |e| rcode(e, 7), &[]),
    ("nxrrset", |e| rcode(e, 8), &[]),
    ("notauth", |e| rcode(e, 9), &["notauth"]),
    ("notzone", |e| rcode(e, 10), &["notzone"]),
    ("an unknown code", |e| rcode(e, 15), &["update-failed"]),
    ("success without a signature", |e| rcode(e, 0), &["not-vouched"]),
    ("another MAC", |e| signature(e, |data, at| data[at + 12] ^= 1), &["not-vouched"]),
    (
        "no MAC",
        |e| {
            signature(e, |data, at| {
                let l = usize::from(data[at + 9]);
                data.drain(at + 10..at + 10 + l);
                data[at + 9] = 0;
            })
        },
        &["not-vouched"],
    ),
    ("another time", |e| signature(e, |data, at| data[at + 3] ^= 1), &["not-vouched"]),
    ("another algorithm", |e| signature(e, |data, _| data[1] ^= 1), &["not-vouched"]),
    ("badsig, no MAC", |e| tsig_error(e, 16, false, &[]), &["badsig"]),
    ("badkey, no MAC", |e| tsig_error(e, 17, false, &[]), &["badkey"]),
    ("badtime, no MAC", |e| tsig_error(e, 18, false, &[0xff; 6]), &["badtime"]),
    ("badtime, MAC", |e| tsig_error(e, 18, true, &[0; 6]), &["badtime"]),
    ("badtime, odd time", |e| tsig_error(e, 18, true, &[1; 300]), &["tsig"]),
    ("badtrunc", |e| tsig_error(e, 22, true, &[]), &["tsig"]),
    ("an unknown TSIG error", |e| tsig_error(e, 999, false, &[]), &["tsig"]),
    ("half of it", |e| sent(e.reply[..e.reply.len() / 2].to_vec()), &["not-vouched"]),
    ("cut short", |e| with(e, 2, |octet| octet | 2), &["not-vouched"]),
    (
        "a length of more than comes",
        |e| vec![Forged::Raw([&[0xff, 0xff], e.reply.as_slice()].concat())],
        &["timeout"],
    ),
    ("a length of nothing", |_| vec![Forged::Raw(vec![0; 64])], &["timeout", "unreachable"]),
    ("drop by drop", drop_by_drop, &["timeout"]),
    ("silence", |_| Vec::new(), &["timeout"]),
    ("closed", |_| vec![Forged::Close], &["unreachable", "connection-closed"]),
    (
        "half, and closed",
        |e| vec![Forged::Raw(framed(&e.reply)[..9].to_vec()), Forged::Close],
        &["unreachable", "connection-closed"],
    ),
    ("counts without records", |e| with(e, 7, |_| 0xff), &["not-vouched"]),
    ("names that never end", loops, &["not-vouched"]),
    ("babble", babble, &["timeout", "not-vouched", "unreachable"]),
];

struct World {
    primary: Primary,
    keys: [PathBuf; 2],
}

/// One host with a relay and a state of its own.
struct Host<'a> {
    world: &'a World,
    forger: Forger,
    name: String,
    timeout: Cell<&'static str>,
}

impl World {
    fn new() -> World {
        let primary = Primary::bind();
        let keys = ["a", "b"].map(|name| key(primary.sandbox(), name));
        World { primary, keys }
    }

    /// `work` for each of `lies`, some at a time: most of them wait.
    fn each<L: Copy + Sync>(&self, at_once: usize, lies: &[L], work: impl Fn(&Host<'_>, L) + Sync) {
        let next = AtomicUsize::new(0);
        let one = || {
            while let Some((at, lie)) =
                Some(next.fetch_add(1, SeqCst)).and_then(|at| Some((at, lies.get(at)?)))
            {
                let forger = Forger::start(self.primary.addr());
                let name = format!("lie{at}.example.test");
                work(&Host { world: self, forger, name, timeout: Cell::new(PATIENCE) }, *lie);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(one)).collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }
}

impl Host<'_> {
    fn state(&self) -> PathBuf {
        self.world.primary.sandbox().join(&format!("state-{}", self.name))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = self.world.primary.sandbox().sshanchor();
        command.args([name, "--json", "--server", &self.forger.addr().to_string()]);
        command.args(["--check-server", &self.world.primary.addr().to_string()]);
        command.arg("--key-file").arg(self.world.primary.tsig("zone")).arg("--state").arg(self.state());
        command
    }

    fn run(&self, name: &str, key: Option<&Path>) -> Finished {
        let mut command = self.command(name);
        command.args(["--name", &self.name, "--timeout", self.timeout.get()]);
        if let Some(key) = key {
            command.arg("--host-key").arg(key);
        }
        run(&mut command, LIMIT)
    }

    /// A pass of an agent of this host, with `key`.
    fn once(&self, key: &Path) -> Finished {
        let tree = self.world.primary.tree();
        let mut command = self.command("agent");
        command
            .args(["--once", "--name", &self.name, "--timeout", self.timeout.get(), "--host-key"])
            .arg(key);
        command.args(["--resolver", &tree.addr().to_string(), "--trust-anchor"]).arg(tree.anchor());
        run(&mut command, LIMIT)
    }

    fn honest(&self) {
        self.timeout.set(PATIENCE);
        self.forger.honest();
    }

    fn records(&self) -> Vec<String> {
        self.world.primary.records(&self.name).0
    }

    /// From now on replies to what is `meant` are forged.
    fn lies(&self, forge: Lie, meant: impl Fn(&Exchange) -> bool + Send + Sync + 'static) {
        self.timeout.set(TIMEOUT);
        self.forger.rule(move |exchange| match meant(exchange) {
            true => forge(exchange),
            false => sent(exchange.reply.clone()),
        });
    }
}

fn is_update(exchange: &Exchange) -> bool {
    (exchange.question[2] >> 3) & 0xf == 5
}

/// What holds of every run that is lied to.
#[track_caller]
fn is_bounded_and_printable(at: &str, finished: &Finished) {
    assert!(finished.elapsed < LONGEST, "{at}: {finished:#?}");
    assert!(!finished.stderr.contains('\u{1b}') && finished.stderr.len() < 8000, "{at}: {finished:#?}");
}

#[test]
fn what_is_said_of_an_update_counts_only_if_the_key_vouches_for_it() {
    let world = World::new();
    world.each(AT_ONCE, &LIES, |host, (lie, forge, reasons)| {
        let [a, b] = &world.keys;
        assert_eq!(host.run("publish", Some(a)).code, Some(0), "{lie}");
        host.lies(forge, is_update);
        let finished = host.run("publish", Some(b));
        is_bounded_and_printable(lie, &finished);
        let json = finished.json();
        assert_ne!(json["changed"], true, "{lie}: {finished:#?}");
        let is_told = |reason: &Value| reasons.iter().any(|expected| reason == expected);
        // Where none is expected it was done, and is seen to be when it is planned anew.
        assert_eq!(finished.code, Some(i32::from(!reasons.is_empty())), "{lie}: {finished:#?}");
        if !reasons.is_empty() {
            assert!(is_told(&json["reason"]) && !json["hint"].is_null(), "{lie}: {finished:#?}");
            let error = json["error"].as_str().unwrap();
            assert!(error.contains("are nevertheless as wanted now"), "{lie}: {finished:#?}");
            let is_plain_refusal =
                ["refused", "notauth", "notzone", "notimp", "formerr", "servfail", "update-failed"]
                    .iter()
                    .any(|reason| json["reason"] == *reason);
            assert_eq!(error.contains("without a valid signature"), is_plain_refusal, "{lie}: {finished:#?}");
        }
        // The twin: nothing is left to do, and the state is whole.
        host.honest();
        let finished = host.run("publish", Some(b));
        let changed = &finished.json()["changed"];
        assert_eq!((finished.code, changed), (Some(0), &false.into()), "{lie}: {finished:#?}");
        assert_eq!(host.records(), [record(b)], "{lie}");
        // An agent with nothing to change does not take anybody's word that it could.
        assert_eq!(host.once(b).code, Some(0), "{lie}");
        host.lies(forge, is_update);
        let finished = host.once(b);
        is_bounded_and_printable(lie, &finished);
        let json = finished.json();
        assert_eq!((finished.code, &json["changed"]), (Some(1), &false.into()), "{lie}: {finished:#?}");
        assert!(is_told(&json["reason"]) || json["reason"] == "lost-race", "{lie}: {finished:#?}");
        // What is withdrawn is forgotten on the key's word alone.
        host.lies(forge, is_update);
        let finished = host.run("withdraw", None);
        is_bounded_and_printable(lie, &finished);
        assert_eq!(finished.code, Some(1), "{lie}: {finished:#?}");
        let own = fs::read_to_string(host.state().join("published.json")).unwrap();
        assert!(own.contains(&record(b)), "{lie}: {own}");
        host.honest();
        assert_eq!(host.run("withdraw", None).code, Some(0), "{lie}");
        assert!(host.records().is_empty(), "{lie}");
    });
}

#[test]
fn whoever_lies_when_asked_is_sent_nothing() {
    let world = World::new();
    let before = world.primary.serial();
    // What concerns TSIG says nothing of questions, which have none.
    const TSIG_ALONE: [&str; 7] =
        ["MAC", "another time", "algorithm", "badtime", "badtrunc", "TSIG", "without a signature"];
    let lies: Vec<_> =
        LIES.into_iter().filter(|(lie, ..)| !TSIG_ALONE.iter().any(|w| lie.contains(w))).collect();
    world.each(AT_ONCE, &lies, |host, (lie, forge, _)| {
        for (rtype, command) in [(SOA, "publish"), (SOA, "withdraw"), (SSHFP, "publish")] {
            host.lies(forge, move |exchange| Dns::read(&exchange.question).rtype == rtype);
            let key = (command == "publish").then_some(world.keys[1].as_path());
            let (at, finished) = (format!("{lie}, {command}, {rtype}"), host.run(command, key));
            is_bounded_and_printable(&at, &finished);
            let json = finished.json();
            assert_eq!(finished.code, Some(1), "{at}: {finished:#?}");
            assert!(json["changed"] != true && !json["hint"].is_null(), "{at}: {finished:#?}");
            assert!(!host.forger.asked().iter().any(|(_, asked)| (asked.flags >> 11) & 0xf == 5), "{at}");
        }
    });
    assert_eq!(world.primary.serial(), before);
    world.each(AT_ONCE, &[()], |host, ()| {
        assert_eq!(host.run("publish", Some(&world.keys[0])).code, Some(0));
        assert_eq!(host.records(), [record(&world.keys[0])]);
    });
}

/// A message of a transfer with these answers.
fn part(exchange: &Exchange, answer: Vec<Rr>) -> Vec<u8> {
    let question = Dns::read(&exchange.question);
    let mut message = Dns { additional: Vec::new(), ..question }.answered(answer);
    message.flags |= 0x0400;
    message.write()
}

fn soa(zone: &str) -> Rr {
    let name = WireName::new(zone).0;
    Rr::new(zone, SOA, [name.clone(), name, vec![0; 20]].concat())
}

/// Transfers that are none; who is not helped by one asks for each name.
pub const TRANSFERS: [(&str, Lie); 9] = [
    // Those that are waited for come first, so that they are waited for together.
    ("stalled", |e| sent(part(e, vec![soa("example.test.")]))),
    ("drop by drop", drop_by_drop),
    ("endless", |e| {
        let many = (0..200).map(|n| Rr::sshfp(&format!("x{n}.example.test."), 4, [7; 32])).collect();
        let begin = sent(part(e, vec![soa("example.test.")]));
        begin.into_iter().chain(vec![Forged::Send(part(e, many)); 500]).collect()
    }),
    ("without an end", |e| vec![Forged::Send(part(e, vec![soa("example.test.")])), Forged::Close]),
    ("of another zone", |e| sent(part(e, vec![soa("other.test."), soa("other.test.")]))),
    ("with records of another zone", |e| {
        let other = Rr::sshfp("web1.other.test.", 4, [7; 32]);
        sent(part(e, vec![soa("example.test."), other, soa("other.test.")]))
    }),
    ("empty messages for ever", |e| (0..20_000).map(|_| Forged::Send(part(e, Vec::new()))).collect()),
    ("with names that never end", loops),
    ("babble", babble),
];

#[test]
fn a_transfer_that_is_none_is_no_loss() {
    let world = World::new();
    world.each(BATCHES_AT_ONCE, &TRANSFERS, |host, (lie, forge)| {
        let name = |n: u32| format!("{n}-{}", host.name);
        let line = |n| format!("{} {}\n", name(n), world.keys[0].display());
        let file = host.world.primary.sandbox().write(&name(0), &(1..=300).map(line).collect::<String>());
        host.lies(forge, |exchange| Dns::read(&exchange.question).rtype == AXFR);
        let finished =
            run(host.command("publish").args(["--timeout", PATIENCE, "--batch"]).arg(&file), LIMIT);
        assert_eq!(finished.code, Some(0), "{lie}: {finished:#?}");
        assert!(finished.elapsed < Duration::from_secs(60), "{lie}: {finished:#?}");
        assert_eq!(world.primary.records(&name(300)).0, [record(&world.keys[0])], "{lie}");
        assert!(host.forger.asked().iter().any(|(_, asked)| asked.rtype == AXFR), "{lie}");
    });
}
