//! Handshakes: until there is nothing more to be learnt of a host's key, and on from there where it is accepted.

use tokio::net::TcpStream;

use super::{ProbeFailure, Verification, Verifier};
use crate::error::Error;
use crate::proto::evidence::Evidence;
use crate::proto::name::HostName;
use crate::proto::verdict::{Reason, Verdict};
use crate::ssh::client::{Session, Unjudged};
use crate::ssh::probe::{Handshake, ProbeError};

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
        self.meet(host, port).await
    }

    /// The same, and a session over the connection whose handshake is accepted. A host that is not is told so, and
    /// left. Nothing about a user is sent.
    pub async fn open(&self, host: &HostName, port: u16) -> Result<Opened, Error> {
        let Verification { evidence, probed } = self.meet::<Unjudged>(host, port).await?;
        let (probed, unjudged) = match probed {
            Some(Ok(unjudged)) => (Some(Ok(unjudged.probed().clone())), Some(unjudged)),
            Some(Err(failure)) => (Some(Err(failure)), None),
            None => (None, None),
        };
        let verification = Verification { evidence, probed };
        let verdict = self.verdict(&verification).ok();
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
    async fn meet<H: Handshake>(&self, host: &HostName, port: u16) -> Result<Verification<H>, Error> {
        let (evidence, reached) = self.prove_and_reach(host, port).await?;
        // The host may have moved, and another one have its address.
        let may_have_moved = matches!(reached, Some(Ok((_, false))));
        let stream = reached.map(|reached| reached.map(|(stream, _)| stream));
        let first = self.shake_hands(evidence, stream).await;
        if matches!(self.verdict(&first), Ok(Verdict::Accept(_)) | Err(_)) {
            return Ok(first);
        }
        if may_have_moved {
            self.forget_addresses(host);
        }
        let evidence = match first.evidence.is_stored() {
            true => self.live_evidence(host, port).await?,
            false if may_have_moved => first.evidence.clone(),
            false => return Ok(first),
        };
        let stream = match &first.probed {
            _ if evidence.is_outage() => return Ok(first),
            Some(Ok(probed))
                if matches!(self.judge(&evidence, &probed.probed().presented), Verdict::Accept(_)) =>
            {
                return Ok(Verification { evidence, ..first });
            }
            _ if self.key_types(&evidence).is_empty() => None,
            seen => match (self.connect(host, port).await, seen) {
                (Err(_), Some(Ok(_))) => return Ok(Verification { evidence, ..first }),
                (connected, _) => Some(connected),
            },
        };
        Ok(self.shake_hands(evidence, stream).await)
    }

    async fn shake_hands<H: Handshake>(
        &self,
        evidence: Evidence,
        stream: Option<Result<TcpStream, ProbeFailure>>,
    ) -> Verification<H> {
        let probed = match stream {
            None => None,
            Some(Err(failure)) => Some(Err(failure)),
            Some(Ok(stream)) => Some(self.probe(&evidence, stream).await.map_err(ProbeFailure::from)),
        };
        Verification { evidence, probed }
    }

    /// Learns a key of a published type. SSHFP does not tell the ECDSA curves apart (RFC 6594), and
    /// a server may hold keys on several of which one is published: the other curves are asked for as well
    /// before a mismatch is the last word.
    async fn probe<H: Handshake>(&self, evidence: &Evidence, stream: TcpStream) -> Result<H, ProbeError> {
        let mut offer = self.key_types(evidence);
        let first = H::shake(stream, &offer, self.deadline).await?;
        let mut shown = first.probed().presented.key().key_type();
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
            match H::shake(stream, &offer, self.deadline).await {
                Ok(other) if self.is_mismatch(evidence, &other) => {
                    shown = other.probed().presented.key().key_type();
                }
                Ok(other) => return Ok(other),
                Err(_) => return Ok(first),
            }
        }
    }

    fn is_mismatch(&self, evidence: &Evidence, shown: &impl Handshake) -> bool {
        matches!(self.judge(evidence, &shown.probed().presented), Verdict::Reject(Reason::KeyMismatch { .. }))
    }
}
