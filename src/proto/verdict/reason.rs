//! Why there is no accept: in a sentence, in a word for scripts, and what to do next.

use super::RELEASED;
use crate::proto::certificate::Fault;
use crate::proto::chain::ChainError;
use crate::proto::denial::{Status, Unproven};
use crate::proto::evidence::Gap;
use crate::proto::hostkey::{HostKey, KeyType};
use crate::proto::moment;
use crate::proto::name::{HostName, Name};
use crate::proto::policy::Shortfall;
use crate::proto::policy::posture::Fault as HandshakeFault;
use crate::proto::sshfp::Sshfp;

mod hint;

pub use hint::hint_for;

/// Why there is no accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Records of the key's algorithm are proven, and none is of this key.
    #[error("{host} shows {presented}, and DNSSEC proves other keys: {}", digests(published))]
    KeyMismatch {
        /// The host asked for.
        host: HostName,
        /// The plain key that the server showed.
        presented: HostKey,
        /// The usable records of its type.
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
    /// The key is proven, and policy wants longer ones.
    #[error("{host} shows {}{key}, of {bits} bits, and policy wants {wanted} at least (min_rsa_bits)", whose.text())]
    ShortKey {
        /// The host asked for.
        host: HostName,
        /// Whose key it is.
        whose: Whose,
        /// The RSA key.
        key: HostKey,
        /// Its size, in bits.
        bits: usize,
        /// The least that policy allows, in bits.
        wanted: usize,
    },
    /// The key is not at fault: policy does not take the handshake that showed it.
    #[error("the handshake with {host} does not suffice: {fault}")]
    Handshake {
        /// The host asked for.
        host: HostName,
        /// What it lacks.
        fault: HandshakeFault,
    },
    /// A proof that holds does not suffice by policy.
    #[error("the proof for {host} does not suffice: {shortfall}")]
    NotSufficient {
        /// The host asked for.
        host: HostName,
        /// What it lacks.
        shortfall: Box<Shortfall>,
    },
    /// A proven set revokes the key, or its CA's.
    #[error("{host} shows {}{key}, which {owner} revokes", whose.text())]
    Revoked {
        /// The host asked for.
        host: HostName,
        /// Whose key it is.
        whose: Whose,
        /// The key.
        key: HostKey,
        /// The owner of the revoked set.
        owner: Name,
    },
    /// A CA set is proven, and the certificate is of a CA that is in none.
    #[error("{host} shows a certificate of the CA {ca}, and DNSSEC proves other CAs: {}", digests(published))]
    UnknownCa {
        /// The host asked for.
        host: HostName,
        /// The key that the certificate names as its CA's.
        ca: HostKey,
        /// The usable records of the CA sets.
        published: Vec<Sshfp>,
    },
    /// The CA is proven, and its certificate is no good for the host.
    #[error("the certificate that {host} shows does not count: {fault}")]
    Certificate {
        /// The host asked for.
        host: HostName,
        /// What is wrong with it.
        fault: Fault,
    },
    /// A plain key where only a certificate can be accepted.
    #[error("{host} shows {presented} without a certificate, and DNSSEC proves CAs for it")]
    CertificateRequired {
        /// The host asked for.
        host: HostName,
        /// The plain key that the server showed.
        presented: HostKey,
    },
    /// The server has no certificate, and only a certificate can be accepted.
    #[error("{host} offers no certificate, and DNSSEC proves CAs for it (it offers {})", server_offers.join(", "))]
    NoCertificateOffered {
        /// The host asked for.
        host: HostName,
        /// The server's host key algorithms, printable and bounded.
        server_offers: Vec<String>,
    },
    /// Nobody can say that the key is not revoked.
    #[error("{host}: that its key is not revoked is not proven, at {owner}: {gap}")]
    RevocationUnproven {
        /// The host asked for.
        host: HostName,
        /// The owner of the revoked set.
        owner: Name,
        /// What it lacks.
        gap: Box<Gap>,
    },
    /// A CA has to vouch by policy, and no CA set is proven.
    #[error("no CA vouches for {host}: {}", cause.error)]
    NoCa {
        /// The host asked for.
        host: HostName,
        /// What kind of failure, and the link.
        cause: Box<Unproven>,
    },
    /// A CA has to vouch by policy, and no CA set is one that may.
    #[error("no CA vouches for {host}: none of the CA sets that are proven may speak for hosts of {zone}")]
    NoCaCounts {
        /// The host asked for.
        host: HostName,
        /// The host's zone.
        zone: Name,
    },
    /// A CA has to vouch by policy, and nothing tells which zone the host is in.
    #[error("no CA vouches for {host}: nothing is proven at its name, so that its zone is not known: {}", cause.error)]
    NoHostZone {
        /// The host asked for.
        host: HostName,
        /// What kind of failure, and the link.
        cause: Box<Unproven>,
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
    #[error("the proof for {host} held until {}, and it is {}", moment::text(*until), moment::text(*now))]
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
    #[error("the clock says {}, and it was {} when {}", moment::text(*now), moment::text(*not_before), if *not_before == RELEASED { "this release was made" } else { "a signature was made that has been verified here earlier" })]
    Clock {
        /// The moment of the verdict.
        now: u64,
        /// The earliest that it can be.
        not_before: u64,
    },
}

/// Whose key is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The host's own, in a certificate or not.
    Host,
    /// That of the CA that has signed the host's certificate.
    Ca,
}

impl Whose {
    fn text(self) -> &'static str {
        match self {
            Self::Host => "",
            Self::Ca => "a certificate of the CA ",
        }
    }
}

impl Reason {
    /// It is about the handshake, and no other proof or key would make it another.
    pub fn is_of_handshake(&self) -> bool {
        matches!(self, Self::Handshake { .. })
    }

    /// A stable word for scripts; listed in docs/json.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyMismatch { .. } => "key-mismatch",
            Self::KeyTypeNotPublished { .. } | Self::NoPublishedTypeOffered { .. } => {
                "key-type-not-published"
            }
            Self::AlgorithmNotAllowed { .. } | Self::NoAllowedType { .. } => "algorithm-not-allowed",
            Self::ShortKey { .. } => "short-key",
            Self::Handshake { fault, .. } => fault.code(),
            Self::Revoked { .. } => "revoked",
            Self::UnknownCa { .. } => "ca-not-published",
            Self::Certificate { fault, .. } => fault.code(),
            Self::CertificateRequired { .. } | Self::NoCertificateOffered { .. } => "certificate-required",
            Self::RevocationUnproven { .. } => "revocation-unproven",
            Self::NoCa { cause, .. } => status_code(cause),
            Self::NoCaCounts { .. } => "no-ca",
            Self::NoHostZone { .. } => "no-host-zone",
            Self::NotSufficient { shortfall, .. } => shortfall.code(),
            Self::PortLabelRequired { .. } => "port-label-required",
            Self::Passed { .. } => "pass",
            Self::NothingUsable { .. } => "sha1-only",
            Self::NoProof { cause, .. } => status_code(cause),
            Self::ProofExpired { .. } => "proof-expired",
            Self::Clock { .. } => "clock",
        }
    }
}

/// The stable word for a failed lookup: its status, unless the link says more.
pub fn status_code(cause: &Unproven) -> &'static str {
    match (cause.status, &cause.error) {
        (Status::Absent, _) => "no-record",
        (Status::Insecure, _) => "insecure",
        (_, error) => error.code(),
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
