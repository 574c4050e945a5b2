//! Connections with [russh](crate::russh) that go on only if DNSSEC proves the host's key.
//!
//! [`connect`] does all of it. [`guard`] is for programs that make the connection themselves: over a stream of their own, or
//! with russh's own `connect`. Both put a handler of the program's behind the verdict ([`Guarded`]).
//!
//! Nothing about a user is sent before the accept: authentication is the program's, on the handle that it gets
//! afterwards.

mod error;
mod guard;

use std::sync::Arc;

use russh::client::{Config, Handle, Handler};
use russh::{SshId, client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

pub use self::error::Error;
pub use self::guard::{Guarded, Outcome, guard};
use self::guard::{take, waiting};
use super::verifier::no_evidence;
use super::{Expected, Refusal, Verifier};
use crate::proto::destination::Destination;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::KeyType;
use crate::proto::name::HostName;
use crate::proto::verdict::{Anchored, Reason};
use crate::ssh::probe::{Ask, no_common};
use crate::ssh::stream::Tethered;
use crate::verifier::{self, ProbeFailure, Verification};

pub use crate::verifier::{Attempt, Unreachable};

/// A connection to a host whose key is accepted.
#[non_exhaustive]
pub struct Connected<H: Handler> {
    /// The connection, on which nobody has logged in.
    pub handle: Handle<Guarded<H>>,
    /// The witness: what was accepted, and what that rests on.
    pub anchored: Anchored,
}

/// Connects to `host` on `port`, proves its key, and hands the connection to `handler` if that is accepted.
///
/// DNS is asked while the TCP connection is made. Where nothing is proven, nothing is sent to the host. It is asked for
/// keys of published types alone, whatever `config` prefers (its other preferences stay); a host that shows none of them
/// is asked again for certificates, where a CA may vouch, as `sshanchor verify` does. TCP_NODELAY is set.
///
/// # Errors
/// [`Error::Refused`] where the key is not accepted; its [`Refusal`] says why, and what to do. All in all it takes no
/// longer than [`Options::timeout`](crate::Options::timeout).
pub async fn connect<H>(
    verifier: &Verifier,
    config: Config,
    host: &HostName,
    port: u16,
    handler: H,
) -> Result<Connected<H>, Error<H::Error>>
where
    H: Handler + 'static,
{
    let run = verifier.run();
    let found = run.prove_and_reach(host, port).await;
    let (evidence, reached) = found.map_err(|e| Refusal::Unproven(no_evidence(host, &e)))?;
    let mut next =
        Next { run: &run, expected: Expected::of(&run, evidence)?, asked: Vec::new(), moved: false };
    let (mut reached, mut handler, mut first) = (reached, handler, None::<Refusal>);
    loop {
        let stream = match reached.take() {
            Some(reached) => reached,
            None => run.reach(&Destination::Name(host.clone()), port).await,
        };
        let (stream, is_current) = match stream {
            Ok(found) => found,
            Err(failure) => {
                return Err(match (first, failure) {
                    (Some(refusal), _) => Error::Refused(refusal),
                    (None, ProbeFailure::Unreachable(unreachable)) => Error::Unreachable(unreachable),
                    (None, ProbeFailure::Handshake(_)) => Error::Timeout,
                });
            }
        };
        let _ = stream.set_nodelay(true);
        let ask = next.expected.ask().clone();
        let (guarded, outcome, waiting) = waiting(verifier, host, port, handler);
        let error =
            match exchange(copy(&config, &next.expected), stream, guarded, &outcome, run.deadline()).await {
                Ok(connected) => return Ok(connected),
                Err(error) => error,
            };
        let refusal = match &error {
            Error::Refused(refusal) => refusal.clone(),
            Error::Ssh(ssh) => match no_key(&run, next.expected.evidence(), ssh) {
                Some(refusal) => refusal,
                None => return Err(first.map_or(error, Error::Refused)),
            },
            _ => return Err(first.map_or(error, Error::Refused)),
        };
        let goes_on = next.after(&refusal, ask, is_current).await;
        let refusal = first.get_or_insert(refusal).clone();
        match (take(&waiting), goes_on) {
            (Some(unused), true) => handler = unused,
            _ => return Err(Error::Refused(refusal)),
        }
    }
}

/// The same over a stream that leads to the host: through a jump host, say. It is asked once, for what `expected` says.
///
/// # Errors
/// As [`connect`].
pub async fn connect_stream<H, S>(
    verifier: &Verifier,
    config: Config,
    expected: &Expected,
    stream: S,
    handler: H,
) -> Result<Connected<H>, Error<H::Error>>
where
    H: Handler + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (host, port) = (expected.evidence().host(), expected.evidence().port());
    let (guarded, outcome) = guard(verifier, host, port, handler);
    let deadline = verifier.run().deadline();
    exchange(copy(&config, expected), stream, guarded, &outcome, deadline).await
}

