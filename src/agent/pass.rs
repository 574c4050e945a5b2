//! One pass over sets of records at one place: reconciled zone by zone, read back from every server, proven. Nothing is
//! printed here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::guard::Guard;
use super::proof::{self, Proof};
use super::published::{Published, Role, SiteName};
use super::readback::{self, Seen};
use super::reconcile::{Outcome, Reconciliation, Watch, Wish};
use super::state::{Noted, Origin, State};
use crate::backend::rfc2136::explain_read;
use crate::backend::site::{AnyBackend, Site};
use crate::backend::{Backend, Capabilities};
use crate::dns::authority::Authority;
use crate::dns::resolver::Resolver;
use crate::dns::servers::{self, Server};
use crate::error::Error;
use crate::proto::message::Question;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::{Intent, Plan};
use crate::proto::publication::Signing;
use crate::proto::rr::{RrType, Rrsig};
use crate::proto::sshfp::{self, SshfpSet};
use crate::verifier::{self, Options};

/// One set of records that is to be changed.
#[derive(Debug, Clone)]
pub struct Target {
    /// Whom they are about: a host, or the domain of a CA.
    pub name: Name,
    /// What they are good for.
    pub role: Role,
    /// What is wanted there.
    pub wish: Wish,
}

impl AsRef<Wish> for Target {
    fn as_ref(&self) -> &Wish {
        &self.wish
    }
}

impl Target {
    /// The keys of a host, on every port or on this one alone.
    pub fn host(name: &HostName, port: Option<u16>, wanted: SshfpSet, intent: Intent) -> Result<Self, Error> {
        let owner =
            sshfp::owner(name, port).map_err(|e| Error::usage("host-name", format!("{name}: {e}")))?;
        let wish = Wish { owner, wanted, intent };
        Ok(Target { name: name.name().clone(), role: Role::Host, wish })
    }
}

/// Sets by the zone that holds them.
#[derive(Debug, Default)]
pub struct Zones {
    /// By zone.
    pub found: BTreeMap<Name, Vec<Target>>,
    /// Sets whose zone is not known, and why.
    pub lost: Vec<Published>,
}

/// What one pass goes by.
#[derive(Debug)]
pub struct Pass<'a> {
    /// Where the records are kept.
    pub site: Site,
    /// Which of them are own.
    pub state: State,
    /// The zone, where it is not to be found out.
    pub zone: Option<Name>,
    /// Servers to read back from; none means those of the zone's NS records.
    pub check_servers: &'a [SocketAddr],
    /// Nothing is changed.
    pub looks_only: bool,
    /// All sets in one update, or none.
    pub together: bool,
    /// The resolvers and anchors by which the outcome is proven, and the cache that forgets what has changed.
    pub options: &'a Options,
    /// Prove it by the system's resolver too, which may hold old records for hours.
    pub prove_by_system: bool,
    /// Servers and caches that lag are waited for although nothing was changed.
    pub waits: bool,
    /// Nothing is published in a zone that clients cannot prove; the system's resolver is asked where none was named.
    pub require_signed: bool,
    /// The sets are those that the configuration names: one that it no longer names is an orphan.
    pub configured: bool,
}

