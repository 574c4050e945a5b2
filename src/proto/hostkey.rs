//! SSH public host keys: strict reading of key blobs and of public key lines.

use std::fmt;

use crate::proto::text::cut;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use super::wire::Reader;

mod presented;

pub use presented::Presented;

/// Longest public key blob that is looked at, in octets: RSA of 16384 bits is 2.1 KiB, a
/// certificate with many principals is larger.
pub const MAX_BLOB: usize = 64 * 1024;
/// OpenSSH's own floor for RSA host keys (`RequiredRSASize`), in bits.
const MIN_RSA_BITS: usize = 1024;
const MAX_RSA_BITS: usize = 16384;

/// The plain host key types that SSHFP has numbers for and that servers offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyType {
    /// `ssh-rsa` keys, which sign as `rsa-sha2-256` and `rsa-sha2-512` (RFC 8332).
    Rsa,
    /// `ecdsa-sha2-nistp256` (RFC 5656).
    EcdsaP256,
    /// `ecdsa-sha2-nistp384` (RFC 5656).
    EcdsaP384,
    /// `ecdsa-sha2-nistp521` (RFC 5656).
    EcdsaP521,
    /// `ssh-ed25519` (RFC 8709).
    Ed25519,
}

impl KeyType {
    /// Every type, in the order of their SSHFP numbers.
    pub const ALL: [KeyType; 5] =
        [Self::Rsa, Self::EcdsaP256, Self::EcdsaP384, Self::EcdsaP521, Self::Ed25519];

    /// The name inside the key blob (RFC 4253 section 6.6).
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "ssh-rsa",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::Ed25519 => "ssh-ed25519",
        }
    }

    /// The algorithm number in SSHFP records (RFC 4255, 6594, 7479).
    pub fn sshfp_algorithm(self) -> u8 {
        match self {
            Self::Rsa => 1,
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => 3,
            Self::Ed25519 => 4,
        }
    }

    /// The type with this blob name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The type whose keys sign as this algorithm: its own name, or one of the two newer ones of RSA.
    pub fn from_algorithm(name: &str) -> Option<Self> {
        match name {
            "rsa-sha2-256" | "rsa-sha2-512" => Some(Self::Rsa),
            other => Self::from_name(other),
        }
    }

    /// The types that `ssh-keygen -t` calls so: `ecdsa` is three.
    pub fn family(name: &str) -> Option<&'static [KeyType]> {
        match name {
            "rsa" => Some(&[Self::Rsa]),
            "ecdsa" => Some(&[Self::EcdsaP256, Self::EcdsaP384, Self::EcdsaP521]),
            "ed25519" => Some(&[Self::Ed25519]),
            _ => None,
        }
    }

    fn curve(self) -> Option<(&'static str, usize)> {
        match self {
            Self::EcdsaP256 => Some(("nistp256", 65)),
            Self::EcdsaP384 => Some(("nistp384", 97)),
            Self::EcdsaP521 => Some(("nistp521", 133)),
            Self::Rsa | Self::Ed25519 => None,
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something is not a host key that can be published or matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostKeyError {
    /// Not `TYPE BASE64 [COMMENT]`.
    #[error("not a public key line (want: TYPE BASE64 [COMMENT])")]
    NotALine,
    /// The base64 does not decode.
    #[error("the key's base64 does not decode")]
    Base64,
    /// The blob is cut short, has octets left over, or holds a number or point out of form.
    #[error("malformed {0} key: {1}")]
    Malformed(String, &'static str),
    /// The type in front of the base64 is not the type inside it.
    #[error("the line says {line} but the key inside is {blob}")]
    TypeMismatch {
        /// What the line says.
        line: String,
        /// What the blob says.
        blob: String,
    },
    /// A server shows a key of another type than was negotiated.
    #[error("{negotiated} was negotiated but the key shown is {blob}")]
    NotNegotiated {
        /// The host key algorithm.
        negotiated: String,
        /// What the blob says.
        blob: String,
    },
    /// A certificate where a plain key is wanted.
    #[error("{0} is a certificate: SSHFP records hold plain keys (give the .pub file without -cert)")]
    Certificate(String),
    /// A key on a security token, which no server uses as its host key.
    #[error(
        "{0} is a security-token user key: SSHFP has no number for it, and no server offers it as a host key"
    )]
    SecurityKey(String),
    /// Client and server agreed on `ssh-rsa`, which is RSA with SHA-1.
    #[error(
        "ssh-rsa was negotiated, whose SHA-1 signatures prove nothing (rsa-sha2-256 and rsa-sha2-512 do)"
    )]
    Sha1,
    /// A public key as PEM or RFC 4716 has it.
    #[error("this is a public key in another form: convert it with ssh-keygen -i (-m PEM or PKCS8)")]
    OtherForm,
    /// A private key file.
    #[error("this is a private key: give its .pub file")]
    Private,
    /// A type without a use here.
    #[error("unsupported key type {0:?} (supported: RSA, ECDSA P-256/P-384/P-521, Ed25519)")]
    Unsupported(String),
    /// An RSA modulus out of bounds.
    #[error("RSA key of {0} bits (want 1024 to 16384)")]
    RsaSize(usize),
}

