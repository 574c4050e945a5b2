//! `sshanchor exec`: a command on the very connections whose host keys were proven.

mod many;
mod one;
mod outcome;
pub(super) mod shell;
mod sinks;
mod told;

use std::collections::HashMap;
use std::ffi::OsString;
use std::future::pending;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use self::outcome::FAILED;
use super::bundle::BundleFile;
use super::hosts::HostArgs;
use super::jumps::Ways;
use super::verify::verdicts;
use super::{Context, agent_socket, seconds, status};
use crate::error::{Error, Kind};
use crate::fleet::Host;
use crate::fleet::exec::Control;
use crate::fleet::login::{AgentSocket, Login, Logins, Typed};
use crate::proto::course::Halt;
use crate::ssh::identity::{Identities, Keyring, Wanted};

/// Run a command on hosts, each on the connection that was verified.
///
/// Proves each host's key from DNSSEC, shakes hands with the host, and goes on over that very connection only
/// if the key is proven: until then no user name is sent and no agent is asked. The words of COMMAND are joined by spaces for
/// the remote shell, as ssh does.
///
/// On one host standard input, output and error are the command's. On several, --fanout at a time, each line of output
/// has its host in front; each host gets all of standard input, unless that is a terminal or -n is given; and what failed
/// is told at the end, by reason. Ctrl-C ends what runs and tells what was left; a second one ends at once.
///
/// Keys: those named by -i (a .pub file picks a key of the agent) and by ssh's configuration, then those of ssh-agent
/// (SSH_AUTH_SOCK); where none is named, also ~/.ssh/id_ed25519, id_ecdsa and id_rsa. Passwords are not offered. Of ssh's
/// configuration User, Port, IdentityFile, CertificateFile, IdentityAgent and IdentitiesOnly count, nothing else.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "sshanchor exec [OPTIONS] -H HOSTS -- COMMAND...",
    after_help = "Examples: sshanchor exec -H web1.example.com -l deploy -i ~/.ssh/deploy -- systemctl is-active nginx\n          \
                  sshanchor exec -H 'web[1-200].example.com' -b -- uname -r\n          \
                  sshanchor exec -H @fleet --command-timeout 60 --fail-fast -- apt-get -qy upgrade\n          \
                  tar c site | sshanchor exec -H 'web[1-9].example.com' -- tar x -C /srv\n\
    Exit status: of one host that of the command, 255 if it was not run to its end, whatever stood in the way;\n\
    of several 0 if it ended with 0 on all, else the gravest of 3 rejected, 4 unproven, 1 failed (another status, unreachable, denied,\n\
    not run), or 130 after Ctrl-C (128 and the signal's number); 2 usage, and nothing was done."
)]
pub(super) struct Args {
    #[command(flatten)]
    hosts: HostArgs,
    /// Log in as USER [default: the one before the host, else that of ssh's configuration, else this user's name]
    #[arg(short = 'l', long, value_name = "USER")]
    login: Option<String>,
    /// Log in with this key: a private key, or the .pub file of one that ssh-agent holds (repeatable)
    #[arg(short, long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// How many hosts at the same time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    fanout: u16,
    /// End the command on a host where it takes longer than this
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    command_timeout: Option<Duration>,
    /// End everything after this time: what runs is ended, and no other host begins
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// Begin no other host once one has failed, a status other than 0 included; what runs goes on to its end
    #[arg(long)]
    fail_fast: bool,
    /// At the end, each output once with the hosts that wrote it, as clush -b: that of most hosts first. For scripts, --json is
    /// the form that no output can imitate
    #[arg(short = 'b', long, conflicts_with = "json")]
    group: bool,
    /// Show only what went wrong: of hosts on which the command ended with 0 nothing, not even what it wrote
    #[arg(short, long)]
    quiet: bool,
    /// Put the host in front of each line of one host's output as well, and count it as one of several
    #[arg(long, conflicts_with = "json")]
    prefix: bool,
    /// Give the command no standard input
    #[arg(short = 'n', long)]
    no_input: bool,
    /// Give several hosts standard input though it is a terminal
    #[arg(long, conflicts_with = "no_input")]
    input: bool,
    /// Show verdicts as verify does, and run nothing: no user name is sent
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    bundle: BundleFile,
    /// The command, for the remote shell to read
    #[arg(value_name = "COMMAND", required_unless_present = "dry_run", trailing_var_arg = true)]
    command: Vec<OsString>,
}

impl Args {
    /// What is known of logging in.
    fn logins(&self, cx: &Context) -> Result<Logins, Error> {
        let (user, identities) = (self.login.clone(), self.identity.clone());
        let typed = Typed { user, identities, is_direct: self.hosts.is_direct() };
        Logins::load(typed, self.hosts.ssh_config(), cx.timeout)
    }
}

