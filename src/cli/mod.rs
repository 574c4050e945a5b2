//! The command line: one file a command, each from what was typed to what is meant, to a call, to
//! output. The exit status is decided here and nowhere else.

mod agent;
mod audit;
mod bundle;
mod ca;
mod config;
mod context;
mod demo;
mod doctor;
mod exec;
mod export;
mod foreign;
mod global;
mod handshake_hint;
mod hosts;
mod jumps;
mod known_hosts;
mod lazily;
mod lookup;
mod private_file;
mod proxy;
mod publish;
mod rotate;
mod sshd;
mod sshfp;
mod staying;
mod target;
mod terminal;
mod tidy;
mod verify;
mod withdraw;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use self::context::Context;
use self::global::Global;
use self::lazily::Lazily;
use crate::config::load;
use crate::error::{Error, Kind};
use crate::output::Output;
use crate::proto::duration;
use crate::proto::moment::span;
use crate::proto::name::{HostName, HostNameError};

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

    /// It tells warnings itself: in its own time, or for as long as they hold.
    fn tells_warnings(&self) -> bool {
        self.is_for_ssh() || matches!(self, Command::Agent(_))
    }

    /// It does nothing itself.
    fn asks_an_agent(&self) -> bool {
        matches!(self, Command::Agent(args) if args.0.asks_for_status())
    }

    /// It tells itself what is missing in the trail, while it may speak.
    fn tells_trail_trouble(&self) -> bool {
        matches!(self, Command::Proxy(_))
    }

    /// The exit status.
    async fn run(self, cx: &Context) -> Result<u8, Error> {
        let outcome = match self {
            Command::Demo(args) => demo::run(*args.0, cx).await,
            Command::Sshfp(args) => sshfp::run(*args.0, cx).await,
            Command::Publish(args) => publish::run(*args.0, cx).await,
            Command::Withdraw(args) => withdraw::run(*args.0, cx).await,
            Command::Agent(args) => agent::run(*args.0, cx).await,
            Command::Rotate(args) => rotate::run(*args.0, cx).await,
            Command::Ca(args) => ca::run(*args.0, cx).await,
            Command::Verify(args) => verify::run(*args.0, cx).await,
            // That of a remote command, as a rule.
            Command::Exec(args) => return exec::run(*args.0, cx).await,
            Command::Audit(args) => audit::run(*args.0, cx).await,
            Command::Doctor(args) => doctor::run(*args.0, cx).await,
            Command::Tidy(args) => tidy::run(*args.0, cx).await,
            Command::Lookup(args) => lookup::run(*args.0, cx).await,
            Command::Export(args) => export::run(*args.0, cx).await,
            Command::Bundle(args) => bundle::run(*args.0, cx).await,
            Command::Proxy(args) => proxy::run(*args.0, cx).await,
            Command::KnownHosts(args) => known_hosts::run(*args.0, cx).await,
        };
        outcome.map(status)
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
                // Just then one wants to see what the agent makes of it.
                (Err(error), command @ Command::Agent(_)) if command.asks_an_agent() => {
                    out.warn(&format!(
                        "{}; asking at the usual socket (another: --socket PATH)",
                        error.message
                    ));
                    let cx = Context::new(out, typed.clone(), crate::config::read(&typed).0, &command);
                    dispatch(command, &cx).await
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
    if !command.tells_warnings() {
        cx.warnings.iter().for_each(|warning| cx.out.warn(warning));
    }
    let tells_trouble = command.tells_trail_trouble();
    let outcome = command.run(cx).await;
    // What is missing in the trail is not missed in silence.
    if !tells_trouble {
        cx.trail_trouble().iter().for_each(|trouble| cx.out.warn(trouble));
    }
    outcome
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
