//! Learns which host key a server holds: a whole key exchange, and no authentication.

mod offer;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Config, Handle};
use russh::keys::agent::AgentSessionBinding;
use russh::{AlgorithmKind, Preferred, SshId, kex};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::offer::PROBE_KEX;
pub use self::offer::narrow;
pub(super) use self::offer::{POST_QUANTUM_KEX, SESSION_KEX};
use super::handler::{Agreed, Answers, Banner};
use super::stream::{BeginningError, Tether, Tethered};
use crate::proto::certificate::SUFFIX;
use crate::proto::hostkey::{HostKeyError, KeyType, Presented};
use crate::proto::moment;
use crate::proto::policy::{Kex, Seen};
use crate::proto::text::shorten;
use crate::proto::wire::Reader;

/// Most names of a server's list that an error carries, and the longest of them.
const MAX_NAMES: usize = 32;
const MAX_NAME: usize = 64;
/// Longest text of a server's that an error carries.
pub(super) const MAX_TEXT: usize = 200;
/// A session in which nothing came for this long asks the server for a sign of life, and ends when it got none
/// for this many. A command may be silent for as long as it likes.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVES: usize = 3;

/// What a server showed. Its exchange was signed by the key it presents (RFC 4253 section 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The host key or certificate.
    pub presented: Presented,
    /// The key exchange method that was agreed upon.
    pub kex: String,
    /// The host key algorithm that was agreed upon.
    pub key_algorithm: String,
    /// Both sides keep to the strict key exchange (OpenSSH's PROTOCOL section 1.10).
    pub strict_kex: bool,
    /// The server's version line: printable ASCII.
    pub server_version: String,
}

impl Probed {
    /// What was shown, and how, in words; what a certificate says of itself is quoted.
    pub fn told(&self) -> String {
        let certified = self.presented.certificate().map_or_else(String::new, |certificate| {
            let by = certificate.ca().map_or_else(|| "a CA of unknown type".to_owned(), ToString::to_string);
            format!(
                ", in a certificate by {by} for {:?} until {}",
                certificate.principals(),
                moment::text(certificate.valid_before())
            )
        });
        let strict = if self.strict_kex { ", strict" } else { "" };
        let (key, kex, server) = (self.presented.key(), &self.kex, &self.server_version);
        format!("{key}{certified} ({kex}{strict}, {server})")
    }

    /// What a policy may ask of the handshake. russh always offers the strict key exchange.
    pub fn seen(&self) -> Seen {
        Seen {
            kex: self.kex.clone(),
            strict_client: true,
            strict_server: self.strict_kex,
            server_version: self.server_version.clone(),
        }
    }
}

/// What [`ProbeError::NoCommonAlgorithm`] calls the list of key exchanges.
pub const KEX_METHOD: &str = "key exchange method";

/// Why a handshake did not show a host key. Servers' text inside is bounded and printable.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No type was asked for.
    #[error("no host key type to ask for")]
    NothingOffered,
    /// The server holds no host key of the types asked for.
    #[error("the server has no host key of the types asked for (it offers {})", list(server_offers))]
    NoCommonKeyType {
        /// The server's host key algorithms, the first of them.
        server_offers: Vec<String>,
    },
    /// Another algorithm on which the two sides cannot agree.
    #[error("no common {kind} (the server offers {})", list(server_offers))]
    NoCommonAlgorithm {
        /// Which of the lists.
        kind: &'static str,
        /// The server's list, the first of it.
        server_offers: Vec<String>,
    },
    /// The deadline passed.
    #[error("the server did not finish the key exchange in time{}", if *.version { "" } else { ": it sent no SSH version" })]
    Timeout {
        /// It got as far as sending its version.
        version: bool,
    },
    /// The server gave no sign of life.
    #[error("the server does not answer any more ({} s)", KEEPALIVE.as_secs() * (KEEPALIVES as u64 + 1))]
    Silent,
    /// The server ended the connection without a word.
    #[error("the server closed the connection")]
    Closed,
    /// The server ended the connection and said why.
    #[error("the server disconnected: {0}")]
    Disconnected(String),
    /// The system said no.
    #[error("connection failed: {0}")]
    Io(io::Error),
    /// The server does not keep to the protocol.
    #[error("not a proper SSH server: {0}")]
    Protocol(String),
    /// What the server presents is no host key for the algorithm agreed upon.
    #[error("bad host key: {0}")]
    BadHostKey(#[from] HostKeyError),
    /// The exchange is not signed by the key that the server presents: it does not hold that key.
    #[error("the server does not hold the host key that it presents (bad signature)")]
    BadSignature,
    /// The signature is of another algorithm than the one agreed upon.
    #[error("the key exchange is signed with {signed}, not with {agreed}")]
    SignatureAlgorithm {
        /// What the signature says.
        signed: String,
        /// What was agreed upon.
        agreed: String,
    },
}

