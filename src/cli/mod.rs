//! The command line: one file a command, each from what was typed to what is meant, to a call, to
//! output. The exit status is decided here and nowhere else.

mod agent;
mod audit;
mod bundle;
mod ca;
mod config;
mod demo;
mod doctor;
mod exec;
mod export;
mod foreign;
mod handshake_hint;
mod hosts;
mod known_hosts;
mod lazily;
mod lookup;
mod private_file;
mod proxy;
mod publish;
mod rotate;
mod sshd;
mod sshfp;
mod target;
mod terminal;
mod tidy;
mod verify;
mod withdraw;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use self::lazily::Lazily;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::publishing::{Agent, Publishing, Rotate};
use crate::config::{Cache, Config, Files, Source, Sourced, Typed, load, warning};
use crate::dns::cache::{self, CacheError};
use crate::dns::dns_server;
use crate::error::{Error, Kind};
use crate::output::Output;
use crate::proto::bundle::Bundle;
use crate::proto::duration;
use crate::proto::moment::span;
use crate::proto::name::{HostName, HostNameError};
use crate::proto::policy::Policies;
use crate::trail::Trail;
use crate::verifier::{Options, Verifier};

/// Proves SSH servers' host keys from DNSSEC before automation connects, and publishes them.
#[derive(Debug, Parser)]
#[command(
    name = "sshanchor",
    version,
    about = "SSH host identities anchored in DNSSEC: publish SSHFP records, prove them before connecting",
    after_help = "Exit status: 0 verified or done, 1 failure, 2 usage, 3 rejected, 4 unproven, 5 changes pending or findings.\n\
                  On a host:   sshanchor publish --name web1.example.com --server 192.0.2.53 --key-file web1.key\n\
                  On a client: sshanchor config ssh --install '*.example.com', then ssh as ever\n\
                  New here?    sshanchor demo",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Print results as JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    /// Ask this resolver instead of the system's; it need not be trusted (repeatable)
    #[arg(long, global = true, value_name = "ADDR[:PORT]", env = "SSHANCHOR_RESOLVER", value_delimiter = ',', value_parser = dns_server)]
    resolver: Vec<SocketAddr>,
    /// Trust these keys (DNSKEY or DS lines) instead of the built-in root keys
    #[arg(long, global = true, value_name = "FILE", env = "SSHANCHOR_TRUST_ANCHOR")]
    trust_anchor: Option<PathBuf>,
    /// Keep proofs in this folder from one run to the next, or nowhere (off)
    #[arg(long, global = true, value_name = "FOLDER|off", env = "SSHANCHOR_CACHE", value_parser = cache)]
    cache: Option<Cache>,
    /// Read this configuration alone, or none, instead of the user's and the system's
    #[arg(long, global = true, value_name = "FILE|none", env = "SSHANCHOR_CONFIG", value_parser = files)]
    config: Option<Files>,
    /// Give up after this many seconds; of several hosts each has its own [default: 10]
    #[arg(long, global = true, value_name = "SECONDS", value_parser = seconds)]
    timeout: Option<Duration>,
    /// Say more about what is done, on standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// What needs no more than the configuration, and what needs it in force.
#[derive(Debug, Subcommand)]
enum Subcommands {
    #[command(flatten)]
    Command(Command),
    #[command(display_order = 4)]
    Config(Lazily<config::Args>),
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(Lazily<demo::Args>),
    Sshfp(Lazily<sshfp::Args>),
    Publish(Lazily<publish::Args>),
    Withdraw(Lazily<withdraw::Args>),
    Agent(Lazily<agent::Args>),
    Rotate(Lazily<rotate::Args>),
    Ca(Lazily<ca::Args>),
    Verify(Lazily<verify::Args>),
    Exec(Lazily<exec::Args>),
    Audit(Lazily<audit::Args>),
    Doctor(Lazily<doctor::Args>),
    Tidy(Lazily<tidy::Args>),
    Lookup(Lazily<lookup::Args>),
    Export(Lazily<export::Args>),
    Bundle(Lazily<bundle::Args>),
    Proxy(Lazily<proxy::Args>),
    KnownHosts(Lazily<known_hosts::Args>),
}

impl Command {
    /// It proves something, or changes what others have proven.
    fn keeps_proofs(&self) -> bool {
        !matches!(self, Command::Demo(_) | Command::Sshfp(_) | Command::Doctor(_) | Command::Audit(_))
    }

