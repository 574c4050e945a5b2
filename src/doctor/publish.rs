//! The publishing side: this machine's keys, the place of its records, what the key to it may do, the zone and its
//! servers. Nothing is changed: rights are tried with an update that does nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Doctor, Group, files};
use crate::agent::machine;
use crate::agent::monitor::socket;
use crate::agent::pass;
use crate::agent::rotation;
use crate::agent::site::{self, Purpose};
use crate::agent::state::State;
use crate::backend::site::{AnyBackend, Site};
use crate::config::publishing::{Agent, Provider, Publishing, Rotate};
use crate::dns::authority::Authority;
use crate::dns::lookup::Lookups;
use crate::dns::servers::{NO_ADDRESS, ServerAddress, each_address};
use crate::error::Error;
use crate::fan_out::in_order;
use crate::proto::chain::Answer;
use crate::proto::denial::Unproven;
use crate::proto::doctor::publish::{self as judge, Failure, Server, Times, Tried};
use crate::proto::doctor::{Finding, Severity};
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::plan::{DEFAULT_TTL, Intent, Present};
use crate::proto::rr::RrType;
use crate::proto::sshfp::SshfpSet;

/// Servers that are asked at the same time.
const AT_ONCE: usize = 16;
/// How long a server that lags is given, and how often it is asked meanwhile.
const LAG: (Duration, Duration) = (Duration::from_secs(2), Duration::from_millis(200));

/// What a machine is told about its own records.
#[derive(Debug)]
pub struct Settings<'a> {
    /// Its names, and where their records are kept.
    pub tables: &'a [Publishing],
    /// The agent's settings.
    pub agent: &'a Agent,
    /// How host keys are replaced.
    pub rotate: &'a Rotate,
    /// The state folder, where one was named.
    pub state: Option<PathBuf>,
    /// The resolvers that were named.
    pub resolver: &'a [SocketAddr],
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure { message: error.message, hint: error.hint }
    }
}

impl Doctor {
    /// What keeps this machine from publishing; nothing of one that publishes nothing.
    pub async fn publishing(&self, settings: &Settings<'_>) -> Vec<Group> {
        if settings.tables.is_empty() {
            return Vec::new();
        }
        let mut groups = Vec::new();
        for table in settings.tables {
            groups.push(self.table(table, settings).await);
        }
        let state = settings.state.clone().map_or_else(State::default_folder, Ok);
        let mut findings = Vec::new();
        match state {
            Ok(folder) => {
                let read = State::at(&folder).read().map(|own| own.len());
                let read = read.map_err(|error| Error::from(error).into());
                findings.push(judge::state(&folder.display().to_string(), &read));
            }
            Err(error) => findings.push(judge::state("state", &Err(Error::from(error).into()))),
        }
        let told = self.agent(settings).await;
        findings.extend(self.rotation(settings, told.severity != Severity::Info));
        findings.push(told);
        groups.push(Group { title: "agent and state".to_owned(), findings });
        groups
    }

    async fn agent(&self, settings: &Settings<'_>) -> Finding {
        let places = socket::places(settings.agent.socket.as_deref(), settings.state.as_deref());
        let told = socket::ask(&places, self.timeout / 4).await;
        judge::agent(&match told {
            Ok(status) => Ok((status.is_well(), status.sentence())),
            Err(error) => Err(Failure {
                message: error.to_string(),
                hint: Some("systemctl enable --now sshanchor-agent, or sshanchor agent".to_owned()),
            }),
        })
    }

    /// What is under way, and what an earlier rotation has left.
    fn rotation(&self, settings: &Settings<'_>, agent_runs: bool) -> Option<Finding> {
        let folder = settings.state.clone().map_or_else(State::default_folder, Ok).ok()?;
        let state = State::at(&folder);
        if let Some(left) = rotation::left_over(&state, settings.rotate.sshd_config.as_deref()) {
            return Some(judge::rotation_lost(&left));
        }
        let record = rotation::store::read(&state).map_err(Failure::from);
        judge::rotation(&record, self.now, agent_runs)
    }

    async fn table(&self, table: &Publishing, settings: &Settings<'_>) -> Group {
        let deadline = Instant::now() + self.timeout;
        let mut findings = Vec::new();
        let keys = machine::keys(&table.host_keys, settings.rotate.sshd_config.as_deref()).await;
        let types = keys.as_ref().map_or(1, |keys| keys.keys.len());
        let keys = keys.map(|keys| (keys.records(), keys.warnings)).map_err(Failure::from);
        findings.extend(judge::host_keys(&keys));
        let opened = site::open(&table.place, Purpose::Change, self.timeout / 3, deadline);
        let (site, label) = match opened {
            Ok(ready) => {
                let label = ready.site.label();
                findings.extend(judge::key_files(&label, &Ok(ready.warnings)));
                if let Some(file) = key_file(&table.place) {
                    findings.extend(files::changeable(file, "with which key this machine publishes"));
                }
                (ready.site, label)
            }
            Err(error) => {
                findings.extend(judge::key_files("the place of the records", &Err(error.into())));
                return Group { title: "publishing".to_owned(), findings };
            }
        };
        let title = format!("publishing at {label}");
        let wanted = keys.map(|(records, _)| records).unwrap_or_default();
        let intent = Intent::Publish { ttl: table.ttl, prune: false };
        let names = machine::names(table).await;
        let targets = names.and_then(|names| machine::targets(&names, table.port, &wanted, intent));
        let targets = match targets {
            Ok(targets) => targets,
            Err(Error { message, hint, .. }) => {
                let finding = Finding::error("publish-name", "this machine's name", message);
                findings.push(finding.remedy(hint.unwrap_or_else(|| "give it in [publish]".to_owned())));
                return Group { title, findings };
            }
        };
        let mut known: Vec<Name> = Vec::new();
        for target in targets {
            let owner = &target.wish.owner;
            let zone = site.zone_of(owner, table.zone.as_ref()).await.map_err(Failure::from);
            findings.push(judge::place(&label, owner, &zone));
            let Ok(zone) = zone else { continue };
            let is_new = !known.contains(&zone);
            let one = One { doctor: self, site: &site, label: &label, zone: &zone, owner, table };
            findings.extend(one.look(&wanted, types, settings, is_new).await);
            known.push(zone);
        }
        Group { title, findings }
    }