/// One host, and who goes there with which keys.
#[derive(Debug)]
struct Visit {
    host: Host,
    user: String,
    identities: Arc<Identities>,
}

impl Args {
    /// Nobody logs in anywhere.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}

/// The exit status: of one host the command's, or [`FAILED`].
pub(super) async fn run(args: Args, cx: &Context) -> Result<u8, Error> {
    let words: Vec<&[u8]> = args.command.iter().map(|word| word.as_bytes()).collect();
    let command = words.join(b" ".as_slice());
    if command.trim_ascii().is_empty() && !args.dry_run {
        return Err(Error::usage("command", "the command is empty")
            .hint("what to run stands after the options: sshanchor exec -H HOST -- uptime"));
    }
    let hosts = args.hosts.hosts(cx).await?;
    let is_one = hosts.len() == 1 && !args.group && !args.prefix;
    if args.dry_run {
        return dry_run(&args, hosts, cx).await;
    }
    let visits = visits(&args, hosts, cx).await?;
    let verifier = match args.bundle.load(cx.timeout).and_then(|bundle| cx.verifier_with(bundle)) {
        Ok(verifier) => verifier,
        Err(error) if error.kind == Kind::Usage || !is_one => return Err(error),
        Err(error) => {
            cx.out.error(&error);
            return Ok(FAILED);
        }
    };
    match visits.as_slice() {
        [visit] if is_one => one::run(&args, &command, visit, &verifier, cx).await,
        _ => many::run(&args, command, visits, verifier, cx).await,
    }
}

/// The verdicts alone.
async fn dry_run(args: &Args, hosts: Vec<Host>, cx: &Context) -> Result<u8, Error> {
    let verifier = cx.verifier_with(args.bundle.load(cx.timeout)?)?;
    let logins = args.logins(cx)?;
    let (mut at_ports, mut ways) = (Vec::with_capacity(hosts.len()), Ways::default());
    for host in hosts {
        let login = logins.settings(&host).await?;
        at_ports.push(ways.add(Host { port: login.port, ..host }, login.jump.as_ref()));
    }
    ways.warn(cx);
    verdicts(at_ports, args.fanout, args.quiet, &verifier, cx).await.map(status)
}

/// Who goes where. A key file that was named and is none is told of before anything is done.
async fn visits(args: &Args, hosts: Vec<Host>, cx: &Context) -> Result<Vec<Visit>, Error> {
    let logins = args.logins(cx)?;
    let folder = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".ssh"));
    let (mut keyring, environment) = (Keyring::new(folder), agent_socket());
    let mut known: HashMap<Login, Arc<Identities>> = HashMap::new();
    let (mut visits, mut ways) = (Vec::with_capacity(hosts.len()), Ways::default());
    for host in hosts {
        let login = logins.settings(&host).await?;
        let user = login.user.clone();
        let host = ways.add(Host { port: login.port, ..host }, login.jump.as_ref());
        // Those that log in with the same keys share them.
        let keys = Login { user: String::new(), port: 0, jump: None, ..login };
        let identities = match known.get(&keys) {
            Some(identities) => Arc::clone(identities),
            None => {
                let named = keys.identities.iter().take_while(|file| args.identity.contains(file)).count();
                let (named, configured) = keys.identities.split_at(named);
                let agent = match &keys.agent {
                    AgentSocket::Environment => environment.as_deref(),
                    AgentSocket::Path(path) => Some(path.as_path()),
                    AgentSocket::None => None,
                };
                let wanted = Wanted {
                    named,
                    configured,
                    has_defaults: keys.has_default_identities,
                    certificates: &keys.certificates,
                    agent,
                    named_only: keys.identities_only,
                };
                let identities = keyring.identities(wanted).map(Arc::new).map_err(|error| {
                    let hint = error.hint();
                    Error::usage("identity", error).hint(hint)
                })?;
                known.insert(keys, Arc::clone(&identities));
                identities
            }
        };
        visits.push(Visit { host, user, identities });
    }
    ways.warn(cx);
    Ok(visits)
}

/// Has `control` heed the deadline for everything and the signals that end this process; done by the second signal.
async fn watch(control: &Control, deadline: Option<Duration>) {
    let over = async {
        match deadline {
            Some(deadline) => sleep(deadline).await,
            None => pending().await,
        }
        control.halt(Halt::Deadline);
        pending::<()>().await;
    };
    let signals = async {
        control.halt(Halt::Signal(shell::signalled().await));
        shell::signalled().await
    };
    tokio::select! {
        () = over => {}
        _ = signals => {}
    }
}
