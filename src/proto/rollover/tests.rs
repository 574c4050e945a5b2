mod world;

use super::*;
use crate::proto::hostkey::KeyType;
use crate::proto::issuance::journal::{Entry, Line, read};
use crate::proto::issuance::ledger::State;
use crate::proto::issuance::{Issued, KeyDigest};
use crate::proto::name::Name;
use crate::proto::sshfp::Sshfp;

const OLD: Digest = [1; 32];
const NEW: Digest = [2; 32];
const NOW: u64 = 1_800_000_000;
const TTL: u32 = 300;

fn roll() -> Roll {
    Roll {
        new: NEW,
        at: vec![Name::from_text("example.com").unwrap()],
        began: NOW,
        ttl: TTL,
        spread: None,
        is_emergency: false,
        is_revoked: false,
        is_aborted: false,
        skipped: BTreeSet::new(),
    }
}

fn shown(keys: &[Digest]) -> Shown {
    let keys: BTreeSet<Digest> = keys.iter().copied().collect();
    Shown { everywhere: keys.clone(), anywhere: keys, ttl: TTL }
}

fn sight(server: &str, keys: &[Digest]) -> Sight {
    Sight {
        at: "example.com".into(),
        server: server.into(),
        is_primary: server == "primary",
        ca: Ok(shown(keys)),
        revoked: Ok(shown(&[[0; 32]])),
    }
}

fn both(keys: &[Digest]) -> Vec<Sight> {
    vec![sight("primary", keys), sight("second", keys)]
}

/// A certificate for this host's key, good for a day.
fn certificate(ca: Digest, host: u8, names: &[&str], time: u64) -> Standing {
    let issued = Issued {
        serial: 1,
        key_id: "x".into(),
        principals: names.iter().map(|name| (*name).to_owned()).collect(),
        key: KeyDigest { key_type: KeyType::Ed25519, sha256: [host; 32] },
        ca_sha256: ca,
        valid_after: time,
        valid_before: time + 86_400,
        blob: Vec::new(),
    };
    Standing { time, issued, state: State::Valid }
}

/// Before the switch.
fn before<'a>(roll: Option<&'a Roll>, sights: &'a [Sight]) -> Facts<'a> {
    let (current, next, retired) = (OLD, Some(NEW), None);
    Facts { now: NOW, current, next, retired, roll, sights, certificates: &[], margin: 0, settle: 0 }
}

/// After it.
fn after<'a>(roll: &'a Roll, sights: &'a [Sight], certificates: &'a [Standing]) -> Facts<'a> {
    let (current, next, retired) = (NEW, None, Some(OLD));
    Facts { now: NOW, current, next, retired, roll: Some(roll), sights, certificates, margin: 0, settle: 0 }
}

fn lagging(server: &str) -> Vec<Lag> {
    let (at, server, is_primary) = ("example.com".into(), server.to_owned(), server == "primary");
    vec![Lag { at, server, is_primary, silence: None }]
}

#[test]
fn before_the_switch_each_step_waits_for_the_one_before() {
    let idle = Facts { next: None, ..before(None, &[]) };
    assert_eq!(decide(&idle), Step::Idle);
    assert_eq!(decide(&before(None, &both(&[OLD]))), Step::Begin);
    let other = Roll { new: [3; 32], ..roll() };
    assert_eq!(decide(&before(Some(&other), &both(&[OLD]))), Step::Begin, "another key's roll");
    assert_eq!(decide(&before(Some(&roll()), &both(&[OLD]))), Step::Publish { old: true });
    let lags = [sight("primary", &[OLD, NEW]), sight("second", &[OLD])];
    assert_eq!(decide(&before(Some(&roll()), &lags)), Step::Wait(Wait::Servers(lagging("second"))));
    let there = both(&[OLD, NEW]);
    assert_eq!(decide(&before(Some(&roll()), &there)), Step::Spread);
    let spread = Roll { spread: Some(NOW), ..roll() };
    let until = NOW + u64::from(TTL) + SLACK;
    let facts = before(Some(&spread), &there);
    assert_eq!(decide(&facts), Step::Wait(Wait::Caches { until }));
    assert_eq!(decide(&Facts { now: until - 1, ..facts }), Step::Wait(Wait::Caches { until }));
    assert_eq!(decide(&Facts { now: until, ..facts }), Step::Switch);
    let margin = Facts { now: until, margin: 10, ..facts };
    assert_eq!(decide(&margin), Step::Wait(Wait::Caches { until: until + 10 }));
    // Whoever falls back begins the wait anew, however long it has lasted.
    assert_eq!(decide(&Facts { now: until, ..before(Some(&spread), &lags) }), Step::Lost);
    let back = both(&[OLD]);
    assert_eq!(decide(&Facts { now: until, ..before(Some(&spread), &back) }), Step::Lost);
    // A clock that goes back only makes it longer.
    assert!(matches!(decide(&Facts { now: 0, ..facts }), Step::Wait(Wait::Caches { .. })));
}

