//! Which failures of publishing pass by themselves, by their stable reason: one table.

/// Reasons that only a person can mend. An agent goes on looking at its usual interval, for that person need not tell
/// it.
const HARD: [&str; 54] = [
    // What it was told, and what it finds on this machine.
    "config",
    "usage",
    "host-name",
    "host-key",
    "host-key-file",
    "no-host-keys",
    "no-keys",
    "no-key",
    "key-file",
    "api-key-file",
    "ca-file",
    "trust-anchor",
    "ttl",
    "state",
    "key-mismatch",
    "sshd-config",
    "host-keys",
    "no-servers",
    "connect",
    // What a rotation cannot do here.
    "two-keys",
    "no-other-type",
    "no-place",
    "no-include",
    "no-algorithm",
    "sha1-records",
    "foreign-records",
    "under-way",
    "no-rotation",
    "too-late",
    // What the place of the records says to it.
    "refused",
    "badkey",
    "badsig",
    "api-key",
    "not-vouched",
    "notauth",
    "notzone",
    "notimp",
    "formerr",
    "no-zone",
    "not-authoritative",
    "server-refuses",
    "alias",
    // What clients cannot prove.
    "insecure",
    "unsigned",
    "wildcard",
    "no-ds",
    "ds-mismatch",
    "unsupported-ds",
    "signature-algorithm",
    "no-anchor",
    "above-anchor",
    "anchor-mismatch",
    // What others do again and again.
    "vanished",
    "undone",
];

/// Reasons that pass, or may: a server that is down, a clock that is set after the start, a change that was in the way.
/// So does whatever is in neither table.
const SOFT: [&str; 36] = [
    "timeout",
    "connection-refused",
    "connection-closed",
    "unreachable",
    "servfail",
    "server-failure",
    "update-failed",
    "malformed-answer",
    "lost-race",
    "not-converged",
    "agent-runs",
    "locked",
    "reload",
    "zone-file",
    "program",
    "tls",
    "too-large",
    "tsig",
    "no-resolver",
    "io",
    "internal",
    "sshd",
    "not-in-force",
    "not-reloaded",
    "not-seen",
    "not-published",
    // NTP sets it right, minutes after the start as a rule.
    "badtime",
    "clock",
    // Zones are signed anew, and caches forget.
    "no-answer",
    "no-record",
    "no-signature",
    "bad-signature",
    "no-such-key",
    "signature-expired",
    "signature-not-yet-valid",
    "old-records",
];

/// Whether only a person can mend what fails for `reason`.
pub fn is_hard(reason: &str) -> bool {
    HARD.contains(&reason)
}

/// Whether somebody has thought about `reason`.
pub fn is_known(reason: &str) -> bool {
    HARD.contains(&reason) || SOFT.contains(&reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_in_one_table_once() {
        let mut all: Vec<&str> = HARD.into_iter().chain(SOFT).collect();
        all.sort();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(is_hard("refused") && !is_hard("timeout") && !is_hard("a reason of tomorrow"));
    }

    /// What the code says is what the table has: reasons are read from the places where errors of publishing are made.
    #[test]
    fn every_reason_that_publishing_gives_is_in_a_table() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders: Vec<_> =
            ["agent", "backend", "ssh/hostkeys.rs"].map(|name| source.join(name)).into();
        let mut seen = 0;
        while let Some(path) = folders.pop() {
            // Followers are no work on records.
            if path.ends_with("monitor") {
                continue;
            }
            if path.is_dir() {
                folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for maker in ["Error::failure(", "Error::usage(", "told("] {
                for (at, _) in text.match_indices(maker) {
                    let rest = text[at + maker.len()..].trim_start();
                    let reason = rest.strip_prefix('"').and_then(|r| r.split('"').next());
                    let Some(reason) = reason.filter(|reason| !reason.contains(' ')) else { continue };
                    assert!(is_known(reason), "{}: {reason:?} is in no table", path.display());
                    seen += 1;
                }
            }
        }
        assert!(seen > 50, "the sources were read: {seen}");
    }
}
