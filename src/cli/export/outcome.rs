//! What came of the hosts, and where it goes: a file or standard output, all of it or nothing.

use std::path::PathBuf;

use data_encoding::{BASE64, HEXLOWER};
use serde::Serialize;

use crate::cli::Context;
use crate::cli::verify::Judged;
use crate::error::{Error, Kind};
use crate::files;
use crate::output::{self, Report, rfc3339};
use crate::proto::export::{ExportError, RecordSet};
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;
use crate::proto::rr::Origin;
use crate::verifier::NoKeys;

/// Where the text goes.
#[derive(Debug, clap::Args)]
pub(super) struct Destination {
    /// Write to this file, as a whole or not at all [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write what is proven even if some hosts are not
    #[arg(long)]
    partial: bool,
}

/// What is known of a host.
#[derive(Debug)]
pub(super) struct Exported {
    pub(super) host: HostName,
    pub(super) port: u16,
    pub(super) keys: Vec<HostKey>,
    pub(super) sets: Vec<RecordSet>,
    /// Where the proof came from; none if the source is key files.
    pub(super) origin: Option<Origin>,
    /// Until when the proof may be kept, in seconds since 1970.
    pub(super) valid_until: Option<u64>,
}

/// A host of which nothing is exported.
#[derive(Debug, Serialize)]
pub(super) struct Missing {
    host: String,
    port: u16,
    reason: &'static str,
    message: String,
    hint: Option<String>,
    #[serde(skip)]
    kind: Kind,
}

/// What came of all hosts, in the order in which they were named.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) exported: Vec<Exported>,
    pub(super) missing: Vec<Missing>,
}

impl Missing {
    pub(super) fn new(host: &HostName, port: u16, why: NoKeys) -> Self {
        let judged = match why {
            NoKeys::Verdict(verdict) => Judged::verdict(host, port, verdict, None),
            NoKeys::Failed(failure) => Judged::failure(host, port, &failure),
        };
        Missing {
            host: host.to_string(),
            port,
            reason: judged.reason.unwrap_or("internal"),
            message: judged.message,
            hint: judged.hint,
            kind: judged.kind.unwrap_or(Kind::Failure),
        }
    }

    /// Its records stand at a name that is not exported.
    pub(super) fn unfit(host: &HostName, port: u16, why: &ExportError) -> Self {
        Missing {
            host: host.to_string(),
            port,
            reason: "name",
            message: why.to_string(),
            hint: None,
            kind: Kind::Failure,
        }
    }
}

/// Records that do not fit what was asked for.
pub(super) fn unfit(error: ExportError) -> Error {
    let told = Error::usage("name", &error);
    match error {
        ExportError::OtherZone { .. } => {
            told.hint("give the zone in which all these names are: --zone ZONE; a run for each zone")
        }
        ExportError::Owner(_) => told,
    }
}

#[derive(Debug, Serialize)]
struct Done<'a> {
    format: &'static str,
    /// The file that was written.
    file: Option<String>,
    /// What would have been in it.
    text: Option<&'a str>,
    hosts: Vec<Host>,
    unproven: &'a [Missing],
}

#[derive(Debug, Serialize)]
struct Host {
    host: String,
    port: u16,
    keys: Vec<Key>,
    records: Vec<Record>,
    /// dns, cache, bundle or grace; null if it comes from key files.
    source: Option<&'static str>,
    /// How old a proof in grace is, in seconds.
    age: Option<u64>,
    valid_until: Option<String>,
}

#[derive(Debug, Serialize)]
struct Key {
    #[serde(rename = "type")]
    key_type: &'static str,
    /// The blob in base64.
    key: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct Record {
    owner: String,
    ttl: Option<u32>,
    record: String,
}

/// Nothing was written. As every error, and why.
#[derive(Debug, Serialize)]
struct Undone<'a> {
    format: &'static str,
    error: &'a str,
    reason: &'a str,
    hint: Option<&'a str>,
    unproven: &'a [Missing],
}

impl Exported {
    fn told(&self, now: u64) -> Host {
        let key = |key: &HostKey| Key {
            key_type: key.key_type().name(),
            key: BASE64.encode(key.blob()),
            sha256: HEXLOWER.encode(&key.sha256()),
        };
        let records = self.sets.iter().flat_map(|set| {
            let of = |record: &crate::proto::sshfp::Sshfp| Record {
                owner: set.owner().to_string(),
                ttl: set.ttl(),
                record: record.to_string(),
            };
            set.records().map(of)
        });
        Host {
            host: self.host.to_string(),
            port: self.port,
            keys: self.keys.iter().map(key).collect(),
            records: records.collect(),
            source: self.origin.map(Origin::code),
            age: self.origin.and_then(|origin| origin.age(now)),
            valid_until: self.valid_until.and_then(rfc3339),
        }
    }
}

impl Destination {
    /// Renders what came of the hosts and writes it; says how the command ends.
    pub(super) fn write(
        &self,
        cx: &Context,
        format: &'static str,
        outcome: &Outcome,
        render: impl FnOnce(&[Exported]) -> Result<String, Error>,
    ) -> Result<Option<Kind>, Error> {
        let Outcome { exported, missing } = outcome;
        for Missing { host, port, message, hint, .. } in missing {
            let hint = hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
            cx.out.warn(&format!("{host}:{port}: {message}{hint}"));
        }
        let gravest = Kind::gravest(missing.iter().map(|missing| missing.kind));
        if let Some(kind) = gravest.filter(|_| !self.partial || exported.is_empty()) {
            return self.undone(cx, format, outcome, kind);
        }
        let text = render(exported)?;
        if let Some(file) = &self.output {
            files::write(file, text.as_bytes())
                .map_err(|e| Error::io(format!("{}: {e}", file.display()), &e))?;
        }
        let now = crate::verifier::now();
        cx.out.result(&Done {
            format,
            file: self.output.as_ref().map(|file| file.display().to_string()),
            text: self.output.is_none().then_some(&text),
            hosts: exported.iter().map(|exported| exported.told(now)).collect(),
            unproven: missing,
        })?;
        Ok(gravest)
    }

    fn undone(
        &self,
        cx: &Context,
        format: &'static str,
        Outcome { exported, missing }: &Outcome,
        kind: Kind,
    ) -> Result<Option<Kind>, Error> {
        let (count, all) = (missing.len(), missing.len() + exported.len());
        let message = match &self.output {
            Some(file) => {
                format!("{count} of {all} hosts left out, and so {} was not written", file.display())
            }
            None => format!("{count} of {all} hosts left out, and so nothing is written"),
        };
        let mut error = Error::new(kind, "not-proven", message);
        if !exported.is_empty() {
            error = error.hint("mend these hosts, or write the others with --partial");
        }
        if cx.out.json {
            let Error { message, reason, hint, .. } = &error;
            let hint = hint.as_deref();
            cx.out.json_line(&Undone { format, error: message, reason, hint, unproven: missing })?;
        }
        cx.out.error_text(&error);
        Ok(Some(kind))
    }
}

impl Report for Done<'_> {
    fn text(&self) -> String {
        match (self.text, &self.file) {
            (Some(text), _) => text.trim_end().to_owned(),
            (None, Some(file)) => {
                format!("{file}: {} of {}", self.format, output::hosts(self.hosts.len()))
            }
            (None, None) => String::new(),
        }
    }
}
