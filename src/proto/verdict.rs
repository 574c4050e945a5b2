//! The verdict, and the one place that makes an accept.

use std::fmt;

use super::certificate::{Certificate, SUFFIX};
use super::denial::{Status, Unproven};
use super::evidence::Evidence;
use super::hostkey::{HostKey, KeyType, Presented};
use super::message::Question;
use super::name::{HostName, Name};
use super::policy::posture::Fault;
use super::policy::{Mode, Policy, PortLabels, Require, Revocation, Seen};
use super::rr::RrType;
use super::sshfp::Sshfp;

mod ca;
mod reason;

pub use reason::{Reason, Whose, hint_for, status_code};

/// The month in which this release was made, in seconds since 1970 (2026-11-01): an earlier clock is wrong.
pub const RELEASED: u64 = 1_793_491_200;

/// What a connection to a host is judged to be; never a bool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The presented key is proven to be the host's.
    Accept(Anchored),
    /// A proof speaks against the presented key.
    Reject(Reason),
    /// Nothing vouches for the presented key.
    Unproven(Reason),
}

/// The witness of an accept: private fields, made only by [`decide`]. Whoever holds one knows that
/// DNSSEC proves this key for this host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchored {
    host: HostName,
    port: u16,
    key_type: KeyType,
    key_sha256: [u8; 32],
    basis: Basis,
    valid_until: u64,
}

/// What an accept rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// An SSHFP record of the plain key.
    HostKey {
        /// The owner of the set.
        owner: Name,
    },
    /// A certificate of this host, whose CA has an SSHFP record in a CA set. Where policy wants both, the plain key has
    /// one as well.
    Ca {
        /// The owner of the CA set.
        owner: Name,
        /// The CA's key.
        ca: HostKey,
    },
}

impl Anchored {
    /// The host, as it was asked for.
    pub fn host(&self) -> &HostName {
        &self.host
    }

    /// The port that the verdict is about.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The type of the plain key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// SHA-256 of the plain key's blob.
    pub fn key_sha256(&self) -> &[u8; 32] {
        &self.key_sha256
    }

    /// What it rests on.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The CA that has signed the host's certificate, where that is what the accept rests on.
    pub fn ca(&self) -> Option<&HostKey> {
        match &self.basis {
            Basis::HostKey { .. } => None,
            Basis::Ca { ca, .. } => Some(ca),
        }
    }

    /// The owner of the SSHFP set that vouches: for the key, or for the CA.
    pub fn owner(&self) -> &Name {
        match &self.basis {
            Basis::HostKey { owner } | Basis::Ca { owner, .. } => owner,
        }
    }

    /// Until when the proof may be kept, in seconds since 1970.
    pub fn valid_until(&self) -> u64 {
        self.valid_until
    }

    /// A witness out of nothing, for unit tests of what needs one.
    #[cfg(test)]
    pub fn for_tests(host: &str, port: u16, key: &super::hostkey::HostKey) -> Self {
        let host = HostName::parse(host).unwrap();
        let owner = host.name().clone();
        let (key_sha256, basis) = (key.sha256(), Basis::HostKey { owner });
        Anchored { host, port, key_type: key.key_type(), key_sha256, basis, valid_until: u64::MAX }
    }
}

/// What it rests on, for people.
impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostKey { owner } => write!(f, "proven by SSHFP at {owner}"),
            Self::Ca { owner, ca } => {
                write!(f, "certified by the CA {ca}, which is proven by SSHFP at {owner}")
            }
        }
    }
}

/// A proof that suffices: what it is, and until when it may be kept.
struct Sufficient {
    basis: Basis,
    valid_until: u64,
}