impl ProbeError {
    pub(super) fn disconnected(message: &str) -> Self {
        Self::Disconnected(printable(message, MAX_TEXT))
    }
}

/// What the two sides cannot agree on, if that is it.
pub(crate) fn no_common(error: &russh::Error) -> Option<ProbeError> {
    let russh::Error::NoCommonAlgo { kind, theirs, .. } = error else { return None };
    let server_offers = theirs.iter().take(MAX_NAMES).map(|name| printable(name, MAX_NAME)).collect();
    let kind = match kind {
        AlgorithmKind::Key => return Some(ProbeError::NoCommonKeyType { server_offers }),
        AlgorithmKind::Kex => KEX_METHOD,
        AlgorithmKind::Cipher => "cipher",
        AlgorithmKind::Compression => "compression",
        AlgorithmKind::Mac => "MAC",
    };
    Some(ProbeError::NoCommonAlgorithm { kind, server_offers })
}

impl From<russh::Error> for ProbeError {
    fn from(error: russh::Error) -> Self {
        use russh::Error;
        if let Some(error) = no_common(&error) {
            return error;
        }
        match error {
            Error::WrongServerSig => Self::BadSignature,
            Error::Disconnect | Error::HUP => Self::Closed,
            Error::KeepaliveTimeout => Self::Silent,
            Error::IO(e) if e.get_ref().is_some_and(|e| e.is::<BeginningError>()) => {
                match e.downcast::<BeginningError>() {
                    Ok(BeginningError::Said(line)) => Self::Disconnected(line),
                    Ok(e @ BeginningError::Version(_)) => Self::Protocol(e.to_string()),
                    Err(e) => Self::Io(e),
                }
            }
            Error::IO(e) => match e.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted => Self::Closed,
                _ => Self::Io(e),
            },
            // Before the exchange ends, russh has these two from one place: reading K_S.
            Error::Keys(_) => Self::BadHostKey(HostKeyError::Malformed("host".into(), "it cannot be parsed")),
            // And these from reading a certificate, or the signature of the exchange.
            Error::SshKey(_) => {
                let what = "the certificate, or the signature of the exchange, cannot be parsed";
                Self::BadHostKey(HostKeyError::Malformed("host".into(), what))
            }
            other => Self::Protocol(printable(&other.to_string(), MAX_TEXT)),
        }
    }
}

/// Which host keys a handshake asks for: plain ones, or certificates for such. Never both, so that what comes is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Plain keys of these types.
    Keys(Vec<KeyType>),
    /// Certificates for keys of these types.
    Certificates(Vec<KeyType>),
}

impl Ask {
    /// The types, the best first.
    pub fn types(&self) -> &[KeyType] {
        match self {
            Self::Keys(types) | Self::Certificates(types) => types,
        }
    }

    /// What is asked for, in words.
    pub fn told(&self) -> String {
        let types: Vec<String> = self.types().iter().map(ToString::to_string).collect();
        let what = if matches!(self, Self::Keys(_)) { "plain keys" } else { "certificates" };
        format!("{what} ({})", types.join(", "))
    }

    /// The name of the host key algorithm that was agreed upon, of which russh tells how the plain key signs.
    fn negotiated(&self, signs_as: &str) -> String {
        match self {
            Self::Keys(_) => signs_as.to_owned(),
            Self::Certificates(_) => format!("{signs_as}{SUFFIX}"),
        }
    }
}

/// Runs the key exchange with the server at the other end of `stream`, asking for host keys by `ask` alone, and ends the
/// connection. Nothing about a user is sent.
pub async fn probe(stream: TcpStream, ask: &Ask, deadline: Instant) -> Result<Probed, ProbeError> {
    Probed::shake(stream, ask, Kex::Any, deadline).await
}

