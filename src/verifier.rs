//! Evidence, a live handshake, a verdict: what `verify`, `proxy` and the demonstration share. The wall
//! clock is read here and passed down.

mod gather;
mod keys;
mod meet;
mod noted;
mod options;
mod reach;
mod survey;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::dns::cache::Cache;
use crate::dns::lookup::Lookups;
use crate::dns::resolver::Resolver;
use crate::dns::stored::Stored;
use crate::error::{Error, Kind};
use crate::log::Telling;
use crate::proto::destination::Destination;
use crate::proto::evidence::{self, Evidence, Offer};
use crate::proto::hostkey::{KeyType, Presented};
use crate::proto::message::Question;
use crate::proto::name::HostName;
use crate::proto::policy::posture::Fault;
use crate::proto::policy::{Kex, Policies, Policy, Seen};
use crate::proto::verdict::{Anchored, Reason, Verdict, decide, nothing_offered, nothing_vouches};
use crate::ssh::probe::{Handshake, KEX_METHOD, ProbeError, Probed};
use crate::trail::Trail;

use self::gather::Sought;
pub use self::keys::{NoKeys, ProvenKeys};
pub use self::meet::Opened;
pub use self::options::{Options, trust_anchors};
pub use self::reach::{Attempt, Unreachable, connect_passed};
pub use self::survey::Survey;

/// Seconds since 1970, by the wall clock. A clock before 1970 reads as 0, which proves nothing.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Verifies hosts; all of one run share zone material and one deadline.
#[derive(Debug, Clone)]
pub struct Verifier {
    lookups: Lookups,
    /// Resolvers were named: addresses come from them too.
    resolver: Option<Resolver>,
    cache: Option<Cache>,
    policies: Policies,
    /// Keys are judged of which no handshake is.
    keys_alone: bool,
    /// Where verdicts are noted.
    trail: Option<Arc<Trail>>,
    /// Where to connect in place of the addresses that a host's name has.
    address: Option<Destination>,
    /// Who is to log in, where that is known.
    login: Option<Arc<str>>,
    timeout: Duration,
    deadline: Instant,
    /// Who hears what goes on.
    telling: Telling,
}

/// What came of one host.
#[derive(Debug)]
pub struct Verification<H = Probed> {
    /// What DNS proves.
    pub evidence: Evidence,
    /// The outcome of the handshake; none if nothing is proven and so nothing was sent to the host.
    pub probed: Option<Result<H, ProbeFailure>>,
}

