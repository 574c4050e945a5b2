//! The verdict, and the one place that makes an accept.

use super::chain::ChainError;
use super::denial::{Status, Unproven};
use super::evidence::Evidence;
use super::hostkey::{HostKey, KeyType, Presented};
use super::message::Question;
use super::name::{HostName, Name};
use super::policy::{Mode, Policy, PortLabels, Shortfall};
use super::rr::RrType;
use super::sshfp::Sshfp;

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
    owner: Name,
    valid_until: u64,
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

    /// The owner of the SSHFP set that vouches.
    pub fn owner(&self) -> &Name {
        &self.owner
    }

    /// Until when the proof may be kept, in seconds since 1970.
    pub fn valid_until(&self) -> u64 {
        self.valid_until
    }

    /// A witness out of nothing, for unit tests of what needs one.
    #[cfg(test)]
    pub fn for_tests(host: &str, port: u16, key: &HostKey) -> Self {
        let host = HostName::parse(host).unwrap();
        let owner = host.name().clone();
        let key_sha256 = key.sha256();
        Anchored { host, port, key_type: key.key_type(), key_sha256, owner, valid_until: u64::MAX }
    }
}

/// Why there is no accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Records of the key's algorithm are proven, and none is of this key.
    #[error("{host} shows {presented}, and DNSSEC proves other keys: {}", digests(published))]
    KeyMismatch {
        /// The host asked for.
        host: HostName,
        /// The plain key that the server showed.
        presented: HostKey,
        /// The usable records.
        published: Vec<Sshfp>,
    },
    /// Records are proven, none of them of the key's algorithm.
    #[error("{host} shows {presented}, and DNSSEC proves keys of other types only: {}", digests(published))]
    KeyTypeNotPublished {
        /// The host asked for.
        host: HostName,
        /// The plain key that the server showed.
        presented: HostKey,
        /// The usable records.
        published: Vec<Sshfp>,
    },
    /// The server offers no key of a type for which records are proven.
    #[error("{host} offers no host key of a type that DNSSEC proves (it offers {})", server_offers.join(", "))]
    NoPublishedTypeOffered {
        /// The host asked for.
        host: HostName,
        /// The server's host key algorithms, printable and bounded.
        server_offers: Vec<String>,
    },
    /// The key is proven, and policy does not allow its type.
    #[error(
        "{host} shows {presented}, which is proven, and policy allows {} only (algorithms)",
        names(allowed)
    )]
    AlgorithmNotAllowed {
        /// The host asked for.
        host: HostName,
        /// The plain key that the server showed.
        presented: HostKey,
        /// The types that policy allows.
        allowed: Vec<KeyType>,
    },
    /// Of the types that policy allows none is proven, or none that the server offers.
    #[error(
        "{host} has no host key that is proven and of a type that policy allows ({}; algorithms)",
        names(allowed)
    )]
    NoAllowedType {
        /// The host asked for.
        host: HostName,
        /// The types that policy allows.
        allowed: Vec<KeyType>,
    },
    /// A proof that holds does not suffice by policy.
    #[error("the proof for {host} does not suffice: {shortfall}")]
    NotSufficient {
        /// The host asked for.
        host: HostName,
        /// What it lacks.
        shortfall: Box<Shortfall>,
    },
    /// Policy wants records under the port label, and it is proven that there are none.
    #[error("nothing vouches for {host} port {port}: {cause}, and policy wants it there (port_labels)")]
    PortLabelRequired {
        /// The host asked for.
        host: HostName,
        /// The port asked for.
        port: u16,
        /// What is missing.
        cause: ChainError,
    },
    /// Policy passes the host: it is not verified.
    #[error("{host} is not verified, for policy passes it (mode = \"pass\")")]
    Passed {
        /// The host asked for.
        host: HostName,
    },
    /// Records are proven, but SHA-1 or unknown numbers prove nothing.
    #[error("the SSHFP records of {host} are proven, but none is SHA-256 of a known key type")]
    NothingUsable {
        /// The host asked for.
        host: HostName,
    },
    /// No SSHFP set is proven.
    #[error("{}", no_proof(host, cause))]
    NoProof {
        /// The host asked for.
        host: HostName,
        /// What kind of failure, and the link.
        cause: Box<Unproven>,
    },
    /// The proof has run out since it was made.
    #[error("the proof for {host} held until {until} and it is {now} (seconds since 1970)")]
    ProofExpired {
        /// The host asked for.
        host: HostName,
        /// The end of its first signature to expire, in seconds since 1970.
        until: u64,
        /// The moment of the verdict.
        now: u64,
    },
    /// The clock shows a time before this program existed, or before a signature was made that was verified
    /// earlier.
    #[error("the clock says {now} (seconds since 1970), and it was {not_before} when {}", if *not_before == RELEASED { "this release was made" } else { "a signature was made that has been verified here earlier" })]
    Clock {
        /// The moment of the verdict.
        now: u64,
        /// The earliest that it can be.
        not_before: u64,
    },
}