/// A plain public host key, strictly parsed. The blob is the exact octets that were hashed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HostKey {
    key_type: KeyType,
    blob: Box<[u8]>,
}

impl HostKey {
    /// From a public key blob (RFC 4253 section 6.6): canonical numbers, no octets left over.
    pub fn from_blob(blob: &[u8]) -> Result<Self, HostKeyError> {
        let mut reader = Reader::new(blob);
        let name = blob_type(&mut reader)?;
        let bad = |why| HostKeyError::Malformed(name.clone(), why);
        let key_type = KeyType::from_name(&name).ok_or_else(|| unsupported(&name))?;
        match key_type {
            KeyType::Rsa => {
                let exponent = reader.mpint().ok_or(bad("bad exponent"))?;
                let modulus = reader.mpint().ok_or(bad("bad modulus"))?;
                let bits = bits_of(modulus);
                if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                    return Err(HostKeyError::RsaSize(bits));
                }
                if exponent.len() > 8 || exponent.last().is_none_or(|b| b & 1 == 0) || exponent == [1] {
                    return Err(bad("bad exponent"));
                }
            }
            KeyType::Ed25519 => {
                if reader.string().map(<[u8]>::len) != Some(32) {
                    return Err(bad("want 32 octets"));
                }
            }
            KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => {
                let (curve, length) = key_type.curve().ok_or(bad("no curve"))?;
                if reader.string() != Some(curve.as_bytes()) {
                    return Err(bad("another curve inside"));
                }
                let point = reader.string().ok_or(bad("no point"))?;
                if point.len() != length || point.first() != Some(&4) {
                    return Err(bad("want an uncompressed point"));
                }
            }
        }
        if !reader.is_empty() {
            return Err(bad("octets left over"));
        }
        Ok(HostKey { key_type, blob: blob.into() })
    }

    /// From a line of a `.pub` file: `TYPE BASE64 [COMMENT]`.
    pub fn from_line(line: &str) -> Result<Self, HostKeyError> {
        if line.starts_with("---") && line.ends_with(" PUBLIC KEY-----")
            || line.starts_with("---- BEGIN SSH2")
        {
            return Err(HostKeyError::OtherForm);
        }
        // A byte order mark is an editor's, and no part of the type.
        let line = line.trim_start_matches('\u{feff}');
        if line.starts_with("-----BEGIN") || line.starts_with("PuTTY-User-Key-File") {
            return Err(HostKeyError::Private);
        }
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(base64)) = (words.next(), words.next()) else {
            return Err(HostKeyError::NotALine);
        };
        if KeyType::from_name(name).is_none() {
            // Name what it is before looking inside: tokens and certificates are honest mistakes.
            return Err(match unsupported(name) {
                HostKeyError::Unsupported(name) if !looks_like_key_type(&name) => HostKeyError::NotALine,
                told => told,
            });
        }
        if base64.len() > MAX_BLOB {
            return Err(HostKeyError::Base64);
        }
        let blob = BASE64.decode(base64.as_bytes()).map_err(|_| HostKeyError::Base64)?;
        let key = Self::from_blob(&blob)?;
        if key.key_type.name() != name {
            return Err(HostKeyError::TypeMismatch { line: name.into(), blob: key.key_type.name().into() });
        }
        Ok(key)
    }

    /// Every key of a `.pub` file or of standard input; empty lines and `#` comments are skipped.
    /// An error carries the number of its line, from 1.
    pub fn from_text(text: &str) -> Result<Vec<Self>, (usize, HostKeyError)> {
        text.lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(at, line)| Self::from_line(line).map_err(|e| (at, e)))
            .collect()
    }

    /// Its type.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// As a line of a `.pub` file, without a comment.
    pub fn line(&self) -> String {
        format!("{} {}", self.key_type, BASE64.encode(&self.blob))
    }

    /// The exact public key blob.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// Size of the modulus in bits, of RSA keys.
    pub fn rsa_bits(&self) -> Option<usize> {
        let mut reader = Reader::new(&self.blob);
        let name = reader.string()?;
        let (_exponent, modulus) = (reader.mpint()?, reader.mpint()?);
        (name == KeyType::Rsa.name().as_bytes()).then(|| bits_of(modulus))
    }

    /// SHA-256 of the blob: what an SSHFP record of type 2 holds (RFC 6594 section 4).
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.blob).into()
    }
}

