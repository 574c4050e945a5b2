//! The signals that steer an agent.

use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::error::Error;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Read the configuration again, and look at once (SIGHUP).
    HangUp,
    /// End (SIGTERM, SIGINT).
    End,
}

/// Those that came and those that will.
#[derive(Debug)]
pub struct Signals {
    hang_up: Stream,
    terminate: Stream,
    interrupt: Stream,
}

impl Signals {
    /// From now on signals are told here, and do nothing else.
    pub fn new() -> Result<Self, Error> {
        let stream =
            |kind| signal(kind).map_err(|e| Error::failure("io", format!("no signals are told: {e}")));
        Ok(Signals {
            hang_up: stream(SignalKind::hangup())?,
            terminate: stream(SignalKind::terminate())?,
            interrupt: stream(SignalKind::interrupt())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Signal::End,
            _ = self.interrupt.recv() => Signal::End,
            _ = self.hang_up.recv() => Signal::HangUp,
        }
    }

    /// Waits for one that ends the agent; others wait.
    pub async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