impl Reason {
    /// A stable word for scripts; listed in the README.
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyMismatch { .. } => "key-mismatch",
            Self::KeyTypeNotPublished { .. } | Self::NoPublishedTypeOffered { .. } => {
                "key-type-not-published"
            }
            Self::AlgorithmNotAllowed { .. } | Self::NoAllowedType { .. } => "algorithm-not-allowed",
            Self::NotSufficient { shortfall, .. } => shortfall.code(),
            Self::PortLabelRequired { .. } => "port-label-required",
            Self::Passed { .. } => "pass",
            Self::NothingUsable { .. } => "sha1-only",
            Self::NoProof { cause, .. } => status_code(cause),
            Self::ProofExpired { .. } => "proof-expired",
            Self::Clock { .. } => "clock",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::KeyMismatch { host, .. } => format!(
                "do not connect. If {host} was reinstalled, run on it, by console: sshanchor publish --name {host} ...; else somebody may be in between"
            ),
            Self::NoPublishedTypeOffered { server_offers, .. } if only_sha1(server_offers) => {
                "its RSA signatures are SHA-1, which prove nothing: update its SSH server, or publish its other keys".to_owned()
            }
            Self::KeyTypeNotPublished { host, .. } | Self::NoPublishedTypeOffered { host, .. } => {
                format!("do not connect. If these keys are {host}'s own, publish them: sshanchor publish --name {host} ...")
            }
            Self::AlgorithmNotAllowed { host, .. } | Self::NoAllowedType { host, .. } => format!(
                "have {host} hold, publish and offer a key of an allowed type; sshanchor config show {host} tells where the setting comes from"
            ),
            Self::NotSufficient { shortfall, .. } => shortfall.hint(),
            Self::PortLabelRequired { host, port, .. } => {
                format!("publish the keys for this port: run on it sshanchor publish --name {host} --port {port} --server PRIMARY --key-file KEY")
            }
            Self::Passed { host } => {
                format!("ssh's own checking decides for it; to have it verified, see sshanchor config show {host}")
            }
            Self::NothingUsable { host } => {
                format!("SHA-1 proves nothing; publish SHA-256 records: sshanchor publish --name {host} ...")
            }
            Self::NoProof { host, cause } => hint_for(host.name(), cause),
            Self::ProofExpired { .. } => "look it up again".to_owned(),
            Self::Clock { .. } => {
                "set the clock (chronyc makestep, or date -s), then try again: no proof can be judged without the time. If the clock was wrong earlier, delete the cache folder".to_owned()
            }
        }
    }
}

/// Of RSA a server has but `ssh-rsa` to offer: SHA-1 (RFC 8332).
fn only_sha1(server_offers: &[String]) -> bool {
    let offers = |wanted: &str| server_offers.iter().any(|name| name == wanted);
    offers("ssh-rsa") && !offers("rsa-sha2-256") && !offers("rsa-sha2-512")
}

/// The stable word for a failed lookup: its status, unless the link says more.
pub fn status_code(cause: &Unproven) -> &'static str {
    match (cause.status, &cause.error) {
        (Status::Absent, _) => "no-record",
        (Status::Insecure, _) => "insecure",
        (_, error) => error.code(),
    }
}

/// What to do about a failed lookup of `name`.
pub fn hint_for(name: &Name, cause: &Unproven) -> String {
    match (cause.status, &cause.error) {
        (Status::Absent, ChainError::Denied { question, .. }) if question.rtype == RrType::SSHFP => {
            format!("publish the host's keys: run on it sshanchor publish --name {name} --server PRIMARY --key-file KEY")
        }
        (Status::Absent, _) => "check the name; the zone proves that it has no such record".to_owned(),
        (Status::Insecure, ChainError::NoDs { zone, parent }) => format!(
            "sign {zone} and have its DS record put into {parent}; or, for a private zone, give its key: --trust-anchor FILE"
        ),
        (_, ChainError::NoAnchor { .. }) => {
            "the file given by --trust-anchor has no key for any zone above this name".to_owned()
        }
        (Status::Insecure, _) => "sign the zone with a current algorithm; only then can its records prove anything".to_owned(),
        (_, ChainError::Expired { signer, .. }) => format!(
            "have {signer} signed anew (is its signer still running?), and check this machine's clock"
        ),
        (_, ChainError::NotYetValid { .. }) => "check the clock of this machine and of the signer".to_owned(),
        (_, ChainError::AnchorMismatch { zone }) => {
            format!("the trust anchor of {zone} is out of date or another one's; compare it with dig {zone} DNSKEY")
        }
        (_, ChainError::NoEntry { zone, tag, .. }) => format!(
            "have the DS record of key {tag} put above {zone}; of a trust anchor, give the key that signs the zone's keys (flags 257)"
        ),
        (_, ChainError::Wildcard { .. }) => {
            "publish records at the host's own name; wildcards cannot tell one host from another".to_owned()
        }
        (_, ChainError::Unanswered { .. }) => {
            "check that the resolver can be reached (--resolver ADDR names another one) and hands out DNSSEC data".to_owned()
        }
        (_, ChainError::Unsigned { .. } | ChainError::UnprovenDenial { .. }) => {
            "the resolver, or something before it, strips DNSSEC data, or an answer was forged; try --resolver ADDR".to_owned()
        }
        _ => "an answer was forged or the zone is broken; compare with another resolver: --resolver ADDR".to_owned(),
    }
}

