use super::*;
use crate::proto::audit::facts::{Failure, Stage};
use crate::proto::doctor::known_hosts::Remembered;
use crate::proto::known_hosts::Index;

#[test]
fn a_live_key_that_contradicts_is_an_error_and_one_without_a_record_a_warning() {
    assert_eq!(found(&web1(&[record(&key(1))], &[key(1)])), Vec::<String>::new());
    assert_eq!(
        found(&web1(&[record(&key(1)), record(&ecdsa())], &[key(2), ecdsa()])),
        ["error key-mismatch", "warning stale-record"]
    );
    assert_eq!(found(&web1(&[record(&key(1))], &[key(1), ecdsa()])), ["warning missing-record"]);
    // Of one algorithm, and SSHFP does not tell curves apart: the second is not published, and contradicts nothing.
    let mut two = web1(&[record(&key(1))], &[key(1), key(2)]);
    assert_eq!(found(&two), ["warning missing-record"]);
    // Where nothing at all is proven the verdict says so, once.
    two = web1(&[], &[key(1)]);
    two.outcome = Outcome { verdict: Some("unproven"), reason: Some("no-record"), ..Outcome::default() };
    assert_eq!(found(&two), ["error no-record"]);
}

#[test]
fn a_verdict_and_the_same_of_its_key_are_one_finding() {
    let mut facts = web1(&[record(&key(1))], &[key(2)]);
    facts.outcome = Outcome {
        verdict: Some("reject"),
        reason: Some("key-mismatch"),
        key: Some(key(2).sha256()),
        ..Outcome::default()
    };
    let judged = judged(&facts);
    let mismatches = judged.report().findings.iter().filter(|f| f.code == "key-mismatch");
    assert_eq!(mismatches.count(), 1, "{judged:#?}");
}

#[test]
fn a_host_that_policy_passes_is_told_without_alarm() {
    let mut facts = web1(&[], &[]);
    facts.outcome = Outcome { verdict: Some("unproven"), reason: Some("pass"), ..Outcome::default() };
    (facts.proof, facts.live) = (None, None);
    assert_eq!(found(&facts), ["info pass"]);
    facts.outcome.reason = Some("address");
    assert_eq!(found(&facts), ["error address"]);
}

#[test]
fn a_record_is_stale_once_every_key_was_seen() {
    let records = [record(&key(1)), record(&ecdsa())];
    let mut facts = web1(&records, &[key(1)]);
    assert_eq!(found(&facts), ["warning stale-record"]);
    // This machine holds it, though its server hides it.
    facts.disk = Some(vec![key(1), ecdsa()]);
    assert_eq!(found(&facts), ["info key-not-offered"]);
    facts.disk = None;
    let failure = Failure { stage: Stage::Handshake, message: "closed".into(), hint: "wait".into() };
    facts.live.as_mut().unwrap().failure = Some(failure);
    assert_eq!(found(&facts), ["info keys-unseen"]);
    // A server that has no key of any type that counts has told so.
    let mut none = web1(&records, &[]);
    assert_eq!(found(&none), Vec::<String>::new());
    none.live.as_mut().unwrap().offers = Some(vec!["x".to_owned()]);
    assert_eq!(found(&none), ["warning stale-record"]);
}

#[test]
fn hosts_that_are_not_there_leave_orphans() {
    let with = |records: &[Vec<u8>], stage, verdict| {
        let mut facts = web1(records, &[]);
        let failure = Failure { stage, message: "why".into(), hint: "look".into() };
        facts.outcome = Outcome { verdict, ..Outcome::default() };
        facts.live = Some(Live { failure: Some(failure), ..Live::default() });
        found(&facts)
    };
    let records = [record(&key(1))];
    assert_eq!(with(&records, Stage::NoAddress, None), ["warning orphan"]);
    assert_eq!(with(&records, Stage::Unreachable, None), ["warning orphan"]);
    assert_eq!(with(&records, Stage::Handshake, None), ["warning unreachable"]);
    assert_eq!(with(&records, Stage::Handshake, Some("reject")), Vec::<String>::new());
    assert_eq!(with(&[], Stage::Unreachable, None), ["warning unreachable"]);
    // SHA-1 vouches for nobody.
    let sha1 = [[&[4, 1][..], &[7; 20]].concat()];
    assert_eq!(with(&sha1, Stage::Unreachable, None), ["info sha1-record", "warning unreachable"]);
}

