//! The command line: one file a command, each from what was typed to what is meant, to a call, to
//! output. The exit status is decided here and nowhere else.

mod bundle;
mod demo;
mod doctor;
mod lookup;
mod proxy;
mod publish;
mod sshfp;
mod target;
mod verify;
mod withdraw;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::dns::cache::{Cache, CacheError};
use crate::dns::dns_server;
use crate::error::{Error, Kind};
use crate::output::Output;
use crate::proto::bundle::Bundle;
use crate::proto::name::{HostName, HostNameError};
use crate::verifier::{Options, Verifier};

/// Proves SSH servers' host keys from DNSSEC before automation connects, and publishes them.
#[derive(Debug, Parser)]
#[command(
    name = "sshanchor",
    version,
    about = "SSH host identities anchored in DNSSEC: publish SSHFP records, prove them before connecting",
    after_help = "Exit status: 0 verified or done, 1 failure, 2 usage, 3 rejected, 4 unproven, 5 changes pending or findings.\n\
                  New here? Try: sshanchor demo",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
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
    /// Keep proofs in this folder for later runs, or nowhere: "off" [default: the user's cache folder]
    #[arg(long, global = true, value_name = "FOLDER", env = "SSHANCHOR_CACHE")]
    cache: Option<PathBuf>,
    /// Give up after this many seconds; of several hosts each has its own
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Say more about what is done, on standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Sshfp(sshfp::Args),
    Publish(publish::Args),
    Withdraw(withdraw::Args),
    Lookup(lookup::Args),
    Bundle(bundle::Args),
    Verify(verify::Args),
    Proxy(proxy::Args),
    Doctor(doctor::Args),
}

/// What every command gets: where to print, whom to ask, how long to wait.
#[derive(Debug, Clone)]
pub struct Context {
    /// Where results go.
    pub out: Output,
    /// The resolvers that were named; empty means the system's.
    pub resolver: Vec<SocketAddr>,
    /// The file of trust anchors; none means the built-in root keys.
    pub trust_anchor: Option<PathBuf>,
    /// How long the command may take; of several hosts each.
    pub timeout: Duration,
    /// Where proofs are kept for later runs; none means nowhere.
    pub cache: Option<PathBuf>,
}

impl Context {
    /// Lookups and verdicts with these settings.
    pub fn verifier(&self) -> Result<Verifier, Error> {
        self.verifier_with(None)
    }

    /// The same with the proofs of a bundle.
    pub fn verifier_with(&self, bundle: Option<Arc<Bundle>>) -> Result<Verifier, Error> {
        Verifier::new(&Options {
            resolver: self.resolver.clone(),
            trust_anchor: self.trust_anchor.clone(),
            timeout: self.timeout,
            cache: self.open_cache(),
            bundle,
            policies: Default::default(),
        })
    }

    /// The cache, if there is one; whatever is wrong with it costs time and nothing else.
    pub(crate) fn open_cache(&self) -> Option<Cache> {
        match Cache::open(self.cache.as_deref()?) {
            Ok(cache) => Some(cache),
            Err(CacheError::Untrusted(why)) => {
                self.out.warn(&format!("the cache is not used: {why} (hint: {})", why.hint()));
                None
            }
            Err(e) => {
                self.out.detail(&e.to_string());
                None
            }
        }
    }
}

/// What to do about a host without a TCP connection, without an SSH handshake, and with a host key that is
/// none or not its own.
const UNREACHABLE_HINT: &str = "check the host's address and whether sshd is running";
const HANDSHAKE_HINT: &str = "is this an SSH server? ssh -v shows what it says";
const BAD_KEY_HINT: &str =
    "do not connect: the server does not prove that it holds the host key that it shows";

/// What is to be said aloud of a proof in grace; `age` in seconds.
pub(crate) fn in_grace(host: &str, age: u64) -> String {
    format!(
        "DNS gives no usable answer for {host}: a proof of {} minutes ago serves, by outage_grace",
        age.div_ceil(60)
    )
}

/// A host name from the command line.
pub(crate) fn host_name(text: &str) -> Result<HostName, Error> {
    HostName::parse(text).map_err(|e| match e {
        HostNameError::Address(_) => Error::new(Kind::Unproven, "address", e)
            .hint("use the host's name: only names have records that can be proven"),
        HostNameError::Grammar(_) => Error::usage("host-name", e),
    })
}

/// Reads the command line, runs the command, and says how the process ends.
pub fn main() -> ExitCode {
    let cli = without_empty_variables(Cli::command()).try_get_matches();
    let cli = match cli.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(e) => {
            // --help and --version go to stdout with status 0, mistakes to stderr with status 2.
            let text = e.render().to_string();
            if e.use_stderr() {
                Output { json: false, verbose: 0 }.note(text.trim_end());
            } else {
                let _ = e.print();
            }
            return ExitCode::from(e.exit_code() as u8);
        }
    };
    let Global { json, resolver, trust_anchor, cache, timeout, verbose } = cli.global;
    let cache = match cache {
        None => Cache::default_folder(),
        Some(folder) => Some(folder).filter(|folder| folder.as_os_str() != "off"),
    };
    let cx = Context { out: Output { json, verbose }, resolver, trust_anchor, timeout, cache };
    let outcome = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let outcome = runtime.block_on(dispatch(cli.command, &cx));
            // A read of standard input may hang in its thread for ever; it must not hold the exit.
            runtime.shutdown_background();
            outcome
        }
        Err(e) => Err(Error::failure("io", format!("cannot start the runtime: {e}"))),
    };
    match outcome {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(kind)) => ExitCode::from(kind.exit_code()),
        Err(error) => {
            cx.out.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// An environment variable that is set to nothing is as good as none, as everywhere else.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    let empty = |name: &std::ffi::OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(empty) { arg.env(None::<&str>) } else { arg })
        .mut_subcommands(without_empty_variables)
}

/// `Ok(None)` is success; `Ok(Some(kind))` is an outcome that the command has reported already.
async fn dispatch(command: Command, cx: &Context) -> Result<Option<Kind>, Error> {
    match command {
        Command::Demo(args) => demo::run(args, cx).await,
        Command::Sshfp(args) => sshfp::run(args, cx).await,
        Command::Publish(args) => publish::run(args, cx).await,
        Command::Withdraw(args) => withdraw::run(args, cx).await,
        Command::Lookup(args) => lookup::run(args, cx).await,
        Command::Bundle(args) => bundle::run(args, cx).await,
        Command::Verify(args) => verify::run(args, cx).await,
        Command::Proxy(args) => proxy::run(args, cx).await,
        Command::Doctor(args) => doctor::run(args, cx).await,
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.1..=86_400.0).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err("want seconds, from 0.1 to 86400".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
