//! Evidence and a key give a verdict: every accept beside what must not be one.

use super::*;
use crate::proto::chain::paper::{MARGIN, NOW, Paper, record};
use crate::proto::denial::Status;
use crate::proto::evidence::owners;
use crate::proto::hostkey::HostKey;

mod ca;
mod policy;
mod posture;
mod properties;

// Made by ssh-keygen -t ed25519 and ecdsa; the certificate by ssh-keygen -s CA -h -n host.example.test.
const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPCD+fq+NhGll+fopvWCY8RV\
    AgJAw2i2joZcGDgz+6nQJlIl+GcCkqQeK8tlIpgypDQ9AZ8G/X4WyjQZnS7HGCk=";
const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAICdlnXe357W\
    ZuVHfz0XsFIE3++4SV7vqmljDCwBrPZB+AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eqAAAAAAAAAAAAAAA\
    CAAAAAmlkAAAAFQAAABFob3N0LmV4YW1wbGUudGVzdAAAAAAAAAAA//////////8AAAAAAAAAAAAAAAAAAAAzAAAAC3NzaC1\
    lZDI1NTE5AAAAIPdqRW2Fwi+rRKIwIClJ/mO0HES+v31p+wRQW28B7OkNAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEA2HJHAibf\
    vtZH0oliPu7YmBExIxZetjMEkDHN964tJTMAyhEm3G9djMrU5nlWOqmF4XKYX1NABIxZJn1ol014O";

const HOST: &str = "host.example.test";
const AT_PORT: &str = "_2222._ssh.host.example.test";
const ZONE: &str = "example.test";

fn ed25519() -> HostKey {
    HostKey::from_line(ED25519).unwrap()
}

fn ecdsa() -> HostKey {
    HostKey::from_line(ECDSA).unwrap()
}

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

/// SHA-256 record data of a key.
fn sha256(key: &HostKey) -> Vec<u8> {
    Sshfp::of_key(key).rdata()
}

/// A tree in which these owners have these SSHFP records.
fn paper(published: &[(&str, &[Vec<u8>])]) -> Paper {
    Paper::of_records(ZONE, published)
}

fn evidence(paper: &Paper, port: u16) -> Evidence {
    let [at_host, at_port] = owners(&host(HOST), port).unwrap();
    let outcome = |asked: Question| paper.run(&asked.name.to_string(), asked.rtype).outcome;
    Evidence::new(host(HOST), port, outcome(at_host), outcome(at_port))
}

/// The verdict on `key` at `port`, in one word.
fn word(paper: &Paper, port: u16, key: HostKey) -> &'static str {
    code(&decide(&evidence(paper, port), &Presented::Plain(key), None, &Policy::default(), NOW))
}

fn code(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accept(_) => "accept",
        Verdict::Reject(reason) | Verdict::Unproven(reason) => reason.code(),
    }
}

#[test]
fn the_published_key_is_accepted_and_the_witness_says_for_what() {
    let paper = paper(&[(HOST, &[sha256(&ed25519())])]);
    let verdict = decide(&evidence(&paper, 22), &Presented::Plain(ed25519()), None, &Policy::default(), NOW);
    let Verdict::Accept(anchored) = verdict else { panic!("{verdict:?}") };
    assert_eq!((anchored.host(), anchored.port()), (&host(HOST), 22));
    assert_eq!((anchored.key_type(), anchored.key_sha256()), (KeyType::Ed25519, &ed25519().sha256()));
    assert_eq!(anchored.owner().to_string(), HOST);
    assert!(anchored.valid_until() > NOW);
}

#[test]
fn other_keys_are_rejected_and_say_what_is_published() {
    let published = paper(&[(HOST, &[sha256(&ed25519())])]);
    assert_eq!(word(&published, 22, ed25519()), "accept");
    let verdict =
        decide(&evidence(&published, 22), &Presented::Plain(ecdsa()), None, &Policy::default(), NOW);
    let Verdict::Reject(reason @ Reason::KeyTypeNotPublished { .. }) = verdict else { panic!("{verdict:?}") };
    // ssh before 8.5 asks for ECDSA first, whatever is published.
    assert!(reason.hint().contains("HostKeyAlgorithms ssh-ed25519 in"), "{}", reason.hint());
    let mut other = sha256(&ed25519());
    other[33] ^= 1;
    let verdict = decide(
        &evidence(&paper(&[(HOST, &[other])]), 22),
        &Presented::Plain(ed25519()),
        None,
        &Policy::default(),
        NOW,
    );
    let Verdict::Reject(reason) = &verdict else { panic!("{verdict:?}") };
    assert_eq!(reason.code(), "key-mismatch");
    assert!(reason.to_string().contains("ED25519 SHA256:"), "{reason}");
    assert!(reason.hint().contains("do not connect"));
}

#[test]
fn one_of_several_records_is_enough() {
    let mut other = sha256(&ed25519());
    other[2] ^= 1;
    let paper = paper(&[(HOST, &[other, sha256(&ecdsa()), sha256(&ed25519())])]);
    assert_eq!((word(&paper, 22, ed25519()), word(&paper, 22, ecdsa())), ("accept", "accept"));
    assert_eq!(evidence(&paper, 22).key_types(&Policy::default(), NOW).first(), Some(&KeyType::Ed25519));
}

