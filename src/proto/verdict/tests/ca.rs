//! Certificates and CA sets: each refusal beside the accept that it differs from by one thing.

use ssh_key::PrivateKey;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::Ed25519Keypair;

use super::*;
use crate::proto::certificate::Fault;
use crate::proto::chain::paper::name;
use crate::proto::evidence::Scope;
use crate::proto::policy::Require;
use crate::proto::revocation::SENTINEL;

mod faults;
mod places;
mod rules;

const CA: u8 = 1;
const KEY: u8 = 2;
const DAY: u64 = 86_400;

fn secret(seed: u8) -> PrivateKey {
    Ed25519Keypair::from_seed(&[seed; 32]).into()
}

/// The public key of a seed.
fn public(seed: u8) -> HostKey {
    HostKey::from_blob(&secret(seed).public_key().to_bytes().unwrap()).unwrap()
}

/// A certificate that is to be changed in one thing.
struct Draft {
    ca: PrivateKey,
    key: PrivateKey,
    kind: CertType,
    principals: Vec<String>,
    from: u64,
    until: u64,
    options: Vec<(&'static str, &'static str)>,
}

impl Draft {
    fn of(host: &str) -> Self {
        let principals = vec![host.to_owned()];
        let (from, until) = (NOW - DAY, NOW + DAY);
        Draft {
            ca: secret(CA),
            key: secret(KEY),
            kind: CertType::Host,
            principals,
            from,
            until,
            options: vec![],
        }
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new([9; 32], self.key.public_key(), self.from, self.until).unwrap();
        builder.cert_type(self.kind).unwrap();
        for principal in &self.principals {
            builder.valid_principal(principal).unwrap();
        }
        if self.principals.is_empty() {
            builder.all_principals_valid().unwrap();
        }
        for (option, data) in &self.options {
            builder.critical_option(*option, *data).unwrap();
        }
        builder
    }

    fn blob(&self) -> Vec<u8> {
        self.builder().sign(&self.ca).unwrap().to_bytes().unwrap()
    }

    fn presented(&self) -> Presented {
        read(&self.blob())
    }
}

fn read(blob: &[u8]) -> Presented {
    let length = usize::from(blob[3]);
    let name = std::str::from_utf8(&blob[4..4 + length]).unwrap();
    Presented::of_type(blob, name).unwrap()
}

/// A good certificate for a host.
fn certificate(host: &str) -> Presented {
    Draft::of(host).presented()
}

const CHILD: &str = "child.example.test";

/// A tree with a CA set at the zone's apex, its revoked set, and the addresses of hosts.
fn world() -> Paper {
    let mut paper = Paper::tree(&[".", "test", ZONE, CHILD]);
    for (zone, host) in [(ZONE, HOST), (CHILD, "web.child.example.test"), (ZONE, ZONE)] {
        paper.publish(zone, host, RrType::A, &[&[192, 0, 2, 1]]);
    }
    paper.cas(ZONE, ZONE, &[CA]);
    paper
}

trait Cas {
    /// A CA set and the revoked set beside it.
    fn cas(&mut self, zone: &str, at: &str, seeds: &[u8]);
    /// A revoked set with its sentinel.
    fn revoke(&mut self, zone: &str, at: &str, keys: &[HostKey]);
    /// A CNAME.
    fn alias(&mut self, zone: &str, owner: &str, target: &str);
}

impl Cas for Paper {
    fn cas(&mut self, zone: &str, at: &str, seeds: &[u8]) {
        let rdatas: Vec<Vec<u8>> = seeds.iter().map(|seed| sha256(&public(*seed))).collect();
        let rdatas: Vec<&[u8]> = rdatas.iter().map(Vec::as_slice).collect();
        self.publish(zone, &format!("_ca._ssh.{at}"), RrType::SSHFP, &rdatas);
        self.revoke(zone, at, &[]);
    }

    fn revoke(&mut self, zone: &str, at: &str, keys: &[HostKey]) {
        let rdatas: Vec<Vec<u8>> = keys.iter().map(sha256).chain([SENTINEL.to_vec()]).collect();
        let rdatas: Vec<&[u8]> = rdatas.iter().map(Vec::as_slice).collect();
        self.publish(zone, &format!("_revoked._ssh.{at}"), RrType::SSHFP, &rdatas);
    }

