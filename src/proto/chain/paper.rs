//! A DNS tree on paper: zones that sign whatever they are told to, and a resolver that hands it out.
//! For the unit tests of everything that rests on proofs. `fuzz/bodies/world.rs` includes this file too, beneath a
//! `crate::proto` that is the library's.

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};

use super::{Anchors, Answer, Budget, ChainError, Dnskey, Halt, Material, Prover};
use crate::proto::denial::{Unproven, classify};
use crate::proto::message::{NOERROR, Question, Response};
use crate::proto::name::Name;
use crate::proto::rr::{CLASS_IN, Record, RrType, Rrsig};

/// The moment of all tests, in seconds since 1970, unless they say otherwise.
pub(crate) const NOW: u64 = 1_800_000_000;
/// TTL of all records, in seconds.
pub(crate) const TTL: u32 = 3600;
/// Signatures begin and end that many seconds from now.
pub(crate) const MARGIN: u32 = 86_400;

pub(crate) fn name(text: &str) -> Name {
    Name::from_text(text).unwrap()
}

pub(crate) fn question(text: &str, rtype: RrType) -> Question {
    Question::new(name(text), rtype)
}

pub(crate) fn record(owner: &str, rtype: RrType, rdata: &[u8]) -> Record {
    Record { owner: name(owner), rtype, class: CLASS_IN, ttl: TTL, rdata: rdata.into() }
}

/// RRSIG fields as a record at `owner`.
pub(crate) fn rrsig_record(owner: &str, rrsig: &Rrsig) -> Record {
    record(owner, RrType::RRSIG, &[&rrsig.signed_prefix()[..], &rrsig.signature].concat())
}

enum Secret {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
}

/// A zone's key, with everything about it open to change.
pub(crate) struct Key {
    secret: Secret,
    pub(crate) flags: u16,
    pub(crate) protocol: u8,
    pub(crate) algorithm: u8,
    pub(crate) public: Vec<u8>,
}

impl Key {
    /// The same for the same `seed`.
    pub(crate) fn ed25519(seed: &str) -> Self {
        let seed = ring::digest::digest(&ring::digest::SHA256, seed.as_bytes());
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        Key { secret: Secret::Ed25519(pair), flags: 257, protocol: 3, algorithm: 15, public }
    }

    /// A new one of algorithm 13 or 14.
    pub(crate) fn ecdsa(algorithm: u8) -> Self {
        let curve = match algorithm {
            13 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            _ => &ECDSA_P384_SHA384_FIXED_SIGNING,
        };
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random).unwrap();
        let public = pair.public_key().as_ref()[1..].to_vec();
        Key { secret: Secret::Ecdsa(pair), flags: 257, protocol: 3, algorithm, public }
    }

    pub(crate) fn rdata(&self) -> Vec<u8> {
        [&self.flags.to_be_bytes()[..], &[self.protocol, self.algorithm], &self.public].concat()
    }

    pub(crate) fn tag(&self) -> u16 {
        Dnskey::from_rdata(&self.rdata()).unwrap().tag()
    }

    /// DS RDATA with a digest of type 1, 2 or 4.
    pub(crate) fn ds(&self, zone: &Name, digest_type: u8) -> Vec<u8> {
        let algorithm = match digest_type {
            1 => &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            2 => &ring::digest::SHA256,
            _ => &ring::digest::SHA384,
        };
        let digest = ring::digest::digest(algorithm, &[zone.wire(), &self.rdata()].concat());
        [&self.tag().to_be_bytes()[..], &[self.algorithm, digest_type], digest.as_ref()].concat()
    }

    fn sign(&self, data: &[u8]) -> Box<[u8]> {
        match &self.secret {
            Secret::Ed25519(pair) => pair.sign(data).as_ref().into(),
            Secret::Ecdsa(pair) => pair.sign(&SystemRandom::new(), data).unwrap().as_ref().into(),
        }
    }
}

/// A zone of one key.
pub(crate) struct Zone {
    pub(crate) name: Name,
    pub(crate) key: Key,
    pub(crate) now: u64,
}

impl Zone {
    pub(crate) fn new(zone: &str) -> Self {
        Zone { name: name(zone), key: Key::ed25519(zone), now: NOW }
    }

    /// The records and a good signature over them.
    pub(crate) fn sign(&self, owner: &str, rtype: RrType, rdatas: &[&[u8]]) -> Vec<Record> {
        self.sign_as(owner, rtype, rdatas, |_| {})
    }

