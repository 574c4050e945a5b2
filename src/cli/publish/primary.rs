//! What `publish`, `withdraw` and `ca` share: the primary to talk to, and the one run against it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::proof::{self, Proof};
use super::published::{Published, Role};
use crate::agent::readback::{self, Seen, Server, Status};
use crate::agent::reconcile::{Outcome, Reconciliation, Wish};
use crate::agent::state::{Own, State, StateError};
use crate::backend::rfc2136::{Rfc2136, explain_read};
use crate::cli::Context;
use crate::dns::authority::{Authority, AuthorityError};
use crate::dns::dns_server;
use crate::dns::resolver::Resolver;
use crate::dns::tsig::{Key, LoadError, TsigKeyError};
use crate::error::{Error, Kind};
use crate::fan_out::in_order;
use crate::proto::message::Question;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::{Intent, Plan};
use crate::proto::rr::RrType;
use crate::proto::sshfp::{self, Sshfp};
use crate::verifier;

/// How many zones are asked for at a time.
const WIDTH: usize = 32;
/// A batch gets this much longer for every hundred of its hosts: the whole of `--timeout`.
const HOSTS_A_TIMEOUT: usize = 100;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Primary {
    /// The zone's primary name server
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server)]
    server: SocketAddr,
    /// The zone [default: the one that the server names for the host]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    pub(in crate::cli) zone: Option<Name>,
    /// The TSIG key that signs the update: a file as tsig-keygen or keymgr -t makes it, or one line
    /// ALGORITHM:NAME:SECRET. Not needed to look only
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
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

    /// The server, for a run over so many sets.
    pub(in crate::cli) fn authority(&self, cx: &Context, targets: usize) -> Authority {
        let times = u32::try_from(1 + targets / HOSTS_A_TIMEOUT).unwrap_or(u32::MAX);
        // One exchange may take half of it, so that a dead server leaves time to look at what was done.
        let patience = cx.timeout / 2;
        Authority { server: self.server, patience, deadline: Instant::now() + cx.timeout * times }
    }

    /// Every server of `zone`, the primary first: those that were named, else those of its NS records.
    pub(in crate::cli) async fn servers(
        &self,
        authority: &Authority,
        zone: &Name,
        cx: &Context,
    ) -> Result<Vec<Server>, Error> {
        let others = match self.check_servers.as_slice() {
            [] => {
                let resolver = Resolver::new(cx.resolver.clone()).ok();
                readback::every_name_server(authority, zone, resolver.as_ref()).await.map_err(explain_read)?
            }
            named => self.named_servers(named),
        };
        Ok([Server::from(authority.server)].into_iter().chain(others).collect())
    }

    fn named_servers(&self, named: &[SocketAddr]) -> Vec<Server> {
        named.iter().copied().filter(|server| *server != self.server).map(Server::from).collect()
    }

    fn key(&self, cx: &Context) -> Result<Option<Key>, Error> {
        let Some(path) = &self.key_file else {
            let error = Error::usage("no-key", "an update needs a TSIG key");
            return if self.looks_only() {
                Ok(None)
            } else {
                Err(error.hint("give its file: --key-file FILE"))
            };
        };
        let (key, weaknesses) = Key::load(path).map_err(|error| {
            let told = Error::usage("key-file", format!("TSIG key file {}: {error}", path.display()));
            match error {
                // Somebody gave the key itself: it is not repeated.
                LoadError::Io(_) if path.to_str().is_some_and(|text| Key::from_text(text).is_ok()) => {
                    let message =
                        "--key-file wants a file, and not the key itself: others can read a command line";
                    Error::usage("key-file", message)
                        .hint("put it into a file of mode 0600, and make a new key")
                }
                LoadError::Key(TsigKeyError::WeakAlgorithm(_) | TsigKeyError::Algorithm(_)) => {
                    told.hint("make a key with hmac-sha256, -384 or -512: tsig-keygen -a hmac-sha256 NAME")
                }
                LoadError::Key(_) => {
                    told.hint("make a key file with tsig-keygen -a hmac-sha256 NAME, or keymgr -t NAME")
                }
                LoadError::Io(_) if !path.exists() => told.hint(format!(
                    "make one, and have the primary know it: tsig-keygen -a hmac-sha256 NAME >{}",
                    path.display()
                )),
                LoadError::Io(_) => told,
            }
        })?;
        for weakness in weaknesses {
            cx.out.warn(&format!("TSIG key file {} {weakness}", path.display()));
        }
        Ok(Some(key))
    }
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
        let (key, state) = (self.primary.key(cx)?, self.primary.state()?);
        let authority = self.primary.authority(cx, targets.len());
        let server = authority.server;
        let mut kinds = Vec::new();
        let zones = self.by_zone(&authority, targets, cx, &mut kinds).await?;
        if self.together && zones.len() > 1 {
            let zones: Vec<String> = zones.keys().map(Name::to_string).collect();
            let message = format!("the sets lie in several zones: {}", zones.join(", "));
            return Err(nothing_sent(Error::usage("notzone", message)));
        }
        for (zone, part) in zones {
            let folder = state.folder().display();
            cx.out.detail(&format!("zone {zone} at {server}, {} sets, state in {folder}", part.len()));
            let backend = Arc::new(Rfc2136::new(authority, zone.clone(), key.clone(), verifier::now));
            let wishes: Vec<Wish> = part.iter().map(|target| target.wish.clone()).collect();
            let run = Reconciliation { backend, state: state.clone(), together: self.together };
            let outcomes = match self.primary.looks_only() {
                true => run.plan(&wishes).await,
                false => run.run(&wishes).await,
            }
            .map_err(state_error)?;
            kinds.extend(self.report(&authority, &zone, &part, outcomes, cx).await?);
        }
        Ok(Kind::gravest(kinds))
    }

    /// The sets by the zone that holds them. In a batch one without a zone is told of and left out.
    async fn by_zone(
        &self,
        authority: &Authority,
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
        let primary = *authority;
        let found =
            in_order(owners, WIDTH, |owner: Name| async move { primary.zone_of(&owner).await }).await?;
        for (target, found) in targets.into_iter().zip(found) {
            let zone = match (found, given) {
                // A server takes records for names below a cut too, and nobody ever sees them there.
                (Ok(zone), Some(given)) if zone != *given && zone.is_at_or_below(given) => {
                    let server = authority.server;
                    let name = &target.name;
                    Err(not_in_zone(format!("{name} lies in zone {zone} at {server}, and not in {given}")))
                }
                (Ok(zone), None) => Ok(zone),
                (Err(error @ AuthorityError::Transport(_)), _) | (Err(error), None) => {
                    Err(explain_read(error))
                }
                // Whether it serves that zone the server itself says best.
                (_, Some(given)) => Ok(given.clone()),
            };
            match zone {
                Ok(zone) => zones.entry(zone).or_default().push(target),
                Err(error) if self.batch => {
                    kinds.push(error.kind);
                    let Target { name, wish, .. } = target;
                    Published::failed(&name, &wish.owner, authority.server, error).print(&cx.out)?;
                }
                Err(error) => return Err(nothing_sent(error)),
            }
        }
        Ok(zones)
    }

    async fn report(
        &self,
        authority: &Authority,
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
            let proving = proof::prove(&to_prove, authority.deadline, cx);
            (seen, proofs) = tokio::join!(self.seen(authority, zone, &expected, cx), proving);
        }
        let (mut seen, mut proofs) = (seen.into_iter(), proofs.into_iter());
        let (mut kinds, mut advice) = (Vec::new(), None);
        let mut pending: BTreeMap<String, Vec<(String, Option<String>)>> = BTreeMap::new();
        for (target, outcome) in targets.iter().zip(outcomes) {
            let (done, proven) = (is_done(&outcome), is_proven(target, &outcome));
            let mut published = Published::new(&target.name, zone, authority.server, outcome, looks_only);
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

    /// What the primary, which has been looked at already, and the other servers show.
    async fn seen(
        &self,
        authority: &Authority,
        zone: &Name,
        expected: &[(Name, crate::proto::plan::Present)],
        cx: &Context,
    ) -> Vec<Vec<Seen>> {
        let servers: Vec<Server> = match self.primary.check_servers.as_slice() {
            [] => {
                let resolver = Resolver::new(cx.resolver.clone()).ok();
                readback::name_servers(authority, zone, resolver.as_ref()).await
            }
            named => self.primary.named_servers(named),
        };
        let mut seen = readback::read_back(&servers, expected, authority).await;
        seen.iter_mut().for_each(|seen| seen.insert(0, Seen::current(authority.server)));
        seen
    }
}

fn not_in_zone(message: String) -> Error {
    Error::usage("notzone", message).hint("leave --zone out, or give the right one")
}

fn nothing_sent(mut error: Error) -> Error {
    error.message += "; nothing was sent, the records are as they were";
    error
}

pub(in crate::cli) fn state_error(error: StateError) -> Error {
    let told = Error::failure("state", format!("state: {error}"));
    match error {
        StateError::Io { .. } | StateError::NoFolder => told.hint("give a folder for the state that this user may write: --state DIR"),
        StateError::Malformed { path, .. } => told.hint(format!(
            "it says which records are own: mend {0}, or move it away to begin with this machine's present keys",
            path.display()
        )),
        StateError::Newer { .. } => told.hint("use the sshanchor that wrote it, or one at least as new"),
        StateError::Untrusted(untrusted) => told.hint(format!(
            "look whether it was changed, then {}; or give another folder: --state DIR", untrusted.hint()
        )),
        StateError::Locked(_) => told.hint("wait until the other run has ended"),
    }
}
