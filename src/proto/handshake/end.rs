//! Why a handshake ends in the gate.

use super::kexinit::KexInitError;
use super::negotiate::Disagreement;
use super::reply::ReplyError;
use super::version::VersionError;
use crate::proto::hostkey::HostKeyError;
use crate::proto::packet::FrameError;

/// Why a handshake is over before it is through. Texts of peers inside are printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The server's beginning is not one.
    #[error("the server sent {0}")]
    ServerVersion(VersionError),
    /// The client's beginning is not one.
    #[error("the client sent {0}")]
    ClientVersion(VersionError),
    /// The server broke the framing.
    #[error("the server sent a malformed packet: {0}")]
    ServerFrame(FrameError),
    /// The client broke the framing.
    #[error("the client sent a malformed packet: {0}")]
    ClientFrame(FrameError),
    /// The server's KEXINIT is not one.
    #[error("the server sent a {0}")]
    ServerKexInit(KexInitError),
    /// The client's KEXINIT is not one.
    #[error("the client sent a {0}")]
    ClientKexInit(KexInitError),
    /// The server announces a guess; only clients have a use for that.
    #[error("the server guesses the key exchange (first_kex_packet_follows)")]
    ServerGuess,
    /// The two KEXINITs lead nowhere.
    #[error(transparent)]
    Disagreement(#[from] Disagreement),
    /// A message of the server that may not come at this point.
    #[error("the server sent message {message} out of turn, while waiting for {waiting_for}")]
    Server {
        /// Its number.
        message: u8,
        /// What should have come.
        waiting_for: &'static str,
    },
    /// A message of the client that may not go at this point.
    #[error("the client sent message {message} out of turn, while waiting for {waiting_for}")]
    Client {
        /// Its number.
        message: u8,
        /// What should have come.
        waiting_for: &'static str,
    },
    /// The server's reply or group is out of form.
    #[error("the server sent a {0}")]
    Reply(#[from] ReplyError),
    /// K_S is out of form, or not of the negotiated type.
    #[error("the server's host key is refused: {0}")]
    HostKey(#[from] HostKeyError),
    /// More octets behind the held reply than anybody should have read.
    #[error("the server sent {0} octets behind its key exchange reply")]
    TooMuch(usize),
    /// The decision is about another key than the one that is held, or none is held.
    #[error("the decision is not about the key that the server presented")]
    WrongWitness,
    /// The server sent a DISCONNECT, which went to the client sanitised.
    #[error("the server disconnected (reason {code}): {text}")]
    ServerLeft {
        /// Its reason code (RFC 4253 section 11.1).
        code: u32,
        /// Its text, sanitised.
        text: String,
    },
    /// The server closed the connection.
    #[error("the server closed the connection before {waiting_for}{}", said_by(.said.as_deref()))]
    ServerClosed {
        /// What should have come.
        waiting_for: &'static str,
        /// The last line it sent instead of a version, sanitised.
        said: Option<String>,
    },
    /// The client closed, or sent a DISCONNECT.
    #[error("the client closed the connection")]
    ClientClosed,
}

fn said_by(said: Option<&str>) -> String {
    said.map(|line| format!(": {line}")).unwrap_or_default()
}