    /// The records and a signature over them whose fields were changed before it was made.
    pub(crate) fn sign_as(
        &self,
        owner: &str,
        rtype: RrType,
        rdatas: &[&[u8]],
        change: impl FnOnce(&mut Rrsig),
    ) -> Vec<Record> {
        let owner_name = name(owner);
        let labels = owner_name.label_count() - usize::from(owner_name.is_wildcard());
        let mut rrsig = Rrsig {
            covered: rtype,
            algorithm: self.key.algorithm,
            labels: labels as u8,
            original_ttl: TTL,
            expiration: (self.now as u32).wrapping_add(MARGIN),
            inception: (self.now as u32).wrapping_sub(MARGIN),
            key_tag: self.key.tag(),
            signer: self.name.clone(),
            signature: Box::new([]),
        };
        change(&mut rrsig);
        // RFC 4034 section 3.1.8.1, and the wildcard of RFC 4035 section 5.3.2.
        let signed_owner = match usize::from(rrsig.labels) {
            fewer if fewer < labels => owner_name.last_labels(fewer).child(b"*").unwrap(),
            _ => owner_name,
        };
        let mut data = rrsig.signed_prefix();
        let mut sorted = rdatas.to_vec();
        sorted.sort();
        for rdata in sorted {
            data.extend(signed_owner.wire());
            data.extend([rtype.0.to_be_bytes(), CLASS_IN.to_be_bytes()].concat());
            data.extend(rrsig.original_ttl.to_be_bytes());
            data.extend((rdata.len() as u16).to_be_bytes());
            data.extend(rdata);
        }
        rrsig.signature = self.key.sign(&data);
        let records = rdatas.iter().map(|rdata| record(owner, rtype, rdata));
        records.chain([rrsig_record(owner, &rrsig)]).collect()
    }

    /// Its DNSKEY set: its key and `others`.
    pub(crate) fn keys_and(&self, others: &[&Key]) -> Vec<Record> {
        let own = self.key.rdata();
        let others: Vec<Vec<u8>> = others.iter().map(|key| key.rdata()).collect();
        let all: Vec<&[u8]> = std::iter::once(&own).chain(&others).map(Vec::as_slice).collect();
        self.sign(&self.name.to_string(), RrType::DNSKEY, &all)
    }

    /// The DS set of `child`, with SHA-256.
    pub(crate) fn ds(&self, child: &Zone) -> Vec<Record> {
        self.sign(&child.name.to_string(), RrType::DS, &[&child.key.ds(&child.name, 2)])
    }

    /// A line for a file of trust anchors: DS or DNSKEY.
    pub(crate) fn anchor(&self, rtype: RrType) -> String {
        let rdata = if rtype == RrType::DS { self.key.ds(&self.name, 2) } else { self.key.rdata() };
        let text = crate::proto::rr::presentation(rtype, &rdata);
        format!("{} IN {rtype} {text}\n", self.name)
    }
}

/// What one lookup came to.
pub(crate) struct Run {
    pub(crate) outcome: Result<Answer, Unproven>,
    pub(crate) asked: Vec<Question>,
    pub(crate) tried: u32,
    pub(crate) hashed: u32,
    pub(crate) digested: u32,
}

/// Zones, and the replies of a resolver that knows them.
pub(crate) struct Paper {
    pub(crate) now: u64,
    pub(crate) anchors: Anchors,
    zones: Vec<Zone>,
    replies: Vec<(Question, Response)>,
}

impl Paper {
    /// Zones from the top down, each delegated by the closest one before it; the first is the anchor.
    pub(crate) fn tree(names: &[&str]) -> Self {
        Self::tree_at(NOW, names)
    }

    pub(crate) fn tree_at(now: u64, names: &[&str]) -> Self {
        let zones: Vec<Zone> = names.iter().map(|n| Zone { now, ..Zone::new(n) }).collect();
        let anchors = Anchors::from_text(&zones[0].anchor(RrType::DS)).unwrap();
        let mut paper = Paper { now, anchors, zones: Vec::new(), replies: Vec::new() };
        for zone in zones {
            let text = zone.name.to_string();
            paper.put(&text, RrType::DNSKEY, zone.keys_and(&[]));
            let above = paper.zones.iter().filter(|z| zone.name.is_at_or_below(&z.name));
            if let Some(parent) = above.max_by_key(|z| z.name.label_count()) {
                paper.put(&text, RrType::DS, parent.ds(&zone));
            }
            paper.zones.push(zone);
        }
        paper
    }

