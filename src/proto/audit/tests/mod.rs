//! Each rule beside the fleet in which it finds nothing.

mod certificates;
mod changes;
mod fleet;
mod keys;
mod proof;
mod servers;

use std::collections::BTreeSet;

use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

use super::facts::{HostFacts, Live, Outcome, Proof, PublishedSet};
use super::{Judged, Report, Severity};
use crate::proto::chain::paper::{NOW, Paper, name};
use crate::proto::denial::Status;
use crate::proto::evidence::{Evidence, Scope, owners};
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;
use crate::proto::policy::Policy;
use crate::proto::rr::RrType;
use crate::proto::sshfp::{Sshfp, SshfpSet};

const ZONE: &str = "example.test";
const WEB1: &str = "web1.example.test";
const DAY: u64 = 86_400;
// Made by ssh-keygen -t ecdsa and -t rsa -b 1024.
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPCD+fq+NhGll+fopvWCY8RV\
    AgJAw2i2joZcGDgz+6nQJlIl+GcCkqQeK8tlIpgypDQ9AZ8G/X4WyjQZnS7HGCk=";

fn private(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

/// The Ed25519 key of a seed.
fn key(seed: u8) -> HostKey {
    HostKey::from_blob(&private(seed).public_key().to_bytes().unwrap()).unwrap()
}

fn ecdsa() -> HostKey {
    HostKey::from_line(ECDSA).unwrap()
}

/// An RSA key of so many bits: nobody holds it.
fn rsa(bits: usize) -> HostKey {
    let string = |octets: &[u8]| [&(octets.len() as u32).to_be_bytes(), octets].concat();
    let mut modulus = vec![0xff; bits / 8];
    modulus.insert(0, 0);
    HostKey::from_blob(&[string(b"ssh-rsa"), string(&[1, 0, 1]), string(&modulus)].concat()).unwrap()
}

fn record(key: &HostKey) -> Vec<u8> {
    Sshfp::of_key(key).rdata()
}

/// A tree in which these names have these SSHFP records.
fn paper(published: &[(&str, &[Vec<u8>])]) -> Paper {
    Paper::of_records(ZONE, published)
}

/// What DNS says of a host.
fn proof(paper: &Paper, host: &str) -> Proof {
    let host = HostName::parse(host).unwrap();
    let run = |owner: &str, rtype| paper.run(owner, rtype).outcome;
    let [at_host, at_port] = owners(&host, 22).unwrap();
    let outcome = run(&at_host.name.to_string(), RrType::SSHFP);
    let set = match &outcome {
        Ok(answer) => PublishedSet {
            owner: answer.data().set().owner().clone(),
            status: Status::Secure,
            records: answer.data().set().rdatas().map(|rdata| Sshfp::from_rdata(rdata).unwrap()).collect(),
        },
        Err(unproven) => {
            PublishedSet { owner: host.name().clone(), status: unproven.status, records: SshfpSet::new() }
        }
    };
    let policy = Policy::default();
    let mut evidence = Evidence::new(host, 22, outcome, run(&at_port.name.to_string(), RrType::SSHFP));
    for _ in 0..4 {
        for asked in evidence.needs(&policy, Scope::Cas, NOW) {
            evidence.add(asked.clone(), run(&asked.name.to_string(), asked.rtype));
        }
    }
    Proof { evidence, policy, zone: Some(name(ZONE)), sets: vec![set] }
}

/// A host that is accepted, as far as that goes, and shows these keys.
fn facts(paper: &Paper, host: &str, keys: &[HostKey]) -> HostFacts {
    HostFacts {
        host: host.to_owned(),
        port: 22,
        outcome: Outcome { verdict: Some("accept"), message: "accepted".to_owned(), ..Outcome::default() },
        proof: Some(proof(paper, host)),
        live: Some(Live { keys: keys.to_vec(), ..Live::default() }),
        disk: None,
        remembered: Vec::new(),
        servers: Vec::new(),
    }
}

/// web1, with these records and these live keys.
fn web1(records: &[Vec<u8>], keys: &[HostKey]) -> HostFacts {
    let published = [(WEB1, records)];
    facts(&paper(if records.is_empty() { &[] } else { &published }), WEB1, keys)
}

fn judged(facts: &HostFacts) -> Judged {
    super::judge(NOW, facts)
}

/// Severity and code of what is found at one host, each once.
fn found(facts: &HostFacts) -> Vec<String> {
    codes(&judged(facts).report().findings)
}

fn codes(findings: &[super::Finding]) -> Vec<String> {
    let code = |f: &super::Finding| format!("{} {}", f.severity.text(), f.code);
    findings.iter().map(code).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What is found of all, without zones and state.
fn report(all: &[HostFacts]) -> Report {
    super::fleet(NOW, all.iter().map(judged).collect(), &[], &[])
}

#[test]
fn a_host_that_is_well_has_no_findings_and_is_told_whole() {
    let facts = web1(&[record(&key(1)), record(&ecdsa())], &[key(1), ecdsa()]);
    let report = report(&[facts]);
    let host = &report.hosts[0];
    assert_eq!((codes(&host.findings), codes(&report.findings)), (vec![], vec![]), "{report:#?}");
    assert_eq!((host.status.as_str(), host.zone.as_deref(), host.records.len()), ("secure", Some(ZONE), 2));
    assert!(host.keys.iter().all(|key| key.published && key.seen == ["live"]));
    assert!(host.signed_until > Some(NOW) && host.valid_until <= host.signed_until);
    assert_eq!((report.summary.hosts, report.summary.accept, report.summary.errors), (1, 1, 0));
    // What is written is read again, and has its times as RFC 3339.
    let text = serde_json::to_string(&report).unwrap();
    assert!(text.contains("\"time\":\"2027-01-15T08:00:00Z\""), "{text}");
    assert_eq!(super::compare::read(&text).unwrap(), report);
}

#[test]
fn every_code_that_is_found_is_listed_as_grave_as_it_can_be() {
    let listed: Vec<&str> = super::RULES.iter().map(|(code, ..)| *code).collect();
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), listed.len());
    assert!(super::RULES.iter().all(|(_, severity, means)| *severity >= Severity::Info && !means.is_empty()));
}
