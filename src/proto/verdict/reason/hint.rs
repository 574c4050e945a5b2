//! What to do next, where there is no accept.

use super::{Reason, Whose};
use crate::proto::chain::ChainError;
use crate::proto::denial::{Status, Unproven};
use crate::proto::evidence::Gap;
use crate::proto::hostkey::KeyType;
use crate::proto::message::NXDOMAIN;
use crate::proto::name::Name;
use crate::proto::revocation;
use crate::proto::rr::RrType;
use crate::proto::sshfp::Sshfp;

impl Reason {
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
            Self::ShortKey { host, whose: Whose::Host, .. } => format!(
                "have {host} hold, publish and offer a longer or an Ed25519 key; sshanchor config show {host} tells where the setting comes from"
            ),
            Self::ShortKey { host, whose: Whose::Ca, .. } => format!(
                "roll the CA over to a longer or an Ed25519 key: sshanchor ca roll; sshanchor config show {host} tells where the setting comes from"
            ),
            Self::Handshake { host, fault } => fault.hint(host),
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

/// What ssh calls the algorithms of these records (ssh_config(5), HostKeyAlgorithms): of RSA those that prove, of ECDSA
/// all curves, which SSHFP does not tell apart.
fn host_key_algorithms(records: &[Sshfp]) -> String {
    let is_published = |t: &KeyType| records.iter().any(|record| record.algorithm() == t.sshfp_algorithm());
    let of = |t: KeyType| if t == KeyType::Rsa { "rsa-sha2-512,rsa-sha2-256" } else { t.name() };
    KeyType::ALL.into_iter().filter(is_published).map(of).collect::<Vec<_>>().join(",")
}

/// Of RSA a server has but `ssh-rsa` to offer: SHA-1 (RFC 8332).
fn only_sha1(server_offers: &[String]) -> bool {
    let offers = |wanted: &str| server_offers.iter().any(|name| name == wanted);
    offers("ssh-rsa") && !offers("rsa-sha2-256") && !offers("rsa-sha2-512")
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
        (_, ChainError::Unanswered { .. }) if name.label_count() == 1 => {
            format!("give the whole name, such as {name}.example.com: no search domain is put behind it")
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
