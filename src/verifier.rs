//! Evidence, a live handshake, a verdict: what `verify`, `proxy` and the demonstration share. The wall
//! clock is read here and passed down.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::dns::anchors::AnchorFileError;
use crate::dns::lookup::Lookups;
use crate::dns::resolver::Resolver;
use crate::dns::{addresses, anchors};
use crate::error::{Error, Kind};
use crate::proto::evidence::{self, Evidence};
use crate::proto::hostkey::{KeyType, Presented};
use crate::proto::message::Question;
use crate::proto::name::HostName;
use crate::proto::policy::{Policies, Policy};
use crate::proto::verdict::{Anchored, Reason, Verdict, decide, nothing_offered, nothing_vouches};
use crate::ssh::probe::{ProbeError, Probed, probe};

/// Longest wait for one of several addresses before the next is tried.
const ADDRESS_WAIT: Duration = Duration::from_secs(3);
/// Addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;

/// Whom to ask, whom to trust, how long to wait.
#[derive(Debug, Clone)]
pub struct Options {
    /// Resolvers; empty means the system's.
    pub resolver: Vec<SocketAddr>,
    /// A file of trust anchors; none means the built-in root keys.
    pub trust_anchor: Option<PathBuf>,
    /// For everything together.
    pub timeout: Duration,
    /// What is asked for besides a proof, by host.
    pub policies: Policies,
}

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
    policies: Policies,
    timeout: Duration,
    deadline: Instant,
}

/// What came of one host.
#[derive(Debug)]
pub struct Verification {
    /// What DNS proves.
    pub evidence: Evidence,
    /// The outcome of the handshake; none if nothing is proven and so nothing was sent to the host.
    pub probed: Option<Result<Probed, ProbeFailure>>,
}

/// Why the host showed no key.
#[derive(Debug, thiserror::Error)]
pub enum ProbeFailure {
    /// No address, or none that answers.
    #[error("{0}")]
    Unreachable(String),
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
        let anchors = anchors::load(options.trust_anchor.as_deref()).map_err(|e| {
            let hint = match &e {
                AnchorFileError::Content(..) => {
                    "dig ZONE DNSKEY prints such lines; compare them with what the zone's owner says before you trust them"
                }
                AnchorFileError::Io(..) | AnchorFileError::TooLarge(_) => {
                    "want a file of DNSKEY or DS lines that this user can read; without --trust-anchor and SSHANCHOR_TRUST_ANCHOR \
                     the root keys that are built in count"
                }
            };
            Error::usage("trust-anchor", e).hint(hint)
        })?;
        let named = !options.resolver.is_empty();
        let resolver = if named { Resolver::new(options.resolver.clone()) } else { Resolver::system() }
            .map_err(|e| Error::failure("no-resolver", e).hint("name one: --resolver ADDR[:PORT]"))?;
        let (deadline, until) = deadlines(options.timeout);
        let lookups = Lookups::new(resolver.clone(), anchors, now(), until);
        let (resolver, policies) = (named.then_some(resolver), options.policies.clone());
        Ok(Verifier { lookups, resolver, policies, timeout: options.timeout, deadline })
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
        self.policies.of(&host.to_string())
    }

    /// The key types that the host may show, now.
    pub fn key_types(&self, evidence: &Evidence) -> Vec<KeyType> {
        evidence.key_types(&self.policy(evidence.host()), now())
    }

    /// Everything that DNS proves about a host's keys.
    pub async fn evidence(&self, host: &HostName, port: u16) -> Result<Evidence, Error> {
        let [at_host, at_port] = owners(host, port)?;
        let (host_keys, port_keys) = tokio::join!(self.lookups.prove(&at_host), self.lookups.prove(&at_port));
        Ok(Evidence::new(host.clone(), port, host_keys, port_keys))
    }

    /// The same for one host of many: with all of the time for itself, and all that is proven already.
    pub fn for_one_host(&self) -> Self {
        let (deadline, until) = deadlines(self.timeout);
        Verifier { lookups: self.lookups.until(until), deadline, ..self.clone() }
    }

    /// Evidence and a TCP connection, sought at the same time. There is no connection where nothing is
    /// proven: what is known is told without waiting for a host that may never answer.
    pub async fn prepare(
        &self,
        host: &HostName,
        port: u16,
    ) -> Result<(Evidence, Option<Result<TcpStream, ProbeFailure>>), Error> {
        let (mut proving, mut connecting) = (pin!(self.evidence(host, port)), pin!(self.connect(host, port)));
        let mut stream = None;
        let evidence = loop {
            tokio::select! {
                evidence = &mut proving => break evidence?,
                connected = &mut connecting, if stream.is_none() => stream = Some(connected),
            }
        };
        if self.key_types(&evidence).is_empty() {
            return Ok((evidence, None));
        }
        let stream = match stream {
            Some(connected) => connected,
            None => connecting.await,
        };
        Ok((evidence, Some(stream)))
    }

    /// A key exchange with the host, judged by nobody yet. Nothing is sent to a host for which no key
    /// is proven.
    pub async fn verify(&self, host: &HostName, port: u16) -> Result<Verification, Error> {
        let (evidence, stream) = self.prepare(host, port).await?;
        let probed = match stream {
            None => None,
            Some(Err(failure)) => Some(Err(failure)),
            Some(Ok(stream)) => Some(self.probe(&evidence, stream).await.map_err(ProbeFailure::from)),
        };
        Ok(Verification { evidence, probed })
    }

    /// Learns a key of a published type. SSHFP does not tell the ECDSA curves apart (RFC 6594), and
    /// a server may hold keys on several of which one is published: the other curves are asked for as well
    /// before a mismatch is the last word.
    async fn probe(&self, evidence: &Evidence, stream: TcpStream) -> Result<Probed, ProbeError> {
        let mut offer = self.key_types(evidence);
        let first = probe(stream, &offer, self.deadline).await?;
        let mut shown = first.presented.key().key_type();
        offer.retain(|t| t.sshfp_algorithm() == shown.sshfp_algorithm());
        if !self.is_mismatch(evidence, &first) {
            return Ok(first);
        }
        loop {
            offer.retain(|t| *t != shown);
            if offer.is_empty() {
                return Ok(first);
            }
            let Ok(stream) = self.connect(evidence.host(), evidence.port()).await else { return Ok(first) };
            match probe(stream, &offer, self.deadline).await {
                Ok(other) if self.is_mismatch(evidence, &other) => shown = other.presented.key().key_type(),
                Ok(other) => return Ok(other),
                Err(_) => return Ok(first),
            }
        }
    }

    fn is_mismatch(&self, evidence: &Evidence, probed: &Probed) -> bool {
        matches!(self.judge(evidence, &probed.presented), Verdict::Reject(Reason::KeyMismatch { .. }))
    }

    /// The verdict on `presented`, now.
    pub fn judge(&self, evidence: &Evidence, presented: &Presented) -> Verdict {
        decide(evidence, presented, &self.policy(evidence.host()), now())
    }

    /// The verdict on a host that was looked at, now; or why it showed no key to judge.
    pub fn verdict<'a>(&self, verification: &'a Verification) -> Result<Verdict, &'a ProbeFailure> {
        let Verification { evidence, probed } = verification;
        match probed {
            None => Ok(self.without_key(evidence)),
            Some(Ok(probed)) => Ok(self.judge(evidence, &probed.presented)),
            Some(Err(ProbeFailure::Handshake(ProbeError::NoCommonKeyType { server_offers }))) => {
                let policy = self.policy(evidence.host());
                Ok(Verdict::Reject(nothing_offered(evidence, &policy, server_offers.clone(), now())))
            }
            Some(Err(failure)) => Err(failure),
        }
    }

    /// The verdict on a host for which nothing usable is proven, whatever key it might show.
    pub fn without_key(&self, evidence: &Evidence) -> Verdict {
        Verdict::Unproven(nothing_vouches(evidence, &self.policy(evidence.host()), now()))
    }

    /// A TCP connection to the first address that answers, with TCP_NODELAY.
    pub async fn connect(&self, host: &HostName, port: u16) -> Result<TcpStream, ProbeFailure> {
        let found = addresses::of(self.resolver.as_ref(), host.name(), self.deadline).await;
        let found = found.map(|ips| ips.into_iter().map(|ip| SocketAddr::from((ip, port))).collect());
        connect_any(&host.to_string(), port, found, self.deadline).await
    }
}

