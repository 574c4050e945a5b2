//! This process's part in a remote command: its standard streams, and the signals that end it.

use std::future::pending;
use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt, Stderr, Stdout, stderr, stdout};
use tokio::signal::unix::{SignalKind, signal};

use crate::proto::course::Signal;
use crate::ssh::client::Sink;

/// Standard output and error, octet for octet, as ssh has them.
pub(super) struct Raw {
    stdout: Stdout,
    stderr: Stderr,
}

impl Default for Raw {
    fn default() -> Self {
        Raw { stdout: stdout(), stderr: stderr() }
    }
}

impl Sink for Raw {
    async fn stdout(&mut self, octets: &[u8]) -> io::Result<()> {
        write(&mut self.stdout, octets).await
    }

    async fn stderr(&mut self, octets: &[u8]) -> io::Result<()> {
        write(&mut self.stderr, octets).await
    }
}

/// At once: a prompt has no line end.
async fn write(mut to: impl AsyncWrite + Unpin, octets: &[u8]) -> io::Result<()> {
    to.write_all(octets).await?;
    to.flush().await
}

/// Until somebody wants this process to end; the signal's name. A signal that whoever started it has it ignore
/// (nohup, a job in the background) stays ignored.
pub(in crate::cli) async fn stopped() -> &'static str {
    match signalled().await {
        Signal::Interrupt => "SIGINT",
        Signal::Terminate => "SIGTERM",
        Signal::HangUp => "SIGHUP",
    }
}

/// The same; the signal.
pub(super) async fn signalled() -> Signal {
    tokio::select! {
        () = one(SignalKind::interrupt()) => Signal::Interrupt,
        () = one(SignalKind::terminate()) => Signal::Terminate,
        () = one(SignalKind::hangup()) => Signal::HangUp,
    }
}

async fn one(kind: SignalKind) {
    if !is_ignored(kind)
        && let Ok(mut stream) = signal(kind)
    {
        stream.recv().await;
    } else {
        pending().await
    }
}

/// Linux tells; elsewhere it is not known.
fn is_ignored(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    mask.checked_shr((kind.as_raw_value() - 1).unsigned_abs()).is_some_and(|bits| bits & 1 == 1)
}
