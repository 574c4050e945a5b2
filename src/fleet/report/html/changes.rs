//! What changed since an earlier audit.

use std::fmt::Write;

use super::findings::{badge, hint};
use super::hosts::Places;
use super::text::{counted, text, time};
use crate::proto::audit::{Change, Changes, Report};

pub(super) fn section(page: &mut String, report: &Report, changes: &Changes) -> std::fmt::Result {
    let places = Places::of(&report.hosts);
    write!(
        page,
        "<section id=\"changes\" aria-labelledby=\"changes-title\">\n<h2 id=\"changes-title\">Changes since {} UTC</h2>\n",
        time(changes.since)
    )?;
    let Changes { new, gone, hosts_new, hosts_gone, .. } = changes;
    if new.is_empty() && gone.is_empty() && hosts_new.is_empty() && hosts_gone.is_empty() {
        page.push_str("<p class=\"quiet\">Nothing has changed.</p>\n");
    }
    list(page, "New, or graver than before", "new", new, &places)?;
    list(page, "Gone", "gone", gone, &places)?;
    names(page, "New hosts", hosts_new)?;
    names(page, "Hosts that are no longer audited", hosts_gone)?;
    page.push_str("</section>\n");
    Ok(())
}

fn list(
    page: &mut String,
    title: &str,
    id: &str,
    changes: &[Change],
    places: &Places<'_>,
) -> std::fmt::Result {
    if changes.is_empty() {
        return Ok(());
    }
    write!(
        page,
        "<details class=\"group change\"{} data-changes=\"{id}\">\n<summary><h3>{title}</h3> <span class=\"count\">{}</span>\
         </summary>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"{title}\">\n<table class=\"findings\">\n\
         <thead><tr><th scope=\"col\">Host</th><th scope=\"col\">Severity</th><th scope=\"col\">Finding</th></tr></thead>\n<tbody>\n",
        if changes.len() <= super::findings::OPEN { " open" } else { "" },
        counted(changes.len(), "finding", "findings"),
    )?;
    let mut gravest: Vec<&Change> = changes.iter().collect();
    gravest.sort_by_key(|change| std::cmp::Reverse(change.finding.severity));
    for Change { host, finding } in gravest {
        page.push_str("<tr><th scope=\"row\">");
        match host {
            Some(place) => places.link(page, place)?,
            None => write!(page, "{}", text(&finding.subject))?,
        }
        write!(
            page,
            "</th><td>{} <code>{}</code></td><td>{}",
            badge(finding.severity),
            text(&finding.code),
            text(&finding.message)
        )?;
        // What is gone is mended.
        if id == "new" {
            hint(page, finding.hint.as_deref())?;
        }
        page.push_str("</td></tr>\n");
    }
    page.push_str("</tbody>\n</table>\n</div>\n</details>\n");
    Ok(())
}

fn names(page: &mut String, title: &str, hosts: &[String]) -> std::fmt::Result {
    if hosts.is_empty() {
        return Ok(());
    }
    write!(
        page,
        "<details class=\"group change\"{}>\n<summary><h3>{title}</h3> <span class=\"count\">{}</span></summary>\n<ul class=\"names\">\n",
        if hosts.len() <= super::findings::OPEN { " open" } else { "" },
        counted(hosts.len(), "host", "hosts"),
    )?;
    for host in hosts {
        writeln!(page, "<li>{}</li>", text(host))?;
    }
    page.push_str("</ul>\n</details>\n");
    Ok(())
}
