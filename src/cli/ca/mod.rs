//! `sshanchor ca`: a CA of one's own, whose key is proven from DNS, so that no host needs a record of its own.

mod init;
mod list;
mod publish;
mod renew;
mod revoke;
mod roll;
mod set;
mod show;
mod sign;
mod withdraw;

use std::future::Future;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use clap::Subcommand;
use zeroize::Zeroizing;

use super::exec::shell::stopped;
use super::terminal::Terminal;
use super::{Context, agent_socket, host_name};
use crate::agent::state::State;
use crate::error::{Error, Kind};
use crate::files::pipe;
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::KeyDigest;
use crate::proto::name::HostName;
use crate::ssh::ca::{Access, Ca, CaError};
use crate::ssh::identity::Ask;

/// Longest passphrase file, in octets.
const MAX_PASSPHRASE: u64 = 1024;
/// How long a passphrase file that is a pipe is waited for: somebody may be typing behind it, as with `<(pass show ca)`.
const TYPING: Duration = Duration::from_secs(120);

/// A CA of your own: certificates for hosts, one record for all of them.
///
/// A CA signs host certificates. Clients that find the CA's key at _ca._ssh.DOMAIN, proven from DNSSEC, accept every
/// host at or below DOMAIN that shows a certificate of it for its own name: no host needs records of its own.
///
/// The CA lives in a folder (--ca): ca.json, what it is; ca_key, its private key, unless ssh-agent or a token holds that;
/// journal.jsonl, what it has signed. Keep it on a machine of its own.
///
/// The way from nothing is that of the examples: init, publish, sign; then, on the host, a line HostCertificate in
/// sshd_config, and ca renew daily.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor ca init --domain example.com --passphrase\n          \
    sshanchor ca publish --server 192.0.2.1 --key-file ca.key\n          \
    sshanchor ca sign --name web1.example.com --host-key ssh_host_ed25519_key.pub")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

/// Each is explained at its arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Sign(sign::Args),
    Renew(Box<renew::Args>),
    List(list::Args),
    Show(show::Args),
    Publish(publish::Args),
    Withdraw(withdraw::Args),
    Revoke(Box<revoke::Args>),
    Roll(Box<roll::Args>),
}

pub(super) async fn run(args: Args, cx: &Context) -> Result<Option<Kind>, Error> {
    match args.command {
        Command::Init(args) => unless_stopped(init::run(args, cx)).await,
        Command::Sign(args) => unless_stopped(sign::run(args, cx)).await,
        Command::Renew(args) => unless_stopped(renew::run(*args, cx)).await,
        Command::List(args) => list::run(&args, cx),
        Command::Show(args) => show::run(&args, cx),
        Command::Publish(args) => publish::run(args, cx).await,
        Command::Withdraw(args) => withdraw::run(args, cx).await,
        Command::Revoke(args) => revoke::run(*args, cx).await,
        Command::Roll(args) => unless_stopped(roll::run(*args, cx)).await,
    }
}

/// A terminal that was asked for a passphrase shows again what is typed, also when a signal ends this.
async fn unless_stopped(
    work: impl Future<Output = Result<Option<Kind>, Error>>,
) -> Result<Option<Kind>, Error> {
    tokio::select! {
        outcome = work => outcome,
        signal = stopped() => Err(Error::failure("stopped", format!("stopped by {signal}"))),
    }
}

/// `--ca FOLDER`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct CaFolder {
    /// The CA's folder [default: ca in the state folder, /var/lib/sshanchor or the user's]
    #[arg(long, value_name = "FOLDER", env = "SSHANCHOR_CA")]
    ca: Option<PathBuf>,
}

impl CaFolder {
    /// Where it is.
    pub(super) fn path(&self) -> Result<PathBuf, Error> {
        if let Some(folder) = &self.ca {
            return Ok(folder.clone());
        }
        let state = std::env::var_os("SSHANCHOR_STATE").filter(|state| !state.is_empty());
        let state = state.map_or_else(State::default_folder, |state| Ok(state.into()));
        let state = state.map_err(|e| Error::usage("state", e).hint("say where the CA is: --ca FOLDER"))?;
        Ok(state.join("ca"))
    }

