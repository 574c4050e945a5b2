//! To a host's address: those that DNS gives, or the system, or the cache. Nobody vouches for them, and nothing
//! rests on them.

mod race;
mod unreachable;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use self::race::{Reached, Way};
use super::{ProbeFailure, Verifier, now};
use crate::dns::addresses;
use crate::dns::resolver::Resolver;
use crate::proto::destination::Destination;
use crate::proto::message::Question;
use crate::proto::name::HostName;
use crate::proto::rr::RrType;

pub use self::unreachable::{Attempt, Unreachable};

impl Verifier {
    /// A TCP connection to the first address that answers ([`crate::proto::happy_eyeballs`]), with TCP_NODELAY.
    /// Addresses of an earlier run serve within their TTL; if none of them answers, or while DNS does not, there are
    /// others.
    pub async fn connect(&self, host: &HostName, port: u16) -> Result<TcpStream, ProbeFailure> {
        self.connect_to(&Destination::Name(host.clone()), port).await
    }

    /// The same to a host that may be given by its address.
    pub async fn connect_to(&self, place: &Destination, port: u16) -> Result<TcpStream, ProbeFailure> {
        Ok(self.reach(place, port).await?.0)
    }

    /// The same, and whether the connection goes to where DNS or the system say the host is now: what was stored of
    /// it may be another host's address by now.
    pub async fn reach(&self, place: &Destination, port: u16) -> Result<(TcpStream, bool), ProbeFailure> {
        let place = self.address.as_ref().unwrap_or(place);
        let (kept, reserve) = match place {
            Destination::Name(host) => self.stored_addresses(host),
            Destination::Address { .. } => Default::default(),
        };
        let way =
            Way { place, port, resolver: self.resolver.as_ref(), kept, reserve, deadline: self.deadline };
        let Reached { stream, is_current, found, ttl } = match way.go().await {
            Ok(reached) => reached,
            Err(unreachable) => {
                self.telling.info(|| unreachable.to_string());
                return Err(unreachable.into());
            }
        };
        self.telling.info(|| {
            let peer = stream.peer_addr().map_or_else(|e| e.to_string(), |peer| peer.to_string());
            let whence = if is_current { "" } else { ", an address of an earlier run or a bundle" };
            format!("{place}:{port}: connected to {peer}{whence}")
        });
        if let (Some(cache), Destination::Name(host)) = (&self.cache, place)
            && !found.is_empty()
        {
            cache.put_addresses(host.name(), &self.scope(), found, now(), ttl);
        }
        Ok((stream, is_current))
    }

    /// Addresses of an earlier run within their TTL, and those that are past it or came with a bundle.
    fn stored_addresses(&self, host: &HostName) -> (Vec<IpAddr>, Vec<IpAddr>) {
        let kept = self.cache.as_ref().and_then(|c| c.addresses(host.name(), &self.scope(), now()));
        let (kept, mut reserve) = match kept {
            Some((kept, true)) => (kept, Vec::new()),
            Some((old, false)) => (Vec::new(), old),
            None => Default::default(),
        };
        reserve.extend(self.bundled_addresses(host));
        (kept, reserve)
    }

    /// Forgets the addresses of `host`, or of where it is to be reached, that an earlier run found: another host may have
    /// them by now.
    pub fn forget_addresses(&self, host: &HostName) {
        let host = match &self.address {
            Some(Destination::Name(name)) => name,
            Some(Destination::Address { .. }) => return,
            None => host,
        };
        if let Some(cache) = &self.cache {
            cache.forget_addresses(host.name(), &self.scope());
        }
    }

    /// Addresses that came with a bundle.
    fn bundled_addresses(&self, host: &HostName) -> Vec<IpAddr> {
        let stored = |rtype| self.lookups.stored(&Question::new(host.name().clone(), rtype));
        let sets = [RrType::AAAA, RrType::A].into_iter().filter_map(stored);
        sets.flat_map(|answer| addresses::in_set(answer.data().set())).collect()
    }

    /// Whose addresses these are: another resolver may have others.
    fn scope(&self) -> String {
        match &self.resolver {
            None => "system".to_owned(),
            Some(resolver) => {
                let mut servers: Vec<String> = resolver.servers().map(|server| server.to_string()).collect();
                servers.sort();
                servers.join(" ")
            }
        }
    }
}

/// A TCP connection to a host that policy passes, with TCP_NODELAY: a name that the named `resolvers` may not know,
/// though the system does (/etc/hosts), or an address. Nothing else that verifying takes has to be there.
pub async fn connect_passed(
    resolvers: &[SocketAddr],
    timeout: Duration,
    place: &Destination,
    port: u16,
) -> Result<TcpStream, Unreachable> {
    let (resolver, deadline) = (Resolver::new(resolvers.to_vec()).ok(), Instant::now() + timeout);
    let (kept, reserve) = Default::default();
    let way = Way { place, port, resolver: resolver.as_ref(), kept, reserve, deadline };
    Ok(way.go().await?.stream)
}
