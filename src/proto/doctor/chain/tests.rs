//! Each weakness of a proof, beside the proof without it.

use super::super::gravest;
use super::super::tests::severity;
use super::*;
use crate::proto::chain::paper::{MARGIN, NOW, Paper};
use crate::proto::evidence::owners;
use crate::proto::message::Question;

const HOST: &str = "host.example.test";
const AT_PORT: &str = "_22._ssh.host.example.test";
const ZONE: &str = "example.test";

fn sha256() -> Vec<u8> {
    [&[4, 2][..], &[7; 32]].concat()
}

fn sha1() -> Vec<u8> {
    [&[4, 1][..], &[7; 20]].concat()
}

fn tree() -> Paper {
    Paper::tree(&[".", "test", ZONE])
}

/// The host's set, with a signature for these seconds before and after now, and this TTL.
fn signed(rdatas: &[Vec<u8>], since: u32, left: u32, ttl: u32) -> Paper {
    let mut paper = tree();
    let rdatas: Vec<&[u8]> = rdatas.iter().map(Vec::as_slice).collect();
    let records = paper.zone(ZONE).sign_as(HOST, RrType::SSHFP, &rdatas, |rrsig| {
        rrsig.inception = NOW as u32 - since;
        rrsig.expiration = NOW as u32 + left;
        rrsig.original_ttl = ttl;
    });
    paper.put(HOST, RrType::SSHFP, records);
    paper
}

fn well() -> Paper {
    signed(&[sha256()], MARGIN, MARGIN, 3600)
}

fn found(paper: &Paper) -> Vec<Finding> {
    let host = HostName::parse(HOST).unwrap();
    let outcome = |asked: Question| paper.run(&asked.name.to_string(), asked.rtype).outcome;
    let [at_host, at_port] = owners(&host, 22).unwrap().map(outcome);
    // Nobody answers for the port label unless a test says so: that is not the matter here.
    let mut findings = judge(NOW, &host, &at_host, &at_port);
    findings.retain(|finding| finding.check != "port-label");
    findings
}

