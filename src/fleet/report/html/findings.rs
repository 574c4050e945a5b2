//! Findings: by severity, then by code, with the hosts that have them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::super::{New, catalogue};
use super::hosts::Places;
use super::text::{capital, counted, number, text};
use crate::proto::audit::{Finding, HostReport, Report, Severity};

/// Groups of so many findings are open from the start.
pub(super) const OPEN: usize = 10;

/// A finding and its host.
type Found<'a> = (Option<&'a HostReport>, &'a Finding);

pub(super) fn section(page: &mut String, report: &Report) -> std::fmt::Result {
    page.push_str(
        "<section id=\"findings\" aria-labelledby=\"findings-title\">\n<h2 id=\"findings-title\">Findings</h2>\n",
    );
    let (places, new) = (Places::of(&report.hosts), New::of(report));
    let mut groups: BTreeMap<Severity, BTreeMap<&str, Vec<Found<'_>>>> = BTreeMap::new();
    for found in report.all_findings() {
        groups.entry(found.1.severity).or_default().entry(&found.1.code).or_default().push(found);
    }
    if groups.is_empty() {
        page.push_str("<p class=\"quiet\">Nothing was found that is not as it should be.</p>\n");
    }
    for (severity, codes) in groups.iter().rev() {
        let count = codes.values().map(Vec::len).sum();
        let title = match severity {
            Severity::Error => "Errors",
            Severity::Warning => "Warnings",
            Severity::Info => "Worth knowing",
        };
        writeln!(page, "<h3>{title} <span class=\"count\">{}</span></h3>", number(count))?;
        let mut sorted: Vec<_> = codes.iter().collect();
        sorted.sort_by_key(|(code, found)| (catalogue::place(code), std::cmp::Reverse(found.len())));
        for (code, found) in sorted {
            group(page, *severity, code, found, &places, &new)?;
        }
    }
    page.push_str("</section>\n");
    Ok(())
}

fn group(
    page: &mut String,
    severity: Severity,
    code: &str,
    all: &[Found<'_>],
    places: &Places<'_>,
    new: &New,
) -> std::fmt::Result {
    let meaning = catalogue::meaning(code).unwrap_or("why hosts are not accepted");
    write!(
        page,
        "<details class=\"group {word}\"{open}>\n<summary><h4>{badge} {meaning}</h4> <code>{code}</code> \
         <span class=\"count\">{count}</span></summary>\n",
        word = severity.text(),
        open = if all.len() <= OPEN { " open" } else { "" },
        badge = badge(severity),
        meaning = capital(meaning),
        code = text(code),
        count = counted(all.len(), "finding", "findings"),
    )?;
    // Where all are to be mended in the same way it is said once.
    let common = match all {
        [(_, first), _, ..] if all.iter().all(|(_, finding)| finding.hint == first.hint) => {
            first.hint.as_deref()
        }
        _ => None,
    };
    hint(page, common)?;
    write!(
        page,
        "<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{}\">\n<table class=\"findings\">\n<thead><tr>\
         <th scope=\"col\">Host</th><th scope=\"col\">Finding</th></tr></thead>\n<tbody>\n",
        text(code)
    )?;
    for (host, finding) in all {
        page.push_str("<tr data-finding><th scope=\"row\">");
        match host {
            Some(host) => places.link(page, &host.place())?,
            None => write!(page, "{}", text(&finding.subject))?,
        }
        if new.has(*host, finding) == Some(true) {
            page.push_str(" <span class=\"badge new\">new</span>");
        }
        write!(page, "</th><td>{}", text(&finding.message))?;
        if host.is_some_and(|host| host.host != finding.subject) {
            write!(page, " <span class=\"subject\">{}</span>", text(&finding.subject))?;
        }
        if common.is_none() {
            hint(page, finding.hint.as_deref())?;
        }
        page.push_str("</td></tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n</details>\n");
    Ok(())
}

/// The severity as a word.
pub(super) fn badge(severity: Severity) -> String {
    format!("<span class=\"badge {0}\">{0}</span>", severity.text())
}

/// What to do, if that is known, with what is to be typed set apart.
pub(super) fn hint(page: &mut String, hint: Option<&str>) -> std::fmt::Result {
    let Some(mut rest) = hint else { return Ok(()) };
    page.push_str("<p class=\"hint\"><b>What to do:</b> ");
    while let Some((before, command, after)) = command(rest) {
        write!(page, "{}<code>{}</code>", text(before), text(command))?;
        rest = after;
    }
    write!(page, "{}</p>", text(rest))
}

/// The first command in a hint, with what is before and after it: what follows a colon, or what leads to a command, up to
/// where the sentence goes on.
fn command(hint: &str) -> Option<(&str, &str, &str)> {
    const BEFORE: [&str; 3] = [": ", "run on it ", "; then "];
    let starts = |before: &str| Some(hint.find(&format!("{before}sshanchor "))? + before.len());
    let start = BEFORE.into_iter().filter_map(starts).min()?;
    let (before, rest) = hint.split_at_checked(start)?;
    let ends = [";", ", ", " (", ": ", ". ", " - "].into_iter().filter_map(|end| rest.find(end));
    let (command, after) = rest.split_at_checked(ends.min().unwrap_or(rest.len()))?;
    Some((before, command, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_is_set_apart() {
        let marked = |said: &str| {
            let mut page = String::new();
            hint(&mut page, Some(said)).unwrap();
            page.replace("<p class=\"hint\"><b>What to do:</b> ", "").replace("</p>", "")
        };
        for (said, want) in [
            ("sign the zone", "sign the zone"),
            (
                "if it is gone: sshanchor withdraw --name a --server PRIMARY; else audit it: sshanchor audit -H a (now)",
                "if it is gone: <code>sshanchor withdraw --name a --server PRIMARY</code>; else audit it: \
                 <code>sshanchor audit -H a</code> (now)",
            ),
            (
                "run on it sshanchor publish --name a; or withdraw",
                "run on it <code>sshanchor publish --name a</code>; or withdraw",
            ),
            ("so; sshanchor config show HOST tells", "so; sshanchor config show HOST tells"),
            ("it: sshanchor <b>", "it: <code>sshanchor &lt;b&gt;</code>"),
        ] {
            assert_eq!(marked(said), want);
        }
    }
}
