//! One command on a verified connection: its input, its outputs, its end (RFC 4254 section 6.5).

use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt, empty};
use tokio::time::{Instant, timeout_at};

use super::super::probe::{ProbeError, printable};
use super::{MAX_OUTPUT, Session, SessionError};
use crate::proto::course::Signal;

/// How much input is read at a time, in octets: what fits into a packet.
const PORTION: usize = 32 * 1024;
/// Longest name of a signal.
const MAX_SIGNAL: usize = 32;

/// A command that the server has started. Whoever attends it may stop doing so, and send it a signal.
pub struct Command {
    output: ChannelReadHalf,
    input: ChannelWriteHalf<Msg>,
}

/// Where a command's outputs go: octets of whatever kind, as they come. While one of these waits, so does the
/// server, after no more than a few MiB.
pub trait Sink {
    /// Takes a portion of standard output.
    fn stdout(&mut self, octets: &[u8]) -> impl Future<Output = io::Result<()>>;
    /// Takes a portion of standard error.
    fn stderr(&mut self, octets: &[u8]) -> impl Future<Output = io::Result<()>>;
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Status(u32),
    /// By a signal.
    Signal {
        /// Its name without SIG: printable ASCII.
        name: String,
        /// It left a core file.
        core_dumped: bool,
    },
    /// The server does not say.
    Untold,
}

/// The beginnings of a command's outputs: [`MAX_OUTPUT`] octets of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Of standard output: hostile octets.
    pub stdout: Vec<u8>,
    /// Of standard error: hostile octets.
    pub stderr: Vec<u8>,
    /// There was more of one of them.
    pub is_truncated: bool,
}

/// What a command did that had no input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What it wrote.
    pub kept: Kept,
    /// How it ended.
    pub end: End,
}

impl Command {
    /// Asks the server to send this signal to the command and what that has started (RFC 4254 section 6.9). sshd does
    /// since 7.9, though not to forced commands.
    pub async fn signal(&self, signal: Signal) {
        let signal = match signal {
            Signal::Interrupt => Sig::INT,
            Signal::Terminate => Sig::TERM,
            Signal::HangUp => Sig::HUP,
        };
        // A connection that is over is told of elsewhere.
        let _ = self.input.signal(signal).await;
    }
}

impl Kept {
    fn keep(kept: &mut Vec<u8>, octets: &[u8]) -> bool {
        let room = MAX_OUTPUT.saturating_sub(kept.len()).min(octets.len());
        kept.extend_from_slice(octets.get(..room).unwrap_or_default());
        room < octets.len()
    }
}

impl Sink for Kept {
    async fn stdout(&mut self, octets: &[u8]) -> io::Result<()> {
        self.is_truncated |= Self::keep(&mut self.stdout, octets);
        Ok(())
    }

    async fn stderr(&mut self, octets: &[u8]) -> io::Result<()> {
        self.is_truncated |= Self::keep(&mut self.stderr, octets);
        Ok(())
    }
}

impl Session {
    /// Has the server start `command`, for its user's shell to read.
    pub async fn start(&mut self, command: &[u8], deadline: Instant) -> Result<Command, SessionError> {
        match timeout_at(deadline, self.started(command)).await {
            Err(_) => Err(SessionError::Timeout),
            Ok(Err(SessionError::Connection(ProbeError::Closed))) => Err(self.lost().await.into()),
            Ok(outcome) => outcome,
        }
    }

    async fn started(&mut self, command: &[u8]) -> Result<Command, SessionError> {
        let (mut output, input) = match self.handle.channel_open_session().await {
            Ok(channel) => channel.split(),
            Err(russh::Error::ChannelOpenFailure(_)) => return Err(SessionError::NoCommands),
            Err(error) => return Err(error.into()),
        };
        input.exec(true, command).await?;
        loop {
            match output.wait().await {
                Some(ChannelMsg::Success) => return Ok(Command { output, input }),
                Some(ChannelMsg::Failure | ChannelMsg::Close) => return Err(SessionError::NoCommands),
                Some(_) => {}
                None => return Err(ProbeError::Closed.into()),
            }
        }
    }

    /// Feeds `stdin` to a command of this session, to its end, and its outputs to `sink`, until the command ends.
    pub async fn attend(
        &mut self,
        command: &mut Command,
        stdin: impl AsyncRead + Unpin,
        sink: &mut impl Sink,
    ) -> Result<End, SessionError> {
        let Command { output, input } = command;
        // Both at the same time: a command may want to be read before it reads on, and the other way round.
        let ended = tokio::select! {
            ended = drain(output, sink) => ended?,
            never = feed(input, stdin) => match never {},
        };
        match ended {
            Some(end) => Ok(end),
            None => Err(self.lost().await.into()),
        }
    }

    /// Runs one command without input and waits for its end.
    pub async fn exec(&mut self, command: &str, deadline: Instant) -> Result<Ran, SessionError> {
        let mut started = self.start(command.as_bytes(), deadline).await?;
        let mut kept = Kept::default();
        match timeout_at(deadline, self.attend(&mut started, empty(), &mut kept)).await {
            Ok(end) => Ok(Ran { kept, end: end? }),
            Err(_) => Err(SessionError::Timeout),
        }
    }
}

/// Until the channel closes; none if the connection ended before.
async fn drain(output: &mut ChannelReadHalf, sink: &mut impl Sink) -> Result<Option<End>, SessionError> {
    let (mut end, mut is_whole) = (None, false);
    loop {
        match output.wait().await {
            Some(ChannelMsg::Data { data }) => sink.stdout(&data).await.map_err(SessionError::Output)?,
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => {
                sink.stderr(&data).await.map_err(SessionError::Output)?;
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => end = Some(End::Status(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, core_dumped, .. }) => {
                end = Some(End::Signal { name: name(&signal_name), core_dumped });
            }
            Some(ChannelMsg::Eof) => is_whole = true,
            Some(ChannelMsg::Close) => return Ok(Some(end.unwrap_or(End::Untold))),
            Some(_) => {}
            // Nothing was cut short if all was told.
            None => return Ok(end.filter(|_| is_whole)),
        }
    }
}

/// Input to the command, its end too; then it waits for ever. A connection that is over is `drain`'s to tell.
async fn feed(input: &ChannelWriteHalf<Msg>, mut stdin: impl AsyncRead + Unpin) -> Infallible {
    loop {
        let mut portion = Vec::with_capacity(PORTION);
        // What cannot be read any more is at its end.
        let length = stdin.read_buf(&mut portion).await.unwrap_or(0);
        let fed = match length {
            0 => input.eof().await,
            _ => input.data_bytes(portion).await,
        };
        if length == 0 || fed.is_err() {
            return pending().await;
        }
    }
}

fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => printable(name, MAX_SIGNAL),
        known => format!("{known:?}"),
    }
}