/// What is kept of a handshake: what it showed ([`Probed`]), or the connection as well
/// ([`Unjudged`](super::client::Unjudged)).
pub trait Handshake: Sized {
    /// A key exchange with the server at the other end of `stream`, asking for host keys by `ask` and for key exchanges
    /// by `kex` alone. Nothing about a user is sent.
    fn shake(
        stream: TcpStream,
        ask: &Ask,
        kex: Kex,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self, ProbeError>> + Send;

    /// What the server showed.
    fn probed(&self) -> &Probed;
}

impl Handshake for Probed {
    async fn shake(stream: TcpStream, ask: &Ask, kex: Kex, deadline: Instant) -> Result<Self, ProbeError> {
        let kex = if kex == Kex::PostQuantum { POST_QUANTUM_KEX } else { PROBE_KEX };
        exchange(stream, ask, deadline, kex).await.map(|exchanged| exchanged.probed)
    }

    fn probed(&self) -> &Probed {
        self
    }
}

/// A connection whose key exchange is done and whose host key nobody has judged yet. Dropping it
/// ends the connection.
pub(super) struct Exchanged {
    pub(super) probed: Probed,
    pub(super) handle: Handle<Answers>,
    pub(super) tether: Tether,
    pub(super) banner: Banner,
}

/// The key exchange, and every check of it that russh leaves to its caller.
pub(super) async fn exchange(
    stream: TcpStream,
    ask: &Ask,
    deadline: Instant,
    kex: &'static [kex::Name],
) -> Result<Exchanged, ProbeError> {
    if ask.types().is_empty() {
        return Err(ProbeError::NothingOffered);
    }
    stream.set_nodelay(true).map_err(ProbeError::Io)?;
    let (stream, tether) = Tethered::new(stream);
    let (agreed, mut outcome) = oneshot::channel();
    let banner = Banner::default();
    let answers = Answers::new(agreed, banner.clone());
    let connecting = client::connect_stream(Arc::new(config(ask, kex)), stream, answers);
    // On time-out the tether goes too, and with it the task that russh started.
    let handle = timeout_at(deadline, connecting).await;
    let timeout = ProbeError::Timeout { version: tether.server_version().is_some() };
    let handle = handle.map_err(|_| timeout)??;

    let silent = || ProbeError::Protocol("no outcome of the key exchange".into());
    let Agreed { kex, signs_as, strict_kex } = outcome.try_recv().map_err(|_| silent())?;
    // The octets of K_S that went into the exchange hash. russh parses them leniently: it lets octets
    // trail, does not hold the type against the algorithm agreed upon, nor that of the signature.
    let signed = handle.agent_session_binding().ok_or_else(silent)?;
    let key_algorithm = ask.negotiated(&signs_as);
    let presented = Presented::from_blob(signed.host_key(), &key_algorithm)?;
    if let Err(signed) = is_signed_as(signed, &signs_as) {
        return Err(ProbeError::SignatureAlgorithm { signed, agreed: signs_as });
    }
    let server_version = tether.server_version().unwrap_or_default().to_owned();
    let probed = Probed { presented, kex, key_algorithm, strict_kex, server_version };
    Ok(Exchanged { probed, handle, tether, banner })
}

/// The exchange was signed by this algorithm; else by which, printable and bounded.
pub(crate) fn is_signed_as(signed: &AgentSessionBinding, algorithm: &str) -> Result<(), String> {
    let by = Reader::new(signed.signature()).string().unwrap_or_default();
    match by == algorithm.as_bytes() {
        true => Ok(()),
        false => Err(printable(&String::from_utf8_lossy(by), MAX_NAME)),
    }
}

fn config(ask: &Ask, kex: &'static [kex::Name]) -> Config {
    let mut preferred = Preferred { kex: Cow::Borrowed(kex), ..Preferred::default() };
    narrow(&mut preferred, ask, Kex::Any);
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-sshanchor_", env!("CARGO_PKG_VERSION")))),
        preferred,
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: KEEPALIVES,
        ..Config::default()
    }
}

pub(super) fn printable(text: &str, longest: usize) -> String {
    shorten(text, longest).into_owned()
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}
