//! The verdict by a certificate and the CA sets.

use super::{Basis, Reason, Sufficient, Verdict, no_key};
use crate::proto::chain::Answer;
use crate::proto::evidence::{CaSet, Evidence, Gap};
use crate::proto::hostkey::Presented;
use crate::proto::name::{HostName, Name};
use crate::proto::policy::{Policy, Require};
use crate::proto::sshfp::Sshfp;

/// By the certificate's CA. The error is the verdict without it.
///
/// The revoked sets have to be proven, each with its sentinel: that of the zone's apex, and the one beside the CA set.
/// That none of them holds one of the keys has been seen to before.
pub(super) fn by_certificate(
    evidence: &Evidence,
    presented: &Presented,
    policy: &Policy,
    now: u64,
) -> Result<Sufficient, Verdict> {
    let host = evidence.host().clone();
    let sets: Vec<CaSet<'_>> = evidence.ca_sets(policy, now).collect();
    if sets.is_empty() {
        return Err(Verdict::Unproven(no_ca(evidence, policy, now)));
    }
    let Some(certificate) = presented.certificate() else {
        let presented = presented.key().clone();
        return Err(Verdict::Reject(Reason::CertificateRequired { host, presented }));
    };
    let vouching = certificate.ca().and_then(|ca| {
        let set = sets.iter().find(|set| set.keys.iter().any(|record| record.matches(ca)))?;
        Some((ca, set))
    });
    let certificate_fault = |fault| Verdict::Reject(Reason::Certificate { host: host.clone(), fault });
    let Some((ca, set)) = vouching else {
        let published: Vec<Sshfp> = sets.into_iter().flat_map(|set| set.keys).collect();
        return Err(match certificate.ca() {
            Some(ca) => Verdict::Reject(Reason::UnknownCa { host, ca: ca.clone(), published }),
            None => match certificate.check(&host, now) {
                Err(fault) => certificate_fault(fault),
                Ok(()) => Verdict::Unproven(no_ca(evidence, policy, now)),
            },
        });
    };
    certificate.check(&host, now).map_err(certificate_fault)?;
    let revoked = |outcome: Result<&Answer, (Name, Gap)>| match outcome {
        Ok(answer) => Ok(answer.valid_until()),
        Err(gap) => Err(Verdict::Unproven(revocation_unproven(host.clone(), gap))),
    };
    let revoked_of_zone = revoked(evidence.revoked_of_zone(policy, now))?;
    let revoked_beside = revoked(evidence.revoked_beside(set, policy, now))?;
    let valid_until = [revoked_of_zone, revoked_beside, certificate.valid_before().saturating_sub(1)]
        .into_iter()
        .fold(set.answer.valid_until(), u64::min);
    let owner = set.answer.data().set().owner().clone();
    Ok(Sufficient { basis: Basis::Ca { owner, ca: ca.clone() }, valid_until })
}

/// Why no CA may vouch for the host.
pub(super) fn no_ca(evidence: &Evidence, policy: &Policy, now: u64) -> Reason {
    let host = evidence.host().clone();
    if let Some(shortfall) = evidence.ca_shortfall(policy, now) {
        return Reason::NotSufficient { host, shortfall: Box::new(shortfall) };
    }
    if policy.require == Require::Either {
        return no_key(evidence, policy, now);
    }
    match (evidence.host_zone(now), evidence.ca_failure(policy, now), evidence.zone_failure()) {
        (Some(_), Some(cause), _) => Reason::NoCa { host, cause: Box::new(cause.clone()) },
        (None, _, Some(cause)) => Reason::NoHostZone { host, cause: Box::new(cause.clone()) },
        (Some(zone), None, _) => Reason::NoCaCounts { host, zone: zone.clone() },
        (None, _, None) => no_key(evidence, policy, now),
    }
}

pub(super) fn revocation_unproven(host: HostName, (owner, gap): (Name, Gap)) -> Reason {
    Reason::RevocationUnproven { host, owner, gap: Box::new(gap) }
}

/// Of the verdicts by the plain key and by the CA, none of which is an accept, the one to be told: what is wrong with a
/// certificate of a CA that is proven says most, then what a proof says against the key.
pub(super) fn graver(by_key: Verdict, by_ca: Verdict) -> Verdict {
    let weight = |verdict: &Verdict| match verdict {
        Verdict::Reject(Reason::Certificate { .. }) => 5,
        Verdict::Reject(Reason::KeyMismatch { .. } | Reason::KeyTypeNotPublished { .. }) => 4,
        Verdict::Reject(_) => 3,
        Verdict::Unproven(Reason::RevocationUnproven { .. } | Reason::NotSufficient { .. }) => 2,
        Verdict::Unproven(_) | Verdict::Accept(_) => 1,
    };
    if weight(&by_ca) > weight(&by_key) { by_ca } else { by_key }
}
