//! Why there is no accept: in a sentence, in a word for scripts, and what to do next.

use super::RELEASED;
use crate::proto::certificate::Fault;
use crate::proto::chain::ChainError;
use crate::proto::denial::{Status, Unproven};
use crate::proto::evidence::Gap;
use crate::proto::hostkey::{HostKey, KeyType};
use crate::proto::message::NXDOMAIN;
use crate::proto::moment;
use crate::proto::name::{HostName, Name};
use crate::proto::policy::Shortfall;
use crate::proto::revocation;
use crate::proto::rr::RrType;
use crate::proto::sshfp::Sshfp;

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
    /// A stable word for scripts; listed in the README.
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyMismatch { .. } => "key-mismatch",
            Self::KeyTypeNotPublished { .. } | Self::NoPublishedTypeOffered { .. } => {
                "key-type-not-published"
            }
            Self::AlgorithmNotAllowed { .. } | Self::NoAllowedType { .. } => "algorithm-not-allowed",
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

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::KeyMismatch { host, .. } => format!(
                "do not connect. If {host} was reinstalled, run on it, by console: sshanchor publish --name {host} ...; else somebody may be in between"
            ),
            Self::NoPublishedTypeOffered { server_offers, .. } if only_sha1(server_offers) => {
                "its RSA signatures are SHA-1, which prove nothing: update its SSH server, or publish its other keys".to_owned()
            }
            Self::KeyTypeNotPublished { host, published, .. } => format!(
                "do not connect. If this key is {host}'s own, publish it: sshanchor publish --name {host} ...; or have the client ask for a key that is published: HostKeyAlgorithms {} in ssh_config",
                host_key_algorithms(published)
            ),
            Self::NoPublishedTypeOffered { host, .. } => {
                format!("do not connect. If these keys are {host}'s own, publish them: sshanchor publish --name {host} ...")
            }
            Self::AlgorithmNotAllowed { host, .. } | Self::NoAllowedType { host, .. } => format!(
                "have {host} hold, publish and offer a key of an allowed type; sshanchor config show {host} tells where the setting comes from"
            ),
            Self::Revoked { host, whose: Whose::Host, .. } => format!(
                "do not connect: somebody else may hold this key. Have {host} make a new one and publish it, or have it signed"
            ),
            Self::Revoked { host, whose: Whose::Ca, .. } => {
                format!("do not connect. Have {host} show a certificate of another CA: sshanchor ca renew, run on it")
            }
            Self::UnknownCa { host, .. } => format!(
                "do not connect. If this CA may vouch for {host}, publish it: sshanchor ca publish --ca-key PUBFILE --at DOMAIN --server PRIMARY --key-file KEY"
            ),
            Self::Certificate { host, fault } => fault.hint(host),
            Self::CertificateRequired { host, .. } => format!(
                "do not connect. If it is {host}, have it show a certificate (HostCertificate in sshd_config; sshanchor ca sign makes one), and the client ask for one; for a client that knows none (dbclient, paramiko) publish the plain key as well"
            ),
            Self::NoCertificateOffered { host, .. } => format!(
                "do not connect. If it is {host}, have it show a certificate (HostCertificate in sshd_config; sshanchor ca sign makes one)"
            ),
            Self::RevocationUnproven { owner, gap, .. } => match &**gap {
                Gap::Unproven(cause) if cause.status != Status::Absent => hint_for(owner, cause),
                Gap::Shortfall(shortfall) => shortfall.hint(),
                _ => format!("no CA counts without the revoked set beside it; this makes it: {}", publish_ca(owner)),
            },
            Self::NoCa { host, cause } => match cause.status {
                Status::Absent => format!(
                    "publish the CA's key: {}; sshanchor config show {host} tells why one is needed",
                    match &cause.error {
                        ChainError::Denied { question, .. } => publish_ca(&question.name),
                        _ => publish_ca(host.name()),
                    }
                ),
                _ => hint_for(host.name(), cause),
            },
            Self::NoCaCounts { zone, .. } => format!(
                "publish the CA's key within {zone}, or a CNAME there that leads to another _ca._ssh name (ca_at in the configuration may leave places out)"
            ),
            Self::NoHostZone { host, .. } => {
                format!("{host} needs a record of its own in a signed zone: A, AAAA, SSHFP or CNAME; wildcards do not count")
            }
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
/// What ssh calls the algorithms of these records (ssh_config(5), HostKeyAlgorithms): of RSA those that prove, of ECDSA
/// all curves, which SSHFP does not tell apart.
fn host_key_algorithms(records: &[Sshfp]) -> String {
    let is_published = |t: &KeyType| records.iter().any(|record| record.algorithm() == t.sshfp_algorithm());
    let of = |t: KeyType| if t == KeyType::Rsa { "rsa-sha2-512,rsa-sha2-256" } else { t.name() };
    KeyType::ALL.into_iter().filter(is_published).map(of).collect::<Vec<_>>().join(",")
}

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

/// How CA keys get to this place, which may be the name of a CA set, or of the revoked set beside it.
fn publish_ca(owner: &Name) -> String {
    let at = revocation::domain_of(owner).map_or_else(|| "DOMAIN".to_owned(), |at| at.to_string());
    format!("sshanchor ca publish --at {at} --server PRIMARY --key-file KEY")
}

/// What to do about a failed lookup of `name`.
pub fn hint_for(name: &Name, cause: &Unproven) -> String {
    match (cause.status, &cause.error) {
        (Status::Absent, ChainError::Denied { question, .. })
            if question.rtype == RrType::SSHFP && name.label_count() == 1 =>
        {
            format!("give the whole name, such as {name}.example.com: no search domain is put behind it")
        }
        (Status::Absent, ChainError::Denied { question, rcode }) if question.rtype == RrType::SSHFP => {
            let publish = format!("run on it sshanchor publish --name {name} --server PRIMARY --key-file KEY");
            let with_ca = "; or, if it shows a certificate, publish its CA: sshanchor ca publish";
            match *rcode {
                _ if revocation::domain_of(name).is_some() => {
                    format!("publish a CA there, with the set of revoked keys: {}", publish_ca(name))
                }
                NXDOMAIN => {
                    format!("the name is not in DNS at all: check it; if it is right, publish the host's keys: {publish}")
                }
                _ => format!("publish the host's keys: {publish}{with_ca}"),
            }
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
