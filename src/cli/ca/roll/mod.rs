//! `sshanchor ca roll`: a CA goes over from its key to the next one. What to do is decided in [`crate::proto::rollover`].

mod situation;
mod steps;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use self::situation::{Situation, sights};
use self::told::{Progress, Told};
use super::init::{Type, new_passphrase, one_key};
use super::set::Which;
use super::{Keys, Passphrase, ca_error};
use crate::cli::publish::primary::Primary;
use crate::cli::staying::{self, Next, go_on};
use crate::cli::{Context, host_name};
use crate::crash::may_crash;
use crate::error::{Error, Kind};
use crate::proto::duration;
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::journal::Event;
use crate::proto::issuance::{KeyDigest, KeyState};
use crate::proto::name::Name;
use crate::proto::rollover::{Facts, Lag, Mark, Step, Wait, decide};
use crate::ssh::ca::{Ca, KeySource};

/// How long hosts have to load the certificate that was signed last, unless it is told: they renew daily, and one that
/// fails to load it has another day.
const SETTLE: Duration = Duration::from_secs(2 * 86_400);
/// Most steps of one run: there are not half as many.
const MOST_STEPS: usize = 32;

/// Roll the CA over to a new key.
///
/// Replaces the CA's key so that no client ever refuses a host: the new key is published beside the old one; once every
/// server of the zone shows it and no cache can hold the set of before, it signs; once every host has a certificate of
/// it (ca renew), the old key is withdrawn. --start begins it. Then run ca roll by hand or by a timer: it goes as far as
/// that is safe, says what it waits for, and may be ended at any moment.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor ca roll --start --server 192.0.2.1 --key-file ca.key\n          \
    sshanchor ca roll --server 192.0.2.1 --key-file ca.key          # again and again: 5 while it waits, 0 when all is done\n          \
    sshanchor ca roll --skip web7.example.com --server 192.0.2.1 --key-file ca.key\n          \
    sshanchor ca roll --emergency --server 192.0.2.1 --key-file ca.key   # the key has leaked\n\
    Hosts that renew by ca renew --ca FOLDER get a certificate of the new key at their next run; with --signer name the new\n\
    key by --ca-key, or wait until they are due."
)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Begin: make the next key
    #[arg(long, conflicts_with_all = ["abort", "status", "dry_run", "check"])]
    start: bool,
    /// The type of the new key
    #[arg(long = "type", value_name = "TYPE", default_value = "ed25519")]
    key_type: Type,
    /// Ask for a passphrase for the new key, at the terminal
    #[arg(long, conflicts_with_all = ["passphrase_file", "agent"])]
    passphrase: bool,
    #[command(flatten)]
    known: Passphrase,
    /// The new key is held by ssh-agent (SSH_AUTH_SOCK)
    #[arg(long, requires = "public_key", conflicts_with_all = ["key_type", "passphrase_file"])]
    agent: bool,
    /// The public half of the new key that ssh-agent holds
    #[arg(long, value_name = "PUBFILE", requires = "agent")]
    public_key: Option<PathBuf>,
    /// Stay, and go on as soon as that is safe
    #[arg(long, conflicts_with_all = ["status", "dry_run", "check"])]
    wait: bool,
    /// Say where it is and what comes next, and do nothing
    #[arg(long, conflicts_with_all = ["abort", "emergency", "skip"])]
    status: bool,
    /// Give it up, and take the new key out of DNS: while it does not sign yet
    #[arg(long, conflicts_with_all = ["emergency", "skip", "dry_run", "check"])]
    abort: bool,
    /// Do not wait for this host, which is gone: its certificate of the old key will be refused (repeatable)
    #[arg(long, value_name = "HOST", conflicts_with_all = ["dry_run", "check"])]
    skip: Vec<String>,
    /// The old key has leaked: revoke it as soon as the new one is published. Hosts are refused until they have a
    /// certificate of the new key
    #[arg(long, conflicts_with_all = ["dry_run", "check"])]
    emergency: bool,
    /// Wait so much longer for caches: for clients that bridge outages of DNS (outage_grace)
    #[arg(long, value_name = "SPAN", default_value = "0", value_parser = duration::parse)]
    margin: Duration,
    /// How long hosts have to load the certificate that was signed last, before the old key is withdrawn [default: 2d]
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    settle: Option<Duration>,
    #[command(flatten)]
    primary: Primary,
}

const _: () = assert!(SETTLE.as_secs() == 172_800, "the help names the default");

