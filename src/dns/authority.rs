//! Questions to a name server that must itself be an authority for the answer: no recursion, no cache.
//! Nothing here is proven; an update's prerequisites make sure that what was read still stands.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::transport::{self, TransportError, UDP_PAYLOAD, Udp, or_else_both};
use crate::proto::message::{NOERROR, NXDOMAIN, Question, Response, is_reply_to, rcode_name};
use crate::proto::name::Name;
use crate::proto::plan::Present;
use crate::proto::rr::{CLASS_IN, Record, RrSet, RrType, Rrsig};
use crate::proto::sshfp::Sshfp;

/// How long the first datagram may take before it is sent again.
const RESEND: Duration = Duration::from_millis(800);
/// After how long without a reply it is asked over TCP as well, at the latest: what lies between may lose datagrams, or let
/// none through.
const SILENCE: Duration = Duration::from_millis(1600);
/// How often a server that fails is asked, and the pause after the first time.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(150);
const SERVFAIL: u16 = 2;

/// A name server that is asked directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// Its address.
    pub server: SocketAddr,
    /// How long one exchange may take.
    pub patience: Duration,
    /// When all of them have to be over.
    pub deadline: Instant,
}

/// Why a server gave no authoritative answer.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// No reply.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// A response code other than NOERROR and NXDOMAIN.
    #[error("{server} answers {rcode} when asked for {name} {rtype}", rcode = rcode_name(*rcode))]
    Rcode {
        /// Who was asked.
        server: SocketAddr,
        /// For which name.
        name: Name,
        /// For which type.
        rtype: RrType,
        /// The code.
        rcode: u16,
    },
    /// AA is not set: a resolver, or a delegation to somebody else.
    #[error("{server} is not an authority for {name}")]
    NotAuthoritative {
        /// Who was asked.
        server: SocketAddr,
        /// For which name.
        name: Name,
    },
    /// An alias stands where records are wanted: nothing can stand beside it (RFC 2136 section 3.4.2.2).
    #[error("{name} is an alias (CNAME{}) at {server}: no records can stand beside it", to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default())]
    Alias {
        /// Who was asked.
        server: SocketAddr,
        /// The alias.
        name: Name,
        /// Where it leads, if the name itself is the alias.
        to: Option<Name>,
    },
    /// A reply that makes no sense.
    #[error("{server} sent a malformed answer about {name}")]
    Malformed {
        /// Who was asked.
        server: SocketAddr,
        /// For which name.
        name: Name,
    },
    /// No SOA record anywhere above the name.
    #[error("{server} names no zone for {name}")]
    NoZone {
        /// Who was asked.
        server: SocketAddr,
        /// For which name.
        name: Name,
    },
}

/// What a zone's SOA record says (RFC 1035 section 3.3.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Soa {
    /// The serial number of what the server holds.
    pub serial: u32,
    /// How long resolvers may keep the answer that there is nothing, in seconds (RFC 2308 section 5).
    pub negative_ttl: u32,
}

/// What was answered, with nothing but class IN.
struct Answer {
    answer: Vec<Record>,
    authority: Vec<Record>,
    is_nxdomain: bool,
}

impl Authority {
    /// The SSHFP RRset at `owner`. Records that a wildcard makes up do not stand there: they are left
    /// out as far as a signature shows it (RFC 4035 section 5.3.1: fewer labels than the owner has).
    pub async fn sshfp(&self, owner: &Name) -> Result<Present, AuthorityError> {
        self.sshfp_by(&Udp::new(self.server), owner).await
    }

    /// The same over sockets that are shared with other questions to this server.
    pub async fn sshfp_by(&self, udp: &Udp, owner: &Name) -> Result<Present, AuthorityError> {
        let Some((set, ttl)) = self.sshfp_set(udp, owner).await? else { return Ok(Present::absent()) };
        let records = set.rdatas().map(Sshfp::from_rdata).collect::<Result<Vec<_>, _>>();
        let malformed = |_| AuthorityError::Malformed { server: self.server, name: owner.clone() };
        Ok(Present::new(ttl, records.map_err(malformed)?))
    }

    /// The signatures over the SSHFP RRset at `owner`, as the server shows them: verified by nobody here.
    pub async fn sshfp_signatures(&self, owner: &Name) -> Result<Vec<Rrsig>, AuthorityError> {
        let found = self.sshfp_set(&Udp::new(self.server), owner).await?;
        Ok(found.map_or_else(Vec::new, |(set, _)| set.signatures().to_vec()))
    }

