//! The relay behind `sshanchor proxy`: a client on one side, a server on the other, the handshake
//! gate ([`crate::proto::handshake`]) between them, and a plain copy once both are encrypted.

mod copy;
#[cfg(target_os = "linux")]
mod pace;
pub mod pass;
pub mod program;
pub mod server;
#[cfg(target_os = "linux")]
mod splice;
pub mod standard;
pub mod watched;

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::server::Server;
use self::watched::Side;
use crate::proto::handshake::{Action, End, Gate, Negotiated};
use crate::proto::hostkey::Presented;
use crate::proto::policy::Seen;
use crate::proto::verdict::Anchored;

/// Portions in which octets are read, in octets.
const PORTION: usize = 64 * 1024;
/// How long a client may take to read why it was refused, and to close.
const GRACE: Duration = Duration::from_secs(2);
/// How long a server may be silent once the client has ended its octets, most likely because it is gone.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a client that is to be refused may take to name itself.
const NAMING: Duration = Duration::from_millis(500);

/// A decision against a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// What the user should read; it reaches the client as printable ASCII, at most 1000 octets.
    pub text: String,
}

/// A connection that was let through and is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// The witness under which the reply was released.
    pub witness: Anchored,
    /// What client and server agreed on.
    pub negotiated: Negotiated,
    /// The server's version line.
    pub server_version: String,
    /// Nothing may be printed on standard error: asyncssh reads it as the SSH stream.
    pub client_is_asyncssh: bool,
}

/// A connection that was not let through, or broke before it was.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct RelayError {
    /// Why.
    pub cause: Cause,
    /// Nothing may be printed on standard error: asyncssh reads it as the SSH stream.
    pub client_is_asyncssh: bool,
}

