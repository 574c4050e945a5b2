//! What `publish` and `withdraw` share: the primary to talk to, and the one run against it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::time::Instant;

use super::proof::{self, Proof};
use super::published::Published;
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
    zone: Option<Name>,
    /// The TSIG key that signs the update: a file as tsig-keygen or keymgr -t makes it, or one line
    /// ALGORITHM:NAME:SECRET. Not needed to look only
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// For a server on another port: records at _N._ssh.HOST, good on port N alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) port: Option<u16>,
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

/// One host and the records of its keys.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Host {
    pub(in crate::cli) name: HostName,
    pub(in crate::cli) wanted: BTreeSet<Sshfp>,
}

impl Primary {
    fn state(&self) -> Result<State, Error> {
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

    fn looks_only(&self) -> bool {
        self.dry_run || self.check
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
    pub(in crate::cli) intent: Intent,
    /// Each host's failure is told in its own line.
    pub(in crate::cli) batch: bool,
}

impl Run<'_> {
    /// Reconciles all hosts, zone by zone, and reports each.
    pub(in crate::cli) async fn carry_out(
        &self,
        hosts: Vec<Host>,
        cx: &Context,
    ) -> Result<Option<Kind>, Error> {
        let Primary { server, port, .. } = *self.primary;
        let (key, state) = (self.primary.key(cx)?, self.primary.state()?);
        let times = u32::try_from(1 + hosts.len() / HOSTS_A_TIMEOUT).unwrap_or(u32::MAX);
        // One exchange may take half of it, so that a dead server leaves time to look at what was done.
        let patience = cx.timeout / 2;
        let authority = Authority { server, patience, deadline: Instant::now() + cx.timeout * times };
        let mut wishes: Vec<(HostName, Wish)> = Vec::with_capacity(hosts.len());
        for Host { name, wanted } in hosts {
            let owner =
                sshfp::owner(&name, port).map_err(|e| Error::usage("host-name", format!("{name}: {e}")))?;
            wishes.push((name, Wish { owner, wanted }));
        }
        let mut kinds = Vec::new();
        for (zone, part) in self.by_zone(&authority, wishes, cx, &mut kinds).await? {
            let folder = state.folder().display();
            cx.out.detail(&format!("zone {zone} at {server}, {} hosts, state in {folder}", part.len()));
            let backend = Arc::new(Rfc2136::new(authority, zone.clone(), key.clone(), verifier::now));
            let (names, wishes): (Vec<HostName>, Vec<Wish>) = part.into_iter().unzip();
            let run = Reconciliation { backend, state: state.clone(), intent: self.intent };
            let outcomes = match self.primary.looks_only() {
                true => run.plan(&wishes).await,
                false => run.run(&wishes).await,
            }
            .map_err(state_error)?;
            kinds.extend(self.report(&authority, &zone, &names, outcomes, cx).await?);
        }
        Ok(Kind::gravest(kinds))
    }

    /// The hosts by the zone that holds them. In a batch a host without one is told of and left out.
    async fn by_zone(
        &self,
        authority: &Authority,
        wishes: Vec<(HostName, Wish)>,
        cx: &Context,
        kinds: &mut Vec<Kind>,
    ) -> Result<BTreeMap<Name, Vec<(HostName, Wish)>>, Error> {
        let given = self.primary.zone.as_ref();
        let outside = |zone| wishes.iter().find(|(_, wish)| !wish.owner.is_at_or_below(zone));
        if let Some(((host, _), zone)) = given.and_then(|zone| Some((outside(zone)?, zone))) {
            return Err(not_in_zone(format!("{host} does not lie in zone {zone}")));
        }
        let mut zones: BTreeMap<Name, Vec<(HostName, Wish)>> = BTreeMap::new();
        let owners: Vec<Name> = wishes.iter().map(|(_, wish)| wish.owner.clone()).collect();
        let primary = *authority;
        let found =
            in_order(owners, WIDTH, |owner: Name| async move { primary.zone_of(&owner).await }).await?;
        for ((host, wish), found) in wishes.into_iter().zip(found) {
            let zone = match (found, given) {
                // A server takes records for names below a cut too, and nobody ever sees them there.
                (Ok(zone), Some(given)) if zone != *given && zone.is_at_or_below(given) => {
                    let server = authority.server;
                    Err(not_in_zone(format!("{host} lies in zone {zone} at {server}, and not in {given}")))
                }
                (Ok(zone), None) => Ok(zone),
                (Err(error @ AuthorityError::Transport(_)), _) | (Err(error), None) => {
                    Err(explain_read(error))
                }
                // Whether it serves that zone the server itself says best.
                (_, Some(given)) => Ok(given.clone()),
            };
            match zone {
                Ok(zone) => zones.entry(zone).or_default().push((host, wish)),
                Err(error) if self.batch => {
                    kinds.push(error.kind);
                    Published::failed(&host, &wish.owner, authority.server, error).print(&cx.out)?;
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
        names: &[HostName],
        outcomes: Vec<Outcome>,
        cx: &Context,
    ) -> Result<Vec<Kind>, Error> {
        let looks_only = self.primary.looks_only();
        let done: Vec<&Plan> = outcomes
            .iter()
            .filter(|outcome| outcome.error.is_none() && !looks_only)
            .filter_map(|outcome| outcome.plan.as_ref())
            .collect();
        // What this user's cache says of them is old news.
        if let Some(cache) = &cx.proofs {
            done.iter().for_each(|plan| cache.forget(&Question::new(plan.owner.clone(), RrType::SSHFP)));
        }
        let expected: Vec<_> = done.iter().map(|p| (p.owner.clone(), p.present.clone())).collect();
        let (mut seen, mut proofs) = (Vec::new(), Vec::new());
        if !done.is_empty() {
            let publishes = matches!(self.intent, Intent::Publish { .. });
            (seen, proofs) = tokio::join!(self.seen(authority, zone, &expected, cx), async {
                if publishes { proof::prove(&done, authority.deadline, cx).await } else { Vec::new() }
            });
        }
        let (mut seen, mut proofs) = (seen.into_iter(), proofs.into_iter());
        let mut kinds = Vec::new();
        let mut pending: BTreeMap<String, Vec<(String, Option<String>)>> = BTreeMap::new();
        for (host, outcome) in names.iter().zip(outcomes) {
            let mut published = Published::new(host, zone, authority.server, outcome, looks_only);
            if published.error.is_none() && !looks_only {
                published.read_back = seen.next().unwrap_or_default();
                published.proof = proofs.next().flatten();
            }
            self.warn(&published, cx);
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
            named => named.iter().copied().filter(|s| *s != authority.server).map(Server::from).collect(),
        };
        let mut seen = readback::read_back(&servers, expected, authority).await;
        seen.iter_mut().for_each(|seen| seen.insert(0, Seen::current(authority.server)));
        seen
    }

    fn warn(&self, published: &Published, cx: &Context) {
        let owner = &published.owner;
        if !published.foreign.is_empty() {
            let stay = match self.intent {
                Intent::Publish { .. } => "they stay, unless --prune is given",
                Intent::Withdraw => "they stay",
            };
            let records: Vec<String> = published.foreign.iter().map(Sshfp::to_string).collect();
            cx.out.warn(&format!(
                "{owner} has records that are not this machine's ({stay}): {}",
                records.join(", ")
            ));
        }
        if published.foreign.iter().any(|record| record.fingerprint_type() == sshfp::SHA1) {
            cx.out.warn(&format!("{owner} has SHA-1 records, which prove nothing"));
        }
        if let Some(proof) = published.proof.as_ref().filter(|proof| !proof.is_secure()) {
            let what = if proof.speaks_against() {
                "published, but clients cannot prove"
            } else {
                "pending: clients cannot yet prove"
            };
            cx.out.warn(&format!("{what} {owner}: {}", proof.message()));
        }
    }
}

fn not_in_zone(message: String) -> Error {
    Error::usage("notzone", message).hint("leave --zone out, or give the right one")
}

fn nothing_sent(mut error: Error) -> Error {
    error.message += "; nothing was sent, the records are as they were";
    error
}

fn state_error(error: StateError) -> Error {
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
