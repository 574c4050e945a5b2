//! The end of a machine that does not come back (`withdraw = "poweroff"`): its records go with it.

use std::ffi::OsStr;
use std::time::Duration;

use super::Settings;
use super::work;
use crate::agent::machine;
use crate::agent::published::Published;
use crate::agent::state::State;
use crate::config::publishing::{Goodbye, Publishing};
use crate::error::Error;
use crate::proto::goodbye;
use crate::proto::plan::Intent;
use crate::proto::sshfp::SshfpSet;
use crate::run::run;

/// How long systemd may take to say what it has under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most that it may say, in octets.
const MAX_JOBS: usize = 1024 * 1024;

/// Whether the records are to go: the configuration wants it, and systemd says that the machine is switched off, and not
/// only this agent ended, nor the machine started anew.
pub(super) async fn is_meant(settings: &Settings) -> bool {
    if settings.agent.withdraw != Goodbye::Poweroff {
        return false;
    }
    let asked =
        run(OsStr::new("systemctl"), &["list-jobs", "--no-legend", "--no-pager"], b"", MAX_JOBS, PATIENCE)
            .await;
    asked.is_ok_and(|ran| {
        ran.failure().is_none() && goodbye::is_for_good(&String::from_utf8_lossy(&ran.output))
    })
}

/// Takes away what this machine has published by one `[publish]` table, and nothing else; what became of each set.
pub(super) async fn withdraw(
    table: &Publishing,
    settings: &Settings,
    state: &State,
) -> Result<Vec<Published>, Error> {
    let names = machine::names(table).await?;
    // Its keys need not be readable any more: what is own stands in the state.
    let targets = machine::targets(&names, table.port, &SshfpSet::new(), Intent::Withdraw)?;
    let (mut pass, _) = work::pass(table, settings, state, targets.len())?;
    // What does no good any more may go all the same.
    pass.require_signed = false;
    let zones = pass.zones(targets).await?;
    let mut done = zones.lost;
    for (zone, targets) in zones.found {
        done.extend(pass.run(&zone, &targets).await?);
    }
    Ok(done)
}
