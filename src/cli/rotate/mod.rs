//! `sshanchor rotate`: host keys replaced without a client that is ever refused. What to do is decided in
//! [`crate::proto::rotation`], and done in [`crate::agent::rotation`].

mod told;

use std::time::Duration;

use self::told::Told;
use super::publish::configured;
use super::publish::primary::Primary;
use super::sshd::{SshdArgs, command};
use super::staying::{Leg, Next, go_on};
use super::{Context, host_name};
use crate::agent;
use crate::agent::rotation::records::{Spot, let_all_keys};
use crate::agent::rotation::{Outcome, Progress, Rotation};
use crate::error::{Error, Kind};
use crate::proto::duration;
use crate::proto::hostkey::KeyType;
use crate::proto::name::HostName;
use crate::proto::rollover::Lag;
use crate::proto::rotation::{Mode, Wait, Wish};
use crate::proto::template::Template;
use crate::verifier;

/// Replace this machine's host keys, so that no client ever refuses it.
///
/// Replaces this machine's host keys, one type after the other: sshd does not offer a type while its key changes; the new
/// key's record takes the place of the old one's; once every server of the zone shows it and no cache can hold the old
/// one, sshd offers the type again. A host with keys of one type only gets another first, and keeps it. It goes as far as
/// that is safe, says what it waits for (exit status 5), and may be ended at any moment: run it again, by hand or by a timer.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor rotate --name web1.example.com --server 192.0.2.1 --key-file web1.key\n          \
    sshanchor rotate --status        # the name and the server from [publish] of the configuration\n          \
    sshanchor rotate --resume        # for a timer: 5 while it waits, 0 when all is done or nothing is under way\n          \
    sshanchor rotate --wait --type ed25519 --announce 7d\n          \
    sshanchor rotate --compromised   # the keys have leaked: they leave DNS at once\n\
    sshd_config has to begin with a line such as: Include /etc/ssh/sshd_config.d/*.conf"
)]
pub(super) struct Args {
    /// The host whose keys these are [default: the names in [publish] of the configuration]
    #[arg(long, value_name = "HOST")]
    name: Option<String>,
    /// The type whose key is replaced (repeatable): ed25519, ecdsa, rsa [default: all that sshd has]
    #[arg(long = "type", value_name = "TYPE", value_parser = family, value_delimiter = ',')]
    types: Vec<Family>,
    /// Go on with what is under way, and begin nothing
    #[arg(long, conflicts_with_all = ["types", "overlap", "announce", "compromised"])]
    resume: bool,
    /// Say where it is and what comes next, and do nothing
    #[arg(long, conflicts_with_all = ["types", "overlap", "announce", "compromised", "resume", "wait", "abort"])]
    status: bool,
    /// Stay, and go on as soon as that is safe
    #[arg(long)]
    wait: bool,
    /// Give it up, and go back to the old key: while clients have not seen the new one
    #[arg(long, conflicts_with_all = ["types", "overlap", "announce", "compromised", "resume"])]
    abort: bool,
    /// Publish the new key beside the old one, instead of hiding the type: not for OpenSSH with VerifyHostKeyDNS, which
    /// refuses a host with two keys of a type
    #[arg(long, conflicts_with = "compromised")]
    overlap: bool,
    /// Have sshd tell known_hosts users of the new key for so long before it is used (UpdateHostKeys), such as 7d
    #[arg(long, value_name = "SPAN", value_parser = duration::parse, conflicts_with = "compromised")]
    announce: Option<Duration>,
    /// The keys have leaked: replace them and take them out of DNS without waiting
    #[arg(long)]
    compromised: bool,
    /// Wait so much longer for caches: for clients that bridge outages of DNS (outage_grace); kept until it ends
    #[arg(long, value_name = "SPAN", value_parser = duration::parse)]
    margin: Option<Duration>,
    /// How sshd is reloaded: a command [default: SIGHUP to the process in its PidFile]
    #[arg(long, value_name = "COMMAND", value_parser = command)]
    reload_sshd: Option<Template>,
    #[command(flatten)]
    sshd: SshdArgs,
    #[command(flatten)]
    primary: Primary,
    /// For a server on another port: records at _N._ssh.HOST, good on port N alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
}

/// The types that `ssh-keygen -t` calls so.
#[derive(Debug, Clone, Copy)]
struct Family(&'static [KeyType]);

fn family(text: &str) -> Result<Family, String> {
    static ALL: [KeyType; 5] = KeyType::ALL;
    let one = ALL.iter().position(|key_type| key_type.name() == text).and_then(|at| ALL.get(at..=at));
    KeyType::family(text).or(one).map(Family).ok_or_else(|| "want ed25519, ecdsa or rsa".to_owned())
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let rotation = rotation(&args, cx).await?;
    let looks_only = args.status || args.primary.looks_only();
    if args.abort && !looks_only {
        rotation.abort()?;
    } else if !args.resume && !args.status && !args.abort {
        let record = rotation.record()?;
        let is_under_way = record.is_open();
        let asks = args.overlap || args.announce.is_some() || !args.types.is_empty();
        if is_under_way && asks && !args.compromised {
            let error = Error::usage("under-way", "a rotation is under way already");
            return Err(error.hint(
                "go on with it: sshanchor rotate --resume; see where it is: --status; give it up: --abort",
            ));
        }
        // One that is under way may have to reach further.
        let is_emergency = args.compromised && (record.wish.mode != Mode::Compromised || !looks_only);
        if !is_under_way || is_emergency {
            let types = types(&args, cx);
            if looks_only {
                return would_begin(&rotation, &types, wish(&args, cx), cx).await;
            }
            let notes = rotation.begin(&types, wish(&args, cx)).await?;
            notes.iter().for_each(|note| cx.out.warn(note));
        }
    }
    let leg = async || {
        let report = rotation.advance(looks_only).await?;
        let next = next(&report.outcome, args.primary.is_dry_run());
        let (status, has_steps) = (told::status(&report.outcome), !report.steps.is_empty());
        Ok::<_, Error>(Leg { report, status, has_steps, next })
    };
    let tell = |progress: &Progress| {
        progress.warnings.iter().for_each(|warning| cx.out.warn(warning));
        cx.out.result(&Told::new(progress))?;
        progress.notes.iter().for_each(|note| cx.out.note(note));
        Ok::<_, Error>(())
    };
    go_on(args.wait && !looks_only, "sshanchor rotate --resume", cx, leg, tell).await
}

fn types(args: &Args, cx: &Context) -> Vec<KeyType> {
    match args.types.as_slice() {
        // An emergency is about all of them, unless it is said of which.
        [] if args.compromised => Vec::new(),
        [] => cx.rotate.types.clone(),
        types => types.iter().flat_map(|family| family.0).copied().collect(),
    }
}

fn wish(args: &Args, cx: &Context) -> Wish {
    let configured = agent::rotation::wish(&cx.rotate, verifier::now());
    let mode = match (args.compromised, args.overlap) {
        (true, _) => Mode::Compromised,
        (false, true) => Mode::Overlap,
        (false, false) => configured.mode,
    };
    let announce = args.announce.map_or(configured.announce, |span| span.as_secs());
    let margin = args.margin.map_or(configured.margin, |span| span.as_secs());
    Wish { mode, announce, margin, ..configured }
}

async fn rotation(args: &Args, cx: &Context) -> Result<Rotation, Error> {
    let asked: Vec<HostName> = args.name.iter().map(|name| host_name(name)).collect::<Result<_, _>>()?;
    let mut spots: Vec<Spot> = Vec::new();
    for job in configured::jobs(&args.primary, &asked, cx).await? {
        let_all_keys(&job.host_keys)?;
        spots.push(job.primary.spot(job.names, (args.port.or(job.port), job.ttl, job.exclusive))?);
    }
    let sshd_args = args.sshd.clone().or(&cx.rotate);
    let (sshd, effective) = sshd_args.ask(cx).await?;
    let server =
        sshd_args.server(sshd, &effective, args.reload_sshd.as_ref().or(cx.rotate.reload.as_ref()), cx)?;
    Ok(Rotation {
        spots,
        state: args.primary.state()?,
        server,
        options: cx.options(),
        margin: args.margin.unwrap_or(cx.rotate.margin),
        dead_after: cx.rotate.dead_after,
    })
}

/// With --dry-run, where nothing is under way.
async fn would_begin(
    rotation: &Rotation,
    types: &[KeyType],
    wish: Wish,
    cx: &Context,
) -> Result<Option<Kind>, Error> {
    let prospect = rotation.would_begin(types, wish).await?;
    prospect.warnings.iter().for_each(|warning| cx.out.warn(warning));
    cx.out.result(&Told::would_begin(&prospect))?;
    Ok(None)
}

/// What comes after a leg.
fn next(outcome: &Outcome, is_dry_run: bool) -> Next {
    let pending = Some(Kind::Pending).filter(|_| !is_dry_run);
    match outcome {
        Outcome::Done => Next::End(None),
        Outcome::Next(_) => Next::End(pending),
        Outcome::Waiting(wait) => {
            let outcome = match wait {
                Wait::Servers(lagging) if lagging.iter().any(Lag::is_silent_primary) => Some(Kind::Failure),
                _ => pending,
            };
            Next::Wait { until: wait.until(), outcome }
        }
    }
}