    fn alias(&mut self, zone: &str, owner: &str, target: &str) {
        let target = name(target);
        let records = self.zone(zone).sign(owner, RrType::CNAME, &[target.wire()]);
        self.put(owner, RrType::SSHFP, records);
    }
}

/// All that is found out about a host, as a shell does it.
fn gather(paper: &Paper, of: &str, policy: &Policy, scope: Scope) -> Evidence {
    let of = host(of);
    let outcome = |asked: &Question| paper.run(&asked.name.to_string(), asked.rtype).outcome;
    let [at_host, at_port] = owners(&of, 22).unwrap();
    let mut evidence = Evidence::new(of, 22, outcome(&at_host), outcome(&at_port));
    for round in 0.. {
        let needs = evidence.needs(policy, scope, NOW);
        if needs.is_empty() {
            break;
        }
        assert!(round < 4 && needs.len() <= 20, "{needs:?}");
        for question in needs {
            let outcome = outcome(&question);
            evidence.add(question, outcome);
        }
    }
    evidence
}

/// The verdict on what a host shows, in one word, with a sign of whether it is a reject.
fn told(paper: &Paper, of: &str, presented: &Presented, policy: &Policy) -> (bool, &'static str) {
    let verdict = decide(&gather(paper, of, policy, Scope::Cas), presented, None, policy, NOW);
    (matches!(verdict, Verdict::Reject(_)), code(&verdict))
}

/// The same for a good certificate under the default policy.
fn by_ca(paper: &Paper, of: &str) -> &'static str {
    told(paper, of, &certificate(of), &Policy::default()).1
}

const ACCEPT: (bool, &str) = (false, "accept");

fn requiring(require: Require) -> Policy {
    Policy { require, ..Policy::default() }
}

#[test]
fn a_certificate_of_a_proven_ca_is_accepted_and_the_witness_says_by_what() {
    let paper = world();
    let evidence = gather(&paper, HOST, &Policy::default(), Scope::Cas);
    assert_eq!(evidence.host_zone(NOW), Some(&name(ZONE)));
    let offer = evidence.offer(&Policy::default(), NOW);
    assert_eq!((offer.keys.len(), offer.certificates.len()), (0, 5));
    let verdict = decide(&evidence, &certificate(HOST), None, &Policy::default(), NOW);
    let Verdict::Accept(anchored) = verdict else { panic!("{verdict:?}") };
    assert_eq!((anchored.host(), anchored.key_sha256()), (&host(HOST), &public(KEY).sha256()));
    assert_eq!(anchored.ca(), Some(&public(CA)));
    assert_eq!(anchored.owner().to_string(), "_ca._ssh.example.test");
    assert!(anchored.basis().to_string().contains("certified by the CA ssh-ed25519 SHA256:"));
    // It ends with the first of all that it rests on.
    let mut draft = Draft::of(HOST);
    draft.until = NOW + 10;
    let verdict = decide(&evidence, &draft.presented(), None, &Policy::default(), NOW);
    assert!(matches!(verdict, Verdict::Accept(anchored) if anchored.valid_until() == NOW + 9));
}

#[test]
fn nothing_is_asked_about_cas_until_they_are_wanted() {
    let paper = world();
    let evidence = gather(&paper, HOST, &Policy::default(), Scope::Keys);
    assert!(evidence.offer(&Policy::default(), NOW).is_empty());
    let mut with_keys = world();
    with_keys.publish(ZONE, HOST, RrType::SSHFP, &[&sha256(&public(KEY))]);
    let evidence = gather(&with_keys, HOST, &Policy::default(), Scope::Keys);
    let offer = evidence.offer(&Policy::default(), NOW);
    assert_eq!((offer.keys, offer.certificates.len()), (vec![KeyType::Ed25519], 0));
    let questions = gather(&paper, HOST, &requiring(Require::Hostkey), Scope::Cas)
        .ca_sets(&requiring(Require::Hostkey), NOW)
        .count();
    assert_eq!(questions, 0, "no CA counts where the key has to be published");
}
