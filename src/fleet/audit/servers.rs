//! Every authoritative server of the zones that are met. Whom a zone's NS records name, and what serial number each has,
//! is asked once a zone; then each server is asked for each host's records, unless it gave no answer before: a dead one
//! is not to be waited for ten thousand times.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use crate::dns::authority::{Authority, AuthorityError};
use crate::dns::resolver::Resolver;
use crate::dns::servers::{self, NO_ADDRESS, ServerAddress, each_address};
use crate::dns::transport::Udp;
use crate::fan_out::in_order;
use crate::proto::audit::facts::{PublishedSet, ServerFact, ZoneFacts, ZoneServer};
use crate::proto::denial::Status;
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::rr::RrType;
use crate::proto::sshfp::SshfpSet;

/// Servers that are asked at the same time about one name.
const AT_ONCE: usize = 16;
/// Most addresses of one zone's servers that are asked.
const MAX_ADDRESSES: usize = 32;
/// How long a server that lags is given, once, and how often it is asked meanwhile.
const LAG: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(200));

/// A server that was named: for this zone, or for every zone.
#[derive(Debug, Clone)]
pub struct Named {
    /// The zone; none is every zone.
    pub zone: Option<Name>,
    /// The server.
    pub server: SocketAddr,
}

/// The zones of one audit.
#[derive(Debug)]
pub struct Zones {
    resolver: Option<Resolver>,
    named: Vec<Named>,
    timeout: Duration,
    met: Mutex<HashMap<Name, Arc<OnceCell<Arc<Zone>>>>>,
}

/// A zone's servers.
#[derive(Debug)]
struct Zone {
    facts: ZoneFacts,
    servers: Vec<Server>,
}

/// One address of a server.
#[derive(Debug)]
struct Server {
    name: Option<String>,
    udp: Udp,
    serial: Option<u32>,
    /// It has let a question unanswered.
    is_silent: AtomicBool,
    /// It had its time to catch up.
    lags: AtomicBool,
}

impl Zones {
    /// None met yet. `resolver` says who serves a zone, and where, unless servers are `named`; an exchange may take a third
    /// of `timeout`.
    pub fn new(resolver: Option<Resolver>, named: Vec<Named>, timeout: Duration) -> Self {
        Zones { resolver, named, timeout, met: Mutex::default() }
    }