/// Judges the key that a server presented by what is proven, at `now` in seconds since 1970, and by the
/// host's policy, which only takes accepts away: a proof that does not suffice by it counts neither for nor
/// against a key. `seen` is what was seen of the handshake that presented it; where nobody has, there is no accept
/// by a policy that asks for anything of it.
///
/// The one maker of [`Anchored`]. Every accept rests on an SSHFP set that is proven for exactly this host, or this host
/// and port, and holds the SHA-256 of exactly this key; or on a certificate for this host whose CA has its SHA-256 in a
/// CA set that the host's own zone vouches for. In a certificate the plain key counts as well: it is what signed the
/// exchange. A key that a proven set revokes is refused before anything else is looked at: the host's or its CA's.
///
/// Signatures have to hold at `now`. TTLs do not count here: a resolver may hand out a last second of
/// them, and data is good for the transaction that asked for it (RFC 1035 section 3.2.1); how long a
/// proof is kept for others is [`Anchored::valid_until`].
pub fn decide(
    evidence: &Evidence,
    presented: &Presented,
    seen: Option<&Seen>,
    policy: &Policy,
    now: u64,
) -> Verdict {
    let (host, port) = (evidence.host().clone(), evidence.port());
    let key = presented.key();
    if now < RELEASED || policy.mode == Mode::Pass {
        return Verdict::Unproven(nothing_vouches(evidence, policy, now));
    }
    let ca_key = presented.certificate().and_then(Certificate::ca);
    for (revoked, whose) in [Some((key, Whose::Host)), ca_key.map(|ca| (ca, Whose::Ca))].into_iter().flatten()
    {
        if let Some(owner) = evidence.revoked_at(revoked, now) {
            let (key, owner) = (revoked.clone(), owner.clone());
            return Verdict::Reject(Reason::Revoked { host, whose, key, owner });
        }
    }
    let by_key = || by_host_key(evidence, key, policy, now);
    let by_ca = || ca::by_certificate(evidence, presented, policy, now);
    let sufficient = match policy.require {
        Require::Hostkey => by_key(),
        Require::Ca => by_ca(),
        Require::Both => by_ca().and_then(|ca| {
            let valid_until = by_key()?.valid_until.min(ca.valid_until);
            Ok(Sufficient { valid_until, ..ca })
        }),
        Require::Either => by_key().or_else(|by_key| by_ca().map_err(|by_ca| ca::graver(by_key, by_ca))),
    };
    let valid_until = match (&sufficient, policy.revocation) {
        (Ok(_), Revocation::Always) => match evidence.revoked_of_zone(policy, now) {
            Ok(revoked) => revoked.valid_until(),
            Err(gap) => return Verdict::Unproven(ca::revocation_unproven(host, gap)),
        },
        _ => u64::MAX,
    };
    let by = match sufficient {
        Ok(by) => by,
        Err(verdict) => return verdict,
    };
    if !policy.allows(key.key_type()) {
        let (presented, allowed) = (key.clone(), policy.algorithms.clone());
        return Verdict::Reject(Reason::AlgorithmNotAllowed { host, presented, allowed });
    }
    if let Some(reason) = short_key(&host, key, &by.basis, policy) {
        return Verdict::Reject(reason);
    }
    if let Err(fault) = policy.posture.judge(seen) {
        let verdict =
            if matches!(fault, Fault::NotSeen { .. }) { Verdict::Unproven } else { Verdict::Reject };
        return verdict(Reason::Handshake { host, fault });
    }
    Verdict::Accept(Anchored {
        host,
        port,
        key_type: key.key_type(),
        key_sha256: key.sha256(),
        basis: by.basis,
        valid_until: by.valid_until.min(valid_until),
    })
}

/// The key, or that of the CA by which it counts, is RSA and too short by policy.
fn short_key(host: &HostName, key: &HostKey, basis: &Basis, policy: &Policy) -> Option<Reason> {
    let ca = match basis {
        Basis::HostKey { .. } => None,
        Basis::Ca { ca, .. } => Some((ca, Whose::Ca)),
    };
    [Some((key, Whose::Host)), ca].into_iter().flatten().find_map(|(key, whose)| {
        let (bits, wanted) = (key.rsa_bits()?, policy.min_rsa_bits as usize);
        let short = || Reason::ShortKey { host: host.clone(), whose, key: key.clone(), bits, wanted };
        (bits < wanted).then(short)
    })
}

/// By an SSHFP record of the plain key. The error is the verdict without one.
fn by_host_key(evidence: &Evidence, key: &HostKey, policy: &Policy, now: u64) -> Result<Sufficient, Verdict> {
    let mut published: Vec<Sshfp> = Vec::new();
    for (answer, records) in evidence.counting(policy, now) {
        if records.iter().any(|record| record.matches(key)) {
            let basis = Basis::HostKey { owner: answer.data().set().owner().clone() };
            return Ok(Sufficient { basis, valid_until: answer.valid_until() });
        }
        published.extend(records.into_iter().filter(Sshfp::is_usable));
    }
    let (host, presented) = (evidence.host().clone(), key.clone());
    let of_its_type = |record: &Sshfp| record.algorithm() == key.key_type().sshfp_algorithm();
    Err(if published.iter().any(of_its_type) {
        published.retain(of_its_type);
        Verdict::Reject(Reason::KeyMismatch { host, presented, published })
    } else if !published.is_empty() {
        Verdict::Reject(Reason::KeyTypeNotPublished { host, presented, published })
    } else {
        Verdict::Unproven(no_key(evidence, policy, now))
    })
}

/// A proven set that counts: where it is, and its records that can vouch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The owner, aliases followed.
    pub owner: Name,
    /// The TTL that its zone's owner gave it, in seconds.
    pub ttl: u32,
    /// The usable records.
    pub records: Vec<Sshfp>,
}

