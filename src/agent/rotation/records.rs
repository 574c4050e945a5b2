//! The records that a rotation changes and watches: what every server shows, the ordinary publication, the proof.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::agent::machine;
use crate::agent::pass::{self, Target};
use crate::agent::readback;
use crate::agent::reconcile::{Reconciliation, Wish};
use crate::agent::site::{self, Purpose};
use crate::agent::state::State;
use crate::backend::Backend;
use crate::backend::site::Site;
use crate::config::publishing::{Provider, Publishing};
use crate::dns::authority::Authority;
use crate::error::{Error, Kind};
use crate::fan_out::in_order;
use crate::proto::hostkey::KeyType;
use crate::proto::message::Question;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::{Intent, Present};
use crate::proto::rotation::{Digest, Shown, Sight};
use crate::proto::rr::{RrType, Rrsig};
use crate::proto::sshfp::{self, Sshfp, SshfpSet};
use crate::verifier::{Options, Verifier};

/// How many servers are asked at a time.
const WIDTH: usize = 32;

/// Names of this machine, and where their records are kept.
#[derive(Debug, Clone)]
pub struct Spot {
    /// The names.
    pub names: Vec<HostName>,
    /// Where their records are kept.
    pub place: Provider,
    /// The zone, where it is not to be found out.
    pub zone: Option<Name>,
    /// Servers of the zone; none means those of its NS records.
    pub check_servers: Vec<SocketAddr>,
    /// For a server on another port.
    pub port: Option<u16>,
    /// The TTL of the records, in seconds; none leaves it.
    pub ttl: Option<u32>,
    /// Records that are not this machine's go.
    pub exclusive: bool,
}

impl Spot {
    /// From a `[publish]` table.
    pub async fn of(table: &Publishing) -> Result<Self, Error> {
        let_all_keys(&table.host_keys)?;
        Ok(Spot {
            names: machine::names(table).await?,
            place: table.place.clone(),
            zone: table.zone.clone(),
            check_servers: table.check_servers.clone(),
            port: table.port,
            ttl: table.ttl,
            exclusive: table.exclusive,
        })
    }

    fn targets(&self, wanted: &SshfpSet) -> Result<Vec<Target>, Error> {
        let intent = Intent::Publish { ttl: self.ttl, prune: self.exclusive };
        machine::targets(&self.names, self.port, wanted, intent)
    }
}

/// A rotation relies on all of sshd's keys standing in DNS.
pub fn let_all_keys(files: &[std::path::PathBuf]) -> Result<(), Error> {
    if files.is_empty() {
        return Ok(());
    }
    let error = Error::usage(
        "host-keys",
        "host_keys in [publish] names some of this machine's keys, and rotate needs all of them in DNS",
    );
    Err(error.hint("leave host_keys out: sshd -T lists them"))
}

/// The sets of records, and how to get at them.
#[derive(Debug)]
pub struct Records<'a> {
    /// Where they are.
    pub spots: &'a [Spot],
    /// Which of them are own.
    pub state: &'a State,
    /// By which resolvers and anchors they are proven; and how long an exchange may take.
    pub options: &'a Options,
}

/// One set at its primary.
#[derive(Debug, Clone)]
pub struct Set {
    /// Its owner.
    pub owner: Name,
    /// What the primary has.
    pub present: Present,
    /// What is not this machine's own goes with the next publication.
    pub is_exclusive: bool,
}

