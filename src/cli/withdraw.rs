//! `sshanchor withdraw`: takes this machine's SSHFP records away.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::publish::primary::{Primary, Run, Target};
use super::publish::{Port, keys, records};
use super::{Context, host_name};
use crate::agent::reconcile::Wish;
use crate::error::{Error, Kind};
use crate::proto::plan::Intent;

/// Remove this machine's SSHFP records.
///
/// Removes this machine's SSHFP records, and nobody else's. Which ones those are is known from what it
/// published; where it has published nothing, they are those of its present host keys. A record that was
/// removed can be replayed until its signature expires.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sshanchor withdraw --name web1.example.com --server 192.0.2.1 --key-file web1.key"
)]
pub(super) struct Args {
    /// The host whose records go
    #[arg(long, value_name = "HOST")]
    name: String,
    #[command(flatten)]
    primary: Primary,
    #[command(flatten)]
    port: Port,
    /// Also the record of this public host key file (repeatable)
    #[arg(long = "host-key", value_name = "PUBFILE")]
    host_keys: Vec<PathBuf>,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let name = host_name(&args.name)?;
    let nothing = Target::host(&name, args.port.port, BTreeSet::new(), Intent::Withdraw)?;
    let known = args.primary.own()?.contains_key(&nothing.wish.owner);
    // This machine's keys need not be readable, or be here any more, where the state knows better.
    let wanted = match known && args.host_keys.is_empty() {
        true => BTreeSet::new(),
        false => records(&keys(&args.host_keys, cx).await?),
    };
    let target = Target { wish: Wish { wanted, ..nothing.wish }, ..nothing };
    let run = Run { primary: &args.primary, batch: false, together: false };
    run.carry_out(vec![target], cx).await
}
