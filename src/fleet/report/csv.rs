//! An audit as comma-separated values (RFC 4180).

use super::{New, verdict};
use crate::proto::audit::{Finding, HostReport, Report};
use crate::proto::moment::rfc3339;
use crate::proto::text::shorten;

/// Characters of a cell at most: spreadsheets take 32,767.
const CELL: usize = 4096;

/// The columns; docs/fleet.md lists them.
const COLUMNS: [&str; 18] = [
    "time",
    "host",
    "port",
    "verdict",
    "reason",
    "severity",
    "code",
    "subject",
    "message",
    "hint",
    "new",
    "zone",
    "status",
    "valid_until",
    "signed_until",
    "address",
    "server_version",
    "kex",
];

/// A header, then a line for each finding, with what is known of its host (nothing, where it is about no single one); a
/// host without findings has one line too, without a finding. Lines end with CRLF, the last one as well.
///
/// Cells are printable ASCII, and none is a formula to a spreadsheet: one that would be begins with an apostrophe.
pub fn csv(report: &Report) -> String {
    let (mut text, new) = (String::new(), New::of(report));
    line(&mut text, COLUMNS.map(str::to_owned));
    for finding in &report.findings {
        line(&mut text, cells(report, None, Some(finding), &new));
    }
    for host in &report.hosts {
        if host.findings.is_empty() {
            line(&mut text, cells(report, Some(host), None, &new));
        }
        for finding in &host.findings {
            line(&mut text, cells(report, Some(host), Some(finding), &new));
        }
    }
    text
}

fn cells(
    report: &Report,
    host: Option<&HostReport>,
    finding: Option<&Finding>,
    new: &New,
) -> [String; COLUMNS.len()] {
    let of_host = |get: fn(&HostReport) -> &str| host.map(|host| get(host).to_owned()).unwrap_or_default();
    let of = |get: fn(&Finding) -> &str| finding.map(|finding| get(finding).to_owned()).unwrap_or_default();
    let moment =
        |get: fn(&HostReport) -> Option<u64>| host.and_then(get).and_then(rfc3339).unwrap_or_default();
    let is_new = finding.and_then(|finding| new.has(host, finding));
    [
        rfc3339(report.time).unwrap_or_default(),
        of_host(|host| &host.host),
        host.map(|host| host.port.to_string()).unwrap_or_default(),
        of_host(verdict),
        of_host(|host| host.reason.as_deref().unwrap_or_default()),
        of(|finding| finding.severity.text()),
        of(|finding| &finding.code),
        of(|finding| &finding.subject),
        // What is said of a host without findings is its verdict.
        finding.map_or_else(|| of_host(|host| &host.message), |finding| finding.message.clone()),
        of(|finding| finding.hint.as_deref().unwrap_or_default()),
        is_new.map(|is_new| if is_new { "yes" } else { "no" }).unwrap_or_default().to_owned(),
        of_host(|host| host.zone.as_deref().unwrap_or_default()),
        of_host(|host| &host.status),
        moment(|host| host.valid_until),
        moment(|host| host.signed_until),
        of_host(|host| host.address.as_deref().unwrap_or_default()),
        of_host(|host| host.server_version.as_deref().unwrap_or_default()),
        of_host(|host| host.kex.as_deref().unwrap_or_default()),
    ]
}

fn line(text: &mut String, cells: [String; COLUMNS.len()]) {
    for (at, content) in cells.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&cell(content));
    }
    text.push_str("\r\n");
}

/// A cell: quoted where it must be, and no formula.
fn cell(content: &str) -> String {
    let mut harmless = String::with_capacity(content.len().min(CELL) + 2);
    // Where lists are written with semicolons a spreadsheet splits there, whatever quotes say.
    for (at, part) in shorten(content, CELL).split(';').enumerate() {
        if at > 0 {
            harmless.push(';');
        }
        if part.trim_start().starts_with(['=', '+', '-', '@']) {
            harmless.push('\'');
        }
        harmless.push_str(part);
    }
    match harmless.contains(['"', ',', ';']) || harmless.trim() != harmless {
        true => format!("\"{}\"", harmless.replace('"', "\"\"")),
        false => harmless,
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{fleet, hostile};
    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_must_be_and_no_formula() {
        for (content, want) in [
            ("web1.example.com", "web1.example.com"),
            ("", ""),
            ("a, b", "\"a, b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            (" a", "\" a\""),
            ("a\r\nb", "a\\r\\nb"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\t=1", "\\t=1"),
            ("\u{ff1d}1", "\\u{ff1d}1"),
            ("=\"a\",b", "\"'=\"\"a\"\",b\""),
            ("a;=1; @b;c", "\"a;'=1;' @b;c\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(cell(content), want, "{content:?}");
        }
    }

    #[test]
    fn each_finding_has_a_line_and_so_has_each_host_without() {
        let report = fleet();
        let text = csv(&report);
        let quiet = report.hosts.iter().filter(|host| host.findings.is_empty()).count();
        assert!(quiet > 0);
        assert_eq!(text.matches("\r\n").count(), 1 + quiet + report.all_findings().count());
        assert!(text.ends_with("\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']));
        let mismatch = text.lines().find(|line| {
            line.contains(",key-mismatch,key-mismatch,") || line.contains(",key-mismatch,error,key-mismatch,")
        });
        assert!(mismatch.is_some_and(|line| line.contains(",reject,") && line.contains(",yes,")), "{text}");
    }

    #[test]
    fn hostile_text_stays_in_its_cell() {
        let text = csv(&hostile());
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        assert!(lines.iter().all(|line| line.bytes().all(|b| b == b' ' || b.is_ascii_graphic())));
        assert!(
            lines.iter().all(|line| line.len() < 40 * CELL),
            "a line of {:?}",
            lines.iter().map(|l| l.len()).max()
        );
        assert!(!text.contains(",=") && !text.contains(",\"=") && text.contains("'=HYPERLINK("));
    }
}
