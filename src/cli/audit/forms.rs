//! The forms in which an audit is written.

use std::path::PathBuf;

use clap::ValueEnum;

use super::table::Table;
use crate::error::Error;
use crate::files;
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
    let ending = text.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let format = match ending.as_deref() {
        Some("json") => Format::Json,
        Some("txt") => Format::Table,
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
            .map_err(|e| Error::failure("io", format!("cannot write {}: {e}", self.path.display())))
    }
}

/// An audit in this form.
pub(super) fn text(format: Format, report: &Report) -> Result<String, Error> {
    Ok(match format {
        Format::Table => sanitise_lines(&Table { report, verbose: true }.text()),
        Format::Json => {
            let line = serde_json::to_string(report)
                .map_err(|e| Error::failure("internal", format!("cannot write JSON: {e}")))?;
            ascii(&line)
        }
    })
}
