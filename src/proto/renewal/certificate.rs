//! A certificate as it is read from a file or from a signer.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use ssh_key::certificate::CertType;
use ssh_key::{Algorithm, HashAlg, PublicKey};

use crate::proto::hostkey::{HostKey, HostKeyError, MAX_BLOB, Presented};

/// A certificate whose octets are exactly what its fields say; who signed it is not judged yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    key: HostKey,
    authority: HostKey,
    fields: ssh_key::Certificate,
    blob: Box<[u8]>,
}

/// Why something is not a certificate. Texts inside are bounded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not `TYPE BASE64 [COMMENT]`, once.
    #[error("not one certificate line (want: TYPE BASE64 [COMMENT], once)")]
    NotOneLine,
    /// A key that nobody signed.
    #[error("a public key, not a certificate")]
    PlainKey,
    /// The base64 does not decode, or is longer than any certificate.
    #[error("its base64 does not decode")]
    Base64,
    /// The key inside, or the whole.
    #[error(transparent)]
    Key(#[from] HostKeyError),
    /// Its octets could be written otherwise, and so mean something else to others.
    #[error("its encoding is not canonical")]
    NotCanonical,
    /// SSHFP could not vouch for the CA key.
    #[error("its CA key: {0}")]
    Authority(HostKeyError),
}

impl Certificate {
    /// The one certificate of a text such as a `-cert.pub` file; empty lines and `#` comments are skipped.
    pub fn from_text(text: &str) -> Result<Self, CertificateError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        match (lines.next(), lines.next()) {
            (Some(line), None) => Self::from_line(line),
            _ => Err(CertificateError::NotOneLine),
        }
    }

    fn from_line(line: &str) -> Result<Self, CertificateError> {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(CertificateError::NotOneLine);
        };
        // Base64 is a third longer than what it holds.
        if base64.len() > MAX_BLOB * 3 / 2 {
            return Err(CertificateError::Base64);
        }
        let blob = BASE64.decode(base64.as_bytes());
        if !name.ends_with("-cert-v01@openssh.com") {
            // Name what it is: the public key of the host is an honest mistake.
            return Err(match HostKey::from_line(line) {
                Ok(_) => CertificateError::PlainKey,
                Err(HostKeyError::NotALine) => CertificateError::NotOneLine,
                Err(error) => CertificateError::Key(error),
            });
        }
        Self::from_blob(&blob.map_err(|_| CertificateError::Base64)?, name)
    }

    /// From a blob (PROTOCOL.certkeys) whose type is said to be `name`.
    pub(super) fn from_blob(blob: &[u8], name: &str) -> Result<Self, CertificateError> {
        let Presented::Certificate(presented) = Presented::of_type(blob, name)? else {
            return Err(CertificateError::PlainKey);
        };
        let (key, blob): (_, Box<[u8]>) = (presented.key().clone(), presented.blob().into());
        let malformed = |why| HostKeyError::Malformed(name.chars().take(64).collect(), why);
        let fields = ssh_key::Certificate::from_bytes(&blob)
            .map_err(|_| malformed("not a well-formed certificate"))?;
        // The signature is checked over the fields written again: they must be the octets that came.
        if fields.to_bytes().ok().as_deref() != Some(&blob) {
            return Err(CertificateError::NotCanonical);
        }
        let authority = PublicKey::from(fields.signature_key().clone()).to_bytes();
        let authority = authority.map_err(|_| malformed("no CA key"))?;
        let authority = HostKey::from_blob(&authority).map_err(CertificateError::Authority)?;
        Ok(Certificate { key, authority, fields, blob })
    }

    /// The key that it is about.
    pub fn key(&self) -> &HostKey {
        &self.key
    }

    /// The CA key that is said to have signed it.
    pub fn authority(&self) -> &HostKey {
        &self.authority
    }

    /// The names that it is good for, each once.
    pub fn principals(&self) -> BTreeSet<String> {
        self.fields.valid_principals().iter().cloned().collect()
    }

    /// In seconds since 1970, this one included.
    pub fn valid_after(&self) -> u64 {
        self.fields.valid_after()
    }

    /// In seconds since 1970, this one not included; [`FOREVER`](super::FOREVER) for one without end.
    pub fn valid_before(&self) -> u64 {
        self.fields.valid_before()
    }

    /// Its number at its CA.
    pub fn serial(&self) -> u64 {
        self.fields.serial()
    }

    /// What its CA calls it: hostile text.
    pub fn key_id(&self) -> &str {
        self.fields.key_id()
    }

    /// Its octets, as a server presents them.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The line of a `-cert.pub` file, without a line end and without whatever comment it came with.
    pub fn line(&self) -> String {
        let name = format!("{}-cert-v01@openssh.com", self.key.key_type());
        format!("{name} {}", BASE64.encode(&self.blob))
    }

    pub(super) fn is_of_host(&self) -> bool {
        self.fields.cert_type() == CertType::Host
    }

    /// The first critical option.
    pub(super) fn critical_option(&self) -> Option<&str> {
        self.fields.critical_options().iter().next().map(|(name, _)| name.as_str())
    }

    pub(super) fn is_signed_with_sha1(&self) -> bool {
        !matches!(
            self.fields.signature().algorithm(),
            Algorithm::Rsa { hash: Some(HashAlg::Sha256 | HashAlg::Sha512) }
                | Algorithm::Ecdsa { .. }
                | Algorithm::Ed25519
        )
    }

    /// The CA key has signed just these fields. Whether it may is another question.
    pub(super) fn signature_holds(&self) -> bool {
        self.fields.verify_signature().is_ok()
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({} by {})", self.key, self.authority)
    }
}
