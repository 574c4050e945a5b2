//! `sshanchor bundle inspect`: what a file holds, as it says.

use std::path::PathBuf;

use serde::Serialize;

use super::{is_of_a_zone, load};
use crate::cli::Context;
use crate::error::{Error, Kind};
use crate::output::{Report, rfc3339};
use crate::proto::bundle::VERSION;
use crate::proto::chain::Entry;

/// Show what a bundle holds, proving nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor bundle inspect fleet.bundle")]
pub(super) struct Args {
    /// The bundle
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Contents {
    file: String,
    version: u32,
    made: Option<String>,
    entries: usize,
    /// The zones whose keys are in it.
    zones: Vec<String>,
    answers: Vec<Held>,
}

#[derive(Debug, Serialize)]
struct Held {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    /// CNAME or DNAME, where it leads to another name.
    alias: Option<String>,
    records: Vec<String>,
    fetched: Option<String>,
    /// Until when every signature of it claims to hold; unknown where some of them is not there.
    signed_until: Option<String>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let bundle = load(&args.file, cx.timeout)?;
    let zones = bundle.entries().map(Entry::question).filter(|q| is_of_a_zone(q.rtype));
    let mut zones: Vec<String> = zones.map(|q| q.name.to_string()).collect();
    zones.dedup();
    let answers = bundle.entries().filter(|entry| !is_of_a_zone(entry.question().rtype)).map(|entry| {
        let (question, set) = (entry.question(), entry.set());
        Held {
            name: question.name.to_string(),
            rtype: question.rtype.to_string(),
            alias: (set.rtype() != question.rtype).then(|| set.rtype().to_string()),
            records: set.presentation(),
            fetched: rfc3339(entry.fetched()),
            signed_until: bundle.signed_until(entry).and_then(rfc3339),
        }
    });
    cx.out.result(&Contents {
        file: args.file.display().to_string(),
        version: VERSION,
        made: rfc3339(bundle.made()),
        entries: bundle.entries().len(),
        zones,
        answers: answers.collect(),
    })?;
    Ok(None)
}

impl Report for Contents {
    fn text(&self) -> String {
        let made = self.made.as_deref().unwrap_or("at no time that can be told");
        let mut lines = vec![
            format!("{}: version {}, made {made}, {} entries", self.file, self.version, self.entries),
            format!("zones: {}", self.zones.join(", ")),
        ];
        for held in &self.answers {
            let until =
                held.signed_until.as_deref().unwrap_or("a time that cannot be told: parts are missing");
            lines.push(format!("{} {}: signed until {until}", held.name, held.rtype));
            let alias = held.alias.as_ref().map(|alias| format!("{alias} ")).unwrap_or_default();
            lines.extend(held.records.iter().map(|record| format!("  {alias}{record}")));
        }
        lines.push("nothing of this was proven: sshanchor bundle check FILE does".to_owned());
        lines.join("\n")
    }
}
