mod overtaking;
mod world;

use std::collections::BTreeMap;

use super::*;
use crate::proto::hostkey::KeyType;

const OLD: Digest = [1; 32];
const NEW: Digest = [2; 32];
const OTHER: Digest = [9; 32];
const NOW: u64 = 1_800_000_000;
const TTL: u32 = 300;

fn round(mode: Mode) -> Round {
    let change = Change { key_type: KeyType::Ed25519, path: "/k".into(), old: Some(OLD), new: Some(NEW) };
    Round { ttl: TTL, ground: Some(0), ..Round::new(mode, vec![change], NOW) }
}

fn sight(server: &str, keys: &[Digest]) -> Sight {
    let keys: BTreeSet<Digest> = keys.iter().copied().collect();
    let shown = Ok(Shown { everywhere: keys.clone(), anywhere: keys, ttl: TTL });
    Sight { owner: "web1.example".into(), server: server.into(), is_primary: server == "primary", shown }
}

fn both(keys: &[Digest]) -> Vec<Sight> {
    vec![sight("primary", keys), sight("second", keys)]
}

/// With `disk` at the path, and servers that show this.
fn facts<'a>(
    round: &'a Round,
    now: u64,
    disk: &'a [Option<Digest>],
    others: &'a BTreeSet<Digest>,
    sights: &'a [Sight],
) -> Facts<'a> {
    Facts {
        now,
        round: Some(round),
        disk,
        is_half: false,
        tells_next: false,
        others,
        is_exposed: false,
        has_drop_in: round.hidden.is_some() && round.shown.is_none(),
        sights,
        settle: 10,
        margin: 0,
        dead_after: 1000,
    }
}

/// What comes next.
fn next_of(round: &Round, now: u64, disk: Digest, sights: &[Sight]) -> Step {
    decide(&facts(round, now, &[Some(disk)], &BTreeSet::from([OTHER]), sights))
}

fn until(step: &Step) -> Option<u64> {
    if let Step::Wait(wait) = step { wait.until() } else { None }
}

#[test]
fn each_step_waits_for_the_one_before() {
    let mut round = round(Mode::Hide);
    let (before, after) = (both(&[OLD, OTHER]), both(&[NEW, OTHER]));
    round.changes[0].new = None;
    assert_eq!(next_of(&round, NOW, OLD, &before), Step::Prepare);
    round.changes[0].new = Some(NEW);
    round.announce = 100;
    assert_eq!(next_of(&round, NOW, OLD, &before), Step::Announce);
    round.mark(&Step::Announce, NOW);
    assert_eq!(next_of(&round, NOW, OLD, &before), Step::Wait(Wait::Announce { until: NOW + 100 }));
    let now = NOW + 100;
    assert_eq!(next_of(&round, now, OLD, &before), Step::Hide);
    round.mark(&Step::Hide, now);
    assert_eq!(until(&next_of(&round, now, OLD, &before)), Some(now + 10));
    let now = now + 10;
    assert_eq!(next_of(&round, now, OLD, &before), Step::Replace);
    round.begin(&Step::Replace, now);
    assert_eq!(next_of(&round, now, OLD, &before), Step::Replace, "the file is still the old one");
    assert_eq!(next_of(&round, now, NEW, &before), Step::Publish);
    let lags = [sight("primary", &[NEW, OTHER]), sight("second", &[OLD, OTHER])];
    assert!(
        matches!(next_of(&round, now, NEW, &lags), Step::Wait(Wait::Servers(lags)) if lags[0].server == "second")
    );
    let both_keys = [sight("primary", &[NEW, OTHER]), sight("second", &[OLD, NEW, OTHER])];
    assert!(
        matches!(next_of(&round, now, NEW, &both_keys), Step::Wait(Wait::Servers(_))),
        "OpenSSH wants all to match"
    );
    assert_eq!(next_of(&round, now, NEW, &after), Step::Spread);
    round.mark(&Step::Spread, now);
    let end = now + u64::from(TTL) + SLACK;
    assert_eq!(next_of(&round, now, NEW, &after), Step::Wait(Wait::Caches { until: end }));
    assert_eq!(next_of(&round, end, NEW, &lags), Step::Lost);
    assert_eq!(next_of(&round, end, NEW, &after), Step::Prove);
    round.mark(&Step::Prove, end);
    assert_eq!(next_of(&round, end, NEW, &after), Step::Show);
    round.mark(&Step::Show, end);
    assert_eq!(next_of(&round, end, NEW, &after), Step::Finish);
}

