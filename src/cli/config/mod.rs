//! `sshanchor config`: what is configured, what of it is in vain, and what ssh is to do about it.

mod check;
mod show;
mod ssh;

use clap::Subcommand;

use crate::config::Typed;
use crate::error::{Error, Kind};
use crate::output::Output;

/// Have ssh prove host keys (config ssh); show and check what is configured.
///
/// Settings come from options, from the environment, from the user's file (~/.config/sshanchor/config.toml) and from
/// the system's (/etc/sshanchor/config.toml), in this order. --config FILE takes the place of both files.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Args),
    Check(check::Args),
    Ssh(ssh::Args),
}

/// None asks the network anything. Reads the configuration itself: `check` goes on where it is malformed.
pub(super) fn run(args: Args, typed: &Typed, out: Output) -> Result<Option<Kind>, Error> {
    match args.command {
        Command::Show(args) => show::run(args, typed, out),
        Command::Check(args) => check::run(&args, typed, out),
        Command::Ssh(args) => super::in_runtime(ssh::run(args, typed, out)),
    }
}
