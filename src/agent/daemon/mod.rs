//! The agent: it looks after this machine's records until it is told to end.

mod goodbye;
mod learn;
mod memory;
mod news;
mod rights;
mod signals;
mod turn;
mod watch;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::{Receiver, Sender, channel};
use tokio::time::{Instant, sleep_until};

use self::memory::Store;
pub use self::memory::{Remembered, remembered};
use self::signals::{Signal, Signals};
use self::watch::{Files, Watch};
pub use self::work::Done;
use super::monitor::systemd::Manager;
use super::rotation::store::{FILE as ROTATION, LOCKED};
use super::state::State;
use crate::config::publishing::{Agent, Publishing, Rotate};
use crate::error::Error;
use crate::log::{Event as Said, Level, Sink};
use crate::proto::schedule::{Event, Schedule};
use crate::proto::status::{Moment, Phase, Status, VERSION};
use crate::verifier::{self, Options};

/// How much longer than it should a pass, or a wait for the next one, may last until systemd is no longer told that the
/// agent is alive: `sshd -T`, `hostname -f`, a reload of a name server have time limits of their own.
const GRACE: Duration = Duration::from_secs(600);

/// How soon it looks again at a rotation that another run is at.
const AT_IT: Duration = Duration::from_secs(5);

/// What others may follow of an agent at work, each at their own pace: its socket, its metrics, systemd.
#[derive(Debug, Clone)]
pub struct View {
    /// What it knows, as of its latest step.
    pub status: Receiver<Arc<Status>>,
    /// The settings in force, which SIGHUP may change.
    pub settings: Receiver<Agent>,
}

/// What an agent goes by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The names, and where their records are kept; at least one.
    pub publishing: Vec<Publishing>,
    /// They are those of the configuration, and not of the command line.
    pub configured: bool,
    /// Its own settings.
    pub agent: Agent,
    /// How host keys are replaced.
    pub rotate: Rotate,
    /// By which resolvers and anchors it proves, and how long one pass may take.
    pub options: Options,
    /// The configuration files, whether they are there or not.
    pub files: Vec<PathBuf>,
    /// What is wrong with the configuration, and yet no error.
    pub warnings: Vec<String>,
}

/// Reads the configuration again.
pub type Reload = Box<dyn Fn() -> Result<Settings, Error> + Send>;

/// An agent.
pub struct Daemon {
    settings: Settings,
    reload: Reload,
    /// Why the configuration on disk is not the one in force.
    not_reloaded: Option<Error>,
    state: State,
    store: Store,
    log: Arc<dyn Sink>,
    schedule: Schedule,
    watch: Watch,
    /// What the watched files of keys looked like before they were last read.
    print: u64,
    /// What those of the configuration did.
    configured: u64,
    began: Instant,
    status: Sender<Arc<Status>>,
    shown: Sender<Agent>,
}

impl Daemon {
    /// It keeps its memory in `state`, for itself alone: a second agent there is an error.
    pub fn new(reload: Reload, state: State, log: Arc<dyn Sink>) -> Result<Self, Error> {
        // What they look like before they are read.
        let configured = configuration(&reload()?).print();
        let settings = reload()?;
        let store = Store::open(&state)?;
        let status = Status {
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: Moment(verifier::now()),
            phase: Phase::Starting,
            last_pass: None,
            last_success: None,
            next_pass: None,
            passes: 0,
            changes: 0,
            failed_in_a_row: 0,
            failures: BTreeMap::new(),
            error: None,
            warnings: Vec::new(),
            owners: Vec::new(),
            certificates: Vec::new(),
            rotation: None,
        };
        Ok(Daemon {
            reload,
            not_reloaded: None,
            state,
            store,
            log,
            schedule: Schedule::new(settings.agent.interval),
            watch: Watch::default(),
            print: 0,
            configured,
            began: Instant::now(),
            status: channel(Arc::new(status)).0,
            shown: channel(settings.agent.clone()).0,
            settings,
        })
    }

    /// What others may see of it.
    pub fn view(&self) -> View {
        View { status: self.status.subscribe(), settings: self.shown.subscribe() }
    }

