//! What `publish`, `withdraw` and `ca` share: where the records go, and the one run against it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::place::{Place, Purpose};
use super::proof::{self, Proof};
use super::published::{Published, Role};
use super::state::state_error;
use crate::agent::readback::{self, Seen, Server, Status};
use crate::agent::reconcile::{Outcome, Reconciliation, Wish};
use crate::agent::state::{Own, State};
use crate::backend::rfc2136::explain_read;
use crate::backend::site::Site;
use crate::backend::{Backend, Capabilities};
use crate::cli::Context;
use crate::dns::authority::Authority;
use crate::dns::dns_server;
use crate::dns::resolver::Resolver;
use crate::error::{Error, Kind};
use crate::fan_out::in_order;
use crate::proto::message::Question;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::{Intent, Plan, Present};
use crate::proto::rr::{RrType, Rrsig};
use crate::proto::sshfp::{self, Sshfp};

/// How many zones are asked for at a time.
const WIDTH: usize = 32;
/// A batch gets this much longer for every hundred of its hosts: the whole of `--timeout`.
const HOSTS_A_TIMEOUT: usize = 100;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Primary {
    #[command(flatten)]
    place: Box<Place>,
    /// The zone [default: the one that the server names for the host; --zone-file and --exec need it]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(in crate::cli) zone: Option<Name>,
    /// Print what would change, and change nothing
    #[arg(long, conflicts_with = "check")]
    dry_run: bool,
    /// The same, with exit status 5 if anything would
    #[arg(long)]
    check: bool,
    /// Another server of the zone to read back from (repeatable) [default: those of the NS records]
    #[arg(long = "check-server", value_name = "ADDR[:PORT]", value_parser = dns_server)]
    check_servers: Vec<SocketAddr>,
    /// Where it is kept which records are own [default: /var/lib/sshanchor, or the user's state folder]
    #[arg(long, value_name = "DIR", env = "SSHANCHOR_STATE")]
    state: Option<PathBuf>,
}

pub(in crate::cli) fn zone(text: &str) -> Result<Name, String> {
    Name::from_text(text).map_err(|e| e.to_string())
}

/// One set of records that is to be changed.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Target {
    /// Whom they are about: a host, or the domain of a CA.
    pub(in crate::cli) name: Name,
    pub(in crate::cli) role: Role,
    pub(in crate::cli) wish: Wish,
}

impl Target {
    /// The keys of a host, on every port or on this one alone.
    pub(in crate::cli) fn host(
        name: &HostName,
        port: Option<u16>,
        wanted: BTreeSet<Sshfp>,
        intent: Intent,
    ) -> Result<Self, Error> {
        let owner =
            sshfp::owner(name, port).map_err(|e| Error::usage("host-name", format!("{name}: {e}")))?;
        let wish = Wish { owner, wanted, intent };
        Ok(Target { name: name.name().clone(), role: Role::Host, wish })
    }
}

impl Primary {
    pub(in crate::cli) fn state(&self) -> Result<State, Error> {
        let folder = match &self.state {
            Some(folder) => folder.clone(),
            None => State::default_folder().map_err(state_error)?,
        };
        Ok(State::at(folder))
    }

    /// What this machine has published.
    pub(in crate::cli) fn own(&self) -> Result<Own, Error> {
        self.state()?.read().map_err(state_error)
    }

    pub(in crate::cli) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    pub(in crate::cli) fn looks_only(&self) -> bool {
        self.dry_run || self.check
    }

    /// Where the records are kept, for a run over so many sets.
    pub(in crate::cli) fn site(&self, cx: &Context, targets: usize) -> Result<Site, Error> {
        let purpose = if self.looks_only() { Purpose::Look } else { Purpose::Change };
        let (patience, deadline) = limits(cx, targets);
        self.place.site(cx, purpose, patience, deadline)
    }

    /// The same to be read beforehand: what is wrong with keys the run itself tells.
    pub(in crate::cli) fn site_to_read(&self, cx: &Context, targets: usize) -> Result<Site, Error> {
        let (patience, deadline) = limits(cx, targets);
        self.place.site(cx, Purpose::Read, patience, deadline)
    }

    /// The name server, for a command that has to watch it and its secondaries.
    pub(in crate::cli) fn authority(&self, cx: &Context, targets: usize) -> Result<Authority, Error> {
        match self.site_to_read(cx, targets)? {
            Site::Rfc2136 { primary, .. } => Ok(primary),
            other => {
                let message = format!(
                    "ca roll waits for what name servers show: it takes --server, and no {}",
                    other.kind()
                );
                Err(Error::usage("usage", message).hint("give it: --server ADDR --key-file FILE"))
            }
        }
    }

