//! Telling failures apart: absent, insecure, bogus, or nobody knows. Needs proofs of absence
//! (NSEC, NSEC3), which take part in nothing else: nothing here can make a [`Proven`](super::chain::Proven) or an accept.
//!
//! An answer that a secure zone signed is judged by that zone, unless that makes it insecure. Else the way is walked from the trust
//! anchor downwards: for each label the DS set is proven, or its absence. Only a proven absence at a cut
//! makes insecure; all that is unexplained is bogus.

mod absence;
mod classify;
mod nsec;
mod nsec3;
#[cfg(test)]
mod tests;
mod types;
mod walk;

pub use classify::classify;

use std::fmt;

use super::chain::ChainError;
use super::message::Question;

/// What is known about an answer (RFC 4033 section 5, with absence told apart).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Proven from a trust anchor.
    Secure,
    /// Proven to be in an unsigned zone, or where a proven alias out of the zones of a trust anchor leads.
    Insecure,
    /// It should be signed, and the signatures do not hold.
    Bogus,
    /// Proven not to exist.
    Absent,
    /// Nothing can be said: no answer, no anchor.
    Indeterminate,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Bogus => "bogus",
            Self::Absent => "absent",
            Self::Indeterminate => "indeterminate",
        })
    }
}

/// Why there is no proof: what kind of failure, and the link that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Unproven {
    /// [`Status::Secure`] only for what is true of the name and a proof for nobody: an expansion from a
    /// wildcard, a CNAME made from a DNAME.
    pub status: Status,
    /// The link and how it failed.
    pub error: ChainError,
}

impl Unproven {
    fn new(status: Status, error: ChainError) -> Self {
        Unproven { status, error }
    }

    /// No usable answer could be had: none at all, or a bogus one. False for all that is proven, or lies in the
    /// question.
    pub fn is_outage(&self) -> bool {
        match self.status {
            Status::Bogus => true,
            Status::Indeterminate => matches!(self.error, ChainError::Unanswered { .. }),
            Status::Secure | Status::Insecure | Status::Absent => false,
        }
    }

    /// It is proven that the answer cannot be had.
    pub fn is_proven(&self) -> bool {
        matches!(self.status, Status::Secure | Status::Insecure | Status::Absent)
    }

    /// Nothing came, so nothing can be said.
    pub fn unanswered(question: Question, why: impl Into<String>) -> Self {
        Self::new(Status::Indeterminate, ChainError::Unanswered { question, why: why.into() })
    }
}
