//! A certificate before and after it is signed.

use std::cell::RefCell;

use signature::Signer;
use ssh_key::certificate::{Builder, CertType, Certificate};
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, HashAlg, PublicKey, Signature};

use super::{Issued, KeyDigest};
use crate::proto::certificate::{self, Fault, SUFFIX};
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;

/// A certificate that may be signed, and is not yet. Made by [`super::draft()`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Draft {
    pub(super) ca: HostKey,
    pub(super) key: HostKey,
    pub(super) names: Vec<HostName>,
    pub(super) serial: u64,
    pub(super) key_id: String,
    pub(super) valid_after: u64,
    pub(super) valid_before: u64,
    pub(super) nonce: [u8; 32],
}

/// What came back is not the certificate that was to be signed; it must not leave.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// The certificate cannot be put together.
    #[error("the certificate cannot be put together: {0}")]
    Form(String),
    /// The signature is not that of the CA's key over this certificate.
    #[error("the signature is not one of the CA's key over this certificate")]
    Signature,
    /// RSA with SHA-1, or whatever else is not relied on.
    #[error("the CA's key signed as {0}, on which nobody relies")]
    Algorithm(String),
    /// No client would believe it.
    #[error("clients would not believe it: {0}")]
    Fault(#[from] Fault),
    /// Read again, it says something else.
    #[error("read again, the certificate has another {0}")]
    Field(&'static str),
}

/// Stands for the CA's key when the certificate is put together: learns what is to be signed, or brings the signature.
struct Stand<'a> {
    ca: KeyData,
    asked: RefCell<Vec<u8>>,
    signature: Option<&'a Signature>,
}

impl From<&Stand<'_>> for KeyData {
    fn from(stand: &Stand<'_>) -> Self {
        stand.ca.clone()
    }
}

impl Signer<Signature> for Stand<'_> {
    fn try_sign(&self, octets: &[u8]) -> signature::Result<Signature> {
        *self.asked.borrow_mut() = octets.to_vec();
        self.signature.cloned().ok_or_else(signature::Error::new)
    }
}

impl Draft {
    /// The key that is to sign.
    pub fn ca(&self) -> &HostKey {
        &self.ca
    }

    /// The serial number that it will have.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The host's key.
    pub fn key(&self) -> &HostKey {
        &self.key
    }

    /// The octets that the CA's key is to sign; an RSA key with SHA-512.
    pub fn to_sign(&self) -> Result<Vec<u8>, NotIssued> {
        let stand = Stand { ca: key_data(&self.ca)?, asked: RefCell::default(), signature: None };
        match (self.builder()?.sign(&stand), stand.asked.into_inner()) {
            (Err(e), octets) if octets.is_empty() => Err(form(e)),
            (_, octets) => Ok(octets),
        }
    }

    /// With the CA's signature, as it is in certificates: the algorithm's name and the signature's octets, a string
    /// each. What comes of it is read and verified as anybody else's.
    pub fn signed(&self, signature: &[u8]) -> Result<Issued, NotIssued> {
        let signature = Signature::try_from(signature).map_err(|_| NotIssued::Signature)?;
        match signature.algorithm() {
            Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => {}
            Algorithm::Rsa { hash: Some(HashAlg::Sha256 | HashAlg::Sha512) } => {}
            other => return Err(NotIssued::Algorithm(other.to_string())),
        }
        let ca = key_data(&self.ca)?;
        let stand = Stand { ca, asked: RefCell::default(), signature: Some(&signature) };
        // A library that was built to find mistakes verifies here already.
        let certificate = self.builder()?.sign(&stand).map_err(|_| NotIssued::Signature)?;
        let blob = certificate.to_bytes().map_err(form)?;
        self.check(&blob)?;
        Ok(Issued {
            serial: self.serial,
            key_id: self.key_id.clone(),
            principals: self.principals(),
            key: KeyDigest::from(&self.key),
            ca_sha256: self.ca.sha256(),
            valid_after: self.valid_after,
            valid_before: self.valid_before,
            blob,
        })
    }

    fn principals(&self) -> Vec<String> {
        self.names.iter().map(HostName::to_string).collect()
    }

    fn builder(&self) -> Result<Builder, NotIssued> {
        let key = key_data(&self.key)?;
        let mut builder = Builder::new(self.nonce, key, self.valid_after, self.valid_before).map_err(form)?;
        builder.serial(self.serial).map_err(form)?;
        builder.cert_type(CertType::Host).map_err(form)?;
        builder.key_id(&self.key_id).map_err(form)?;
        for principal in self.principals() {
            builder.valid_principal(principal).map_err(form)?;
        }
        Ok(builder)
    }

    /// Reads a certificate anew, as clients do: it says what it should, and the CA has signed it.
    fn check(&self, blob: &[u8]) -> Result<(), NotIssued> {
        let read = certificate::Certificate::from_blob(blob, &format!("{}{SUFFIX}", self.key.key_type()))
            .map_err(|e| NotIssued::Form(e.to_string()))?;
        for name in self.names.first().into_iter().chain(self.names.last()) {
            read.check(name, self.valid_after)?;
            read.check(name, self.valid_before.saturating_sub(1))?;
        }
        let all = Certificate::from_bytes(blob).map_err(form)?;
        let fields = [
            ("key", *read.key() == self.key),
            ("CA", read.ca() == Some(&self.ca)),
            ("names", read.principals() == self.principals() && !self.names.is_empty()),
            ("start", read.valid_after() == self.valid_after),
            ("end", read.valid_before() == self.valid_before),
            ("serial", all.serial() == self.serial),
            ("key id", all.key_id() == self.key_id),
            ("nonce", all.nonce() == self.nonce),
            ("extensions", all.extensions().is_empty()),
        ];
        match fields.into_iter().find(|(_, is_right)| !is_right) {
            Some((field, _)) => Err(NotIssued::Field(field)),
            None => Ok(()),
        }
    }
}

fn key_data(key: &HostKey) -> Result<KeyData, NotIssued> {
    PublicKey::from_bytes(key.blob()).map(|key| key.key_data().clone()).map_err(form)
}

fn form(error: ssh_key::Error) -> NotIssued {
    NotIssued::Form(error.to_string())
}
