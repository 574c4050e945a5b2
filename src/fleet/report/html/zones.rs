//! The zones, and whether their servers agree.

use std::fmt::Write;

use super::text::{number, text};
use crate::proto::audit::{Server, ZoneReport};

pub(super) fn section(page: &mut String, zones: &[ZoneReport]) -> std::fmt::Result {
    if zones.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<section id=\"zones\" aria-labelledby=\"zones-title\">\n<h2 id=\"zones-title\">Zones</h2>\n\
         <div class=\"wide\" tabindex=\"0\" role=\"region\" aria-labelledby=\"zones-title\">\n<table>\n\
         <thead><tr><th scope=\"col\">Zone</th><th scope=\"col\">Hosts</th><th scope=\"col\">Server</th>\
         <th scope=\"col\">Serial</th><th scope=\"col\">Records</th></tr></thead>\n",
    );
    for zone in zones {
        page.push_str("<tbody>\n");
        let rows = zone.servers.len().max(1);
        for at in 0..rows {
            page.push_str("<tr>");
            if at == 0 {
                write!(
                    page,
                    "<th scope=\"rowgroup\" rowspan=\"{rows}\">{}</th><td rowspan=\"{rows}\">{}</td>",
                    text(&zone.zone),
                    number(zone.hosts)
                )?;
            }
            match zone.servers.get(at) {
                Some(server) => cells(page, server)?,
                None => page.push_str("<td colspan=\"3\">no server is known</td>"),
            }
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody>\n");
    }
    page.push_str("</table>\n</div>\n</section>\n");
    Ok(())
}

fn cells(page: &mut String, server: &Server) -> std::fmt::Result {
    write!(page, "<td>{}</td>", label(server))?;
    match server.serial {
        Some(serial) => write!(page, "<td>{serial}</td>")?,
        None => page.push_str("<td>no answer</td>"),
    }
    let (class, word) = agreement(server);
    write!(page, "<td><span class=\"badge {class}\">{word}</span></td>")
}

/// Name and address, as far as they are known.
pub(super) fn label(server: &Server) -> String {
    match &server.name {
        Some(name) if server.address.is_empty() => format!("{} (no address)", text(name)),
        Some(name) => format!("{} <span class=\"subject\">{}</span>", text(name), text(&server.address)),
        None => text(&server.address).to_string(),
    }
}

/// Whether it has the records that it should have.
pub(super) fn agreement(server: &Server) -> (&'static str, &'static str) {
    match server.agrees {
        Some(true) => ("accept", "agrees"),
        Some(false) => ("warning", "differs"),
        None => ("info", "unknown"),
    }
}
