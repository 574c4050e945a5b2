//! `sshanchor agent`: this machine's records, right without anybody looking.

mod status;

use clap::Subcommand;

use super::Context;
use crate::error::{Error, Kind};

/// Look after this machine's records.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    match args.command {
        Command::Status(args) => status::run(&args, cx).await,
    }
}