    /// A tree down to `zone`, in which these names have these SSHFP records.
    pub(crate) fn of_records(zone: &str, published: &[(&str, &[Vec<u8>])]) -> Self {
        let mut paper = Paper::tree(&[".", "test", zone]);
        for (owner, rdatas) in published {
            let rdatas: Vec<&[u8]> = rdatas.iter().map(Vec::as_slice).collect();
            paper.publish(zone, owner, RrType::SSHFP, &rdatas);
        }
        paper
    }

    pub(crate) fn zone(&self, zone: &str) -> &Zone {
        self.zones.iter().find(|z| z.name == name(zone)).unwrap()
    }

    /// The reply to this question from now on: these records in its answer section.
    pub(crate) fn put(&mut self, owner: &str, rtype: RrType, answer: Vec<Record>) {
        self.reply(owner, rtype, NOERROR, answer, Vec::new());
    }

    /// The same, signed by `zone`.
    pub(crate) fn publish(&mut self, zone: &str, owner: &str, rtype: RrType, rdatas: &[&[u8]]) {
        let records = self.zone(zone).sign(owner, rtype, rdatas);
        self.put(owner, rtype, records);
    }

    /// The reply to this question from now on: no such data, and these records as the reason.
    pub(crate) fn deny(&mut self, owner: &str, rtype: RrType, rcode: u16, authority: Vec<Record>) {
        self.reply(owner, rtype, rcode, Vec::new(), authority);
    }

    /// The reply to this question from now on: data, and what is said beside it of the name.
    pub(crate) fn put_beside(
        &mut self,
        owner: &str,
        rtype: RrType,
        answer: Vec<Record>,
        authority: Vec<Record>,
    ) {
        self.reply(owner, rtype, NOERROR, answer, authority);
    }

    /// Nobody answers this question from now on.
    pub(crate) fn silence(&mut self, owner: &str, rtype: RrType) {
        self.replies.retain(|(q, _)| *q != question(owner, rtype));
    }

    /// Every reply there is, by its question.
    pub(crate) fn replies(&self) -> &[(Question, Response)] {
        &self.replies
    }

    fn reply(&mut self, owner: &str, rtype: RrType, rcode: u16, answer: Vec<Record>, authority: Vec<Record>) {
        let asked = question(owner, rtype);
        let response = Response { rcode, answer, authority, ..Response::default() };
        self.replies.retain(|(q, _)| *q != asked);
        self.replies.push((asked, response));
    }

    /// Proves an answer, asking for whatever that needs.
    pub(crate) fn prove(&self, owner: &str, rtype: RrType) -> Result<Answer, ChainError> {
        self.follow(|prover, material, budget| {
            let outcome = prover.answer(&question(owner, rtype), material, budget);
            match outcome {
                Ok(answer) => Ok(Ok(answer)),
                Err(Halt::Failed(error)) => Ok(Err(error)),
                Err(need) => Err(need),
            }
        })
        .0
    }

    /// Proves an answer, or tells why there is no proof.
    pub(crate) fn run(&self, owner: &str, rtype: RrType) -> Run {
        let asked = question(owner, rtype);
        let (outcome, asked, budget) =
            self.follow(|prover, material, budget| match prover.answer(&asked, material, budget) {
                Ok(answer) => Ok(Ok(answer)),
                Err(Halt::Failed(error)) => classify(prover, &asked, &error, material, budget).map(Err),
                Err(need) => Err(need),
            });
        Run { outcome, asked, tried: budget.tried(), hashed: budget.hashed(), digested: budget.digested() }
    }

    /// Why there is no proof.
    pub(crate) fn failure(&self, owner: &str, rtype: RrType) -> Unproven {
        self.run(owner, rtype).outcome.unwrap_err()
    }

    fn follow<T>(
        &self,
        mut step: impl FnMut(&mut Prover, &Material, &mut Budget) -> Result<T, Halt>,
    ) -> (T, Vec<Question>, Budget) {
        let mut prover = Prover::new(self.anchors.clone(), self.now);
        let (mut material, mut budget, mut asked) = (Material::default(), Budget::default(), Vec::new());
        loop {
            let needs = match step(&mut prover, &material, &mut budget) {
                Ok(outcome) => return (outcome, asked, budget),
                Err(Halt::Need(needs)) => needs,
                Err(Halt::Failed(error)) => panic!("{error}"),
            };
            for need in needs {
                assert!(!asked.contains(&need), "asked twice: {need:?}");
                match self.replies.iter().find(|(q, _)| *q == need) {
                    Some((_, response)) => material.add(&need, response),
                    None => material.fail(&need, "nobody answers".to_owned()),
                }
                asked.push(need);
            }
        }
    }
}
