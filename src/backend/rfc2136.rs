//! Dynamic updates to a zone's primary: BIND, Knot and whatever else speaks RFC 2136 with TSIG.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::{ApplyError, Backend, Capabilities, check_zone};
use crate::dns::authority::{Authority, AuthorityError};
use crate::dns::transfer::transfer;
use crate::dns::transport::{Connections, TransportError, Udp};
use crate::dns::tsig::Key;
use crate::dns::update::{self, Asked, Refusal, UpdateError};
use crate::error::Error;
use crate::fan_out::{Unfinished, in_order};
use crate::proto::name::Name;
use crate::proto::plan::{Plan, Present};
use crate::proto::transfer::Contents;

/// How many owners a hint names.
const MOST_SHOWN: usize = 3;
/// Owners whose updates are under way at a time, and least and most updates. A server does one after the other in a zone;
/// so it never waits for us, while we write the next ones and check the replies to those before.
const UNDER_WAY: usize = 200;
const CHANGES: (usize, usize) = (4, 32);
/// How many owners go into one update where they need not go together: what BIND does to sign an update grows with the
/// square of its size, so that ten thousand hosts cost it a quarter more with 400 (measured by benches/publish).
pub const BATCH: usize = 50;
/// The most that may be asked for.
pub const MAX_BATCH: usize = update::MAX_OWNERS;
/// So many owners are read by a transfer of the zone.
pub(super) const MANY: usize = 256;

/// How old a transfer may be that serves as a look at the zone.
const FRESH: Duration = Duration::from_secs(2);

/// A zone that was transferred to learn what it holds, for whoever looks at its records next: of many owners each
/// transfer takes its time.
#[derive(Debug, Clone, Default)]
pub struct Transferred(Arc<Mutex<Option<(Instant, Contents)>>>);

impl Transferred {
    fn keep(&self, contents: Contents) {
        *self.place() = Some((Instant::now(), contents));
    }

    /// Gives it away, if it is of `zone` and of now.
    fn take(&self, zone: &Name) -> Option<Contents> {
        let (when, contents) = self.place().take()?;
        (contents.zone() == zone && when.elapsed() < FRESH).then_some(contents)
    }

    fn place(&self) -> MutexGuard<'_, Option<(Instant, Contents)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One zone at its primary.
#[derive(Debug)]
pub struct Rfc2136 {
    primary: Authority,
    zone: Name,
    key: Option<Key>,
    clock: fn() -> u64,
    /// Sockets for questions.
    udp: Udp,
    /// Connections for updates.
    tcp: Connections,
    /// Most owners in one update where they need not go together.
    batch: usize,
    /// The server does not transfer the zone.
    no_transfer: AtomicBool,
    transferred: Transferred,
}

impl Rfc2136 {
    /// The zone `zone` at `primary`. Without a key it can be read alone. `clock` gives the time in
    /// seconds since 1970, which signatures carry.
    pub fn new(primary: Authority, zone: Name, key: Option<Key>, clock: fn() -> u64) -> Self {
        let (udp, tcp) = (Udp::new(primary.server), Connections::new(primary.server));
        let (no_transfer, transferred) = (AtomicBool::new(false), Transferred::default());
        Rfc2136 { primary, zone, key, clock, udp, tcp, batch: BATCH, no_transfer, transferred }
    }

    /// The same with at most `batch` owners in one update, where they need not go together.
    pub fn with_batch(self, batch: usize) -> Self {
        Rfc2136 { batch: batch.max(1), ..self }
    }

    /// The same, with what was transferred a moment ago.
    pub(super) fn with_transferred(self, transferred: Transferred) -> Self {
        Rfc2136 { transferred, ..self }
    }

    /// The zone that is updated.
    pub fn zone(&self) -> &Name {
        &self.zone
    }

    /// Whether the server takes the key for the zone. Nothing is changed.
    pub async fn try_key(&self) -> Result<(), Error> {
        let deadline = self.primary.until();
        update::try_key(self.asked()?, deadline).await.map_err(|e| plain(self.explain(e, &[])))
    }

    /// Whether the key may change SSHFP at `owner`. Nothing is changed.
    pub async fn try_rights(&self, owner: &Name) -> Result<(), Error> {
        let deadline = self.primary.until();
        let tried = update::try_rights(self.asked()?, owner, deadline).await;
        tried.map_err(|e| plain(self.explain(e, &[owner])))
    }

