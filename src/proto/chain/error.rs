//! Why a chain does not hold, with the operands a person needs to act.

use super::MAX_ALIASES;
use crate::proto::message::{Question, rcode_name};
use crate::proto::moment;
use crate::proto::name::Name;
use crate::proto::rr::RrType;

/// The link that failed, and how. Nothing in here proves absence or insecurity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the operands of the message")]
pub enum ChainError {
    /// No data came, for this reason (a timeout, a response code): nothing can be said.
    #[error("no answer for {} {}: {why}", question.name, question.rtype)]
    Unanswered { question: Question, why: String },
    /// The answer says that there is no such data; nobody has proven that yet.
    #[error("{} has no {} record ({})", question.name, question.rtype, rcode_name(*rcode))]
    Denied { question: Question, rcode: u16 },
    /// Records without any signature.
    #[error("no RRSIG over {owner} {rtype}")]
    Unsigned { owner: Name, rtype: RrType },
    /// `ago` in seconds.
    #[error("RRSIG over {owner} {rtype} by {signer} expired {} ago", moment::span(u64::from(*ago)))]
    Expired { owner: Name, rtype: RrType, signer: Name, ago: u32 },
    /// `ahead` in seconds.
    #[error("RRSIG over {owner} {rtype} by {signer} begins in {}", moment::span(u64::from(*ahead)))]
    NotYetValid { owner: Name, rtype: RrType, signer: Name, ahead: u32 },
    /// Its end lies before its beginning, as serial numbers go (RFC 4034 section 3.1.5).
    #[error("RRSIG over {owner} {rtype} by {signer} ends before it begins")]
    Backwards { owner: Name, rtype: RrType, signer: Name },
    /// The signature is not that of the zone's key over these records.
    #[error("RRSIG over {owner} {rtype} by {signer} key {tag} does not verify")]
    BadSignature { owner: Name, rtype: RrType, signer: Name, tag: u16 },
    /// The zone has no such key, or it is revoked or no zone key.
    #[error(
        "RRSIG over {owner} {rtype} names key {tag} (algorithm {algorithm}), which {signer} does not have"
    )]
    NoKey { owner: Name, rtype: RrType, signer: Name, tag: u16, algorithm: u8 },
    /// The zone signs its keys, but not with one that somebody vouches for.
    #[error(
        "the DNSKEY set of {zone} is signed by key {tag} (algorithm {algorithm}), which neither a DS record nor a trust anchor names"
    )]
    NoEntry { zone: Name, tag: u16, algorithm: u8 },
    /// SHA-1, or an algorithm unknown here.
    #[error("RRSIG over {owner} {rtype} is of algorithm {algorithm}, which proves nothing here")]
    Algorithm { owner: Name, rtype: RrType, algorithm: u8 },
    /// The signer is no zone above the owner (for DS: not the parent's side of the cut).
    #[error("RRSIG over {owner} {rtype} is by {signer}, which has no say over it")]
    ForeignSigner { owner: Name, rtype: RrType, signer: Name },
    /// The RRSIG's label count does not fit its owner.
    #[error("RRSIG over {owner} {rtype} counts {labels} labels, more than the name has")]
    Labels { owner: Name, rtype: RrType, labels: u8 },
    /// Synthesised from a wildcard (RFC 4035 section 5.3.4): vouches for nobody.
    #[error("{owner} {rtype} is expanded from the wildcard {wildcard}, which vouches for no single host")]
    Wildcard { owner: Name, rtype: RrType, wildcard: Name },
    /// A CNAME that was asked for and has no signature, since it is made from a DNAME (RFC 6672 section 5.3.1).
    #[error("{owner} CNAME is made from the DNAME at {dname}, and nobody signs it")]
    Synthesised { owner: Name, dname: Name },
    /// More signatures than anybody needs.
    #[error("{count} RRSIGs over {owner} {rtype}: too many to look at")]
    TooManySignatures { owner: Name, rtype: RrType, count: usize },
    /// The limit of signature checks for one lookup.
    #[error("gave up after {tried} signature checks, at {owner} {rtype}")]
    Budget { owner: Name, rtype: RrType, tried: u32 },
    /// The parent has no DS for the zone: the chain ends there.
    #[error("no DS for {zone} at {parent}")]
    NoDs { zone: Name, parent: Name },
    /// DS records of SHA-1 or of algorithms unknown here only.
    #[error("the DS records of {zone} are of digests or algorithms that prove nothing here")]
    UnsupportedDs { zone: Name },
    /// The zone's keys do not fit the parent's DS.
    #[error("no DNSKEY of {zone} fits its DS records (tags {tags:?})")]
    DsMismatch { zone: Name, tags: Vec<u16> },
    /// The zone's keys are not those trusted.
    #[error("no DNSKEY of {zone} fits its trust anchor")]
    AnchorMismatch { zone: Name },
    /// No anchor encloses the name.
    #[error("no trust anchor at or above {name}")]
    NoAnchor { name: Name },
    /// A closer anchor exists, and what is above it has no say.
    #[error("RRSIG over {owner} {rtype} is by {signer}, above the trust anchor {anchor}")]
    AboveAnchor { owner: Name, rtype: RrType, signer: Name, anchor: Name },
    /// More zones in the chain, or more keys or DS records at a zone, than anybody needs.
    #[error("too many keys, DS records or zones above, at {zone}")]
    TooLong { zone: Name },
    /// A signed zone says that something is missing and does not prove it.
    #[error("{zone} does not prove that {} has no {}", question.name, question.rtype)]
    UnprovenDenial { question: Question, zone: Name },
    /// A CNAME or DNAME whose content is out of form, or that makes too long a name.
    #[error("bad {rtype} at {owner}")]
    BadAlias { owner: Name, rtype: RrType },
    /// A chain of aliases that comes back or does not end.
    #[error("the CNAMEs from {name} do not end within {MAX_ALIASES} steps")]
    AliasLoop { name: Name },
}

