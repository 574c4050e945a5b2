//! Lookups end, whatever resolvers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::dns::resolver::tests::{Answers, reply, server};
use crate::proto::name::Name;
use crate::proto::rr::RrType;

const NOW: u64 = 1_800_000_000;

async fn lookups(answers: Answers, wait: Duration) -> Lookups {
    let resolver = Resolver::new(vec![server(answers).await]).unwrap();
    Lookups::new(resolver, Anchors::built_in(), NOW, Instant::now() + wait)
}

/// A reply that leads on: a record, and an RRSIG by the name one label up.
fn leads_upwards(query: &[u8]) -> Vec<u8> {
    let mut out = reply(query, 0x8180);
    let rtype = [out[out.len() - 4], out[out.len() - 3]];
    let parent = 13 + usize::from(query[12]);
    // For data its own name is the signer, for DS the one above.
    let signer = if rtype == RrType::DS.0.to_be_bytes() { &out[parent..] } else { &out[12..] };
    let signer = signer[..signer.len() - 4].to_vec();
    let head = |rtype: [u8; 2], length: usize| {
        [&[0xc0, 12], &rtype[..], &[0, 1, 0, 0, 14, 16], &(length as u16).to_be_bytes()].concat()
    };
    let window = [(NOW as u32 + 1000).to_be_bytes(), (NOW as u32 - 1000).to_be_bytes()].concat();
    let labels = Name::from_wire(&out[12..out.len() - 4]).unwrap().label_count() as u8;
    let fields = [&rtype[..], &[15, labels], &[0, 0, 14, 16], &window, &[0, 7], &signer, &[0; 64]].concat();
    out[7] = 2;
    out.extend([head(rtype, 4), vec![1, 0, 3, 15]].concat());
    out.extend([head(RrType::RRSIG.0.to_be_bytes(), fields.len()), fields].concat());
    out[11] = 1;
    out.extend([0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
    out
}

#[tokio::test]
async fn a_way_without_end_is_left_after_a_number_of_questions() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let endless: Answers = Arc::new(move |query, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        vec![leads_upwards(query)]
    });
    let one = lookups(endless.clone(), Duration::from_secs(20)).await;
    let deep = Question::new(Name::from_text(&"a.".repeat(100)).unwrap(), RrType::SSHFP);
    let unproven = one.prove(&deep).await.unwrap_err();
    assert_eq!(unproven.status, Status::Indeterminate);
    let ChainError::Unanswered { why, .. } = &unproven.error else { panic!("{unproven}") };
    assert!(why.contains("too many questions"), "{why}");
    let by_one = asked.swap(0, Ordering::Relaxed);
    assert!((MAX_AT_FIRST - 4..=MAX_AT_FIRST).contains(&by_one), "{by_one}");
    // Another may know a way; both together have no more than that.
    let two = Resolver::new(vec![server(endless.clone()).await, server(endless).await]).unwrap();
    let two = Lookups::new(two, Anchors::built_in(), NOW, Instant::now() + Duration::from_secs(20));
    assert_eq!(two.prove(&deep).await.unwrap_err().status, Status::Indeterminate);
    let by_two = asked.load(Ordering::Relaxed);
    assert!((MAX_QUESTIONS - 8..=MAX_QUESTIONS).contains(&by_two), "{by_two}");
}

#[tokio::test]
async fn a_second_attempt_has_what_the_first_one_left() {
    for labels in [5, 10, 14] {
        let (asked, unchecked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (asked.clone(), unchecked.clone());
        let endless: Answers = Arc::new(move |query, _| {
            const CD: u8 = 0x10;
            counters.0.fetch_add(1, Ordering::Relaxed);
            counters.1.fetch_add(usize::from(query[3] & CD == 0), Ordering::Relaxed);
            vec![leads_upwards(query)]
        });
        let lookups = lookups(endless, Duration::from_secs(20)).await;
        let deep = Name::from_text(&"a.".repeat(labels)).unwrap();
        let unproven = lookups.prove(&Question::new(deep, RrType::SSHFP)).await.unwrap_err();
        assert_eq!(unproven.status, Status::Bogus, "{unproven}");
        let (asked, unchecked) = (asked.load(Ordering::Relaxed), unchecked.load(Ordering::Relaxed));
        assert!(asked <= MAX_QUESTIONS && unchecked > 0, "{labels}: {asked}, {unchecked}");
    }
}

#[tokio::test]
async fn one_deadline_ends_everything() {
    let silent: Answers = Arc::new(|_, _| Vec::new());
    let lookups = lookups(silent, Duration::from_millis(300)).await;
    let begun = Instant::now();
    let question = Question::new(Name::from_text("host.example.test").unwrap(), RrType::SSHFP);
    let (one, two) = tokio::join!(lookups.prove(&question), lookups.prove(&question));
    assert_eq!(one.unwrap_err().status, Status::Indeterminate);
    assert_eq!(two.unwrap_err().status, Status::Indeterminate);
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn one_question_of_several_lookups_is_sent_once() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let failing: Answers = Arc::new(move |query, _| {
        counter.fetch_add(1, Ordering::Relaxed);
        vec![reply(query, 0x8182)]
    });
    let lookups = lookups(failing, Duration::from_secs(5)).await;
    let question = Question::new(Name::from_text("host.example.test").unwrap(), RrType::SSHFP);
    let _ = tokio::join!(lookups.prove(&question), lookups.prove(&question), lookups.prove(&question));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
