//! The four backends as one: which zone holds a name, and the backend for that zone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exec::{Exec, Program};
use super::powerdns::{Access, PowerDns};
use super::rfc2136::{self, MANY, Rfc2136, Transferred};
use super::zonefile::{self, ZoneFile};
use super::{ApplyError, Backend, Capabilities};
use crate::dns::authority::Authority;
use crate::dns::transport::Udp;
use crate::dns::tsig::Key;
use crate::error::Error;
use crate::fan_out::{Unfinished, in_order};
use crate::proto::name::Name;
use crate::proto::plan::{Plan, Present};

/// How many zones are asked for at a time.
const WIDTH: usize = 32;

/// Where the zones are.
#[derive(Debug, Clone)]
pub enum Site {
    /// A primary that takes dynamic updates.
    Rfc2136 {
        /// The server.
        primary: Authority,
        /// What signs the updates; without it records can be read alone.
        key: Option<Key>,
        /// The time in seconds since 1970, which signatures carry.
        clock: fn() -> u64,
        /// Most owners in one update, where they need not go together.
        batch: usize,
        /// The zone, where it was transferred a moment ago.
        transferred: Transferred,
    },
    /// The HTTP API of PowerDNS.
    PowerDns(Access),
    /// A file that the zone's file includes.
    ZoneFile(zonefile::Access),
    /// A program.
    Exec(Program),
}

impl Site {
    /// Which kind, for people and for scripts.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Rfc2136 { .. } => "rfc2136",
            Self::PowerDns(_) => "powerdns",
            Self::ZoneFile(_) => "zone-file",
            Self::Exec(_) => "exec",
        }
    }

    /// Its address, file or program.
    pub fn label(&self) -> String {
        match self {
            Self::Rfc2136 { primary, .. } => primary.server.to_string(),
            Self::PowerDns(access) => access.api.base().to_owned(),
            Self::ZoneFile(place) => place.file.display().to_string(),
            Self::Exec(program) => program.name().to_owned(),
        }
    }

    /// The name server that is asked for the records, where it is one that is asked.
    pub fn server(&self) -> Option<SocketAddr> {
        match self {
            Self::Rfc2136 { primary, .. } => Some(primary.server),
            _ => None,
        }
    }

    /// How long one exchange may take, and when all of them have to be over.
    pub fn limits(&self) -> (Duration, Instant) {
        match self {
            Self::Rfc2136 { primary, .. } => (primary.patience, primary.deadline),
            Self::PowerDns(access) => (access.patience, access.deadline),
            Self::ZoneFile(place) => (place.patience, place.deadline),
            Self::Exec(program) => (program.patience, program.deadline),
        }
    }

    /// The zone that holds `owner`: the one that is `given`, unless it is known that another one does.
    pub async fn zone_of(&self, owner: &Name, given: Option<&Name>) -> Result<Name, Error> {
        match self {
            Self::Rfc2136 { primary, .. } => {
                rfc2136::zone_of(primary, &Udp::new(primary.server), owner, given).await
            }
            Self::PowerDns(access) => access.zone_of(owner, given).await,
            Self::ZoneFile(_) | Self::Exec(_) => given.cloned().ok_or_else(|| {
                Error::usage("no-zone", format!("which zone holds {owner}?"))
                    .hint("give the zone: --zone ZONE")
            }),
        }
    }

    /// The zone of each of `owners`, in their order.
    pub async fn zones_of(
        &self,
        owners: &[Name],
        given: Option<&Name>,
    ) -> Result<Vec<Result<Name, Error>>, Unfinished> {
        let mut zones = match self {
            Self::Rfc2136 { primary, key, clock, transferred, .. } if owners.len() >= MANY => {
                rfc2136::zones_of_many(primary, key.as_ref(), *clock, owners, given, transferred).await?
            }
            _ => vec![None; owners.len()],
        };
        let open: Vec<Name> =
            owners.iter().zip(&zones).filter(|(_, zone)| zone.is_none()).map(|(o, _)| o.clone()).collect();
        let udp = self.server().map(|server| Arc::new(Udp::new(server)));
        let mut asked = in_order(open, WIDTH, |owner: Name| {
            let (site, given, udp) = (self.clone(), given.cloned(), udp.clone());
            async move {
                match (&site, udp) {
                    (Self::Rfc2136 { primary, .. }, Some(udp)) => {
                        rfc2136::zone_of(primary, &udp, &owner, given.as_ref()).await
                    }
                    _ => site.zone_of(&owner, given.as_ref()).await,
                }
            }
        })
        .await?
        .into_iter();
        Ok(zones.iter_mut().filter_map(|zone| zone.take().map(Ok).or_else(|| asked.next())).collect())
    }

    /// The backend for `zone`.
    pub async fn open(&self, zone: &Name) -> Result<AnyBackend, Error> {
        let zone = zone.clone();
        Ok(match self {
            Self::Rfc2136 { primary, key, clock, batch, transferred } => {
                let backend = Rfc2136::new(*primary, zone, key.clone(), *clock).with_batch(*batch);
                AnyBackend::Rfc2136(backend.with_transferred(transferred.clone()))
            }
            Self::PowerDns(access) => AnyBackend::PowerDns(PowerDns::new(access.clone(), zone)),
            Self::ZoneFile(place) => AnyBackend::ZoneFile(ZoneFile::new(place.clone(), zone)),
            Self::Exec(program) => AnyBackend::Exec(program.open(zone).await?),
        })
    }

    /// What stands at `owner` in `zone`.
    pub async fn read(&self, zone: &Name, owner: &Name) -> Result<Present, Error> {
        self.open(zone).await?.read(owner).await
    }

    /// Whether the key may change SSHFP at `owner`, without a change to anything. Of a place that cannot say so it is not
    /// known to be otherwise.
    pub async fn try_rights(&self, zone: &Name, owner: &Name) -> Result<(), Error> {
        match self.open(zone).await? {
            AnyBackend::Rfc2136(backend) => backend.try_rights(owner).await,
            _ => Ok(()),
        }
    }

    /// The names of the servers of `zone`, as far as the place that holds it knows them.
    pub async fn name_servers(&self, zone: &Name) -> Vec<Name> {
        match self {
            Self::Rfc2136 { primary, .. } => primary.name_servers(zone).await.unwrap_or_default(),
            Self::PowerDns(access) => access.name_servers(zone).await,
            Self::ZoneFile(_) | Self::Exec(_) => Vec::new(),
        }
    }
}

