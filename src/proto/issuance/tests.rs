use data_encoding::HEXLOWER;
use proptest::prelude::*;
use serde_json::json;
use signature::Signer;
use ssh_key::private::{Ed25519Keypair, KeypairData};

use super::journal::{Entry, Event, Line, read};
use super::ledger::{State, certificates};
use super::*;

const NOW: u64 = RELEASED + 86_400;
const RANDOM: Randomness = Randomness { serial: u64::MAX, nonce: [7; 32] };

fn pair(seed: u8) -> Ed25519Keypair {
    Ed25519Keypair::from_seed(&[seed; 32])
}

fn key(seed: u8) -> HostKey {
    let public = ssh_key::PublicKey::from(ssh_key::public::KeyData::from(pair(seed).public));
    HostKey::from_line(&public.to_openssh().unwrap()).unwrap()
}

fn name(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

/// A CA with the key 1.
fn authority() -> Authority {
    Authority::new(vec![name("example.com")], key(1), Holder::Agent).unwrap()
}

/// For the host key 2.
fn request(names: &[&str]) -> Request {
    Request::new(key(2), names.iter().map(|text| name(text)))
}

fn signature(draft: &Draft, seed: u8) -> Vec<u8> {
    let signed: ssh_key::Signature =
        KeypairData::from(pair(seed)).try_sign(&draft.to_sign().unwrap()).unwrap();
    Vec::try_from(signed).unwrap()
}

fn issued(names: &[&str]) -> Issued {
    let draft = draft(&authority(), &request(names), &RANDOM, NOW).unwrap();
    draft.signed(&signature(&draft, 1)).unwrap()
}

#[test]
fn a_certificate_says_what_was_asked_for_and_nothing_else() {
    let issued = issued(&["WEB1.example.com.", "web1.example.com", "example.com"]);
    assert_eq!(issued.principals, ["web1.example.com", "example.com"], "lower case, each once");
    assert_eq!(issued.serial, u64::MAX >> 1);
    let read = ssh_key::Certificate::from_openssh(&issued.line()).unwrap();
    assert_eq!(read.cert_type(), ssh_key::certificate::CertType::Host);
    assert_eq!(read.valid_principals(), issued.principals);
    assert_eq!((read.key_id(), read.serial()), ("web1.example.com", issued.serial));
    assert_eq!((read.valid_after(), read.valid_before()), (NOW - 300, NOW + 30 * 86_400));
    assert!(read.critical_options().is_empty() && read.extensions().is_empty());
    assert_eq!(read.nonce(), [7; 32]);
    assert!(read.verify_signature().is_ok());
}

#[test]
fn what_must_not_be_signed_is_refused() {
    let decide = |request: &Request| draft(&authority(), request, &RANDOM, NOW);
    let good = request(&["web1.example.com"]);
    assert!(decide(&good).is_ok());
    let outside = ["example.org", "com", "badexample.com", "example.com.evil.net", "web1"];
    for other in outside {
        // One name outside, and nothing is signed.
        let refused = decide(&request(&["web1.example.com", other])).unwrap_err();
        assert!(matches!(refused, Refusal::Outside { .. }), "{other}");
        assert_eq!(refused.reason(), "outside-domain");
    }
    let with = |change: &dyn Fn(&mut Request)| {
        let mut request = good.clone();
        change(&mut request);
        decide(&request).map(|draft| draft.serial())
    };
    let seconds = Duration::from_secs;
    assert_eq!(with(&|r| r.names.clear()), Err(Refusal::NoNames));
    let many = |count: usize| (0..count).map(|at| name(&format!("h{at}.example.com"))).collect();
    assert_eq!(with(&|r| r.names = many(257)), Err(Refusal::ManyNames(257)));
    assert!(with(&|r| r.names = many(256)).is_ok());
    assert_eq!(with(&|r| r.key = key(1)), Err(Refusal::OwnKey));
    assert_eq!(with(&|r| r.validity = Some(seconds(0))), Err(Refusal::NoValidity));
    let most = DEFAULT_MAX_VALIDITY.as_secs();
    assert!(with(&|r| r.validity = Some(seconds(most))).is_ok());
    assert!(matches!(with(&|r| r.validity = Some(seconds(most + 1))), Err(Refusal::LongValidity { .. })));
    assert_eq!(with(&|r| r.serial = Some(0)), Err(Refusal::ZeroSerial));
    assert_eq!(with(&|r| r.serial = Some(u64::MAX)), Ok(u64::MAX));
    for bad in [String::new(), "a\nb".into(), "\u{e9}".into(), "x".repeat(257)] {
        assert_eq!(with(&|r| r.key_id = Some(bad.clone())), Err(Refusal::KeyId), "{bad:?}");
    }
    assert!(with(&|r| r.key_id = Some("x".repeat(256))).is_ok());
    let nothing = Randomness { serial: 0, ..RANDOM };
    assert_eq!(draft(&authority(), &good, &nothing, NOW).unwrap().serial(), 1, "never 0");
}

#[test]
fn a_clock_before_this_release_signs_nothing_and_no_certificate_begins_before_it() {
    let at = |now| draft(&authority(), &request(&["web1.example.com"]), &RANDOM, now);
    assert_eq!(at(RELEASED - 1).unwrap_err(), Refusal::Clock(RELEASED - 1));
    assert_eq!(at(RELEASED).unwrap().valid_after, RELEASED);
    assert_eq!(at(RELEASED + 1000).unwrap().valid_after, RELEASED + 700);
}

#[test]
fn a_signature_of_anybody_else_makes_no_certificate() {
    let draft_of = |names: &[&str]| draft(&authority(), &request(names), &RANDOM, NOW).unwrap();
    let draft = draft_of(&["web1.example.com"]);
    let good = signature(&draft, 1);
    assert!(draft.signed(&good).is_ok());
    assert_eq!(draft.signed(&signature(&draft, 2)), Err(NotIssued::Signature), "another key");
    let other = signature(&draft_of(&["web2.example.com"]), 1);
    assert_eq!(draft.signed(&other), Err(NotIssued::Signature), "another certificate");
    assert!(draft.signed(&[]).is_err() && draft.signed(&good[1..]).is_err());
    let mut sha1 = vec![0, 0, 0, 7];
    sha1.extend(b"ssh-rsa\0\0\x01\0");
    sha1.extend([1; 256]);
    assert!(matches!(draft.signed(&sha1), Err(NotIssued::Algorithm(_) | NotIssued::Signature)));
}

#[test]
fn a_ca_is_read_as_it_was_written() {
    let file = Holder::File("ca_key".into());
    let first = Authority::new(vec![name("a.example"), name("b.example")], key(1), file).unwrap();
    let hour = Duration::from_secs(3600);
    let ca = first.with_validity(hour, 2 * hour).unwrap().with_next(key(2), Holder::Agent).unwrap();
    let text = ca.text().unwrap();
    assert_eq!(Authority::parse(&text).unwrap(), ca);
    assert!(
        ca.is_for(&name("x.b.example")) && ca.is_for(&name("a.example")) && !ca.is_for(&name("c.example"))
    );
    assert_eq!(ca.owners().unwrap()[1].to_string(), "_ca._ssh.b.example");
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        Authority::parse(&text.replacen(from, to, 1))
    };
    assert_eq!(changed("\"version\": 1", "\"version\": 2"), Err(AuthorityError::Newer(2)));
    assert_eq!(changed("\"current\"", "\"next\""), Err(AuthorityError::Current(0)));
    assert_eq!(changed("\"next\"", "\"current\""), Err(AuthorityError::Current(2)));
    assert_eq!(changed(&key(2).line(), &key(1).line()), Err(AuthorityError::Twice(key(1))));
    assert!(matches!(
        changed("\"validity\": \"1h\"", "\"validity\": \"3h\""),
        Err(AuthorityError::Validity(..))
    ));
    for (from, to) in [
        ("\"agent\": true", "\"agent\": false"),
        ("\"key_file\": \"ca_key\"", "\"agent\": false"),
        ("\"key_file\": \"ca_key\"", "\"key_file\": \"ca_key\", \"agent\": true"),
        ("\"version\": 1", "\"version\": 1, \"more\": 1"),
        ("a.example", "a_.example"),
        ("ssh-ed25519 ", "sk-ssh-ed25519@openssh.com "),
        ("{", ""),
    ] {
        assert!(matches!(changed(from, to), Err(AuthorityError::Form(_))), "{from} -> {to}");
    }
    assert_eq!(Authority::new(vec![], key(1), Holder::Agent), Err(AuthorityError::NoDomain));
}