    /// What the SOA of a zone proves, live.
    async fn proof_of(&self, zone: &Name) -> Option<Result<Answer, Unproven>> {
        let (Ok(resolver), Ok(anchors)) = (&self.resolver, &self.anchors) else { return None };
        let deadline = Instant::now() + self.timeout;
        let lookups = Lookups::new(resolver.clone(), anchors.clone(), self.now, deadline);
        Some(lookups.prove(&Question::new(zone.clone(), RrType::SOA)).await)
    }
}

/// The file of the key to the place, where one is named.
fn key_file(place: &Provider) -> Option<&Path> {
    match place {
        Provider::Server { key_file, .. } => key_file.as_deref(),
        Provider::PowerDns { api_key_file, .. } => api_key_file.as_deref(),
        Provider::ZoneFile { .. } | Provider::Exec(_) => None,
    }
}

/// One name at its place.
struct One<'a> {
    doctor: &'a Doctor,
    site: &'a Site,
    label: &'a str,
    zone: &'a Name,
    owner: &'a Name,
    table: &'a Publishing,
}

impl One<'_> {
    async fn look(
        &self,
        wanted: &SshfpSet,
        types: usize,
        settings: &Settings<'_>,
        is_new_zone: bool,
    ) -> Vec<Finding> {
        let (zone, owner) = (self.zone, self.owner);
        let mut findings = self.rights(is_new_zone).await;
        let present = self.site.read(zone, owner).await.map_err(Failure::from);
        findings.push(judge::records(owner, wanted, &present));
        let present = present.unwrap_or_else(|_| Present::absent());
        let mut signed_for = None;
        if is_new_zone && let Some(proof) = self.doctor.proof_of(zone).await {
            signed_for = proof.as_ref().ok().map(|answer| {
                let rrsig = answer.data().rrsig();
                u64::from(rrsig.expiration.wrapping_sub(rrsig.inception))
            });
            findings.extend(judge::zone(self.doctor.now, zone, &proof));
        }
        let soa = match self.site.server() {
            Some(server) => self.authority(server).soa(zone).await.ok(),
            None => None,
        };
        let servers = self.servers(&present, settings).await;
        let primary = soa.map(|soa| soa.serial);
        findings.extend(judge::servers(zone, primary, &present, &servers));
        let rotate = settings.rotate;
        let times = Times {
            ttl: self.table.ttl.or(present.ttl).unwrap_or(DEFAULT_TTL),
            negative_ttl: soa.map_or(0, |soa| soa.negative_ttl),
            every: rotate.every.map(|every| every.as_secs()),
            announce: rotate.announce.as_secs(),
            types: if rotate.types.is_empty() { types } else { rotate.types.len().min(types) },
        };
        findings.extend(judge::times(owner, &times, signed_for));
        findings
    }

    /// What the place makes of the key.
    async fn rights(&self, is_new_zone: bool) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.site.open(self.zone).await {
            Ok(AnyBackend::Rfc2136(backend)) => {
                let known = backend.try_key().await.map_err(Failure::from);
                if is_new_zone || known.is_err() {
                    findings.push(judge::key(self.label, &known));
                }
                // Knot says BADKEY where it means that the key may not; of a key that it does not know it is no news.
                if known.is_ok() {
                    let tried: Tried<()> = backend.try_rights(self.owner).await.map_err(Failure::from);
                    findings.push(judge::rights(self.label, self.owner, &tried));
                }
            }
            Ok(_) => findings.push(judge::rights_untried(self.label, self.site.kind())),
            Err(error) => findings.push(judge::rights(self.label, self.owner, &Err(error.into()))),
        }
        findings
    }

    fn authority(&self, server: SocketAddr) -> Authority {
        let (patience, deadline) = self.site.limits();
        Authority { server, patience, deadline }
    }

    /// What the zone's other servers show, each address for itself.
    async fn servers(&self, present: &Present, settings: &Settings<'_>) -> Vec<Server> {
        let named = &self.table.check_servers;
        let servers = pass::servers(self.site, self.zone, named, settings.resolver).await;
        let look = |server: ServerAddress| {
            let authority = server.address.map(|address| self.authority(address));
            let (zone, owner, present) = (self.zone.clone(), self.owner.clone(), present.clone());
            async move {
                let shows = match authority {
                    Some(authority) => shown_by(&authority, &zone, &owner, &present).await,
                    None => Err(NO_ADDRESS.to_owned()),
                };
                Server { label: server.to_string(), shows }
            }
        };
        in_order(each_address(servers), AT_ONCE, look).await.unwrap_or_default()
    }
}

/// What a server shows, in the end: a secondary may be about to take a change over.
async fn shown_by(
    authority: &Authority,
    zone: &Name,
    owner: &Name,
    wanted: &Present,
) -> Result<(u32, Present), String> {
    let until = Instant::now() + LAG.0;
    loop {
        let serial = authority.soa(zone).await.map_err(|e| e.to_string())?.serial;
        let present = authority.sshfp(owner).await.map_err(|e| e.to_string())?;
        if present == *wanted || Instant::now() >= until {
            return Ok((serial, present));
        }
        sleep(LAG.1).await;
    }
}
