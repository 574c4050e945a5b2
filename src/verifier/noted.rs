//! What is noted of a verdict in the trail, by the commands that connect.

use super::{ProbeFailure, Verification, Verifier, now};
use crate::error::Error;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::Presented;
use crate::proto::policy::Seen;
use crate::proto::trail::Entry;
use crate::proto::verdict::Verdict;
use crate::ssh::probe::{Handshake, ProbeError};

impl ProbeFailure {
    /// The verdict that it comes to, if it does, and a stable word: a server that does not hold the key that it shows, or
    /// shows something malformed, is rejected.
    pub fn told(&self) -> (Option<&'static str>, &'static str) {
        match self {
            Self::Unreachable(_) => (None, "unreachable"),
            Self::Handshake(
                ProbeError::BadSignature | ProbeError::SignatureAlgorithm { .. } | ProbeError::BadHostKey(_),
            ) => (Some("reject"), "bad-host-key"),
            Self::Handshake(_) => (None, "handshake"),
        }
    }
}

impl Verifier {
    /// The same for somebody who is to log in there: the trail notes it. A server hears of it once it is accepted.
    #[must_use]
    pub fn for_login(self, user: &str) -> Self {
        Verifier { login: Some(user.into()), ..self }
    }

    /// Notes the verdict on a host that was looked at, or that it showed no key to judge. The error, of a trail that is
    /// required and cannot be written, takes the verdict back.
    pub fn note<H: Handshake>(
        &self,
        verification: &Verification<H>,
        verdict: Option<&Verdict>,
    ) -> Result<(), Error> {
        let Some(trail) = &self.trail else { return Ok(()) };
        let Verification { evidence, probed } = verification;
        let entry = match (verdict, probed) {
            (Some(verdict), probed) => {
                let shown = probed.as_ref().and_then(|probed| probed.as_ref().ok()).map(Handshake::probed);
                let seen = shown.map(|shown| shown.seen());
                let presented = shown.map(|shown| &shown.presented);
                Entry::judged(evidence, presented, seen.as_ref(), verdict, now())
            }
            (None, Some(Err(failure))) => {
                let (verdict, reason) = failure.told();
                let host = evidence.host().to_string();
                Entry::failed(&host, evidence.port(), verdict, reason, &failure.to_string())
            }
            (None, _) => return Ok(()),
        };
        trail.write(&entry.of_login(self.login.as_deref()), now())
    }

    /// The same of a key that somebody else was shown.
    pub fn note_settled(
        &self,
        evidence: &Evidence,
        presented: &Presented,
        seen: Option<&Seen>,
        verdict: &Verdict,
    ) -> Result<(), Error> {
        match &self.trail {
            Some(trail) => {
                let entry = Entry::judged(evidence, Some(presented), seen, verdict, now());
                trail.write(&entry.of_login(self.login.as_deref()), now())
            }
            None => Ok(()),
        }
    }

    /// The same of a host that is refused before it is looked at.
    pub fn note_unseen(
        &self,
        host: &str,
        port: u16,
        verdict: Option<&'static str>,
        reason: &'static str,
        message: &str,
    ) -> Result<(), Error> {
        match &self.trail {
            Some(trail) => {
                let entry = Entry::failed(host, port, verdict, reason, message);
                trail.write(&entry.of_login(self.login.as_deref()), now())
            }
            None => Ok(()),
        }
    }
}
