//! The shell around [`Race`]: lookups, attempts and the clock.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::unreachable::{Attempt, Unreachable};
use crate::dns::addresses;
use crate::dns::resolver::Resolver;
use crate::proto::destination::Destination;
use crate::proto::happy_eyeballs::{Family, Race, Step};
use crate::proto::rr::RrType;

/// Where to, and how to find it.
pub(super) struct Way<'a> {
    pub place: &'a Destination,
    pub port: u16,
    /// Whom to ask; without one, and where it finds nothing, the system.
    pub resolver: Option<&'a Resolver>,
    /// Of an earlier run and within their TTL, the best one first.
    pub kept: Vec<IpAddr>,
    /// What nobody says is current. Where there is any, the system is not asked in the resolver's place.
    pub reserve: Vec<IpAddr>,
    pub deadline: Instant,
}

/// A connection, with TCP_NODELAY.
#[derive(Debug)]
pub(super) struct Reached {
    pub stream: TcpStream,
    /// It goes to where the place is said to be now, and not to where it was earlier.
    pub is_current: bool,
    /// What was found meanwhile, first the address that was the first to answer.
    pub found: Vec<IpAddr>,
    /// How many seconds that may be kept.
    pub ttl: u32,
}

/// What comes of one piece of work.
enum Happened {
    LookedUp(Family, Result<(Vec<IpAddr>, Option<u32>), String>),
    BySystem(Result<Vec<SocketAddr>, String>),
    Attempted(SocketAddr, io::Result<TcpStream>),
}

type Work<'a> = Pin<Box<dyn Future<Output = Happened> + Send + 'a>>;

impl Way<'_> {
    /// The first connection that comes about. All other attempts are dropped.
    pub(super) async fn go(self) -> Result<Reached, Unreachable> {
        let (kept, reserve) = (self.kept.iter(), self.reserve.iter());
        let at_port = |ip: &IpAddr| SocketAddr::new(*ip, self.port);
        let race = match self.place.socket_address(self.port) {
            Some(address) => Race::for_addresses([address]),
            None => Race::for_name(kept.map(at_port), reserve.map(at_port)),
        };
        let began = Instant::now();
        Run { way: &self, race, began, work: Vec::new(), attempts: Vec::new(), lookups: Lookups::default() }
            .run()
            .await
    }
}

/// What the lookups have found so far.
#[derive(Default)]
struct Lookups {
    under_way: usize,
    system_was_asked: bool,
    found: Vec<IpAddr>,
    ttl: Option<u32>,
    trouble: Option<String>,
}

struct Run<'a> {
    way: &'a Way<'a>,
    race: Race,
    began: Instant,
    work: Vec<Work<'a>>,
    attempts: Vec<Attempt>,
    lookups: Lookups,
}

impl<'a> Run<'a> {
    async fn run(mut self) -> Result<Reached, Unreachable> {
        let deadline = self.way.deadline;
        loop {
            let until = match self.race.next(self.began.elapsed()) {
                Step::LookUp => {
                    self.look_up();
                    continue;
                }
                Step::Attempt(address) => {
                    self.attempts.push(Attempt { address, failure: None });
                    self.work
                        .push(Box::pin(async move { Happened::Attempted(address, connect(address).await) }));
                    continue;
                }
                Step::GiveUp => return Err(self.unreachable()),
                Step::Wait(at) => at.map_or(deadline, |at| deadline.min(self.began + at)),
            };
            match timeout_at(until, first(&mut self.work)).await {
                Ok(happened) => {
                    if let Some(stream) = self.note(happened) {
                        return Ok(self.reached(stream));
                    }
                }
                Err(_) if until == deadline => return Err(self.unreachable()),
                Err(_) => {}
            }
        }
    }

