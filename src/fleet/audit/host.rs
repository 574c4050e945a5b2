//! One host: what `verify` says of it, everything that DNS proves, everything that its server shows.

use super::Auditor;
use crate::error::Error;
use crate::fleet::{Host, Target};
use crate::proto::audit::facts::{Failure, HostFacts, Live, Outcome, Proof, PublishedSet, ServerFact, Stage};
use crate::proto::audit::{Judged, judge};
use crate::proto::denial::Status;
use crate::proto::evidence::{Evidence, owners};
use crate::proto::name::{HostName, Name};
use crate::proto::policy::Mode;
use crate::proto::rr::RrSet;
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::proto::verdict::Reason;
use crate::ssh::probe::ProbeError;
use crate::verifier::{ProbeFailure, Survey, Verification, Verifier};

impl Auditor {
    /// Judges one host at `now`, in seconds since 1970.
    pub(super) async fn one(&self, now: u64, host: Host) -> Result<Judged, Error> {
        let facts = match host.target {
            Target::Host(ref name) => self.at(&host).host(now, name, host.port).await?,
            // Nothing that could be proven would be of use.
            Target::Address(address, error) => HostFacts {
                outcome: unproven(error.reason, error.message, error.hint),
                ..nothing(address, host.port)
            },
        };
        Ok(judge(now, &facts))
    }

    /// The same for a host that says itself where it is to be reached.
    fn at(&self, host: &Host) -> Auditor {
        Auditor { verifier: self.verifier.clone().at(host.address.clone()), ..self.clone() }
    }

    async fn host(&self, now: u64, name: &HostName, port: u16) -> Result<HostFacts, Error> {
        let facts = HostFacts {
            disk: self.here.keys_of(name),
            remembered: self.here.remembered(name, port),
            ..nothing(name.to_string(), port)
        };
        let policy = self.verifier.policy(name);
        if policy.mode == Mode::Pass {
            let reason = Reason::Passed { host: name.clone() };
            let outcome = unproven(reason.code(), reason.to_string(), Some(reason.hint()));
            return Ok(HostFacts { outcome, ..facts });
        }
        let verification = self.verifier.for_one_host().verify(name, port).await?;
        let verdict = self.verifier.verdict(&verification).ok();
        let shown = verification.probed.as_ref().and_then(|probed| probed.as_ref().ok());
        let key = shown.map(|probed| probed.presented.key().sha256());
        let outcome = Outcome { key, ..(self.words)(name, port, &verification, verdict) };
        let (live, (proof, servers)) =
            tokio::join!(self.live(name, port, &verification), self.proven(now, name, port));
        let (proof, servers) = (Some(proof?), servers);
        Ok(HostFacts { outcome, proof, live: Some(live), servers, ..facts })
    }

    /// Everything that its server shows; nothing more where it did not even finish a handshake.
    async fn live(&self, name: &HostName, port: u16, verification: &Verification) -> Live {
        let known = match &verification.probed {
            Some(Ok(probed)) => Some(probed),
            Some(Err(failure)) if !is_refusal(failure) => {
                return Live { failure: Some(told(failure)), ..Live::default() };
            }
            _ => None,
        };
        let survey = self.verifier.for_one_host().survey(name, port, known).await;
        let Survey { keys, certificates, offers, probed, address, failure } = survey;
        let (server_version, kex) = probed.map(|probed| (probed.server_version, probed.kex)).unzip();
        Live {
            keys,
            certificates,
            offers,
            address: address.map(|address| address.ip()),
            server_version,
            kex,
            failure: failure.as_ref().map(told),
        }
    }

    /// Everything that DNS says of the host, by the resolver and by each server of its zone.
    async fn proven(&self, now: u64, name: &HostName, port: u16) -> (Result<Proof, Error>, Vec<ServerFact>) {
        let verifier = self.verifier.for_one_host();
        let evidence = match verifier.whole_evidence(name, port).await {
            Ok(evidence) => evidence,
            Err(error) => return (Err(error), Vec::new()),
        };
        let sets = sets(&verifier, &evidence);
        let signer = evidence.proofs().find(|answer| {
            sets.iter().any(|set| set.status == Status::Secure && set.owner == *answer.data().set().owner())
        });
        let zone = signer.map(|answer| answer.data().zone().name().clone());
        let zone = zone.or_else(|| evidence.host_zone(now).cloned());
        let (zone, servers) = match &self.zones {
            Some(zones) => zones.ask(zone, &sets).await,
            None => (zone, Vec::new()),
        };
        let policy = verifier.policy(name);
        (Ok(Proof { evidence, policy, zone, sets }), servers)
    }
}

fn nothing(host: String, port: u16) -> HostFacts {
    HostFacts {
        host,
        port,
        outcome: Outcome::default(),
        proof: None,
        live: None,
        disk: None,
        remembered: Vec::new(),
        servers: Vec::new(),
    }
}

/// What is said of a host at which nothing was looked.
fn unproven(reason: &'static str, message: String, hint: Option<String>) -> Outcome {
    Outcome { verdict: Some("unproven"), reason: Some(reason), key: None, message, hint }
}

/// It answers, and has no key of a type that is published.
fn is_refusal(failure: &ProbeFailure) -> bool {
    matches!(failure, ProbeFailure::Handshake(ProbeError::NoCommonKeyType { .. }))
}

fn told(failure: &ProbeFailure) -> Failure {
    let (stage, hint) = match failure {
        ProbeFailure::Unreachable(why) => {
            let stage = match why.attempts.is_empty() && why.no_address.is_some() {
                true => Stage::NoAddress,
                false => Stage::Unreachable,
            };
            (stage, why.hint())
        }
        ProbeFailure::Handshake(_) => (
            Stage::Handshake,
            "see what its sshd says (LogLevel VERBOSE), and whether ssh gets through".to_owned(),
        ),
    };
    Failure { stage, message: failure.to_string(), hint }
}

/// The host's own sets: that at its name, and that under its port label where there is one.
fn sets(verifier: &Verifier, evidence: &Evidence) -> Vec<PublishedSet> {
    let Ok(questions) = owners(evidence.host(), evidence.port()) else { return Vec::new() };
    let mut sets = Vec::new();
    for (at, question) in questions.into_iter().enumerate() {
        let set = match evidence.outcome(&question) {
            Some(Ok(answer)) => {
                let set = answer.data().set();
                Some(PublishedSet {
                    owner: set.owner().clone(),
                    status: Status::Secure,
                    records: records(set),
                })
            }
            Some(Err(unproven)) => {
                let seen = verifier.lookups().seen(&question).1;
                // What is true of a wildcard is a proof for nobody.
                let status = match unproven.status {
                    Status::Secure => Status::Indeterminate,
                    other => other,
                };
                let (owner, records) = match seen.filter(|_| status != Status::Absent) {
                    Some(set) => (set.owner().clone(), records(&set)),
                    None => (end_of_aliases(unproven, &question.name), SshfpSet::new()),
                };
                Some(PublishedSet { owner, status, records })
            }
            None => None,
        };
        let is_worth = |set: &PublishedSet| at == 0 || !set.records.is_empty();
        sets.extend(set.filter(is_worth));
    }
    sets
}

/// Where it was found that there is nothing.
fn end_of_aliases(unproven: &crate::proto::denial::Unproven, asked: &Name) -> Name {
    match &unproven.error {
        crate::proto::chain::ChainError::Denied { question, .. } => question.name.clone(),
        _ => asked.clone(),
    }
}

fn records(set: &RrSet) -> SshfpSet {
    set.rdatas().filter_map(|rdata| Sshfp::from_rdata(rdata).ok()).collect()
}
