//! Asking recursive resolvers: several of them, UDP then TCP (where a reply is cut short, or none comes), within one
//! deadline. What they say is data to be proven, no more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::transport::{TransportError, UDP_PAYLOAD, Udp, or_else_both, tcp_again};
use crate::log::Telling;
use crate::proto::message::{NOERROR, NXDOMAIN, Question, Response, rcode_name};

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

/// After how long without a datagram a server is asked over TCP as well, at the latest: what lies between may let none
/// through. A resolver with a cold cache often takes half of it.
const SILENCE: Duration = Duration::from_millis(1600);
/// How long a TCP connection may be silent before a second one is made, at the latest.
const TCP_PATIENCE: Duration = Duration::from_secs(1);

/// The resolvers of this run.
#[derive(Debug, Clone)]
pub struct Resolver {
    servers: Arc<[Udp]>,
    /// The place of the server that was last of use: one that is dead costs its wait once a run, and
    /// not for every question.
    first: Arc<AtomicUsize>,
    /// The place of the server that gave the last good second opinion; beyond all places, none.
    better: Arc<AtomicUsize>,
    /// Why there is no server at all.
    absent: Option<Arc<str>>,
    /// Who hears what is asked, and what comes of it.
    telling: Telling,
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
            false => {
                let servers = servers.into_iter().map(Udp::new).collect();
                Ok(Resolver { servers, ..Self::nobody() })
            }
        }
    }

    /// Nobody, for this reason: every question ends with it. For a run that may not need any.
    pub fn none(why: &ResolverError) -> Self {
        Resolver { absent: Some(why.to_string().into()), ..Self::nobody() }
    }

    fn nobody() -> Self {
        let better = Arc::new(usize::MAX.into());
        Resolver {
            servers: Arc::new([]),
            first: Arc::default(),
            better,
            absent: None,
            telling: Telling::default(),
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

    /// The same, telling what is asked and what comes of it.
    #[must_use]
    pub fn telling(self, telling: Telling) -> Self {
        Resolver { telling, ..self }
    }

    /// The servers, in the order in which they are first asked.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = SocketAddr> {
        self.servers.iter().map(Udp::server)
    }

    /// The same servers in the same order.
    pub fn is_same(&self, other: &Self) -> bool {
        self.servers().eq(other.servers())
    }

    /// The place of the server that is asked first.
    pub fn place(&self) -> usize {
        self.first.load(Ordering::Relaxed)
    }

    /// The same servers for a second opinion on what began with the one at `began`: beginning with the one that gave
    /// a good second opinion meanwhile, else behind the one that was last of use.
    pub fn another(&self, began: usize) -> Self {
        let better = self.better.load(Ordering::Relaxed);
        let first = match better < self.servers.len() && better != began {
            true => better,
            false => (self.place() + 1) % self.servers.len().max(1),
        };
        Resolver { first: Arc::new(first.into()), ..self.clone() }
    }

    /// Begins with the server that was last of use to `other`, one of [`Resolver::another`].
    pub fn prefer(&self, other: &Self) {
        let place = other.place();
        self.first.store(place, Ordering::Relaxed);
        self.better.store(place, Ordering::Relaxed);
    }

    /// Asks until a server gives a usable reply or `deadline` comes. A server that fails, refuses or does
    /// not know EDNS is passed over; its reply counts only if no other has a better one.
    /// `checking_disabled` sets CD. The error says why in words.
    pub async fn ask(
        &self,
        question: &Question,
        checking_disabled: bool,
        deadline: Instant,
    ) -> Result<Response, String> {
        if let Some(why) = &self.absent {
            return Err(why.to_string());
        }
        let mut wait = if self.servers.len() == 1 { FIRST_WAIT_ALONE } else { FIRST_WAIT };
        let mut refused: Option<Response> = None;
        loop {
            let mut trouble = None;
            let mut final_words = 0;
            let mut without_edns = None;
            let first = self.place();
            let places = self.servers.iter().enumerate();
            for (place, server) in places.clone().skip(first).chain(places.take(first)) {
                let began = Instant::now();
                let until = deadline.min(began + wait);
                let outcome = ask_one(server, question, checking_disabled, until).await;
                self.tell(server.server(), question, &outcome, began.elapsed());
                match outcome {
                    Ok(reply) if matches!(reply.rcode, NOERROR | NXDOMAIN) && reply.edns => {
                        // Unless somebody has found a better one meanwhile.
                        let _ =
                            self.first.compare_exchange(first, place, Ordering::Relaxed, Ordering::Relaxed);
                        return Ok(reply);
                    }
                    Ok(reply) if matches!(reply.rcode, NOERROR | NXDOMAIN) => {
                        without_edns.get_or_insert(reply);
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
            if let Some(reply) = without_edns {
                return Ok(reply);
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

    /// What came of one question: trouble sooner than an answer.
    fn tell(
        &self,
        server: SocketAddr,
        asked: &Question,
        outcome: &Result<Response, TransportError>,
        took: Duration,
    ) {
        let asked = || format!("{server}, asked for {} {}", asked.name, asked.rtype);
        match outcome {
            Ok(reply) if matches!(reply.rcode, NOERROR | NXDOMAIN) && reply.edns => {
                self.telling.debug(|| {
                    let (rcode, count) = (rcode_name(reply.rcode), reply.answer.len());
                    format!("{}: {rcode}, {count} records, in {} ms", asked(), took.as_millis())
                });
            }
            Ok(reply) => self.telling.info(|| {
                let edns = if reply.edns { "" } else { ", without EDNS" };
                format!("{}: {}{edns}", asked(), rcode_name(reply.rcode))
            }),
            Err(error) => self.telling.info(|| format!("{}: {error}", asked())),
        }
    }
}

/// Trouble that may be over in a moment, as when a connection was cut.
fn passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::*;
    matches!(error.kind(), ConnectionReset | ConnectionAborted | UnexpectedEof | BrokenPipe | Interrupted)
}

async fn ask_one(
    server: &Udp,
    question: &Question,
    checking_disabled: bool,
    until: Instant,
) -> Result<Response, TransportError> {
    let query = |id| question.query(id, checking_disabled, UDP_PAYLOAD);
    let window = until.saturating_duration_since(Instant::now());
    let by_udp = server.ask(question, query, until, RESEND.min(window / 2));
    let by_tcp = || async {
        let id: u16 = rand::random();
        let read = |reply: &[u8]| Response::read(reply, id, question).ok().filter(|reply| !reply.truncated);
        let patience = TCP_PATIENCE.min(until.saturating_duration_since(Instant::now()) / 2);
        let fits = |reply: &[u8]| read(reply).is_some();
        let reply = tcp_again(server.server(), &query(id), until, patience, fits).await?;
        read(&reply).ok_or(TransportError::Timeout(server.server()))
    };
    // In the first round the next server is asked sooner.
    let silence = if window > FIRST_WAIT { SILENCE.min(window / 2) } else { window };
    let patience = server.patience(silence);
    let instead = async {
        let reply = by_tcp().await?;
        if !patience.is_zero() {
            server.was_silent();
        }
        Ok(reply)
    };
    let reply = or_else_both(by_udp, patience, instead, TransportError::leaves_another_way).await?;
    if reply.truncated { by_tcp().await } else { Ok(reply) }
}

#[cfg(test)]
pub(super) mod tests;