#[test]
fn who_says_nothing_is_waited_for() {
    let spread = Roll { spread: Some(NOW), ..roll() };
    for server in [0, 1] {
        let mut sights = both(&[OLD, NEW]);
        sights[server].ca = Err("no reply".into());
        let name = ["primary", "second"][server];
        let silent = Lag { silence: Some("no reply".into()), ..lagging(name).remove(0) };
        let waits = Step::Wait(Wait::Servers(vec![silent]));
        for roll in [&roll(), &spread] {
            assert_eq!(decide(&Facts { now: NOW + 10_000, ..before(Some(roll), &sights) }), waits, "{name}");
        }
        assert_eq!(decide(&after(&spread, &sights, &[])), waits, "{name}: nothing is withdrawn");
    }
    assert_eq!(
        decide(&before(Some(&roll()), &[])),
        Step::Wait(Wait::Servers(Vec::new())),
        "no server at all"
    );
    // One address of two that lags.
    let present = |keys: &[u8]| Present::new(TTL, keys.iter().map(|key| Sshfp::sha256_of(4, &[*key; 32])));
    let (all, some) = (present(&[1, 2]), present(&[1]));
    let mut sights = both(&[OLD, NEW]);
    sights[1].ca = Ok(Shown::of([&all, &some]));
    assert_eq!(decide(&before(Some(&roll()), &sights)), Step::Wait(Wait::Servers(lagging("second"))));
    sights[1].ca = Ok(Shown::of([&all, &all]));
    assert_eq!(decide(&before(Some(&roll()), &sights)), Step::Spread);
    // SHA-1 proves nothing.
    let sha1 = Present::new(TTL, [Sshfp::from_rdata(&[&[4, 1], [2; 20].as_slice()].concat()).unwrap()]);
    assert!(Shown::of([&sha1]).anywhere.is_empty());
}

