//! Toy SSH hosts: they know three fixed commands, start no process, let in one key alone, and count
//! what clients do, so that a test can show what did not happen.

use std::borrow::Cow;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Config, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, MethodKind, MethodSet, SshId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::proto::hostkey::{HostKey, HostKeyError};
use crate::proto::wire::Reader;
use crate::ssh::stream::Tethered;

/// The commands that toy hosts know.
pub const COMMANDS: [&str; 3] = ["hostname", "uptime", "whoami"];
/// The exit status of every other command, as shells have it for a command that is not found.
pub const NOT_FOUND: u32 = 127;

/// SSH's message number of NEWKEYS (RFC 4253 section 7.3).
const NEWKEYS: u8 = 21;
/// More connections than this at once are turned away.
const MAX_CONNECTIONS: usize = 256;

/// What clients did to a host so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// TCP connections.
    pub connections: usize,
    /// Key exchanges that the client ended with its NEWKEYS: it went on after seeing the host key.
    pub key_exchanges: usize,
    /// Authentication requests of any method; each gave away a user name at least.
    pub authentications: usize,
    /// Commands that were asked for by a client that was let in.
    pub commands: usize,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicUsize,
    key_exchanges: AtomicUsize,
    authentications: AtomicUsize,
    commands: AtomicUsize,
}

/// A running host; it and its connections end when this is dropped.
#[derive(Debug)]
pub struct ToyHost {
    name: String,
    address: SocketAddr,
    host_key: HostKey,
    visitor: PublicKey,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

/// A fresh host or client key.
pub fn generate_key(algorithm: Algorithm) -> io::Result<PrivateKey> {
    PrivateKey::random(&mut rand::rng(), algorithm).map_err(io::Error::other)
}

/// The public half as the rest of this crate has it.
pub fn public_half(key: &PrivateKey) -> Result<HostKey, HostKeyError> {
    let blob = key.public_key().to_bytes().unwrap_or_default();
    HostKey::from_blob(&blob)
}

impl ToyHost {
    /// Starts a host that calls itself `name`, holds `key` and lets in `visitor`, on a free port of
    /// 127.0.0.1. Wants a tokio runtime.
    pub async fn start(name: &str, key: PrivateKey, visitor: PublicKey) -> io::Result<ToyHost> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), name, key, visitor).await
    }

    /// The same at a given address.
    pub async fn start_at(
        address: SocketAddr,
        name: &str,
        key: PrivateKey,
        visitor: PublicKey,
    ) -> io::Result<ToyHost> {
        let host_key = public_half(&key).map_err(io::Error::other)?;
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let counters = Arc::new(Counters::default());
        let config = Arc::new(Config {
            server_id: SshId::Standard(Cow::Borrowed("SSH-2.0-sshanchor_toy_host")),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            // Guessing at one public key needs no slowing down, and tests should be quick.
            auth_rejection_time: Duration::ZERO,
            keys: vec![key],
            nodelay: true,
            ..Config::default()
        });
        let guest = Guest {
            name: name.into(),
            user: None,
            visitor: visitor.clone(),
            counters: Arc::clone(&counters),
        };
        let task = tokio::spawn(serve(listener, config, guest));
        Ok(ToyHost { name: name.into(), address, host_key, visitor, counters, task })
    }

    /// Ends this host and puts another at its name and address, with another key: what an impostor
    /// does who took over the address.
    pub async fn replace(self, key: PrivateKey) -> io::Result<ToyHost> {
        let (name, address, visitor) = (self.name.clone(), self.address, self.visitor.clone());
        self.stop().await;
        Self::start_at(address, &name, key, visitor).await
    }

    /// Ends this host; its port is free afterwards.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its public host key.
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// What clients did so far.
    pub fn tally(&self) -> Tally {
        let read = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        Tally {
            connections: read(&self.counters.connections),
            key_exchanges: read(&self.counters.key_exchanges),
            authentications: read(&self.counters.authentications),
            commands: read(&self.counters.commands),
        }
    }
}

