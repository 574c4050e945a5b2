//! The certificates that a host shows.

use data_encoding::HEXLOWER;

use super::Found;
use crate::proto::audit::facts::{HostFacts, Live, Proof};
use crate::proto::audit::report::Severity;
use crate::proto::certificate::{Certificate, FOREVER, Fault};
use crate::proto::hostkey::{HostKey, Presented};
use crate::proto::moment;
use crate::proto::policy::{Mode, Policy, Require};
use crate::proto::verdict::{Reason, Verdict, decide};

/// An agent renews with a third of the life left (see [`crate::proto::renewal`]): with less than this part nobody did.
const LATE: u64 = 4;

/// Judges at `now`, in seconds since 1970.
pub(in crate::proto::audit) fn judge(now: u64, facts: &HostFacts, found: &mut Found) {
    let (Some(live), Some(proof)) = (&facts.live, &facts.proof) else { return };
    if proof.policy.mode == Mode::Pass {
        return;
    }
    for certificate in &live.certificates {
        one(now, facts, live, proof, certificate, found);
    }
}

/// A proven CA set that counts for the host has the certificate's CA.
pub(in crate::proto::audit) fn is_proven(now: u64, proof: &Proof, ca: &HostKey) -> bool {
    let any = Policy { require: Require::Either, ..proof.policy.clone() };
    proof.evidence.ca_sets(&any, now).any(|set| set.keys.iter().any(|record| record.matches(ca)))
}

fn one(
    now: u64,
    facts: &HostFacts,
    live: &Live,
    proof: &Proof,
    certificate: &Certificate,
    found: &mut Found,
) {
    let host = proof.evidence.host();
    let subject = HEXLOWER.encode(&certificate.key().sha256());
    let ca = certificate.ca();
    let by = Policy { require: Require::Ca, ..proof.policy.clone() };
    let presented = Presented::Certificate(Box::new(certificate.clone()));
    if let Verdict::Reject(reason @ Reason::Revoked { .. }) =
        decide(&proof.evidence, &presented, None, &by, now)
    {
        found.add(Severity::Error, "revoked", &subject, reason.to_string(), reason.hint());
        return;
    }
    let any = Policy { require: Require::Either, ..proof.policy.clone() };
    let has_sets = proof.evidence.ca_sets(&any, now).next().is_some();
    let is_proven = ca.is_some_and(|ca| is_proven(now, proof, ca));
    // Where no CA is published at all, certificates are for others.
    let severity = if has_sets { Severity::Warning } else { Severity::Info };
    if let (Some(ca), false) = (ca, is_proven) {
        let message = match has_sets {
            true => format!("{} shows a certificate of the CA {ca}, and DNSSEC proves other CAs", facts.host),
            false => format!("{} shows a certificate of the CA {ca}, and DNSSEC proves none", facts.host),
        };
        let hint = "if it is the fleet's CA: sshanchor ca publish --ca-key PUBFILE --at DOMAIN --server PRIMARY --key-file KEY";
        found.add(severity, "ca-not-published", HEXLOWER.encode(&ca.sha256()), message, hint.to_owned());
    }
    match certificate.check(host, now) {
        Err(fault) => {
            let severity = match fault {
                Fault::Expired(_) if live.keys.is_empty() => Severity::Error,
                _ => severity,
            };
            let message = format!("the certificate that {} shows is no good for it: {fault}", facts.host);
            found.add(severity, fault.code(), &subject, message, fault.hint(host));
        }
        Ok(()) => ends(now, facts, certificate, &subject, found),
    }
}

fn ends(now: u64, facts: &HostFacts, certificate: &Certificate, subject: &str, found: &mut Found) {
    let (from, until) = (certificate.valid_after(), certificate.valid_before());
    if until == FOREVER {
        return;
    }
    let (left, life) = (until.saturating_sub(now), until.saturating_sub(from));
    if left < life / LATE {
        let message = format!(
            "the certificate that {} shows ends in {}, at {}, and has not been renewed",
            facts.host,
            moment::span(left),
            moment::text(until)
        );
        let hint = format!("run on {}: sshanchor ca renew (does its timer run?)", facts.host);
        found.add(Severity::Warning, "certificate-end", subject, message, hint);
    }
}
