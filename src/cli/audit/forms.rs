//! The forms in which an audit is written.

use std::path::PathBuf;

use clap::ValueEnum;

use super::table::Table;
use crate::error::Error;
use crate::files;
use crate::fleet::report;
use crate::output::Report as _;
use crate::output::sanitise_lines;
use crate::proto::ascii_json::ascii;
use crate::proto::audit::Report;

/// How an audit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people: a summary, then the findings, the gravest first.
    #[value(alias = "txt", alias = "text")]
    Table,
    /// The whole of it, as one object.
    Json,
    /// A line a finding, for spreadsheets.
    Csv,
    /// For tools that gather findings from run to run (SARIF 2.1.0).
    Sarif,
    /// For the textfile collector of Prometheus's node exporter.
    #[value(alias = "prom")]
    Prometheus,
    /// A page that people can look at.
    Html,
}

/// A file to be written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    format: Format,
    path: PathBuf,
}

/// `[FORM=]FILE`.
pub(super) fn written(text: &str) -> Result<Written, String> {
    if let Some((form, file)) = text.split_once('=')
        && let Ok(format) = Format::from_str(form, false)
        && !file.is_empty()
    {
        return Ok(Written { format, path: file.into() });
    }
    let lower = text.to_ascii_lowercase();
    let ending = lower.strip_suffix(".json").filter(|rest| rest.ends_with(".sarif")).unwrap_or(&lower);
    let format = match ending.rsplit_once('.').map(|(_, ending)| ending) {
        Some("json") => Format::Json,
        Some("txt") => Format::Table,
        Some("csv") => Format::Csv,
        Some("sarif") => Format::Sarif,
        Some("prom") => Format::Prometheus,
        Some("html" | "htm") => Format::Html,
        _ => {
            let forms: Vec<String> = Format::value_variants()
                .iter()
                .filter_map(|form| Some(form.to_possible_value()?.get_name().to_owned()))
                .collect();
            return Err(format!(
                "its ending names no form: put one before it, FORM=FILE ({})",
                forms.join(", ")
            ));
        }
    };
    Ok(Written { format, path: text.into() })
}

impl Written {
    /// Writes the whole file, or nothing: whoever reads it never sees a part.
    pub(super) fn write(&self, report: &Report) -> Result<(), Error> {
        let mut text = text(self.format, report)?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
        files::write(&self.path, text.as_bytes())
            .map_err(|e| Error::io(format!("cannot write {}: {e}", self.path.display()), &e))
    }
}

/// An audit in this form.
pub(super) fn text(format: Format, audit: &Report) -> Result<String, Error> {
    Ok(match format {
        Format::Table => sanitise_lines(&Table { report: audit, verbose: true, quiet: None }.text()),
        Format::Json => {
            let line = serde_json::to_string(audit)
                .map_err(|e| Error::failure("internal", format!("cannot write JSON: {e}")))?;
            ascii(&line)
        }
        Format::Csv => report::csv(audit),
        Format::Sarif => report::sarif(audit)?,
        Format::Prometheus => report::prometheus(audit),
        Format::Html => report::html(audit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_its_form_by_its_ending_or_before_its_name() {
        for (text, format, path) in [
            ("audit.json", Format::Json, "audit.json"),
            ("x/audit.SARIF", Format::Sarif, "x/audit.SARIF"),
            ("audit.sarif.json", Format::Sarif, "audit.sarif.json"),
            ("sshanchor.prom", Format::Prometheus, "sshanchor.prom"),
            ("a.htm", Format::Html, "a.htm"),
            ("json=audit", Format::Json, "audit"),
            ("table=a=b.csv", Format::Table, "a=b.csv"),
            ("x=audit.csv", Format::Csv, "x=audit.csv"),
        ] {
            let written = written(text).unwrap();
            assert_eq!((written.format, written.path.to_str()), (format, Some(path)), "{text}");
        }
        for bad in ["", "audit", "audit.pdf", "json=", "xml=audit"] {
            assert!(written(bad).unwrap_err().contains("table, json"), "{bad}");
        }
    }
}
