//! `sshanchor lookup`: the proven answer and its status.

use serde::Serialize;

use super::Context;
use crate::error::{Error, Kind};
use crate::output::{Report, rfc3339};
use crate::proto::chain::{Answer, ChainError, Proven};
use crate::proto::denial::{Status, Unproven};
use crate::proto::message::{NOERROR, Question, rcode_name};
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};
use crate::proto::verdict::{hint_for, status_code};

/// Look a name up and prove the answer from a trust anchor.
///
/// Looks NAME up and proves the answer, signature by signature, from a trust anchor. Exits 0 only if it
/// is secure; 4 if it is insecure, bogus, absent or indeterminate, with the reason.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sshanchor lookup web1.example.com\n         sshanchor lookup _ca._ssh.example.com --json"
)]
pub(super) struct Args {
    /// The name to look up
    name: String,
    /// The record type
    #[arg(long = "type", value_name = "TYPE", default_value = "SSHFP", value_parser = rtype)]
    rtype: RrType,
}

fn rtype(text: &str) -> Result<RrType, String> {
    RrType::from_text(text)
        .filter(|t| !t.is_meta())
        .ok_or_else(|| "want a record type such as SSHFP, A, CNAME, DNSKEY or TYPE65280".to_owned())
}

#[derive(Debug, Serialize)]
struct Found {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    status: Status,
    rcode: Option<String>,
    records: Vec<String>,
    reason: Option<&'static str>,
    message: Option<String>,
    hint: Option<String>,
    source: &'static str,
    valid_until: Option<String>,
    /// The zones of the chain, from the anchor down.
    chain: Vec<String>,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let name =
        Name::from_text(&args.name).map_err(|e| Error::usage("name", format!("{:?}: {e}", args.name)))?;
    let verifier = cx.verifier()?;
    let asked = Question::new(name, args.rtype);
    let outcome = verifier.lookups().prove(&asked).await;
    let (rcode, seen) = verifier.lookups().seen(&asked);
    let found = match &outcome {
        Ok(answer) => secure(&asked, answer),
        Err(unproven) => unproven_answer(&asked, unproven, rcode, seen),
    };
    cx.out.result(&found)?;
    // An expansion from a wildcard is secure as an answer, though it vouches for no host.
    Ok((found.status != Status::Secure).then_some(Kind::Unproven))
}

fn secure(asked: &Question, answer: &Answer) -> Found {
    let mut chain: Vec<String> = answer.data().zones().map(|zone| zone.name().to_string()).collect();
    chain.reverse();
    Found {
        name: asked.name.to_string(),
        rtype: asked.rtype.to_string(),
        status: Status::Secure,
        rcode: Some(rcode_name(NOERROR)),
        records: answer.data().set().presentation(),
        reason: None,
        message: aliases(answer.aliases()),
        hint: None,
        source: answer.origin().code(),
        valid_until: rfc3339(answer.valid_until()),
        chain,
    }
}

fn aliases(aliases: &[Proven]) -> Option<String> {
    let steps: Vec<String> = aliases
        .iter()
        .map(|alias| {
            let set = alias.set();
            format!("{} {} {}", set.owner(), set.rtype(), set.presentation().join(" "))
        })
        .collect();
    (!steps.is_empty()).then(|| format!("by way of {}", steps.join(", ")))
}

fn unproven_answer(asked: &Question, cause: &Unproven, rcode: Option<u16>, seen: Option<RrSet>) -> Found {
    // Records that nobody claims to have signed may interest a person; those of a bogus answer are nobody's.
    let unclaimed = matches!(cause.status, Status::Insecure | Status::Secure)
        || matches!(cause.error, ChainError::NoAnchor { .. });
    let shown = seen.filter(|_| unclaimed);
    Found {
        name: asked.name.to_string(),
        rtype: asked.rtype.to_string(),
        status: cause.status,
        rcode: rcode.map(rcode_name),
        records: shown.map(|set| set.presentation()).unwrap_or_default(),
        reason: Some(status_code(cause)),
        message: Some(cause.error.to_string()),
        hint: Some(hint_for(&asked.name, cause)),
        source: "dns",
        valid_until: None,
        chain: Vec::new(),
    }
}

impl Report for Found {
    fn text(&self) -> String {
        let mut lines = vec![format!("{} {}: {}", self.name, self.rtype, self.status)];
        let unproven = if self.status == Status::Secure { "" } else { "not proven: " };
        lines.extend(self.records.iter().map(|record| format!("  {unproven}{record}")));
        lines.extend(self.message.iter().map(|message| format!("  {message}")));
        if !self.chain.is_empty() {
            lines.push(format!("  chain: {}", self.chain.join(" -> ")));
        }
        lines.extend(self.valid_until.iter().map(|until| format!("  valid until {until}")));
        lines.extend(self.hint.iter().map(|hint| format!("  hint: {hint}")));
        lines.join("\n")
    }
}
