//! The verdict in its own words, and hosts that do not answer.

use super::Found;
use crate::proto::audit::facts::{HostFacts, Live, PublishedSet, Stage};
use crate::proto::audit::report::Severity;
use crate::proto::denial::Status;
use crate::proto::sshfp::Sshfp;

/// A verdict that is no accept is an error: the host cannot be verified. One that policy passes is told.
pub(in crate::proto::audit) fn judge(facts: &HostFacts, found: &mut Found) {
    let outcome = &facts.outcome;
    if let (Some("reject" | "unproven"), Some(reason)) = (outcome.verdict, outcome.reason) {
        let severity = if reason == "pass" { Severity::Info } else { Severity::Error };
        // What is told of a key is one finding with what is found of that key.
        let is_of_key = matches!(reason, "key-mismatch" | "revoked" | "bad-certificate")
            || reason.starts_with("certificate-") && reason != "certificate-required";
        let of_key = outcome.key.filter(|_| is_of_key);
        let subject = of_key.map_or_else(|| facts.host.clone(), |key| data_encoding::HEXLOWER.encode(&key));
        found.add(severity, reason, subject, outcome.message.clone(), outcome.hint.clone());
    }
    if let Some(live) = &facts.live {
        reached(facts, live, found);
    }
}

fn reached(facts: &HostFacts, live: &Live, found: &mut Found) {
    let Some(failure) = &live.failure else { return };
    let proven = facts.proof.iter().flat_map(|proof| &proof.sets).filter(|set| is_vouching(set)).count();
    let has_shown = !live.keys.is_empty() || !live.certificates.is_empty();
    match failure.stage {
        _ if has_shown => {
            let message = format!("not every key of {} could be seen: {}", facts.host, failure.message);
            let hint = "sshd drops connections beyond MaxStartups, or penalises them: audit again later, with a lower --fanout";
            found.add(Severity::Info, "keys-unseen", &facts.host, message, hint.to_owned());
        }
        stage @ (Stage::NoAddress | Stage::Unreachable) if proven > 0 => {
            let is = match stage {
                Stage::NoAddress => "has no address any more",
                _ => "does not answer",
            };
            let message = format!(
                "{} {is}, and its records vouch for whoever holds its keys: {}",
                facts.host, failure.message
            );
            let hint = format!(
                "if it is gone: sshanchor withdraw --name {} --server PRIMARY --key-file KEY; else {}",
                facts.host, failure.hint
            );
            found.add(Severity::Warning, "orphan", &facts.host, message, hint);
        }
        Stage::NoAddress | Stage::Unreachable => {
            found.add(
                Severity::Warning,
                "unreachable",
                &facts.host,
                failure.message.clone(),
                failure.hint.clone(),
            );
        }
        Stage::Handshake if facts.outcome.verdict != Some("reject") => {
            let message = format!("{} shows no key: {}", facts.host, failure.message);
            found.add(Severity::Warning, "unreachable", &facts.host, message, failure.hint.clone());
        }
        Stage::Handshake => {}
    }
}

fn is_vouching(set: &PublishedSet) -> bool {
    set.status == Status::Secure && set.records.iter().any(Sshfp::is_usable)
}
