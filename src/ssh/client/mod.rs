//! Sessions over a verified connection. A session comes only from the very handshake that presented
//! the key, and only with the witness of an accept for that key.

mod command;
mod login;

use std::io;
use std::time::Duration;

use russh::Disconnect;
use russh::client::Handle;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::handler::{Answers, Banner};
use super::probe::{
    Ask, Exchanged, Handshake, MAX_TEXT, POST_QUANTUM_KEX, ProbeError, Probed, SESSION_KEX, exchange,
    printable,
};
use super::stream::Tether;
use crate::proto::policy::Kex;
use crate::proto::verdict::Anchored;

pub use self::command::{Command, End, Kept, Ran, Sink};
pub use self::login::Denied;

/// Most octets taken of each of a command's two outputs where these are kept.
pub const MAX_OUTPUT: usize = 1024 * 1024;
/// How long what was sent may wait to be acknowledged, in milliseconds: as long as keepalives have.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: u32 = 120_000;
/// How long a good-bye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection whose key exchange is done, and whose host key nobody has judged yet: it can do nothing but
/// become a [`Session`] or end.
pub struct Unjudged(Exchanged);

impl Handshake for Unjudged {
    async fn shake(stream: TcpStream, ask: &Ask, kex: Kex, deadline: Instant) -> Result<Self, ProbeError> {
        // Keepalives find a peer that is gone, but not while octets wait to be sent. Where the system cannot do
        // this it takes longer.
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, UNACKNOWLEDGED);
        let kex = if kex == Kex::PostQuantum { POST_QUANTUM_KEX } else { SESSION_KEX };
        exchange(stream, ask, deadline, kex).await.map(Unjudged)
    }

    fn probed(&self) -> &Probed {
        &self.0.probed
    }
}

impl Unjudged {
    /// A session, if the witness is for the very key that this handshake showed. Else the connection ends.
    pub fn accept(self, anchored: Anchored) -> Result<Session, OtherKey> {
        let Exchanged { probed, handle, tether, banner } = self.0;
        match *anchored.key_sha256() == probed.presented.key().sha256() {
            true => Ok(Session { anchored, probed, handle, banner, is_over: false, _tether: tether }),
            false => Err(OtherKey),
        }
    }

    /// Tells the server that its key is refused (reason 9, HOST_KEY_NOT_VERIFIABLE), and leaves.
    pub async fn refuse(self, deadline: Instant) {
        leave(self.0.handle, Disconnect::HostKeyNotVerifiable, "host key not verified", deadline).await;
    }
}

/// The witness is about another key than the one that the handshake presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the accept is about another key than the server presented")]
pub struct OtherKey;

/// A verified connection.
pub struct Session {
    anchored: Anchored,
    probed: Probed,
    handle: Handle<Answers>,
    banner: Banner,
    /// Nothing more is to be learnt from the handle.
    is_over: bool,
    /// Ends the connection when the session is dropped.
    _tether: Tether,
}

/// Why something did not work on a verified connection.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection broke.
    #[error(transparent)]
    Connection(#[from] ProbeError),
    /// The server does not let this user in.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The deadline passed.
    #[error("no answer in time")]
    Timeout,
    /// Who takes the command's outputs takes no more.
    #[error("cannot write the command's output: {0}")]
    Output(io::Error),
    /// The server does not run commands.
    #[error("the server refuses to run commands")]
    NoCommands,
}

impl From<russh::Error> for SessionError {
    fn from(error: russh::Error) -> Self {
        // A handle whose task has ended says no more than that it cannot send.
        Self::Connection(match error {
            russh::Error::SendError | russh::Error::RecvError => ProbeError::Closed,
            // Past the handshake these are about the client's key, not the host's.
            russh::Error::Keys(e) => ProbeError::Protocol(printable(&e.to_string(), MAX_TEXT)),
            other => other.into(),
        })
    }
}

impl Session {
    /// The accept that this session rests on.
    pub fn anchored(&self) -> &Anchored {
        &self.anchored
    }

    /// What the handshake showed.
    pub fn probed(&self) -> &Probed {
        &self.probed
    }

    /// What the server said to whoever wants in, since this was last asked: hostile text.
    pub fn banner(&self) -> String {
        self.banner.take()
    }

    /// Why the connection is over, when it is.
    async fn lost(&mut self) -> ProbeError {
        if std::mem::replace(&mut self.is_over, true) {
            return ProbeError::Closed;
        }
        match tokio::time::timeout(FAREWELL, &mut self.handle).await {
            Ok(Err(why)) => why,
            Ok(Ok(())) | Err(_) => ProbeError::Closed,
        }
    }

    /// Says good-bye; dropping the session ends the connection without a word.
    pub async fn close(self, deadline: Instant) {
        leave(self.handle, Disconnect::ByApplication, "done", deadline).await;
    }
}

impl std::fmt::Debug for Unjudged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unjudged").field("probed", &self.0.probed).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("anchored", &self.anchored).finish_non_exhaustive()
    }
}

async fn within<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, russh::Error>>,
) -> Result<T, SessionError> {
    timeout_at(deadline, work).await.map_err(|_| SessionError::Timeout)?.map_err(Into::into)
}

/// Sends DISCONNECT and waits until it is out, though not for long: the peer may not read.
async fn leave(handle: Handle<Answers>, reason: Disconnect, text: &str, deadline: Instant) {
    let farewell = async {
        if handle.disconnect(reason, text, "").await.is_ok() {
            let _ = handle.await;
        }
    };
    let _ = timeout_at(deadline.min(Instant::now() + FAREWELL), farewell).await;
}

#[cfg(test)]
#[cfg(feature = "lab")]
mod tests;