    /// Looks after the records until SIGTERM or SIGINT. `manager` is told of reloads and of the end, and how long it may
    /// take until it hears of the agent again.
    pub async fn run(mut self, manager: &Manager) -> Result<(), Error> {
        let mut signals = Signals::new()?;
        loop {
            let waits = self.schedule.due().saturating_sub(self.began.elapsed());
            manager.promise(waits + GRACE);
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::End => break,
                    Signal::HangUp => {
                        manager.reloading();
                        self.asked();
                        manager.ready();
                    }
                },
                () = self.watch.changed() => self.on(Event::Changed),
                () = sleep_until(self.began + self.schedule.due()) => {
                    if !self.is_worth_a_pass() {
                        continue;
                    }
                    manager.promise(self.patience() + GRACE);
                    tokio::select! {
                        biased;
                        // What it was at is begun again by the next run.
                        () = signals.end() => break,
                        _ = self.pass() => {}
                    }
                }
            }
        }
        manager.stopping();
        self.say_goodbye().await;
        Ok(self.store.save(true)?)
    }

    /// Takes the records away if this is the end of the machine, and that is wanted.
    async fn say_goodbye(&self) {
        if !goodbye::is_meant(&self.settings).await {
            return;
        }
        for table in &self.settings.publishing {
            match goodbye::withdraw(table, &self.settings, &self.state).await {
                Ok(all) => all.iter().for_each(|one| news::gone(self.log.as_ref(), one)),
                Err(error) => self.say(Level::Error, &error.message, &[("reason", error.reason)]),
            }
        }
    }

    /// How long a pass may take, by the time limits of its questions.
    fn patience(&self) -> Duration {
        let tables = self.settings.publishing.iter();
        tables.map(|table| 2 * work::patience(&self.settings, table.names.len())).sum()
    }

    /// One pass: what became of each set.
    pub async fn pass(&mut self) -> Result<Vec<Done>, Error> {
        self.on(Event::Begins);
        let is_well = self.status.borrow().phase == Phase::Idle;
        self.show(|status| status.phase = Phase::Working);
        let now = verifier::now();
        let (mut results, mut warnings) = (Vec::new(), self.settings.warnings.clone());
        // First, for it changes keys.
        let (later, mut failed) = self.rotate(is_well, &mut warnings).await;
        let local = self.local().await;
        if !self.watch.is_told() {
            warnings.push(
                "this system does not tell of files that change: that is found at the next look".to_owned(),
            );
        }
        for ((table, names), keys) in self.settings.publishing.iter().zip(local.names).zip(local.keys) {
            let done = match (names, keys) {
                (Ok(names), Ok(keys)) => {
                    warnings.extend(keys.warnings.iter().cloned());
                    let work = (names.as_slice(), &keys);
                    work::table(table, work, &self.settings, &self.state, &mut self.store, now).await
                }
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            match done {
                Ok((done, more)) => {
                    results.extend(done);
                    warnings.extend(more);
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        warnings.extend(work::left_over(&self.settings, &self.state).await);
        self.learn(&results, failed.as_ref(), warnings, local.certificates);
        if let Some(later) = later {
            self.on(Event::Wanted(later));
            let next = self.schedule.due().saturating_sub(self.began.elapsed());
            self.show(|status| status.next_pass = Some(Moment(verifier::now() + next.as_secs())));
        }
        match failed {
            Some(error) if results.is_empty() => Err(error),
            _ => Ok(results),
        }
    }

    /// Goes on with a rotation of host keys: when it wants to be looked at again, and why it failed.
    async fn rotate(
        &mut self,
        may_begin: bool,
        warnings: &mut Vec<String>,
    ) -> (Option<Duration>, Option<Error>) {
        match turn::go_on(&self.settings, &self.state, may_begin).await {
            Ok(turn) => {
                let (mut status, mut later) = (None, None);
                if let Some(turn) = turn {
                    for step in turn.steps {
                        self.say(Level::Info, &format!("rotation of host keys: {step}"), &[("step", step)]);
                    }
                    turn.ended.iter().for_each(|ended| self.say(Level::Notice, ended, &[]));
                    warnings.extend(turn.warnings);
                    (status, later) = (turn.status, turn.later);
                }
                self.show(|shown| shown.rotation = status);
                (later, None)
            }
            // Somebody is at it by hand.
            Err(error) if error.reason == LOCKED => (Some(AT_IT), None),
            Err(error) => (None, Some(error)),
        }
    }

    /// Names and keys of this machine, whose files are watched from before they are read.
    async fn local(&mut self) -> work::Local {
        self.print = self.keys().print();
        let local = work::local(&self.settings).await;
        let mut files = local.files.clone();
        files.files.extend(self.settings.files.iter().cloned());
        // Somebody may begin a rotation by hand.
        files.files.insert(self.state.folder().join(ROTATION));
        if !self.watch.set(files) {
            return local;
        }
        // What changed before it was watched nobody has told.
        self.print = self.keys().print();
        work::local(&self.settings).await
    }

    /// The watched files without those of the configuration.
    fn keys(&self) -> Files {
        let mut files = self.watch.files().clone();
        files.files.retain(|file| !self.settings.files.contains(file));
        files
    }

    /// A change of files may turn out to be none; one of the configuration brings it into force.
    fn is_worth_a_pass(&mut self) -> bool {
        let is_configured_anew = configuration(&self.settings).print() != self.configured;
        if is_configured_anew {
            self.configure();
        }
        if !self.schedule.is_for_a_change(self.began.elapsed()) {
            return true;
        }
        self.watch.renew();
        let is_worth_it = is_configured_anew || self.keys().print() != self.print;
        if !is_worth_it {
            self.on(Event::Unchanged);
        }
        is_worth_it
    }

    /// SIGHUP: somebody has looked into it.
    fn asked(&mut self) {
        self.configure();
        self.store.sets.values_mut().for_each(|set| set.memory.begin_anew());
        self.on(Event::Asked);
    }

    /// Reads the configuration again; a malformed one changes nothing.
    fn configure(&mut self) {
        self.configured = configuration(&self.settings).print();
        match (self.reload)() {
            Ok(settings) => {
                self.schedule.set_interval(settings.agent.interval);
                self.shown.send_if_modified(|shown| {
                    let is_new = *shown != settings.agent;
                    shown.clone_from(&settings.agent);
                    is_new
                });
                (self.settings, self.not_reloaded) = (settings, None);
                self.store.may.clear();
                self.say(Level::Info, "the configuration was read again", &[]);
            }
            Err(error) => {
                let hint = error.hint.clone().unwrap_or_default();
                let message = format!("the configuration stays as it was: {}", error.message);
                self.say(Level::Error, &message, &[("reason", error.reason), ("hint", &hint)]);
                self.not_reloaded = Some(Error { message, ..error });
            }
        }
    }

    fn show(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(|status| change(Arc::make_mut(status)));
    }

    fn on(&mut self, event: Event) {
        self.schedule.on(event, self.began.elapsed(), rand::random_range(0.0..1.0));
    }

    fn say(&self, level: Level, message: &str, fields: &[(&'static str, &str)]) {
        let fields: Vec<_> = fields.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        self.log.say(&Said { level, message, fields: &fields });
    }
}

fn configuration(settings: &Settings) -> Files {
    Files { files: settings.files.iter().cloned().collect(), folders: BTreeSet::new() }
}
