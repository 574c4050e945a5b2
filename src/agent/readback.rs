//! What a zone's other servers show once the primary has taken a change. They lag, by seconds as a rule,
//! and one that is dead must not hold anybody up: whatever is not there in time is told as pending.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use crate::dns::addresses;
use crate::dns::authority::{Authority, AuthorityError};
use crate::dns::resolver::Resolver;
use crate::fan_out::in_order;
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::plan::Present;
use crate::proto::rr::RrType;

/// The port of name servers that are known by name alone.
const PORT: u16 = 53;
/// How many questions are open at a time.
const WIDTH: usize = 64;
/// The first and the longest pause before a server that lags is asked again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Most servers of a zone that are asked.
const MAX_SERVERS: usize = 16;

/// A server that has to show the records too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name or address, for people.
    pub label: String,
    /// Where it may be reached.
    pub addresses: Vec<SocketAddr>,
}

impl From<SocketAddr> for Server {
    fn from(address: SocketAddr) -> Self {
        Server { label: address.to_string(), addresses: vec![address] }
    }
}

/// What a server shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Exactly what the primary has.
    Current,
    /// Something else, up to the last moment.
    Pending,
    /// Nothing.
    Unreachable,
}

/// One server, about one owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The server.
    pub server: String,
    /// What it shows.
    pub status: Status,
    /// Why it is not current.
    pub detail: Option<String>,
}

impl Seen {
    /// A server that shows what it should.
    pub fn current(server: impl ToString) -> Self {
        Seen { server: server.to_string(), status: Status::Current, detail: None }
    }
}

/// The names of the servers of `zone`, as a resolver tells them: `resolver`, or else the system's.
pub async fn names_by_resolver(zone: &Name, resolver: Option<&Resolver>, until: Instant) -> Vec<Name> {
    let Some(resolver) = resolver.cloned().or_else(|| Resolver::system().ok()) else { return Vec::new() };
    let asked = Question::new(zone.clone(), RrType::NS);
    let Ok(answer) = resolver.ask(&asked, true, until).await else { return Vec::new() };
    let servers = answer.answer.iter().filter(|r| r.rtype == RrType::NS && r.owner == *zone);
    servers.filter_map(|r| Name::from_wire(&r.rdata).ok()).collect()
}

/// The servers of these names, without the one that is asked anyway. Their addresses come from `resolver`, or else
/// from the system. None if they cannot be had.
pub async fn name_servers(
    mut names: Vec<Name>,
    asked: Option<SocketAddr>,
    resolver: Option<&Resolver>,
    until: Instant,
) -> Vec<Server> {
    names.sort();
    names.dedup();
    names.truncate(MAX_SERVERS);
    addressed(names, asked, resolver, until).await
}

/// The servers that the zone's NS records name, without the primary itself, for those who have to know all of them:
/// every server, or an error. One without an address is among them.
pub async fn every_name_server(
    primary: &Authority,
    zone: &Name,
    resolver: Option<&Resolver>,
) -> Result<Vec<Server>, AuthorityError> {
    let names = primary.name_servers(zone).await?;
    match names.is_empty() {
        true => Err(AuthorityError::NoZone { server: primary.server, name: zone.clone() }),
        false => Ok(addressed(names, Some(primary.server), resolver, primary.until()).await),
    }
}

async fn addressed(
    names: Vec<Name>,
    asked: Option<SocketAddr>,
    resolver: Option<&Resolver>,
    until: Instant,
) -> Vec<Server> {
    let resolver = resolver.cloned();
    let unknown: Vec<Server> =
        names.iter().map(|name| Server { label: name.to_string(), addresses: Vec::new() }).collect();
    let found = in_order(names, WIDTH, |name: Name| {
        let resolver = resolver.clone();
        async move {
            let (found, _) = addresses::of(resolver.as_ref(), &name, until).await.unwrap_or_default();
            let addresses = found.into_iter().map(|ip| SocketAddr::from((ip, PORT))).collect();
            Server { label: name.to_string(), addresses }
        }
    });
    let mut servers: Vec<Server> = found.await.unwrap_or(unknown);
    servers.retain(|server| asked.is_none_or(|asked| !server.addresses.contains(&asked)));
    servers
}

/// What `server` shows at `owner` now: the answer of each of its addresses that gives one; why, if none does.
pub async fn glance(server: &Server, owner: &Name, like: &Authority) -> Result<Vec<Present>, String> {
    let mut answers = Vec::new();
    let mut why = "its name has no address".to_owned();
    for &address in &server.addresses {
        match (Authority { server: address, ..*like }).sshfp(owner).await {
            Ok(present) => answers.push(present),
            Err(error) => why = error.to_string(),
        }
    }
    if answers.is_empty() { Err(why) } else { Ok(answers) }
}

/// Asks every server about every owner, once or, if it `waits`, until it shows what is expected or time is up. The
/// results are by owner, in the order of `expected`. One exchange may take `patience`.
pub async fn read_back(
    servers: &[Server],
    expected: &[(Name, Present)],
    waits: bool,
    patience: Duration,
    deadline: Instant,
) -> Vec<Vec<Seen>> {
    let pairs: Vec<(Server, (Name, Present))> =
        expected.iter().flat_map(|e| servers.iter().map(|s| (s.clone(), e.clone()))).collect();
    let seen = in_order(pairs, WIDTH, |(server, (owner, present))| async move {
        watch(&server, &owner, &present, waits, patience, deadline).await
    });
    let mut seen = seen.await.unwrap_or_default().into_iter();
    expected.iter().map(|_| seen.by_ref().take(servers.len()).collect()).collect()
}

async fn watch(
    server: &Server,
    owner: &Name,
    expected: &Present,
    waits: bool,
    patience: Duration,
    deadline: Instant,
) -> Seen {
    let seen = |status, detail: String| Seen { server: server.label.clone(), status, detail: Some(detail) };
    if server.addresses.is_empty() {
        return seen(Status::Unreachable, "its name has no address".to_owned());
    }
    let mut pause = PAUSE.0;
    let mut last = seen(Status::Pending, "not asked in time".to_owned());
    while Instant::now() < deadline {
        let mut answered = false;
        for &address in &server.addresses {
            match (Authority { server: address, patience, deadline }).sshfp(owner).await {
                Ok(found) if found == *expected => return Seen::current(&server.label),
                Ok(found) => {
                    answered = true;
                    last = seen(Status::Pending, describe(&found));
                }
                Err(error) if !answered => last = seen(Status::Unreachable, error.to_string()),
                Err(_) => {}
            }
        }
        // Whoever answers is asked again while there is time; whoever does not has had its chance.
        if !answered || !waits {
            return last;
        }
        sleep_until(deadline.min(Instant::now() + pause)).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    last
}

fn describe(found: &Present) -> String {
    match found.ttl {
        None => "it shows no records yet".to_owned(),
        Some(ttl) => format!("it shows {} records with TTL {ttl}", found.records.len()),
    }
}