#[test]
fn only_sha_256_of_a_known_type_vouches() {
    let with = |change: fn(&mut Vec<u8>)| {
        let mut rdata = sha256(&ed25519());
        change(&mut rdata);
        paper(&[(HOST, &[rdata])])
    };
    assert_eq!(word(&with(|_| {}), 22, ed25519()), "accept");
    type Change = fn(&mut Vec<u8>);
    let cases: [(&str, Change); 5] = [
        ("a SHA-1 record", |r| {
            r[1] = 1;
            r.truncate(22);
        }),
        ("SHA-1 by its number, SHA-256 by its length", |r| r[1] = 1),
        ("an unknown digest", |r| r[1] = 3),
        ("a digest cut short", |r| r.truncate(33)),
        ("an unknown key type", |r| r[0] = 6),
    ];
    for (what, change) in cases {
        let paper = with(change);
        let verdict =
            decide(&evidence(&paper, 22), &Presented::Plain(ed25519()), None, &Policy::default(), NOW);
        assert!(matches!(verdict, Verdict::Unproven(Reason::NothingUsable { .. })), "{what}: {verdict:?}");
        assert!(evidence(&paper, 22).key_types(&Policy::default(), NOW).is_empty(), "{what}");
    }
    assert_eq!(word(&with(|r| r[0] = 3), 22, ed25519()), "key-type-not-published", "another type's number");
    // Beside a SHA-1 record the SHA-256 record decides.
    let mut sha1 = sha256(&ecdsa());
    sha1[1] = 1;
    sha1.truncate(22);
    let both = paper(&[(HOST, &[sha1, sha256(&ed25519())])]);
    assert_eq!(word(&both, 22, ed25519()), "accept");
    assert_eq!(word(&both, 22, ecdsa()), "key-type-not-published");
}

#[test]
fn keys_under_a_port_label_are_good_on_that_port_only() {
    let labelled = paper(&[(AT_PORT, &[sha256(&ed25519())])]);
    assert_eq!(word(&labelled, 2222, ed25519()), "accept");
    assert_ne!(word(&labelled, 22, ed25519()), "accept");
    assert_ne!(word(&labelled, 22222, ed25519()), "accept");
    assert_eq!(word(&labelled, 2222, ecdsa()), "key-type-not-published");
    let both = paper(&[(AT_PORT, &[sha256(&ed25519())]), (HOST, &[sha256(&ecdsa())])]);
    assert_eq!((word(&both, 2222, ed25519()), word(&both, 2222, ecdsa())), ("accept", "accept"));
    assert_eq!((word(&both, 22, ed25519()), word(&both, 22, ecdsa())), ("key-type-not-published", "accept"));
}

#[test]
fn an_answer_to_another_question_vouches_for_nothing() {
    let mut paper = paper(&[
        (HOST, &[sha256(&ed25519())]),
        ("other.example.test", &[sha256(&ed25519())]),
        (AT_PORT, &[sha256(&ed25519())]),
    ]);
    paper.publish(ZONE, HOST, RrType::TXT, &[&sha256(&ed25519())]);
    let answer = |owner: &str| paper.run(owner, RrType::SSHFP).outcome;
    let nothing = || answer("absent.example.test");
    let verdict = |port, at_host, at_port| {
        let evidence = Evidence::new(host(HOST), port, at_host, at_port);
        assert!(evidence.key_types(&Policy::default(), NOW).is_empty() || evidence.valid_until().is_some());
        code(&decide(&evidence, &Presented::Plain(ed25519()), None, &Policy::default(), NOW))
    };
    assert_eq!(verdict(22, answer(HOST), nothing()), "accept");
    assert_eq!(verdict(2222, nothing(), answer(AT_PORT)), "accept");
    let text = paper.run(HOST, RrType::TXT).outcome;
    assert!(text.is_ok());
    assert_ne!(verdict(22, text, nothing()), "accept", "data of another type");
    for (at_host, at_port, what) in [
        (answer("other.example.test"), nothing(), "another host"),
        (nothing(), answer(HOST), "the host's keys as those of the port"),
        (answer(AT_PORT), nothing(), "the port's keys as those of the host"),
        (nothing(), answer(AT_PORT), "the keys of another port"),
        (answer(ZONE), nothing(), "nothing at all"),
    ] {
        assert_ne!(verdict(22, at_host, at_port), "accept", "{what}");
    }
}

