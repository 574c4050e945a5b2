//! `sshanchor agent`: this machine's SSHFP records kept right, for as long as it runs.

mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Subcommand;

use super::publish::place::PlaceArgs;
use super::publish::primary::zone;
use super::publish::published;
use super::{Context, host_name};
use crate::agent::daemon::{Daemon, Done, Settings};
use crate::agent::monitor::Monitor;
use crate::agent::monitor::systemd::Manager;
use crate::agent::proof::Proof;
use crate::agent::state::State;
use crate::config::publishing::Publishing;
use crate::config::{Typed, load, warning};
use crate::dns::dns_server;
use crate::error::{Error, Kind};
use crate::log::{AtLeast, Level, Lines, Sink, Telling, sink};
use crate::output::{Output, Results};
use crate::proto::duration;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::MAX_TTL;
use crate::verifier::Options;

/// Keep this machine's SSHFP records right, for as long as it runs.
///
/// Publishes this machine's host keys as `publish` does, and looks after them: when a host key, a certificate or the
/// configuration changes on disk, at SIGHUP, and every now and then. Each time it reads the records back from every name
/// server of the zone and proves them as clients will. Own records that somebody removed are put back, twice within a
/// day; the third time it stops and says so. What fails and may pass is tried again, less and less often.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples: sshanchor agent                         all of [publish] in /etc/sshanchor/config.toml\n          \
    sshanchor agent --once                  one pass, and an exit status as that of publish\n          \
    sshanchor agent --name web1.example.com --server 192.0.2.1 --key-file web1.key\n          \
    sshanchor agent status                  what it does, and what it cannot\n\
    Signals:  SIGHUP reads the configuration again and looks at once; SIGTERM ends it, the records stay; with withdraw = \"poweroff\" in [agent]\n          they go if systemd is switching the machine off.",
    args_conflicts_with_subcommands = true
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: PlaceArgs,
    /// The host whose keys these are, with a place on the command line [default: this machine's name]
    #[arg(long = "name", value_name = "HOST", requires = "place")]
    names: Vec<String>,
    /// The zone [default: the one that the server names for the host; --zone-file and --exec need it]
    #[arg(long, value_name = "ZONE", value_parser = zone, requires = "place")]
    zone: Option<Name>,
    /// For a server on another port: records at _N._ssh.HOST, good on port N alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), requires = "place")]
    port: Option<u16>,
    /// The records' time to live [default: that of records already there, else 3600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(..=i64::from(MAX_TTL)), requires = "place")]
    ttl: Option<u32>,
    /// A public host key file (repeatable); left out means this machine's own, as sshd -T lists them
    #[arg(long = "host-key", value_name = "PUBFILE", requires = "place")]
    host_keys: Vec<PathBuf>,
    /// Another server of the zone to read back from (repeatable) [default: those of the NS records]
    #[arg(long = "check-server", value_name = "ADDR[:PORT]", value_parser = dns_server, requires = "place")]
    check_servers: Vec<SocketAddr>,
    /// Make one pass and end
    #[arg(long)]
    once: bool,
    /// How often to look although nothing happened; a tenth more or less by chance [default: 15m]
    #[arg(long, value_name = "SPAN", value_parser = span)]
    interval: Option<Duration>,
    /// Where it is kept which records are own [default: /var/lib/sshanchor, or the user's state folder]
    #[arg(long, value_name = "DIR", env = "SSHANCHOR_STATE")]
    state: Option<PathBuf>,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = duration::parse(text).map_err(|e| e.to_string())?;
    if span.is_zero() { Err("want a span of time from 1s on".to_owned()) } else { Ok(span) }
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
}

impl Args {
    /// Nothing is done: an agent that runs is asked.
    pub(super) fn asks_for_status(&self) -> bool {
        matches!(self.command, Some(Command::Status(_)))
    }
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    if let Some(Command::Status(args)) = &args.command {
        return status::run(args, cx).await;
    }
    let state = State::at(match &args.state {
        Some(folder) => folder.clone(),
        None => State::default_folder()?,
    });
    let (typed, out, once, own_state) = (cx.typed.clone(), cx.out, args.once, args.state.clone());
    let log: Arc<dyn Sink> = match once {
        true => Arc::new(Lines { out, debug: 1 }),
        false => {
            let level = if out.verbose > 0 { Level::Debug } else { Level::Info };
            Arc::new(AtLeast { level, sink: sink(cx.agent.log) })
        }
    };
    let mut daemon = Daemon::new(Box::new(move || settings(&args, &typed)), state, log.clone())?;
    if !once {
        let view = daemon.view();
        let shown = view.settings.borrow().clone();
        let monitor = Monitor::open(&shown, own_state.as_deref()).await?;
        let manager = Manager::from_environment();
        tokio::select! {
            outcome = daemon.run(&manager) => outcome?,
            () = monitor.run(view, own_state, manager.clone(), log) => {}
        }
        return Ok(None);
    }
    let (mut kinds, mut results) = (Vec::new(), Results::new(out));
    for done in daemon.pass().await? {
        kinds.extend(report(done, &out, &mut results)?);
    }
    results.end()?;
    Ok(Kind::gravest(kinds))
}

/// What the command line and the configuration, as it is now, say.
fn settings(args: &Args, typed: &Typed) -> Result<Settings, Error> {
    let config = load(typed)?;
    let publishing = match args.place.place() {
        Some(place) => vec![Publishing {
            names: args.names.iter().map(|name| host_name(name)).collect::<Result<Vec<HostName>, _>>()?,
            place,
            zone: args.zone.clone(),
            port: args.port,
            ttl: args.ttl,
            host_keys: args.host_keys.clone(),
            check_servers: args.check_servers.clone(),
            require_signed: false,
            exclusive: false,
        }],
        None => config.publishing.value,
    };
    if publishing.is_empty() {
        return Err(Error::usage("usage", "nothing is configured to be published").hint(
            "give a [publish] table in /etc/sshanchor/config.toml (name, server, key_file), or --server ADDR --key-file \
             FILE",
        ));
    }
    let mut agent = config.agent.value;
    agent.interval = args.interval.unwrap_or(agent.interval);
    Ok(Settings {
        publishing,
        configured: args.place.place().is_none(),
        agent,
        rotate: config.rotate.value,
        options: Options {
            resolver: config.resolver.value,
            trust_anchor: config.trust_anchor.value,
            timeout: config.timeout.value,
            // What it proves is about now.
            cache: None,
            bundle: None,
            policies: config.policies,
            trail: None,
            telling: Telling::default(),
        },
        files: typed.files.paths(),
        warnings: config.ignored.iter().map(warning).collect(),
    })
}

/// The result of one pass for one set, as `publish` has it.
fn report(done: Done, out: &Output, results: &mut Results) -> Result<Option<Kind>, Error> {
    let Done { mut published, locked_out, .. } = done;
    published.error = published.error.or(locked_out);
    published::print(&published, out, results)?;
    let unproven = published.proof.as_ref().is_some_and(Proof::speaks_against).then_some(Kind::Unproven);
    Ok(published.error.as_ref().map(|error| error.kind).or(unproven))
}
