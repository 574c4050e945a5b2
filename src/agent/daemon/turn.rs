//! A rotation of host keys, as far as an agent has a part in it: it goes on with one that is under way, and begins one
//! where the policy `[rotate] every` says so.

use std::time::Duration;

use super::Settings;
use crate::agent::renewal::{Reload, Server};
use crate::agent::rotation::records::Spot;
use crate::agent::rotation::{Outcome, Progress, Rotation, store};
use crate::agent::state::State;
use crate::error::Error;
use crate::proto::rotation::{Mode, Record, Wait, Wish};
use crate::proto::status::{self, Moment};
use crate::ssh::sshd::{Sshd, SshdError};
use crate::verifier;

/// The pause before what has no known end is looked at again.
const PAUSE: Duration = Duration::from_secs(30);
/// The longest pause: clocks are set, and servers are heard of meanwhile.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Where a rotation is.
#[derive(Debug)]
pub struct Turn {
    /// What this run has done: stable words.
    pub steps: Vec<&'static str>,
    /// Rotations that this run has brought to their ends, in words.
    pub ended: Vec<String>,
    /// What is to be said aloud.
    pub warnings: Vec<String>,
    /// Where it is now; none if none is under way.
    pub status: Option<status::Rotation>,
    /// When it wants to be looked at again.
    pub later: Option<Duration>,
}

/// Goes on with what is under way. `may_begin`: all is well otherwise, so that a key that is due may be replaced. None
/// if nothing is under way, nor begun.
pub async fn go_on(settings: &Settings, state: &State, may_begin: bool) -> Result<Option<Turn>, Error> {
    let rotate = &settings.rotate;
    let every = rotate.every.filter(|_| may_begin);
    if !is_under_way(&store::read(state)?) && every.is_none() {
        return Ok(None);
    }
    let rotation = rotation(settings, state).await?;
    if let (false, Some(every)) = (is_under_way(&rotation.record()?), every) {
        let Some(due) = rotation.due(&rotate.types, every).await? else { return Ok(None) };
        let mode = if rotate.overlap { Mode::Overlap } else { Mode::Hide };
        rotation.begin(&[due], Wish { mode, announce: rotate.announce.as_secs() }).await?;
    }
    Ok(Some(Turn::of(rotation.advance(false).await?)))
}

fn is_under_way(record: &Record) -> bool {
    record.round.is_some() || !record.queue.is_empty()
}

async fn rotation(settings: &Settings, state: &State) -> Result<Rotation, Error> {
    let rotate = &settings.rotate;
    let patience = settings.options.timeout;
    let failed = |error: SshdError| Error::failure("sshd", error).hint("see what sshd -t says");
    let sshd = Sshd::find(rotate.sshd_config.as_deref()).map_err(failed)?;
    let effective = sshd.effective(patience).await.map_err(failed)?;
    let reload = match &rotate.reload {
        None => Reload::Signal(effective.pid_file.clone()),
        Some(command) => Reload::Command(command.program().to_owned(), command.arguments(|_| String::new())),
    };
    let address = effective.nearest().ok_or_else(|| {
        Error::usage("connect", "sshd -T tells no address that it listens on")
            .hint("go on by hand: sshanchor rotate --resume --connect ADDR:PORT")
    })?;
    let mut spots = Vec::new();
    for table in &settings.publishing {
        spots.push(Spot::of(table).await?);
    }
    Ok(Rotation {
        spots,
        state: state.clone(),
        server: Server { sshd, reload, address, patience },
        options: settings.options.clone(),
        margin: Duration::ZERO,
        dead_after: rotate.dead_after,
    })
}

impl Turn {
    fn of(progress: Progress) -> Self {
        let (stage, waits_for, until) = match &progress.outcome {
            Outcome::Waiting(wait) => (stage(wait), words(wait), wait.until()),
            Outcome::Done | Outcome::Next(_) => ("begin", "it is about to begin".to_owned(), None),
        };
        let types = |changes: &[crate::proto::rotation::Change]| {
            changes.iter().map(|change| change.key_type.name()).collect::<Vec<_>>().join(", ")
        };
        let status = progress.record.round.as_ref().map(|round| status::Rotation {
            key_type: types(&round.changes),
            stage: stage.to_owned(),
            waits_for,
            until: until.map(Moment),
            since: Moment(round.began),
        });
        let left = |until: u64| Duration::from_secs(until.saturating_sub(verifier::now()).saturating_add(1));
        let later = (progress.outcome != Outcome::Done).then(|| until.map_or(PAUSE, left).min(LONGEST));
        let count = progress.steps.iter().filter(|step| **step == "finish").count();
        let ended = progress.record.past.iter().rev().take(count).rev().map(|past| {
            let what = if past.aborted { "stays: its rotation was given up" } else { "is replaced" };
            format!("host key {} ({}) {what}", past.change.path, past.change.key_type)
        });
        Turn { ended: ended.collect(), steps: progress.steps, warnings: progress.warnings, status, later }
    }
}

fn stage(wait: &Wait) -> &'static str {
    match wait {
        Wait::Servers(_) => "servers",
        Wait::Caches { .. } => "caches",
        Wait::Announce { .. } => "announce",
        Wait::Settle { .. } => "settle",
        Wait::Proof(_) => "proof",
        Wait::Gone(_) => "withdrawal",
    }
}

fn words(wait: &Wait) -> String {
    // Until when stands beside it.
    match wait {
        Wait::Servers(lags) => {
            format!("{} servers to show what is published", lags.len())
        }
        Wait::Gone(lags) => format!("{} servers to show the old key no more", lags.len()),
        Wait::Caches { .. } => "caches, which may hold older records".to_owned(),
        Wait::Announce { .. } => "known_hosts users, whom sshd tells of the new key".to_owned(),
        Wait::Settle { .. } => "handshakes that began with the old key".to_owned(),
        Wait::Proof(why) => format!("a proof of the new records: {why}"),
    }
}