#[test]
fn an_alias_vouches_for_the_name_that_was_asked_for() {
    let mut paper = paper(&[("other.example.test", &[sha256(&ed25519())])]);
    let target = crate::proto::chain::paper::name("other.example.test");
    let alias = paper.zone(ZONE).sign(HOST, RrType::CNAME, &[target.wire()]);
    paper.put(HOST, RrType::SSHFP, alias);
    let verdict = decide(&evidence(&paper, 22), &Presented::Plain(ed25519()), None, &Policy::default(), NOW);
    let Verdict::Accept(anchored) = verdict else { panic!("{verdict:?}") };
    assert_eq!((anchored.host(), anchored.owner()), (&host(HOST), &target));
    paper.put(HOST, RrType::SSHFP, vec![record(HOST, RrType::CNAME, target.wire())]);
    assert_ne!(word(&paper, 22, ed25519()), "accept", "an unsigned alias");
}

#[test]
fn a_certificate_counts_by_the_plain_key_inside_it() {
    let blob = data_encoding::BASE64.decode(CERTIFICATE.split(' ').nth(1).unwrap().as_bytes()).unwrap();
    let certificate = Presented::from_blob(&blob, "ssh-ed25519-cert-v01@openssh.com").unwrap();
    assert!(matches!(certificate, Presented::Certificate(_)));
    let judged = |key: &HostKey| {
        code(&decide(
            &evidence(&paper(&[(HOST, &[sha256(key)])]), 22),
            &certificate,
            None,
            &Policy::default(),
            NOW,
        ))
    };
    assert_eq!(judged(&ed25519()), "accept");
    assert_eq!(judged(&ecdsa()), "key-type-not-published");
    // A record of the certificate's own digest is no record of a key.
    let digest = <sha2::Sha256 as sha2::Digest>::digest(&blob);
    let of_blob = [&[4, 2][..], &digest].concat();
    assert_eq!(
        code(&decide(
            &evidence(&paper(&[(HOST, &[of_blob])]), 22),
            &certificate,
            None,
            &Policy::default(),
            NOW
        )),
        "key-mismatch"
    );
}

#[test]
fn a_proof_counts_as_long_as_its_signatures_whatever_its_ttl() {
    let mut paper = paper(&[(HOST, &[sha256(&ed25519())])]);
    let mut records = paper.zone(ZONE).sign(HOST, RrType::SSHFP, &[&sha256(&ed25519())]);
    records.iter_mut().for_each(|record| record.ttl = 0);
    paper.put(HOST, RrType::SSHFP, records);
    let evidence = evidence(&paper, 22);
    assert_eq!(evidence.valid_until(), Some(NOW), "it is not to be kept");
    let at = |now| code(&decide(&evidence, &Presented::Plain(ed25519()), None, &Policy::default(), now));
    let end = NOW + u64::from(MARGIN);
    assert_eq!((at(NOW), at(NOW + 5), at(end)), ("accept", "accept", "accept"));
    assert_eq!(at(end + 1), "proof-expired");
    // An expired proof of another key is no reason to reject.
    let late = decide(&evidence, &Presented::Plain(ecdsa()), None, &Policy::default(), end + 1);
    assert!(matches!(late, Verdict::Unproven(Reason::ProofExpired { .. })), "{late:?}");
}

#[test]
fn a_clock_from_before_the_release_judges_nothing() {
    let evidence = evidence(&paper(&[(HOST, &[sha256(&ed25519())])]), 22);
    let at = |now| decide(&evidence, &Presented::Plain(ed25519()), None, &Policy::default(), now);
    assert_eq!(code(&at(RELEASED)), "accept");
    for now in [0, RELEASED - 1] {
        assert!(matches!(at(now), Verdict::Unproven(Reason::Clock { .. })), "{now}");
        let mismatch = decide(&evidence, &Presented::Plain(ecdsa()), None, &Policy::default(), now);
        assert!(matches!(mismatch, Verdict::Unproven(Reason::Clock { .. })), "nor against a key");
        assert_eq!(nothing_vouches(&evidence, &Policy::default(), now).code(), "clock");
    }
}

#[test]
fn failed_lookups_end_unproven_with_their_own_word() {
    let mut paper = paper(&[]);
    let verdict = decide(&evidence(&paper, 22), &Presented::Plain(ed25519()), None, &Policy::default(), NOW);
    assert!(matches!(verdict, Verdict::Unproven(Reason::NoProof { .. })));
    assert_eq!(code(&verdict), "no-answer");
    let mut records = paper.zone(ZONE).sign(HOST, RrType::SSHFP, &[&sha256(&ed25519())]);
    records.pop();
    paper.put(HOST, RrType::SSHFP, records);
    assert_ne!(word(&paper, 22, ed25519()), "accept", "unsigned records of the very key");
    let question = Question::new(host(HOST).name().clone(), RrType::SSHFP);
    for (status, want) in [
        (Status::Absent, "no-record"),
        (Status::Insecure, "insecure"),
        (Status::Bogus, "no-answer"),
        (Status::Indeterminate, "no-answer"),
    ] {
        let cause = Unproven { status, ..Unproven::unanswered(question.clone(), "test") };
        let evidence = Evidence::new(host(HOST), 22, Err(cause.clone()), Err(cause));
        let verdict = decide(&evidence, &Presented::Plain(ed25519()), None, &Policy::default(), NOW);
        assert!(matches!(verdict, Verdict::Unproven(_)));
        assert_eq!(code(&verdict), want);
    }
}