/// One of the four, for one zone.
#[derive(Debug)]
pub enum AnyBackend {
    /// See [`Site::Rfc2136`].
    Rfc2136(Rfc2136),
    /// See [`Site::PowerDns`].
    PowerDns(PowerDns),
    /// See [`Site::ZoneFile`].
    ZoneFile(ZoneFile),
    /// See [`Site::Exec`].
    Exec(Exec),
}

/// The same call of whichever it is.
macro_rules! each {
    ($self:ident, $backend:ident => $call:expr) => {
        match $self {
            AnyBackend::Rfc2136($backend) => $call,
            AnyBackend::PowerDns($backend) => $call,
            AnyBackend::ZoneFile($backend) => $call,
            AnyBackend::Exec($backend) => $call,
        }
    };
}

impl Backend for AnyBackend {
    fn capabilities(&self) -> Capabilities {
        each!(self, backend => backend.capabilities())
    }

    async fn prepare(&self) -> Result<(), Error> {
        each!(self, backend => backend.prepare().await)
    }

    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        each!(self, backend => backend.read(owner).await)
    }

    async fn read_many(&self, owners: &[Name]) -> Vec<Option<Present>> {
        each!(self, backend => backend.read_many(owners).await)
    }

    fn fitting(&self, plans: &[Plan]) -> usize {
        each!(self, backend => backend.fitting(plans))
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        each!(self, backend => backend.apply(plans).await)
    }
}