impl Drop for ToyHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections until it is aborted; they go with it, because the set aborts them.
async fn serve(listener: TcpListener, config: Arc<Config>, guest: Guest) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                    count(&guest.counters.connections);
                    connections.spawn(connection(stream, Arc::clone(&config), guest.clone()));
                }
                Ok(_) => {}
                // Out of descriptors, most likely: give others time to close theirs.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, config: Arc<Config>, guest: Guest) {
    let _ = stream.set_nodelay(true);
    // russh serves in a task of its own; it ends with the tether, thus with this future.
    let (stream, _tether) = Tethered::new(stream);
    let stream = Watched { inner: stream, watch: Watch::default(), counters: Arc::clone(&guest.counters) };
    if let Ok(running) = server::run_stream(config, stream, guest).await {
        let _ = running.await;
    }
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::SeqCst);
}

/// The whole of what toy hosts can do.
fn run(command: &[u8], host: &str, user: &str) -> Option<String> {
    match command {
        b"hostname" => Some(format!("{host}\n")),
        b"uptime" => Some("up since the laboratory opened\n".into()),
        b"whoami" => Some(format!("{user}\n")),
        _ => None,
    }
}

/// One client of a host.
#[derive(Debug, Clone)]
struct Guest {
    name: String,
    user: Option<String>,
    visitor: PublicKey,
    counters: Arc<Counters>,
}

impl Guest {
    fn admit(&self, key: &PublicKey) -> Auth {
        if key.key_data() == self.visitor.key_data() { Auth::Accept } else { Auth::reject() }
    }

    fn answer(&self, channel: ChannelId, command: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        count(&self.counters.commands);
        session.channel_success(channel)?;
        let status = match run(command, &self.name, self.user.as_deref().unwrap_or_default()) {
            Some(output) => {
                session.data(channel, output.into_bytes())?;
                0
            }
            None => {
                let told = format!("a toy host: it knows {} and nothing else\n", COMMANDS.join(", "));
                session.extended_data(channel, 1, told.into_bytes())?;
                NOT_FOUND
            }
        };
        session.exit_status_request(channel, status)?;
        session.eof(channel)?;
        session.close(channel)
    }
}

impl server::Handler for Guest {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, russh::Error> {
        count(&self.counters.authentications);
        Ok(Auth::reject())
    }

    async fn auth_password(&mut self, _user: &str, _password: &str) -> Result<Auth, russh::Error> {
        count(&self.counters.authentications);
        Ok(Auth::reject())
    }

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        count(&self.counters.authentications);
        Ok(self.admit(offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        self.user = Some(user.to_owned());
        Ok(self.admit(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.answer(channel, command, session)
    }

    /// There is no shell; whoever asks for one is told what there is.
    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.answer(channel, b"", session)
    }

    // russh leaves these two without an answer unless they get one here; it refuses forwarding itself.

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(russh::Pty, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        session.channel_failure(channel)
    }
}

/// A stream on which the client's NEWKEYS is counted.
struct Watched {
    inner: Tethered,
    watch: Watch,
    counters: Arc<Counters>,
}

/// Follows the client's packets while they are in clear (RFC 4253 section 6).
#[derive(Debug, Default)]
struct Watch {
    past_version: bool,
    done: bool,
    head: Vec<u8>,
    skip: usize,
}

impl Watch {
    /// Takes what came in; true when it holds the NEWKEYS that ends the clear part.
    fn sees_newkeys(&mut self, octets: &[u8]) -> bool {
        for &octet in octets {
            if self.done {
                return false;
            } else if !self.past_version {
                self.past_version = octet == b'\n';
            } else if self.skip > 0 {
                self.skip -= 1;
            } else {
                self.head.push(octet);
                let mut reader = Reader::new(&self.head);
                let (length, _padding, message) = (reader.u32(), reader.u8(), reader.u8());
                if let (Some(length), Some(message)) = (length, message) {
                    // The length counts the padding length and the message number, which are read.
                    self.skip = (length as usize).saturating_sub(2);
                    self.head.clear();
                    self.done = message == NEWKEYS;
                    if self.done {
                        return true;
                    }
                }
            }
        }
        false
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        if this.watch.sees_newkeys(buf.filled().get(before..).unwrap_or_default()) {
            count(&this.counters.key_exchanges);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
