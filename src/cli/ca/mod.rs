//! `sshanchor ca`: certificates of hosts.

mod renew;

use clap::Subcommand;

use super::Context;
use crate::error::{Error, Kind};

/// Host certificates, and the CA that vouches for hosts.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Renew(Box<renew::Args>),
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    match args.command {
        Command::Renew(args) => renew::run(*args, cx).await,
    }
}