#[test]
fn a_sound_proof_is_well_in_all() {
    let findings = found(&well());
    assert_eq!(gravest(&findings), Severity::Ok, "{findings:#?}");
    let checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    assert_eq!(checks, ["chain", "replay-window", "signature-end", "ttl", "zone-keys", "fingerprints"]);
    assert!(findings[0].message.contains(". -> test -> example.test"), "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.host.as_deref() == Some(HOST)));
}

#[test]
fn a_missing_proof_is_told_with_its_reason() {
    let mut paper = tree();
    paper.put(HOST, RrType::SSHFP, vec![crate::proto::chain::paper::record(HOST, RrType::SSHFP, &sha256())]);
    let findings = found(&paper);
    assert_eq!(severity(&findings, "chain"), Severity::Error);
    assert_eq!(findings.len(), 1);
    assert!(findings[0].remedy.is_some());
    let records = |paper: &Paper| {
        let outcome = || paper.run(HOST, RrType::SSHFP).outcome;
        records_of(&outcome(), &outcome())
    };
    assert_eq!(records(&paper), None);
    assert!(records(&well()).unwrap()[0].is_usable());
}

#[test]
fn an_expansion_from_a_wildcard_is_no_proof() {
    let mut paper = tree();
    let records = paper.zone(ZONE).sign_as(HOST, RrType::SSHFP, &[&sha256()], |rrsig| rrsig.labels = 2);
    paper.put(HOST, RrType::SSHFP, records);
    let findings = found(&paper);
    assert_eq!(severity(&findings, "chain"), Severity::Error);
    assert!(findings[0].message.contains("wildcard"), "{findings:#?}");
}

#[test]
fn a_long_signature_leaves_a_long_replay_window() {
    let days = |left: u32| severity(&found(&signed(&[sha256()], 0, left * 86_400, 3600)), "replay-window");
    assert_eq!((days(7), days(8)), (Severity::Ok, Severity::Warning));
    let findings = found(&signed(&[sha256()], 0, 30 * 86_400, 3600));
    let replay = findings.iter().find(|finding| finding.check == "replay-window").unwrap();
    assert!(replay.message.contains("30 days"), "{replay:?}");
}

#[test]
fn a_signature_that_was_not_renewed_in_time_is_told() {
    let ends =
        |since: u32, left: u32| severity(&found(&signed(&[sha256()], since, left, 3600)), "signature-end");
    const HOUR: u32 = 3600;
    // A week's signature with less than a quarter left, and one with less than a day.
    assert_eq!(ends(130 * HOUR, 38 * HOUR), Severity::Warning);
    assert_eq!(ends(120 * HOUR, 48 * HOUR), Severity::Ok);
    assert_eq!(ends(30 * HOUR, 23 * HOUR), Severity::Warning);
    assert_eq!(ends(30 * HOUR, 25 * HOUR), Severity::Ok);
    // Signed for a day, at each question.
    assert_eq!(ends(HOUR, 23 * HOUR), Severity::Ok);
    assert_eq!(ends(20 * HOUR, 4 * HOUR), Severity::Warning);
}

#[test]
fn records_that_are_kept_for_long_are_told() {
    let ttl = |seconds| severity(&found(&signed(&[sha256()], MARGIN, MARGIN, seconds)), "ttl");
    assert_eq!((ttl(86_400), ttl(86_401)), (Severity::Ok, Severity::Warning));
}

#[test]
fn sha1_alone_proves_nothing_and_beside_others_is_worth_knowing() {
    let of = |rdatas: &[Vec<u8>]| severity(&found(&signed(rdatas, MARGIN, MARGIN, 3600)), "fingerprints");
    assert_eq!(of(&[sha1()]), Severity::Error);
    assert_eq!(of(&[sha1(), sha256()]), Severity::Info);
    assert_eq!(of(&[sha256()]), Severity::Ok);
}

#[test]
fn keys_under_the_port_label_count_too() {
    let mut paper = well();
    paper.publish(ZONE, AT_PORT, RrType::SSHFP, &[&sha1()]);
    let findings = found(&paper);
    assert_eq!(findings.iter().filter(|finding| finding.check == "chain").count(), 2);
    assert_eq!(severity(&findings, "fingerprints"), Severity::Info);
    let mut alone = tree();
    alone.publish(ZONE, AT_PORT, RrType::SSHFP, &[&sha256()]);
    let findings = found(&alone);
    assert_eq!(gravest(&findings), Severity::Info, "nobody answers for the host's own name");
    assert!(findings.iter().any(|finding| finding.check == "chain" && finding.severity == Severity::Ok));
}

#[test]
fn each_alias_belongs_to_the_proof() {
    let mut paper = Paper::tree(&[".", "test", ZONE, "other.test"]);
    let target = b"\x01h\x05other\x04test\0";
    paper.publish(ZONE, HOST, RrType::CNAME, &[target]);
    let cname = paper.zone(ZONE).sign(HOST, RrType::CNAME, &[target]);
    paper.put(HOST, RrType::SSHFP, cname);
    paper.publish("other.test", "h.other.test", RrType::SSHFP, &[&sha256()]);
    let findings = found(&paper);
    assert_eq!(gravest(&findings), Severity::Ok, "{findings:#?}");
    assert!(findings[0].message.contains("by way of the alias host.example.test"), "{findings:#?}");
    assert_eq!(findings[0].about, "h.other.test SSHFP");
    let short = paper.zone(ZONE).sign_as(HOST, RrType::CNAME, &[target], |rrsig| {
        rrsig.inception = NOW as u32 - 10 * MARGIN;
        rrsig.expiration = NOW as u32 + 100;
    });
    paper.put(HOST, RrType::SSHFP, short);
    let findings = found(&paper);
    let end = findings.iter().find(|finding| finding.check == "signature-end").unwrap();
    assert_eq!((end.severity, end.about.as_str()), (Severity::Warning, "host.example.test CNAME"));
}

#[test]
fn a_port_label_that_is_not_proven_is_worth_knowing_unless_it_is_absent() {
    let host = HostName::parse(HOST).unwrap();
    let paper = well();
    let host_keys = paper.run(HOST, RrType::SSHFP).outcome;
    let [_, asked] = owners(&host, 22).unwrap();
    let unproven = |status| Err(Unproven { status, ..Unproven::unanswered(asked.clone(), "nobody answers") });
    let of = |port_keys| judge(NOW, &host, &host_keys, &port_keys);
    assert_eq!(severity(&of(unproven(Status::Bogus)), "port-label"), Severity::Info);
    assert!(of(unproven(Status::Absent)).iter().all(|finding| finding.check != "port-label"));
}
