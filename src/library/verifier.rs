//! A verifier that lives as long as its program.

use std::sync::{Arc, Mutex, PoisonError};

use russh::Preferred;

use super::{Options, Refusal};
use crate::error::Error;
use crate::proto::denial::Unproven;
use crate::proto::evidence::{Evidence, Offer};
use crate::proto::hostkey::{KeyType, Presented};
use crate::proto::message::Question;
use crate::proto::name::HostName;
use crate::proto::policy::{Kex, Posture, Seen};
use crate::proto::rr::RrType;
use crate::proto::verdict::{Reason, Verdict};
use crate::ssh::probe::{Ask, narrow};
use crate::verifier::{self, now};

/// Tells whether a key is a host's: by what DNSSEC proves at this moment, from the trust anchors down.
///
/// One is made once and used for as long as the program runs, from any number of tasks; clones share everything.
/// For each verdict the clock is read anew, and it has all of [`Options::timeout`](Options::timeout) for itself. What was
/// proven for earlier ones is proven again out of what is kept, within its TTL, and never speaks against a key: then DNS
/// is asked, whose answers count for all verdicts that begin in the same second. Trust anchors, bundle and policy are
/// those of the moment in which the verifier was made.
///
/// It needs a tokio runtime with I/O and time enabled; which one does not matter.
#[derive(Debug, Clone)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    template: verifier::Verifier,
    /// The lookups of this second, which all that begin in it share: two that need the same zone's keys ask once.
    current: Mutex<Option<verifier::Verifier>>,
}

/// What a host may show to be accepted, as it was known before it was asked: what to offer to it.
#[derive(Debug, Clone)]
pub struct Expected {
    evidence: Evidence,
    ask: Ask,
    kex: Kex,
}

impl Verifier {
    /// Reads the trust anchors. Nothing is asked yet.
    ///
    /// # Errors
    /// The file of trust anchors cannot be used.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let template = verifier::Verifier::new(&options.lasting())?;
        Ok(Verifier(Arc::new(Inner { template, current: Mutex::default() })))
    }

    /// Whether `presented` is a key of `host` for connections to `port`, now.
    ///
    /// An accept holds for this very key on this very connection: whoever keeps it keeps it no longer than
    /// [`Anchored::valid_until`](crate::Anchored::valid_until). All that goes wrong on the way is a verdict too, and none
    /// of it an accept.
    ///
    /// The caller has the key from a key exchange whose signature it has checked ([`crate::client`] does that with russh):
    /// a key alone is public, and proves nothing about who shows it. Where policy asks for more than a key (strict or
    /// post-quantum key exchange, versions), nothing is accepted here: see [`Verifier::verdict_on`].
    pub async fn verdict(&self, host: &HostName, port: u16, presented: &Presented) -> Verdict {
        self.settle(&self.run(), host, port, presented, None).await
    }

    /// The same, of a handshake whose particulars are known.
    pub async fn verdict_on(
        &self,
        host: &HostName,
        port: u16,
        presented: &Presented,
        seen: &Seen,
    ) -> Verdict {
        self.settle(&self.run(), host, port, presented, Some(seen)).await
    }

    /// The verdict on the key alone, and whether that is all that policy asks for: else nobody may go on by it.
    pub(super) async fn verdict_on_key(
        &self,
        host: &HostName,
        port: u16,
        presented: &Presented,
    ) -> (Verdict, bool) {
        let run = self.run();
        let is_all = run.policy(host).posture == Posture::default();
        (self.settle(&run.of_keys_alone(), host, port, presented, None).await, is_all)
    }

    async fn settle(
        &self,
        run: &verifier::Verifier,
        host: &HostName,
        port: u16,
        presented: &Presented,
        seen: Option<&Seen>,
    ) -> Verdict {
        let settled = match run.evidence(host, port).await {
            Ok(evidence) => run.settle(evidence, presented, seen).await,
            Err(error) => Err(error),
        };
        match settled {
            Ok((_, verdict)) => verdict,
            Err(error) => Verdict::Unproven(no_evidence(host, &error)),
        }
    }

    /// What `host` may show on `port` to be accepted, before anything is sent to it.
    ///
    /// # Errors
    /// Nothing that it could show would be accepted: always [`Refusal::Unproven`].
    pub async fn expect(&self, host: &HostName, port: u16) -> Result<Expected, Refusal> {
        let run = self.run();
        match run.evidence(host, port).await {
            Ok(evidence) => Expected::of(&run, evidence),
            Err(error) => Err(Refusal::Unproven(no_evidence(host, &error))),
        }
    }

    /// With all of the time, by the clock of this second.
    pub(super) fn run(&self) -> verifier::Verifier {
        let mut current = self.0.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(run) if run.lookups().now() == now() => run.for_one_host(),
            _ => {
                // Which resolver was last of use is known as long as the system's are the same.
                let latest = current.as_ref().unwrap_or(&self.0.template);
                let fresh = latest.afresh().with_system_resolvers();
                current.insert(fresh).clone()
            }
        }
    }
}

impl Expected {
    /// Plain keys of published types; where there are none that count, certificates.
    pub(super) fn of(run: &verifier::Verifier, evidence: Evidence) -> Result<Self, Refusal> {
        let Offer { keys, certificates } = run.offer(&evidence);
        let ask = match (keys.is_empty(), certificates.is_empty()) {
            (false, _) => Ask::Keys(keys),
            (true, false) => Ask::Certificates(certificates),
            (true, true) => {
                return Err(match run.without_key(&evidence).accepted() {
                    Err(refusal) => refusal,
                    Ok(_) => Refusal::NoKey,
                });
            }
        };
        let kex = run.policy(evidence.host()).posture.kex;
        Ok(Expected { evidence, ask, kex })
    }

    /// The same of other evidence, asking for this.
    pub(super) fn with(&self, evidence: Evidence, ask: Ask) -> Self {
        Expected { evidence, ask, kex: self.kex }
    }

    pub(super) fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    pub(super) fn ask(&self) -> &Ask {
        &self.ask
    }

    /// The key types to ask the host for, the best first; of certificates the types of the keys in them.
    pub fn key_types(&self) -> &[KeyType] {
        self.ask.types()
    }

    /// The host is to be asked for certificates, and not for plain keys.
    pub fn wants_certificate(&self) -> bool {
        matches!(self.ask, Ask::Certificates(_))
    }

    /// Makes russh ask for these and for nothing else: a server that holds several keys then shows one that can be
    /// accepted, and SHA-1 is never agreed upon. Where policy wants a post-quantum key exchange, of these as well.
    pub fn narrow(&self, preferred: &mut Preferred) {
        narrow(preferred, &self.ask, self.kex);
    }
}

/// A host name that leaves no room for its port label, which is no question to DNS.
pub(super) fn no_evidence(host: &HostName, error: &Error) -> Reason {
    let asked = Question::new(host.name().clone(), RrType::SSHFP);
    let cause = Box::new(Unproven::unanswered(asked, error.message.clone()));
    Reason::NoProof { host: host.clone(), cause }
}