    /// Every server of `zone`, the primary first: those that were named, else those of its NS records.
    pub(in crate::cli) async fn every_server(
        &self,
        authority: &Authority,
        zone: &Name,
        cx: &Context,
    ) -> Result<Vec<Server>, Error> {
        let others = match self.check_servers.is_empty() {
            true => {
                let resolver = Resolver::new(cx.resolver.clone()).ok();
                readback::every_name_server(authority, zone, resolver.as_ref()).await.map_err(explain_read)?
            }
            false => self.named_servers(Some(authority.server)),
        };
        Ok([Server::from(authority.server)].into_iter().chain(others).collect())
    }

    fn named_servers(&self, asked: Option<SocketAddr>) -> Vec<Server> {
        let named = self.check_servers.iter().copied();
        named.filter(|server| Some(*server) != asked).map(Server::from).collect()
    }

    /// The options that lead to the same place, for a command that is suggested.
    pub(in crate::cli) fn place_options(&self) -> String {
        self.place.options()
    }

    /// The zone's servers, but for the one that is asked for the records anyway.
    async fn servers(&self, site: &Site, zone: &Name, cx: &Context) -> Vec<Server> {
        let asked = site.server();
        if !self.check_servers.is_empty() {
            return self.named_servers(asked);
        }
        let resolver = Resolver::new(cx.resolver.clone()).ok();
        let (patience, deadline) = site.limits();
        let until = deadline.min(Instant::now() + patience);
        let mut names = site.name_servers(zone).await;
        if names.is_empty() && asked.is_none() {
            names = readback::names_by_resolver(zone, resolver.as_ref(), until).await;
        }
        readback::name_servers(names, asked, resolver.as_ref(), until).await
    }

    /// The signatures over the SSHFP records at `owner`, as a name server of the zone shows them; none if nobody does.
    pub(in crate::cli) async fn signatures(
        &self,
        site: &Site,
        zone: &Name,
        owner: &Name,
        cx: &Context,
    ) -> Result<Vec<Rrsig>, Error> {
        if let Site::Rfc2136 { primary, .. } = site {
            return primary.sshfp_signatures(owner).await.map_err(explain_read);
        }
        let (patience, deadline) = site.limits();
        for server in self.servers(site, zone, cx).await.iter().flat_map(|server| &server.addresses) {
            let authority = Authority { server: *server, patience, deadline };
            if let Ok(found) = authority.sshfp_signatures(owner).await {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }
}

/// How long one exchange may take, and when all of a run over so many sets have to be over.
fn limits(cx: &Context, targets: usize) -> (Duration, Instant) {
    let times = u32::try_from(1 + targets / HOSTS_A_TIMEOUT).unwrap_or(u32::MAX);
    // One exchange may take half of it, so that a dead server leaves time to look at what was done.
    (cx.timeout / 2, Instant::now() + cx.timeout * times)
}

/// What to do at the primary.
#[derive(Debug)]
pub(in crate::cli) struct Run<'a> {
    pub(in crate::cli) primary: &'a Primary,
    /// Each host's failure is told in its own line.
    pub(in crate::cli) batch: bool,
    /// All sets are changed in one update, or none is.
    pub(in crate::cli) together: bool,
}

impl Run<'_> {
    /// Reconciles all sets, zone by zone, and reports each.
    pub(in crate::cli) async fn carry_out(
        &self,
        targets: Vec<Target>,
        cx: &Context,
    ) -> Result<Option<Kind>, Error> {
        let state = self.primary.state()?;
        let site = self.primary.site(cx, targets.len())?;
        let mut kinds = Vec::new();
        let zones = self.by_zone(&site, targets, cx, &mut kinds).await?;
        if self.together && zones.len() > 1 {
            let zones: Vec<String> = zones.keys().map(Name::to_string).collect();
            let message = format!("the sets lie in several zones: {}", zones.join(", "));
            return Err(nothing_sent(Error::usage("notzone", message)));
        }
        for (zone, part) in zones {
            let folder = state.folder().display();
            let backend = Arc::new(site.open(&zone).await.map_err(nothing_sent)?);
            cx.out.detail(&format!(
                "zone {zone} at {}, {} sets, state in {folder}; {}",
                site.label(),
                part.len(),
                capabilities(&backend.capabilities())
            ));
            let wishes: Vec<Wish> = part.iter().map(|target| target.wish.clone()).collect();
            let run = Reconciliation { backend, state: state.clone(), together: self.together };
            let outcomes = match self.primary.looks_only() {
                true => run.plan(&wishes).await,
                false => run.run(&wishes).await,
            }
            .map_err(state_error)?;
            kinds.extend(self.report(&site, &zone, &part, outcomes, cx).await?);
        }
        Ok(Kind::gravest(kinds))
    }

