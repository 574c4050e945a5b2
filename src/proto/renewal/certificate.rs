//! A certificate in text, as a file or a signer has it.

use data_encoding::BASE64;

use crate::proto::certificate::{Certificate, SUFFIX};
use crate::proto::hostkey::{HostKey, HostKeyError, MAX_BLOB};

/// Why a text is not a certificate. Texts inside are bounded.
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
}

/// The one certificate of a text such as a `-cert.pub` file; empty lines and `#` comments are skipped.
pub fn read(text: &str) -> Result<Certificate, CertificateError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else {
        return Err(CertificateError::NotOneLine);
    };
    let mut words = line.split_ascii_whitespace();
    let (Some(name), Some(base64)) = (words.next(), words.next()) else {
        return Err(CertificateError::NotOneLine);
    };
    if !name.ends_with(SUFFIX) {
        // Name what it is: the public key of the host is an honest mistake.
        return Err(match HostKey::from_line(line) {
            Ok(_) => CertificateError::PlainKey,
            Err(HostKeyError::NotALine) => CertificateError::NotOneLine,
            Err(error) => CertificateError::Key(error),
        });
    }
    let blob = BASE64.decode(base64.as_bytes()).ok().filter(|blob| blob.len() <= MAX_BLOB);
    from_blob(&blob.ok_or(CertificateError::Base64)?, name)
}

pub(super) fn from_blob(blob: &[u8], name: &str) -> Result<Certificate, CertificateError> {
    let certificate = Certificate::from_blob(blob, name)?;
    match certificate.is_canonical() {
        true => Ok(certificate),
        false => Err(CertificateError::NotCanonical),
    }
}

/// The line of a `-cert.pub` file, without a line end and without whatever comment it came with.
pub fn line(certificate: &Certificate) -> String {
    format!("{}{SUFFIX} {}", certificate.key().key_type(), BASE64.encode(certificate.blob()))
}