impl ChainError {
    /// A stable word for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unanswered { .. } => "no-answer",
            Self::Denied { .. } => "no-record",
            Self::Unsigned { .. } => "no-signature",
            Self::Expired { .. } => "signature-expired",
            Self::NotYetValid { .. } => "signature-not-yet-valid",
            Self::BadSignature { .. } | Self::Backwards { .. } => "bad-signature",
            Self::NoKey { .. } | Self::NoEntry { .. } => "no-such-key",
            Self::Algorithm { .. } => "signature-algorithm",
            Self::ForeignSigner { .. } => "foreign-signer",
            Self::Labels { .. } => "bad-signature",
            Self::Wildcard { .. } => "wildcard",
            Self::Synthesised { .. } => "synthesised",
            Self::TooManySignatures { .. } | Self::Budget { .. } => "too-many-signatures",
            Self::NoDs { .. } => "no-ds",
            Self::UnsupportedDs { .. } => "unsupported-ds",
            Self::DsMismatch { .. } => "ds-mismatch",
            Self::AnchorMismatch { .. } => "anchor-mismatch",
            Self::NoAnchor { .. } => "no-anchor",
            Self::AboveAnchor { .. } => "above-anchor",
            Self::TooLong { .. } => "too-long",
            Self::UnprovenDenial { .. } => "unproven-denial",
            Self::BadAlias { .. } => "bad-alias",
            Self::AliasLoop { .. } => "alias-loop",
        }
    }

    /// What is not there, or no longer of use: the end of the aliases from what was asked, or the DS set of a zone
    /// above.
    pub fn denied(&self) -> Option<Question> {
        match self {
            Self::Denied { question, .. } => Some(question.clone()),
            Self::NoDs { zone, .. } | Self::UnsupportedDs { zone } => {
                Some(Question::new(zone.clone(), RrType::DS))
            }
            _ => None,
        }
    }

    /// Of several failures at one link the one that says most: a time is more telling than a bad
    /// signature, that more than a foreign signer.
    pub(super) fn weight(&self) -> u8 {
        match self {
            Self::Expired { .. } | Self::NotYetValid { .. } => 5,
            Self::Wildcard { .. } | Self::TooManySignatures { .. } | Self::Budget { .. } => 4,
            Self::BadSignature { .. } | Self::Backwards { .. } => 3,
            Self::NoKey { .. } | Self::NoEntry { .. } | Self::Algorithm { .. } => 2,
            Self::ForeignSigner { .. } | Self::Labels { .. } => 0,
            _ => 1,
        }
    }
}
