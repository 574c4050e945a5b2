//! An audit as a page that people can look at: one file, which loads nothing and runs nothing but its own few lines that
//! filter and sort. It can be read without them.
//!
//! | file | what is in it |
//! |---|---|
//! | `text` | how text gets into a page |
//! | `summary` | how much there is of what |
//! | `changes` | what changed since an earlier audit |
//! | `findings` | by severity and code |
//! | `zones` | the zones and their servers |
//! | `hosts` | every host, with all that is known of it |
//! | `legend` | what the words mean |

mod changes;
mod findings;
mod hosts;
mod legend;
mod summary;
mod text;
mod zones;

use std::fmt::Write;

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use crate::proto::audit::Report;
use text::{moment, text};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// One self-contained HTML5 document, in ASCII; with its final line feed.
pub fn html(report: &Report) -> String {
    let mut page = String::new();
    // Writing to a String does not fail, here and in all of this folder.
    let _ = head(&mut page, report);
    let _ = body(&mut page, report);
    page
}

/// What a browser may load and run: the style and the script that stand in the page, known by their digests.
fn policy() -> String {
    let digest = |content: &str| BASE64.encode(&Sha256::digest(content.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(STYLE),
        digest(SCRIPT)
    )
}

fn head(page: &mut String, report: &Report) -> std::fmt::Result {
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <meta name=\"generator\" content=\"sshanchor {}\">\n\
         <title>SSH host identities: audit of {}</title>\n<style>{STYLE}</style>\n</head>\n",
        policy(),
        text(&report.program),
        moment(report.time),
    )
}

fn body(page: &mut String, report: &Report) -> std::fmt::Result {
    page.push_str("<body>\n<a class=\"skip\" href=\"#summary\">Skip to the summary</a>\n");
    summary::header(page, report)?;
    page.push_str("<main>\n");
    summary::section(page, report)?;
    hosts::controls(page, report.hosts.len())?;
    if let Some(changes) = &report.changes {
        changes::section(page, report, changes)?;
    }
    findings::section(page, report)?;
    zones::section(page, &report.zones)?;
    hosts::section(page, &report.hosts)?;
    legend::section(page);
    page.push_str("</main>\n");
    write!(
        page,
        "<footer>\n<p>Made by sshanchor {} from an audit of {}. All times are UTC. The same audit for programs: \
         <code>sshanchor audit --json</code>.</p>\n</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        text(&report.program),
        moment(report.time),
    )
}

#[cfg(test)]
mod tests;
