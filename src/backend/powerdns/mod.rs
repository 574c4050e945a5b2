//! PowerDNS by its HTTP API. It changes whole RRsets and knows no conditions: what stands there is read right before a
//! change, and again afterwards.

mod api;

use std::time::Duration;

pub use api::{Api, ApiError, BaseError, Standing, base};
use tokio::time::Instant;

use crate::backend::{ApplyError, Backend, Capabilities, check_zone, lost_race, too_many};
use crate::error::Error;
use crate::proto::name::Name;
use crate::proto::plan::{Plan, Present};

/// Most owners in one change: each is looked at before it, and the less time that takes the better.
const BATCH: usize = 50;

/// One zone at its server.
#[derive(Debug)]
pub struct PowerDns {
    access: Access,
    zone: Name,
}

/// A server, and how long it may take.
#[derive(Debug, Clone)]
pub struct Access {
    /// The server.
    pub api: Api,
    /// How long one exchange may take.
    pub patience: Duration,
    /// When all of them have to be over.
    pub deadline: Instant,
}

impl Access {
    /// The zone that holds `owner`; one that is given is the one, unless `owner` is handed on from it.
    pub async fn zone_of(&self, owner: &Name, given: Option<&Name>) -> Result<Name, Error> {
        let zone = match given {
            Some(zone) => zone.clone(),
            None => {
                let asked = owner.clone();
                let found = self.call(move |api, patience| api.zone_of(&asked, patience)).await?;
                found.map_err(explain)?.ok_or_else(|| {
                    let message = format!("{} has no zone for {owner}", self.api.base());
                    Error::failure("no-zone", message)
                        .hint("give the server that has it, or make the zone there")
                })?
            }
        };
        // The API takes records for names below a cut too, and nobody ever sees them there.
        let mut name = owner.clone();
        while name != zone && name.is_at_or_below(&zone) {
            if self.standing(&zone, &name).await?.is_cut {
                let message =
                    format!("{owner} does not lie in zone {zone}: {name} is handed on to other servers");
                return Err(Error::usage("notzone", message).hint("publish at the server of that zone"));
            }
            match name.parent() {
                Some(parent) => name = parent,
                None => break,
            }
        }
        Ok(zone)
    }

    /// The names of the zone's servers; none if they cannot be told.
    pub async fn name_servers(&self, zone: &Name) -> Vec<Name> {
        let asked = zone.clone();
        let found = self.call(move |api, patience| api.name_servers(&asked, patience)).await;
        found.ok().and_then(Result::ok).unwrap_or_default()
    }

    /// Whether the zone is signed there, as far as that is known.
    pub async fn is_signed(&self, zone: &Name) -> Option<bool> {
        let asked = zone.clone();
        self.call(move |api, patience| api.is_signed(&asked, patience)).await.ok()?.ok()?
    }

    /// Any record stands at `owner` in `zone`.
    pub async fn has_records(&self, zone: &Name, owner: &Name) -> Result<bool, Error> {
        let (zone, owner) = (zone.clone(), owner.clone());
        self.call(move |api, patience| api.has_records(&zone, &owner, patience)).await?.map_err(explain)
    }

    async fn standing(&self, zone: &Name, owner: &Name) -> Result<Standing, Error> {
        let (zone, asked) = (zone.clone(), owner.clone());
        match self.call(move |api, patience| api.standing(&zone, &asked, patience)).await? {
            // An alias above the owner is the owner's matter, not that of the zone.
            Err(ApiError::Alias { .. }) => Ok(Standing::default()),
            found => found.map_err(explain),
        }
    }

    /// Talks to the server in a thread: its client waits.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Api, Duration) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let api = self.api.clone();
        let patience = self.patience.min(self.deadline.saturating_duration_since(Instant::now()));
        // No time at all would mean no limit.
        let patience = patience.max(Duration::from_millis(1));
        tokio::task::spawn_blocking(move || work(&api, patience))
            .await
            .map_err(|e| Error::failure("internal", e))
    }
}

impl PowerDns {
    /// The zone `zone` at the server.
    pub fn new(access: Access, zone: Name) -> Self {
        PowerDns { access, zone }
    }
}

