//! The command line: one file a command, each from what was typed to what is meant, to a call, to
//! output. The exit status is decided here and nowhere else.

mod demo;
mod doctor;
mod lookup;
mod proxy;
mod publish;
mod sshfp;
mod verify;
mod withdraw;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::error::{Error, Kind};
use crate::output::Output;
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
}

impl Context {
    /// Lookups and verdicts with these settings.
    pub fn verifier(&self) -> Result<Verifier, Error> {
        Verifier::new(&Options {
            resolver: self.resolver.clone(),
            trust_anchor: self.trust_anchor.clone(),
            timeout: self.timeout,
        })
    }
}

/// What to do about a host without a TCP connection, without an SSH handshake, and with a host key that is
/// none or not its own.
const UNREACHABLE_HINT: &str = "check the host's address and whether sshd is running";
const HANDSHAKE_HINT: &str = "is this an SSH server? ssh -v shows what it says";
const BAD_KEY_HINT: &str =
    "do not connect: the server does not prove that it holds the host key that it shows";

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
    let Global { json, resolver, trust_anchor, timeout, verbose } = cli.global;
    let cx = Context { out: Output { json, verbose }, resolver, trust_anchor, timeout };
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
        Command::Verify(args) => verify::run(args, cx).await,
        Command::Proxy(args) => proxy::run(args, cx).await,
        Command::Doctor(args) => doctor::run(args, cx).await,
    }
}

/// `ADDR`, `ADDR:PORT`, `[V6]:PORT`; the port is 53 unless given.
pub fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| text.parse()).map_err(|_| {
        "want an address, with a port if it is not 53 (192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:53)".into()
    })
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

    #[test]
    fn servers_are_addresses_with_an_optional_port() {
        let read = |text| dns_server(text).map(|a| a.to_string());
        assert_eq!(read("192.0.2.1").unwrap(), "192.0.2.1:53");
        assert_eq!(read("192.0.2.1:5353").unwrap(), "192.0.2.1:5353");
        assert_eq!(read("2001:db8::1").unwrap(), "[2001:db8::1]:53");
        assert_eq!(read("[2001:db8::1]").unwrap(), "[2001:db8::1]:53");
        assert_eq!(read("[2001:db8::1]:5353").unwrap(), "[2001:db8::1]:5353");
        assert!(read("ns1.example.com").is_err());
    }
}