/// The records that vouch for keys of the host by all that [`decide`] asks for, at `now` in seconds since 1970, to be
/// told to a program that compares keys by itself. `algorithms` of the policy speaks of keys and does not count here.
pub fn published(evidence: &Evidence, policy: &Policy, now: u64) -> Result<Vec<Published>, Reason> {
    let refuses = now < RELEASED || policy.mode == Mode::Pass;
    let sets = evidence.counting(policy, now).map(|(answer, records)| Published {
        owner: answer.data().set().owner().clone(),
        ttl: answer.data().rrsig().original_ttl,
        records: records.into_iter().filter(Sshfp::is_usable).collect(),
    });
    let sets: Vec<Published> = sets.filter(|set| !set.records.is_empty()).collect();
    match refuses || sets.is_empty() {
        true => Err(nothing_vouches(evidence, policy, now)),
        false => Ok(sets),
    }
}

/// Why nothing vouches for whatever key the host might show, at `now` in seconds since 1970.
pub fn nothing_vouches(evidence: &Evidence, policy: &Policy, now: u64) -> Reason {
    let host = evidence.host().clone();
    if policy.mode == Mode::Pass {
        return Reason::Passed { host };
    }
    if now < RELEASED {
        return Reason::Clock { now, not_before: RELEASED };
    }
    let has_key = || evidence.counting(policy, now).any(|(_, records)| records.iter().any(Sshfp::is_usable));
    let is_for_want_of_a_ca = match policy.require {
        Require::Ca => true,
        Require::Both => has_key(),
        Require::Either | Require::Hostkey => false,
    };
    match is_for_want_of_a_ca && evidence.ca_sets(policy, now).next().is_none() {
        true => ca::no_ca(evidence, policy, now),
        false => no_key(evidence, policy, now),
    }
}

/// Why nothing vouches for a plain key.
fn no_key(evidence: &Evidence, policy: &Policy, now: u64) -> Reason {
    let (host, port) = (evidence.host().clone(), evidence.port());
    let counting: Vec<Sshfp> = evidence.counting(policy, now).flat_map(|(_, records)| records).collect();
    if counting.iter().any(Sshfp::is_usable) && policy.require != Require::Ca {
        return Reason::NoAllowedType { host, allowed: policy.algorithms.clone() };
    }
    if !counting.is_empty() {
        return Reason::NothingUsable { host };
    }
    if let Some(shortfall) = evidence.shortfall(policy, now) {
        return Reason::NotSufficient { host, shortfall: Box::new(shortfall) };
    }
    if let Some(until) = evidence.looked_at(policy).map(|(answer, _)| answer.expires()).max() {
        return Reason::ProofExpired { host, until, now };
    }
    let cause = evidence.failure(policy).cloned().unwrap_or_else(|| {
        let question = Question::new(host.name().clone(), RrType::SSHFP);
        Unproven::unanswered(question, "the answer was to another question")
    });
    if policy.port_labels == PortLabels::Required && cause.status == Status::Absent {
        return Reason::PortLabelRequired { host, port, cause: cause.error };
    }
    // A CA may be published for it, and not count.
    if policy.require == Require::Either
        && cause.status == Status::Absent
        && let Some(wildcard) = evidence.wildcard(now)
    {
        return Reason::NoHostZone { host, cause: Box::new(wildcard.clone()) };
    }
    Reason::NoProof { host, cause: Box::new(cause) }
}

/// Why there is no key to judge: of what counts at `now`, in seconds since 1970, and which `policy` allows the server
/// offers nothing.
pub fn nothing_offered(evidence: &Evidence, policy: &Policy, server_offers: Vec<String>, now: u64) -> Reason {
    let host = evidence.host().clone();
    let any = Policy { algorithms: KeyType::ALL.to_vec(), ..policy.clone() };
    let published = evidence.offer(&any, now);
    let forbidden = |name: &String| {
        let (types, plain) = match name.strip_suffix(SUFFIX) {
            Some(plain) => (&published.certificates, plain),
            None => (&published.keys, name.as_str()),
        };
        KeyType::from_algorithm(plain).is_some_and(|t| types.contains(&t) && !policy.allows(t))
    };
    if server_offers.iter().any(forbidden) {
        return Reason::NoAllowedType { host, allowed: policy.algorithms.clone() };
    }
    match published.keys.is_empty() && !published.certificates.is_empty() {
        true => Reason::NoCertificateOffered { host, server_offers },
        false => Reason::NoPublishedTypeOffered { host, server_offers },
    }
}

#[cfg(test)]
mod tests;