/// Why the host showed no key.
#[derive(Debug, thiserror::Error)]
pub enum ProbeFailure {
    /// No address, or none that answers.
    #[error("{0}")]
    Unreachable(#[from] Unreachable),
    /// The handshake failed.
    #[error("{0}")]
    Handshake(#[from] ProbeError),
}

/// When to give up, and a little earlier when lookups do: a silent resolver is to be told of as such, and
/// not as a handshake that took too long.
fn deadlines(timeout: Duration) -> (Instant, Instant) {
    let deadline = Instant::now() + timeout;
    (deadline, deadline - (timeout / 10).min(Duration::from_millis(500)))
}

/// What to ask for a host's keys; the error ends a command.
pub fn owners(host: &HostName, port: u16) -> Result<[Question; 2], Error> {
    evidence::owners(host, port)
        .map_err(|e| Error::usage("host-name", format!("{host} leaves no room for its port label: {e}")))
}

/// The witness of an accept; a reject or unproven as the error that ends a command.
pub fn accepted(verdict: Verdict) -> Result<Anchored, Error> {
    let (kind, reason) = match verdict {
        Verdict::Accept(anchored) => return Ok(anchored),
        Verdict::Reject(reason) => (Kind::Rejected, reason),
        Verdict::Unproven(reason) => (Kind::Unproven, reason),
    };
    Err(Error::new(kind, reason.code(), &reason).hint(reason.hint()))
}

impl Verifier {
    /// Reads the trust anchors, the resolver settings and the clock.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let anchors = trust_anchors(options.trust_anchor.as_deref(), options.timeout)?;
        let named = !options.resolver.is_empty();
        let found = if named { Resolver::new(options.resolver.clone()) } else { Resolver::system() };
        let resolver = match found {
            Ok(resolver) => resolver,
            // What is stored may do.
            Err(why) if options.bundle.is_some() || options.cache.is_some() => Resolver::none(&why),
            Err(why) => {
                return Err(Error::failure("no-resolver", why).hint("name one: --resolver ADDR[:PORT]"));
            }
        };
        let telling = options.telling.clone();
        telling.info(|| {
            let servers: Vec<String> = resolver.servers().map(|server| server.to_string()).collect();
            let (whose, servers) = (if named { "named" } else { "the system's" }, servers.join(", "));
            let zones: Vec<String> = anchors.zones().iter().map(|zone| zone.to_string()).collect();
            format!("resolvers ({whose}): {servers}; trust anchors of {}", zones.join(", "))
        });
        let resolver = resolver.telling(telling.clone());
        let (deadline, until) = deadlines(options.timeout);
        let (now, Options { cache, bundle, policies, timeout, .. }) = (now(), options);
        let stored = Stored::new(bundle.clone(), cache.clone(), anchors.clone(), now);
        let lookups =
            Lookups::new(resolver.clone(), anchors, now, until).with(stored).telling(telling.clone());
        let (resolver, cache, policies) = (named.then_some(resolver), cache.clone(), policies.clone());
        Ok(Verifier {
            lookups,
            resolver,
            cache,
            policies,
            keys_alone: false,
            trail: options.trail.clone(),
            address: None,
            login: None,
            timeout: *timeout,
            deadline,
            telling,
        })
    }

    /// The lookups of this run.
    pub fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// When this run gives up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is asked for besides a proof of this host's key.
    pub fn policy(&self, host: &HostName) -> Policy {
        let policy = self.policies.of(&host.to_string());
        if self.keys_alone { policy.of_key_alone() } else { policy }
    }

    /// The same for keys that are remembered: what policy asks of handshakes is left out. Nobody may connect by its verdicts.
    pub fn of_keys_alone(&self) -> Self {
        Verifier { keys_alone: true, ..self.clone() }
    }

    /// Which key exchanges are offered to the host.
    fn kex(&self, evidence: &Evidence) -> Kex {
        self.policy(evidence.host()).posture.kex
    }

    /// What the host may show to be accepted, now.
    pub fn offer(&self, evidence: &Evidence) -> Offer {
        evidence.offer(&self.policy(evidence.host()), now())
    }

    /// The types of plain key that the host may show, now.
    pub fn key_types(&self, evidence: &Evidence) -> Vec<KeyType> {
        evidence.key_types(&self.policy(evidence.host()), now())
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The same for one host of many: with all of the time for itself, and all that is proven already.
    pub fn for_one_host(&self) -> Self {
        let (deadline, until) = deadlines(self.timeout);
        Verifier { lookups: self.lookups.until(until), deadline, ..self.clone() }
    }

    /// The same by the clock as it is now, with all of the time: what is stored serves, and nothing else of this run.
    /// For who verifies again and again: a proof is made for a moment, and what it is made of is good for its TTL.
    pub fn afresh(&self) -> Self {
        let (deadline, until) = deadlines(self.timeout);
        Verifier { lookups: self.lookups.at(now(), until), deadline, ..self.clone() }
    }

    /// The same by the system's resolvers as they are now. Where resolvers were named, or the system's settings cannot
    /// be read, all stays as it is.
    pub fn with_system_resolvers(self) -> Self {
        match Resolver::system() {
            Ok(found) if self.resolver.is_none() && !found.is_same(self.lookups.resolver()) => {
                let found = found.telling(self.telling.clone());
                Verifier { lookups: self.lookups.by(found), ..self }
            }
            _ => self,
        }
    }

    /// The same for a host that is to be reached at `address`, if there is one: a hint, which vouches for nothing.
    #[must_use]
    pub fn at(self, address: Option<Destination>) -> Self {
        Verifier { address, ..self }
    }

    /// Evidence and a TCP connection, sought at the same time. There is no connection where nothing is
    /// proven: what is known is told without waiting for a host that may never answer.
    pub async fn prepare(
        &self,
        host: &HostName,
        port: u16,
    ) -> Result<(Evidence, Option<Result<TcpStream, ProbeFailure>>), Error> {
        let (evidence, reached) = self.prove_and_reach(host, port).await?;
        Ok((evidence, reached.map(|reached| reached.map(|(stream, _)| stream))))
    }

    /// The same, and whether the connection goes to where the host is said to be now.
    pub async fn prove_and_reach(
        &self,
        host: &HostName,
        port: u16,
    ) -> Result<(Evidence, Option<Result<(TcpStream, bool), ProbeFailure>>), Error> {
        self.seek_and_reach(host, port, Sought::Whole).await
    }

    /// The same with as much evidence as is sought.
    async fn seek_and_reach(
        &self,
        host: &HostName,
        port: u16,
        sought: Sought,
    ) -> Result<(Evidence, Option<Result<(TcpStream, bool), ProbeFailure>>), Error> {
        let place = Destination::Name(host.clone());
        let (mut proving, mut connecting) =
            (pin!(self.seek(host, port, sought)), pin!(self.reach(&place, port)));
        let mut stream = None;
        let evidence = loop {
            tokio::select! {
                evidence = &mut proving => break evidence?,
                connected = &mut connecting, if stream.is_none() => stream = Some(connected),
            }
        };
        if self.offer(&evidence).is_empty() {
            return Ok((evidence, None));
        }
        let stream = match stream {
            Some(connected) => connected,
            None => connecting.await,
        };
        Ok((evidence, Some(stream)))
    }

    /// The verdict on `presented`, now; `seen` is the handshake that presented it, if somebody has seen that.
    pub fn judge(&self, evidence: &Evidence, presented: &Presented, seen: Option<&Seen>) -> Verdict {
        self.by_the_clock(|now| decide(evidence, presented, seen, &self.policy(evidence.host()), now))
    }

    /// The verdict on what a host showed in a handshake of this program's own, now.
    pub fn judge_shown(&self, evidence: &Evidence, probed: &Probed) -> Verdict {
        self.judge(evidence, &probed.presented, Some(&probed.seen()))
    }

    /// The verdict on `presented`, now, and the evidence that it rests on: what is stored never refuses, then
    /// DNS is asked. CAs are asked about where a certificate is to be judged and the key in it does not suffice.
    pub async fn settle(
        &self,
        evidence: Evidence,
        presented: &Presented,
        seen: Option<&Seen>,
    ) -> Result<(Evidence, Verdict), Error> {
        let (evidence, verdict) = self.settle_by(evidence, presented, seen).await;
        let is_settled = match &verdict {
            Verdict::Accept(_) => true,
            Verdict::Reject(reason) | Verdict::Unproven(reason) => reason.is_of_handshake(),
        };
        if is_settled || !evidence.is_stored() {
            return Ok((evidence, verdict));
        }
        let live = self.live_evidence(evidence.host(), evidence.port()).await?;
        if live.is_outage() {
            return Ok((evidence, verdict));
        }
        Ok(self.settle_by(live, presented, seen).await)
    }

    async fn settle_by(
        &self,
        evidence: Evidence,
        presented: &Presented,
        seen: Option<&Seen>,
    ) -> (Evidence, Verdict) {
        let verdict = self.judge(&evidence, presented, seen);
        if matches!(verdict, Verdict::Accept(_)) || presented.certificate().is_none() {
            return (evidence, verdict);
        }
        let evidence = self.with_cas(evidence).await;
        let verdict = self.judge(&evidence, presented, seen);
        (evidence, verdict)
    }

    /// No verdict by a clock that shows less than signatures that were verified here earlier.
    fn by_the_clock(&self, verdict: impl FnOnce(u64) -> Verdict) -> Verdict {
        self.clock().map_or_else(Verdict::Unproven, verdict)
    }

    /// The time, unless the clock shows less than signatures that were verified here earlier.
    fn clock(&self) -> Result<u64, Reason> {
        let (now, not_before) = (now(), self.cache.as_ref().map_or(0, Cache::clock));
        if now < not_before { Err(Reason::Clock { now, not_before }) } else { Ok(now) }
    }

    /// The verdict on a host that was looked at, now; or why it showed no key to judge.
    pub fn verdict<'a, H: Handshake>(
        &self,
        verification: &'a Verification<H>,
    ) -> Result<Verdict, &'a ProbeFailure> {
        let Verification { evidence, probed } = verification;
        match probed {
            None => Ok(self.without_key(evidence)),
            Some(Ok(shown)) => Ok(self.judge_shown(evidence, shown.probed())),
            Some(Err(ProbeFailure::Handshake(ProbeError::NoCommonKeyType { server_offers }))) => {
                let policy = self.policy(evidence.host());
                Ok(Verdict::Reject(nothing_offered(evidence, &policy, server_offers.clone(), now())))
            }
            Some(Err(ProbeFailure::Handshake(ProbeError::NoCommonAlgorithm {
                kind: KEX_METHOD,
                server_offers,
            }))) if self.kex(evidence) == Kex::PostQuantum => {
                let fault = Fault::NoPostQuantumOffered { server_offers: server_offers.clone() };
                Ok(Verdict::Reject(Reason::Handshake { host: evidence.host().clone(), fault }))
            }
            Some(Err(failure)) => Err(failure),
        }
    }

    /// The verdict on a host for which nothing usable is proven, whatever key it might show.
    pub fn without_key(&self, evidence: &Evidence) -> Verdict {
        let policy = self.policy(evidence.host());
        self.by_the_clock(|now| Verdict::Unproven(nothing_vouches(evidence, &policy, now)))
    }
}
