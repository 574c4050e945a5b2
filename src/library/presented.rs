//! What a server presented, from the forms in which other programs have it.

use data_encoding::BASE64;
use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};

use crate::proto::certificate::SUFFIX;
use crate::proto::hostkey::{HostKey, HostKeyError, MAX_BLOB, Presented};

impl Presented {
    /// From a line as OpenSSH writes public keys and certificates: `TYPE BASE64 [COMMENT]`.
    ///
    /// The line says nothing of the signature by which the server proved that it holds the key: that is for the program
    /// that has it from a key exchange to check, and that it was none with SHA-1.
    ///
    /// # Errors
    /// No such line, an unknown type, octets out of form.
    pub fn from_openssh(line: &str) -> Result<Self, HostKeyError> {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return HostKey::from_line(line).map(Self::Plain);
        };
        if !name.ends_with(SUFFIX) {
            return HostKey::from_line(line).map(Self::Plain);
        }
        if base64.len() > MAX_BLOB {
            return Err(HostKeyError::Base64);
        }
        let blob = BASE64.decode(base64.as_bytes()).map_err(|_| HostKeyError::Base64)?;
        Self::of_type(&blob, name)
    }
}

/// russh has verified the signature of the exchange by the time it shows a key.
impl TryFrom<&PublicKey> for Presented {
    type Error = HostKeyError;

    fn try_from(key: &PublicKey) -> Result<Self, HostKeyError> {
        let name = key.algorithm().as_str().to_owned();
        let blob =
            key.to_bytes().map_err(|_| HostKeyError::Malformed(name.clone(), "it cannot be written"))?;
        // RSA keys are of one type, whatever they sign with.
        let name = if name.starts_with("rsa-sha2-") { "ssh-rsa" } else { &name };
        Self::of_type(&blob, name)
    }
}

impl TryFrom<&Certificate> for Presented {
    type Error = HostKeyError;

    fn try_from(certificate: &Certificate) -> Result<Self, HostKeyError> {
        let name = certificate.algorithm().to_certificate_type();
        let blob = certificate.to_bytes();
        Self::of_type(
            &blob.map_err(|_| HostKeyError::Malformed(name.clone(), "it cannot be written"))?,
            &name,
        )
    }
}

/// What [`russh::client::Handler::check_server_key`] is given.
impl TryFrom<&PublicKeyOrCertificate> for Presented {
    type Error = HostKeyError;

    fn try_from(shown: &PublicKeyOrCertificate) -> Result<Self, HostKeyError> {
        match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.try_into(),
            PublicKeyOrCertificate::Certificate(certificate) => certificate.try_into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::certificate::{Builder, CertType};
    use russh::keys::{Algorithm, EcdsaCurve, PrivateKey};

    use super::*;

    #[test]
    fn keys_of_every_type_come_alike_from_text_and_from_russh() {
        let mut rng = rand::rng();
        let p384 = Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 };
        for algorithm in [Algorithm::Ed25519, p384, Algorithm::Rsa { hash: None }] {
            let key = PrivateKey::random(&mut rng, algorithm).unwrap().public_key().clone();
            let line = key.to_openssh().unwrap();
            let presented = Presented::try_from(&key).unwrap();
            assert_eq!(presented, Presented::from_openssh(&line).unwrap());
            assert_eq!(presented.key().line(), line);
            assert_eq!(Presented::try_from(&PublicKeyOrCertificate::from(key)).unwrap(), presented);
        }
    }

    #[test]
    fn certificates_come_alike_from_text_and_from_russh() {
        let mut rng = rand::rng();
        let [ca, host] = [(); 2].map(|()| PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap());
        let mut builder = Builder::new_with_random_nonce(&mut rng, host.public_key(), 0, 9).unwrap();
        builder.cert_type(CertType::Host).unwrap().valid_principal("web1.example.com").unwrap();
        let certificate = builder.sign(&ca).unwrap();
        let line = certificate.to_openssh().unwrap();
        let presented = Presented::try_from(&certificate).unwrap();
        assert_eq!(presented.certificate().unwrap().principals(), ["web1.example.com"]);
        assert_eq!(Presented::from_openssh(&line).unwrap(), presented);
        assert_eq!(Presented::try_from(&PublicKeyOrCertificate::from(certificate)).unwrap(), presented);
        let plain = line.replacen("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", 1);
        assert!(matches!(
            Presented::from_openssh(&plain),
            Err(HostKeyError::Certificate(_)
                | HostKeyError::TypeMismatch { .. }
                | HostKeyError::Malformed(..))
        ));
        for bad in ["", "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com !!!!", "hello world"] {
            assert!(Presented::from_openssh(bad).is_err(), "{bad}");
        }
    }
}