#[test]
fn a_type_is_hidden_only_where_the_others_can_be_relied_on() {
    let mut round = round(Mode::Hide);
    // The other key is not there, or was not there until now.
    assert_eq!(next_of(&round, NOW, OLD, &both(&[OLD])), Step::Lost);
    round.mark(&Step::Lost, NOW);
    assert_eq!(next_of(&round, NOW, OLD, &both(&[OLD])), Step::Publish);
    let lags = [sight("primary", &[OLD, OTHER]), sight("second", &[OLD])];
    assert!(matches!(next_of(&round, NOW, OLD, &lags), Step::Wait(Wait::Servers(_))));
    assert_eq!(next_of(&round, NOW, OLD, &both(&[OLD, OTHER])), Step::Ground);
    round.mark(&Step::Ground, NOW);
    assert_eq!(until(&next_of(&round, NOW, OLD, &both(&[OLD, OTHER]))), Some(NOW + 302));
    assert_eq!(next_of(&round, NOW + 302, OLD, &both(&[OLD, OTHER])), Step::Hide);
    // A leak is another matter: nothing is waited for until the key has left DNS.
    round.mode = Mode::Compromised;
    assert_eq!(next_of(&round, NOW, OLD, &[]), Step::Hide);
    round.mark(&Step::Hide, NOW);
    assert_eq!(next_of(&round, NOW, OLD, &[]), Step::Replace);
    round.begin(&Step::Replace, NOW);
    assert_eq!(next_of(&round, NOW, NEW, &both(&[OLD, OTHER])), Step::Publish);
    assert_eq!(next_of(&round, NOW, NEW, &both(&[NEW, OTHER])), Step::Spread);
}

#[test]
fn where_sshd_config_names_its_keys_the_next_one_is_told_of_while_hidden() {
    let mut round = Round { is_explicit: true, announce: 100, ..round(Mode::Hide) };
    let sights = both(&[OLD, OTHER]);
    assert_eq!(next_of(&round, NOW, OLD, &sights), Step::Hide);
    round.mark(&Step::Hide, NOW);
    assert_eq!(next_of(&round, NOW, OLD, &sights), Step::Announce);
    round.mark(&Step::Announce, NOW);
    assert_eq!(until(&next_of(&round, NOW + 20, OLD, &sights)), Some(NOW + 100));
    assert_eq!(next_of(&round, NOW + 100, OLD, &sights), Step::Replace);
}

#[test]
fn what_shows_through_is_hidden_again_unless_all_is_ready() {
    let others = BTreeSet::from([OTHER]);
    let sights = both(&[NEW, OTHER]);
    let mut round = Round { hidden: Some(NOW), replaced: Some(NOW), spread: Some(NOW), ..round(Mode::Hide) };
    let decide = |round: &Round| {
        decide(&Facts { is_exposed: true, ..facts(round, NOW + 1000, &[Some(NEW)], &others, &sights) })
    };
    assert_eq!(decide(&round), Step::Hide);
    round.proven = Some(NOW);
    assert_eq!(decide(&round), Step::Show);
}

#[test]
fn a_key_of_which_one_half_is_in_place_or_that_is_told_of_twice_is_put_there_again() {
    let (others, sights) = (BTreeSet::from([OTHER]), both(&[NEW, OTHER]));
    for (mode, is_hiding) in [(Mode::Hide, true), (Mode::Overlap, false), (Mode::Compromised, false)] {
        // That it was begun is written down before it is done.
        let round = Round { hidden: Some(NOW), is_hiding, ..round(mode) };
        let mut round = Round { spread: Some(NOW), proven: Some(NOW), ..round };
        round.begin(&Step::Replace, NOW);
        let all = facts(&round, NOW + 1000, &[Some(NEW)], &others, &sights);
        assert_eq!(decide(&Facts { is_half: true, ..all }), Step::Replace, "{mode:?}");
        assert_eq!(decide(&Facts { tells_next: true, ..all }), Step::Replace, "{mode:?}");
        assert_ne!(decide(&all), Step::Replace, "{mode:?}");
    }
}

