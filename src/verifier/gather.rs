//! Evidence about one host: what is stored, else what DNS says, question by question.

use std::pin::pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Verifier, now, owners};
use crate::dns::lookup::Lookups;
use crate::error::Error;
use crate::proto::chain::Answer;
use crate::proto::denial::Unproven;
use crate::proto::evidence::{Evidence, Scope};
use crate::proto::message::Question;
use crate::proto::name::HostName;
use crate::proto::policy::{Mode, PortLabels, Require, Revocation};
use crate::proto::rr::Origin;

/// Most rounds of questions after the first: the host's zone, the CA sets, and what is beside those that lie elsewhere.
const ROUNDS: usize = 4;
/// How long an accept waits for what it does not need: the revoked set of a zone that may have none, and a second word
/// on the zone that a host is in. A server that leaves such questions unanswered is not to take half of the time.
const COURTESY: Duration = Duration::from_secs(2);

/// How long a DNS that has given no answer about a host's keys is asked whether they are revoked.
const LAST_WORD: Duration = Duration::from_secs(1);
/// How long the answer about a host's own name may take, at most, before the one about its port label is asked for as well.
const HEAD_START: Duration = Duration::from_secs(2);

/// How much of a host's evidence is gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sought {
    /// All that speaks for its keys.
    Whole,
    /// What is under the port label only if what is at the host's own name does not do: it can but add keys, and that there
    /// is none, as a rule, is not worth a question and a proof for each of many hosts.
    Enough,
}

/// Whom further questions are put to.
#[derive(Clone, Copy)]
enum Source {
    /// What is stored, and nobody else.
    Stored,
    /// What is stored, and DNS for what is not.
    Either,
    /// DNS, and in its outage what policy lets serve.
    Live,
    /// DNS, and nothing else.
    Fresh,
    /// DNS, which has just been found not to answer, for a moment; then what is stored, be it past its TTL.
    Grace,
}

/// By DNS, or while that gives no usable answer up to `grace` seconds after the TTL.
async fn live(lookups: &Lookups, asked: &Question, grace: u64) -> Result<Answer, Unproven> {
    match lookups.prove_live(asked).await {
        Err(unproven) if unproven.is_outage() => lookups.in_grace(asked, grace).ok_or(unproven),
        outcome => outcome,
    }
}

impl Verifier {
    /// Everything that is proven about a host's keys: by what is stored, if that is proven for some key or CA, else
    /// by DNS. CAs are asked about where no key will do.
    pub async fn evidence(&self, host: &HostName, port: u16) -> Result<Evidence, Error> {
        self.seek(host, port, Sought::Whole).await
    }

    /// The same, as much of it as is sought.
    pub(super) async fn seek(&self, host: &HostName, port: u16, sought: Sought) -> Result<Evidence, Error> {
        let [at_host, at_port] = owners(host, port)?;
        let evidence = Evidence::new(host.clone(), port, self.stored(&at_host), self.stored(&at_port));
        let evidence = self.complete(evidence, Scope::Keys, Source::Stored).await;
        if !self.offer(&evidence).is_empty() {
            return Ok(evidence);
        }
        let evidence = self.complete(evidence, Scope::Cas, Source::Stored).await;
        match self.offer(&evidence).is_empty() {
            // Sets of CAs serve many hosts: what another host's proof has left of them is good within its TTL.
            true => self.evidence_by(host, port, Source::Either, sought).await,
            false => Ok(evidence),
        }
    }

    /// Everything that DNS proves about a host's keys, now; where it does not answer and the grace for outages
    /// is not over, what it proved before.
    pub async fn live_evidence(&self, host: &HostName, port: u16) -> Result<Evidence, Error> {
        self.evidence_by(host, port, Source::Live, Sought::Whole).await
    }

    /// The same, as much of it as is `sought`; what is to be known of CAs comes from `of_cas`.
    async fn evidence_by(
        &self,
        host: &HostName,
        port: u16,
        of_cas: Source,
        sought: Sought,
    ) -> Result<Evidence, Error> {
        let [at_host, at_port] = owners(host, port)?;
        let policy = self.policy(host);
        let grace = policy.outage_grace.as_secs();
        // What serves in place of an answer needs time to be put to use; and what can but add keys is not to
        // take it from the handshake.
        let half = self.lookups.with_patience(Instant::now() + self.left() / 2);
        let graced = [&at_host, &at_port].into_iter().any(|asked| self.lookups.has_grace(asked, grace));
        let all = if graced { &half } else { &self.lookups };
        let (for_host, for_port) = match policy.port_labels {
            PortLabels::Allowed => (all, &half),
            PortLabels::Required => (&half, all),
        };
        let mut host_keys = pin!(live(for_host, &at_host, grace));
        let of_host = |answer| Evidence::of_host(host.clone(), port, answer, at_port.clone());
        let may_do = sought == Sought::Enough
            && policy.port_labels == PortLabels::Allowed
            && matches!(policy.require, Require::Either | Require::Hostkey);
        let first = match may_do {
            true => timeout(HEAD_START.min(self.left() / 4), &mut host_keys).await.ok().map(of_host),
            false => None,
        };
        let evidence = match first {
            // Behind a DNAME the host's zone is not known, and each set of keys tells of another that may revoke them.
            Some(evidence) if !self.offer(&evidence).is_empty() && evidence.host_zone(now()).is_some() => {
                evidence
            }
            Some(evidence) => evidence.with_port(live(for_port, &at_port, grace).await).0,
            None => {
                let (host_keys, port_keys) = tokio::join!(host_keys, live(for_port, &at_port, grace));
                Evidence::new(host.clone(), port, host_keys, port_keys)
            }
        };
        let source = match evidence.origin() {
            Some(Origin::Grace { .. }) => Source::Grace,
            _ => Source::Live,
        };
        let evidence = self.complete(evidence, Scope::Keys, source).await;
        match self.offer(&evidence).is_empty() && policy.mode == Mode::Verify {
            true => Ok(self.complete(evidence, Scope::Cas, of_cas).await),
            false => Ok(evidence),
        }
    }

