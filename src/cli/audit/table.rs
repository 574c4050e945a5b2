//! An audit for people: how it stands first, then what is to be done, the gravest first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

use super::FailOn;
use crate::output;
use crate::proto::audit::report::Summary;
use crate::proto::audit::{Change, Changes, Finding, HostReport, Report, Severity};
use crate::proto::fold::fold;
use crate::proto::moment;

/// Messages of one code that are shown, unless all are wanted.
const SHOWN: usize = 3;
/// Hosts of one code that are named, many of them in one word.
const NAMED: usize = 12;

/// A finding and its host, if it is about one.
type Placed<'a> = (Option<&'a HostReport>, &'a Finding);

/// An audit, and whether all of it is to be shown.
pub(super) struct Table<'a> {
    pub(super) report: &'a Report,
    pub(super) verbose: bool,
    /// Nothing but the findings that count by this, where that is wanted.
    pub(super) quiet: Option<FailOn>,
}

impl Serialize for Table<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.report.serialize(serializer)
    }
}

impl output::Report for Table<'_> {
    fn text(&self) -> String {
        let Table { report, verbose, quiet } = *self;
        let mut lines = Vec::new();
        if quiet.is_none() {
            lines.push(summary(&report.summary));
            lines.extend(report.changes.iter().flat_map(|changed| changes(changed, verbose)));
        }
        if verbose && quiet.is_none() {
            lines.push(String::new());
            lines.extend(report.hosts.iter().map(host));
        }
        // What is known already is counted, unless all is wanted.
        let new = report.changes.as_ref().filter(|_| !verbose || quiet.is_some()).map(new_ones);
        let mut old = 0;
        let mut groups: BTreeMap<(Reverse<Severity>, &str), Vec<Placed<'_>>> = BTreeMap::new();
        for (host, finding) in report.all_findings() {
            if new.as_ref().is_some_and(|new| !new.contains(&(host.map(HostReport::place), finding))) {
                old += 1;
            } else if quiet.is_none_or(|fail_on| fail_on.counts(finding.severity)) {
                let key = (Reverse(finding.severity), finding.code.as_str());
                groups.entry(key).or_default().push((host, finding));
            }
        }
        for ((severity, code), found) in groups {
            lines.extend((!lines.is_empty()).then(String::new));
            lines.extend(group(severity.0, code, &found, verbose || new.is_some()));
        }
        if old > 0 && quiet.is_none() {
            let them = if old == 1 { "1 finding was" } else { &format!("{old} findings were") };
            lines.extend([String::new(), format!("{them} there before (-v shows all)")]);
        }
        lines.join("\n")
    }
}

fn summary(summary: &Summary) -> String {
    let Summary { hosts, accept, reject, unproven, unreachable, errors, warnings, infos } = *summary;
    format!(
        "{}: {accept} accept, {reject} reject, {unproven} unproven, {unreachable} unreachable; findings: {errors} error, \
         {warnings} warning, {infos} info",
        output::hosts(hosts)
    )
}

/// New findings, each with its host.
fn new_ones(changes: &Changes) -> BTreeSet<(Option<String>, &Finding)> {
    changes.new.iter().map(|Change { host, finding }| (host.clone(), finding)).collect()
}

/// What changed; new findings too, unless they stand below by themselves.
fn changes(changes: &Changes, verbose: bool) -> Vec<String> {
    let Changes { since, new, gone, hosts_new, hosts_gone } = changes;
    let mut lines = vec![format!(
        "since {}: {} new and {} gone findings, {} new and {} gone hosts",
        moment::text(*since),
        new.len(),
        gone.len(),
        hosts_new.len(),
        hosts_gone.len()
    )];
    let line = |sign: char, Change { host, finding }: &Change| {
        let about = host.as_ref().map(|host| format!(" {}", bare(host))).unwrap_or_default();
        format!(
            "  {sign} {} {}{about}: {}",
            finding.severity.text(),
            finding.code,
            one_line(&finding.message)
        )
    };
    if verbose {
        lines.extend(new.iter().map(|change| line('+', change)));
    }
    lines.extend(gone.iter().map(|change| line('-', change)));
    for (sign, hosts) in [('+', hosts_new), ('-', hosts_gone)] {
        if !hosts.is_empty() {
            lines.push(format!("  {sign} hosts: {}", named(hosts.iter().map(|host| bare(host)))));
        }
    }
    lines
}

/// One host in a line.
fn host(host: &HostReport) -> String {
    let verdict = host.verdict.as_deref().unwrap_or("failed");
    let live = host.keys.iter().filter(|key| key.seen.iter().any(|place| place == "live")).count();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{} {verdict}: {}, {}, {}, {}",
        host.place(),
        host.status,
        count(host.records.len(), "record"),
        count(live, "live key"),
        count(host.findings.len(), "finding"),
    )
}

/// All findings of one code.
fn group(severity: Severity, code: &str, found: &[Placed<'_>], verbose: bool) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for place in found.iter().filter_map(|(host, _)| host.map(|host| host.place())) {
        let bare = bare(&place).to_owned();
        if hosts.last() != Some(&bare) {
            hosts.push(bare);
        }
    }
    let about = match hosts.len() {
        0 => String::new(),
        1 => format!(": {}", hosts.concat()),
        count => format!(": {}: {}", output::hosts(count), named(hosts.iter().map(String::as_str))),
    };
    let mut lines = vec![format!("{} {code}{about}", severity.text())];
    let shown = if verbose { found.len() } else { SHOWN };
    let mut hint: Option<&String> = None;
    for (_, finding) in found.iter().take(shown) {
        lines.push(format!("  {}", one_line(&finding.message)));
        // The same advice is given once.
        if let Some(next) = &finding.hint
            && hint.is_none_or(|last| verbose && last != next)
        {
            hint = Some(next);
            lines.push(format!("    hint: {}", one_line(next)));
        }
    }
    if found.len() > shown {
        lines.push(format!("  and {} more (-v shows all)", found.len() - shown));
    }
    lines
}

/// Port 22 goes without saying.
fn bare(place: &str) -> &str {
    place.strip_suffix(":22").filter(|host| !host.starts_with('[')).unwrap_or(place)
}

fn named<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names = fold(names);
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Line ends of peers are not ours.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