    fn asked(&self) -> Result<Asked<'_>, Error> {
        let Some(key) = &self.key else {
            let error = Error::usage("no-key", "an update needs a TSIG key");
            return Err(error.hint("give the key file: --key-file FILE"));
        };
        Ok(Asked { tcp: &self.tcp, zone: &self.zone, key, now: (self.clock)() })
    }

    fn explain(&self, error: UpdateError, owners: &[&Name]) -> ApplyError {
        let owner = match owners {
            [one] => one.to_string(),
            [first, ..] => format!("{first} and others"),
            [] => self.zone.to_string(),
        };
        let key = self.key.as_ref().map_or_else(String::new, |key| key.name().to_string());
        let (zone, server) = (&self.zone, self.primary.server);
        let told = |reason: &'static str| {
            let asked = format!("update of {owner} in zone {zone} with TSIG key {key}");
            Error::failure(reason, format!("{error} ({asked})"))
        };
        ApplyError::Failed(match &error {
            UpdateError::LostRace { .. } => {
                return ApplyError::LostRace(told("lost-race").hint(
                    "somebody else keeps changing these records: try again, and see who else publishes at this name",
                ));
            }
            UpdateError::Rcode { rcode: Refusal::Refused, .. } => {
                return ApplyError::Refused(told("refused").hint(self.how_to_allow(&key, owners)));
            }
            UpdateError::BadKey { .. } => {
                // A key that is asked about alone is to change nothing yet.
                let knot = match owners {
                    [] => String::new(),
                    owners => format!(
                        "; Knot says so too of a key that may not change these records: give it {}",
                        in_knot(&key, owners)
                    ),
                };
                return ApplyError::Refused(told("badkey").hint(format!(
                    "the server has no key {key}, or has it for another algorithm: compare its key statement with the \
                     key file{knot}"
                )));
            }
            UpdateError::BadSig { .. } => {
                told("badsig").hint(format!("the secret of {key} differs: copy the key file from the server again"))
            }
            UpdateError::BadTime { server_time, skew, .. } => told("badtime").hint(format!(
                "the clocks differ by {} s and 300 s are allowed: set them right by NTP (ours says {}, the server's {})",
                skew.unsigned_abs(),
                (self.clock)(),
                server_time
            )),
            UpdateError::Tsig { .. } => told("tsig").hint("see the server's log"),
            UpdateError::NotVouched { .. } => told("not-vouched").hint(
                "whatever answered does not hold the key: something on the way, or the wrong server; nothing it says counts",
            ),
            UpdateError::Rcode { rcode: Refusal::NotAuth, .. } => told("notauth").hint(format!(
                "{server} is not the primary of {zone}: give the primary as --server, and the right --zone if it was given"
            )),
            UpdateError::Rcode { rcode: Refusal::NotZone, .. } => {
                told("notzone").hint(format!("{owner} does not lie in {zone}: leave --zone out, or give the right one"))
            }
            UpdateError::Rcode { rcode: Refusal::NotImp, .. } => told("notimp").hint(
                "the server takes no dynamic updates for this zone: allow them there (BIND: update-policy, Knot: acl)",
            ),
            UpdateError::Rcode { rcode: Refusal::FormErr, .. } => {
                told("formerr").hint("the server did not understand the update: see its log, and report this")
            }
            UpdateError::Rcode { rcode: Refusal::ServFail, .. } => told("servfail").hint(
                "the server could not do it: see its log (a journal that cannot be written, a zone that is frozen)",
            ),
            UpdateError::Rcode { rcode: Refusal::Other(_), .. } => told("update-failed").hint("see the server's log"),
            UpdateError::TooLarge => told("too-large").hint("there are too many records at this name to change them at once"),
            UpdateError::Encode(_) => told("internal"),
            UpdateError::Transport(e @ TransportError::Closed(_)) => {
                return ApplyError::Unknown(unreachable(e, told(transport_reason(e))));
            }
            UpdateError::Transport(e) => unreachable(e, told(transport_reason(e))),
        })
    }
}

