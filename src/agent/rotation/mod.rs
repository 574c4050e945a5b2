//! Rotating this machine's host keys: [`crate::proto::rotation`] says what comes next; here it is done, and each step
//! written down. For `sshanchor rotate`, and for the agent at its timers.

pub mod host;
pub mod records;
pub mod server;
mod steps;
pub mod store;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use self::host::Host;
use self::records::{Records, Spot};
use self::store::Lock;
use super::renewal::Server;
use super::state::State;
use crate::error::{Error, Kind};
use crate::proto::hostkey::KeyType;
use crate::proto::rotation::{
    self, Change, Facts, Mode, Record, Round, Sight, Step, TooLate, Wait, Wish, decide,
};
use crate::proto::sshfp::{self, Sshfp};
use crate::ssh::host_key_file::HostKeyFile;
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
    /// What is to be said aloud.
    pub warnings: Vec<String>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// When it was looked at, in seconds since 1970.
    pub now: u64,
}

/// All that is known at one moment.
struct Situation {
    host: Host,
    sights: Vec<Sight>,
    others: BTreeSet<rotation::Digest>,
    disk: Vec<Option<rotation::Digest>>,
    drop_in: Option<DropIn>,
    has_drop_in: bool,
    is_exposed: bool,
    now: u64,
}

/// What is to stand in DNS beside the keys that sshd has, while keys overlap: for whoever publishes.
pub fn also_wanted(state: &State) -> Result<BTreeSet<Sshfp>, Error> {
    Ok(store::read(state)?.also_wanted().iter().map(records::record).collect())
}

