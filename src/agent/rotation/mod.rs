//! Rotating this machine's host keys: [`crate::proto::rotation`] says what comes next; here it is done, and each step
//! written down. For `sshanchor rotate`, and for the agent at its timers.

mod begin;
mod clock;
mod foreign;
pub mod host;
pub mod records;
pub mod server;
mod steps;
pub mod store;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::host::Host;
use self::records::{Records, Spot};
use self::store::Lock;
use super::renewal::{Reload, Server};
use super::state::State;
use crate::config::publishing::{Publishing, Rotate};
use crate::error::Error;
use crate::proto::hostkey::KeyType;
use crate::proto::rotation::{
    self, Change, Facts, Mode, Past, Record, Round, Sight, Step, TooLate, Wait, Wish, decide,
};
use crate::proto::sshfp::SshfpSet;
use crate::ssh::host_key_file::HostKeyFile;
use crate::ssh::sshd::Sshd;
use crate::ssh::sshd::drop_in::DropIn;
use crate::verifier::{self, Options};

/// Most steps of one run: a round has not half as many.
const MOST_STEPS: usize = 64;
/// How long a handshake may last where sshd sets no limit, in seconds: sshd's default.
const GRACE: u64 = 120;

/// All that a rotation needs.
#[derive(Debug)]
pub struct Rotation {
    /// Where the records are.
    pub spots: Vec<Spot>,
    /// The state folder.
    pub state: State,
    /// sshd.
    pub server: Server,
    /// By which resolvers and anchors records are proven.
    pub options: Options,
    /// Caches are given so much longer.
    pub margin: Duration,
    /// How long a secondary may be silent before it is not waited for.
    pub dead_after: Duration,
}

/// How far one run came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is under way, or not any more.
    Done,
    /// It waits.
    Waiting(Wait),
    /// This would be done, were it not only looked at.
    Next(Step),
}

/// What one run has done, and where it is now.
#[derive(Debug)]
pub struct Progress {
    /// How far it came.
    pub outcome: Outcome,
    /// The steps that were done, in order.
    pub steps: Vec<&'static str>,
    /// What is remembered now.
    pub record: Record,
    /// What this run has brought to its end.
    pub ended: Vec<Past>,
    /// What is to be said aloud.
    pub warnings: Vec<String>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// When it was looked at, in seconds since 1970.
    pub now: u64,
}

/// What would be done.
#[derive(Debug)]
pub struct Prospect {
    /// How.
    pub wish: Wish,
    /// Of these types, in this order.
    pub types: Vec<KeyType>,
    /// What would come first; none where something is under way.
    pub first: Option<Round>,
    /// What would be said aloud.
    pub warnings: Vec<String>,
}

/// All that is known at one moment.
struct Situation {
    host: Host,
    sights: Vec<Sight>,
    others: BTreeSet<rotation::Digest>,
    disk: Vec<Option<rotation::Digest>>,
    is_half: bool,
    drop_in: Option<DropIn>,
    has_drop_in: bool,
    is_exposed: bool,
    now: u64,
}

/// What is to stand in DNS beside the keys that sshd has, while keys overlap: for whoever publishes.
pub fn also_wanted(state: &State) -> Result<SshfpSet, Error> {
    Ok(store::read(state)?.also_wanted().iter().map(records::record).collect())
}

/// What a rotation has left whose record is lost, as with a folder for the state that was not kept: sshd's drop-in, by
/// which a key stays hidden. `config` is that of sshd, where it is not the usual one.
pub fn left_over(state: &State, config: Option<&Path>) -> Option<String> {
    if store::read(state).ok()?.is_open() {
        return None;
    }
    let drop_in = DropIn::find(config).ok()?;
    drop_in.read().ok().flatten()?;
    Some(format!(
        "no rotation is under way, and one has left {0}, by which sshd offers fewer keys than it has: look whether the \
         records fit its keys (sshanchor publish --check), then remove it and reload sshd: rm {0}",
        drop_in.path().display()
    ))
}

/// What `[rotate]` asks for, at `now` in seconds since 1970.
pub fn wish(rotate: &Rotate, now: u64) -> Wish {
    let mode = if rotate.overlap { Mode::Overlap } else { Mode::Hide };
    Wish { mode, announce: rotate.announce.as_secs(), margin: rotate.margin.as_secs(), since: now }
}

