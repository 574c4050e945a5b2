//! `sshanchor agent status`: what the agent of this machine does, and what it cannot.

mod screen;

use std::path::PathBuf;

use serde::Serialize;

use crate::agent::daemon::{Remembered, remembered};
use crate::agent::monitor::socket::{self, AskError};
use crate::agent::state::State;
use crate::cli::Context;
use crate::error::{Error, Kind};
use crate::output::Report;
use crate::proto::status::Status;
use crate::verifier;

/// Show what the agent of this machine does.
///
/// Asks the running agent over its socket: what is published where and since when, what is not as it should be and what
/// to do about it, when it looks again, where a rotation is, when certificates and signatures end.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor agent status\n          \
    sshanchor agent status --json | jq '.owners[] | {owner, published, error}'\n\
    Exit status: 0 all is well, 5 something is not, 1 no agent answers.")]
pub(in crate::cli) struct Args {
    /// Ask at this socket [default: socket in [agent], else /run/sshanchor/agent.sock, or in the user's runtime folder]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The agent's state folder, where it has one of its own
    #[arg(long, value_name = "DIR", env = "SSHANCHOR_STATE")]
    state: Option<PathBuf>,
}

/// A status, for people at this moment.
struct Shown<'a> {
    status: &'a Status,
    /// Seconds since 1970.
    now: u64,
}

impl Serialize for Shown<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.status.serialize(serializer)
    }
}

impl Report for Shown<'_> {
    fn text(&self) -> String {
        screen::text(self.status, self.now)
    }
}

/// That no agent answers, and what the latest one knew.
#[derive(Serialize)]
struct Gone {
    error: String,
    reason: &'static str,
    hint: Option<String>,
    last_known: Vec<Remembered>,
}

pub(super) async fn run(args: &Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let configured = args.socket.as_deref().or(cx.agent.socket.as_deref());
    let places = socket::places(configured, args.state.as_deref());
    match socket::ask(&places, cx.timeout).await {
        Ok(status) => {
            cx.out.result(&Shown { status: &status, now: verifier::now() })?;
            Ok((!status.is_well()).then_some(Kind::Pending))
        }
        Err(error @ AskError::NoAgent(_)) => gone(explain(error), args, cx),
        Err(error) => Err(explain(error)),
    }
}

fn gone(error: Error, args: &Args, cx: &Context) -> Result<Option<Kind>, Error> {
    let folder = args.state.clone().map_or_else(State::default_folder, Ok);
    // What cannot be read is as good as nothing here: it is old in any case.
    let last_known = folder.and_then(|folder| remembered(&State::at(folder))).unwrap_or_default();
    let kind = error.kind;
    match cx.out.json {
        true => {
            let (message, hint) = (error.message.clone(), error.hint.clone());
            cx.out.json_line(&Gone { error: message, reason: error.reason, hint, last_known })?;
        }
        false if !last_known.is_empty() => {
            let now = verifier::now();
            cx.out.line(&format!("{}\n{}", screen::OLD, screen::of_the_past(&last_known, now)))?;
        }
        false => {}
    }
    cx.out.error_text(&error);
    Ok(Some(kind))
}

fn explain(error: AskError) -> Error {
    match &error {
        AskError::NoAgent(_) => Error::failure("no-agent", &error)
            .hint("systemctl start sshanchor-agent, or sshanchor agent; with another socket: --socket PATH"),
        AskError::Io { error: why, .. } if why.kind() == std::io::ErrorKind::PermissionDenied => {
            Error::failure("socket", &error).hint("ask as root, or as the user that the agent runs as")
        }
        AskError::Io { .. } => Error::failure("socket", &error),
        AskError::Timeout(_) => {
            Error::failure("timeout", &error).hint("see the agent's log: journalctl -u sshanchor-agent")
        }
        AskError::Malformed { .. } => Error::failure("malformed-status", &error)
            .hint("is this program of the agent's version? restart the agent after an upgrade"),
    }
}