#[test]
fn after_the_switch_the_old_key_stays_until_no_host_needs_it() {
    let roll = Roll { spread: Some(NOW), ..roll() };
    let there = both(&[OLD, NEW]);
    let old = certificate(OLD, 7, &["web1"], NOW - 100);
    let new = certificate(NEW, 7, &["web1"], NOW - 50);
    let hosts = Step::Wait(Wait::Hosts(vec![0]));
    assert_eq!(decide(&after(&roll, &there, std::slice::from_ref(&old))), hosts);
    assert_eq!(decide(&after(&roll, &there, &[old.clone(), new.clone()])), Step::Withdraw, "its twin");
    let certificates = [old.clone(), new.clone()];
    let settling = Facts { settle: 60, ..after(&roll, &there, &certificates) };
    assert_eq!(decide(&settling), Step::Wait(Wait::Settle { until: NOW + 10 }));
    assert_eq!(decide(&Facts { now: NOW + 10, ..settling }), Step::Withdraw);
    let long = Facts { settle: u64::MAX, ..settling };
    assert_eq!(
        decide(&long),
        Step::Wait(Wait::Settle { until: NOW - 100 + 86_400 }),
        "no longer than it is good"
    );
    // Not for another key, not for fewer names, not by another CA, not if that is over itself.
    for other in [
        certificate(NEW, 8, &["web1"], NOW),
        certificate(NEW, 7, &["www"], NOW),
        certificate([3; 32], 7, &["web1"], NOW),
        Standing { state: State::Expired, ..new.clone() },
        Standing { state: State::Revoked, ..new.clone() },
    ] {
        assert_eq!(decide(&after(&roll, &there, &[old.clone(), other])), hosts);
    }
    for state in [State::Expired, State::Revoked] {
        let over = Standing { state, ..old.clone() };
        assert_eq!(decide(&after(&roll, &there, &[over])), Step::Withdraw, "{state:?}");
    }
    let more = certificate(NEW, 7, &["www", "web1"], NOW);
    assert_eq!(decide(&after(&roll, &there, &[old.clone(), more])), Step::Withdraw);
    // An old certificate that a later one of the same CA has replaced is not waited for twice.
    let later = certificate(OLD, 7, &["web1"], NOW - 60);
    assert_eq!(decide(&after(&roll, &there, &[old.clone(), later])), Step::Wait(Wait::Hosts(vec![1])));
    let given_up = Roll { skipped: ["web1".to_owned()].into(), ..roll.clone() };
    assert_eq!(decide(&after(&given_up, &there, std::slice::from_ref(&old))), Step::Withdraw);
    let other = Roll { skipped: ["web2".to_owned()].into(), ..roll.clone() };
    assert_eq!(decide(&after(&other, &there, &[old])), hosts);
    // The new key has to be everywhere when the old one goes.
    let lags = [sight("primary", &[OLD, NEW]), sight("second", &[OLD])];
    assert_eq!(decide(&after(&roll, &lags, &[])), Step::Wait(Wait::Servers(lagging("second"))));
    assert_eq!(decide(&after(&roll, &both(&[OLD]), &[])), Step::Publish { old: false });
    // Somebody takes the old one away while hosts need it: nobody does that, `ca revoke` would have been told.
    let needed = [certificate(OLD, 7, &["web1"], NOW)];
    assert_eq!(decide(&after(&roll, &both(&[NEW]), &needed)), Step::Publish { old: true });
    assert_eq!(decide(&before(Some(&roll), &both(&[NEW]))), Step::Publish { old: true });
    let gone = [sight("primary", &[NEW]), sight("second", &[OLD, NEW])];
    assert_eq!(decide(&after(&roll, &gone, &[])), Step::Wait(Wait::Gone(lagging("second"))));
    assert_eq!(decide(&after(&roll, &both(&[NEW]), &[])), Step::Forget);
}

#[test]
fn a_roll_is_given_up_only_before_the_switch() {
    let aborted = Roll { is_aborted: true, spread: Some(NOW), ..roll() };
    assert_eq!(decide(&before(Some(&aborted), &both(&[OLD, NEW]))), Step::Unpublish);
    assert_eq!(decide(&before(Some(&aborted), &both(&[OLD]))), Step::Forget);
    let old = certificate(OLD, 7, &["web1"], NOW);
    let there = both(&[OLD, NEW]);
    assert_eq!(decide(&after(&aborted, &there, &[old])), Step::Wait(Wait::Hosts(vec![0])), "it goes on");
    let mut silent = both(&[OLD, NEW]);
    silent[0].ca = Err("no reply".into());
    assert!(matches!(decide(&before(Some(&aborted), &silent)), Step::Wait(Wait::Servers(_))));
}

