//! A rotation of host keys, as far as an agent has a part in it: it goes on with one that is under way, and begins one
//! where the policy `[rotate] every` says so.

use std::time::Duration;

use super::Settings;
use crate::agent::rotation::{Outcome, Progress, Rotation, store, wish};
use crate::agent::state::State;
use crate::error::Error;
use crate::proto::rotation::Wait;
use crate::proto::status::{self, Moment};
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
    if !store::read(state)?.is_open() && every.is_none() {
        return Ok(None);
    }
    let (tables, options) = (&settings.publishing, settings.options.clone());
    let rotation = Rotation::of(tables, rotate, state.clone(), options).await?;
    if let (false, Some(every)) = (rotation.record()?.is_open(), every) {
        let Some(due) = rotation.due(&rotate.types, every).await? else { return Ok(None) };
        rotation.begin(&[due], wish(rotate, verifier::now())).await?;
    }
    Ok(Some(Turn::of(rotation.advance(false).await?)))
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