impl Rotation {
    /// By the configuration: for the agent.
    pub async fn of(
        tables: &[Publishing],
        rotate: &Rotate,
        state: State,
        options: Options,
    ) -> Result<Self, Error> {
        let mut spots = Vec::new();
        for table in tables {
            spots.push(Spot::of(table).await?);
        }
        let patience = options.timeout;
        let sshd = Sshd::find(rotate.sshd_config.as_deref()).map_err(host::sshd_error)?;
        let effective = sshd.effective(patience).await.map_err(host::sshd_error)?;
        let reload = match &rotate.reload {
            None => Reload::Signal(effective.pid_file.clone()),
            Some(command) => {
                Reload::Command(command.program().to_owned(), command.arguments(|_| String::new()))
            }
        };
        let address = effective.nearest().ok_or_else(|| {
            Error::usage("connect", "sshd -T tells no address that it listens on")
                .hint("go on by hand: sshanchor rotate --resume --connect ADDR:PORT")
        })?;
        let server = Server { sshd, reload, address, patience };
        let dead_after = rotate.dead_after;
        Ok(Rotation { spots, state, server, options, margin: rotate.margin, dead_after })
    }

    fn records(&self) -> Records<'_> {
        Records { spots: &self.spots, state: &self.state, options: &self.options }
    }

    /// What is remembered.
    pub fn record(&self) -> Result<Record, Error> {
        store::read(&self.state)
    }

    /// Gives up what is under way, as far as that is possible; [`Rotation::advance`] does the rest.
    pub fn abort(&self) -> Result<(), Error> {
        let lock = store::lock(&self.state)?;
        let mut record = store::read(&self.state)?;
        let Some(round) = &mut record.round else {
            if record.queue.is_empty() {
                return Err(Error::usage("no-rotation", "no rotation is under way"));
            }
            record.queue.clear();
            return store::write(&self.state, &record, &lock);
        };
        round.abort(verifier::now()).map_err(|why| {
            let told = Error::usage("too-late", format!("the rotation goes on: {why}"));
            match why {
                TooLate::Shown => {
                    told.hint("let it end: sshanchor rotate --resume; afterwards rotate once more")
                }
                TooLate::Compromised => told.hint("let it end: sshanchor rotate --resume"),
            }
        })?;
        store::write(&self.state, &record, &lock)
    }

    /// The type that is older than `every`, if one is: for the policy `[rotate] every`.
    pub async fn due(&self, types: &[KeyType], every: Duration) -> Result<Option<KeyType>, Error> {
        let record = self.record()?;
        let host = Host::read(&self.server.sshd, self.server.patience).await?;
        Ok(rotation::due(&record, &host.held(), types, every.as_secs(), verifier::now()))
    }

    /// Goes as far as that is safe; with `looks_only` it says what would come next, and changes nothing.
    pub async fn advance(&self, looks_only: bool) -> Result<Progress, Error> {
        let lock = if looks_only { None } else { Some(store::lock(&self.state)?) };
        let mut progress = Progress {
            outcome: Outcome::Done,
            steps: Vec::new(),
            record: store::read(&self.state)?,
            ended: Vec::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            now: verifier::now(),
        };
        for _ in 0..MOST_STEPS {
            let step = self.step(lock.as_ref(), &mut progress).await?;
            match step {
                Some(Step::Wait(wait)) => progress.outcome = Outcome::Waiting(wait),
                Some(step) => progress.outcome = Outcome::Next(step),
                None if !progress.record.is_open() => {
                    progress.warnings.extend(left_over(&self.state, self.server.sshd.config()));
                    progress.outcome = Outcome::Done;
                }
                None => continue,
            }
            return Ok(progress);
        }
        Err(Error::failure("not-converged", "the rotation goes in circles: somebody else undoes its steps")
            .hint("see who else changes sshd's configuration, its keys, or the records"))
    }

    /// Does one step; or gives the one that cannot or may not be done now.
    async fn step(&self, lock: Option<&Lock>, progress: &mut Progress) -> Result<Option<Step>, Error> {
        progress.record = store::read(&self.state)?;
        let record = &mut progress.record;
        if !record.is_open() {
            return Ok(None);
        }
        let mut situation = self.situation(record).await?;
        progress.now = situation.now;
        let mut is_changed = false;
        if record.round.is_none() {
            let round =
                self.new_round(record, &situation.host, situation.now, &mut progress.warnings).await?;
            record.round = Some(round);
            is_changed = true;
            progress.steps.push("begin");
            // What is on disk is by what changes.
            situation = self.situation(record).await?;
        }
        let Some(round) = &mut record.round else { return Ok(None) };
        let before = round.clone();
        round.see_clock(clock::read(situation.now), situation.now);
        round.hear(&situation.sights, situation.now);
        round.see_ttl(&situation.sights);
        is_changed |= *round != before;
        let step = decide(&self.facts(round, &situation, record.wish.margin));
        let Some(lock) = lock else { return Ok(Some(step)) };
        if matches!(step, Step::Idle | Step::Wait(_)) {
            if is_changed {
                store::write(&self.state, record, lock)?;
            }
            return Ok(Some(step));
        }
        if round.begin(&step, situation.now) || is_changed {
            store::write(&self.state, record, lock)?;
        }
        let word = word(&step);
        crate::crash::may_crash(word, "before");
        if let Some(wait) = self.perform(&step, &situation, progress).await? {
            return Ok(Some(Step::Wait(wait)));
        }
        crate::crash::may_crash(word, "between");
        // Later than all that was done.
        let now = verifier::now();
        match &mut progress.record.round {
            Some(_) if step == Step::Finish => progress.ended.extend(progress.record.finish(now)),
            Some(round) => {
                round.see_clock(clock::read(now), now);
                round.mark(&step, now);
            }
            None => {}
        }
        store::write(&self.state, &progress.record, lock)?;
        crate::crash::may_crash(word, "after");
        progress.steps.push(word);
        match &progress.record.round {
            // Later runs go on all the same: what is hidden stays so until nobody can see another record.
            Some(round) if step == Step::Lost && round.is_undone() => Err(undone(round.lost)),
            _ => Ok(None),
        }
    }

    fn facts<'a>(&self, round: &'a Round, situation: &'a Situation, margin: u64) -> Facts<'a> {
        let grace = situation.host.effective.login_grace;
        Facts {
            now: situation.now,
            round: Some(round),
            disk: &situation.disk,
            is_half: situation.is_half,
            tells_next: situation.host.tells_next(),
            others: &situation.others,
            is_exposed: situation.is_exposed,
            has_drop_in: situation.has_drop_in,
            sights: &situation.sights,
            settle: if grace == 0 { GRACE } else { grace.min(GRACE) },
            margin: self.margin.as_secs().max(margin),
            dead_after: self.dead_after.as_secs(),
        }
    }

    async fn situation(&self, record: &Record) -> Result<Situation, Error> {
        let host = Host::read(&self.server.sshd, self.server.patience).await?;
        let changes: &[Change] = record.round.as_ref().map_or(&[], |round| &round.changes);
        let paths: BTreeSet<PathBuf> = changes.iter().map(|change| PathBuf::from(&change.path)).collect();
        let (mut disk, mut is_half) = (Vec::new(), false);
        for change in changes {
            let file = HostKeyFile::at(Path::new(&change.path));
            disk.push(file.key().map_err(host::file_error)?.map(|key| key.sha256()));
            is_half |= file.is_half().map_err(host::file_error)?;
        }
        let drop_in = DropIn::find(self.server.sshd.config()).ok();
        let held = drop_in.as_ref().map(DropIn::read).transpose().map_err(host::drop_in_error)?;
        let mut is_exposed = false;
        for change in changes {
            let is_hidden = record.round.as_ref().is_some_and(|r| r.hidden.is_some() && r.shown.is_none());
            // A server that is not there shows nothing.
            is_exposed |= is_hidden
                && !matches!(server::offered(&self.server, change.key_type).await, Ok(None) | Err(_));
        }
        let (sights, _) = self.records().look().await?;
        Ok(Situation {
            others: host.others(&paths)?,
            host,
            sights,
            disk,
            is_half,
            has_drop_in: held.flatten().is_some(),
            drop_in,
            is_exposed,
            // Later than all that was seen.
            now: verifier::now(),
        })
    }
}

fn undone(times: u32) -> Error {
    let message =
        format!("records that a rotation has published were changed by somebody else {times} times");
    Error::failure("undone", message).hint(
        "find out who writes SSHFP records at this name (another agent, a script, a copy of the zone); until then sshd \
         does not offer the key that changes",
    )
}

/// The word for a step.
pub fn word(step: &Step) -> &'static str {
    match step {
        Step::Idle | Step::Wait(_) => "wait",
        Step::Prepare => "prepare",
        Step::Ground => "ground",
        Step::Announce => "announce",
        Step::Hide => "hide",
        Step::Replace => "replace",
        Step::Publish => "publish",
        Step::Spread => "spread",
        Step::Lost => "lost",
        Step::Prove => "prove",
        Step::Show => "show",
        Step::Withdraw => "withdraw",
        Step::Finish => "finish",
    }
}
