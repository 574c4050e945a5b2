//! `sshanchor ca`: an SSH CA of one's own, or somebody else's, in DNS.

mod folder;
mod publish;
mod revoke;
mod set;
mod withdraw;

use clap::Subcommand;

use super::Context;
use crate::error::{Error, Kind};

/// SSH CAs: their keys in DNS, and what is revoked.
///
/// A CA key at _ca._ssh.example.com vouches, by the certificates that it signs, for every host at or below example.com
/// in that zone: one set of records for a whole fleet. Beside it stands _revoked._ssh.example.com with the keys that
/// nobody is to accept any more.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Publish(publish::Args),
    Withdraw(withdraw::Args),
    Revoke(Box<revoke::Args>),
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    match args.command {
        Command::Publish(args) => publish::run(args, cx).await,
        Command::Withdraw(args) => withdraw::run(args, cx).await,
        Command::Revoke(args) => revoke::run(*args, cx).await,
    }
}