/// One key exchange, at whose end the key is accepted.
async fn exchange<H, S>(
    config: Config,
    stream: S,
    guarded: Guarded<H>,
    outcome: &Outcome,
    deadline: Instant,
) -> Result<Connected<H>, Error<H::Error>>
where
    H: Handler + 'static,
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // What russh has started ends with the tether, if that is dropped before it is let go.
    let (stream, tether) = Tethered::new(stream);
    let connecting = client::connect_stream(Arc::new(config), stream, guarded);
    let handle = timeout_at(deadline, connecting).await.map_err(|_| Error::Timeout)??;
    let anchored = outcome.confirm(&handle)?;
    tether.let_go();
    Ok(Connected { handle, anchored })
}

/// The verdict on a host with which nothing could be agreed upon that it may be accepted by.
fn no_key(run: &verifier::Verifier, evidence: &Evidence, error: &russh::Error) -> Option<Refusal> {
    let failure = ProbeFailure::Handshake(no_common(error)?);
    let verification: Verification = Verification { evidence: evidence.clone(), probed: Some(Err(failure)) };
    run.verdict(&verification).ok()?.accepted().err()
}

/// What to ask a host for that was refused.
struct Next<'a> {
    run: &'a verifier::Verifier,
    expected: Expected,
    asked: Vec<Ask>,
    moved: bool,
}

impl Next<'_> {
    /// Whether there is anything else to ask for after `refusal` of what `ask` brought.
    async fn after(&mut self, refusal: &Refusal, ask: Ask, is_current: bool) -> bool {
        let Refusal::Rejected(reason) = refusal else { return false };
        let (run, host, port) =
            (self.run, self.expected.evidence().host().clone(), self.expected.evidence().port());
        if !is_current && !std::mem::replace(&mut self.moved, true) {
            // The host may have moved, and another one have its address.
            run.forget_addresses(&host);
            return true;
        }
        let shown = shown(reason);
        self.asked.push(ask);
        // SSHFP does not tell the ECDSA curves apart (RFC 6594): the host may hold a key on another one.
        if let (Some(shown), Some(Ask::Keys(types))) = (shown, self.asked.last()) {
            let alike = |t: &KeyType| *t != shown && t.sshfp_algorithm() == shown.sshfp_algorithm();
            let others: Vec<KeyType> = types.iter().copied().filter(alike).collect();
            if !others.is_empty() && self.ask_for(Ask::Keys(others)) {
                return true;
            }
        }
        let mut evidence = self.expected.evidence().clone();
        // What is stored never refuses.
        if evidence.is_stored()
            && let Ok(live) = run.live_evidence(&host, port).await
            && !live.is_outage()
        {
            evidence = live;
            match Expected::of(run, evidence.clone()) {
                Ok(expected) if !self.asked.contains(expected.ask()) => {
                    self.expected = expected;
                    return true;
                }
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        let evidence = run.with_cas(evidence).await;
        let certificates = run.offer(&evidence).certificates;
        self.expected = self.expected.with(evidence, self.expected.ask().clone());
        !certificates.is_empty() && self.ask_for(Ask::Certificates(certificates))
    }

    /// True if that is new.
    fn ask_for(&mut self, ask: Ask) -> bool {
        let is_new = !self.asked.contains(&ask);
        self.expected = self.expected.with(self.expected.evidence().clone(), ask);
        is_new
    }
}

/// The type of the key that does not match, where its records do not tell types apart.
fn shown(reason: &Reason) -> Option<KeyType> {
    match reason {
        Reason::KeyMismatch { presented, .. } => Some(presented.key_type()),
        _ => None,
    }
}

/// The same configuration, which asks for what is expected alone.
fn copy(config: &Config, expected: &Expected) -> Config {
    let mut preferred = config.preferred.clone();
    expected.narrow(&mut preferred);
    Config {
        client_id: match &config.client_id {
            SshId::Standard(id) => SshId::Standard(id.clone()),
            SshId::Raw(id) => SshId::Raw(id.clone()),
        },
        limits: config.limits.clone(),
        gex: config.gex.clone(),
        preferred,
        ..*config
    }
}