#[test]
fn while_a_ca_rolls_over_exactly_one_key_signs() {
    let ca = authority().with_next(key(2), Holder::Agent).unwrap();
    assert_eq!(ca.current().key, key(1));
    assert!(ca.clone().with_next(key(1), Holder::Agent).is_err(), "it is there already");
    assert!(ca.clone().without(&key(1), KeyState::Current).is_err(), "somebody has to sign");
    assert!(ca.clone().promoted(&key(3)).is_err());
    let ca = ca.promoted(&key(2)).unwrap();
    assert_eq!(ca.current().key, key(2));
    assert_eq!(ca.keys()[0].state, KeyState::Retired);
    assert!(ca.clone().promoted(&key(1)).is_err(), "the way back is a new key");
    for own in [1, 2] {
        let request = Request::new(key(own), [name("web1.example.com")]);
        assert_eq!(draft(&ca, &request, &RANDOM, NOW), Err(Refusal::OwnKey));
    }
    assert!(ca.clone().without(&key(1), KeyState::Next).is_err(), "in another state than was thought");
    let ca = ca.without(&key(1), KeyState::Retired).unwrap();
    assert_eq!(ca.keys().len(), 1);
}

fn revoke(
    seed: u8,
    key_type: Option<KeyType>,
    is_undone: bool,
    more: serde_json::Map<String, serde_json::Value>,
) -> Event {
    let key = RevokedKey { key_type, sha256: key(seed).sha256() };
    if is_undone { Event::Unrevoke { key, more } } else { Event::Revoke { key, more } }
}