/// Why a connection was not let through.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The decision was against the server.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A side broke the rules of the gate, or left.
    #[error(transparent)]
    Handshake(#[from] End),
    /// The deadline passed.
    #[error("timed out while waiting for {0}")]
    Deadline(&'static str),
    /// The server's connection failed.
    #[error("the connection to the server broke: {0}")]
    Server(io::Error),
    /// The program by which the server is reached failed; printable.
    #[error("{0}")]
    Program(String),
    /// The client's side failed; most likely it is gone.
    #[error("the connection to the client broke: {0}")]
    Client(io::Error),
}

/// Relays one connection. `client_in` and `client_out` are what a ProxyCommand has as its standard
/// input and output; `server` is connected: a [`TcpStream`](tokio::net::TcpStream) with TCP_NODELAY set, or a program.
/// `decide` is called once, with what the server presented, with what the handshake was like, and with whether standard
/// error has to stay silent because asyncssh reads it as the SSH stream; the witness it gives must be for that key.
///
/// `deadline` is for the whole handshake up to the server's NEWKEYS, the decision included; what the
/// client then takes (it may ask its user) is its own affair. On a refusal the client is sent a
/// DISCONNECT with the reason, and nothing of the held reply; both sides are closed.
///
/// `explain` may know better why a connection was not let through, such as what a program said by which the server is
/// reached; the server's socket is closed by then. It is waited for, before anybody is told.
///
/// `tell` is for the line on standard error, and gives what of it is to be said once more to an OpenSSH client, whose
/// user has just read it; none if nobody can. It is called before the client learns of the refusal: ssh and dbclient
/// send their ProxyCommand SIGHUP as soon as they do. It is not called where standard error must stay silent, because
/// asyncssh reads it as the SSH stream.
///
/// Returns once the server has closed and its octets are delivered, though `client_in` may be open
/// still: a read of standard input that hangs in its thread is for the caller to leave behind.
///
/// # Errors
/// The connection was not let through; or it was, and its octets cannot be waited for, which both sides see end.
pub async fn relay<R, W, F, Fut, X, T>(
    mut client_in: R,
    mut client_out: W,
    server: impl Into<Server>,
    deadline: Instant,
    decide: F,
    explain: X,
    tell: T,
) -> Result<Relayed, RelayError>
where
    R: AsyncRead + Unpin + Side,
    W: AsyncWrite + Unpin + Side,
    F: FnOnce(Presented, Seen, bool) -> Fut,
    Fut: Future<Output = Result<Anchored, Refusal>>,
    X: AsyncFnOnce(Cause) -> Cause,
    T: FnOnce(&Cause) -> Option<String>,
{
    let mut gate = Gate::new();
    let mut server = server.into();
    let mut shell = Handshake {
        gate: &mut gate,
        client_in: &mut client_in,
        client_out: &mut client_out,
        server: &mut server,
        deadline,
    };
    match shell.run(decide).await {
        Ok((witness, negotiated)) => {
            let server_version = gate.server_version().unwrap_or_default().to_owned();
            let client_is_asyncssh = gate.client_is_asyncssh();
            if let Err(e) = copy::both_ways(client_in, client_out, server, SILENCE).await {
                // The client speaks no plain text any more.
                let cause = explain(Cause::Server(e)).await;
                if !client_is_asyncssh {
                    tell(&cause);
                }
                return Err(RelayError { cause, client_is_asyncssh });
            }
            Ok(Relayed { witness, negotiated, server_version, client_is_asyncssh })
        }
        Err(cause) => {
            drop(server);
            let cause = explain(cause).await;
            part(&mut gate, client_in, client_out, &cause.to_string(), || tell(&cause)).await;
            Err(RelayError { cause, client_is_asyncssh: gate.client_is_asyncssh() })
        }
    }
}

/// Tells a client why there is no connection at all: unproven before any, or none could be made.
/// Waits at most two and a half seconds for the client to have read it. `tell` is called as for
/// [`relay`]. True if the client is asyncssh.
pub async fn refuse_client<R, W, T>(client_in: R, client_out: W, text: &str, tell: T) -> bool
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    T: FnOnce() -> Option<String>,
{
    let mut gate = Gate::new();
    part(&mut gate, client_in, client_out, text, tell).await;
    gate.client_is_asyncssh()
}

/// Learns who the client is, tells the user, sends the farewell. Then reads until the client closes:
/// a client that writes to a closed pipe would report that and not the reason, and a socket closed
/// with octets unread loses the reason.
async fn part<R, W, T>(gate: &mut Gate, mut client_in: R, mut client_out: W, text: &str, tell: T)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    T: FnOnce() -> Option<String>,
{
    gate.end();
    let naming = read_on(gate, &mut client_in, |gate| gate.client_version().is_some());
    let _ = timeout_at(Instant::now() + NAMING, naming).await;
    let left = if gate.client_is_asyncssh() { None } else { tell() };
    // OpenSSH prints the farewell below the standard error of its ProxyCommand, which is its own.
    let text = left.as_deref().filter(|_| gate.client_is_openssh()).unwrap_or(text);
    let farewell = gate.farewell(text);
    let exchange = async {
        client_out.write_all(&farewell).await?;
        client_out.flush().await?;
        client_out.shutdown().await?;
        drop(client_out);
        read_on(gate, &mut client_in, |_| false).await
    };
    let _ = timeout_at(Instant::now() + GRACE, exchange).await;
}

/// Reads from the client of an ended gate until `enough`, or it closes.
async fn read_on(
    gate: &mut Gate,
    client_in: &mut (impl AsyncRead + Unpin),
    enough: impl Fn(&Gate) -> bool,
) -> io::Result<()> {
    let mut portion = vec![0; PORTION];
    while !enough(gate) {
        match client_in.read(&mut portion).await? {
            0 => break,
            length => drop(gate.from_client(portion.get(..length).unwrap_or_default())),
        }
    }
    Ok(())
}

/// What happens next in a handshake.
enum Event {
    Client(io::Result<usize>),
    Server(io::Result<usize>),
    Decided(Result<Anchored, Refusal>),
    Deadline,
}

/// The shell around the gate while it is needed.
struct Handshake<'a, R, W> {
    gate: &'a mut Gate,
    client_in: &'a mut R,
    client_out: &'a mut W,
    server: &'a mut Server,
    deadline: Instant,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Handshake<'_, R, W> {
    /// Until both sides are encrypted.
    async fn run<F, Fut>(&mut self, decide: F) -> Result<(Anchored, Negotiated), Cause>
    where
        F: FnOnce(Presented, Seen, bool) -> Fut,
        Fut: Future<Output = Result<Anchored, Refusal>>,
    {
        let (mut from_client, mut from_server) = (vec![0; PORTION], vec![0; PORTION]);
        let (mut decide, mut deciding) = (Some(decide), pin!(None));
        let (mut witness, mut negotiated) = (None, None);
        while !self.gate.is_opaque() {
            let event = tokio::select! {
                biased;
                () = sleep_until(self.deadline), if !self.gate.server_is_through() => Event::Deadline,
                Some(decided) = poll_some(deciding.as_mut()) => Event::Decided(decided),
                length = self.client_in.read(&mut from_client) => Event::Client(length),
                length = self.server.read(&mut from_server), if self.gate.wants_server() => {
                    Event::Server(length)
                }
            };
            let actions = match event {
                Event::Deadline => return Err(Cause::Deadline(self.gate.waiting_for())),
                Event::Decided(decided) => {
                    deciding.set(None);
                    self.gate.release(witness.insert(decided?))
                }
                Event::Client(length) => match length.map_err(Cause::Client)? {
                    0 => self.gate.client_closed(),
                    length => self.gate.from_client(from_client.get(..length).unwrap_or_default()),
                },
                // A server that closes without having read everything resets: it has closed all the same.
                Event::Server(Err(e)) if e.kind() == io::ErrorKind::ConnectionReset => {
                    self.gate.server_closed()
                }
                Event::Server(length) => match length.map_err(Cause::Server)? {
                    0 => self.gate.server_closed(),
                    length => self.gate.from_server(from_server.get(..length).unwrap_or_default()),
                },
            };
            if let Some((presented, agreed)) = self.perform(actions).await? {
                let seen = agreed.seen(self.gate.server_version().unwrap_or_default());
                negotiated = Some(agreed);
                let silent = self.gate.client_is_asyncssh();
                deciding.set(decide.take().map(|decide| decide(presented, seen, silent)));
            }
        }
        // The gate is not through without a release.
        witness.zip(negotiated).ok_or(Cause::Handshake(End::WrongWitness))
    }

    /// Sends what is to be sent; gives back what is to be decided.
    async fn perform(&mut self, actions: Vec<Action>) -> Result<Option<(Presented, Negotiated)>, Cause> {
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        let (mut question, mut end) = (None, None);
        for action in actions {
            match action {
                Action::ToClient(octets) => to_client.extend(octets),
                Action::ToServer(octets) => to_server.extend(octets),
                Action::Decide(presented, negotiated) => question = Some((presented, negotiated)),
                Action::Opaque => {}
                Action::End(why) => end = Some(why),
            }
        }
        let through = self.gate.server_is_through();
        let send = async {
            // A server that is gone tells more by what it sent before: the next read finds that.
            let _ = self.server.write_all(&to_server).await;
            self.client_out.write_all(&to_client).await?;
            self.client_out.flush().await
        };
        let sent = if through { Ok(send.await) } else { timeout_at(self.deadline, send).await };
        match (end, sent) {
            (Some(end), _) => Err(end.into()),
            (None, Err(_)) => Err(Cause::Deadline(self.gate.waiting_for())),
            (None, Ok(Err(e))) => Err(Cause::Client(e)),
            (None, Ok(Ok(()))) => Ok(question),
        }
    }
}

/// The output of a future that may not be there; `None` at once if it is not.
async fn poll_some<Fut: Future>(future: Pin<&mut Option<Fut>>) -> Option<Fut::Output> {
    match future.as_pin_mut() {
        Some(future) => Some(future.await),
        None => None,
    }
}

#[cfg(test)]
mod tests;
