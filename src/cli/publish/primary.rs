//! What `publish`, `withdraw` and `ca` share: where the records go, and the one run against it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::place::{self, PlaceArgs};
use super::published::Forms;
use super::{HOSTS_A_THREAD, published};
use crate::agent::pass::{self, Pass, Target};
use crate::agent::proof::Proof;
use crate::agent::published::Published;
use crate::agent::readback::Status;
use crate::agent::rotation::records::Spot;
use crate::agent::site::Purpose;
use crate::agent::state::{Own, State};
use crate::backend::Capabilities;
use crate::backend::site::Site;
use crate::cli::Context;
use crate::config::publishing::{Provider, Publishing};
use crate::dns::authority::Authority;
use crate::dns::dns_server;
use crate::dns::servers::{NO_ADDRESS, Server};
use crate::error::{Error, Kind};
use crate::fan_out::in_portions;
use crate::output::{Progress, Results, hosts};
use crate::proto::name::{HostName, Name};
use crate::proto::rr::Rrsig;

/// So many results are made text at a time: those of ten thousand hosts take megabytes.
const PORTION: usize = 2500;
/// A batch gets this much longer for every hundred of its hosts: the whole of `--timeout`.
const HOSTS_A_TIMEOUT: usize = 100;

#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Primary {
    #[command(flatten)]
    place: Box<PlaceArgs>,
    /// The place that the configuration names, where the command line names none.
    #[arg(skip)]
    configured: Option<Provider>,
    /// Nothing is published where clients cannot prove it.
    #[arg(skip)]
    pub(in crate::cli) require_signed: bool,
    /// Most sets in one update where they need not go together.
    #[arg(skip)]
    pub(super) batch_size: Option<u16>,
    /// What is published is what the configuration names.
    #[arg(skip)]
    pub(super) is_configured: bool,
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

impl Primary {
    pub(in crate::cli) fn state(&self) -> Result<State, Error> {
        let folder = match &self.state {
            Some(folder) => folder.clone(),
            None => State::default_folder()?,
        };
        Ok(State::at(folder))
    }

    /// What this machine has published.
    pub(in crate::cli) fn own(&self) -> Result<Own, Error> {
        Ok(self.state()?.read()?)
    }

    pub(in crate::cli) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    pub(in crate::cli) fn looks_only(&self) -> bool {
        self.dry_run || self.check
    }

    /// The command line names a place.
    pub(in crate::cli) fn names_a_place(&self) -> bool {
        self.place.place().is_some()
    }

    /// With what the configuration says, where the command line says nothing.
    pub(in crate::cli) fn or(&self, configured: &Publishing) -> Self {
        let mut primary = self.clone();
        primary.configured = Some(configured.place.clone());
        primary.require_signed |= configured.require_signed;
        primary.zone = primary.zone.or_else(|| configured.zone.clone());
        if primary.check_servers.is_empty() {
            primary.check_servers.clone_from(&configured.check_servers);
        }
        primary
    }

    /// These names at this place, for a rotation.
    pub(in crate::cli) fn spot(
        &self,
        names: Vec<HostName>,
        (port, ttl, exclusive): (Option<u16>, Option<u32>, bool),
    ) -> Result<Spot, Error> {
        let (zone, check_servers) = (self.zone.clone(), self.check_servers.clone());
        Ok(Spot { names, place: self.place()?, zone, check_servers, port, ttl, exclusive })
    }

    fn place(&self) -> Result<Provider, Error> {
        self.place.place().or_else(|| self.configured.clone()).ok_or_else(|| {
            Error::usage("usage", "where are the records kept?").hint(
                "give --server ADDR --key-file FILE (or --powerdns, --zone-file, --exec), or a [publish] table in the \
                 configuration",
            )
        })
    }

    fn open(&self, cx: &Context, purpose: Purpose, targets: usize) -> Result<Site, Error> {
        let (patience, deadline) = limits(cx, targets);
        let mut ready = crate::agent::site::open(&self.place()?, purpose, patience, deadline)?;
        if let (Some(size), Site::Rfc2136 { batch, .. }) = (self.batch_size, &mut ready.site) {
            *batch = usize::from(size);
        }
        ready.warnings.iter().for_each(|warning| cx.out.warn(warning));
        Ok(ready.site)
    }

    /// Where the records are kept, for a run over so many sets.
    pub(in crate::cli) fn site(&self, cx: &Context, targets: usize) -> Result<Site, Error> {
        self.open(cx, if self.looks_only() { Purpose::Look } else { Purpose::Change }, targets)
    }

    /// The same to be read beforehand: what is wrong with keys the run itself tells.
    pub(in crate::cli) fn site_to_read(&self, cx: &Context, targets: usize) -> Result<Site, Error> {
        self.open(cx, Purpose::Read, targets)
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
        pass::every_server(authority, zone, &self.check_servers, &cx.resolver).await
    }

    /// The options that lead to the same place, for a command that is suggested.
    pub(in crate::cli) fn place_options(&self) -> String {
        self.place().map_or_else(|_| "--server ADDR --key-file FILE".to_owned(), |p| place::options(&p))
    }

