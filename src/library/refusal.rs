//! Why a host's key is not accepted.

use crate::proto::hostkey::HostKeyError;
use crate::proto::verdict::{Anchored, Reason, Verdict};

/// Why a host's key is not accepted. All of these end the connection; [`Refusal::hint`] says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A proof speaks against the key: do not connect.
    #[error("{0}")]
    Rejected(Reason),
    /// Nothing vouches for the key: no record, an unsigned zone, data that does not hold, no answer.
    #[error("{0}")]
    Unproven(Reason),
    /// What the server presents is no host key, or none for the algorithm that was agreed upon.
    #[error("bad host key: {0}")]
    BadKey(#[from] HostKeyError),
    /// The key exchange is signed by another algorithm than the one agreed upon.
    #[error("the key exchange is signed with {signed}, not with {agreed}")]
    SignatureAlgorithm {
        /// What the signature says: printable and bounded.
        signed: String,
        /// What was agreed upon.
        agreed: String,
    },
    /// The exchange came to an end and no key was judged.
    #[error("the server presented no host key")]
    NoKey,
}

impl Refusal {
    /// A stable word for scripts and metrics: those of `sshanchor verify --json` (docs/json.md), and `bad-host-key`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(reason) | Self::Unproven(reason) => reason.code(),
            Self::BadKey(_) | Self::SignatureAlgorithm { .. } | Self::NoKey => "bad-host-key",
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Rejected(reason) | Self::Unproven(reason) => reason.hint(),
            Self::BadKey(_) | Self::SignatureAlgorithm { .. } | Self::NoKey => {
                "do not connect: the server does not prove that it holds the host key that it shows"
                    .to_owned()
            }
        }
    }

    /// Why there is no accept, where the key was judged.
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Rejected(reason) | Self::Unproven(reason) => Some(reason),
            Self::BadKey(_) | Self::SignatureAlgorithm { .. } | Self::NoKey => None,
        }
    }
}

impl Verdict {
    /// The witness of an accept, or why there is none: for `?`.
    pub fn accepted(self) -> Result<Anchored, Refusal> {
        match self {
            Verdict::Accept(anchored) => Ok(anchored),
            Verdict::Reject(reason) => Err(Refusal::Rejected(reason)),
            Verdict::Unproven(reason) => Err(Refusal::Unproven(reason)),
        }
    }
}
