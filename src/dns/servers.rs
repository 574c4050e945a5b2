//! The authoritative servers of a zone and their addresses: by names that were given, by the zone's NS records as one of
//! its servers has them, or as a resolver tells them. Nobody vouches for them: they say who is to be asked.

use std::fmt;
use std::net::SocketAddr;

use tokio::time::Instant;

use super::addresses;
use super::authority::{Authority, AuthorityError};
use super::resolver::Resolver;
use crate::fan_out::in_order;
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::rr::RrType;

/// The port of name servers that are known by name alone.
const PORT: u16 = 53;
/// How many names are looked up at a time.
const WIDTH: usize = 64;
/// Most servers of a zone that are asked, where not all have to be known.
const MAX_SERVERS: usize = 16;

/// A server of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name or address, for people.
    pub label: String,
    /// Where it may be reached; empty where its name has no address.
    pub addresses: Vec<SocketAddr>,
}

impl From<SocketAddr> for Server {
    fn from(address: SocketAddr) -> Self {
        Server { label: address.to_string(), addresses: vec![address] }
    }
}

/// Why a [`ServerAddress`] without an address cannot be asked.
pub const NO_ADDRESS: &str = "its name has no address";

/// One address of a server; or that its name has none. Shown as `ns1.example.com. (192.0.2.1:53)`, or as whichever of
/// the two is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// The server's name, where it is known by one.
    pub name: Option<String>,
    /// Where it may be reached.
    pub address: Option<SocketAddr>,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.address) {
            (Some(name), Some(address)) => write!(f, "{name} ({address})"),
            (Some(name), None) => f.write_str(name),
            (None, Some(address)) => write!(f, "{address}"),
            (None, None) => Ok(()),
        }
    }
}

/// Each address of `servers` for itself, in their order; a server without one is among them.
pub fn each_address(servers: Vec<Server>) -> Vec<ServerAddress> {
    let each = servers.into_iter().flat_map(|Server { label, addresses }| {
        let none = addresses.is_empty().then_some(None);
        let addresses = addresses.into_iter().map(Some).chain(none);
        addresses.map(move |address| {
            let is_name = address.is_none_or(|address| label != address.to_string());
            ServerAddress { name: is_name.then(|| label.clone()), address }
        })
    });
    each.collect()
}

/// The names of the servers of `zone`, as a resolver tells them: `resolver`, or else the system's.
pub async fn names(zone: &Name, resolver: Option<&Resolver>, until: Instant) -> Vec<Name> {
    let Some(resolver) = resolver.cloned().or_else(|| Resolver::system().ok()) else { return Vec::new() };
    let asked = Question::new(zone.clone(), RrType::NS);
    let Ok(answer) = resolver.ask(&asked, true, until).await else { return Vec::new() };
    let servers = answer.answer.iter().filter(|r| r.rtype == RrType::NS && r.owner == *zone);
    servers.filter_map(|r| Name::from_wire(&r.rdata).ok()).collect()
}

/// The servers of `zone`, names and addresses as a resolver tells them. None if they cannot be had.
pub async fn by_resolver(zone: &Name, resolver: Option<&Resolver>, until: Instant) -> Vec<Server> {
    named(names(zone, resolver, until).await, None, resolver, until).await
}

/// The servers of these names, without the one that is asked anyway. Their addresses come from `resolver`, or else
/// from the system.
pub async fn named(
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
pub async fn every(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_stands_for_itself_and_so_does_a_name_without_one() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let servers = vec![
            Server::from(address("192.0.2.1:53")),
            Server {
                label: "ns1.example.com.".to_owned(),
                addresses: vec![address("192.0.2.2:53"), address("[2001:db8::2]:53")],
            },
            Server { label: "ns2.example.com.".to_owned(), addresses: Vec::new() },
        ];
        let all = each_address(servers);
        let shown: Vec<String> = all.iter().map(ServerAddress::to_string).collect();
        assert_eq!(
            shown,
            [
                "192.0.2.1:53",
                "ns1.example.com. (192.0.2.2:53)",
                "ns1.example.com. ([2001:db8::2]:53)",
                "ns2.example.com."
            ]
        );
        assert_eq!((&all[0].name, all[3].address), (&None, None));
    }
}