    /// It tells warnings itself, and for as long as they hold.
    fn is_an_agent(&self) -> bool {
        matches!(self, Command::Agent(_))
    }

    /// What the trail calls it, if its verdicts are noted there: somebody connects by them.
    fn noted(&self) -> Option<&'static str> {
        match self {
            Command::Verify(_) => Some("verify"),
            Command::Exec(args) if args.0.is_dry_run() => Some("exec --dry-run"),
            Command::Exec(_) => Some("exec"),
            Command::Proxy(_) => Some("proxy"),
            Command::KnownHosts(_) => Some("known-hosts"),
            _ => None,
        }
    }

    /// Its standard output, and when to speak on standard error, are ssh's matter.
    fn is_for_ssh(&self) -> bool {
        matches!(self, Command::Proxy(_) | Command::KnownHosts(_))
    }
}

/// What every command gets: where to print, and what is configured.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where results go.
    pub out: Output,
    /// What the command line and the environment say, for those that read the configuration again.
    pub typed: Typed,
    /// The resolvers that were named; empty means the system's.
    pub resolver: Vec<SocketAddr>,
    /// The file of trust anchors; none means the built-in root keys.
    pub trust_anchor: Option<PathBuf>,
    /// How long the command may take; of several hosts each.
    pub timeout: Duration,
    /// Proofs of earlier runs, for the commands that use them.
    pub proofs: Option<cache::Cache>,
    /// What is asked for besides a proof, by host.
    pub policies: Policies,
    /// This machine's names, and where their records are kept.
    pub publishing: Vec<Publishing>,
    /// The agent's settings.
    pub agent: Agent,
    /// How host keys are replaced.
    pub rotate: Rotate,
    /// Where verdicts are noted, for the commands by which somebody connects.
    pub trail: Option<Arc<Trail>>,
    /// What is wrong with the configuration, and yet no error. Where standard error is the user's these have been
    /// told; `proxy` and `known-hosts` tell them in their own time.
    pub warnings: Vec<String>,
}

impl Context {
    /// With the proofs of earlier runs, if `command` uses them, and with the trail, if its verdicts are noted there.
    fn new(out: Output, typed: Typed, config: Config, command: &Command) -> Self {
        let keeps_proofs = command.keeps_proofs();
        let trails: Vec<_> = config.trails.into_iter().map(|trail| trail.value).collect();
        let trail = command.noted().and_then(|command| Trail::new(command, &trails)).map(Arc::new);
        let mut cx = Context {
            out,
            typed,
            resolver: config.resolver.value,
            trust_anchor: config.trust_anchor.value,
            timeout: config.timeout.value,
            proofs: None,
            policies: config.policies,
            publishing: config.publishing.value,
            agent: config.agent.value,
            rotate: config.rotate.value,
            trail,
            warnings: config.ignored.iter().map(warning).collect(),
        };
        if let Cache::Folder(folder) = config.cache.value
            && keeps_proofs
        {
            // Whatever is wrong with it costs time and nothing else.
            match cache::Cache::open(&folder) {
                Ok(proofs) => cx.proofs = Some(proofs),
                Err(e @ CacheError::Untrusted(_)) => {
                    cx.warnings.push(format!("{e} (hint: {})", e.hint()));
                }
                Err(e) => cx.out.detail(&e.to_string()),
            }
        }
        cx
    }

    /// Lookups and verdicts with these settings.
    pub fn verifier(&self) -> Result<Verifier, Error> {
        self.verifier_with(None)
    }

    /// The same with the proofs of a bundle.
    pub fn verifier_with(&self, bundle: Option<Arc<Bundle>>) -> Result<Verifier, Error> {
        Verifier::new(&Options { bundle, ..self.options() })
    }

    /// What lookups and verdicts go by.
    pub fn options(&self) -> Options {
        Options {
            resolver: self.resolver.clone(),
            trust_anchor: self.trust_anchor.clone(),
            timeout: self.timeout,
            cache: self.proofs.clone(),
            bundle: None,
            policies: self.policies.clone(),
            trail: self.trail.clone(),
        }
    }