impl Pass<'_> {
    /// The sets by the zone that holds them.
    pub async fn zones(&self, targets: Vec<Target>) -> Result<Zones, Error> {
        let given = self.zone.as_ref();
        let outside = |zone| targets.iter().find(|target| !target.wish.owner.is_at_or_below(zone));
        if let Some((target, zone)) = given.and_then(|zone| Some((outside(zone)?, zone))) {
            let message = format!("{} does not lie in zone {zone}", target.name);
            return Err(Error::usage("notzone", message).hint("leave --zone out, or give the right one"));
        }
        let owners: Vec<Name> = targets.iter().map(|target| target.wish.owner.clone()).collect();
        let found = self.site.zones_of(&owners, given).await?;
        let (mut zones, place) = (Zones::default(), SiteName::of(&self.site));
        for (target, zone) in targets.into_iter().zip(found) {
            match zone {
                Ok(zone) => zones.found.entry(zone).or_default().push(target),
                Err(error) => {
                    let Target { name, wish, .. } = target;
                    zones.lost.push(Published::failed(&name, &wish.owner, &place, error));
                }
            }
        }
        Ok(zones)
    }

    /// What the place can do for `zone`.
    pub async fn capabilities(&self, zone: &Name) -> Result<Capabilities, Error> {
        Ok(self.site.open(zone).await?.capabilities())
    }

    /// Brings the sets of one zone to where they are wanted; what became of each, in their order.
    pub async fn run(&self, zone: &Name, targets: &[Target]) -> Result<Vec<Published>, Error> {
        self.run_watched(zone, targets, &|_| {}).await
    }

    /// The same; `watch` is told of how many sets more nothing is left to do.
    pub async fn run_watched(
        &self,
        zone: &Name,
        targets: &[Target],
        watch: &Watch<'_>,
    ) -> Result<Vec<Published>, Error> {
        let Guard { signing, objections } = self.guard(zone, targets).await;
        let may = |at: usize| objections.get(at).is_none_or(Option::is_none);
        // All of them, as a rule.
        let allowed: Cow<'_, [Target]> = match objections.iter().all(Option::is_none) {
            true => Cow::Borrowed(targets),
            false => targets.iter().enumerate().filter(|(at, _)| may(*at)).map(|(_, t)| t.clone()).collect(),
        };
        let mut done = Vec::new();
        if !allowed.is_empty() {
            let run = self.reconciliation(zone).await?;
            let outcomes = match self.looks_only {
                true => run.plan(&allowed).await,
                false => run.run_watched(&allowed, watch).await,
            }?;
            done = self.look_again(zone, &allowed, outcomes).await;
        }
        if let Cow::Owned(_) = allowed {
            let (mut others, place) = (done.into_iter(), SiteName::of(&self.site));
            let refused = |target: &Target, error| {
                let refused = Outcome { error: Some(error), ..Outcome::open(&target.wish.owner) };
                Published::new(&target.name, zone, &place, refused, self.looks_only)
            };
            let results = targets.iter().zip(objections).filter_map(|(target, objection)| match objection {
                None => others.next(),
                Some(error) => Some(refused(target, error)),
            });
            done = results.collect();
        }
        for published in &mut done {
            let is_proven = published.proof.as_ref().is_some_and(Proof::is_secure);
            published.zone_signing = if is_proven { Some(Signing::Proven) } else { signing };
        }
        Ok(done)
    }

    /// The state, in which is noted where sets of `zone` are published.
    fn noting(&self, zone: &Name) -> State {
        let (backend, server) = (self.site.kind().to_owned(), self.site.label());
        let origin = Arc::new(Origin { zone: zone.clone(), backend, server });
        self.state.noting(Noted { origin, configured: self.configured, now: verifier::now() })
    }

    /// What would be changed there now: one look at the place of the records.
    pub async fn look(&self, zone: &Name, targets: &[Target]) -> Result<Vec<Published>, Error> {
        let run = self.reconciliation(zone).await?;
        let (outcomes, place) = (run.plan(targets).await?.into_iter().zip(targets), SiteName::of(&self.site));
        Ok(outcomes.map(|(o, target)| Published::new(&target.name, zone, &place, o, true)).collect())
    }

    async fn reconciliation(&self, zone: &Name) -> Result<Reconciliation<AnyBackend>, Error> {
        let backend = Arc::new(self.site.open(zone).await?);
        let state = self.noting(zone);
        Ok(Reconciliation { backend, state, together: self.together })
    }

    /// What every server shows, and what can be proven.
    async fn look_again(&self, zone: &Name, targets: &[Target], outcomes: Vec<Outcome>) -> Vec<Published> {
        let is_done = |outcome: &Outcome| outcome.error.is_none() && !self.looks_only;
        // What was withdrawn is not waited for: its absence is no matter of proof.
        let is_proven = |target: &Target, outcome: &Outcome| {
            is_done(outcome) && !matches!(target.wish.intent, Intent::Withdraw)
        };
        let done: Vec<&Plan> =
            outcomes.iter().filter(|o| is_done(o)).filter_map(|outcome| outcome.plan.as_ref()).collect();
        let to_prove: Vec<&Plan> = (targets.iter().zip(&outcomes))
            .filter(|(target, outcome)| is_proven(target, outcome))
            .filter_map(|(_, outcome)| outcome.plan.as_ref())
            .collect();
        // What this user's cache says of them is old news.
        if let Some(cache) = &self.options.cache {
            cache.forget_many(done.iter().map(|plan| Question::new(plan.owner.clone(), RrType::SSHFP)));
        }
        let waits = self.waits || outcomes.iter().any(|outcome| outcome.changed);
        let (mut seen, mut proofs) = (Vec::new(), Vec::new());
        if !done.is_empty() {
            let proving = async {
                match self.options.resolver.is_empty() && !self.prove_by_system {
                    true => to_prove.iter().map(|_| None).collect(),
                    false => proof::prove(&to_prove, self.site.limits().1, waits, self.options).await,
                }
            };
            (seen, proofs) = tokio::join!(self.seen(zone, &done, waits), proving);
        }
        let (mut seen, mut proofs, place) = (seen.into_iter(), proofs.into_iter(), SiteName::of(&self.site));
        let known = targets.iter().zip(outcomes).map(|(target, outcome)| {
            let read_back = if is_done(&outcome) { seen.next().unwrap_or_default() } else { Vec::new() };
            let proof = if is_proven(target, &outcome) { proofs.next().flatten() } else { None };
            (target, outcome, read_back, proof)
        });
        let results = known.map(|(target, outcome, read_back, proof)| Published {
            read_back,
            proof,
            ..Published::new(&target.name, zone, &place, outcome, self.looks_only)
        });
        results.collect()
    }

    /// What the place of the records, which has been looked at already, and the zone's servers show.
    async fn seen(&self, zone: &Name, done: &[&Plan], waits: bool) -> Vec<Vec<Seen>> {
        let servers = self.servers(zone).await;
        let (first, (patience, deadline)) = (Seen::current(self.site.label()), self.site.limits());
        if servers.is_empty() {
            return done.iter().map(|_| vec![first.clone()]).collect();
        }
        let expected: Vec<_> = done.iter().map(|plan| (plan.owner.clone(), plan.present.clone())).collect();
        let mut seen = readback::read_back(&servers, &expected, waits, patience, deadline).await;
        seen.iter_mut().for_each(|seen| seen.insert(0, first.clone()));
        seen
    }

    /// The zone's servers, but for the one that is asked for the records anyway: those that were named, else those of
    /// its NS records.
    pub async fn servers(&self, zone: &Name) -> Vec<Server> {
        servers(&self.site, zone, self.check_servers, &self.options.resolver).await
    }
}

