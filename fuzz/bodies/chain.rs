//! Replies and stored proofs, against trust anchors that no octets can change.

use std::collections::HashMap;

use sshanchor::proto::bundle::{Bundle, entry_from_text, entry_text};
use sshanchor::proto::chain::{Answer, Entry, Prover};
use sshanchor::proto::message::{Question, Response};
use sshanchor::proto::name::HostName;
use sshanchor::proto::rr::{Origin, RrType};

use super::world::{HOST, KEY, NOW, OTHER, PROVEN, UNPROVEN, judge, question, world};
use super::{dns, frames};

/// An octet that says which name is looked up, then frames: each a reply to the question in it, the first to a
/// question counts. What they leave open is answered honestly.
pub fn chain(octets: &[u8]) {
    let Some((which, rest)) = octets.split_first() else { return };
    let names: Vec<&str> = PROVEN.into_iter().chain(UNPROVEN).collect();
    let asked = question(names[usize::from(*which) % names.len()], RrType::SSHFP);
    let mut forged: HashMap<Question, Response> = HashMap::new();
    for frame in frames(rest) {
        let Some((id, question)) = dns::asked(frame) else { continue };
        if let Ok(response) = Response::read(frame, id, &question) {
            forged.entry(question).or_insert(response);
        }
    }
    let outcome = world().look_up(&asked, &forged);
    world().check(&asked, &outcome);
    if let Ok(answer) = outcome {
        travels(&answer);
    }
}

/// A proof can be written down and proven again, and says the same.
fn travels(answer: &Answer) {
    let bundle = Bundle::new(answer.entries(NOW), NOW);
    let read = Bundle::from_text(&bundle.to_text()).unwrap();
    let stored = |entry: &Entry| (entry.question().clone(), entry_text(entry));
    assert_eq!(
        read.entries().map(stored).collect::<Vec<_>>(),
        bundle.entries().map(stored).collect::<Vec<_>>()
    );
    let again = read.prove(answer.asked(), &mut Prover::new(world().anchors.clone(), NOW)).unwrap();
    let rdatas = |answer: &Answer| answer.data().set().presentation();
    assert_eq!((rdatas(&again), again.expires()), (rdatas(answer), answer.expires()));
    assert_eq!(again.valid_until(), again.expires());
    assert_eq!(again.origin(), Origin::Bundle);
}

/// Octets as a bundle, and each of their lines as an entry.
pub fn bundle(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    for line in text.lines() {
        if let Ok(entry) = entry_from_text(line) {
            check_entry(&entry);
        }
    }
    let Ok(bundle) = Bundle::from_text(text) else { return };
    let written = bundle.to_text();
    let read = Bundle::from_text(&written).unwrap();
    assert_eq!(read, bundle);
    assert_eq!(read.to_text(), written);
    let mut prover = Prover::new(world().anchors.clone(), NOW);
    let names = PROVEN.into_iter().chain(UNPROVEN).map(|name| question(name, RrType::SSHFP));
    let questions: Vec<Question> = bundle.entries().map(|entry| entry.question().clone()).collect();
    for asked in names.chain(questions) {
        let Ok(answer) = bundle.prove(&asked, &mut prover) else { continue };
        if asked.rtype == RrType::SSHFP {
            world().check(&asked, &Ok(answer.clone()));
        }
        if bundle.entries().all(|entry| entry.fetched() == NOW) {
            let until = bundle.signed_until(bundle.get(&asked).unwrap()).unwrap();
            assert!(until == answer.expires() || !answer.aliases().is_empty() && until > answer.expires());
        }
        assert_eq!(answer.valid_until(), answer.expires());
        if let Ok(host) = HostName::parse(&asked.name.to_string()) {
            let accepted = judge(&asked, Ok(answer.clone()), KEY);
            assert!(!accepted || answer.data().set().owner().to_string() == HOST, "{host}");
            assert!(!judge(&asked, Ok(answer), OTHER));
        }
    }
}

fn check_entry(entry: &Entry) {
    let text = entry_text(entry);
    super::assert_printable(&text);
    let read = entry_from_text(&text).unwrap();
    assert_eq!(&read, entry);
    let (fetched, until) = (entry.fetched(), entry.until());
    assert!(until >= fetched);
    let kept = |now: u64, grace: u64| entry.kept(now, grace).map(|set| (set.origin(), set.ttl()));
    if let Some(before) = fetched.checked_sub(1) {
        assert_eq!(kept(before, u64::MAX), None, "from the future");
    }
    for now in [fetched, fetched + (until - fetched) / 2, until] {
        assert_eq!(kept(now, 0), Some((Origin::Cache, (until - now) as u32)));
    }
    if let Some(after) = until.checked_add(1) {
        assert_eq!(kept(after, 0), None);
        let grace = Origin::Grace { fetched, until: until.saturating_add(10) };
        assert_eq!(kept(after, 10), Some((grace, 0)));
    }
    if let Some(after) = until.checked_add(11) {
        assert_eq!(kept(after, 10), None);
    }
}