    fn look_up(&mut self) {
        let Way { place, resolver, deadline, .. } = *self.way;
        let (Some(resolver), Destination::Name(host)) = (resolver, place) else { return self.ask_system() };
        let left = deadline.saturating_duration_since(Instant::now());
        // The system is asked later, and takes time.
        let until = if self.may_ask_system() { Instant::now() + left * 2 / 3 } else { deadline };
        for (family, rtype) in [(Family::V6, RrType::AAAA), (Family::V4, RrType::A)] {
            self.lookups.under_way += 1;
            self.work.push(Box::pin(async move {
                let found = addresses::of_type(resolver, host.name(), rtype, until).await;
                Happened::LookedUp(family, found)
            }));
        }
    }

    /// It may know the name from a file.
    fn ask_system(&mut self) {
        let Way { place, port, deadline, .. } = *self.way;
        self.lookups.system_was_asked = true;
        self.work.push(Box::pin(async move {
            Happened::BySystem(addresses::by_system(&place.to_string(), port, deadline).await)
        }));
    }

    fn may_ask_system(&self) -> bool {
        self.way.kept.is_empty() && self.way.reserve.is_empty() && !self.lookups.system_was_asked
    }

    /// Takes in what happened; gives back the connection if that is it.
    fn note(&mut self, happened: Happened) -> Option<TcpStream> {
        match happened {
            Happened::LookedUp(family, found) => {
                self.lookups.under_way -= 1;
                match found {
                    Ok((found, ttl)) => {
                        self.lookups.ttl = self.lookups.ttl.into_iter().chain(ttl).min();
                        self.found(found.iter().map(|ip| SocketAddr::new(*ip, self.way.port)).collect());
                    }
                    Err(why) => self.lookups.trouble = Some(why),
                }
                let is_last = self.lookups.under_way == 0;
                if is_last && self.lookups.found.is_empty() && self.may_ask_system() {
                    // This family's turn is over when the system has answered.
                    self.ask_system();
                } else {
                    self.race.looked_up(family);
                }
            }
            Happened::BySystem(found) => {
                match found {
                    Ok(found) => self.found(found),
                    Err(why) => drop(self.lookups.trouble.get_or_insert(why)),
                }
                self.race.looked_up(Family::V6);
                self.race.looked_up(Family::V4);
            }
            Happened::Attempted(_, Ok(stream)) => return Some(stream),
            Happened::Attempted(address, Err(e)) => {
                self.race.failed();
                let attempt = self.attempts.iter_mut().find(|attempt| attempt.address == address);
                if let Some(attempt) = attempt {
                    attempt.failure = Some(e);
                }
            }
        }
        None
    }

    fn found(&mut self, addresses: Vec<SocketAddr>) {
        if addresses.is_empty() {
            // That there is none is no better than no answer: nobody vouches for either.
            self.lookups.trouble.get_or_insert_with(|| "it has none".to_owned());
        }
        self.lookups.found.extend(addresses.iter().map(SocketAddr::ip));
        self.race.found(addresses, self.began.elapsed());
    }

    fn reached(self, stream: TcpStream) -> Reached {
        let Lookups { mut found, ttl, .. } = self.lookups;
        let here = stream.peer_addr().ok().map(|address| address.ip());
        // It is the one to begin with the next time (RFC 8305 section 4: history). The others keep their order.
        found.sort_by_key(|ip| Some(*ip) != here);
        let is_current = self.way.place.socket_address(0).is_some() || found.first().copied() == here;
        // The system does its own caching.
        Reached { stream, is_current, found, ttl: ttl.unwrap_or(0) }
    }

    fn unreachable(self) -> Unreachable {
        let is_found = !self.lookups.found.is_empty();
        let no_address = self.lookups.trouble.filter(|_| !is_found);
        Unreachable {
            place: self.way.place.clone(),
            port: self.way.port,
            attempts: self.attempts,
            no_address,
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What comes first of all that is under way.
async fn first(work: &mut Vec<Work<'_>>) -> Happened {
    poll_fn(|cx| {
        let ready = work.iter_mut().enumerate().find_map(|(place, work)| match work.as_mut().poll(cx) {
            Poll::Ready(happened) => Some((place, happened)),
            Poll::Pending => None,
        });
        match ready {
            Some((place, happened)) => {
                drop(work.swap_remove(place));
                Poll::Ready(happened)
            }
            None => Poll::Pending,
        }
    })
    .await
}
