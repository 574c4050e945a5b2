//! `sshanchor bundle check`: whether each proof in a file holds, now or at another time.

use std::path::PathBuf;

use serde::Serialize;

use super::{is_of_a_zone, load};
use crate::cli::Context;
use crate::error::{Error, Kind};
use crate::output::{Report, rfc3339};
use crate::proto::chain::{Answer, ChainError, Entry, Prover};
use crate::proto::denial::Status;
use crate::proto::message::Question;
use crate::proto::rr::Origin;
use crate::verifier::{now, trust_anchors};

/// Prove everything in a bundle, now or at another time.
///
/// Proves each answer in the bundle from the trust anchors, without DNS, and tells until when it holds. Exits 0
/// only if all of them hold; 4 if one does not.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor bundle check fleet.bundle --at 2026-12-24T18:00:00Z")]
pub(super) struct Args {
    /// The bundle
    file: PathBuf,
    /// Prove for this moment instead of now: RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<u64>,
}

fn moment(text: &str) -> Result<u64, String> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let seconds = text
        .parse()
        .ok()
        .or_else(|| u64::try_from(OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp()).ok());
    // RRSIG times have 32 bits: later moments would be taken for earlier ones.
    let seconds: Option<u64> = seconds.filter(|seconds| *seconds <= u64::from(u32::MAX));
    seconds.ok_or_else(|| {
        "want a time such as 2026-12-24T18:00:00Z, or seconds since 1970, before February 2106".to_owned()
    })
}

#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    status: Status,
    records: Vec<String>,
    reason: Option<&'static str>,
    message: Option<String>,
    hint: Option<&'static str>,
    source: &'static str,
    at: Option<String>,
    valid_until: Option<String>,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let bundle = load(&args.file, cx.timeout)?;
    let at = args.at.unwrap_or_else(now);
    let mut prover = Prover::new(trust_anchors(cx.trust_anchor.as_deref(), cx.timeout)?, at);
    let mut all = true;
    let mut questions = bundle.entries().map(Entry::question).filter(|q| !is_of_a_zone(q.rtype)).peekable();
    if questions.peek().is_none() {
        let message = format!("{} proves nothing: it is about no host", args.file.display());
        return Err(Error::new(Kind::Unproven, "not-proven", message).hint("export it anew"));
    }
    for asked in questions {
        let checked = Checked::new(asked, bundle.prove(asked, &mut prover), at);
        all &= checked.status == Status::Secure;
        cx.out.result(&checked)?;
    }
    Ok((!all).then_some(Kind::Unproven))
}

impl Checked {
    fn new(asked: &Question, outcome: Result<Answer, ChainError>, at: u64) -> Self {
        let error = outcome.as_ref().err();
        Checked {
            name: asked.name.to_string(),
            rtype: asked.rtype.to_string(),
            status: match error {
                None => Status::Secure,
                // What is not in the file may be true all the same.
                Some(ChainError::Unanswered { .. } | ChainError::NoAnchor { .. }) => Status::Indeterminate,
                Some(_) => Status::Bogus,
            },
            records: outcome.as_ref().map(|answer| answer.data().set().presentation()).unwrap_or_default(),
            reason: error.map(ChainError::code),
            message: error.map(ToString::to_string),
            hint: error.map(hint),
            source: Origin::Bundle.code(),
            at: rfc3339(at),
            valid_until: outcome.as_ref().ok().and_then(|answer| rfc3339(answer.expires())),
        }
    }
}

fn hint(error: &ChainError) -> &'static str {
    match error {
        ChainError::NoAnchor { .. } => "name a trust anchor at or above this name: --trust-anchor FILE",
        ChainError::AnchorMismatch { .. } => {
            "the trust anchor here is not the one that these proofs lead to: compare the two, or name it (--trust-anchor FILE)"
        }
        ChainError::NotYetValid { .. } => "check this machine's clock, or the time that --at names",
        _ => "where DNS can be asked, export it anew: sshanchor bundle export HOST -o FILE",
    }
}

impl Report for Checked {
    fn text(&self) -> String {
        let until = self.valid_until.as_ref().map(|until| format!(" until {until}")).unwrap_or_default();
        let why = self.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let hint = self.hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        format!("{} {}: {}{until}{why}{hint}", self.name, self.rtype, self.status)
    }
}
