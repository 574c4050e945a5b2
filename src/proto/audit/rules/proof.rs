//! The proof of a host: for how long it could be replayed, whether its signatures are renewed, what is weak in it. The
//! judgements are `doctor`'s.

use super::{Found, Shared, of_doctor};
use crate::proto::audit::facts::Proof;
use crate::proto::denial::Unproven;
use crate::proto::doctor::{self as judge, revocation::Sets};
use crate::proto::message::Question;
use crate::proto::revocation;
use crate::proto::rr::RrType;

/// Judges at `now`, in seconds since 1970.
pub(in crate::proto::audit) fn judge(now: u64, proof: &Proof, found: &mut Found) {
    let Proof { evidence, policy, .. } = proof;
    for (answer, _) in evidence.proven() {
        let owner = format!("{} ", answer.data().set().owner());
        for judged in judge::chain::of_answer(now, answer) {
            let Some(mut finding) = of_doctor(&judged) else { continue };
            match judged.check {
                // The zone signs all of its records for as long, and its keys are its own.
                "replay-window" | "zone-keys" => {
                    finding.subject = answer.data().zone().name().to_string();
                    found.shared.push(Shared { finding, weight: judged.until.unwrap_or(0) });
                }
                // A link of the chain that other hosts have too.
                "signature-end" if !finding.subject.starts_with(&owner) => {
                    found.shared.push(Shared { finding, weight: 0 });
                }
                _ => found.take(finding),
            }
        }
    }
    let sets = evidence.places(policy, now).into_iter().filter_map(|at| {
        let outcome = |owner| {
            let asked = Question::new(owner, RrType::SSHFP);
            let unasked = || Err(Unproven::unanswered(asked.clone(), "it was not asked for"));
            evidence.outcome(&asked).cloned().unwrap_or_else(unasked)
        };
        let (ca, revoked) = (revocation::ca_owner(&at).ok()?, revocation::owner(&at).ok()?);
        Some(Sets { ca: outcome(ca), revoked: outcome(revoked), at })
    });
    let sets: Vec<Sets> = sets.collect();
    for judged in judge::revocation::judge(now, evidence.host(), &sets, policy) {
        if let Some(finding) = of_doctor(&judged) {
            found.shared.push(Shared { finding, weight: judged.until.unwrap_or(0) });
        }
    }
}