    /// The same evidence, with what DNS says of the port label if that has yet to be asked for; and whether that is a proof.
    pub(super) async fn with_port(&self, evidence: Evidence) -> Result<(Evidence, bool), Error> {
        let [_, at_port] = owners(evidence.host(), evidence.port())?;
        let grace = self.policy(evidence.host()).outage_grace.as_secs();
        let half = self.lookups.with_patience(Instant::now() + self.left() / 2);
        let (evidence, is_proven) = evidence.with_port(live(&half, &at_port, grace).await);
        // Its zone may revoke what it proves.
        let source = match evidence.origin() {
            Some(Origin::Grace { .. }) => Source::Grace,
            _ => Source::Live,
        };
        Ok((self.complete(evidence, Scope::Keys, source).await, is_proven))
    }

    /// Everything that DNS proves about a host, now, be it of use or not: its keys, the CAs that may vouch for it, what is
    /// revoked. Nothing that is stored serves.
    pub async fn whole_evidence(&self, host: &HostName, port: u16) -> Result<Evidence, Error> {
        let [at_host, at_port] = owners(host, port)?;
        let (host_keys, port_keys) =
            tokio::join!(self.lookups.prove_live(&at_host), self.lookups.prove_live(&at_port));
        let evidence = Evidence::new(host.clone(), port, host_keys, port_keys);
        let evidence = self.complete(evidence, Scope::Keys, Source::Fresh).await;
        Ok(self.complete(evidence, Scope::Cas, Source::Fresh).await)
    }

    /// The same, with all that is to be known of the CAs that may vouch for the host.
    pub async fn with_cas(&self, evidence: Evidence) -> Evidence {
        self.complete(evidence, Scope::Cas, Source::Either).await
    }

    fn stored(&self, asked: &Question) -> Result<Answer, Unproven> {
        let why = "it is not among the stored proofs";
        self.lookups.stored(asked).ok_or_else(|| Unproven::unanswered(asked.clone(), why))
    }

    /// Puts the questions that are open, round by round.
    async fn complete(&self, mut evidence: Evidence, scope: Scope, source: Source) -> Evidence {
        let policy = self.policy(evidence.host());
        if scope == Scope::Cas && policy.require == Require::Hostkey {
            return evidence;
        }
        // Where no CA is needed, a revoked set is asked for in case that it speaks against a key.
        let is_courtesy = scope == Scope::Keys
            && !matches!(source, Source::Fresh)
            && policy.revocation == Revocation::Ca
            && matches!(policy.require, Require::Either | Require::Hostkey);
        for _ in 0..ROUNDS {
            let needs = evidence.needs(&policy, scope, now());
            if needs.is_empty() {
                break;
            }
            let grace = policy.outage_grace.as_secs();
            let half = self.left() / 2;
            let patience = if is_courtesy { half.min(COURTESY) } else { half };
            let mut asking = JoinSet::new();
            for question in needs {
                let verifier = self.clone();
                asking.spawn(async move {
                    let outcome = verifier.ask(&question, scope, source, grace, patience).await;
                    (question, outcome)
                });
            }
            let wants_all = matches!(source, Source::Fresh) || evidence.host_zone(now()).is_some();
            let mut until = self.deadline;
            while let Ok(Some(Ok((question, outcome)))) = timeout_at(until, asking.join_next()).await {
                evidence.add(question, outcome);
                if !wants_all && evidence.host_zone(now()).is_some() {
                    until = until.min(Instant::now() + COURTESY);
                }
            }
        }
        evidence
    }

    /// The answer to one question of several. None of them is to take all of the time from the others, nor from the
    /// handshake.
    async fn ask(
        &self,
        asked: &Question,
        scope: Scope,
        source: Source,
        grace: u64,
        patience: Duration,
    ) -> Result<Answer, Unproven> {
        let stored = match source {
            Source::Stored | Source::Either => self.stored(asked),
            Source::Grace => {
                // What is revoked now outranks what was proven before.
                let live = self
                    .lookups
                    .with_patience(Instant::now() + patience.min(LAST_WORD))
                    .prove_live(asked)
                    .await;
                match live {
                    Err(unproven) if unproven.is_outage() => {
                        self.stored(asked).or_else(|_| self.lookups.in_grace(asked, grace).ok_or(unproven))
                    }
                    live => live,
                }
            }
            Source::Live | Source::Fresh => {
                Err(Unproven::unanswered(asked.clone(), "it has yet to be asked for"))
            }
        };
        let is_live = match source {
            // A zone that had revoked keys is asked for them again once the TTL is over.
            Source::Stored => scope == Scope::Keys && self.lookups.has_grace(asked, u64::MAX),
            Source::Grace => false,
            Source::Either | Source::Live | Source::Fresh => true,
        };
        match stored {
            Err(_) if is_live => {
                let lookups = self.lookups.with_patience(Instant::now() + patience);
                match source {
                    Source::Fresh => lookups.prove_live(asked).await,
                    _ => live(&lookups, asked, grace).await,
                }
            }
            stored => stored,
        }
    }
}