#[test]
fn a_dead_secondary_holds_nobody_up_for_ever_and_a_dead_primary_does() {
    let mut round = Round { hidden: Some(NOW), replaced: Some(NOW), ..round(Mode::Hide) };
    let mut sights = both(&[NEW, OTHER]);
    sights[1].shown = Err("no reply".into());
    round.hear(&sights, NOW);
    round.hear(&sights, NOW + 50);
    assert!(
        matches!(next_of(&round, NOW + 999, NEW, &sights), Step::Wait(Wait::Servers(lags)) if lags[0].silence.is_some())
    );
    assert_eq!(next_of(&round, NOW + 1000, NEW, &sights), Step::Spread);
    round.hear(&both(&[NEW]), NOW + 1001);
    assert!(round.silent.is_empty());
    sights.swap(0, 1);
    sights[0].is_primary = true;
    round.hear(&sights, NOW);
    assert!(matches!(next_of(&round, NOW + 9999, NEW, &sights), Step::Wait(Wait::Servers(_))));
    assert!(
        matches!(next_of(&round, NOW + 9999, NEW, &[]), Step::Wait(Wait::Servers(_))),
        "no server at all"
    );
}

#[test]
fn given_up_it_leads_back() {
    let sights = both(&[OLD, OTHER]);
    let mut early = round(Mode::Hide);
    early.abort(NOW).unwrap();
    assert_eq!(next_of(&early, NOW, OLD, &sights), Step::Finish);
    let mut hidden = Round { touched: Some(NOW), hidden: Some(NOW), ..round(Mode::Hide) };
    hidden.abort(NOW).unwrap();
    assert_eq!(next_of(&hidden, NOW, OLD, &sights), Step::Show, "nothing was ever published");
    let mut late = Round { hidden: Some(NOW), replaced: Some(NOW), spread: Some(NOW), ..round(Mode::Hide) };
    late.abort(NOW + 20).unwrap();
    let now = NOW + 20;
    assert_eq!(next_of(&late, now, NEW, &both(&[NEW, OTHER])), Step::Replace);
    assert_eq!(next_of(&late, now, OLD, &both(&[NEW, OTHER])), Step::Publish);
    assert_eq!(next_of(&late, now, OLD, &sights), Step::Spread);
    late.mark(&Step::Spread, now);
    assert!(matches!(next_of(&late, now, OLD, &sights), Step::Wait(Wait::Caches { .. })));
    late.mark(&Step::Prove, now);
    assert_eq!(next_of(&late, now + 302, OLD, &sights), Step::Show);
    assert_eq!(Round { shown: Some(NOW), ..round(Mode::Hide) }.abort(NOW), Err(TooLate::Shown));
    assert_eq!(Round { replaced: Some(NOW), ..round(Mode::Overlap) }.abort(NOW), Err(TooLate::Shown));
    assert_eq!(round(Mode::Compromised).abort(NOW), Err(TooLate::Compromised));
    let mut overlap = Round { spread: Some(NOW), ..round(Mode::Overlap) };
    overlap.abort(NOW).unwrap();
    assert_eq!(next_of(&overlap, NOW, OLD, &both(&[OLD, NEW, OTHER])), Step::Publish);
    assert_eq!(next_of(&overlap, NOW, OLD, &sights), Step::Finish);
}

#[test]
fn in_an_overlap_both_keys_stand_there_until_nobody_needs_the_old_one() {
    let mut round = round(Mode::Overlap);
    assert_eq!(next_of(&round, NOW, OLD, &both(&[OLD, OTHER])), Step::Publish);
    let all = both(&[OLD, NEW, OTHER]);
    assert_eq!(next_of(&round, NOW, OLD, &all), Step::Spread);
    round.mark(&Step::Spread, NOW);
    let now = until(&next_of(&round, NOW, OLD, &all)).unwrap();
    assert_eq!(next_of(&round, now, OLD, &all), Step::Prove);
    round.mark(&Step::Prove, now);
    assert_eq!(next_of(&round, now, OLD, &all), Step::Replace);
    round.begin(&Step::Replace, now);
    assert_eq!(next_of(&round, now, NEW, &all), Step::Show);
    round.mark(&Step::Show, now);
    assert_eq!(until(&next_of(&round, now, NEW, &all)), Some(now + 10));
    assert_eq!(next_of(&round, now + 10, NEW, &all), Step::Withdraw);
    let mut record = Record { round: Some(round), ..Record::default() };
    let keys = [OLD, NEW].map(|key| (KeyType::Ed25519, key));
    assert_eq!(record.also_wanted(), keys.into());
    let round = record.round.as_mut().unwrap();
    round.mark(&Step::Withdraw, now);
    assert_eq!(next_of(round, now, NEW, &all), Step::Publish);
    let lags = [sight("primary", &[NEW, OTHER]), sight("second", &[OLD, NEW, OTHER])];
    assert!(matches!(next_of(round, now, NEW, &lags), Step::Wait(Wait::Gone(_))));
    assert_eq!(next_of(round, now, NEW, &both(&[NEW, OTHER])), Step::Finish);
    assert!(record.also_wanted().is_empty());
}

