//! The ssh client of this machine, asked about itself: its version, and its configuration for a host.

pub mod files;
pub mod tree;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::proto::doctor::ssh::Config;
use crate::proto::name::HostName;
use crate::proto::text::cut;

/// Most that ssh may print, in octets; `ssh -G` prints some 5 KiB.
const MAX_OUTPUT: u64 = 256 * 1024;

/// A name for which nobody has lines (RFC 2606): what ssh says of it are its defaults.
pub const NOBODY: &str = "sshanchor.invalid";

/// Why ssh told nothing.
#[derive(Debug, thiserror::Error)]
pub enum AskSshError {
    /// There is no such program.
    #[error("no ssh in PATH")]
    Missing,
    /// It could not be started or read.
    #[error("cannot run ssh: {0}")]
    Io(#[from] std::io::Error),
    /// It is slow: `Match exec` and CanonicalizeHostname may make it wait.
    #[error("ssh did not answer in time")]
    Timeout,
    /// It printed without an end.
    #[error("ssh printed more than {MAX_OUTPUT} octets")]
    TooLong,
    /// It refused, as it does where its configuration is wrong.
    #[error("ssh said: {0}")]
    Failed(String),
}

/// What ssh would do for `typed`, a host name in strict grammar, by its own configuration or that in `file`:
/// `ssh -G`, which connects to nothing.
pub async fn of_host(typed: &str, file: Option<&Path>, patience: Duration) -> Result<Config, AskSshError> {
    of_user(typed, None, file, patience).await
}

/// The same for a user who was named.
pub async fn of_user(
    typed: &str,
    user: Option<&str>,
    file: Option<&Path>,
    patience: Duration,
) -> Result<Config, AskSshError> {
    if HostName::parse(typed).is_err() {
        return Err(AskSshError::Failed(format!("{typed:?} is not a host name")));
    }
    let mut arguments: Vec<&OsStr> = vec![OsStr::new("-G")];
    if let Some(file) = file {
        arguments.extend([OsStr::new("-F"), file.as_os_str()]);
    }
    if let Some(user) = user {
        arguments.extend([OsStr::new("-l"), OsStr::new(user)]);
    }
    // After `--` nothing is an option, whatever it looks like.
    arguments.extend([OsStr::new("--"), OsStr::new(typed)]);
    let (status, out, err) = run(&arguments, patience).await?;
    match status.success() {
        true => Ok(Config::parse(&out)),
        false => Err(AskSshError::Failed(said(&err))),
    }
}

/// The user's configuration file, where ssh looks for it: in the home of the password database, whatever HOME says. ssh
/// itself puts the home in.
pub async fn user_file(patience: Duration) -> Result<PathBuf, AskSshError> {
    let arguments = ["-F", "none", "-G", "-o", "ControlPath=~/.ssh/config", "--", NOBODY].map(OsStr::new);
    let (status, out, err) = run(&arguments, patience).await?;
    match (status.success(), Config::parse(&out).get("controlpath")) {
        (true, Some(path)) if path.starts_with('/') => Ok(path.into()),
        _ => Err(AskSshError::Failed(said(&err))),
    }
}

/// What `ssh -V` says.
pub async fn version(patience: Duration) -> Result<String, AskSshError> {
    let (status, _, err) = run(&[OsStr::new("-V")], patience).await?;
    if status.success() { Ok(err) } else { Err(AskSshError::Failed(said(&err))) }
}

/// The first line that is not empty; ssh says first what is wrong.
fn said(err: &str) -> String {
    let line = err.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("nothing");
    cut(line, 300).into_owned()
}

async fn run(arguments: &[&OsStr], patience: Duration) -> Result<(ExitStatus, String, String), AskSshError> {
    let mut command = Command::new(program().ok_or(AskSshError::Missing)?);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: what `Match exec` has started ends with it.
    let mut child = command.kill_on_drop(true).process_group(0).spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let (out, err) = tokio::try_join!(whole(out), whole(err))?;
        Ok((child.wait().await?, out, err))
    };
    let outcome = timeout(patience, work).await.unwrap_or(Err(AskSshError::Timeout));
    if let (Err(AskSshError::Timeout | AskSshError::TooLong), Some(group)) = (&outcome, group) {
        // It has not been waited for, so its number is still its own.
        let _ = kill_process_group(group, Signal::KILL);
    }
    outcome
}

async fn whole(stream: Option<impl AsyncRead + Unpin>) -> Result<String, AskSshError> {
    let mut octets = Vec::new();
    if let Some(stream) = stream {
        stream.take(MAX_OUTPUT + 1).read_to_end(&mut octets).await?;
    }
    match octets.len() as u64 > MAX_OUTPUT {
        true => Err(AskSshError::TooLong),
        false => Ok(String::from_utf8_lossy(&octets).into_owned()),
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("ssh")).find(|p| p.is_absolute() && p.is_file())
}