    async fn sshfp_set(&self, udp: &Udp, owner: &Name) -> Result<Option<(RrSet, u32)>, AuthorityError> {
        let found = self.ask(udp, owner, RrType::SSHFP).await?;
        if found.answer.iter().any(|r| matches!(r.rtype, RrType::CNAME | RrType::DNAME)) {
            let mut own = found.answer.iter().filter(|r| r.rtype == RrType::CNAME && r.owner == *owner);
            let to = own.next().and_then(|cname| Name::from_wire(&cname.rdata).ok());
            return Err(AuthorityError::Alias { server: self.server, name: owner.clone(), to });
        }
        let sets = RrSet::collect(&found.answer);
        let is_there = !sets.is_empty();
        let Some(set) = sets.into_iter().find(|s| s.rtype() == RrType::SSHFP && s.owner() == owner) else {
            let malformed = AuthorityError::Malformed { server: self.server, name: owner.clone() };
            return if is_there { Err(malformed) } else { Ok(None) };
        };
        let labels = owner.label_count();
        if set.signatures().iter().any(|s| usize::from(s.labels) < labels) {
            return Ok(None);
        }
        // The records' own TTL: that of a signature may be another while a server signs anew.
        let ttl = found.answer.iter().filter(|r| r.rtype == RrType::SSHFP).map(|r| r.ttl).min();
        Ok(Some((set, ttl.unwrap_or(0))))
    }

    /// The signatures over the SOA record of `zone`, none where it is not signed: verified by nobody here.
    pub async fn soa_signatures(&self, zone: &Name) -> Result<Vec<Rrsig>, AuthorityError> {
        let found = self.ask(&Udp::new(self.server), zone, RrType::SOA).await?;
        let sets = RrSet::collect(&found.answer);
        let soa = sets.iter().find(|set| set.rtype() == RrType::SOA && set.owner() == zone);
        let none = || AuthorityError::NoZone { server: self.server, name: zone.clone() };
        Ok(soa.ok_or_else(none)?.signatures().to_vec())
    }

    /// There is such a name, whatever it holds.
    pub async fn has_name(&self, name: &Name) -> Result<bool, AuthorityError> {
        Ok(!self.ask(&Udp::new(self.server), name, RrType::A).await?.is_nxdomain)
    }

    /// The answer of type `rtype` about `name` that a wildcard makes up: which one, and what it says. Where nothing is
    /// signed, `wildcard` (one that is there) saying the same of itself has to do.
    pub async fn expanded(
        &self,
        name: &Name,
        wildcard: &Name,
        rtype: RrType,
    ) -> Result<Option<Name>, AuthorityError> {
        let found = self.ask(&Udp::new(self.server), name, rtype).await?;
        let sets = RrSet::collect(&found.answer);
        let Some(set) = sets.into_iter().find(|set| set.owner() == name) else { return Ok(None) };
        if let Some(of) = set.unexpanded() {
            return Ok(Some(of.owner().clone()));
        }
        if !set.signatures().is_empty() {
            return Ok(None);
        }
        let same = RrSet::collect(&self.ask(&Udp::new(self.server), wildcard, rtype).await?.answer);
        let same = same.iter().find(|other| other.owner() == wildcard && other.rtype() == set.rtype());
        Ok(same.filter(|other| other.rdatas().eq(set.rdatas())).map(|_| wildcard.clone()))
    }

    /// The zone that holds `owner`, by the SOA record that comes with the answer.
    pub async fn zone_of(&self, owner: &Name) -> Result<Name, AuthorityError> {
        self.zone_by(&Udp::new(self.server), owner).await
    }

    /// The same over sockets that are shared with other questions to this server.
    pub async fn zone_by(&self, udp: &Udp, owner: &Name) -> Result<Name, AuthorityError> {
        let mut name = owner.clone();
        loop {
            match self.ask(udp, &name, RrType::SOA).await {
                Ok(found) => {
                    let zone = [&found.answer, &found.authority].into_iter().flatten().find(|r| {
                        r.rtype == RrType::SOA && owner.is_at_or_below(&r.owner) && !r.owner.is_root()
                    });
                    if let Some(soa) = zone {
                        return Ok(soa.owner.clone());
                    }
                }
                // What is below an alias or a delegation says nothing; the top of the zone does.
                Err(AuthorityError::NotAuthoritative { .. }) if name != *owner => {}
                Err(e) => return Err(e),
            }
            name = name
                .parent()
                .filter(|n| !n.is_root())
                .ok_or_else(|| AuthorityError::NoZone { server: self.server, name: owner.clone() })?;
        }
    }

