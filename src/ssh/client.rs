//! Sessions over a verified connection. A session comes only from the very handshake that presented
//! the key, and only with the witness of an accept for that key.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{ChannelMsg, Disconnect};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::handler::Answers;
use super::probe::{Exchanged, MAX_TEXT, ProbeError, Probed, SESSION_KEX, exchange, printable};
use super::stream::Tether;
use crate::proto::hostkey::{KeyType, Presented};
use crate::proto::verdict::Anchored;

/// Most octets taken of each of a command's two outputs.
pub const MAX_OUTPUT: usize = 1024 * 1024;
/// How long a good-bye may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A verified connection.
pub struct Session {
    anchored: Anchored,
    probed: Probed,
    handle: Handle<Answers>,
    /// Ends the connection when the session is dropped.
    _tether: Tether,
}

/// Why there is no session. `R` is the refusal of whoever decides.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError<R> {
    /// The handshake did not show a host key.
    #[error(transparent)]
    Handshake(#[from] ProbeError),
    /// The key was judged, and refused.
    #[error("host key refused")]
    Refused(R),
    /// The witness is about another key than the one that the handshake presented.
    #[error("the accept is about another key than the server presented")]
    OtherKey,
}

/// Why something did not work on a verified connection.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection broke.
    #[error(transparent)]
    Connection(#[from] ProbeError),
    /// The server does not let this user in with this key.
    #[error("the server does not accept the key for user {user} (it would take: {methods})")]
    Denied {
        /// Who asked.
        user: String,
        /// What the server suggests.
        methods: String,
    },
    /// The deadline passed.
    #[error("no answer in time")]
    Timeout,
    /// The server does not run commands.
    #[error("the server refuses to run commands")]
    NoCommands,
    /// The command wrote more than [`MAX_OUTPUT`].
    #[error("the command wrote more than {MAX_OUTPUT} octets")]
    TooMuchOutput,
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

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its standard output: hostile octets.
    pub stdout: Vec<u8>,
    /// Its standard error: hostile octets.
    pub stderr: Vec<u8>,
    /// How it ended; none if a signal ended it or the server did not say.
    pub status: Option<u32>,
}