fn no_proof(host: &HostName, cause: &Unproven) -> String {
    match cause.status {
        Status::Absent | Status::Secure => format!("nothing vouches for {host}: {}", cause.error),
        status => format!("nothing vouches for {host} ({status}): {}", cause.error),
    }
}

fn names(types: &[KeyType]) -> String {
    types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ")
}

/// Records as OpenSSH prints fingerprints, so that they can be compared with what it shows.
fn digests(records: &[Sshfp]) -> String {
    const SHOWN: usize = 4;
    let mut shown: Vec<String> = records.iter().take(SHOWN).map(Sshfp::fingerprint_text).collect();
    if records.len() > SHOWN {
        shown.push(format!("and {} more", records.len() - SHOWN));
    }
    shown.join(", ")
}

/// Judges the key that a server presented by what is proven, at `now` in seconds since 1970, and by the
/// host's policy, which only takes accepts away: a proof that does not suffice by it counts neither for nor
/// against a key.
///
/// The one maker of [`Anchored`]. Every accept rests on an SSHFP set that is proven for exactly this
/// host, or this host and port, and holds the SHA-256 of exactly this key. A certificate counts by the
/// plain key inside it, which is the key that signed the exchange.
///
/// Signatures have to hold at `now`. TTLs do not count here: a resolver may hand out a last second of
/// them, and data is good for the transaction that asked for it (RFC 1035 section 3.2.1); how long a
/// proof is kept for others is [`Anchored::valid_until`].
pub fn decide(evidence: &Evidence, presented: &Presented, policy: &Policy, now: u64) -> Verdict {
    let (host, port) = (evidence.host().clone(), evidence.port());
    let key = presented.key();
    if now < RELEASED || policy.mode == Mode::Pass {
        return Verdict::Unproven(nothing_vouches(evidence, policy, now));
    }
    let mut published: Vec<Sshfp> = Vec::new();
    for (answer, records) in evidence.counting(policy, now) {
        if records.iter().any(|record| record.matches(key)) {
            if !policy.allows(key.key_type()) {
                let (presented, allowed) = (key.clone(), policy.algorithms.clone());
                return Verdict::Reject(Reason::AlgorithmNotAllowed { host, presented, allowed });
            }
            return Verdict::Accept(Anchored {
                host,
                port,
                key_type: key.key_type(),
                key_sha256: key.sha256(),
                owner: answer.data().set().owner().clone(),
                valid_until: answer.valid_until(),
            });
        }
        published.extend(records.into_iter().filter(Sshfp::is_usable));
    }
    let presented = key.clone();
    if published.iter().any(|r| r.algorithm() == key.key_type().sshfp_algorithm()) {
        return Verdict::Reject(Reason::KeyMismatch { host, presented, published });
    }
    if !published.is_empty() {
        return Verdict::Reject(Reason::KeyTypeNotPublished { host, presented, published });
    }
    Verdict::Unproven(nothing_vouches(evidence, policy, now))
}

/// Why nothing vouches for whatever key the host might show, at `now` in seconds since 1970.
pub fn nothing_vouches(evidence: &Evidence, policy: &Policy, now: u64) -> Reason {
    let (host, port) = (evidence.host().clone(), evidence.port());
    if policy.mode == Mode::Pass {
        return Reason::Passed { host };
    }
    if now < RELEASED {
        return Reason::Clock { now, not_before: RELEASED };
    }
    let counting: Vec<Sshfp> = evidence.counting(policy, now).flat_map(|(_, records)| records).collect();
    if counting.iter().any(Sshfp::is_usable) {
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
    Reason::NoProof { host, cause: Box::new(cause) }
}

/// Why there is no key to judge: of the types for which records count at `now`, in seconds since 1970, and which
/// `policy` allows the server offers none.
pub fn nothing_offered(evidence: &Evidence, policy: &Policy, server_offers: Vec<String>, now: u64) -> Reason {
    let host = evidence.host().clone();
    let any = Policy { algorithms: KeyType::ALL.to_vec(), ..policy.clone() };
    let published = evidence.key_types(&any, now);
    let forbidden = |name: &String| {
        KeyType::from_algorithm(name).is_some_and(|t| published.contains(&t) && !policy.allows(t))
    };
    match server_offers.iter().any(forbidden) {
        true => Reason::NoAllowedType { host, allowed: policy.algorithms.clone() },
        false => Reason::NoPublishedTypeOffered { host, server_offers },
    }
}

#[cfg(test)]
mod tests;