/// One command's work on one CA.
struct Run<'a> {
    args: &'a Args,
    folder: PathBuf,
    keys: Keys,
    cx: &'a Context,
}

/// How far one leg came.
enum Leg {
    /// Nothing is under way, or not any more.
    Done,
    /// It waits.
    Waiting(Wait),
    /// This would be done.
    Next(Step),
    /// A step did not succeed, which was told.
    Failed(Kind),
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    // Before anything is made: a roll waits for what name servers show.
    args.primary.authority(cx, 1)?;
    let folder = args.which.path(&args.primary)?;
    let known = Ca::open(&folder).map_err(ca_error)?;
    let names = args.which.names(Some(&known), &args.primary)?;
    let run = Run { args: &args, folder, keys: Keys::new(&Passphrase::default())?, cx };
    {
        let ca = run.open()?;
        let _lock = ca.lock_roll().map_err(ca_error)?;
        run.prepare(ca, &names).await?;
    }
    let run = &run;
    let leg = async || {
        let ca = run.open()?;
        let lock = ca.lock_roll().map_err(ca_error)?;
        let mut done = Vec::new();
        let leg = run.leg(&names, &mut done).await;
        drop(lock);
        let (situation, leg) = leg?;
        let (has_steps, next) = (!done.is_empty(), next(&leg, args.primary.is_dry_run()));
        let progress = Progress::of(leg);
        let status = progress.word();
        let report = Told::new(&run.folder, &situation, progress, done);
        Ok::<_, Error>(staying::Leg { report, status, has_steps, next })
    };
    let tell = |report: &Told| {
        cx.out.result(report)?;
        report.notes(cx);
        Ok::<_, Error>(())
    };
    go_on(args.wait, "sshanchor ca roll", cx, leg, tell).await
}

/// What comes after `leg`.
fn next(leg: &Leg, is_dry_run: bool) -> Next {
    match leg {
        Leg::Done => Next::End(None),
        Leg::Failed(kind) => Next::End(Some(*kind)),
        Leg::Next(_) => Next::End(Some(Kind::Pending).filter(|_| !is_dry_run)),
        Leg::Waiting(wait) => {
            let outcome = match wait {
                _ if is_dry_run => None,
                Wait::Servers(lagging) if lagging.iter().any(Lag::is_silent_primary) => Some(Kind::Failure),
                _ => Some(Kind::Pending),
            };
            Next::Wait { until: wait.until(), outcome }
        }
    }
}

