//! An audit as metrics of Prometheus, for a file that the node exporter's textfile collector reads. Moments are seconds
//! since 1970.

use std::collections::BTreeMap;

use super::{catalogue, verdict};
use crate::proto::audit::{HostReport, Report, Severity};
use crate::proto::exposition::{Exposition, Family, Label};

const INFO: Family = ("sshanchor_audit_info", "gauge", "The program that has audited; always 1.");
const TIME: Family = ("sshanchor_audit_timestamp_seconds", "gauge", "When the audit was made.");
const HOSTS: Family = ("sshanchor_audit_hosts", "gauge", "Audited hosts by their verdict.");
const FINDINGS: Family =
    ("sshanchor_audit_findings", "gauge", "Findings by severity and code, of hosts and of the fleet.");
const CHANGES: Family = (
    "sshanchor_audit_changes",
    "gauge",
    "Findings that are new, or gone, since the audit that this one was compared with.",
);
const VERDICT: Family = (
    "sshanchor_audit_host_verdict",
    "gauge",
    "1 for the host's verdict: accept, reject, unproven or unreachable, and its reason.",
);
const OF_HOST: Family =
    ("sshanchor_audit_host_findings", "gauge", "The host's findings by severity and code; absent if none.");
const VALID: Family = (
    "sshanchor_audit_host_proof_expiry_timestamp_seconds",
    "gauge",
    "Until when the proof of the host's records may be kept.",
);
const SIGNED: Family = (
    "sshanchor_audit_host_signature_expiry_timestamp_seconds",
    "gauge",
    "When the first of the signatures over the host's records ends.",
);
const CERTIFIED: Family = (
    "sshanchor_audit_host_certificate_expiry_timestamp_seconds",
    "gauge",
    "When the first of the host's certificates ends; absent without one that does.",
);

/// The exposition (version 0.0.4) for a file of the textfile collector; with its final line feed. Of a host that was
/// named twice the first counts.
pub fn prometheus(report: &Report) -> String {
    let mut text = Exposition::default();
    text.family(INFO, [(vec![("version", report.program.as_str())], 1)]);
    text.family(TIME, [(vec![], report.time)]);
    let summary = &report.summary;
    let verdicts = [
        ("accept", summary.accept),
        ("reject", summary.reject),
        ("unproven", summary.unproven),
        ("unreachable", summary.unreachable),
    ];
    text.family(HOSTS, verdicts.map(|(verdict, count)| (vec![("verdict", verdict)], count as u64)));
    text.family(FINDINGS, counts(report));
    if let Some(changes) = &report.changes {
        let counts = [("new", changes.new.len()), ("gone", changes.gone.len())];
        text.family(CHANGES, counts.map(|(change, count)| (vec![("change", change)], count as u64)));
    }
    of_hosts(&mut text, &report.hosts);
    text.text()
}

/// A count for each code that there is, and zero for those that there may be: rules can tell 0 from unknown.
fn counts(report: &Report) -> Vec<(Vec<Label<'_>>, u64)> {
    let mut counts: BTreeMap<(Severity, &str), u64> = BTreeMap::new();
    for (code, severity, _) in catalogue::all() {
        counts.insert((severity, code), 0);
    }
    for (_, finding) in report.all_findings() {
        *counts.entry((finding.severity, &finding.code)).or_default() += 1;
    }
    let labels = |(severity, code): (Severity, _)| vec![("severity", severity.text()), ("code", code)];
    counts.into_iter().rev().map(|(key, count)| (labels(key), count)).collect()
}

fn of_hosts(text: &mut Exposition, hosts: &[HostReport]) {
    let ports: Vec<String> = hosts.iter().map(|host| host.port.to_string()).collect();
    let each = || hosts.iter().zip(&ports).map(|(host, port)| (host, labels(host, port)));
    text.family(
        VERDICT,
        each().map(|(host, mut labels)| {
            labels.push(("verdict", verdict(host)));
            labels.push(("reason", host.reason.as_deref().unwrap_or_default()));
            (labels, 1)
        }),
    );
    let mut found = Vec::new();
    for (host, of_host) in each() {
        let mut counts: BTreeMap<(Severity, &str), u64> = BTreeMap::new();
        for finding in &host.findings {
            *counts.entry((finding.severity, &finding.code)).or_default() += 1;
        }
        for ((severity, code), count) in counts.into_iter().rev() {
            let mut labels = of_host.clone();
            labels.extend([("severity", severity.text()), ("code", code)]);
            found.push((labels, count));
        }
    }
    text.family(OF_HOST, found);
    let mut moment = |family, get: &dyn Fn(&HostReport) -> Option<u64>| {
        text.family(family, each().filter_map(|(host, labels)| Some((labels, get(host)?))));
    };
    moment(VALID, &|host| host.valid_until);
    moment(SIGNED, &|host| host.signed_until);
    moment(CERTIFIED, &|host| host.certificates.iter().filter_map(|one| one.valid_until).min());
}

fn labels<'a>(host: &'a HostReport, port: &'a str) -> Vec<Label<'a>> {
    vec![("host", host.host.as_str()), ("port", port)]
}

#[cfg(test)]
mod tests {
    use super::super::samples::{TIME as NOW, fleet, hostile};
    use super::*;

    /// The value of a series.
    #[track_caller]
    fn value(text: &str, series: &str) -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
    }

    #[test]
    fn what_an_audit_found_is_there() {
        let report = fleet();
        let text = prometheus(&report);
        for (series, want) in [
            ("sshanchor_audit_timestamp_seconds", NOW),
            ("sshanchor_audit_hosts{verdict=\"accept\"}", report.summary.accept as u64),
            ("sshanchor_audit_hosts{verdict=\"unreachable\"}", report.summary.unreachable as u64),
            ("sshanchor_audit_findings{severity=\"error\",code=\"key-mismatch\"}", 1),
            ("sshanchor_audit_findings{severity=\"error\",code=\"revoked\"}", 0),
            (
                "sshanchor_audit_host_verdict{host=\"db1.example.com\",port=\"22\",verdict=\"reject\",reason=\"key-mismatch\"}",
                1,
            ),
            (
                "sshanchor_audit_host_findings{host=\"db1.example.com\",port=\"22\",severity=\"error\",code=\"key-mismatch\"}",
                1,
            ),
            (
                "sshanchor_audit_host_proof_expiry_timestamp_seconds{host=\"web1.example.com\",port=\"22\"}",
                NOW + 3600,
            ),
            ("sshanchor_audit_changes{change=\"new\"}", 2),
        ] {
            assert_eq!(value(&text, series), want, "{series}");
        }
        let found: u64 = text
            .lines()
            .filter(|line| line.starts_with("sshanchor_audit_findings{"))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(found, report.all_findings().count() as u64);
    }

    #[test]
    fn hostile_text_breaks_no_line() {
        let text = prometheus(&hostile());
        assert!(
            text.lines().all(|line| line.starts_with("# ") || line.starts_with("sshanchor_audit_")),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() < 4096));
    }
}
