use super::super::tests::severity;
use super::super::{Severity, gravest};
use super::*;
use crate::proto::chain::paper::{NOW, Paper};
use crate::proto::rr::RrType;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn name(text: &str) -> Name {
    Name::from_text(text).unwrap()
}

fn record(letter: u8) -> Sshfp {
    Sshfp::from_rdata(&[&[4, 2], [letter; 32].as_slice()].concat()).unwrap()
}

fn no<T>() -> Tried<T> {
    Err(Failure { message: "no".into(), hint: None })
}

#[test]
fn whatever_fails_is_an_error_with_a_remedy_and_its_twin_is_well() {
    let owner = name("web1.example");
    let pairs = [
        (key_files("p", &no()), key_files("p", &Ok(vec![]))),
        (host_keys(&no()), host_keys(&Ok(([record(1)].into(), vec![])))),
        (host_keys(&Ok(([].into(), vec![]))), host_keys(&Ok(([record(1)].into(), vec![])))),
        (vec![place("p", &owner, &no())], vec![place("p", &owner, &Ok(name("example")))]),
        (vec![key("p", &no())], vec![key("p", &Ok(()))]),
        (vec![rights("p", &owner, &no())], vec![rights("p", &owner, &Ok(()))]),
        (vec![state("s", &no())], vec![state("s", &Ok(3))]),
    ];
    for (bad, good) in pairs {
        assert_eq!((gravest(&bad), gravest(&good)), (Severity::Error, Severity::Ok), "{bad:#?}");
        assert!(bad.iter().all(|finding| finding.remedy.is_some()), "{bad:#?}");
    }
    let weak = key_files("p", &Ok(vec!["the file can be read by others".into()]));
    assert_eq!(severity(&weak, "publish-key"), Severity::Warning);
    let skipped = host_keys(&Ok(([record(1)].into(), vec!["one was passed over".into()])));
    assert_eq!(gravest(&skipped), Severity::Warning);
}

#[test]
fn an_agent_that_is_not_there_is_no_warning_and_one_that_fails_is() {
    assert_eq!(agent(&no()).severity, Severity::Info);
    assert_eq!(agent(&Ok((true, "all is well".into()))).severity, Severity::Ok);
    assert_eq!(agent(&Ok((false, "no answer".into()))).severity, Severity::Warning);
}

#[test]
fn a_zone_is_proven_or_nothing_in_it_is() {
    let mut paper = Paper::tree(&[".", "test", "example.test"]);
    paper.publish("example.test", "example.test", RrType::SOA, &[&[0; 22]]);
    let found = |paper: &Paper, of: &str| zone(NOW, &name(of), &paper.run(of, RrType::SOA).outcome);
    let good = found(&paper, "example.test");
    assert_eq!(severity(&good, "publish-zone"), Severity::Ok, "{good:#?}");
    assert!(good[0].message.ends_with(". -> test -> example.test"), "{good:#?}");
    let bad = found(&paper, "other.test");
    assert_ne!(gravest(&bad), Severity::Ok, "{bad:#?}");
    assert!(bad[0].remedy.is_some());
}

#[test]
fn records_that_are_missing_are_told_and_others_are_not_held_against_them() {
    let (owner, wanted) = (name("web1.example"), SshfpSet::from([record(1), record(2)]));
    let stands = |letters: &[u8]| {
        let present = Present::new(60, letters.iter().map(|letter| record(*letter)));
        records(&owner, &wanted, &Ok(present))
    };
    assert_eq!(stands(&[1, 2]).severity, Severity::Ok);
    assert_eq!(stands(&[1, 2, 3]).severity, Severity::Ok);
    for missing in [&[][..], &[1], &[3]] {
        assert_eq!(stands(missing).severity, Severity::Warning, "{missing:?}");
    }
}

#[test]
fn servers_are_judged_by_what_they_show_and_not_by_how_they_count() {
    let (zone, present) = (name("example"), Present::new(60, [record(1)]));
    let server = |serial, letter| Server {
        label: "ns2".into(),
        shows: Ok((serial, Present::new(60, [record(letter)]))),
    };
    let judged = |of: &[Server]| servers(&zone, Some(7), &present, of);
    let same = judged(&[server(7, 1), server(7, 1)]);
    assert_eq!((same.len(), same[0].severity), (1, Severity::Ok));
    assert!(same[0].message.ends_with("(serial 7)"), "{same:#?}");
    // Signed elsewhere.
    let counts = judged(&[server(70, 1)]);
    assert_eq!(gravest(&counts), Severity::Ok);
    assert!(counts[0].message.ends_with("(serial 70; the primary has 7)"), "{counts:#?}");
    let lags = judged(&[server(6, 2), server(7, 1)]);
    assert_eq!(severity(&lags, "publish-servers"), Severity::Warning);
    assert!(lags[0].message.contains("serial 6, the primary has 7"), "{lags:#?}");
    let silent = judged(&[Server { label: "ns2".into(), shows: Err("no answer".into()) }]);
    assert_eq!(severity(&silent, "publish-servers"), Severity::Warning);
    assert_eq!(gravest(&judged(&[])), Severity::Info);
}

#[test]
fn times_have_to_leave_room_for_a_rotation_and_for_signatures() {
    let good = Times { ttl: 3600, negative_ttl: 3600, every: Some(90 * DAY), announce: 7 * DAY, types: 3 };
    let judged = |of: Times, signed_for| times(&name("web1.example"), &of, signed_for);
    let of = |found: Vec<Finding>| gravest(&found);
    assert_eq!(of(judged(good, Some(14 * DAY))), Severity::Ok);
    assert_eq!(of(judged(Times { every: None, ..good }, None)), Severity::Ok);
    for (bad, word) in [
        (Times { ttl: 172_800, ..good }, "(TTL)"),
        (Times { negative_ttl: 172_800, ..good }, "negative TTL"),
        (Times { every: Some(30 * DAY), ..good }, "one begins every 30 days"),
        (Times { every: Some(0), announce: u64::MAX, ..good }, "a rotation of 3 types"),
    ] {
        let found = judged(bad, Some(14 * DAY));
        assert_eq!(gravest(&found), Severity::Warning, "{bad:?}");
        assert!(found[0].message.contains(word), "{word}: {found:#?}");
    }
    assert_eq!(of(judged(good, Some(HOUR))), Severity::Warning);
    assert_eq!(of(judged(good, Some(2 * HOUR))), Severity::Ok);
}

#[test]
fn a_rotation_that_nobody_goes_on_with_is_told_of() {
    let record = |since: u64| {
        let wish = crate::proto::rotation::Wish { since, ..Default::default() };
        Ok(Record { queue: vec![crate::proto::hostkey::KeyType::Rsa], wish, ..Record::default() })
    };
    let now = 1_795_219_200;
    let severity = |since, agent_runs| rotation(&record(since), now, agent_runs).unwrap().severity;
    assert_eq!(rotation(&Ok(Record::default()), now, false), None);
    assert_eq!(severity(now - 60, true), Severity::Ok);
    assert_eq!(severity(now - 60, false), Severity::Warning);
    assert_eq!(severity(now - 8 * 86_400, true), Severity::Warning);
    let unreadable = Err(Failure { message: "unreadable".to_owned(), hint: None });
    assert_eq!(rotation(&unreadable, now, true).unwrap().severity, Severity::Error);
    assert_eq!(rotation_lost("one has left").severity, Severity::Error);
}
