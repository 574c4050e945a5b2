//! What the codes of findings mean: the rules' own, and the reasons of verdicts.

use crate::proto::audit::{RULES, Severity};

/// Reasons of verdicts, which are codes of findings too; what docs/json.md has of them.
const VERDICTS: &[(&str, Severity, &str)] = &[
    ("key-type-not-published", Severity::Error, "records are proven, none of them of the key's type"),
    ("bad-host-key", Severity::Error, "the server does not hold the key that it shows"),
    ("certificate-required", Severity::Error, "a plain key where only a certificate can be accepted"),
    ("revocation-unproven", Severity::Error, "no revoked set is proven, and an accept would need one"),
    ("algorithm-not-allowed", Severity::Error, "the configuration does not allow the key's type"),
    ("no-ca", Severity::Error, "only a CA may vouch for the host, and none does"),
    ("no-host-zone", Severity::Error, "nothing at the host's name tells which zone it is in"),
    ("no-record", Severity::Error, "the zone has no records of the host"),
    ("insecure", Severity::Error, "the zone is not signed"),
    ("sha1-only", Severity::Error, "the records are proven, and none is SHA-256 of a known type"),
    ("proof-expired", Severity::Error, "the proof ran out"),
    ("clock", Severity::Error, "this machine's clock cannot be right"),
    ("no-answer", Severity::Error, "nothing came from the resolver"),
    ("timeout", Severity::Error, "an answer did not come in time"),
    ("wildcard", Severity::Error, "the answer is expanded from a wildcard, which vouches for no host"),
    ("no-signature", Severity::Error, "a signature is missing"),
    ("bad-signature", Severity::Error, "a signature does not hold"),
    ("signature-expired", Severity::Error, "a signature has expired"),
    (
        "unproven-denial",
        Severity::Error,
        "a signed zone says that something is missing and does not prove it",
    ),
    ("address", Severity::Error, "an address was given: only names can be proven"),
    ("pass", Severity::Info, "the configuration passes the host: it is not verified"),
];

/// Every code that is known beforehand: its word, the gravest it can be, what it means.
pub(super) fn all() -> impl Iterator<Item = (&'static str, Severity, &'static str)> {
    RULES.iter().chain(VERDICTS).copied()
}

/// What it means that a host has a finding of this code, if it is known.
pub(super) fn meaning(code: &str) -> Option<&'static str> {
    all().find(|(known, ..)| *known == code).map(|(.., meaning)| meaning)
}

/// Its place among all of them, those first that say that a host is not what it should be; unknown ones last.
pub(super) fn place(code: &str) -> usize {
    all().position(|(known, ..)| known == code).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_stands_once() {
        let codes: Vec<&str> = all().map(|(code, ..)| code).collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len(), "{codes:?}");
        assert_eq!(
            meaning("key-mismatch"),
            Some("a live key contradicts the proven records of its algorithm")
        );
        assert_eq!(meaning("insecure"), Some("the zone is not signed"));
        assert_eq!(meaning("no-such-code"), None);
    }
}
