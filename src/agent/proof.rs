//! The last step of publishing: what clients will do, done here through the resolver that was given.

use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::fan_out::in_order;
use crate::proto::denial::Status;
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::plan::Plan;
use crate::proto::rr::RrType;
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::proto::verdict::status_code;
use crate::verifier::{Options, Verifier};

/// How many owners are proven at a time.
const WIDTH: usize = 32;
/// The pause before it is tried again: for signing, and for resolvers that still know the old records.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether clients that ask this resolver can prove the records.
#[derive(Debug, Clone, Serialize)]
pub struct Proof {
    /// What became of it.
    pub status: Status,
    /// Why it is not as it should be: a stable word.
    pub reason: Option<&'static str>,
    /// The same for people.
    pub message: Option<String>,
}

impl Proof {
    /// They can.
    pub fn is_secure(&self) -> bool {
        self.status == Status::Secure && self.reason.is_none()
    }

    /// They cannot, and it is not for want of time: old records in a cache, or no answer, are passing.
    pub fn speaks_against(&self) -> bool {
        let passing =
            matches!(self.status, Status::Secure | Status::Absent) || self.reason == Some("no-answer");
        !passing
    }

    /// What the resolver says is what was there before, perhaps: other records, or none (RFC 2308).
    pub fn may_be_of_a_cache(&self) -> bool {
        !self.is_secure() && matches!(self.status, Status::Secure | Status::Absent)
    }

    /// Why they cannot.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or("no reason is known")
    }
}

/// Proves what each plan left behind; if it `waits`, again and again until it is there or `deadline` comes. In the order
/// of `plans`.
pub async fn prove(plans: &[&Plan], deadline: Instant, waits: bool, options: &Options) -> Vec<Option<Proof>> {
    let wanted: Vec<(Name, SshfpSet)> = plans.iter().map(|p| (p.owner.clone(), p.outcome())).collect();
    let mut proofs: Vec<Option<Proof>> = plans.iter().map(|_| None).collect();
    loop {
        let open: Vec<usize> = (0..proofs.len())
            .filter(|at| proofs.get(*at).is_some_and(|p| p.as_ref().is_none_or(may_come)))
            .collect();
        // A new verifier each time: one of them fetches a name once.
        let Ok(verifier) = Verifier::new(options) else { return proofs };
        let questions: Vec<_> = open.iter().filter_map(|at| wanted.get(*at).cloned()).collect();
        let found = in_order(questions, WIDTH, |(owner, records)| {
            let verifier = verifier.clone();
            async move { timeout_at(deadline, one(&verifier, owner, &records)).await.ok() }
        });
        for (at, proof) in open.into_iter().zip(found.await.unwrap_or_default()) {
            if let (Some(place), Some(proof)) = (proofs.get_mut(at), proof) {
                *place = Some(proof);
            }
        }
        let done = proofs.iter().all(|p| p.as_ref().is_some_and(|p| !may_come(p)));
        if done || !waits || Instant::now() + PAUSE >= deadline {
            return proofs;
        }
        sleep_until(Instant::now() + PAUSE).await;
    }
}

/// Signing and caches take their time; an unsigned zone stays one.
fn may_come(proof: &Proof) -> bool {
    !proof.is_secure() && proof.status != Status::Insecure
}

async fn one(verifier: &Verifier, owner: Name, records: &SshfpSet) -> Proof {
    let asked = Question::new(owner, RrType::SSHFP);
    match verifier.lookups().prove_live(&asked).await {
        Ok(answer) => {
            let shown: SshfpSet =
                answer.data().set().rdatas().filter_map(|rdata| Sshfp::from_rdata(rdata).ok()).collect();
            let same = shown == *records;
            Proof {
                status: Status::Secure,
                reason: (!same).then_some("old-records"),
                message: (!same).then(|| "the resolver still has other records".to_owned()),
            }
        }
        Err(cause) => Proof {
            status: cause.status,
            reason: Some(status_code(&cause)),
            message: Some(cause.error.to_string()),
        },
    }
}
