//! Asking recursive resolvers: several of them, UDP then TCP, within one deadline. What they say is
//! data to be proven, no more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::transport::{TransportError, UDP_PAYLOAD, tcp, udp};
use crate::proto::message::{NOERROR, NXDOMAIN, Question, Response, is_reply_to, rcode_name};

/// How long the first attempt at a server waits; each round over all servers doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(800);
/// The same where there is but one: a resolver with a cold cache may take seconds, and what comes after
/// the wait is lost.
const FIRST_WAIT_ALONE: Duration = Duration::from_secs(3);
/// When a datagram is sent a second time, at the latest.
const RESEND: Duration = Duration::from_millis(400);
/// Where the doubling ends: a server that fails at once gets through many rounds.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Resolvers that are asked; more in the system's settings are ignored, as libc does with more than 3.
const MAX_SERVERS: usize = 6;

/// The resolvers of this run.
#[derive(Debug, Clone)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    /// The place of the server that was last of use: one that is dead costs its wait once a run, and
    /// not for every question.
    first: Arc<AtomicUsize>,
}

/// Why there are no resolvers to ask.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The system's settings could not be read.
    #[error("cannot read the system's resolver settings: {0}")]
    System(String),
    /// They name no server.
    #[error("the system's resolver settings name no server")]
    NoServer,
}

impl Resolver {
    /// These servers, in this order.
    pub fn new(mut servers: Vec<SocketAddr>) -> Result<Self, ResolverError> {
        servers.dedup();
        servers.truncate(MAX_SERVERS);
        match servers.is_empty() {
            true => Err(ResolverError::NoServer),
            false => Ok(Resolver { servers, first: Arc::default() }),
        }
    }

    /// The system's servers (on Unix those of resolv.conf(5)).
    pub fn system() -> Result<Self, ResolverError> {
        let (config, _) = hickory_resolver::system_conf::read_system_conf()
            .map_err(|e| ResolverError::System(e.to_string()))?;
        let servers = config.name_servers().iter().map(|server| {
            let port = server.connections.first().map_or(53, |connection| connection.port);
            SocketAddr::new(server.ip, port)
        });
        Self::new(servers.collect())
    }

    /// The servers, in the order in which they are first asked.
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// Asks until a server gives a usable reply or `deadline` comes. A server that fails or refuses is
    /// passed over; its reply counts only if no other has a better one. `checking_disabled` sets CD.
    /// The error says why in words.
    pub async fn ask(
        &self,
        question: &Question,
        checking_disabled: bool,
        deadline: Instant,
    ) -> Result<Response, String> {
        let mut wait = if self.servers.len() == 1 { FIRST_WAIT_ALONE } else { FIRST_WAIT };
        let mut refused: Option<Response> = None;
        loop {
            let mut trouble = None;
            let mut final_words = 0;
            let first = self.first.load(Ordering::Relaxed);
            let places = self.servers.iter().copied().enumerate();
            for (place, server) in places.clone().skip(first).chain(places.take(first)) {
                let until = deadline.min(Instant::now() + wait);
                match ask_one(server, question, checking_disabled, until).await {
                    Ok(reply) if matches!(reply.rcode, NOERROR | NXDOMAIN) => {
                        self.first.store(place, Ordering::Relaxed);
                        return Ok(reply);
                    }
                    Ok(reply) => {
                        refused = Some(reply);
                        final_words += 1;
                    }
                    Err(error) => {
                        final_words += usize::from(matches!(&error, TransportError::Io(_, e) if !passing(e)));
                        trouble = Some(error);
                    }
                }
            }
            // Everybody has answered and nobody can help: asking again changes nothing.
            let hopeless = final_words == self.servers.len();
            if hopeless || Instant::now() + Duration::from_millis(5) >= deadline {
                return Err(match (refused, trouble) {
                    (Some(reply), _) => format!("the resolver answered {}", rcode_name(reply.rcode)),
                    (None, Some(error)) => error.to_string(),
                    (None, None) => "no answer in time".to_owned(),
                });
            }
            // A server that fails at once must not be asked in a tight loop, nor for ever faster than the
            // one that is slow.
            tokio::time::sleep_until(deadline.min(Instant::now() + wait / 40)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }
}

/// Trouble that may be over in a moment, as when a connection was cut.
fn passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::*;
    matches!(error.kind(), ConnectionReset | ConnectionAborted | UnexpectedEof | BrokenPipe | Interrupted)
}

async fn ask_one(
    server: SocketAddr,
    question: &Question,
    checking_disabled: bool,
    until: Instant,
) -> Result<Response, TransportError> {
    let id: u16 = rand::random();
    let query = question.query(id, checking_disabled, UDP_PAYLOAD);
    // A datagram that does not parse is passed over: the real one may follow.
    let fits = |reply: &[u8]| is_reply_to(reply, id, question) && Response::read(reply, id, question).is_ok();
    let resend = RESEND.min(until.saturating_duration_since(Instant::now()) / 2);
    let datagram = udp(server, &query, until, resend, fits).await?;
    let reply = Response::read(&datagram, id, question);
    match reply {
        Ok(reply) if !reply.truncated => Ok(reply),
        _ => {
            let reply = tcp(server, &query, until, fits).await?;
            let timeout = TransportError::Timeout(server);
            Response::read(&reply, id, question).ok().filter(|r| !r.truncated).ok_or(timeout)
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
