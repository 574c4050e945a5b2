//! To a host's address: those that DNS gives, or the system, or the cache. Nobody vouches for them, and nothing
//! rests on them.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{ProbeFailure, Verifier, now};
use crate::dns::addresses;
use crate::dns::resolver::Resolver;
use crate::proto::message::Question;
use crate::proto::name::HostName;
use crate::proto::rr::RrType;

/// Longest wait for one of several addresses before the next is tried.
const ADDRESS_WAIT: Duration = Duration::from_secs(3);
/// Addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;

impl Verifier {
    /// A TCP connection to the first address that answers, with TCP_NODELAY. Addresses of an earlier run serve
    /// within their TTL; if none of them answers, or while DNS does not, there are others.
    pub async fn connect(&self, host: &HostName, port: u16) -> Result<TcpStream, ProbeFailure> {
        let unreachable =
            |why: String| ProbeFailure::Unreachable(format!("cannot reach {host} port {port}: {why}"));
        let kept = self.cache.as_ref().and_then(|c| c.addresses(host.name(), &self.scope(), now()));
        if let Some((addresses, true)) = &kept
            && let Ok(stream) = connect_to(addresses, port, Instant::now() + self.left() / 2).await
        {
            return Ok(stream);
        }
        let kept = kept.map(|(addresses, _)| addresses).unwrap_or_default();
        // Old addresses are better than none, and take time to be tried.
        let last_resort = !kept.is_empty() || self.resolver.is_some();
        let until = if last_resort { Instant::now() + self.left() * 2 / 3 } else { self.deadline };
        let sought = addresses::of(self.resolver.as_ref(), host.name(), until).await;
        let found = match sought.and_then(some_address) {
            Ok((found, ttl)) => {
                if let Some(cache) = &self.cache {
                    cache.put_addresses(host.name(), &self.scope(), found.clone(), now(), ttl);
                }
                found
            }
            Err(_) if !kept.is_empty() => kept,
            Err(_) if !self.bundled_addresses(host).is_empty() => self.bundled_addresses(host),
            // The system may know it from a file.
            Err(why) if self.resolver.is_some() => {
                match addresses::of(None, host.name(), self.deadline).await.and_then(some_address) {
                    Ok((found, _)) => found,
                    Err(_) => return Err(unreachable(format!("no address: {why}"))),
                }
            }
            Err(why) => return Err(unreachable(format!("no address: {why}"))),
        };
        connect_to(&found, port, self.deadline).await.map_err(unreachable)
    }

    /// Addresses of `host` are kept that serve without a question.
    pub(super) fn keeps_addresses(&self, host: &HostName) -> bool {
        let kept = self.cache.as_ref().and_then(|c| c.addresses(host.name(), &self.scope(), now()));
        matches!(kept, Some((_, true)))
    }

    /// Forgets the addresses of `host` that an earlier run found: another host may have them by now.
    pub fn forget_addresses(&self, host: &HostName) {
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

/// That there is none is no better than no answer: nobody vouches for either.
fn some_address((found, ttl): (Vec<IpAddr>, u32)) -> Result<(Vec<IpAddr>, u32), String> {
    if found.is_empty() { Err("it has none".to_owned()) } else { Ok((found, ttl)) }
}

/// A TCP connection to a host that policy passes, with TCP_NODELAY: a name that the named `resolvers` may not know,
/// though the system does (/etc/hosts), or an address. Nothing else that verifying takes has to be there.
pub async fn connect_passed(
    resolvers: &[SocketAddr],
    timeout: Duration,
    host: &str,
    port: u16,
) -> Result<TcpStream, ProbeFailure> {
    let (deadline, half) = (Instant::now() + timeout, Instant::now() + timeout / 2);
    let known = match (Resolver::new(resolvers.to_vec()), HostName::parse(host)) {
        (Ok(resolver), Ok(name)) => {
            addresses::of(Some(&resolver), name.name(), half).await.unwrap_or_default().0
        }
        _ => Vec::new(),
    };
    let found = match known.is_empty() {
        false => Ok(known),
        true => within(deadline, tokio::net::lookup_host((host, port)))
            .await
            .map(|found| found.map(|address| address.ip()).collect()),
    };
    let outcome = match found {
        Ok(found) => connect_to(&found, port, deadline).await,
        Err(why) => Err(format!("no address: {why}")),
    };
    outcome.map_err(|why| ProbeFailure::Unreachable(format!("cannot reach {host} port {port}: {why}")))
}

/// The first of `addresses` that answers.
async fn connect_to(addresses: &[IpAddr], port: u16, deadline: Instant) -> Result<TcpStream, String> {
    let mut trouble = "it has no address".to_owned();
    let mut left = addresses.len().min(MAX_ADDRESSES);
    for address in addresses.iter().take(MAX_ADDRESSES).map(|ip| SocketAddr::from((*ip, port))) {
        left -= 1;
        // The last one has all the time there is.
        let until = if left == 0 { deadline } else { deadline.min(Instant::now() + ADDRESS_WAIT) };
        match within(until, TcpStream::connect(address)).await {
            Ok(stream) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(e) => trouble = format!("{address}: {e}"),
            },
            Err(why) => trouble = format!("{address}: {why}"),
        }
    }
    Err(trouble)
}

async fn within<T>(until: Instant, work: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match timeout_at(until, work).await {
        Ok(outcome) => outcome.map_err(|e| e.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
