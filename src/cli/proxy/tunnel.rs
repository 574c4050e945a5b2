//! The command of `--via` while it runs.

use std::io;

use tokio::net::UnixStream;

use super::target::Target;
use crate::cli::exec::shell::stopped;
use crate::error::Error;
use crate::output::Output;
use crate::proto::handshake::End;
use crate::proto::via::Via;
use crate::ssh::relay::Cause;
use crate::ssh::relay::program::{Program, Voice};

/// In how many commands of `--via` this process runs: set for the next one.
const DEPTH: &str = "SSHANCHOR_VIA_DEPTH";
/// More jump hosts in a row than anybody has.
const MAX_DEPTH: u32 = 4;

/// What the gate waits for at first.
const SERVERS_VERSION: &str = "the server's version";

/// What the server is reached by; nothing for a TCP connection.
#[derive(Debug, Default)]
pub(super) struct Tunnel(Option<Program>);

impl Tunnel {
    /// Starts the command, and gives the socket by which it is talked to.
    pub(super) fn start(&mut self, via: &Via, target: &Target) -> Result<UnixStream, Error> {
        let depth = std::env::var(DEPTH).ok().and_then(|depth| depth.parse().ok()).unwrap_or(0u32);
        if depth >= MAX_DEPTH {
            let message =
                format!("--via leads to itself: this is the command of a command, {depth} times over");
            let hint = "the ssh of --via has to reach the jump host by another way: in ssh_config, put a Host of its own before";
            return Err(Error::usage("via", message).hint(hint));
        }
        let deeper = (depth + 1).to_string();
        let arguments = via.arguments(&target.place, target.port);
        match Program::start(via.program(), &arguments, (DEPTH, &deeper)) {
            Ok((socket, program)) => {
                self.0 = Some(program);
                Ok(socket)
            }
            Err(e) => {
                let message = format!("cannot start the --via command ({}): {e}", via.program());
                let hint = "its first word is a program, found by PATH; no shell reads it";
                Err(match e.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                        Error::usage("via", message).hint(hint)
                    }
                    _ => Error::failure("via", message),
                })
            }
        }
    }

    /// What it says on standard error, if it is there.
    pub(super) fn voice(&self) -> Option<Voice> {
        self.0.as_ref().map(Program::voice)
    }

    /// Why there is no connection, where the command knows better.
    pub(super) async fn explain(&mut self, cause: Cause) -> Cause {
        let Some(program) = &mut self.0 else { return cause };
        match cause {
            // Before the server has said anything there was none.
            Cause::Handshake(End::ServerClosed { waiting_for: SERVERS_VERSION, said: None }) => {
                Cause::Program(program.last_words().await)
            }
            Cause::Handshake(End::ServerClosed { .. }) | Cause::Server(_) => {
                Cause::Program(format!("{cause}: {}", program.last_words().await))
            }
            Cause::Deadline(what) if !what.starts_with("the client's") => {
                Cause::Program(format!("{cause}: {}", program.so_far()))
            }
            other => other,
        }
    }

    /// Why it no longer serves, to be asked once its socket is closed; none if all is well.
    pub(super) async fn failure(&mut self) -> Option<Error> {
        let program = self.0.as_mut()?;
        let words = program.last_words().await;
        program.has_failed().then(|| broken(words))
    }

    /// Ends it, at the latest a second after its socket is closed.
    pub(super) async fn end(self) {
        if let Some(program) = self.0 {
            program.end().await;
        }
    }

    /// Ends it at once.
    pub(super) async fn stop(self) {
        if let Some(program) = self.0 {
            program.stop().await;
        }
    }
}

/// A command that failed, as the error that ends this one.
pub(super) fn broken(message: String) -> Error {
    Error::failure("via", message)
        .hint("run the --via command by itself, with the host and port filled in, to see what it says")
}

/// How its lines are shown.
pub(super) fn show(out: Output) -> impl Fn(&str) + Send + 'static {
    move |line| out.note(&format!("sshanchor: --via: {line}"))
}

/// Waits for a signal that asks this process to end: without `waits` for ever, and the signals do what they do. ssh
/// sends SIGHUP when it is done; under nohup it is ignored here too.
pub(super) async fn asked_to_end(waits: bool) {
    match waits {
        true => drop(stopped().await),
        false => std::future::pending().await,
    }
}