#[test]
fn in_an_emergency_without_another_key_nothing_is_waited_for() {
    let mut round = Round { is_hiding: false, ..round(Mode::Compromised) };
    assert_eq!(next_of(&round, NOW, OLD, &[]), Step::Replace);
    round.begin(&Step::Replace, NOW);
    assert_eq!(next_of(&round, NOW, NEW, &[]), Step::Show);
    round.mark(&Step::Show, NOW);
    assert_eq!(next_of(&round, NOW, NEW, &both(&[OLD, OTHER])), Step::Publish);
    assert_eq!(next_of(&round, NOW, NEW, &both(&[NEW, OTHER])), Step::Finish);
}

#[test]
fn a_record_is_read_as_it_was_written_and_nothing_else_is() {
    let change = round(Mode::Hide).changes[0].clone();
    let past = Past { change, mode: Mode::Overlap, began: 1, ended: 2, aborted: false };
    let silent = BTreeMap::from([("a b".to_owned(), 7)]);
    let record = Record {
        round: Some(Round { hidden: Some(5), silent, ..round(Mode::Hide) }),
        queue: vec![KeyType::EcdsaP384, KeyType::Rsa],
        wish: Wish { mode: Mode::Overlap, announce: 60, margin: 3, since: 7 },
        past: vec![past],
    };
    let text = record.text().unwrap();
    assert_eq!(Record::read(&text).unwrap(), record);
    assert!(!text.contains("PRIVATE"));
    for (from, to) in [
        ("\"hide\"", "\"seek\""),
        ("ssh-ed25519", "ssh-dss"),
        ("\"version\": 1", "\"version\": 0"),
        ("\"hidden\": 5", "\"hidden\": -5"),
        ("\"hidden\"", "\"hiden\""),
        ("\"queue\"", "\"more\": 1, \"queue\""),
        ("0101", "01"),
        ("ecdsa-sha2-nistp384", "x"),
    ] {
        assert!(matches!(Record::read(&text.replacen(from, to, 1)), Err(BadRecord::Malformed(_))), "{from}");
    }
    // What would do harm to go on with.
    let good = record.round.clone().unwrap();
    let two = [good.changes.clone(), good.changes.clone()].concat();
    let unmade = Change { new: None, ..good.changes[0].clone() };
    let relative = Change { path: "k".into(), ..good.changes[0].clone() };
    for round in [
        Round { changes: Vec::new(), ..good.clone() },
        Round { changes: two, ..good.clone() },
        Round { changes: vec![relative], ..good.clone() },
        Round { changes: vec![unmade], replaced: Some(1), ..good.clone() },
        Round { mode: Mode::Compromised, aborted: Some(1), ..good },
    ] {
        let text = Record { round: Some(round), ..record.clone() }.text().unwrap();
        assert!(matches!(Record::read(&text), Err(BadRecord::Malformed(_))), "{text}");
    }
    assert!(Record::read(&text[..text.len() - 4]).is_err());
    assert_eq!(Record::read(&text.replace("\"version\": 1", "\"version\": 2")), Err(BadRecord::Newer(2)));
    assert!(Record::read("").is_err());
}

#[test]
fn the_oldest_key_is_due_first() {
    let held = |key_type, digest, since| Held { key_type, digest, since };
    let keys = [
        held(KeyType::Ed25519, OLD, NOW - 100),
        held(KeyType::EcdsaP256, OTHER, NOW - 50),
        held(KeyType::Rsa, [8; 32], NOW),
    ];
    let mut record = Record::default();
    assert_eq!(due(&record, &keys, &[], 60, NOW), Some(KeyType::Ed25519));
    assert_eq!(due(&record, &keys, &[], 101, NOW), None);
    assert_eq!(due(&record, &keys, &[KeyType::EcdsaP256], 50, NOW), Some(KeyType::EcdsaP256));
    // The time of a file says little, once it was rotated here.
    let change = Change { key_type: KeyType::Ed25519, path: "/k".into(), old: Some(NEW), new: Some(OLD) };
    let past = Past { change, mode: Mode::Hide, began: NOW - 20, ended: NOW - 10, aborted: false };
    record.past.push(past);
    assert_eq!(due(&record, &keys, &[], 50, NOW), Some(KeyType::EcdsaP256));
    record.queue.push(KeyType::Rsa);
    assert_eq!(due(&record, &keys, &[], 50, NOW), None, "one is under way");
}