#[test]
fn records_are_read_as_stock_clients_read_them() {
    let both = web1(&[record(&key(1)), record(&key(2))], &[key(1)]);
    assert_eq!(found(&both), ["warning several-of-algorithm", "warning stale-record"]);
    let beside = web1(&[record(&key(1)), [&[4, 1][..], &[7; 20]].concat()], &[key(1)]);
    assert_eq!(found(&beside), ["info sha1-record"]);
    let dsa = web1(&[record(&key(1)), [&[2, 2][..], &[7; 32]].concat()], &[key(1)]);
    assert_eq!(found(&dsa), ["warning weak-algorithm"]);
    assert_eq!(found(&web1(&[record(&key(1)), record(&ecdsa())], &[key(1), ecdsa()])), Vec::<String>::new());
}

#[test]
fn short_keys_and_old_algorithms_are_told() {
    for (bits, want) in [
        (1024, &["warning weak-key"][..]),
        (2040, &["warning weak-key"]),
        (2048, &["info weak-key"]),
        (3072, &[]),
    ] {
        assert_eq!(found(&web1(&[record(&rsa(bits))], &[rsa(bits)])), want, "{bits}");
    }
    let offering = |offers: &[&str]| {
        let mut facts = web1(&[record(&key(1))], &[key(1)]);
        facts.live.as_mut().unwrap().offers = Some(offers.iter().map(|&offer| offer.to_owned()).collect());
        found(&facts)
    };
    for well in [&["ssh-ed25519"][..], &["ssh-rsa", "rsa-sha2-256"], &["rsa-sha2-512", "ssh-rsa"]] {
        assert_eq!(offering(well), Vec::<String>::new(), "{well:?}");
    }
    assert_eq!(offering(&["ssh-rsa"]), ["warning weak-algorithm"]);
    assert_eq!(offering(&["ssh-dss", "ssh-ed25519"]), ["warning weak-algorithm"]);
}

#[test]
fn known_hosts_is_compared_with_what_is_proven() {
    let with = |text: &str, records: &[Vec<u8>]| {
        let mut facts = web1(records, &[key(1)]);
        let entries = Index::new(text).entries(WEB1);
        facts.remembered = vec![Remembered { path: "known_hosts".into(), entries }];
        judged(&facts)
    };
    let line =
        |key: &HostKey| format!("{WEB1} {} {}\n", key.key_type(), data_encoding::BASE64.encode(key.blob()));
    let codes_of = |text: &str| codes(&with(text, &[record(&key(1))]).report().findings);
    assert_eq!(codes_of(&line(&key(1))), Vec::<String>::new());
    assert_eq!(codes_of(&line(&key(2))), ["warning known-hosts-conflict"]);
    assert_eq!(codes_of(&line(&ecdsa())), ["warning known-hosts-stale"]);
    assert_eq!(codes_of(&format!("@cert-authority {}", line(&key(3)))), ["info known-hosts-ca"]);
    assert_eq!(codes_of(&format!("@revoked {}", line(&key(1)))), ["warning known-hosts-conflict"]);
    // There is nothing to compare it with.
    assert_eq!(codes(&with(&line(&key(2)), &[]).report().findings), Vec::<String>::new());
    let keys = &with(&line(&key(1)), &[record(&key(1))]).report().keys.clone();
    assert_eq!(keys[0].seen, ["live", "known_hosts"]);
}

#[test]
fn a_revoked_key_is_an_error_whatever_accepts() {
    let mut paper = paper(&[(WEB1, &[record(&key(1)), record(&ecdsa())])]);
    let sentinel = crate::proto::revocation::SENTINEL;
    paper.publish(ZONE, "_revoked._ssh.example.test", RrType::SSHFP, &[&sentinel]);
    assert_eq!(found(&facts(&paper, WEB1, &[key(1), ecdsa()])), Vec::<String>::new());
    paper.publish(ZONE, "_revoked._ssh.example.test", RrType::SSHFP, &[&sentinel, &record(&ecdsa())]);
    assert_eq!(found(&facts(&paper, WEB1, &[key(1), ecdsa()])), ["error revoked"]);
}
