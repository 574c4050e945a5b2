//! Handshakes: until there is nothing more to be learnt of a host's key, and on from there where it is accepted.

use tokio::net::TcpStream;

use super::gather::Sought;
use super::{ProbeFailure, Verification, Verifier};
use crate::error::Error;
use crate::proto::evidence::Evidence;
use crate::proto::hostkey::KeyType;
use crate::proto::name::HostName;
use crate::proto::policy::Kex;
use crate::proto::verdict::{Reason, Verdict};
use crate::ssh::client::{Session, Unjudged};
use crate::ssh::probe::{Ask, Handshake, ProbeError};

/// What came of one host to which a session is wanted.
#[derive(Debug)]
pub struct Opened {
    /// What is proven, and what the host showed.
    pub verification: Verification,
    /// The verdict on it; none if the host showed no key to judge.
    pub verdict: Option<Verdict>,
    /// Where the verdict is an accept, the very connection that it is about.
    pub session: Option<Session>,
}

impl Verifier {
    /// A key exchange with the host, judged by nobody yet. Nothing is sent to a host for which no key
    /// is proven. What is stored may accept, and never refuses: then DNS is asked, and the host if need be.
    pub async fn verify(&self, host: &HostName, port: u16) -> Result<Verification, Error> {
        self.meet(host, port, Sought::Enough).await
    }

    /// The same, and a session over the connection whose handshake is accepted. A host that is not is told so, and
    /// left. Nothing about a user is sent, and the verdict is noted in the trail.
    pub async fn open(&self, host: &HostName, port: u16) -> Result<Opened, Error> {
        let Verification { evidence, probed } = self.meet::<Unjudged>(host, port, Sought::Enough).await?;
        let (probed, unjudged) = match probed {
            Some(Ok(unjudged)) => (Some(Ok(unjudged.probed().clone())), Some(unjudged)),
            Some(Err(failure)) => (Some(Err(failure)), None),
            None => (None, None),
        };
        let verification = Verification { evidence, probed };
        let verdict = self.verdict(&verification).ok();
        if let Err(error) = self.note(&verification, verdict.as_ref()) {
            if let Some(unjudged) = unjudged {
                unjudged.refuse(self.deadline).await;
            }
            return Err(error);
        }
        let session = match (unjudged, &verdict) {
            (Some(unjudged), Some(Verdict::Accept(anchored))) => {
                Some(unjudged.accept(anchored.clone()).map_err(|e| Error::failure("internal", e))?)
            }
            (Some(unjudged), _) => {
                unjudged.refuse(self.deadline).await;
                None
            }
            (None, _) => None,
        };
        Ok(Opened { verification, verdict, session })
    }

    /// A key exchange with the host, judged by nobody yet: its outcome is kept as `H`.
    pub(super) async fn meet<H: Handshake>(
        &self,
        host: &HostName,
        port: u16,
        sought: Sought,
    ) -> Result<Verification<H>, Error> {
        let (evidence, reached) = self.seek_and_reach(host, port, sought).await?;
        // The host may have moved, and another one have its address.
        let may_have_moved = matches!(reached, Some(Ok((_, false))));
        let stream = reached.map(|reached| reached.map(|(stream, _)| stream));
        let first = self.shake_hands(evidence, stream).await;
        match self.verdict(&first) {
            Ok(Verdict::Accept(_)) | Err(_) => return Ok(first),
            Ok(Verdict::Reject(reason)) if reason.is_of_handshake() => return Ok(first),
            Ok(_) => {}
        }
        if may_have_moved {
            self.forget_addresses(host);
        }
        let evidence = match first.evidence.is_stored() {
            true => self.live_evidence(host, port).await?,
            false if first.evidence.port_is_open() => {
                let (evidence, adds_keys) = self.with_port(first.evidence.clone()).await?;
                if !adds_keys && !may_have_moved {
                    return Ok(Verification { evidence, ..first });
                }
                evidence
            }
            false if may_have_moved => first.evidence.clone(),
            false => return Ok(first),
        };
        let stream = match &first.probed {
            _ if evidence.is_outage() => return Ok(first),
            Some(Ok(probed))
                if matches!(self.judge_shown(&evidence, probed.probed()), Verdict::Accept(_)) =>
            {
                return Ok(Verification { evidence, ..first });
            }
            _ if self.offer(&evidence).is_empty() => None,
            seen => match (self.connect(host, port).await, seen) {
                (Err(_), Some(Ok(_))) => return Ok(Verification { evidence, ..first }),
                (connected, _) => Some(connected),
            },
        };
        Ok(self.shake_hands(evidence, stream).await)
    }

