//! All that is proven of a host's keys: every key that it holds, and every record.

use super::gather::Sought;
use super::{ProbeFailure, Verification, Verifier};
use crate::error::Error;
use crate::fan_out::in_order;
use crate::proto::evidence::{Evidence, Offer};
use crate::proto::hostkey::{HostKey, KeyType};
use crate::proto::name::HostName;
use crate::proto::policy::Mode;
use crate::proto::verdict::{Anchored, Published, Reason, Verdict, published};
use crate::ssh::probe::{Ask, Handshake, ProbeError, Probed};

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
        let first: Verification = self.meet(host, port, Sought::Whole).await?;
        let accepted = match self.verdict(&first) {
            Ok(Verdict::Accept(_)) => Ok(()),
            Ok(other) => Err(other),
            Err(_) => return Ok(Err(first.into_failure())),
        };
        let probed = match (accepted, first.probed) {
            (Ok(_), Some(Ok(probed))) => probed,
            (Ok(_), _) => return Err(Error::failure("internal", "an accept without a key")),
            (Err(verdict), _) => return Ok(Err(NoKeys::Verdict(verdict))),
        };
        let mut evidence = first.evidence;
        let mut shown = vec![probed];
        let asks = self.others(&evidence, &shown);
        let more = in_order(asks, AT_ONCE, |ask| {
            // Each with all of the time: a silent resolver takes most of it before a stored address serves.
            let (verifier, host) = (self.for_one_host(), host.clone());
            async move { verifier.shown(&host, port, ask).await }
        });
        for probed in more.await? {
            match probed {
                Ok(Some(probed)) => shown.push(probed),
                Ok(None) => {}
                Err(failure) => return Ok(Err(NoKeys::Failed(failure))),
            }
        }
        for probed in &shown {
            evidence = self.settle(evidence, &probed.presented, Some(&probed.seen())).await?.0;
        }
        Ok(self.sift(&evidence, shown).map(|keys| ProvenKeys { keys, evidence }).map_err(NoKeys::Verdict))
    }

    /// What else to ask the host for: keys of other published types, and certificates where a CA vouches.
    fn others(&self, evidence: &Evidence, shown: &[Probed]) -> Vec<Ask> {
        let is_new = |t: &KeyType| shown.iter().all(|probed| probed.presented.key().key_type() != *t);
        let Offer { keys, certificates } = self.offer(evidence);
        let others: Vec<KeyType> =
            certificates.into_iter().filter(|t| !keys.contains(t)).filter(is_new).collect();
        let plain = keys.into_iter().filter(is_new).map(|t| Ask::Keys(vec![t]));
        plain.chain(others.into_iter().map(|t| Ask::Certificates(vec![t]))).collect()
    }

    /// Of what the host has shown that which `evidence` proves; it may be newer than what accepted some of it: what is
    /// stored accepts one key, and for another DNS was asked, which may have withdrawn the first by now.
    ///
    /// The error is a verdict on the host as a whole: a key of an algorithm that is not proven where none of that
    /// algorithm is, or nothing at all that is proven. A key of a type without records is passed over.
    fn sift(&self, evidence: &Evidence, shown: Vec<Probed>) -> Result<Vec<(HostKey, Anchored)>, Verdict> {
        let mut keys: Vec<(HostKey, Anchored)> = Vec::new();
        let (mut mismatches, mut unpublished) = (Vec::new(), None);
        for probed in shown {
            let key = probed.presented.key();
            let algorithm = key.key_type().sshfp_algorithm();
            match self.judge_shown(evidence, &probed) {
                Verdict::Accept(anchored) => keys.push((key.clone(), anchored)),
                verdict @ Verdict::Reject(Reason::KeyMismatch { .. }) => {
                    mismatches.push((algorithm, verdict))
                }
                verdict @ Verdict::Reject(Reason::KeyTypeNotPublished { .. }) => unpublished = Some(verdict),
                verdict => return Err(verdict),
            }
        }
        let is_proven =
            |algorithm: u8| keys.iter().any(|(key, _)| key.key_type().sshfp_algorithm() == algorithm);
        match mismatches.into_iter().find(|(algorithm, _)| !is_proven(*algorithm)) {
            Some((_, verdict)) => Err(verdict),
            None => match unpublished {
                Some(verdict) if keys.is_empty() => Err(verdict),
                _ => Ok(keys),
            },
        }
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
        let mut evidence = self.evidence(host, port).await?;
        // What is stored may suffice by its CAs, and says nothing of the host's own records.
        if evidence.is_stored() && self.published(&evidence).is_err() {
            evidence = self.live_evidence(host, port).await?;
        }
        Ok(self.published(&evidence).map(|sets| (sets, evidence)).map_err(NoKeys::from))
    }

    /// The records of `evidence` that vouch for the host, now.
    pub fn published(&self, evidence: &Evidence) -> Result<Vec<Published>, Reason> {
        published(evidence, &self.policy(evidence.host()), self.clock()?)
    }

    fn passed(&self, host: &HostName) -> Option<Reason> {
        (self.policy(host).mode == Mode::Pass).then(|| Reason::Passed { host: host.clone() })
    }

    /// What the host shows of this; none if it has none.
    async fn shown(&self, host: &HostName, port: u16, ask: Ask) -> Result<Option<Probed>, ProbeFailure> {
        let stream = self.connect(host, port).await?;
        let kex = self.policy(host).posture.kex;
        match Probed::shake(stream, &ask, kex, self.deadline).await {
            Ok(probed) => Ok(Some(probed)),
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
