//! `sshanchor bundle`: proofs that travel as a file.

mod check;
mod export;
mod inspect;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use super::Context;
use crate::dns::bundles::{self, BundleFileError};
use crate::error::{Error, Kind};
use crate::files::pipe;
use crate::proto::bundle::Bundle;
use crate::proto::rr::RrType;

/// Export proofs to a file, look into it, check it.
///
/// A bundle holds proofs of hosts' keys, from the records down to which they lead up to the keys of the root
/// zone, but no trust anchor: wherever it is used, each proof is made anew from the anchors there. It holds until
/// its signatures end, with or without DNS: verify --bundle FILE, proxy --bundle FILE.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Export(export::Args),
    Inspect(inspect::Args),
    Check(check::Args),
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    match args.command {
        Command::Export(args) => export::run(args, cx).await,
        Command::Inspect(args) => inspect::run(&args, cx),
        Command::Check(args) => check::run(&args, cx),
    }
}

/// `--bundle FILE` of the commands that verify.
#[derive(Debug, Default, clap::Args)]
pub(super) struct BundleFile {
    /// Use the proofs in this file (of bundle export) before DNS is asked; what it does not prove is asked for
    #[arg(long = "bundle", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl BundleFile {
    /// Reads it, if one was named. `patience` is for one that is a pipe.
    pub(super) fn load(&self, patience: Duration) -> Result<Option<Arc<Bundle>>, Error> {
        self.file.as_deref().map(|path| load(path, patience).map(Arc::new)).transpose()
    }
}

fn load(path: &Path, patience: Duration) -> Result<Bundle, Error> {
    bundles::load(path, patience).map_err(|e| {
        let hint = match &e {
            BundleFileError::Io(_, error) => pipe::hint(error),
            BundleFileError::Content(..) => None,
        };
        let usual = "want a file that sshanchor bundle export has written, as it was written";
        Error::usage("bundle", e).hint(hint.unwrap_or(usual))
    })
}

/// Keys and DS sets are there for the sake of the other entries.
fn is_of_a_zone(rtype: RrType) -> bool {
    matches!(rtype, RrType::DNSKEY | RrType::DS)
}