impl Backend for PowerDns {
    fn capabilities(&self) -> Capabilities {
        Capabilities { compare_and_swap: false, batch: BATCH, ..Capabilities::default() }
    }

    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        let (zone, owner) = (self.zone.clone(), owner.clone());
        let found = self.access.call(move |api, patience| api.standing(&zone, &owner, patience)).await?;
        found.map(|standing| standing.present).map_err(explain)
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        check_zone(plans, &self.zone)?;
        if plans.len() > BATCH {
            return Err(too_many(plans, self.access.api.base()));
        }
        let (zone, plans) = (self.zone.clone(), plans.to_vec());
        let work = move |api: &Api, patience| exchange(api, &zone, &plans, patience);
        self.access.call(work).await.map_err(ApplyError::Failed)?
    }
}

/// Looks whether all stands as it did, and changes it at once if so.
fn exchange(api: &Api, zone: &Name, plans: &[Plan], patience: Duration) -> Result<(), ApplyError> {
    let mut changes = Vec::new();
    for plan in plans {
        let found = api.standing(zone, &plan.owner, patience).map_err(|e| ApplyError::Failed(explain(e)))?;
        if found.present != plan.present {
            return Err(lost_race(&plan.owner, api.base()));
        }
        if !plan.is_empty() {
            changes.push((plan, found.disabled));
        }
    }
    match changes.is_empty() {
        true => Ok(()),
        false => api.replace(zone, &changes, patience).map_err(refusal),
    }
}

fn refusal(error: ApiError) -> ApplyError {
    match &error {
        // What it does not like about the records: of one owner perhaps.
        ApiError::Status { status: 400 | 403 | 409 | 422, .. } => ApplyError::Refused(explain(error)),
        // Another change is in the way, as with a database that one client at a time may write: look and try again.
        ApiError::Status { status: 500 | 503, .. } => ApplyError::LostRace(explain(error)),
        _ => ApplyError::Failed(explain(error)),
    }
}

fn explain(error: ApiError) -> Error {
    use std::io::ErrorKind::{ConnectionRefused, TimedOut};
    let told = |reason| Error::failure(reason, &error);
    match &error {
        ApiError::Status { status: 401, .. } => told("api-key")
            .hint("the server has another API key: compare its api-key with the file (--api-key-file)"),
        ApiError::Status { status: 403, .. } => {
            told("refused").hint("does its webserver-allow-from allow this address, and the key this zone?")
        }
        ApiError::Status { status: 404, .. } => told("no-zone")
            .hint("is there such a zone, and is the server's name right (--server-id, localhost as a rule)?"),
        ApiError::Status { status: 400 | 409 | 422, .. } => {
            told("refused").hint("see what it says, and its log")
        }
        ApiError::Status { status: 300..400, .. } => {
            told("malformed-answer").hint("redirections are not followed: give the address of the API itself")
        }
        ApiError::Status { .. } => told("server-failure").hint("see the server's log"),
        ApiError::Alias { name, .. } => {
            told("alias").hint(format!("publish at the name that {name} points to: clients follow the alias"))
        }
        ApiError::Malformed { .. } => {
            told("malformed-answer").hint("is that the API of PowerDNS 4.7 or later?")
        }
        ApiError::Transport { base, error } => match error.as_ref() {
            ureq::Error::Timeout(_) => told("timeout")
                .hint(format!("is {base} right, is the server up, does a firewall let TCP through?")),
            ureq::Error::Io(e) if e.kind() == TimedOut => told("timeout").hint(format!("is {base} right?")),
            ureq::Error::Io(e) if e.kind() == ConnectionRefused => told("connection-refused")
                .hint("does PowerDNS run there, with api=yes and its webserver-port?"),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => {
                told("tls").hint("name the certificate of whoever certified the server: --ca-file FILE")
            }
            ureq::Error::Io(e) if e.get_ref().is_some_and(|e| e.is::<rustls::Error>()) => {
                told("tls").hint("name the certificate of whoever certified the server: --ca-file FILE")
            }
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => {
                told("too-large").hint("is that the API of PowerDNS 4.7 or later?")
            }
            ureq::Error::Protocol(_) | ureq::Error::Http(_) => {
                told("malformed-answer").hint("is that an HTTP server?")
            }
            _ => told("unreachable").hint(format!("is {base} right?")),
        },
    }
}
