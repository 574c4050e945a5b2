//! Signatures made with a zone's own keys, right or wrong in any part one wishes.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::wire::{DNSKEY, DS, RRSIG, Rr, WireName};

/// ECDSA P-256 with SHA-256 (RFC 6605).
const P256: u8 = 13;

/// The current time, in seconds since 1970.
pub fn now() -> u32 {
    u32::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A zone's signing key, P-256 alone.
#[derive(Debug)]
pub struct SigningKey {
    pub zone: String,
    /// RDATA of its DNSKEY record.
    pub dnskey: Vec<u8>,
    pair: EcdsaKeyPair,
}

/// What an RRSIG says beside the signature itself (RFC 4034 section 3.1).
#[derive(Debug, Clone)]
pub struct Claims {
    pub covered: u16,
    pub algorithm: u8,
    pub labels: u8,
    pub original_ttl: u32,
    pub expiration: u32,
    pub inception: u32,
    pub key_tag: u16,
    pub signer: WireName,
}

impl SigningKey {
    /// Reads `BASE.key` and `BASE.private` as dnssec-keygen writes them.
    pub fn read(base: &Path) -> SigningKey {
        let file = |end: &str| std::fs::read_to_string(format!("{}.{end}", base.display())).unwrap();
        let public = file("key");
        let line = public.lines().find(|line| line.contains(" DNSKEY ")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let start = words.iter().position(|word| *word == "DNSKEY").unwrap() + 1;
        let (flags, key): (u16, _) = (words[start].parse().unwrap(), words[start + 3..].concat());
        let point = BASE64.decode(key.as_bytes()).unwrap();
        let private = file("private");
        let scalar = private.lines().find_map(|line| line.strip_prefix("PrivateKey: ")).unwrap();
        let scalar = BASE64.decode(scalar.as_bytes()).unwrap();
        // BIND leaves leading zeros out.
        let scalar = [vec![0; 32 - scalar.len()], scalar].concat();
        SigningKey::new(words[0], flags, &scalar, &point)
    }

    fn new(zone: &str, flags: u16, scalar: &[u8], point: &[u8]) -> SigningKey {
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            scalar,
            &[&[4], point].concat(),
            &SystemRandom::new(),
        );
        let dnskey = [&flags.to_be_bytes()[..], &[3, P256], point].concat();
        SigningKey { zone: zone.to_owned(), dnskey, pair: pair.unwrap() }
    }

    /// The same key as if it were of `zone`, and of role `flags` (257 for a KSK).
    pub fn as_of(&self, zone: &str) -> Rr {
        Rr::new(zone, DNSKEY, self.dnskey.clone())
    }

    /// RFC 4034 appendix B.
    pub fn tag(&self) -> u16 {
        key_tag(&self.dnskey)
    }

    /// A DS record for this key at `zone`, with SHA-256 (RFC 4034 section 5.1.4).
    pub fn ds(&self, zone: &str) -> Rr {
        let digest =
            ring::digest::digest(&ring::digest::SHA256, &[&WireName::new(zone).0[..], &self.dnskey].concat());
        let data = [&self.tag().to_be_bytes()[..], &[P256, 2], digest.as_ref()].concat();
        Rr::new(zone, DS, data)
    }

    /// The claims of an honest signature over `set`, good from an hour ago for a day.
    pub fn claims(&self, set: &[Rr]) -> Claims {
        let now = now();
        Claims {
            covered: set[0].rtype,
            algorithm: P256,
            labels: set[0].name.labels(),
            original_ttl: set[0].ttl,
            expiration: now + 86_400,
            inception: now - 3600,
            key_tag: self.tag(),
            signer: WireName::new(&self.zone),
        }
    }

    /// An honest signature over `set`.
    pub fn sign(&self, set: &[Rr]) -> Rr {
        self.sign_as(set, self.claims(set))
    }

    /// A signature over `set` that says `claims`, and is right for them.
    pub fn sign_as(&self, set: &[Rr], claims: Claims) -> Rr {
        let head = claims.head();
        let signature = self.pair.sign(&SystemRandom::new(), &signed_octets(&head, &claims, set)).unwrap();
        let data = [&head, signature.as_ref()].concat();
        Rr { name: set[0].name.clone(), rtype: RRSIG, class: 1, ttl: set[0].ttl, data }
    }

    /// `set` and an honest signature over it.
    pub fn signed(&self, set: Vec<Rr>) -> Vec<Rr> {
        let signature = self.sign(&set);
        [set, vec![signature]].concat()
    }
}

impl Claims {
    /// The RRSIG's RDATA up to the signature.
    fn head(&self) -> Vec<u8> {
        let mut head = self.covered.to_be_bytes().to_vec();
        head.extend([self.algorithm, self.labels]);
        for time in [self.original_ttl, self.expiration, self.inception] {
            head.extend(time.to_be_bytes());
        }
        head.extend(self.key_tag.to_be_bytes());
        head.extend(&self.signer.0);
        head
    }
}

/// What is signed (RFC 4034 section 3.1.8.1): the head, then each record in canonical form and order.
fn signed_octets(head: &[u8], claims: &Claims, set: &[Rr]) -> Vec<u8> {
    let mut records: Vec<&Rr> = set.iter().collect();
    records.sort_by(|a, b| a.data.cmp(&b.data));
    let mut octets = head.to_vec();
    for rr in records {
        octets.extend(owner(&rr.name, claims.labels));
        octets.extend([rr.rtype.to_be_bytes(), rr.class.to_be_bytes()].concat());
        octets.extend(claims.original_ttl.to_be_bytes());
        octets.extend(u16::try_from(rr.data.len()).unwrap().to_be_bytes());
        octets.extend(&rr.data);
    }
    octets
}

/// The owner as it was signed: below a wildcard if it has more labels than the signature says.
fn owner(name: &WireName, labels: u8) -> Vec<u8> {
    let (mut at, surplus) = (0, name.labels().saturating_sub(labels));
    for _ in 0..surplus {
        at += usize::from(name.0[at]) + 1;
    }
    if surplus == 0 { name.0.clone() } else { [b"\x01*", &name.0[at..]].concat() }
}

/// RFC 4034 appendix B, for algorithms other than 1.
pub fn key_tag(dnskey: &[u8]) -> u16 {
    let sum: u32 =
        dnskey.chunks(2).map(|c| (u32::from(c[0]) << 8) + u32::from(*c.get(1).unwrap_or(&0))).sum();
    let folded = sum.wrapping_add(sum >> 16);
    (folded & 0xffff) as u16
}