impl Records<'_> {
    fn site(&self, spot: &Spot, purpose: Purpose) -> Result<Site, Error> {
        let span: Duration = self.options.timeout;
        Ok(site::open(&spot.place, purpose, span / 2, Instant::now() + span)?.site)
    }

    /// What every server shows at each owner; and the sets at their primaries, as far as these answer.
    pub async fn look(&self) -> Result<(Vec<Sight>, Vec<Set>), Error> {
        let (mut sights, mut sets) = (Vec::new(), Vec::new());
        for spot in self.spots {
            let site = self.site(spot, Purpose::Read)?;
            for target in spot.targets(&SshfpSet::new())? {
                let owner = target.wish.owner;
                if let Err(error) = self.look_at(spot, &site, &owner, &mut sights, &mut sets).await {
                    // A mistake is no silence.
                    if error.kind != Kind::Failure {
                        return Err(error);
                    }
                    let (owner, server) = (owner.to_string(), site.label());
                    sights.push(Sight { owner, server, is_primary: true, shown: Err(error.message) });
                }
            }
        }
        Ok((sights, sets))
    }

    async fn look_at(
        &self,
        spot: &Spot,
        site: &Site,
        owner: &Name,
        sights: &mut Vec<Sight>,
        sets: &mut Vec<Set>,
    ) -> Result<(), Error> {
        let zone = site.zone_of(owner, spot.zone.as_ref()).await?;
        let present = site.open(&zone).await?.read(owner).await?;
        let (named, resolver) = (&spot.check_servers, &self.options.resolver);
        let servers = match site {
            Site::Rfc2136 { primary, .. } => {
                pass::every_server(primary, &zone, named, resolver).await?.into_iter().skip(1).collect()
            }
            _ => {
                let servers = pass::servers(site, &zone, named, resolver).await;
                if servers.is_empty() {
                    let message = format!("no name server of {zone} is known that could be watched");
                    return Err(Error::usage("no-servers", message).hint("name them: --check-server ADDR"));
                }
                servers
            }
        };
        let (patience, deadline) = site.limits();
        let place = (owner.to_string(), site.label());
        let shown = Ok(Shown::of([&present]));
        sights.push(Sight { owner: place.0.clone(), server: place.1, is_primary: true, shown });
        sets.push(Set { owner: owner.clone(), present, is_exclusive: spot.exclusive });
        let asked = owner.clone();
        let seen = in_order(servers, WIDTH, move |server| {
            let owner = asked.clone();
            async move {
                // Its address is taken from the server's own.
                let like = Authority { server: ([127, 0, 0, 1], 53).into(), patience, deadline };
                let shown = readback::glance(&server, &owner, &like).await.map(|answers| Shown::of(&answers));
                Sight { owner: owner.to_string(), server: server.label, is_primary: false, shown }
            }
        });
        sights.extend(seen.await?);
        Ok(())
    }

    /// Publishes `keys`; those that leave are known as this machine's own, whoever published them.
    pub async fn publish(
        &self,
        wanted: &SshfpSet,
        leaving: &BTreeSet<(KeyType, Digest)>,
    ) -> Result<(), Error> {
        for spot in self.spots {
            let site = self.site(spot, Purpose::Change)?;
            for target in spot.targets(wanted)? {
                let owner = target.wish.owner.clone();
                let zone = site.zone_of(&owner, spot.zone.as_ref()).await?;
                let own = leaving.iter().map(record);
                self.state.update(|all| {
                    let mut records = all.records(&owner);
                    records.extend(own);
                    all.set(&owner, &records);
                })?;
                let backend = Arc::new(site.open(&zone).await?);
                let run = Reconciliation { backend, state: self.state.clone(), together: false };
                let wishes: [Wish; 1] = [target.wish];
                for outcome in run.run(&wishes).await? {
                    if let Some(error) = outcome.error {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Proves at each owner that all of `wanted` stand there and none of `leaving`; or why not.
    pub async fn prove(
        &self,
        wanted: &BTreeSet<Digest>,
        leaving: &BTreeSet<Digest>,
    ) -> Result<Result<(), String>, Error> {
        let verifier = Verifier::new(self.options)?;
        for spot in self.spots {
            for target in spot.targets(&SshfpSet::new())? {
                let owner = target.wish.owner;
                let asked = Question::new(owner.clone(), RrType::SSHFP);
                let answer = match timeout(self.options.timeout, verifier.lookups().prove_live(&asked)).await
                {
                    Err(_) => return Ok(Err(format!("{owner}: no answer in time"))),
                    Ok(Err(cause)) => return Ok(Err(format!("{owner}: {}", cause.error))),
                    Ok(Ok(answer)) => answer,
                };
                let records = answer.data().set().rdatas().filter_map(|rdata| Sshfp::from_rdata(rdata).ok());
                let usable = records.filter(|record| record.fingerprint_type() == sshfp::SHA256);
                let shown: BTreeSet<Digest> =
                    usable.filter_map(|record| record.fingerprint().try_into().ok()).collect();
                if !wanted.is_subset(&shown) || !leaving.is_disjoint(&shown) {
                    return Ok(Err(format!("{owner}: the resolver still has other records")));
                }
            }
        }
        Ok(Ok(()))
    }

    /// The signatures over the sets, as far as they are to be had.
    pub async fn signatures(&self) -> Vec<Rrsig> {
        let mut found = Vec::new();
        for spot in self.spots {
            let (Ok(site), Ok(targets)) = (self.site(spot, Purpose::Read), spot.targets(&SshfpSet::new()))
            else {
                continue;
            };
            for target in targets {
                let owner = target.wish.owner;
                let Ok(zone) = site.zone_of(&owner, spot.zone.as_ref()).await else { continue };
                let (named, resolver) = (&spot.check_servers, &self.options.resolver);
                found.extend(
                    pass::signatures(&site, &zone, &owner, named, resolver).await.unwrap_or_default(),
                );
            }
        }
        found
    }
}

/// The record of a key by its digest.
pub fn record((key_type, digest): &(KeyType, Digest)) -> Sshfp {
    Sshfp::sha256_of(key_type.sshfp_algorithm(), digest)
}
