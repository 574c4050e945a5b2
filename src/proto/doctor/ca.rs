//! The CAs that may vouch for a host, and the proof of a host that has no keys of its own in DNS.

use super::{Finding, chain};
use crate::proto::denial::{Status, Unproven};
use crate::proto::evidence::{CaSet, Gap};
use crate::proto::name::{HostName, Name};
use crate::proto::sshfp::Sshfp;
use crate::proto::verdict::Reason;

/// Most keys of one set that are shown.
const SHOWN: usize = 4;

/// Tells the CAs of `sets`, which suffice for an accept.
pub fn judge(host: &HostName, sets: &[CaSet<'_>]) -> Vec<Finding> {
    sets.iter().map(|set| told(set).of(host)).collect()
}

/// Judges at `now` (seconds since 1970) the proof of a host that is proven by `sets` alone: of its own keys nothing is, by
/// `unproven`.
pub fn judge_alone(now: u64, host: &HostName, unproven: &Unproven, sets: &[CaSet<'_>]) -> Vec<Finding> {
    let message = match unproven.status {
        Status::Absent => {
            format!("{host} has no keys in DNS: a certificate of a proven CA alone vouches for it")
        }
        _ => format!(
            "a certificate of a proven CA alone vouches for {host}, for its keys are not proven: {unproven}"
        ),
    };
    let mut findings = vec![Finding::info("chain", host, message).of(host)];
    for set in sets {
        findings.extend(chain::of_answer(now, set.answer).into_iter().map(|finding| finding.of(host)));
    }
    findings.extend(judge(host, sets));
    findings
}

/// Tells of a host that nothing but a CA could vouch for, and none does for want of a revoked set.
pub fn judge_lacking(host: &HostName, (owner, gap): (Name, Gap)) -> Finding {
    let reason = Reason::RevocationUnproven { host: host.clone(), owner, gap: Box::new(gap) };
    let message = format!("its CAs do not count: {reason}");
    Finding::error("chain", host, message).remedy(reason.hint()).of(host)
}

fn told(set: &CaSet<'_>) -> Finding {
    let mut keys: Vec<String> = set.keys.iter().take(SHOWN).map(Sshfp::fingerprint_text).collect();
    if set.keys.len() > SHOWN {
        keys.push(format!("and {} more", set.keys.len() - SHOWN));
    }
    let message = format!("certificates of these CAs are good for it: {}", keys.join(", "));
    let data = set.answer.data().set();
    Finding::ok("ca-set", format!("{} {}", data.owner(), data.rtype()), message)
}
