//! `sshanchor config check`: mistakes, dead rules and contradictions.

use serde::Serialize;

use crate::config::findings as tables;
use crate::config::{Cache, Config, Malformed, Mistake, Source, Typed, read};
use crate::error::{Error, Kind};
use crate::output::{Output, Report};
use crate::ownership::Untrusted;
use crate::proto::policy::Location;
use crate::proto::policy::findings::{self, cautions, findings};

/// Check the configuration: mistakes, dead rules, contradictions.
///
/// Reads all files and tells every mistake with its line; then what has no effect: patterns that no host can match,
/// settings that an earlier rule always decides, settings and tables that stand against each other, rules that pass every
/// host, files that somebody else may have written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 nothing was found, 2 a file is malformed, 5 something was found.")]
pub(super) struct Args {}

/// Something that was found.
#[derive(Debug, Serialize)]
struct Found {
    finding: String,
    file: String,
    line: Option<usize>,
    message: String,
    hint: Option<String>,
}

/// How it ended.
#[derive(Debug, Serialize)]
struct Checked {
    checked: Vec<String>,
    findings: usize,
}

pub(super) fn run(_args: &Args, typed: &Typed, out: Output) -> Result<Option<Kind>, Error> {
    let (config, malformed) = read(typed);
    let mut found: Vec<Found> = config.ignored.iter().map(Found::ignored).collect();
    found.extend(malformed.iter().flat_map(|file| file.mistakes.iter().map(|m| Found::mistake(file, m))));
    let has_cache = config.cache.value != Cache::Off;
    found
        .extend(findings(&config.policies, has_cache).iter().map(|finding| Found::finding(&config, finding)));
    found.extend(tables::findings(&config).iter().map(Found::of_table));
    found.iter().try_for_each(|found| out.result(found))?;
    for (place, caution) in cautions(&config.policies) {
        let file = config.files.get(place.file).map(|path| path.display().to_string()).unwrap_or_default();
        out.warn(&format!("{file} line {}: {caution}", place.line));
    }
    let paths = config.files.iter().chain(malformed.iter().map(|file| &file.path));
    let checked = paths.map(|path| path.display().to_string()).collect();
    out.result(&Checked { checked, findings: found.len() })?;
    Ok(match (malformed.is_empty(), found.is_empty()) {
        (false, _) => Some(Kind::Usage),
        (true, false) => Some(Kind::Pending),
        (true, true) => None,
    })
}

impl Found {
    fn of_table(finding: &tables::Finding) -> Self {
        let (file, line) = place(&finding.source);
        Found {
            finding: finding.kind.to_string(),
            file,
            line,
            message: finding.message.clone(),
            hint: Some(finding.hint.to_owned()),
        }
    }

    fn ignored(untrusted: &Untrusted) -> Self {
        Found {
            finding: "ignored".to_owned(),
            file: untrusted.path().display().to_string(),
            line: None,
            message: format!("the configuration does not count: {untrusted}"),
            hint: Some(format!("look whether it was changed, then {}", untrusted.hint())),
        }
    }

    fn mistake(file: &Malformed, mistake: &Mistake) -> Self {
        let shown = mistake.shown.as_ref().map(|shown| format!(": {shown}")).unwrap_or_default();
        Found {
            finding: "malformed".to_owned(),
            file: file.path.display().to_string(),
            line: mistake.line,
            message: format!("{}{shown}", mistake.message),
            hint: None,
        }
    }

    fn finding(config: &Config, finding: &findings::Finding) -> Self {
        let file = |place: Location| config.files.get(place.file).map(|path| path.display().to_string());
        let because = finding.because.map(|because| match because.file == finding.place.file {
            true => format!(" (line {})", because.line),
            false => format!(" ({} line {})", file(because).unwrap_or_default(), because.line),
        });
        Found {
            finding: finding.kind.to_string(),
            file: file(finding.place).unwrap_or_default(),
            line: Some(finding.place.line),
            message: format!("{}{}", finding.message, because.unwrap_or_default()),
            hint: Some(finding.hint().to_owned()),
        }
    }
}

/// The file and the line, or the option or variable.
fn place(source: &Source) -> (String, Option<usize>) {
    match source {
        Source::Default => (String::new(), None),
        Source::Option(name) | Source::Environment(name) => ((*name).to_owned(), None),
        Source::File { path, line } => (path.display().to_string(), Some(*line)),
    }
}

impl Report for Found {
    fn text(&self) -> String {
        let line = self.line.map(|line| format!(" line {line}")).unwrap_or_default();
        let hint = self.hint.as_ref().map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        format!("{}{line}: {}: {}{hint}", self.file, self.finding, self.message)
    }
}

impl Report for Checked {
    fn text(&self) -> String {
        let files =
            if self.checked.is_empty() { "no configuration".to_owned() } else { self.checked.join(", ") };
        match self.findings {
            0 => format!("{files}: nothing was found"),
            1 => format!("{files}: 1 finding"),
            more => format!("{files}: {more} findings"),
        }
    }
}