#[test]
fn a_host_with_one_type_gets_another_first() {
    let (ed25519, ecdsa) = (KeyType::Ed25519, KeyType::EcdsaP256);
    assert_eq!(next(&[], Mode::Hide, &[ed25519], &[]), None);
    assert_eq!(next(&[ed25519], Mode::Hide, &[ed25519], &[]), Some((ecdsa, true)));
    assert_eq!(next(&[ecdsa], Mode::Hide, &[ecdsa], &[]), Some((ed25519, true)));
    assert_eq!(next(&[ed25519], Mode::Hide, &[ed25519, ecdsa], &[]), Some((ed25519, false)));
    assert_eq!(next(&[ed25519], Mode::Overlap, &[ed25519], &[]), Some((ed25519, false)));
    // Not beside records of others; and where every type has some, the caller has to look.
    assert_eq!(next(&[ed25519], Mode::Hide, &[ed25519], &[ecdsa]), Some((KeyType::Rsa, true)));
    assert_eq!(next(&[ecdsa], Mode::Hide, &[ecdsa], &[ed25519]), Some((KeyType::Rsa, true)));
    assert_eq!(next(&[ed25519], Mode::Hide, &[ed25519], &[ecdsa, KeyType::Rsa]), Some((ecdsa, true)));
    let p384 = KeyType::EcdsaP384;
    assert_eq!(
        next(&[p384], Mode::Hide, &[p384], &[ed25519]),
        Some((KeyType::Rsa, true)),
        "of one algorithm"
    );
    // What was added is no reason for the type itself to leave the queue.
    let added = Change { key_type: ecdsa, path: "/k".into(), old: None, new: Some(NEW) };
    let mut record = Record {
        round: Some(Round { changes: vec![added], ..round(Mode::Hide) }),
        queue: vec![ed25519],
        ..Record::default()
    };
    record.finish(NOW);
    assert_eq!((record.queue.as_slice(), record.past.len()), (&[ed25519][..], 1));
    record.round = Some(round(Mode::Hide));
    record.finish(NOW);
    assert!(record.queue.is_empty() && record.round.is_none());
}

#[test]
fn neither_a_clock_that_was_ahead_nor_a_ttl_of_decades_hides_a_key_for_years() {
    let year = 365 * 86_400;
    let mut round = Round {
        hidden: Some(NOW + year),
        spread: Some(NOW + year),
        replaced: Some(NOW + year),
        ..round(Mode::Hide)
    };
    round.silent.insert("x".into(), NOW + year);
    round.see_clock(None, NOW);
    assert_eq!((round.hidden, round.spread, round.replaced), (Some(NOW), Some(NOW), Some(NOW)));
    assert_eq!((round.ground, round.silent.get("x")), (Some(0), Some(&NOW)));
    let until = NOW + u64::from(TTL) + SLACK;
    assert_eq!(next_of(&round, NOW, NEW, &both(&[NEW, OTHER])), Step::Wait(Wait::Settle { until: NOW + 10 }));
    assert_eq!(next_of(&round, NOW + 10, NEW, &both(&[NEW, OTHER])), Step::Wait(Wait::Caches { until }));

    // One that is set while the machine runs takes the moments along.
    let clock = |uptime, wall| Some(Clock { boot: "a".to_owned(), uptime, wall });
    round.see_clock(clock(1000, NOW), NOW);
    for (uptime, wall) in [(1060, NOW + 60), (1100, NOW + 86_500), (1110, NOW + 110)] {
        round.see_clock(clock(uptime, wall), wall);
        assert_eq!(wall - round.spread.unwrap(), uptime - 1000, "{wall}");
        assert_eq!(round.ground, Some(0));
    }

    let record = crate::proto::sshfp::Sshfp::sha256_of(4, &NEW);
    let shown = Shown::of([&crate::proto::plan::Present::new(i32::MAX as u32, [record])]);
    assert_eq!(shown.ttl, 604_800);
}

#[test]
fn what_is_undone_again_and_again_is_told() {
    let mut round = round(Mode::Hide);
    for _ in 0..2 {
        round.mark(&Step::Lost, NOW);
        assert!(!round.is_undone());
    }
    round.mark(&Step::Lost, NOW);
    assert!(round.is_undone());
}