    /// A handshake for plain keys of published types; and where that does not come to an accept, or there are none, one
    /// for certificates, if a CA may vouch.
    async fn shake_hands<H: Handshake>(
        &self,
        evidence: Evidence,
        stream: Option<Result<TcpStream, ProbeFailure>>,
    ) -> Verification<H> {
        let stream = match stream {
            None => return Verification { evidence, probed: None },
            Some(Err(failure)) => return Verification { evidence, probed: Some(Err(failure)) },
            Some(Ok(stream)) => stream,
        };
        let (offer, kex) = (self.offer(&evidence), self.kex(&evidence));
        if offer.keys.is_empty() {
            let probed =
                self.shake::<H>(&evidence, stream, &Ask::Certificates(offer.certificates), kex).await;
            return Verification { evidence, probed: Some(probed.map_err(ProbeFailure::from)) };
        }
        let probed = self.probe(&evidence, stream, offer.keys).await.map_err(ProbeFailure::from);
        let first = Verification { evidence, probed: Some(probed) };
        match self.verdict(&first) {
            Ok(Verdict::Reject(reason)) if !reason.is_of_handshake() => self.try_certificate(first).await,
            _ => first,
        }
    }

    /// What the host showed is none of the keys that are published: it may hold a certificate.
    async fn try_certificate<H: Handshake>(&self, first: Verification<H>) -> Verification<H> {
        let evidence = self.with_cas(first.evidence.clone()).await;
        let certificates = self.offer(&evidence).certificates;
        if certificates.is_empty() {
            return Verification { evidence, ..first };
        }
        let Ok(stream) = self.connect(evidence.host(), evidence.port()).await else { return first };
        let (ask, kex) = (Ask::Certificates(certificates), self.kex(&evidence));
        match self.shake::<H>(&evidence, stream, &ask, kex).await {
            Ok(shown) => Verification { evidence, probed: Some(Ok(shown)) },
            Err(_) => first,
        }
    }

    /// Learns a key of a published type. SSHFP does not tell the ECDSA curves apart (RFC 6594), and
    /// a server may hold keys on several of which one is published: the other curves are asked for as well
    /// before a mismatch is the last word.
    async fn probe<H: Handshake>(
        &self,
        evidence: &Evidence,
        stream: TcpStream,
        types: Vec<KeyType>,
    ) -> Result<H, ProbeError> {
        let (mut ask, kex) = (types, self.kex(evidence));
        let first = self.shake::<H>(evidence, stream, &Ask::Keys(ask.clone()), kex).await?;
        let mut shown = first.probed().presented.key().key_type();
        ask.retain(|t| t.sshfp_algorithm() == shown.sshfp_algorithm());
        if !self.is_mismatch(evidence, &first) {
            return Ok(first);
        }
        loop {
            ask.retain(|t| *t != shown);
            if ask.is_empty() {
                return Ok(first);
            }
            let Ok(stream) = self.connect(evidence.host(), evidence.port()).await else { return Ok(first) };
            match self.shake::<H>(evidence, stream, &Ask::Keys(ask.clone()), kex).await {
                Ok(other) if self.is_mismatch(evidence, &other) => {
                    shown = other.probed().presented.key().key_type();
                }
                Ok(other) => return Ok(other),
                Err(_) => return Ok(first),
            }
        }
    }

    /// One handshake.
    async fn shake<H: Handshake>(
        &self,
        evidence: &Evidence,
        stream: TcpStream,
        ask: &Ask,
        kex: Kex,
    ) -> Result<H, ProbeError> {
        let outcome = H::shake(stream, ask, kex, self.deadline).await;
        self.telling.info(|| {
            let (host, port) = (evidence.host(), evidence.port());
            match &outcome {
                Ok(shown) => format!("{host}:{port} shows {}", shown.probed().told()),
                Err(error) => format!("{host}:{port}: no handshake for {}: {error}", ask.told()),
            }
        });
        outcome
    }

    fn is_mismatch(&self, evidence: &Evidence, shown: &impl Handshake) -> bool {
        matches!(self.judge_shown(evidence, shown.probed()), Verdict::Reject(Reason::KeyMismatch { .. }))
    }
}