/// Runs the handshake over `stream`, asks `decide` about the key that was presented, and keeps the
/// connection only if the answer is a witness for that very key. Until then nothing about a user is
/// sent; on a refusal the server is told so (reason 9, HOST_KEY_NOT_VERIFIABLE) and left.
pub async fn connect<R>(
    stream: TcpStream,
    offer: &[KeyType],
    deadline: Instant,
    decide: impl FnOnce(&Presented) -> Result<Anchored, R>,
) -> Result<Session, ConnectError<R>> {
    let Exchanged { probed, handle, tether } = exchange(stream, offer, deadline, SESSION_KEX).await?;
    let refusal = match decide(&probed.presented) {
        Ok(anchored) if *anchored.key_sha256() == probed.presented.key().sha256() => {
            return Ok(Session { anchored, probed, handle, _tether: tether });
        }
        Ok(_) => ConnectError::OtherKey,
        Err(refused) => ConnectError::Refused(refused),
    };
    leave(handle, Disconnect::HostKeyNotVerifiable, "host key not verified", deadline).await;
    drop(tether);
    Err(refusal)
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

    /// Authenticates `user` by public key (RFC 4252 section 7).
    pub async fn authenticate(
        &mut self,
        user: &str,
        key: Arc<PrivateKey>,
        deadline: Instant,
    ) -> Result<(), SessionError> {
        // RFC 8332: SHA-1 signatures are not made; servers without SHA-2 for RSA are left outside.
        let key = PrivateKeyWithHashAlg::new(key, Some(HashAlg::Sha512));
        match within(deadline, self.handle.authenticate_publickey(user, key)).await? {
            AuthResult::Success => Ok(()),
            AuthResult::Failure { remaining_methods, .. } => Err(SessionError::Denied {
                user: user.into(),
                methods: remaining_methods.iter().map(<&str>::from).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// Runs one command without input and waits for its end (RFC 4254 section 6.5).
    pub async fn exec(&mut self, command: &str, deadline: Instant) -> Result<Ran, SessionError> {
        timeout_at(deadline, self.run(command)).await.map_err(|_| SessionError::Timeout)?
    }

    async fn run(&mut self, command: &str) -> Result<Ran, SessionError> {
        let mut channel = self.handle.channel_open_session().await?;
        channel.exec(true, command).await?;
        channel.eof().await?;
        let mut ran = Ran { stdout: Vec::new(), stderr: Vec::new(), status: None };
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => take(&mut ran.stdout, &data)?,
                ChannelMsg::ExtendedData { data, ext: 1 } => take(&mut ran.stderr, &data)?,
                ChannelMsg::ExitStatus { exit_status } => ran.status = Some(exit_status),
                ChannelMsg::Failure => return Err(SessionError::NoCommands),
                ChannelMsg::Close => return Ok(ran),
                _ => {}
            }
        }
        // The connection ended before the channel did: the output may be cut short.
        Err(SessionError::Connection(ProbeError::Closed))
    }

    /// Says good-bye; dropping the session ends the connection without a word.
    pub async fn close(self, deadline: Instant) {
        leave(self.handle, Disconnect::ByApplication, "done", deadline).await;
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("anchored", &self.anchored).finish_non_exhaustive()
    }
}

fn take(output: &mut Vec<u8>, data: &[u8]) -> Result<(), SessionError> {
    if output.len() + data.len() > MAX_OUTPUT {
        return Err(SessionError::TooMuchOutput);
    }
    output.extend_from_slice(data);
    Ok(())
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
mod tests {
    use russh::keys::{Algorithm, EcdsaCurve};

    use super::*;
    use crate::lab::host::{NOT_FOUND, Tally, ToyHost, generate_key, public_half};

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    struct Scene {
        host: ToyHost,
        visitor: Arc<PrivateKey>,
    }

    async fn scene(algorithm: Algorithm) -> Scene {
        let visitor = generate_key(Algorithm::Ed25519).unwrap();
        let key = generate_key(algorithm).unwrap();
        let host = ToyHost::start("web1.example", key, visitor.public_key().clone()).await.unwrap();
        Scene { host, visitor: Arc::new(visitor) }
    }

    async fn reach(host: &ToyHost) -> TcpStream {
        TcpStream::connect(host.address()).await.unwrap()
    }

    fn witness(host: &ToyHost) -> Anchored {
        Anchored::for_tests(host.name(), host.address().port(), host.host_key())
    }

    #[tokio::test]
    async fn a_command_runs_over_the_connection_that_was_accepted() {
        for algorithm in [Algorithm::Ed25519, Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }] {
            let Scene { host, visitor } = scene(algorithm).await;
            let decide = |presented: &Presented| {
                assert_eq!(presented.key(), host.host_key());
                Ok::<_, ()>(witness(&host))
            };
            let mut session = connect(reach(&host).await, &KeyType::ALL, soon(), decide).await.unwrap();
            assert_eq!(host.tally().authentications, 0, "nothing before the accept");
            session.authenticate("ansible", visitor, soon()).await.unwrap();
            let ran = session.exec("whoami", soon()).await.unwrap();
            assert_eq!(ran, Ran { stdout: b"ansible\n".into(), stderr: vec![], status: Some(0) });
            let ran = session.exec("reboot", soon()).await.unwrap();
            assert_eq!((ran.stdout, ran.status), (vec![], Some(NOT_FOUND)));
            assert!(ran.stderr.starts_with(b"a toy host"));
            assert_eq!(session.anchored().key_sha256(), &host.host_key().sha256());
            session.close(soon()).await;
            let Tally { connections, key_exchanges, commands, .. } = host.tally();
            assert_eq!((connections, key_exchanges, commands), (1, 1, 2));
        }
    }

    #[tokio::test]
    async fn a_refusal_ends_the_connection_before_any_authentication() {
        let Scene { host, .. } = scene(Algorithm::Ed25519).await;
        let refused = connect(reach(&host).await, &KeyType::ALL, soon(), |_| Err("no")).await;
        assert!(matches!(refused, Err(ConnectError::Refused("no"))));
        assert_eq!(host.tally().authentications, 0);
    }

    #[tokio::test]
    async fn a_witness_for_another_key_opens_nothing() {
        let Scene { host, .. } = scene(Algorithm::Ed25519).await;
        let other = public_half(&generate_key(Algorithm::Ed25519).unwrap()).unwrap();
        let decide = |_: &Presented| Ok::<_, ()>(Anchored::for_tests("web1.example", 22, &other));
        let refused = connect(reach(&host).await, &KeyType::ALL, soon(), decide).await;
        assert!(matches!(refused, Err(ConnectError::OtherKey)));
        assert_eq!(host.tally().authentications, 0);
    }

    #[tokio::test]
    async fn another_client_key_is_not_let_in() {
        let Scene { host, .. } = scene(Algorithm::Ed25519).await;
        let stranger = Arc::new(generate_key(Algorithm::Ed25519).unwrap());
        let decide = |_: &Presented| Ok::<_, ()>(witness(&host));
        let mut session = connect(reach(&host).await, &KeyType::ALL, soon(), decide).await.unwrap();
        let denied = session.authenticate("root", stranger, soon()).await;
        assert!(matches!(denied, Err(SessionError::Denied { .. })), "{denied:?}");
        assert!(session.exec("hostname", soon()).await.is_err());
        assert_eq!(host.tally().commands, 0);
    }

    #[tokio::test]
    async fn a_host_that_stops_ends_its_sessions() {
        let Scene { host, visitor } = scene(Algorithm::Ed25519).await;
        let decide = |_: &Presented| Ok::<_, ()>(witness(&host));
        let mut session = connect(reach(&host).await, &KeyType::ALL, soon(), decide).await.unwrap();
        session.authenticate("root", visitor, soon()).await.unwrap();
        host.stop().await;
        let broken = session.exec("hostname", soon()).await;
        assert!(matches!(broken, Err(SessionError::Connection(_))), "{broken:?}");
    }
}