    /// Why a line of the trail is missing, if one is and it was not told yet.
    fn trail_trouble(&self) -> Option<String> {
        self.trail.as_ref().and_then(|trail| trail.trouble())
    }
}

impl Global {
    /// Each value with its source, which `matches` knows.
    fn typed(self, matches: &ArgMatches) -> Typed {
        fn sourced<T>(
            matches: &ArgMatches,
            (id, option, variable): (&str, &'static str, &'static str),
            value: T,
        ) -> Sourced<T> {
            let source = match matches.value_source(id) {
                Some(ValueSource::EnvVariable) => Source::Environment(variable),
                _ => Source::Option(option),
            };
            Sourced { value, source }
        }
        let resolver = Some(self.resolver).filter(|servers| !servers.is_empty());
        let of_resolver = ("resolver", "--resolver", "SSHANCHOR_RESOLVER");
        let of_anchor = ("trust_anchor", "--trust-anchor", "SSHANCHOR_TRUST_ANCHOR");
        Typed {
            files: self.config.unwrap_or_default(),
            resolver: resolver.map(|value| sourced(matches, of_resolver, value)),
            trust_anchor: self.trust_anchor.map(|value| sourced(matches, of_anchor, value)),
            cache: self.cache.map(|value| sourced(matches, ("cache", "--cache", "SSHANCHOR_CACHE"), value)),
            timeout: self.timeout.map(|value| sourced(matches, ("timeout", "--timeout", ""), value)),
        }
    }
}

/// What to do about a host key that is none or not its host's own.
const BAD_KEY_HINT: &str =
    "do not connect: the server does not prove that it holds the host key that it shows";

/// What is to be said aloud of a proof in grace; `age` in seconds.
pub(crate) fn in_grace(host: &str, age: u64) -> String {
    format!("DNS gives no usable answer for {host}: a proof of {} ago serves, by outage_grace", span(age))
}

/// A host name from the command line.
pub(crate) fn host_name(text: &str) -> Result<HostName, Error> {
    HostName::parse(text).map_err(|e| match e {
        HostNameError::Address(_) => Error::new(Kind::Unproven, "address", e)
            .hint("use the host's name: only names have records that can be proven"),
        HostNameError::Grammar(_) => Error { hint: target::hint_for(text), ..Error::usage("host-name", e) },
    })
}

/// Where this user's ssh-agent listens.
fn agent_socket() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The command line as it is defined, for completions and man pages.
pub fn command() -> clap::Command {
    Cli::command_without_variables()
}

/// Reads the command line, runs the command, and says how the process ends.
pub fn main() -> ExitCode {
    let read = |command: clap::Command| {
        let matches = without_empty_variables(command).try_get_matches()?;
        Ok::<_, clap::Error>((Cli::from_arg_matches(&matches)?, matches))
    };
    let (cli, matches) = match read(lazily::command::<Cli>()).or_else(|_| read(Cli::command())) {
        Ok(both) => both,
        Err(e) => {
            // --help and --version go to stdout with status 0, mistakes to stderr with status 2. Values from the
            // environment would stand in the usage as if they had to be typed.
            let e = match Cli::command_without_variables().try_get_matches() {
                Err(without) if e.use_stderr() && without.use_stderr() => without,
                _ => e,
            };
            let text = e.render().to_string();
            let hint = foreign::hint(&e, std::env::args_os().filter_map(|word| word.into_string().ok()));
            let text = hint.map_or(text.clone(), |hint| foreign::with_hint(&text, hint));
            if e.use_stderr() {
                Output { json: false, verbose: 0 }.note(text.trim_end());
            } else {
                let _ = e.print();
            }
            if known_hosts::decides_nothing(std::env::args_os()) {
                return ExitCode::SUCCESS;
            }
            return ExitCode::from(e.exit_code() as u8);
        }
    };
    let out = Output { json: cli.global.json, verbose: cli.global.verbose };
    let typed = cli.global.typed(&matches);
    let is_for_ssh = matches!(&cli.command, Subcommands::Command(command) if command.is_for_ssh());
    let outcome = match cli.command {
        Subcommands::Config(args) => config::run(*args.0, &typed, out).map(status),
        Subcommands::Command(Command::KnownHosts(args)) if args.0.wants_nothing() => Ok(0),
        Subcommands::Command(command) => in_runtime(async {
            match (load(&typed), command) {
                (Ok(config), command) => {
                    let cx = Context::new(out, typed.clone(), config, &command);
                    dispatch(command, &cx).await
                }
                // Its standard output is ssh's.
                (Err(error), Command::Proxy(_)) => {
                    Ok(status(Some(proxy::refuse_with(out, &[], error).await)))
                }
                (Err(error), Command::KnownHosts(args)) => {
                    Ok(status(known_hosts::refuse(&args.0, out, &error)))
                }
                (Err(error), _) => Err(error),
            }
        }),
    };
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            if is_for_ssh {
                out.refusal(&error)
            } else {
                out.error(&error)
            }
            match known_hosts::decides_nothing(std::env::args_os()) {
                true => ExitCode::SUCCESS,
                false => ExitCode::from(error.kind.exit_code()),
            }
        }
    }
}