impl Rfc2136 {
    fn how_to_allow(&self, key: &str, owners: &[&Name]) -> String {
        let names: Vec<String> = shown(owners).map(ToString::to_string).collect();
        let grants: String = names.iter().map(|name| format!("grant {key} name {name} SSHFP; ")).collect();
        format!(
            "allow key {key} to change SSHFP at {}; BIND, in zone {}: update-policy {{ {grants}}}; Knot: {}",
            names.join(" and "),
            self.zone,
            in_knot(key, owners)
        )
    }
}

impl Backend for Rfc2136 {
    fn capabilities(&self) -> Capabilities {
        let changes = (UNDER_WAY / self.batch).clamp(CHANGES.0, CHANGES.1);
        Capabilities { changes, vouches: true, ..Capabilities::default() }
    }

    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        self.primary.sshfp_by(&self.udp, owner).await.map_err(explain_read)
    }

    /// By a transfer of the zone, if the server grants one.
    async fn read_many(&self, owners: &[Name]) -> Vec<Option<Present>> {
        if owners.len() < MANY || self.no_transfer.load(Relaxed) {
            return vec![None; owners.len()];
        }
        let contents = match self.transferred.take(&self.zone) {
            Some(contents) => Ok(contents),
            None => {
                transfer(&self.primary, &self.zone, self.key.as_ref(), owners.to_vec(), (self.clock)()).await
            }
        };
        match contents {
            Ok(mut contents) => owners.iter().map(|owner| contents.take(owner)).collect(),
            Err(_) => {
                // Servers log what they refuse: it is not asked for twice.
                self.no_transfer.store(true, Relaxed);
                vec![None; owners.len()]
            }
        }
    }

    fn fitting(&self, plans: &[Plan]) -> usize {
        update::fitting(plans.get(..self.batch).unwrap_or(plans))
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        let asked = self.asked().map_err(ApplyError::Failed)?;
        check_zone(plans, &self.zone)?;
        let sent = update::send(asked, plans, self.primary.until()).await;
        sent.map_err(|e| self.explain(e, &plans.iter().map(|plan| &plan.owner).collect::<Vec<_>>()))
    }
}

/// The owners that a hint names: a batch has many, of which one shows the form.
fn shown<'a>(owners: &'a [&Name]) -> impl Iterator<Item = &'a Name> {
    let count = if owners.len() > MOST_SHOWN { 1 } else { owners.len() };
    owners.iter().take(count).copied()
}

/// How Knot is told that a key may change SSHFP there.
fn in_knot(key: &str, owners: &[&Name]) -> String {
    let owners: Vec<String> = shown(owners).map(|name| format!("{name}.")).collect();
    format!(
        "an acl with key: {key}, action: update, update-type: [SSHFP], update-owner: name, update-owner-match: equal, \
         update-owner-name: [{}]",
        owners.join(", ")
    )
}

/// An error that comes to nothing else but its words.
fn plain(error: ApplyError) -> Error {
    match error {
        ApplyError::LostRace(error)
        | ApplyError::Unknown(error)
        | ApplyError::Refused(error)
        | ApplyError::Failed(error) => error,
    }
}

/// The zone that holds `owner` at `primary`: the one that is `given`, unless it is known that another one does.
pub(super) async fn zone_of(
    primary: &Authority,
    udp: &Udp,
    owner: &Name,
    given: Option<&Name>,
) -> Result<Name, Error> {
    match (primary.zone_by(udp, owner).await, given) {
        // A server takes records for names below a cut too, and nobody ever sees them there.
        (Ok(zone), Some(given)) if zone != *given && zone.is_at_or_below(given) => {
            let server = primary.server;
            let message = format!("{owner} lies in zone {zone} at {server}, and not in {given}");
            Err(Error::usage("notzone", message).hint("leave --zone out, or give the right one"))
        }
        (Ok(zone), None) => Ok(zone),
        (Err(error @ AuthorityError::Transport(_)), _) | (Err(error), None) => Err(explain_read(error)),
        // Whether it serves that zone the server itself says best.
        (_, Some(given)) => Ok(given.clone()),
    }
}

