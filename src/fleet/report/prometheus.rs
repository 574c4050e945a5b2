//! An audit as metrics of Prometheus, for a file that the node exporter's textfile collector reads. Moments are seconds
//! since 1970.

use std::collections::BTreeMap;

use super::{catalogue, verdict};
use crate::proto::audit::{Finding, HostReport, Report, Severity};
use crate::proto::exposition::{self, Family, Sample, gauge};

/// Everything that there may be, in its order.
const FAMILIES: &[Family<Report>] = &[
    gauge("sshanchor_audit_info", "The program that has audited; always 1.", |report| {
        vec![Sample::new(1).label("version", &report.program)]
    }),
    gauge("sshanchor_audit_timestamp_seconds", "When the audit was made.", |report| {
        vec![Sample::new(report.time)]
    }),
    gauge("sshanchor_audit_hosts", "Audited hosts by their verdict.", |report| {
        let summary = &report.summary;
        let verdicts = [
            ("accept", summary.accept),
            ("reject", summary.reject),
            ("unproven", summary.unproven),
            ("unreachable", summary.unreachable),
        ];
        verdicts.map(|(verdict, count)| Sample::new(count as u64).label("verdict", verdict)).to_vec()
    }),
    gauge(
        "sshanchor_audit_findings",
        "Findings by severity and code, of hosts and of the fleet.",
        |report| {
            // Zero for those that there may be: rules can tell 0 from unknown.
            let none = catalogue::all().map(|(code, severity, _)| ((severity, code), 0));
            let found = report.all_findings().map(|(_, finding)| finding);
            counts(none.collect(), found).map(|(kind, count)| of_kind(Sample::new(count), kind)).collect()
        },
    ),
    gauge(
        "sshanchor_audit_changes",
        "Findings that are new, or gone, since the audit that this one was compared with.",
        |report| {
            let Some(changes) = &report.changes else { return Vec::new() };
            let counts = [("new", changes.new.len()), ("gone", changes.gone.len())];
            counts.map(|(change, count)| Sample::new(count as u64).label("change", change)).to_vec()
        },
    ),
    gauge(
        "sshanchor_audit_host_verdict",
        "1 for the host's verdict: accept, reject, unproven or unreachable, and its reason.",
        |report| {
            let hosts = report.hosts.iter().map(|host| {
                let reason = host.reason.as_deref().unwrap_or_default();
                of(host, 1).label("verdict", verdict(host)).label("reason", reason)
            });
            hosts.collect()
        },
    ),
    gauge(
        "sshanchor_audit_host_findings",
        "The host's findings by severity and code; absent if none.",
        |report| {
            let each = report.hosts.iter().flat_map(|host| {
                let counts = counts(BTreeMap::new(), &host.findings);
                counts.map(move |(kind, count)| of_kind(of(host, count), kind))
            });
            each.collect()
        },
    ),
    gauge(
        "sshanchor_audit_host_proof_expiry_timestamp_seconds",
        "Until when the proof of the host's records may be kept.",
        |report| each(report, |host| host.valid_until),
    ),
    gauge(
        "sshanchor_audit_host_signature_expiry_timestamp_seconds",
        "When the first of the signatures over the host's records ends.",
        |report| each(report, |host| host.signed_until),
    ),
    gauge(
        "sshanchor_audit_host_certificate_expiry_timestamp_seconds",
        "When the first of the host's certificates ends; absent without one that does.",
        |report| each(report, |host| host.certificates.iter().filter_map(|one| one.valid_until).min()),
    ),
];

/// The exposition (version 0.0.4) for a file of the textfile collector; with its final line feed. Of a host that was
/// named twice the first counts.
pub fn prometheus(report: &Report) -> String {
    exposition::text(FAMILIES, report)
}

/// Every name of a metric that there may be, for whoever writes rules.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name)
}

/// What kind of finding: its severity and code.
type Kind<'a> = (Severity, &'a str);

/// How many there are of each kind, the gravest first; `counts` are there already.
fn counts<'a>(
    mut counts: BTreeMap<Kind<'a>, u64>,
    findings: impl IntoIterator<Item = &'a Finding>,
) -> impl Iterator<Item = (Kind<'a>, u64)> {
    for finding in findings {
        *counts.entry((finding.severity, &finding.code)).or_default() += 1;
    }
    counts.into_iter().rev()
}

fn of_kind<'a>(sample: Sample<'a>, (severity, code): Kind<'a>) -> Sample<'a> {
    sample.label("severity", severity.text()).label("code", code)
}

fn of(host: &HostReport, value: u64) -> Sample<'_> {
    Sample::new(value).label("host", &host.host).label("port", host.port.to_string())
}

/// Of each host that has the value.
fn each(report: &Report, value: fn(&HostReport) -> Option<u64>) -> Vec<Sample<'_>> {
    report.hosts.iter().filter_map(|host| Some(of(host, value(host)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples::{TIME as NOW, fleet, hostile};
    use super::*;
    use crate::proto::exposition::tests::value;

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
