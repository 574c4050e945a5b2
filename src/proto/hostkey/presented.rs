//! What a server presents in its key exchange reply, held against what was negotiated.

use super::{HostKey, HostKeyError, KeyType, MAX_BLOB, blob_type, unsupported};
use crate::proto::certificate::{Certificate, SUFFIX};
use crate::proto::wire::Reader;

/// What a server showed in its key exchange reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// A plain host key.
    Plain(HostKey),
    /// A host certificate. The exchange is signed by the plain key inside it, so that key can be matched like any
    /// other.
    Certificate(Box<Certificate>),
}

impl Presented {
    /// Reads K_S and holds it against the negotiated host key algorithm: the type inside the blob
    /// must be the one that the algorithm signs with.
    pub fn from_blob(blob: &[u8], algorithm: &str) -> Result<Self, HostKeyError> {
        let name = type_inside(blob, algorithm)?;
        if name != blob_name_of_algorithm(algorithm)? {
            return Err(HostKeyError::NotNegotiated { negotiated: algorithm.into(), blob: name });
        }
        Self::of_type(blob, &name)
    }

    /// Reads a key or certificate that is said to be of this type: the name inside the blob must be the same. For
    /// keys of which no algorithm is known, such as ssh hands to its KnownHostsCommand; whether it was `ssh-rsa` by which
    /// an RSA key signed, and so SHA-1, is ssh's to judge there.
    pub fn of_type(blob: &[u8], said: &str) -> Result<Self, HostKeyError> {
        let name = type_inside(blob, said)?;
        if name != said {
            return Err(HostKeyError::TypeMismatch { line: said.into(), blob: name });
        }
        if name.ends_with(SUFFIX) {
            return Certificate::from_blob(blob, &name).map(Box::new).map(Self::Certificate);
        }
        HostKey::from_blob(blob).map(Self::Plain)
    }

    /// The plain key: itself, or the one inside the certificate.
    pub fn key(&self) -> &HostKey {
        match self {
            Self::Plain(key) => key,
            Self::Certificate(certificate) => certificate.key(),
        }
    }

    /// The certificate, if it is one.
    pub fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Plain(_) => None,
            Self::Certificate(certificate) => Some(certificate),
        }
    }
}

/// The name of its type that a blob of bearable length begins with.
fn type_inside(blob: &[u8], said: &str) -> Result<String, HostKeyError> {
    if blob.len() > MAX_BLOB {
        return Err(HostKeyError::Malformed(said.into(), "too long"));
    }
    blob_type(&mut Reader::new(blob))
}

/// The blob type that a host key algorithm signs with. SHA-1 `ssh-rsa` is not among them: its
/// signatures prove nothing.
fn blob_name_of_algorithm(algorithm: &str) -> Result<String, HostKeyError> {
    let (plain, cert) = match algorithm.strip_suffix(SUFFIX) {
        Some(plain) => (plain, SUFFIX),
        None => (algorithm, ""),
    };
    let name = match plain {
        "rsa-sha2-256" | "rsa-sha2-512" => "ssh-rsa",
        "ssh-rsa" => return Err(HostKeyError::Sha1),
        other => KeyType::from_name(other).ok_or_else(|| unsupported(algorithm))?.name(),
    };
    Ok(format!("{name}{cert}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_negotiated_algorithm_decides_the_type() {
        let blob = crate::proto::handshake::samples::ed25519(7);
        let read = |algorithm| Presented::from_blob(&blob, algorithm);
        assert!(read("ssh-ed25519").is_ok());
        for other in ["rsa-sha2-512", "ecdsa-sha2-nistp256", "ssh-ed25519-cert-v01@openssh.com"] {
            assert!(matches!(read(other), Err(HostKeyError::NotNegotiated { .. })), "{other}");
        }
        assert_eq!(Presented::of_type(&blob, "ssh-ed25519"), read("ssh-ed25519"));
        for other in ["ssh-rsa", "ssh-ed25519-cert-v01@openssh.com", ""] {
            let refused = Presented::of_type(&blob, other);
            assert!(matches!(refused, Err(HostKeyError::TypeMismatch { .. })), "{other}");
        }
        for sha1 in ["ssh-rsa", "ssh-rsa-cert-v01@openssh.com"] {
            assert_eq!(read(sha1), Err(HostKeyError::Sha1));
        }
        for unknown in ["none", "ssh-dss", "ssh-dss-cert-v01@openssh.com", "sk-ssh-ed25519@openssh.com"] {
            assert!(read(unknown).is_err(), "{unknown}");
        }
    }
}