impl Rotation {
    fn records(&self) -> Records<'_> {
        Records { spots: &self.spots, state: &self.state, options: &self.options }
    }

    /// What is remembered.
    pub fn record(&self) -> Result<Record, Error> {
        store::read(&self.state)
    }

    /// Puts `types` into the queue (none: all that the host has), where nothing is under way. What is wrong with the
    /// host, or with what stands in DNS, is told before anything is done. [`Rotation::advance`] does the rest.
    pub async fn begin(&self, types: &[KeyType], wish: Wish) -> Result<(), Error> {
        let lock = store::lock(&self.state)?;
        let mut record = store::read(&self.state)?;
        let host = Host::read(&self.server.sshd, self.server.patience).await?;
        let types = chosen(&host, types)?;
        if wish.mode == Mode::Compromised {
            self.interrupt(&mut record).await?;
        } else if record.round.is_some() || !record.queue.is_empty() {
            let error = Error::usage("under-way", "a rotation is under way already");
            return Err(error.hint(
                "go on with it: sshanchor rotate --resume; see where it is: --status; give it up: --abort",
            ));
        }
        record.wish = wish;
        record.queue.extend(
            types.iter().filter(|key_type| !record.queue.contains(key_type)).copied().collect::<Vec<_>>(),
        );
        // Whatever is wrong is told before anything is written down.
        if record.round.is_none() {
            let (mut warnings, now) = (Vec::new(), verifier::now());
            self.new_round(&record, &host, now, &mut warnings).await?;
        }
        store::write(&self.state, &record, &lock)
    }

    /// A rotation that is under way gives way to an emergency.
    async fn interrupt(&self, record: &mut Record) -> Result<(), Error> {
        let Some(round) = &mut record.round else { return Ok(()) };
        if round.replaced.is_some() || round.mode == Mode::Compromised {
            // It is nearly there: its key is another one already.
            if round.mode == Mode::Hide && round.aborted.is_none() {
                round.mode = Mode::Compromised;
            }
            return Ok(());
        }
        for change in &round.changes {
            HostKeyFile::at(PathBuf::from(&change.path).as_path()).settle().map_err(host::file_error)?;
        }
        record.round = None;
        record.queue.clear();
        Ok(())
    }

    /// The types that [`Rotation::begin`] would take.
    pub async fn types(&self, asked: &[KeyType]) -> Result<Vec<KeyType>, Error> {
        chosen(&Host::read(&self.server.sshd, self.server.patience).await?, asked)
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
            warnings: Vec::new(),
            notes: Vec::new(),
            now: verifier::now(),
        };
        for _ in 0..MOST_STEPS {
            let step = self.step(lock.as_ref(), &mut progress).await?;
            match step {
                Some(Step::Wait(wait)) => progress.outcome = Outcome::Waiting(wait),
                Some(step) => progress.outcome = Outcome::Next(step),
                None if progress.record.round.is_none() && progress.record.queue.is_empty() => {
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
        if record.round.is_none() && record.queue.is_empty() {
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
        round.hear(&situation.sights, situation.now);
        round.see_ttl(&situation.sights);
        is_changed |= *round != before;
        let step = decide(&self.facts(round, &situation));
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
            Some(_) if step == Step::Finish => progress.record.finish(now),
            Some(round) => round.mark(&step, now),
            None => {}
        }
        store::write(&self.state, &progress.record, lock)?;
        crate::crash::may_crash(word, "after");
        progress.steps.push(word);
        Ok(None)
    }

    fn facts<'a>(&self, round: &'a Round, situation: &'a Situation) -> Facts<'a> {
        let grace = situation.host.effective.login_grace;
        Facts {
            now: situation.now,
            round: Some(round),
            disk: &situation.disk,
            others: &situation.others,
            is_exposed: situation.is_exposed,
            has_drop_in: situation.has_drop_in,
            sights: &situation.sights,
            settle: if grace == 0 { GRACE } else { grace.min(GRACE) },
            margin: self.margin.as_secs(),
            dead_after: self.dead_after.as_secs(),
        }
    }

    async fn situation(&self, record: &Record) -> Result<Situation, Error> {
        let host = Host::read(&self.server.sshd, self.server.patience).await?;
        let changes: &[Change] = record.round.as_ref().map_or(&[], |round| &round.changes);
        let paths: BTreeSet<PathBuf> = changes.iter().map(|change| PathBuf::from(&change.path)).collect();
        let mut disk = Vec::new();
        for change in changes {
            let file = HostKeyFile::at(PathBuf::from(&change.path).as_path());
            disk.push(file.key().map_err(host::file_error)?.map(|key| key.sha256()));
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
            has_drop_in: held.flatten().is_some(),
            drop_in,
            is_exposed,
            // Later than all that was seen.
            now: verifier::now(),
        })
    }

    /// What comes first of the queue, where nothing speaks against it.
    async fn new_round(
        &self,
        record: &Record,
        host: &Host,
        now: u64,
        warnings: &mut Vec<String>,
    ) -> Result<Round, Error> {
        let Wish { mode, announce } = record.wish;
        let types = host.types();
        let (key_type, is_added) = rotation::next(&record.queue, mode, &types)
            .ok_or_else(|| Error::usage("no-rotation", "no rotation is under way"))?;
        let wanted: Vec<KeyType> =
            if mode == Mode::Compromised { record.queue.clone() } else { vec![key_type] };
        let mut changes = Vec::new();
        for key_type in wanted {
            let change = match is_added {
                true => Change { key_type, path: text(host.place_for(key_type)?)?, old: None, new: None },
                false => {
                    let (file, key) = host.of_type(key_type)?;
                    let path = text(file.path().to_owned())?;
                    Change { key_type, path, old: Some(key.sha256()), new: None }
                }
            };
            changes.push(change);
        }
        let paths: BTreeSet<PathBuf> = changes.iter().map(|change| PathBuf::from(&change.path)).collect();
        let others = host.others(&paths)?;
        let is_explicit = host::is_explicit(&self.server.sshd, host, self.server.patience).await?;
        let is_hiding = match mode {
            Mode::Hide => true,
            Mode::Overlap => false,
            Mode::Compromised => !others.is_empty(),
        };
        if is_hiding && let Err(error) = DropIn::find(self.server.sshd.config()) {
            return Err(host::drop_in_error(error));
        }
        let (sights, sets) = self.records().look().await?;
        if mode != Mode::Compromised {
            self.preflight(&changes, &others, &sights, &sets).await?;
        }
        let announce = match (mode, is_explicit, is_added) {
            (Mode::Overlap, true, _) if announce > 0 => {
                warnings.push(
                    "sshd_config names its HostKeys: with --overlap the next key cannot be announced there"
                        .into(),
                );
                0
            }
            (Mode::Compromised, ..) | (_, _, true) => 0,
            _ => announce,
        };
        for change in &changes {
            for certificate in host.certificates(PathBuf::from(&change.path).as_path()) {
                warnings.push(format!(
                    "{} is about the key that changes: have a new one made as soon as the rotation has ended, by sshanchor ca renew",
                    certificate.display()
                ));
            }
        }
        let lacks =
            |sight: &Sight| !sight.shown.as_ref().is_ok_and(|shown| others.is_subset(&shown.everywhere));
        let ground = (!sights.iter().any(lacks)).then_some(0);
        let mut round = Round {
            mode,
            changes,
            is_hiding,
            is_explicit,
            announce,
            began: now,
            ttl: 0,
            ground,
            touched: None,
            announced: None,
            hidden: None,
            replaced: None,
            spread: None,
            proven: None,
            shown: None,
            withdrawn: None,
            aborted: None,
            silent: Default::default(),
        };
        round.see_ttl(&sights);
        Ok(round)
    }

    /// What stands in DNS is what clients rely on meanwhile.
    async fn preflight(
        &self,
        changes: &[Change],
        others: &BTreeSet<rotation::Digest>,
        sights: &[Sight],
        sets: &[records::Set],
    ) -> Result<(), Error> {
        if let Some((sight, why)) =
            sights.iter().filter(|s| s.is_primary).find_map(|s| Some((s, s.shown.as_ref().err()?)))
        {
            return Err(Error::failure("no-answer", format!("{}: {why}", sight.server)));
        }
        for set in sets {
            let owner = &set.owner;
            let algorithms: BTreeSet<u8> =
                changes.iter().map(|change| change.key_type.sshfp_algorithm()).collect();
            let is_of = |record: &&Sshfp| algorithms.contains(&record.algorithm());
            if let Some(record) =
                set.present.records.iter().filter(is_of).find(|r| r.fingerprint_type() == sshfp::SHA1)
            {
                let message = format!(
                    "{owner} has the SHA-1 record {record}, which OpenSSH would hold against the new key"
                );
                return Err(Error::usage("sha1-records", message)
                    .hint("take such records away first: sshanchor publish --prune"));
            }
        }
        let olds: BTreeSet<rotation::Digest> = changes.iter().filter_map(|change| change.old).collect();
        let wanted: BTreeSet<rotation::Digest> = olds.union(others).copied().collect();
        let shown: Vec<&rotation::Shown> =
            sights.iter().filter(|s| s.is_primary).filter_map(|s| s.shown.as_ref().ok()).collect();
        if shown.iter().any(|shown| !olds.is_subset(&shown.everywhere)) {
            let error = Error::usage("not-published", "the key that is to change does not stand in DNS");
            return Err(error.hint("publish this machine's keys first: sshanchor publish"));
        }
        if shown.iter().all(|shown| wanted.is_subset(&shown.everywhere))
            && let Err(why) = self.records().prove(&olds, &BTreeSet::new()).await?
        {
            let message = format!("clients cannot prove the records as they are: {why}; nothing was changed");
            return Err(Error::new(Kind::Unproven, "not-proven", message)
                .hint("see why: sshanchor doctor, sshanchor lookup NAME"));
        }
        Ok(())
    }
}

/// The types that are meant: all that the host has, or those of `asked` that it has.
fn chosen(host: &Host, asked: &[KeyType]) -> Result<Vec<KeyType>, Error> {
    let has = host.types();
    let types: Vec<KeyType> = match asked {
        [] => has,
        // A family is asked for, of which a host has one or the other.
        asked if asked.iter().any(|key_type| has.contains(key_type)) => {
            asked.iter().filter(|key_type| has.contains(key_type)).copied().collect()
        }
        asked => asked.to_vec(),
    };
    if types.is_empty() {
        return Err(Error::failure("no-host-keys", "sshd has no host key that can be rotated")
            .hint("run this as root; make host keys: ssh-keygen -A"));
    }
    for key_type in &types {
        host.of_type(*key_type)?;
    }
    Ok(types)
}

fn text(path: PathBuf) -> Result<String, Error> {
    path.into_os_string().into_string().map_err(|path| {
        Error::usage("host-key-file", format!("the path {} is not UTF-8", PathBuf::from(path).display()))
    })
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