impl Run<'_> {
    fn open(&self) -> Result<Ca, Error> {
        Ca::open(&self.folder).map_err(ca_error)
    }

    fn looks_only(&self) -> bool {
        self.args.status || self.args.primary.looks_only()
    }

    /// What was asked for besides going on.
    async fn prepare(&self, ca: Ca, names: &[Name]) -> Result<(), Error> {
        let args = self.args;
        let is_under_way = ca.authority().keys().iter().any(|key| key.state != KeyState::Current);
        let begins = args.start || (args.emergency && !is_under_way);
        if !begins && (args.passphrase || args.known.is_given() || args.agent) {
            let error = Error::usage("usage", "the options of a new key go with --start");
            return Err(error.hint("go on with the one that is there: sshanchor ca roll"));
        }
        if args.start && is_under_way {
            let error = Error::usage("roll-under-way", "a roll is under way already");
            return Err(error.hint("see where it is: sshanchor ca roll --status; give it up: --abort"));
        }
        if begins {
            return self.begin(ca, names).await;
        }
        if !is_under_way && (args.abort || !args.skip.is_empty()) {
            let error = Error::usage("no-roll", "no roll is under way");
            return Err(error.hint("begin one: sshanchor ca roll --start"));
        }
        Ok(())
    }

    /// The next key, where nothing speaks against it.
    async fn begin(&self, mut ca: Ca, names: &[Name]) -> Result<(), Error> {
        let (args, cx) = (self.args, self.cx);
        if !args.emergency {
            let old = ca.public_key().sha256();
            for sight in sights(names, &args.primary, cx).await?.iter().filter(|sight| sight.is_primary) {
                let set = sight.ca.as_ref().map_err(|why| Error::failure("no-answer", why))?;
                if !set.everywhere.contains(&old) {
                    let message =
                        format!("_ca._ssh.{} does not hold the CA's key {}", sight.at, ca.public_key());
                    return Err(Error::usage("not-published", message)
                        .hint("publish it first: sshanchor ca publish; if it has leaked: --emergency"));
                }
            }
        }
        let source = match &args.public_key {
            Some(file) => KeySource::Agent(one_key(file, cx).await?),
            None => KeySource::New(args.key_type.into(), new_passphrase(args.passphrase, &args.known).await?),
        };
        if let KeySource::Agent(key) = &source {
            let entries = ca.journal().read().map_err(ca_error)?;
            let is_it = |event: &Event| matches!(event, Event::Revoke { key: revoked, .. } if revoked.sha256 == key.sha256());
            if entries.iter().any(|entry| is_it(&entry.event)) {
                let error = Error::usage("revoked", format!("the key {key} is revoked"));
                return Err(error.hint("take a key that nobody has had"));
            }
        }
        ca.add_next(source, self.keys.access(cx)).await.map_err(ca_error)?;
        may_crash("start", "between");
        // Written down here, for a key that was given up once may be tried again.
        let situation = Situation::read(ca, names, &args.primary, cx).await?;
        situation.mark(&Mark::Start { at: names.to_vec(), ttl: situation.ttl() })
    }

    /// Goes as far as that is safe; `done` are the steps.
    async fn leg(&self, names: &[Name], done: &mut Vec<&'static str>) -> Result<(Situation, Leg), Error> {
        for _ in 0..MOST_STEPS {
            let situation = Situation::read(self.open()?, names, &self.args.primary, self.cx).await?;
            let is_of_others =
                situation.roll.is_some() && situation.at != names && self.args.which.names_any();
            if situation.is_under_way() && is_of_others {
                let at: Vec<String> = situation.at.iter().map(Name::to_string).collect();
                let error = Error::usage("ca-name", format!("the roll is at {}", at.join(", ")));
                return Err(error.hint("leave out --at"));
            }
            if let Some(marks) = self.marks(&situation)? {
                for mark in marks {
                    situation.mark(&mark)?;
                }
                continue;
            }
            let settle = self.args.settle.unwrap_or(SETTLE).as_secs();
            let facts = Facts { margin: self.args.margin.as_secs(), settle, ..situation.facts() };
            let step = match decide(&facts) {
                Step::Idle => return Ok((situation, Leg::Done)),
                Step::Wait(wait) => return Ok((situation, Leg::Waiting(wait))),
                step if self.looks_only() => return Ok((situation, Leg::Next(step))),
                step => step,
            };
            if let Some(kind) = self.perform(&step, &situation).await? {
                return Ok((situation, Leg::Failed(kind)));
            }
            done.push(told::word(&step));
            if step == Step::Forget {
                return Ok((situation, Leg::Done));
            }
        }
        Err(Error::failure("not-converged", "the roll goes in circles: somebody else undoes its steps")
            .hint("see who else changes the CA set, or the CA's folder"))
    }

    /// What was asked for and does not stand in the journal yet.
    fn marks(&self, situation: &Situation) -> Result<Option<Vec<Mark>>, Error> {
        let (Some(roll), false) = (&situation.roll, self.looks_only()) else { return Ok(None) };
        if self.args.abort && situation.is_switched() {
            let message =
                format!("the new key {} signs already: hosts show certificates of it", situation.new_key());
            return Err(Error::usage("too-late", message)
                .hint("go on with sshanchor ca roll; afterwards roll over to yet another key"));
        }
        let mut marks = Vec::new();
        if self.args.abort && !roll.is_aborted {
            marks.push(Mark::Abort);
        }
        if self.args.emergency && !roll.is_emergency {
            marks.push(Mark::Emergency);
        }
        let mut skipped = Vec::new();
        for host in &self.args.skip {
            let host = host_name(host)?.name().to_string();
            if roll.skipped.contains(&host) {
                continue;
            }
            let is_for = |names: &[String]| names.contains(&host);
            if !situation.certificates.iter().any(|standing| is_for(&standing.issued.principals)) {
                return Err(Error::usage(
                    "no-certificate",
                    format!("the CA has signed no certificate for {host}"),
                )
                .hint("sshanchor ca list has the names"));
            }
            skipped.push(host);
        }
        if !skipped.is_empty() {
            marks.push(Mark::Skip(skipped));
        }
        Ok((!marks.is_empty()).then_some(marks))
    }
}

/// A CA's key by its digest, for the journal.
fn digest(key: &HostKey) -> KeyDigest {
    KeyDigest::from(key)
}