    /// The sets by the zone that holds them. In a batch one without a zone is told of and left out.
    async fn by_zone(
        &self,
        site: &Site,
        targets: Vec<Target>,
        cx: &Context,
        kinds: &mut Vec<Kind>,
    ) -> Result<BTreeMap<Name, Vec<Target>>, Error> {
        let given = self.primary.zone.as_ref();
        let outside = |zone| targets.iter().find(|target| !target.wish.owner.is_at_or_below(zone));
        if let Some((target, zone)) = given.and_then(|zone| Some((outside(zone)?, zone))) {
            return Err(not_in_zone(format!("{} does not lie in zone {zone}", target.name)));
        }
        let mut zones: BTreeMap<Name, Vec<Target>> = BTreeMap::new();
        let owners: Vec<Name> = targets.iter().map(|target| target.wish.owner.clone()).collect();
        let found = in_order(owners, WIDTH, |owner: Name| {
            let (site, given) = (site.clone(), given.cloned());
            async move { site.zone_of(&owner, given.as_ref()).await }
        })
        .await?;
        for (target, zone) in targets.into_iter().zip(found) {
            match zone {
                Ok(zone) => zones.entry(zone).or_default().push(target),
                Err(error) if self.batch => {
                    kinds.push(error.kind);
                    let Target { name, wish, .. } = target;
                    Published::failed(&name, &wish.owner, site, error).print(&cx.out)?;
                }
                Err(error) => return Err(nothing_sent(error)),
            }
        }
        Ok(zones)
    }

    async fn report(
        &self,
        site: &Site,
        zone: &Name,
        targets: &[Target],
        outcomes: Vec<Outcome>,
        cx: &Context,
    ) -> Result<Vec<Kind>, Error> {
        let looks_only = self.primary.looks_only();
        let is_done = |outcome: &Outcome| outcome.error.is_none() && !looks_only;
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
        if let Some(cache) = &cx.proofs {
            done.iter().for_each(|plan| cache.forget(&Question::new(plan.owner.clone(), RrType::SSHFP)));
        }
        let expected: Vec<_> = done.iter().map(|p| (p.owner.clone(), p.present.clone())).collect();
        let (mut seen, mut proofs) = (Vec::new(), Vec::new());
        if !done.is_empty() {
            let proving = proof::prove(&to_prove, site.limits().1, cx);
            (seen, proofs) = tokio::join!(self.seen(site, zone, &expected, cx), proving);
        }
        let (mut seen, mut proofs) = (seen.into_iter(), proofs.into_iter());
        let (mut kinds, mut advice) = (Vec::new(), None);
        let mut pending: BTreeMap<String, Vec<(String, Option<String>)>> = BTreeMap::new();
        for (target, outcome) in targets.iter().zip(outcomes) {
            let (done, proven) = (is_done(&outcome), is_proven(target, &outcome));
            let mut published = Published::new(&target.name, zone, site, outcome, looks_only);
            if done {
                published.read_back = seen.next().unwrap_or_default();
            }
            if proven {
                published.proof = proofs.next().flatten();
            }
            published.warnings(target).iter().for_each(|warning| cx.out.warn(warning));
            // One update fails once: of several sets the same advice is given once.
            if let Some(error) = published.error.as_mut().filter(|_| !cx.out.json) {
                match error.hint.is_some() && error.hint == advice {
                    true => error.hint = None,
                    false => advice = error.hint.clone(),
                }
            }
            published.print(&cx.out)?;
            for seen in published.read_back.iter().filter(|seen| seen.status != Status::Current) {
                pending
                    .entry(seen.server.clone())
                    .or_default()
                    .push((published.owner.clone(), seen.detail.clone()));
            }
            kinds.extend(published.error.as_ref().map(|error| error.kind));
            if published.proof.as_ref().is_some_and(Proof::speaks_against) {
                kinds.push(Kind::Unproven);
            }
            if self.primary.check && published.pending {
                kinds.push(Kind::Pending);
            }
        }
        // A line a server: a dead one would have much to say of a large batch.
        for (server, owners) in pending {
            let Some((owner, detail)) = owners.first() else { continue };
            let others = match owners.len() - 1 {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            let detail = detail.as_deref().unwrap_or("no detail");
            cx.out.warn(&format!("pending at {server} for {owner}{others}: {detail}"));
        }
        Ok(kinds)
    }

    /// What the place of the records, which has been looked at already, and the zone's servers show.
    async fn seen(
        &self,
        site: &Site,
        zone: &Name,
        expected: &[(Name, Present)],
        cx: &Context,
    ) -> Vec<Vec<Seen>> {
        let servers = self.primary.servers(site, zone, cx).await;
        let (patience, deadline) = site.limits();
        let mut seen = readback::read_back(&servers, expected, patience, deadline).await;
        seen.iter_mut().for_each(|seen| seen.insert(0, Seen::current(site.label())));
        seen
    }
}

/// What a backend can do, in words.
fn capabilities(can: &Capabilities) -> String {
    let swap = if can.compare_and_swap {
        "compare and swap"
    } else {
        "no compare and swap: read, change, read again"
    };
    format!("{swap}; TTL {} to {}; pace {} ms", can.min_ttl, can.max_ttl, can.pace.as_millis())
}

fn not_in_zone(message: String) -> Error {
    Error::usage("notzone", message).hint("leave --zone out, or give the right one")
}

fn nothing_sent(mut error: Error) -> Error {
    error.message += "; nothing was sent, the records are as they were";
    error
}