/// A TCP connection to a host that policy passes, with TCP_NODELAY: a name that the named `resolvers` may not know,
/// though the system does (/etc/hosts), or an address. Nothing else that verifying takes has to be there.
pub async fn connect_passed(
    resolvers: &[SocketAddr],
    timeout: Duration,
    host: &str,
    port: u16,
) -> Result<TcpStream, ProbeFailure> {
    let (deadline, half) = (Instant::now() + timeout, Instant::now() + timeout / 2);
    let known = match (Resolver::new(resolvers.to_vec()), HostName::parse(host)) {
        (Ok(resolver), Ok(name)) => {
            addresses::of(Some(&resolver), name.name(), half).await.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let found = match known.is_empty() {
        false => Ok(known.into_iter().map(|ip| SocketAddr::from((ip, port))).collect()),
        true => within(deadline, tokio::net::lookup_host((host, port))).await.map(Iterator::collect),
    };
    connect_any(host, port, found, deadline).await
}

async fn connect_any(
    host: &str,
    port: u16,
    found: Result<Vec<SocketAddr>, String>,
    deadline: Instant,
) -> Result<TcpStream, ProbeFailure> {
    let unreachable =
        |why: String| ProbeFailure::Unreachable(format!("cannot reach {host} port {port}: {why}"));
    let addresses = found.map_err(|why| unreachable(format!("no address: {why}")))?;
    let mut trouble = "it has no address".to_owned();
    let mut left = addresses.len().min(MAX_ADDRESSES);
    for address in addresses.into_iter().take(MAX_ADDRESSES) {
        left -= 1;
        // The last one has all the time there is.
        let until = if left == 0 { deadline } else { deadline.min(Instant::now() + ADDRESS_WAIT) };
        match within(until, TcpStream::connect(address)).await {
            Ok(stream) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(e) => trouble = format!("{address}: {e}"),
            },
            Err(why) => trouble = format!("{address}: {why}"),
        }
    }
    Err(unreachable(trouble))
}

async fn within<T>(until: Instant, work: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match timeout_at(until, work).await {
        Ok(outcome) => outcome.map_err(|e| e.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}