    /// The CA that is there.
    pub(super) fn open(&self) -> Result<Ca, Error> {
        Ca::open(&self.path()?).map_err(ca_error)
    }
}

/// `--passphrase-file FILE`: who knows the passphrase of the CA's key.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Passphrase {
    /// The passphrase of the CA's key is the first line of FILE, or of /dev/fd/N, rather than asked for at the terminal
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    /// A file was named.
    fn is_given(&self) -> bool {
        self.passphrase_file.is_some()
    }

    /// What the file says, if one was named.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<String>>, Error> {
        self.passphrase_file.as_deref().map(first_line).transpose()
    }

    /// Somebody who knows it: the file, else the terminal.
    pub(super) fn ask(&self) -> Result<Box<dyn Ask>, Error> {
        Ok(match self.read()? {
            Some(passphrase) => Box::new(Known(passphrase)),
            None => Box::new(Terminal),
        })
    }
}

/// What was read from a file.
struct Known(Zeroizing<String>);

impl Ask for Known {
    fn passphrase<'a>(
        &'a self,
        _: &'a Path,
    ) -> Pin<Box<dyn Future<Output = Option<Zeroizing<String>>> + Send + 'a>> {
        Box::pin(std::future::ready(Some(self.0.clone())))
    }
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, Error> {
    let trouble = |e: &dyn std::fmt::Display| {
        Error::usage("passphrase-file", format!("{}: {e}", path.display()))
            .hint("the first line of the file is the passphrase")
    };
    let file = pipe::open(path, TYPING).map_err(|e| trouble(&e))?;
    let metadata = file.metadata();
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        let why = format!("others can read this passphrase (mode {:04o})", metadata.mode() & 0o7777);
        return Err(trouble(&why).hint(format!("chmod 600 {}", path.display())));
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE as usize));
    file.take(MAX_PASSPHRASE).read_to_string(&mut text).map_err(|e| trouble(&e))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(trouble(&"it holds no passphrase")),
    }
}

/// What the use of a private key needs.
pub(super) struct Keys {
    ask: Box<dyn Ask>,
    agent: Option<PathBuf>,
}

impl Keys {
    pub(super) fn new(passphrase: &Passphrase) -> Result<Self, Error> {
        Ok(Keys { ask: passphrase.ask()?, agent: agent_socket() })
    }

    pub(super) fn access(&self, cx: &Context) -> Access<'_> {
        Access { ask: &*self.ask, agent: self.agent.as_deref(), patience: cx.timeout }
    }
}

/// What is in the way of a CA, and what to do about it.
pub(super) fn ca_error(error: CaError) -> Error {
    let is_usage = matches!(
        &error,
        CaError::Absent(_)
            | CaError::Exists(_)
            | CaError::Refused(_)
            | CaError::Description(..)
            | CaError::Key(..)
            | CaError::PublicFile(_)
            | CaError::NoSocket
    );
    let kind = if is_usage { Kind::Usage } else { Kind::Failure };
    Error { hint: error.hint(), ..Error::new(kind, error.reason(), &error) }
}

/// A host or domain on the command line. Nothing is proven of it here: an address is a slip like any other.
fn name(text: &str) -> Result<HostName, Error> {
    host_name(text).map_err(|error| Error { kind: Kind::Usage, ..error })
}

/// A key as results have it.
#[derive(Debug, serde::Serialize)]
struct Key {
    #[serde(rename = "type")]
    key_type: &'static str,
    /// Lower-case hex.
    sha256: String,
}

impl From<KeyDigest> for Key {
    fn from(key: KeyDigest) -> Self {
        Key { key_type: key.key_type.name(), sha256: data_encoding::HEXLOWER.encode(&key.sha256) }
    }
}

impl From<&HostKey> for Key {
    fn from(key: &HostKey) -> Self {
        KeyDigest::from(key).into()
    }
}
