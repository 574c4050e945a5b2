//! The head of the page, and how much there is of what.

use std::fmt::Write;

use super::text::{counted, number, text, time};
use crate::proto::audit::{Report, Summary};

/// Title, time, the outcome in a sentence, and where to find what.
pub(super) fn header(page: &mut String, report: &Report) -> std::fmt::Result {
    let summary = &report.summary;
    write!(
        page,
        "<header>\n<p class=\"kind\">sshanchor audit</p>\n<h1>SSH host identities</h1>\n\
         <p class=\"meta\">{}, {} UTC, by sshanchor {}</p>\n<p class=\"outcome\">{}</p>\n",
        counted(summary.hosts, "host", "hosts"),
        time(report.time),
        text(&report.program),
        outcome(summary),
    )?;
    page.push_str("<nav aria-label=\"Parts of this report\">\n<ul>\n");
    let changes = report.changes.as_ref().map(|_| ("changes", "Changes"));
    let zones = (!report.zones.is_empty()).then_some(("zones", "Zones"));
    let parts = [Some(("summary", "Summary")), changes, Some(("findings", "Findings")), zones];
    let parts = parts.into_iter().chain([Some(("hosts", "Hosts")), Some(("legend", "Words"))]).flatten();
    for (id, name) in parts {
        writeln!(page, "<li><a href=\"#{id}\">{name}</a></li>")?;
    }
    page.push_str("</ul>\n</nav>\n</header>\n");
    Ok(())
}

/// What came out, in sentences.
fn outcome(summary: &Summary) -> String {
    let Summary { hosts, accept, reject, unproven, unreachable, errors, warnings, .. } = *summary;
    if hosts == 0 {
        return "No host was audited.".to_owned();
    }
    let mut told = match accept == hosts {
        true if hosts == 1 => "The host is what DNSSEC proves.".to_owned(),
        true => "All hosts are what DNSSEC proves.".to_owned(),
        false => format!("{} of {} are what DNSSEC proves.", number(accept), counted(hosts, "host", "hosts")),
    };
    let others = [(reject, "rejected"), (unproven, "unproven"), (unreachable, "unreachable")];
    let others = others.into_iter().filter(|(count, _)| *count > 0);
    let others: Vec<String> = others.map(|(count, word)| format!("{} {word}", number(count))).collect();
    if !others.is_empty() {
        told += &format!(" The others: {}.", others.join(", "));
    }
    let grave = [(errors, "error", "errors"), (warnings, "warning", "warnings")];
    let grave = grave.into_iter().filter(|(count, ..)| *count > 0);
    let grave: Vec<String> = grave.map(|(count, one, many)| counted(count, one, many)).collect();
    told += &match (grave.is_empty(), errors + warnings) {
        (true, _) => " There is nothing to mend.".to_owned(),
        (false, 1) => format!(" {} is to be looked at.", grave.join("")),
        (false, _) => format!(" {} are to be looked at.", grave.join(" and ")),
    };
    told
}

/// The tiles.
pub(super) fn section(page: &mut String, report: &Report) -> std::fmt::Result {
    let summary = &report.summary;
    page.push_str(
        "<section id=\"summary\" aria-labelledby=\"summary-title\">\n<h2 id=\"summary-title\">Summary</h2>\n",
    );
    page.push_str("<h3>Hosts by verdict</h3>\n");
    let verdicts = [
        ("accept", summary.accept, "the key is proven"),
        ("reject", summary.reject, "a proof speaks against the key"),
        ("unproven", summary.unproven, "nothing vouches for the key"),
        ("unreachable", summary.unreachable, "no key was seen"),
    ];
    bar(page, summary.hosts, &verdicts)?;
    page.push_str("<dl class=\"tiles\">\n");
    tile(page, "all", "hosts", summary.hosts, "audited")?;
    for (word, count, meaning) in verdicts {
        tile(page, word, word, count, meaning)?;
    }
    page.push_str("</dl>\n<h3>Findings by severity</h3>\n<dl class=\"tiles\">\n");
    let severities = [
        ("error", "errors", summary.errors, "a host cannot be verified, or is not what DNS says"),
        ("warning", "warnings", summary.warnings, "it weakens verification, or will break it"),
        ("info", "info", summary.infos, "worth knowing"),
    ];
    for (class, word, count, meaning) in severities {
        tile(page, class, word, count, meaning)?;
    }
    page.push_str("</dl>\n</section>\n");
    Ok(())
}

fn tile(page: &mut String, class: &str, word: &str, count: usize, meaning: &str) -> std::fmt::Result {
    let none = if count == 0 { " none" } else { "" };
    writeln!(
        page,
        "<div class=\"tile {class}{none}\"><dt>{word}</dt><dd><strong data-count=\"{word}\">{}</strong> \
         <span>{meaning}</span></dd></div>",
        number(count)
    )
}

/// Shares of all hosts, side by side. What it shows stands in the tiles too.
fn bar(page: &mut String, all: usize, parts: &[(&str, usize, &str)]) -> std::fmt::Result {
    if all == 0 {
        return Ok(());
    }
    page.push_str(
        "<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\n",
    );
    let mut before = 0;
    for (class, count, _) in parts {
        // By their ends, so that rounding leaves no gap.
        let (from, to) = (before * 1000 / all, (before + count) * 1000 / all);
        before += count;
        if *count > 0 {
            // What there is shows, however little it is.
            let width = (to - from).max(4);
            writeln!(page, "<rect class=\"{class}\" x=\"{from}\" width=\"{width}\" height=\"10\"/>")?;
        }
    }
    page.push_str("</svg>\n");
    Ok(())
}