    /// The zones that were met, by name.
    pub fn facts(&self) -> Vec<ZoneFacts> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<ZoneFacts> =
            met.values().filter_map(|cell| Some(cell.get()?.facts.clone())).collect();
        all.sort_by(|a, b| a.zone.cmp(&b.zone));
        all
    }

    /// What each server of `zone` has at the owners of `sets`. Where the zone is not known, as nothing is proven, it is
    /// looked for.
    pub(super) async fn ask(
        &self,
        zone: Option<Name>,
        sets: &[PublishedSet],
    ) -> (Option<Name>, Vec<ServerFact>) {
        let zone = match (zone, sets.first()) {
            (Some(zone), _) => zone,
            (None, Some(set)) => match self.zone_of(&set.owner).await {
                Some(zone) => zone,
                None => return (None, Vec::new()),
            },
            (None, None) => return (None, Vec::new()),
        };
        let cell =
            self.met.lock().unwrap_or_else(PoisonError::into_inner).entry(zone.clone()).or_default().clone();
        let servers = cell.get_or_init(|| self.meet(&zone)).await.clone();
        // What lies in another zone its own servers know.
        let wanted: Vec<PublishedSet> =
            sets.iter().filter(|s| s.owner.is_at_or_below(&zone)).cloned().collect();
        if wanted.len() < sets.len() {
            return (Some(zone), Vec::new());
        }
        let places = 0..servers.servers.len();
        let ask = |at: usize| {
            let (servers, wanted, like) = (servers.clone(), wanted.clone(), self.limits());
            async move { Some(servers.servers.get(at)?.ask(&wanted, like).await) }
        };
        let facts = in_order(places, AT_ONCE, ask).await.unwrap_or_default();
        (Some(zone), facts.into_iter().flatten().collect())
    }

    fn limits(&self) -> Limits {
        Limits { patience: self.timeout / 3, deadline: Instant::now() + self.timeout }
    }

    /// The zone that holds `owner`, by the SOA record that comes with an answer. Nobody vouches for it: it says who is to
    /// be asked, and nothing rests on it.
    async fn zone_of(&self, owner: &Name) -> Option<Name> {
        let until = Instant::now() + self.timeout;
        let mut name = owner.clone();
        loop {
            let asked = Question::new(name.clone(), RrType::SOA);
            let answer = self.resolver.as_ref()?.ask(&asked, true, until).await.ok()?;
            let mut records = answer.answer.iter().chain(&answer.authority);
            let soa = records
                .find(|r| r.rtype == RrType::SOA && owner.is_at_or_below(&r.owner) && !r.owner.is_root());
            if let Some(soa) = soa {
                return Some(soa.owner.clone());
            }
            name = name.parent().filter(|name| !name.is_root())?;
        }
    }

    /// Finds the servers of a zone and asks each for its serial number.
    async fn meet(&self, zone: &Name) -> Arc<Zone> {
        let limits = self.limits();
        let is_for = |named: &&Named| named.zone.as_ref().is_none_or(|of| of == zone);
        let named: Vec<servers::Server> = self.named.iter().filter(is_for).map(|n| n.server.into()).collect();
        let found = match named.is_empty() {
            false => named,
            true => servers::by_resolver(zone, self.resolver.as_ref(), limits.deadline).await,
        };
        let mut all = each_address(found);
        all.truncate(MAX_ADDRESSES);
        let asked = in_order(all, AT_ONCE, |ServerAddress { name, address }| {
            let zone = zone.clone();
            async move {
                let serial = match address {
                    Some(address) => {
                        let soa = limits.authority(address).soa(&zone).await;
                        soa.map(|soa| soa.serial).map_err(|error| error.to_string())
                    }
                    None => Err(NO_ADDRESS.to_owned()),
                };
                (ZoneServer { name, address: address.map(|a| a.to_string()), serial }, address)
            }
        });
        let asked = asked.await.unwrap_or_default();
        let server = |(told, address): &(ZoneServer, Option<SocketAddr>)| {
            Some(Server {
                name: told.name.clone(),
                udp: Udp::new((*address)?),
                serial: told.serial.as_ref().ok().copied(),
                is_silent: AtomicBool::new(told.serial.is_err()),
                lags: AtomicBool::new(false),
            })
        };
        let servers = asked.iter().filter_map(server).collect();
        let told = asked.into_iter().map(|(told, _)| told).collect();
        Arc::new(Zone { facts: ZoneFacts { zone: zone.clone(), servers: told }, servers })
    }
}

/// How long exchanges may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    patience: Duration,
    deadline: Instant,
}

impl Limits {
    fn authority(self, server: SocketAddr) -> Authority {
        Authority { server, patience: self.patience, deadline: self.deadline }
    }
}

impl Server {
    /// What it has at the owners of `sets`. The first time that it is behind it gets a moment: it may be about to take a
    /// change over.
    async fn ask(&self, sets: &[PublishedSet], limits: Limits) -> ServerFact {
        let mut until: Option<Instant> = None;
        let shows = loop {
            let mut shows = Vec::new();
            for set in sets {
                shows.push(self.at(&set.owner, limits).await);
            }
            let is_behind = sets.iter().zip(&shows).any(|(set, shows)| {
                let is_proven = matches!(set.status, Status::Secure | Status::Absent);
                is_proven && shows.as_ref().is_some_and(|shows| *shows != set.records)
            });
            if !is_behind || (until.is_none() && self.lags.swap(true, Ordering::Relaxed)) {
                break shows;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + LAG.0);
            if Instant::now() >= until {
                break shows;
            }
            sleep(LAG.1).await;
        };
        ServerFact {
            name: self.name.clone(),
            address: self.udp.server().to_string(),
            serial: self.serial,
            shows,
        }
    }

    async fn at(&self, owner: &Name, limits: Limits) -> Option<SshfpSet> {
        if self.is_silent.load(Ordering::Relaxed) {
            return None;
        }
        match limits.authority(self.udp.server()).sshfp_by(&self.udp, owner).await {
            Ok(present) => Some(present.records),
            Err(AuthorityError::Transport(_)) => {
                self.is_silent.store(true, Ordering::Relaxed);
                None
            }
            Err(_) => None,
        }
    }
}
