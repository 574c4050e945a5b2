//! `sshanchor ca list`: what a CA has signed.

use serde::Serialize;

use super::sign::Told;
use super::{CaFolder, ca_error};
use crate::cli::{Context, host_name};
use crate::error::{Error, Kind};
use crate::output::{Report, rfc3339};
use crate::proto::issuance::ledger::{self, Standing, State};
use crate::proto::moment;
use crate::verifier;

/// List the certificates that a CA has signed.
///
/// Lists, by the CA's journal, the certificates that are good, and those that are revoked and not expired: state, end,
/// names, key, serial number.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor ca list --name web1.example.com\n          \
    sshanchor ca list --expired --json")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    folder: CaFolder,
    /// Those that are expired as well
    #[arg(long)]
    expired: bool,
    /// Only those for this name
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
}

#[derive(Debug, Serialize)]
struct Listed {
    state: State,
    /// When it was signed.
    time: Option<String>,
    #[serde(flatten)]
    issued: Told,
    #[serde(skip)]
    text: String,
}

impl From<&Standing> for Listed {
    fn from(standing: &Standing) -> Self {
        let issued = &standing.issued;
        let state = match standing.state {
            State::Valid => "valid",
            State::Expired => "expired",
            State::Revoked => "revoked",
        };
        let (end, names) = (moment::text(issued.valid_before), issued.principals.join(","));
        Listed {
            state: standing.state,
            time: rfc3339(standing.time),
            issued: Told::from(issued),
            text: format!("{state:7} {end} {names} {} {}", issued.key, issued.serial),
        }
    }
}

impl Report for Listed {
    fn text(&self) -> String {
        self.text.clone()
    }
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let name = args.name.as_deref().map(host_name).transpose()?.map(|name| name.to_string());
    let ca = args.folder.open()?;
    let now = verifier::now();
    let entries = ca.journal().read().map_err(ca_error)?;
    let is_wanted = |standing: &&Standing| {
        (args.expired || now < standing.issued.valid_before)
            && name.as_ref().is_none_or(|name| standing.issued.principals.contains(name))
    };
    let certificates = ledger::certificates(entries, now);
    let wanted: Vec<&Standing> = certificates.iter().filter(is_wanted).collect();
    for standing in &wanted {
        cx.out.result(&Listed::from(*standing))?;
    }
    if wanted.is_empty() {
        cx.out.note(if certificates.is_empty() { "nothing was signed yet" } else { "no such certificate" });
    }
    Ok(None)
}