    /// The SOA of `zone`.
    pub async fn soa(&self, zone: &Name) -> Result<Soa, AuthorityError> {
        let found = self.ask(&Udp::new(self.server), zone, RrType::SOA).await?;
        let record = found.answer.iter().find(|r| r.rtype == RrType::SOA && r.owner == *zone);
        // Two names of whatever length, then five numbers of 32 bits.
        let numbers = record.and_then(|record| Some((record.ttl, record.rdata.last_chunk::<20>()?)));
        match numbers {
            Some((ttl, [a, b, c, d, .., w, x, y, z])) => {
                let minimum = u32::from_be_bytes([*w, *x, *y, *z]);
                Ok(Soa { serial: u32::from_be_bytes([*a, *b, *c, *d]), negative_ttl: ttl.min(minimum) })
            }
            None => Err(AuthorityError::NoZone { server: self.server, name: zone.clone() }),
        }
    }

    /// The names of the zone's servers.
    pub async fn name_servers(&self, zone: &Name) -> Result<Vec<Name>, AuthorityError> {
        let found = self.ask(&Udp::new(self.server), zone, RrType::NS).await?;
        let servers = found.answer.iter().filter(|r| r.rtype == RrType::NS && r.owner == *zone);
        let mut servers: Vec<Name> = servers.filter_map(|r| Name::from_wire(&r.rdata).ok()).collect();
        servers.sort();
        servers.dedup();
        Ok(servers)
    }

    /// When an exchange that starts now has to be over.
    pub fn until(&self) -> Instant {
        self.deadline.min(Instant::now() + self.patience)
    }

    /// Asks; a SERVFAIL may pass in a moment, as while a server signs a zone that it has just loaded.
    async fn ask(&self, udp: &Udp, name: &Name, rtype: RrType) -> Result<Answer, AuthorityError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.ask_once(udp, name, rtype).await {
                Err(AuthorityError::Rcode { rcode: SERVFAIL, .. }) if tries < TRIES => {
                    sleep(PAUSE * tries).await;
                }
                answer => return answer,
            }
        }
    }

    async fn ask_once(&self, udp: &Udp, name: &Name, rtype: RrType) -> Result<Answer, AuthorityError> {
        let question = Question::new(name.clone(), rtype);
        let query = |id| {
            let mut query = question.query(id, false, UDP_PAYLOAD);
            if let Some(flags) = query.get_mut(2) {
                *flags &= !0x01; // RD: an authority answers from its own zone
            }
            query
        };
        let (server, deadline) = (self.server, self.until());
        let malformed = || AuthorityError::Malformed { server, name: name.clone() };
        let by_udp = async { Ok(udp.ask(&question, &query, deadline, RESEND).await?) };
        let by_tcp = || async {
            let id: u16 = rand::random();
            let fits = |reply: &[u8]| is_reply_to(reply, id, &question);
            let reply = transport::tcp(server, &query(id), deadline, fits).await?;
            Response::read(&reply, id, &question).map_err(|_| malformed())
        };
        let patience = udp.patience(SILENCE.min(deadline.saturating_duration_since(Instant::now()) / 2));
        let instead = async {
            let response = by_tcp().await?;
            if !patience.is_zero() {
                udp.was_silent();
            }
            Ok::<_, AuthorityError>(response)
        };
        let leaves = |error: &_| matches!(error, AuthorityError::Transport(e) if e.leaves_another_way());
        let mut response = or_else_both(by_udp, patience, instead, leaves).await?;
        if response.truncated {
            response = by_tcp().await?;
        }
        if response.truncated {
            return Err(malformed());
        }
        if !matches!(response.rcode, NOERROR | NXDOMAIN) {
            return Err(AuthorityError::Rcode { server, name: name.clone(), rtype, rcode: response.rcode });
        }
        if !response.authoritative {
            return Err(AuthorityError::NotAuthoritative { server, name: name.clone() });
        }
        let only_in = |records: Vec<Record>| records.into_iter().filter(|r| r.class == CLASS_IN).collect();
        let is_nxdomain = response.rcode == NXDOMAIN;
        Ok(Answer { answer: only_in(response.answer), authority: only_in(response.authority), is_nxdomain })
    }
}
