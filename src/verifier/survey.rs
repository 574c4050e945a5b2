//! All that a server shows: a key of each type that it has, published or not, and its certificates.

use std::net::SocketAddr;

use super::{ProbeFailure, Verifier};
use crate::proto::certificate::{Certificate, SUFFIX};
use crate::proto::hostkey::{HostKey, KeyType, Presented};
use crate::proto::name::HostName;
use crate::ssh::probe::{Ask, ProbeError, Probed, probe};

/// What a server has shown. Each of it was signed with in a handshake of its own.
#[derive(Debug, Default)]
pub struct Survey {
    /// Its plain keys, one of a type.
    pub keys: Vec<HostKey>,
    /// Its certificates, one of a type.
    pub certificates: Vec<Certificate>,
    /// The host key algorithms that it offers, printable and bounded; none where it never told.
    pub offers: Option<Vec<String>>,
    /// The last handshake that came to an end: version, key exchange.
    pub probed: Option<Probed>,
    /// The address that answered.
    pub address: Option<SocketAddr>,
    /// Why this is not all of it.
    pub failure: Option<ProbeFailure>,
}

impl Survey {
    fn take(&mut self, probed: Probed) {
        match &probed.presented {
            Presented::Plain(key) if !self.keys.contains(key) => self.keys.push(key.clone()),
            Presented::Certificate(certificate) if !self.certificates.contains(certificate) => {
                self.certificates.push((**certificate).clone());
            }
            _ => {}
        }
        self.probed = Some(probed);
    }

    fn has_key(&self, key_type: KeyType) -> bool {
        self.keys.iter().any(|key| key.key_type() == key_type)
    }

    fn has_certificate(&self, key_type: KeyType) -> bool {
        self.certificates.iter().any(|certificate| certificate.key().key_type() == key_type)
    }

    /// What to ask for next: plain keys of the types that it has not shown yet, then certificates of those that it
    /// offers, or might. None where there is nothing more to learn.
    fn next(&self) -> Option<Ask> {
        let offered: Option<Vec<_>> =
            self.offers.as_ref().map(|names| names.iter().map(|n| split(n)).collect());
        let may = |wanted: (Option<KeyType>, bool)| offered.as_ref().is_none_or(|all| all.contains(&wanted));
        let (has, has_certificate) = (|t| self.has_key(t), |t| self.has_certificate(t));
        let all = KeyType::ALL.into_iter();
        let plain: Vec<KeyType> = all.clone().filter(|t| !has(*t) && may((Some(*t), false))).collect();
        let certificates: Vec<KeyType> =
            all.filter(|t| !has_certificate(*t) && may((Some(*t), true))).collect();
        match (plain.is_empty(), certificates.is_empty()) {
            (false, _) => Some(Ask::Keys(plain)),
            (true, false) => Some(Ask::Certificates(certificates)),
            (true, true) => None,
        }
    }
}

/// The type that signs by an algorithm, if that proves anything, and whether it is one of certificates.
fn split(algorithm: &str) -> (Option<KeyType>, bool) {
    let (plain, is_certificate) = match algorithm.strip_suffix(SUFFIX) {
        Some(plain) => (plain, true),
        None => (algorithm, false),
    };
    // It names the type of RSA keys, and SHA-1 as an algorithm.
    (KeyType::from_algorithm(plain).filter(|_| plain != KeyType::Rsa.name()), is_certificate)
}

/// Most handshakes with one server: every type plain and in a certificate, and one that tells what it offers.
const MAX_HANDSHAKES: usize = 2 * KeyType::ALL.len() + 1;

impl Verifier {
    /// Learns every key and certificate of a server, `known` among them, by one handshake after the other: a server
    /// may take few connections that have not authenticated (MaxStartups). The first that has nothing that is asked for
    /// tells what the server offers, and costs no signature. Nothing about a user is sent.
    pub async fn survey(&self, host: &HostName, port: u16, known: Option<&Probed>) -> Survey {
        let mut survey = Survey::default();
        if let Some(probed) = known {
            survey.take(probed.clone());
        }
        for _ in 0..MAX_HANDSHAKES {
            let Some(ask) = survey.next() else { break };
            let stream = match self.connect(host, port).await {
                Ok(stream) => stream,
                Err(failure) => {
                    survey.failure = Some(failure);
                    break;
                }
            };
            survey.address = stream.peer_addr().ok().or(survey.address);
            match probe(stream, &ask, self.deadline).await {
                Ok(probed) => {
                    let before = (survey.keys.len(), survey.certificates.len());
                    survey.take(probed);
                    if before == (survey.keys.len(), survey.certificates.len()) {
                        // It shows what it has shown: another one of the same type, or what was not asked for.
                        break;
                    }
                }
                Err(ProbeError::NoCommonKeyType { server_offers }) if survey.offers.is_none() => {
                    survey.offers = Some(server_offers);
                }
                // It said before that it has one.
                Err(error) => {
                    survey.failure = Some(error.into());
                    break;
                }
            }
        }
        survey
    }
}
