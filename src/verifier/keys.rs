//! All that is proven of a host's keys: every key that it holds, and every record.

use super::{ProbeFailure, Verification, Verifier};
use crate::error::Error;
use crate::fan_out::in_order;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::{HostKey, KeyType, Presented};
use crate::proto::name::HostName;
use crate::proto::policy::Mode;
use crate::proto::verdict::{Anchored, Published, Reason, Verdict, published};
use crate::ssh::probe::{ProbeError, probe};

/// Handshakes with one host at the same time; a server may take few that have not authenticated (MaxStartups).
const AT_ONCE: usize = 2;

/// A host's keys, each proven by DNS and shown in a handshake that the host signed with it.
#[derive(Debug)]
pub struct ProvenKeys {
    /// The keys and the witness of each; never empty.
    pub keys: Vec<(HostKey, Anchored)>,
    /// What they were proven by.
    pub evidence: Evidence,
}

/// Why there are none.
#[derive(Debug)]
pub enum NoKeys {
    /// A proof speaks against a key that the host shows, or nothing vouches for it. Never an accept.
    Verdict(Verdict),
    /// The host shows no key, or not all that it offers.
    Failed(ProbeFailure),
}

impl From<Reason> for NoKeys {
    /// For want of a proof.
    fn from(reason: Reason) -> Self {
        NoKeys::Verdict(Verdict::Unproven(reason))
    }
}

impl Verifier {
    /// Every key of a published type that the host offers, by a handshake each. If it shows a key of an algorithm
    /// (SSHFP does not tell curves apart) and none that is proven, there is something wrong with the host as a whole,
    /// and none of its keys count.
    pub async fn proven_keys(&self, host: &HostName, port: u16) -> Result<Result<ProvenKeys, NoKeys>, Error> {
        if let Some(passed) = self.passed(host) {
            return Ok(Err(passed.into()));
        }
        let first = self.verify(host, port).await?;
        let accepted = match self.verdict(&first) {
            Ok(Verdict::Accept(anchored)) => Ok(anchored),
            Ok(other) => Err(other),
            Err(_) => return Ok(Err(first.into_failure())),
        };
        let (anchored, probed) = match (accepted, first.probed) {
            (Ok(anchored), Some(Ok(probed))) => (anchored, probed),
            (Ok(_), _) => return Err(Error::failure("internal", "an accept without a key")),
            (Err(verdict), _) => return Ok(Err(NoKeys::Verdict(verdict))),
        };
        let mut evidence = first.evidence;
        let mut mismatches: Vec<(KeyType, Verdict)> = Vec::new();
        let mut keys = vec![(probed.presented.key().clone(), anchored)];
        let others = self.key_types(&evidence);
        let others = others.into_iter().filter(|t| *t != probed.presented.key().key_type());
        let shown = in_order(others, AT_ONCE, |key_type| {
            // Each with all of the time: a silent resolver takes most of it before a stored address serves.
            let (verifier, host) = (self.for_one_host(), host.clone());
            async move { (key_type, verifier.shown(&host, port, key_type).await) }
        });
        for (key_type, shown) in shown.await? {
            let presented = match shown {
                Ok(Some(presented)) => presented,
                Ok(None) => continue,
                Err(failure) => return Ok(Err(NoKeys::Failed(failure))),
            };
            let (by, verdict) = self.settle(evidence, &presented).await?;
            evidence = by;
            match verdict {
                Verdict::Accept(anchored) => keys.push((presented.key().clone(), anchored)),
                Verdict::Reject(Reason::KeyMismatch { .. }) => mismatches.push((key_type, verdict)),
                verdict => return Ok(Err(NoKeys::Verdict(verdict))),
            }
        }
        let (keys, unpublished) = match self.still_proven(&evidence, keys, &mut mismatches) {
            Ok(found) => found,
            Err(verdict) => return Ok(Err(NoKeys::Verdict(verdict))),
        };
        let is_proven =
            |t: KeyType| keys.iter().any(|(key, _)| key.key_type().sshfp_algorithm() == t.sshfp_algorithm());
        match mismatches.into_iter().find(|(key_type, _)| !is_proven(*key_type)) {
            Some((_, verdict)) => Ok(Err(NoKeys::Verdict(verdict))),
            None if keys.is_empty() => match unpublished {
                Some(verdict) => Ok(Err(NoKeys::Verdict(verdict))),
                None => Err(Error::failure("internal", "no key, and no reason")),
            },
            None => Ok(Ok(ProvenKeys { keys, evidence })),
        }
    }

    /// Of `keys` those that `evidence` proves, which may be newer than what they were accepted by: what is stored
    /// accepts one key, and for another DNS was asked, which may have withdrawn the first by now. Mismatches are added to
    /// `mismatches`; a key of a type without records goes, with the verdict on it. Any other verdict is on the host.
    #[allow(clippy::type_complexity)] // a list, and one of those that are not in it
    fn still_proven(
        &self,
        evidence: &Evidence,
        keys: Vec<(HostKey, Anchored)>,
        mismatches: &mut Vec<(KeyType, Verdict)>,
    ) -> Result<(Vec<(HostKey, Anchored)>, Option<Verdict>), Verdict> {
        let (mut proven, mut unpublished) = (Vec::new(), None);
        for (key, _) in keys {
            match self.judge(evidence, &Presented::Plain(key.clone())) {
                Verdict::Accept(anchored) => proven.push((key, anchored)),
                verdict @ Verdict::Reject(Reason::KeyMismatch { .. }) => {
                    mismatches.push((key.key_type(), verdict));
                }
                verdict @ Verdict::Reject(Reason::KeyTypeNotPublished { .. }) => unpublished = Some(verdict),
                verdict => return Err(verdict),
            }
        }
        Ok((proven, unpublished))
    }

    /// The proven records that vouch for the host, without a word to it.
    pub async fn proven_records(
        &self,
        host: &HostName,
        port: u16,
    ) -> Result<Result<(Vec<Published>, Evidence), NoKeys>, Error> {
        if let Some(passed) = self.passed(host) {
            return Ok(Err(passed.into()));
        }
        let evidence = self.evidence(host, port).await?;
        Ok(self.published(&evidence).map(|sets| (sets, evidence)).map_err(NoKeys::from))
    }

    /// The records of `evidence` that vouch for the host, now.
    pub fn published(&self, evidence: &Evidence) -> Result<Vec<Published>, Reason> {
        published(evidence, &self.policy(evidence.host()), self.clock()?)
    }

    fn passed(&self, host: &HostName) -> Option<Reason> {
        (self.policy(host).mode == Mode::Pass).then(|| Reason::Passed { host: host.clone() })
    }

    /// The key of this type that the host shows; none if it has none.
    async fn shown(
        &self,
        host: &HostName,
        port: u16,
        key_type: KeyType,
    ) -> Result<Option<Presented>, ProbeFailure> {
        let stream = self.connect(host, port).await?;
        match probe(stream, &[key_type], self.deadline).await {
            Ok(probed) => Ok(Some(probed.presented)),
            Err(ProbeError::NoCommonKeyType { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Verification {
    /// Why no key was shown, of a verification that has no verdict.
    fn into_failure(self) -> NoKeys {
        match self.probed {
            Some(Err(failure)) => NoKeys::Failed(failure),
            _ => NoKeys::Failed(ProbeError::Closed.into()),
        }
    }
}
