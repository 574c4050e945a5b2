//! `sshanchor withdraw`: takes this machine's SSHFP records away.

use std::path::PathBuf;

use super::publish::primary::{Primary, Run};
use super::publish::{Port, configured, keys, records};
use super::{Context, host_name};
use crate::agent::machine;
use crate::error::{Error, Kind};
use crate::proto::name::HostName;
use crate::proto::plan::Intent;
use crate::proto::sshfp::SshfpSet;

/// Remove this machine's SSHFP records.
///
/// Removes this machine's SSHFP records, and nobody else's. Which ones those are is known from what it
/// published; where it has published nothing, they are those of its present host keys. A record that was
/// removed can be replayed until its signature expires.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor withdraw --name web1.example.com --server 192.0.2.1 --key-file web1.key\n          \
    sshanchor withdraw --orphans --dry-run"
)]
pub(super) struct Args {
    /// The host whose records go [default: the names in [publish] of the configuration]
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// The records at names that [publish] had once and does not have any more: the machine was renamed, or a name taken
    /// out. Where they are kept is known
    #[arg(long, conflicts_with_all = ["name", "port", "host_keys"])]
    orphans: bool,
    #[command(flatten)]
    primary: Primary,
    #[command(flatten)]
    port: Port,
    /// Also the record of this public host key file (repeatable)
    #[arg(long = "host-key", value_name = "PUBFILE")]
    host_keys: Vec<PathBuf>,
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    if args.orphans {
        return orphans(&args, cx).await;
    }
    let asked: Vec<HostName> = args.name.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?;
    let mut kinds = Vec::new();
    for job in configured::jobs(&args.primary, &asked, cx).await? {
        let files = if args.host_keys.is_empty() { &job.host_keys } else { &args.host_keys };
        let port = args.port.port.or(job.port);
        let own = job.primary.own()?;
        let mut targets = machine::targets(&job.names, port, &SshfpSet::new(), Intent::Withdraw)?;
        // This machine's keys need not be readable, or be here any more, where the state knows better.
        let is_known = targets.iter().all(|target| own.contains_key(&target.wish.owner));
        if !is_known || !args.host_keys.is_empty() {
            let wanted = records(&keys(files, cx).await?);
            targets.iter_mut().for_each(|target| target.wish.wanted.clone_from(&wanted));
        }
        let run = Run { primary: &job.primary, batch: false, together: false };
        kinds.extend(run.carry_out(targets, cx).await?);
    }
    Ok(Kind::gravest(kinds))
}

async fn orphans(args: &Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let goodbyes = configured::goodbyes(&args.primary, cx).await?;
    if goodbyes.is_empty() {
        cx.out.note("there are no orphans: whatever [publish] had this machine publish, it still names");
    }
    let mut kinds = Vec::new();
    for goodbye in goodbyes {
        match goodbye {
            Ok((primary, target)) => {
                let run = Run { primary: &primary, batch: true, together: false };
                kinds.extend(run.carry_out(vec![target], cx).await?);
            }
            Err(error) => {
                kinds.push(error.kind);
                cx.out.error(&error);
            }
        }
    }
    Ok(Kind::gravest(kinds))
}