fn entries() -> Vec<Entry> {
    let sign = |name: &str, is_renewal| Event::Sign { issued: issued(&[name]), is_renewal };
    let more = json!({ "host": "\u{e9}\u{1f600}\n\u{7f}" });
    let Event::Other { more, .. } = Event::other("x", more) else { panic!() };
    [
        Event::Init { ca: KeyDigest::from(&key(1)), domains: vec!["example.com".into()] },
        sign("web1.example.com", false),
        sign("web2.example.com", true),
        revoke(3, Some(KeyType::Ed25519), false, more),
        revoke(4, None, true, Default::default()),
        Event::other("publish", json!({ "zone": "example.com", "event": "init", "time": 7 })),
        Event::other("of a later version", json!(null)),
    ]
    .into_iter()
    .zip(NOW..)
    .map(|(event, time)| Entry { time, event })
    .collect()
}

#[test]
fn events_are_lines_that_are_read_as_they_were_written() {
    for entry in entries() {
        let line = entry.line();
        assert!(line.is_ascii() && line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
        let Line::Entry(back) = read(line.trim_end().as_bytes()).unwrap() else { panic!("{line}") };
        assert_eq!(back.event.name(), entry.event.name());
        assert_eq!(back.line(), line);
        if !matches!(entry.event, Event::Other { .. }) {
            assert_eq!(back, entry);
        }
    }
}

#[test]
fn a_line_cut_anywhere_is_torn_and_never_another_event() {
    for entry in entries() {
        let line = entry.line();
        for cut in 0..line.len() - 1 {
            let mut part = line.as_bytes()[..cut].to_vec();
            assert_eq!(read(&part), Ok(Line::Torn), "{}", &line[..cut]);
            part.extend([0; 9]);
            assert_eq!(read(&part), Ok(Line::Torn), "{} and zeros", &line[..cut]);
        }
    }
}

#[test]
fn what_is_no_event_is_an_error() {
    let line = entries()[1].line();
    for bad in ["x", "[]", "{}", "7", "{\"time\":\"2026-12-01T00:00:00Z\"}", "{\"event\":\"sign\"}", "{} {}"]
    {
        assert!(read(bad.as_bytes()).is_err(), "{bad}");
    }
    for (from, to) in [
        ("\"serial\":\"", "\"serial\":\"-"),
        ("\"valid_before\":\"2", "\"valid_before\":\"x"),
        ("ssh-ed25519\"}", "sk-ssh-ed25519@openssh.com\"}"),
        ("\"certificate\":\"", "\"certificate\":\"!"),
        ("\"key\":{", "\"kex\":{"),
        (&HEXLOWER.encode(&key(2).sha256()), "00"),
    ] {
        assert!(line.contains(from), "{from}");
        assert!(read(line.replacen(from, to, 1).trim_end().as_bytes()).is_err(), "{from} -> {to}");
    }
    assert!(read(line.trim_end().as_bytes()).is_ok());
}

#[test]
fn certificates_stand_as_their_keys_and_the_time_have_it() {
    let sign = |names| Entry { time: NOW, event: Event::Sign { issued: issued(names), is_renewal: false } };
    let at =
        |is_undone| move |seed| Entry { time: NOW, event: revoke(seed, None, is_undone, Default::default()) };
    let (revoke, unrevoke) = (at(false), at(true));
    let states = |entries: Vec<Entry>, now| -> Vec<State> {
        certificates(entries, now).into_iter().map(|standing| standing.state).collect()
    };
    let one = || sign(&["web1.example.com"]);
    let end = NOW + 30 * 86_400;
    assert_eq!(states(vec![one()], end - 1), [State::Valid]);
    assert_eq!(states(vec![one()], end), [State::Expired]);
    assert_eq!(states(vec![one(), revoke(2), one()], NOW), [State::Revoked; 2], "before and after");
    assert_eq!(states(vec![revoke(1), one()], end), [State::Revoked], "with its CA");
    assert_eq!(states(vec![revoke(3), one()], NOW), [State::Valid], "another key");
    assert_eq!(states(vec![revoke(2), one(), unrevoke(2)], NOW), [State::Valid], "taken back");
    assert_eq!(states(vec![unrevoke(2), one(), revoke(2)], NOW), [State::Revoked], "the last one counts");
}

proptest! {
    #[test]
    fn no_line_is_too_strange_to_be_read(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&line);
        let _ = Authority::parse(&String::from_utf8_lossy(&line));
    }
}