fn in_runtime<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::failure("io", format!("cannot start the runtime: {e}")))?;
    let outcome = runtime.block_on(work);
    // A read of standard input may hang in its thread for ever; it must not hold the exit.
    runtime.shutdown_background();
    outcome
}

/// An environment variable that is set to nothing is as good as none, as everywhere else.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let empty = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(empty) { arg.env(None::<&str>) } else { arg })
        .mut_subcommands(without_empty_variables)
}

impl Cli {
    fn command_without_variables() -> clap::Command {
        fn without(command: clap::Command) -> clap::Command {
            command.mut_args(|arg| arg.env(None::<&str>)).mut_subcommands(without)
        }
        without(Self::command())
    }
}

/// The exit status of a command that has reported its outcome already; none is success.
fn status(outcome: Option<Kind>) -> u8 {
    outcome.map_or(0, Kind::exit_code)
}

/// The exit status.
async fn dispatch(command: Command, cx: &Context) -> Result<u8, Error> {
    if !command.is_for_ssh() && !command.is_an_agent() {
        cx.warnings.iter().for_each(|warning| cx.out.warn(warning));
    }
    // It tells while it may.
    let is_proxy = matches!(command, Command::Proxy(_));
    let outcome = match command {
        Command::Demo(args) => demo::run(*args.0, cx).await,
        Command::Sshfp(args) => sshfp::run(*args.0, cx).await,
        Command::Publish(args) => publish::run(*args.0, cx).await,
        Command::Withdraw(args) => withdraw::run(*args.0, cx).await,
        Command::Agent(args) => agent::run(*args.0, cx).await,
        Command::Rotate(args) => rotate::run(*args.0, cx).await,
        Command::Lookup(args) => lookup::run(*args.0, cx).await,
        Command::Bundle(args) => bundle::run(*args.0, cx).await,
        Command::Ca(args) => ca::run(*args.0, cx).await,
        Command::Export(args) => export::run(*args.0, cx).await,
        Command::Verify(args) => verify::run(*args.0, cx).await,
        Command::Proxy(args) => proxy::run(*args.0, cx).await,
        Command::KnownHosts(args) => known_hosts::run(*args.0, cx).await,
        Command::Exec(args) => {
            let status = exec::run(*args.0, cx).await;
            tell_of_the_trail(cx);
            return status;
        }
        Command::Audit(args) => audit::run(*args.0, cx).await,
        Command::Doctor(args) => doctor::run(*args.0, cx).await,
        Command::Tidy(args) => tidy::run(*args.0, cx).await,
    };
    if !is_proxy {
        tell_of_the_trail(cx);
    }
    outcome.map(status)
}

/// What is missing in the trail is not missed in silence.
fn tell_of_the_trail(cx: &Context) {
    cx.trail_trouble().iter().for_each(|trouble| cx.out.warn(trouble));
}

fn cache(text: &str) -> Result<Cache, String> {
    Cache::read(text, |folder| Ok(folder.into()))
}

fn files(text: &str) -> Result<Files, String> {
    Files::read(text)
}

fn seconds(text: &str) -> Result<Duration, String> {
    // As in the configuration, too: 5m.
    let span = duration::parse(text).ok().filter(|span| !span.is_zero()).map(|span| span.as_secs_f64());
    match span.or_else(|| text.parse::<f64>().ok()) {
        Some(s) if (0.1..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("want seconds, from 0.1 to 86400, or a span of time such as 5m".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        lazily::command::<Cli>().debug_assert();
    }
}
