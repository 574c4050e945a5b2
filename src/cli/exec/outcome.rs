//! What came of a host, as it is told.

use std::time::Duration;

use serde::Serialize;

use super::super::verify::Judged;
use crate::error::{Error, Kind};
use crate::fleet::exec::{Came, Trouble};
use crate::proto::course::Halt;
use crate::proto::name::HostName;
use crate::ssh::client::{Denied, End, SessionError};

/// The status of whatever is not the command's own, as ssh has it.
pub(super) const FAILED: u8 = 255;

/// What came of a host. Its fields are those of `verify`, with the command's.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    pub(super) judged: Judged,
    pub(super) user: String,
    /// The command's exit status.
    pub(super) status: Option<u32>,
    /// The signal that ended it.
    signal: Option<String>,
    /// What it wrote, if that was kept: the beginning.
    stdout: Option<String>,
    stderr: Option<String>,
    /// It wrote more.
    truncated: Option<bool>,
    #[serde(skip)]
    pub(super) has_run: bool,
}

impl Outcome {
    pub(super) fn new(judged: Judged, user: &str) -> Self {
        Outcome {
            judged,
            user: user.to_owned(),
            status: None,
            signal: None,
            stdout: None,
            stderr: None,
            truncated: None,
            has_run: false,
        }
    }

    pub(super) fn of(name: &HostName, port: u16, user: &str, came: Came) -> Self {
        let judged = match came.seen {
            Some((verification, verdict)) => Judged::of(name, port, &verification, verdict),
            None => Judged::new(name, port, String::new()),
        };
        let outcome = Outcome { has_run: came.has_run, ..Outcome::new(judged, user) };
        match came.end {
            None => outcome,
            Some(Ok(end)) => outcome.ended(end),
            Some(Err(trouble)) => {
                let error = described(trouble, user);
                outcome.failed(error)
            }
        }
    }

    /// With what the command wrote.
    pub(super) fn with_outputs(mut self, [stdout, stderr]: [&[u8]; 2], is_truncated: bool) -> Self {
        if self.has_run {
            let text = |octets: &[u8]| Some(String::from_utf8_lossy(octets).into_owned());
            (self.stdout, self.stderr) = (text(stdout), text(stderr));
            self.truncated = Some(is_truncated);
        }
        self
    }

    /// The command came to its end.
    fn ended(self, end: End) -> Self {
        let host = &self.judged.host;
        match end {
            End::Status(status) => Outcome { status: Some(status), ..self },
            End::Signal { name, core_dumped } => {
                let core = if core_dumped { " (core dumped)" } else { "" };
                let message = format!("the command on {host} was ended by signal {name}{core}");
                Outcome { signal: Some(name), ..self.failed(Error::failure("signal", message)) }
            }
            End::Untold => {
                let message = format!("{host} does not say how the command ended");
                self.failed(Error::failure("no-status", message))
            }
        }
    }

    /// Something stood in the way; what was proven stays so.
    pub(super) fn failed(mut self, Error { kind, reason, message, hint }: Error) -> Self {
        self.judged = Judged { kind: Some(kind), reason: Some(reason), message, hint, ..self.judged };
        self
    }

    /// What to tell a person, if the command did not end by itself.
    pub(super) fn error(&self) -> Option<Error> {
        let Judged { kind, reason, message, hint, .. } = &self.judged;
        Some(Error { kind: (*kind)?, reason: (*reason)?, message: message.clone(), hint: hint.clone() })
    }

    /// Of a single host: the command's, or [`FAILED`].
    pub(super) fn exit_status(&self) -> u8 {
        self.status.map_or(FAILED, |status| u8::try_from(status).unwrap_or(FAILED))
    }
}

/// A host that was not begun.
pub(super) fn not_run(halt: Halt) -> Error {
    Error::failure("not-run", format!("not run: {halt}"))
}

fn described(trouble: Trouble, user: &str) -> Error {
    match trouble {
        Trouble::Verifier(error) => error,
        Trouble::Session(error) => of_session(error, user),
        Trouble::TooLong(patience) => {
            let span = seconds(patience);
            Error::failure("command-timeout", format!("the command took longer than {span}: it was sent TERM, and the connection was closed"))
                .hint("it may run on there where its server passes no signals on (sshd does not to root's commands): timeout 60 COMMAND ends it there; --command-timeout SECONDS allows for more")
        }
        Trouble::Halted(halt @ Halt::Deadline) => Error::failure("deadline", ended(halt)),
        Trouble::Halted(halt @ Halt::Output) => Error::failure("io", ended(halt)),
        Trouble::Halted(halt) => Error::failure("interrupted", halt),
    }
}

fn ended(halt: Halt) -> String {
    format!("ended: {halt}")
}

fn seconds(span: Duration) -> String {
    format!("{} s", span.as_secs_f64())
}

/// What went wrong on a verified connection.
fn of_session(error: SessionError, user: &str) -> Error {
    let reason = match &error {
        SessionError::Connection(_) => "connection-lost",
        SessionError::Denied(_) => "denied",
        SessionError::Timeout => "timeout",
        SessionError::Output(_) => "io",
        SessionError::NoCommands => "no-commands",
    };
    let told = Error::failure(reason, &error);
    match error {
        SessionError::Denied(Denied { troubles, tried, .. }) => {
            let hint = match (troubles.is_empty(), tried.is_empty()) {
                (false, _) => troubles.join("; "),
                (true, true) => "name a key file with -i, or ssh-add one".to_owned(),
                (true, false) => {
                    format!("is one of these keys in {user}'s authorized_keys there? -i names another")
                }
            };
            told.hint(hint)
        }
        SessionError::Timeout => told.hint("--timeout SECONDS allows for more, until the command runs"),
        _ => told,
    }
}

/// What was not as it should be with one of many hosts.
#[derive(Debug)]
pub(super) struct Failure {
    /// The host's place among all.
    pub(super) place: usize,
    pub(super) kind: Kind,
    /// What it has in common with others.
    pub(super) reason: String,
    /// More of it; none where the reason says it all.
    pub(super) message: Option<String>,
    pub(super) hint: Option<String>,
}

impl Failure {
    /// Of many hosts a status other than 0 is one.
    pub(super) fn of(place: usize, outcome: &Outcome) -> Option<Self> {
        match (outcome.error(), outcome.status) {
            (Some(Error { kind, reason, message, hint }), _) => {
                Some(Failure { place, kind, reason: reason.to_owned(), message: Some(message), hint })
            }
            (None, Some(0)) => None,
            (None, Some(status)) => Some(Failure {
                place,
                kind: Kind::Failure,
                reason: format!("exit status {status}"),
                message: None,
                hint: None,
            }),
            (None, None) => Some(Failure {
                place,
                kind: Kind::Failure,
                reason: "no-status".to_owned(),
                message: None,
                hint: None,
            }),
        }
    }

    /// In a line.
    pub(super) fn line(&self) -> &str {
        self.message.as_deref().unwrap_or(&self.reason)
    }
}