/// The zones of many owners, as far as one question for all that stand side by side and a transfer of the zone tell
/// them: the transfer shows what is cut off from it, the question a zone that nobody cut off. None for the others.
pub(super) async fn zones_of_many(
    primary: &Authority,
    key: Option<&Key>,
    clock: fn() -> u64,
    owners: &[Name],
    given: Option<&Name>,
    transferred: &Transferred,
) -> Result<Vec<Option<Name>>, Unfinished> {
    let mut beside: HashMap<Option<Name>, Vec<usize>> = HashMap::new();
    let mut parent = None;
    for (at, owner) in owners.iter().enumerate() {
        // As a rule it is that of the one before.
        if !parent.as_ref().is_some_and(|parent| owner.is_right_below(parent)) {
            parent = owner.parent();
        }
        beside.entry(parent.clone()).or_default().push(at);
    }
    let firsts: Vec<Name> =
        beside.values().filter_map(|places| owners.get(*places.first()?)).cloned().collect();
    let udp = Arc::new(Udp::new(primary.server));
    let found = in_order(firsts, Capabilities::default().reads, |owner| {
        let (primary, udp, given) = (*primary, udp.clone(), given.cloned());
        async move { zone_of(&primary, &udp, &owner, given.as_ref()).await }
    })
    .await?;
    let mut by_zone: BTreeMap<Name, Vec<usize>> = BTreeMap::new();
    for (zone, places) in found.into_iter().zip(beside.into_values()) {
        if let Ok(zone) = zone {
            by_zone.entry(zone).or_default().extend(places);
        }
    }
    let mut zones = vec![None; owners.len()];
    for (zone, places) in by_zone.into_iter().filter(|(_, places)| places.len() >= MANY) {
        let names = places.iter().filter_map(|at| owners.get(*at)).cloned().collect();
        let Ok(contents) = transfer(primary, &zone, key, names, clock()).await else { continue };
        for at in places {
            if let (Some(owner), Some(place)) = (owners.get(at), zones.get_mut(at))
                && contents.decides(owner)
            {
                *place = Some(zone.clone());
            }
        }
        transferred.keep(contents);
    }
    Ok(zones)
}

/// An error of a question to an authority, with what to do about it.
pub fn explain_read(error: AuthorityError) -> Error {
    let told = |reason| Error::failure(reason, &error);
    match &error {
        AuthorityError::Transport(e) => unreachable(e, told(transport_reason(e))),
        AuthorityError::Rcode { server, name, .. } => told("server-refuses").hint(format!(
            "give the zone's primary as --server; does {server} serve the zone of {name}, and to this address?"
        )),
        AuthorityError::NotAuthoritative { server, name } => told("not-authoritative").hint(format!(
            "{server} answers for others, or hands {name} on to another zone: give the primary of that zone as --server"
        )),
        AuthorityError::Alias { name, to, .. } => told("alias").hint(match to {
            Some(to) => format!("publish at {to}, if that is this machine's: clients follow the alias"),
            None => format!("publish at the name that {name} points to: clients follow the alias"),
        }),
        AuthorityError::Malformed { .. } => told("malformed-answer").hint("is that a name server?"),
        AuthorityError::NoZone { name, .. } if name.label_count() == 1 => {
            told("no-zone").hint(format!("give the whole name: {name}.example.com, say"))
        }
        AuthorityError::NoZone { server, name } => told("no-zone").hint(format!(
            "give the primary of the zone that {name} is in as --server, or the zone that {server} has: --zone ZONE"
        )),
    }
}

fn transport_reason(error: &TransportError) -> &'static str {
    match error {
        TransportError::Timeout(_) => "timeout",
        TransportError::Io(_, e) if e.kind() == std::io::ErrorKind::ConnectionRefused => "connection-refused",
        TransportError::Io(..) => "unreachable",
        TransportError::Closed(_) => "connection-closed",
        TransportError::TooLong(_) => "too-large",
    }
}

fn unreachable(error: &TransportError, told: Error) -> Error {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match error {
        TransportError::Timeout(server) => told
            .hint(format!("is {server} right, is the server up, does a firewall let UDP and TCP through?")),
        TransportError::Io(server, e) if matches!(e.kind(), UnexpectedEof | ConnectionReset | BrokenPipe) => {
            told.hint(format!("{server} closed the connection without an answer: see its log"))
        }
        TransportError::Io(server, _) => told.hint(format!("does a name server listen at {server}?")),
        TransportError::Closed(_) => told.hint("try again, and see the server's log"),
        TransportError::TooLong(_) => told,
    }
}