/// As OpenSSH prints fingerprints: type and `SHA256:` with unpadded base64.
impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = data_encoding::BASE64_NOPAD.encode(&self.sha256());
        write!(f, "{} SHA256:{digest}", self.key_type)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({self})")
    }
}

/// Of a number without leading zero octets.
fn bits_of(number: &[u8]) -> usize {
    number.len() * 8 - number.first().map_or(0, |b| b.leading_zeros() as usize)
}

fn blob_type(reader: &mut Reader<'_>) -> Result<String, HostKeyError> {
    let bad = || HostKeyError::Malformed("public".into(), "no type inside");
    let name = reader.string().ok_or_else(bad)?;
    if name.is_empty() || name.len() > 64 || !name.iter().all(u8::is_ascii_graphic) {
        return Err(bad());
    }
    String::from_utf8(name.to_vec()).map_err(|_| bad())
}

fn unsupported(name: &str) -> HostKeyError {
    // One on a token is a certificate all the same: whoever reads on meets whatever is inside.
    if name.contains("-cert-v0") {
        HostKeyError::Certificate(name.into())
    } else if name.starts_with("sk-") {
        HostKeyError::SecurityKey(name.into())
    } else {
        HostKeyError::Unsupported(cut(name, 64).into_owned())
    }
}

fn looks_like_key_type(name: &str) -> bool {
    ["ssh-", "ecdsa-", "rsa-", "sk-", "webauthn-"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::wire::put_string;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f root@web1";

    #[test]
    fn a_public_key_line_is_read() {
        let key = HostKey::from_line(ED25519).unwrap();
        assert_eq!(key.key_type(), KeyType::Ed25519);
        assert_eq!(key.blob().len(), 51);
        assert!(ED25519.starts_with(&key.line()));
        let text = format!("# mine\n\n{ED25519}\n");
        assert_eq!(HostKey::from_text(&text).unwrap(), vec![key]);
    }

    #[test]
    fn what_is_no_host_key_is_named() {
        let case = |line: &str| HostKey::from_line(line).unwrap_err();
        assert!(matches!(case("sk-ssh-ed25519@openssh.com AAAA"), HostKeyError::SecurityKey(_)));
        assert!(matches!(case("sk-ecdsa-sha2-nistp256@openssh.com AAAA"), HostKeyError::SecurityKey(_)));
        assert!(matches!(case("ssh-ed25519-cert-v01@openssh.com AAAA"), HostKeyError::Certificate(_)));
        assert!(matches!(case("ssh-dss AAAA"), HostKeyError::Unsupported(_)));
        assert!(matches!(case("-----BEGIN OPENSSH PRIVATE KEY-----"), HostKeyError::Private));
        for form in ["---- BEGIN SSH2 PUBLIC KEY ----", "-----BEGIN RSA PUBLIC KEY-----"] {
            assert!(matches!(case(form), HostKeyError::OtherForm), "{form}");
        }
        assert!(HostKey::from_line(&format!("\u{feff}{ED25519}")).is_ok(), "a byte order mark");
        assert!(matches!(case("hello world"), HostKeyError::NotALine));
        assert!(matches!(case("ssh-ed25519"), HostKeyError::NotALine));
        assert!(matches!(case("ssh-ed25519 !!!!"), HostKeyError::Base64));
        assert!(matches!(case("ssh-ed25519 AAAA"), HostKeyError::Malformed(..)));
        let other = ED25519.replacen("ssh-ed25519", "ssh-rsa", 1);
        assert!(matches!(case(&other), HostKeyError::TypeMismatch { .. }));
    }

    #[test]
    fn blobs_are_parsed_strictly() {
        let good = HostKey::from_line(ED25519).unwrap().blob().to_vec();
        let mut long = good.clone();
        long.push(0);
        assert!(HostKey::from_blob(&long).is_err());
        for cut in 0..good.len() {
            assert!(HostKey::from_blob(&good[..cut]).is_err(), "cut at {cut}");
        }
        let mut rsa = Vec::new();
        put_string(&mut rsa, b"ssh-rsa");
        put_string(&mut rsa, &[1, 0, 1]);
        let mut modulus = vec![0u8; 257];
        modulus[1] = 0x80;
        modulus[256] = 1;
        let base = rsa.clone();
        put_string(&mut rsa, &modulus);
        assert_eq!(HostKey::from_blob(&rsa).unwrap().key_type(), KeyType::Rsa);
        // A second leading zero, a negative number and a short one are not canonical.
        for wrong in [[vec![0], modulus.clone()].concat(), modulus[1..].to_vec(), vec![3]] {
            let mut blob = base.clone();
            put_string(&mut blob, &wrong);
            assert!(HostKey::from_blob(&blob).is_err());
        }
    }
}