    /// The signatures over the SSHFP records at `owner`, as a name server of the zone shows them; none if nobody does.
    pub(in crate::cli) async fn signatures(
        &self,
        site: &Site,
        zone: &Name,
        owner: &Name,
        cx: &Context,
    ) -> Result<Vec<Rrsig>, Error> {
        pass::signatures(site, zone, owner, &self.check_servers, &cx.resolver).await
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
        let options = cx.options();
        let pass = Pass {
            state: self.primary.state()?,
            site: self.primary.site(cx, targets.len())?,
            zone: self.primary.zone.clone(),
            check_servers: &self.primary.check_servers,
            looks_only: self.primary.looks_only(),
            together: self.together,
            options: &options,
            prove_by_system: false,
            waits: true,
            require_signed: self.primary.require_signed,
            configured: self.primary.is_configured,
        };
        let all = targets.len();
        let progress = Mutex::new(Progress::new("published", if pass.looks_only { 0 } else { all }));
        let watched = || progress.lock().unwrap_or_else(PoisonError::into_inner);
        let zones = pass.zones(targets).await.map_err(nothing_sent)?;
        let (mut kinds, mut results, mut counts) = (Vec::new(), Results::new(cx.out), Counts::default());
        watched().clear();
        for lost in zones.lost {
            match lost.error {
                Some(error) if !self.batch => return Err(nothing_sent(error)),
                _ => kinds.extend(lost.error.as_ref().map(|error| error.kind)),
            }
            published::print(&lost, &cx.out, &mut results)?;
        }
        if self.together && zones.found.len() > 1 {
            let zones: Vec<String> = zones.found.keys().map(Name::to_string).collect();
            let message = format!("the sets lie in several zones: {}", zones.join(", "));
            let error = Error::usage("notzone", message);
            return Err(nothing_sent(error.hint("leave --zone out, or give the right one")));
        }
        for (zone, part) in zones.found {
            let can = pass.capabilities(&zone).await.map_err(nothing_sent)?;
            cx.out.detail(&format!(
                "zone {zone} at {}, {} {}, state in {}; {}",
                pass.site.label(),
                part.len(),
                if part.len() == 1 { "set" } else { "sets" },
                pass.state.folder().display(),
                capabilities(&can)
            ));
            let watch = |news| (0..news).for_each(|_| watched().step());
            let published = pass.run_watched(&zone, &part, &watch).await?;
            watched().clear();
            counts.add(&published);
            kinds.extend(self.report(&part, published, &mut results, cx)?);
        }
        results.end()?;
        if self.batch {
            cx.out.note(&counts.text(all));
        }
        Ok(Kind::gravest(kinds))
    }

    fn report(
        &self,
        targets: &[Target],
        mut all: Vec<Published>,
        results: &mut Results,
        cx: &Context,
    ) -> Result<Vec<Kind>, Error> {
        let (mut kinds, mut advice) = (Vec::new(), None);
        Published::warning_of_zone(&all).iter().for_each(|warning| cx.out.warn(warning));
        let mut pending: BTreeMap<Arc<str>, Vec<(Name, Option<String>)>> = BTreeMap::new();
        let mut targets = targets.iter();
        let forms = |part: &[Published]| Forms::of(part, &cx.out);
        in_portions(&mut all, PORTION, HOSTS_A_THREAD, forms, |part, forms| {
            for (published, form) in part.iter_mut().zip(forms?.iter()) {
                let warnings = targets.next().map(|target| published.warnings(target));
                warnings.iter().flatten().for_each(|warning| cx.out.warn(warning));
                // One update fails once: of several sets the same advice is given once.
                if let Some(error) = published.error.as_mut().filter(|_| !cx.out.json) {
                    match error.hint.is_some() && error.hint == advice {
                        true => error.hint = None,
                        false => advice = error.hint.clone(),
                    }
                }
                published::print_form(published, form, &cx.out, results)?;
                for seen in published.read_back.iter().filter(|seen| seen.status != Status::Current) {
                    let owner = (published.owner.clone(), seen.detail.clone());
                    pending.entry(seen.server.clone()).or_default().push(owner);
                }
                kinds.extend(self.kinds(published));
            }
            Ok(())
        })?;
        // A line a server: a dead one would have much to say of a large batch.
        for (server, owners) in pending {
            let Some((owner, detail)) = owners.first() else { continue };
            let others = match owners.len() - 1 {
                0 => String::new(),
                others => format!(" and {others} more"),
            };
            let detail = detail.as_deref().unwrap_or("no detail");
            let hint = match detail {
                NO_ADDRESS => {
                    " (hint: give it an address in DNS, or name the zone's servers: --check-server ADDR[:PORT])"
                }
                _ => "",
            };
            cx.out.warn(&format!("pending at {server} for {owner}{others}: {detail}{hint}"));
        }
        Ok(kinds)
    }

    /// What one set has to say about how the process ends.
    fn kinds(&self, published: &Published) -> impl Iterator<Item = Kind> {
        let failed = published.error.as_ref().map(|error| error.kind);
        let is_unproven = published.proof.as_ref().is_some_and(Proof::speaks_against);
        let is_pending = self.primary.check && published.pending;
        [failed, is_unproven.then_some(Kind::Unproven), is_pending.then_some(Kind::Pending)]
            .into_iter()
            .flatten()
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
struct Counts {
    changed: usize,
    to_change: usize,
    unchanged: usize,
}

impl Counts {
    fn add(&mut self, published: &[Published]) {
        for published in published.iter().filter(|published| published.error.is_none()) {
            match (published.changed, published.pending) {
                (true, _) => self.changed += 1,
                (false, true) => self.to_change += 1,
                (false, false) => self.unchanged += 1,
            }
        }
    }

    fn text(&self, all: usize) -> String {
        let Counts { changed, to_change, unchanged } = *self;
        let failed = all.saturating_sub(changed + to_change + unchanged);
        let parts = [
            (changed, "changed"),
            (to_change, "to change"),
            (unchanged, "as they should be"),
            (failed, "failed"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        format!("{}: {}", hosts(all), parts.join(", "))
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

fn nothing_sent(mut error: Error) -> Error {
    error.message += "; nothing was sent, the records are as they were";
    error
}
