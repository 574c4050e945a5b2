//! Where to connect: addresses of a name. Nobody vouches for them, and nothing rests on them.

use std::net::{IpAddr, SocketAddr};

use tokio::time::{Instant, timeout_at};

use super::resolver::Resolver;
use crate::proto::chain::{Fetched, MAX_ALIASES, Material};
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};

/// The addresses of `name`, and for how many seconds they may be kept: from `resolver` if there is one (IPv6
/// first, aliases followed), else from the system, which knows /etc/hosts too. The error says why there are
/// none.
pub async fn of(
    resolver: Option<&Resolver>,
    name: &Name,
    deadline: Instant,
) -> Result<(Vec<IpAddr>, u32), String> {
    let Some(resolver) = resolver else {
        let found = by_system(&name.to_string(), 0, deadline).await?;
        // The system does its own caching.
        return Ok((found.into_iter().map(|address| address.ip()).collect(), 0));
    };
    let ask = |rtype| of_type(resolver, name, rtype, deadline);
    match tokio::join!(ask(RrType::AAAA), ask(RrType::A)) {
        (Err(_), Err(why)) => Err(why),
        (v6, v4) => {
            // Of a name with one kind of address the other kind's absence is not worth a question each time.
            let ttl = [&v6, &v4].into_iter().flatten().filter_map(|(_, ttl)| *ttl).min().unwrap_or(0);
            Ok(([v6, v4].into_iter().flatten().flat_map(|(found, _)| found).collect(), ttl))
        }
    }
}

/// The same from the system, which also knows the interface that a link-local address is on (`fe80::1%eth0`), with
/// `port`.
pub async fn by_system(host: &str, port: u16, deadline: Instant) -> Result<Vec<SocketAddr>, String> {
    let looked_up = timeout_at(deadline, tokio::net::lookup_host((host, port))).await;
    Ok(looked_up.map_err(|_| "no answer in time".to_owned())?.map_err(|e| e.to_string())?.collect())
}

/// Addresses of one kind (`rtype`: A or AAAA) and their TTL in seconds, if there are any. The TTLs of aliases are
/// let be: a host that has moved does not answer, and is sought again.
pub async fn of_type(
    resolver: &Resolver,
    name: &Name,
    rtype: RrType,
    deadline: Instant,
) -> Result<(Vec<IpAddr>, Option<u32>), String> {
    let asked = Question::new(name.clone(), rtype);
    let mut material = Material::default();
    for _ in 0..=MAX_ALIASES {
        let here = material.end_of_aliases(&asked);
        match material.heard(&here) {
            None => material.add(&here, &resolver.ask(&here, true, deadline).await?),
            Some(Fetched::Set(set)) => {
                return Ok((in_set(set), Some(set.ttl())));
            }
            Some(_) => return Ok((Vec::new(), None)),
        }
    }
    Err("its aliases do not end".to_owned())
}

/// The addresses in an A or AAAA set.
pub fn in_set(set: &RrSet) -> Vec<IpAddr> {
    set.rdatas().filter_map(address).collect()
}

fn address(rdata: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(rdata).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(rdata).map(IpAddr::from)).ok()
}
