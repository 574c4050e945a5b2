//! The rules: each looks at facts and says what is not as it should be.
//!
//! | file | rules about |
//! |---|---|
//! | [`outcome`] | the verdict in its own words; hosts that do not answer |
//! | [`proof`] | the proof: lifetimes, TTL, keys of zones, revoked sets |
//! | [`keys`] | live keys, keys on disk and records, held against each other |
//! | [`certificates`] | the certificates that a host shows |
//! | [`servers`] | the servers of a zone |
//! | [`fleet`] | keys that several hosts share, CA sets, orphans |

pub(super) mod certificates;
pub(super) mod fleet;
pub(super) mod keys;
pub(super) mod outcome;
pub(super) mod proof;
pub(super) mod servers;

use super::report::{Finding, Severity};
use crate::proto::doctor;

/// Every rule that has a word of its own, the gravest it can be, and what it means. Verdicts have theirs: the reasons of
/// `verify`.
pub const RULES: &[(&str, Severity, &str)] = &[
    ("key-mismatch", Severity::Error, "a live key contradicts the proven records of its algorithm"),
    ("revoked", Severity::Error, "a revoked key is live"),
    ("missing-record", Severity::Warning, "a key that the host holds has no record"),
    ("stale-record", Severity::Warning, "a record is of a key that the host does not hold"),
    (
        "several-of-algorithm",
        Severity::Warning,
        "several records of one algorithm: stock OpenSSH wants all of them to match",
    ),
    ("sha1-record", Severity::Info, "a SHA-1 record, which proves nothing"),
    ("weak-key", Severity::Warning, "an RSA key is short"),
    ("weak-algorithm", Severity::Warning, "the server offers DSA, or RSA with SHA-1 alone"),
    ("keys-unseen", Severity::Info, "not every key of the host could be seen"),
    ("key-not-offered", Severity::Info, "a key on disk is not offered by the server"),
    ("shared-key", Severity::Warning, "several machines hold one key"),
    ("same-machine", Severity::Info, "several names lead to one machine"),
    ("certificate-end", Severity::Warning, "a certificate ends soon and was not renewed"),
    ("certificate-expired", Severity::Warning, "a certificate has ended"),
    ("certificate-not-yet-valid", Severity::Warning, "a certificate is not valid yet"),
    ("certificate-other-name", Severity::Warning, "a certificate is not for this name"),
    ("bad-certificate", Severity::Warning, "a certificate is no good"),
    ("ca-not-published", Severity::Warning, "a certificate is of a CA that is not proven for the host"),
    ("ca-wide", Severity::Warning, "a CA set reaches further than the hosts that use it"),
    ("ca-unused", Severity::Info, "no audited host shows a certificate of a published CA"),
    ("revoked-set", Severity::Warning, "a revoked set is missing or not whole: CAs do not count"),
    ("revocation-window", Severity::Warning, "a key that is revoked can be accepted for long"),
    ("replay-window", Severity::Warning, "a record that is withdrawn can be replayed for long"),
    ("signature-end", Severity::Warning, "a signature ends soon and was not renewed"),
    ("ttl", Severity::Warning, "a TTL so long that a rotation takes days"),
    ("zone-keys", Severity::Warning, "a zone of the chain has a short RSA key"),
    ("dead-server", Severity::Warning, "a server of the zone does not answer for it"),
    ("server-differs", Severity::Warning, "a server of the zone has other records"),
    ("serial-differs", Severity::Info, "servers of the zone have different serial numbers"),
    ("unreachable", Severity::Warning, "the host does not answer"),
    ("orphan", Severity::Warning, "records that vouch for a host that is not there"),
    ("known-hosts-conflict", Severity::Warning, "known_hosts has another key than is proven"),
    ("known-hosts-stale", Severity::Warning, "known_hosts has a key of a type that is not proven"),
    ("known-hosts-ca", Severity::Info, "known_hosts trusts a CA for the host"),
];

/// Findings on one host, each once, and those about what it shares with others.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// About the host.
    pub(super) findings: Vec<Finding>,
    /// About a zone, or a set of one.
    pub(super) shared: Vec<Shared>,
}

/// A finding about something that hosts have in common. Of several about one subject the heaviest counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) finding: Finding,
    pub(super) weight: u64,
}

impl Found {
    /// There is a finding of this kind.
    pub(super) fn has(&self, code: &str) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    /// One more, unless there is one of this code about this subject: the first says it best.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        code: &str,
        subject: impl ToString,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        let finding = finding(severity, code, subject, message, hint);
        self.take(finding);
    }

    pub(super) fn take(&mut self, finding: Finding) {
        let is_same = |other: &Finding| other.code == finding.code && other.subject == finding.subject;
        if !self.findings.iter().any(is_same) {
            self.findings.push(finding);
        }
    }
}

pub(super) fn finding(
    severity: Severity,
    code: &str,
    subject: impl ToString,
    message: impl Into<String>,
    hint: impl Into<Option<String>>,
) -> Finding {
    Finding {
        code: code.to_owned(),
        severity,
        subject: subject.to_string(),
        message: message.into(),
        hint: hint.into(),
    }
}

/// A judgement of `doctor` as a finding; nothing of what is well.
pub(super) fn of_doctor(judged: &doctor::Finding) -> Option<Finding> {
    let severity = match judged.severity {
        doctor::Severity::Ok => return None,
        doctor::Severity::Info => Severity::Info,
        doctor::Severity::Warning => Severity::Warning,
        doctor::Severity::Error => Severity::Error,
    };
    Some(finding(severity, judged.check, &judged.about, judged.message.clone(), judged.remedy.clone()))
}

/// The first of so many names.
pub(super) fn some<'a>(names: impl Iterator<Item = &'a str>, count: usize) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = names.take(SHOWN).collect();
    match count.saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