#[test]
fn in_an_emergency_nothing_but_the_primary_is_waited_for() {
    let roll = Roll { is_emergency: true, ..roll() };
    assert_eq!(decide(&before(Some(&roll), &both(&[OLD]))), Step::Publish { old: false });
    let lags = [sight("primary", &[OLD, NEW]), sight("second", &[OLD])];
    assert_eq!(decide(&before(Some(&roll), &lags)), Step::Switch);
    let old = [certificate(OLD, 7, &["web1"], NOW)];
    assert_eq!(decide(&after(&roll, &lags, &old)), Step::Revoke);
    let mut sights = both(&[NEW]);
    assert_eq!(decide(&after(&roll, &sights, &old)), Step::Revoke, "withdrawn is not revoked");
    sights[0].revoked = Ok(shown(&[[0; 32], OLD]));
    assert_eq!(decide(&after(&roll, &sights, &old)), Step::Revoke, "what servers show is not proven");
    let roll = Roll { is_revoked: true, ..roll };
    assert_eq!(decide(&after(&roll, &sights, &old)), Step::Wait(Wait::Gone(lagging("second"))));
    sights[1].revoked = Ok(shown(&[[0; 32], OLD]));
    assert_eq!(decide(&after(&roll, &sights, &old)), Step::Forget);
    sights[0].ca = Ok(shown(&[OLD, NEW]));
    assert_eq!(decide(&after(&roll, &sights, &old)), Step::Revoke, "revoked is not withdrawn");
    sights[0].revoked = Err("no reply".into());
    assert!(matches!(decide(&after(&roll, &sights, &old)), Step::Wait(Wait::Servers(_))));
}

#[test]
fn marks_are_read_as_they_were_written() {
    let key = |sha256| KeyDigest { key_type: KeyType::Ed25519, sha256 };
    let at = vec![Name::from_text("example.com").unwrap(), Name::from_text("example.org").unwrap()];
    let entry = |time, mark: &Mark| {
        let entry = Entry { time, event: mark.event(key(OLD), key(NEW)) };
        match read(entry.line().trim_end().as_bytes()).unwrap() {
            Line::Entry(read) => read,
            Line::Torn => panic!("torn"),
        }
    };
    let start = Mark::Start { at: at.clone(), ttl: 60 };
    let mut entries = vec![entry(1, &start)];
    let roll = |entries: &[Entry]| Roll::read(entries, &NEW).unwrap().unwrap();
    assert_eq!(roll(&entries), Roll { at, began: 1, ttl: 60, ..crate::proto::rollover::tests::roll() });
    assert_eq!(Roll::read(&entries, &OLD), Ok(None));
    entries.push(entry(5, &Mark::Spread { ttl: 30 }));
    entries.push(entry(6, &Mark::Spread { ttl: 90 }));
    assert_eq!((roll(&entries).spread, roll(&entries).ttl), (Some(5), 90));
    entries.push(entry(7, &Mark::Lost { ttl: 100 }));
    assert_eq!((roll(&entries).spread, roll(&entries).ttl), (None, 100));
    entries.push(entry(8, &Mark::Skip(vec!["web1".into()])));
    entries.push(entry(8, &Mark::Skip(vec!["web2".into()])));
    entries.push(entry(9, &Mark::Emergency));
    assert!(!roll(&entries).is_revoked);
    for mark in [Mark::Revoked, Mark::Switch, Mark::Withdraw, Mark::Done] {
        entries.push(entry(10, &mark));
    }
    assert_eq!(roll(&entries).skipped.len(), 2);
    assert!(roll(&entries).is_emergency && roll(&entries).is_revoked && !roll(&entries).is_aborted);
    entries.push(entry(11, &Mark::Abort));
    assert!(roll(&entries).is_aborted);
    // Once more with the same key.
    entries.push(entry(12, &start));
    assert_eq!((roll(&entries).is_aborted, roll(&entries).began), (false, 12));
    // What nobody can read is not passed over.
    assert!(Roll::read(&[entry(1, &Mark::Abort)], &NEW).is_err(), "without a beginning");
    for (field, value) in [("step", "later"), ("new", "x"), ("ttl", "x"), ("at", "x")] {
        let mut bad = entry(1, &start);
        if let crate::proto::issuance::journal::Event::Other { more, .. } = &mut bad.event {
            more.insert(field.into(), value.into());
        }
        assert!(Roll::read(&[entry(1, &start), bad], &NEW).is_err(), "{field}");
    }
}