/// See [`Pass::servers`].
pub async fn servers(site: &Site, zone: &Name, named: &[SocketAddr], resolver: &[SocketAddr]) -> Vec<Server> {
    let asked = site.server();
    if !named.is_empty() {
        return other_than(asked, named);
    }
    let resolver = Resolver::new(resolver.to_vec()).ok();
    let (patience, deadline) = site.limits();
    let until = deadline.min(Instant::now() + patience);
    let mut names = site.name_servers(zone).await;
    if names.is_empty() && asked.is_none() {
        names = servers::names(zone, resolver.as_ref(), until).await;
    }
    servers::named(names, asked, resolver.as_ref(), until).await
}

/// Every server of `zone`, the primary first: those that were `named`, else those of its NS records. Unlike
/// [`servers()`] it fails where they cannot be had.
pub async fn every_server(
    primary: &Authority,
    zone: &Name,
    named: &[SocketAddr],
    resolver: &[SocketAddr],
) -> Result<Vec<Server>, Error> {
    let others = match named.is_empty() {
        true => {
            let resolver = Resolver::new(resolver.to_vec()).ok();
            servers::every(primary, zone, resolver.as_ref()).await.map_err(explain_read)?
        }
        false => other_than(Some(primary.server), named),
    };
    Ok([Server::from(primary.server)].into_iter().chain(others).collect())
}

fn other_than(asked: Option<SocketAddr>, named: &[SocketAddr]) -> Vec<Server> {
    named.iter().copied().filter(|server| Some(*server) != asked).map(Server::from).collect()
}

/// The signatures over the SSHFP records at `owner`, as a name server of the zone shows them; none if nobody does.
pub async fn signatures(
    site: &Site,
    zone: &Name,
    owner: &Name,
    named: &[SocketAddr],
    resolver: &[SocketAddr],
) -> Result<Vec<Rrsig>, Error> {
    if let Site::Rfc2136 { primary, .. } = site {
        return primary.sshfp_signatures(owner).await.map_err(explain_read);
    }
    let (patience, deadline) = site.limits();
    for server in servers(site, zone, named, resolver).await.iter().flat_map(|server| &server.addresses) {
        let authority = Authority { server: *server, patience, deadline };
        if let Ok(found) = authority.sshfp_signatures(owner).await {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}
