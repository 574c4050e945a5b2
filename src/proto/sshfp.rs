//! SSHFP records (RFC 4255): from keys, and in text, wire and RFC 3597 form.

mod set;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use data_encoding::{BASE64_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};

pub use self::set::SshfpSet;
use super::hostkey::{HostKey, KeyType};
use super::name::Name;
use super::text::cut;

/// The RR type number of SSHFP.
pub const TYPE: u16 = 44;
/// Fingerprint type SHA-1: proves nothing here.
pub const SHA1: u8 = 1;
/// Fingerprint type SHA-256 (RFC 6594): the only one that is published or believed.
pub const SHA256: u8 = 2;
/// Octets of a SHA-256 digest.
const SHA256_LENGTH: usize = 32;

/// One record's data as DNS has it; only those of [`Sshfp::is_usable`] can vouch for anything.
#[derive(Clone)]
pub struct Sshfp {
    algorithm: u8,
    fingerprint_type: u8,
    fingerprint: Fingerprint,
}

/// A digest: of SHA-256 as a rule, which wants no memory of its own, else of whatever length a peer likes.
#[derive(Clone)]
enum Fingerprint {
    Inline([u8; SHA256_LENGTH]),
    Boxed(Box<[u8]>),
}

impl Fingerprint {
    fn of(digest: &[u8]) -> Self {
        digest.try_into().map_or_else(|_| Self::Boxed(digest.into()), Self::Inline)
    }
}

/// Why something is not an SSHFP record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SshfpError {
    /// The RDATA has no room for its two numbers and one octet of fingerprint.
    #[error("SSHFP record too short")]
    Short,
    /// Not `ALGORITHM TYPE HEX` or `\# LENGTH HEX`.
    #[error("not an SSHFP record: {0:?}")]
    Text(String),
}

impl Sshfp {
    /// The SHA-256 record of a host key.
    pub fn of_key(key: &HostKey) -> Self {
        Sshfp {
            algorithm: key.key_type().sshfp_algorithm(),
            fingerprint_type: SHA256,
            fingerprint: Fingerprint::Inline(key.sha256()),
        }
    }

    /// The record of this SHA-256 digest, for a key that is not at hand.
    pub fn sha256_of(algorithm: u8, digest: &[u8; SHA256_LENGTH]) -> Self {
        Sshfp { algorithm, fingerprint_type: SHA256, fingerprint: Fingerprint::Inline(*digest) }
    }

    /// From RDATA.
    pub fn from_rdata(rdata: &[u8]) -> Result<Self, SshfpError> {
        match rdata {
            [algorithm, fingerprint_type, fingerprint @ ..] if !fingerprint.is_empty() => Ok(Sshfp {
                algorithm: *algorithm,
                fingerprint_type: *fingerprint_type,
                fingerprint: Fingerprint::of(fingerprint),
            }),
            _ => Err(SshfpError::Short),
        }
    }

    /// From presentation form, either `4 2 HEX` or the generic `\# 34 HEX` (RFC 3597 section 5);
    /// the hex may hold blanks and either case.
    pub fn from_text(text: &str) -> Result<Self, SshfpError> {
        let wrong = || SshfpError::Text(cut(text, 100).into_owned());
        let mut words = text.split_ascii_whitespace();
        let first = words.next().ok_or_else(wrong)?;
        let second = words.next().ok_or_else(wrong)?;
        let hex: String = words.collect();
        let octets = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).map_err(|_| wrong())?;
        if first == r"\#" {
            let length: usize = second.parse().map_err(|_| wrong())?;
            if length != octets.len() {
                return Err(wrong());
            }
            return Self::from_rdata(&octets);
        }
        let algorithm: u8 = first.parse().map_err(|_| wrong())?;
        let fingerprint_type: u8 = second.parse().map_err(|_| wrong())?;
        Self::from_rdata(&[&[algorithm, fingerprint_type], octets.as_slice()].concat())
    }

    /// RDATA (RFC 4255 section 3.1).
    pub fn rdata(&self) -> Vec<u8> {
        [&[self.algorithm, self.fingerprint_type], self.fingerprint()].concat()
    }

    /// The key algorithm's number.
    pub fn algorithm(&self) -> u8 {
        self.algorithm
    }

    /// The fingerprint type's number.
    pub fn fingerprint_type(&self) -> u8 {
        self.fingerprint_type
    }

    /// The digest as it stands in the record, whatever its length.
    pub fn fingerprint(&self) -> &[u8] {
        match &self.fingerprint {
            Fingerprint::Inline(digest) => digest,
            Fingerprint::Boxed(digest) => digest,
        }
    }

    /// RDATA, in parts: what records are compared by.
    fn parts(&self) -> (u8, u8, &[u8]) {
        (self.algorithm, self.fingerprint_type, self.fingerprint())
    }

    /// A SHA-256 digest of the right length for an algorithm we know: it can vouch for a key.
    pub fn is_usable(&self) -> bool {
        self.fingerprint_type == SHA256
            && self.fingerprint().len() == SHA256_LENGTH
            && KeyType::ALL.iter().any(|t| t.sshfp_algorithm() == self.algorithm)
    }

    /// This record vouches for `key`: same algorithm, SHA-256, same digest.
    #[must_use]
    pub fn matches(&self, key: &HostKey) -> bool {
        self.is_usable()
            && self.algorithm == key.key_type().sshfp_algorithm()
            && self.fingerprint() == key.sha256()
    }

    /// Algorithm and digest as OpenSSH prints fingerprints: `ED25519 SHA256:` and unpadded base64.
    pub fn fingerprint_text(&self) -> String {
        let algorithm = match self.algorithm {
            1 => "RSA".to_owned(),
            3 => "ECDSA".to_owned(),
            4 => "ED25519".to_owned(),
            other => format!("algorithm {other}"),
        };
        let digest = match self.fingerprint_type {
            SHA256 => format!("SHA256:{}", BASE64_NOPAD.encode(self.fingerprint())),
            other => format!("digest {other} {}", HEXLOWER.encode(self.fingerprint())),
        };
        format!("{algorithm} {digest}")
    }

    /// A whole line as `ssh-keygen -r` prints it.
    pub fn line(&self, owner: &str) -> String {
        format!("{owner} IN SSHFP {self}")
    }

    /// A whole line as `ssh-keygen -r -g` prints it (RFC 3597).
    pub fn generic_line(&self, owner: &str) -> String {
        format!(
            "{owner} IN TYPE{TYPE} \\# {} {:02x} {:02x} {}",
            self.fingerprint().len() + 2,
            self.algorithm,
            self.fingerprint_type,
            HEXLOWER.encode(self.fingerprint())
        )
    }
}

/// The owner at which a host's keys are published: the host itself, or its port label.
pub fn owner(host: &super::name::HostName, port: Option<u16>) -> Result<Name, super::name::NameError> {
    match port {
        None => Ok(host.name().clone()),
        Some(port) => host.port_label(port),
    }
}

impl PartialEq for Sshfp {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Sshfp {}

impl Hash for Sshfp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// That of the RDATA (RFC 4034 section 6.3).
impl Ord for Sshfp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Sshfp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Presentation form: `ALGORITHM TYPE hex`.
impl fmt::Display for Sshfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.algorithm, self.fingerprint_type, &self.fingerprint) {
            // As most are, and they are written by the ten thousand: in one piece.
            (algorithm @ ..=9, kind @ ..=9, Fingerprint::Inline(digest)) => {
                let mut text = [b' '; 4 + SHA256_LENGTH * 2];
                let [first, _, second, _, hex @ ..] = &mut text;
                (*first, *second) = (b'0' + algorithm, b'0' + kind);
                HEXLOWER.encode_mut(digest, hex);
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
            (algorithm, kind, _) => {
                write!(f, "{algorithm} {kind} {}", HEXLOWER.encode_display(self.fingerprint()))
            }
        }
    }
}

impl fmt::Debug for Sshfp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sshfp({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_wire_and_generic_forms_agree() {
        let record = Sshfp::from_text("4 2 AAbb cc").unwrap();
        assert_eq!(record.rdata(), [4, 2, 0xaa, 0xbb, 0xcc]);
        assert_eq!(record.to_string(), "4 2 aabbcc");
        assert_eq!(Sshfp::from_text(r"\# 5 0402aabbcc").unwrap(), record);
        assert_eq!(Sshfp::from_text(r"\# 5 04 02 aabbcc").unwrap(), record);
        assert_eq!(record.generic_line("h"), r"h IN TYPE44 \# 5 04 02 aabbcc");
        assert_eq!(record.line("h"), "h IN SSHFP 4 2 aabbcc");
        for bad in ["", "4", "4 2", "4 2 xyz", "400 2 aa", r"\# 6 0402aabbcc", "4 2 aab"] {
            assert!(Sshfp::from_text(bad).is_err(), "{bad:?}");
        }
        assert!(Sshfp::from_rdata(&[4, 2]).is_err());
    }

    #[test]
    fn each_number_and_length_is_written_and_read_again() {
        for numbers in [[0, 0], [4, 2], [9, 9], [10, 2], [4, 10], [255, 255]] {
            for length in [1, 20, SHA256_LENGTH, 48] {
                let record = Sshfp::from_rdata(&[&numbers[..], &vec![0xa5; length]].concat()).unwrap();
                let text = record.to_string();
                assert_eq!(text, format!("{} {} {}", numbers[0], numbers[1], "a5".repeat(length)));
                assert_eq!(Sshfp::from_text(&text), Ok(record));
            }
        }
    }

    #[test]
    fn only_sha256_of_a_known_algorithm_vouches() {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";
        let key = HostKey::from_line(line).unwrap();
        let good = Sshfp::of_key(&key);
        assert!(good.matches(&key));
        let with = |at: usize, value: u8| {
            let mut rdata = good.rdata();
            rdata[at] = value;
            Sshfp::from_rdata(&rdata).unwrap()
        };
        assert!(!with(0, 1).matches(&key), "another algorithm");
        assert!(!with(0, 6).matches(&key), "an unknown algorithm");
        assert!(!with(1, 1).matches(&key), "SHA-1");
        assert!(!with(1, 3).matches(&key), "an unknown digest");
        assert!(!with(2, !good.rdata()[2]).matches(&key), "another digest");
        let short = Sshfp::from_rdata(&good.rdata()[..33]).unwrap();
        assert!(!short.matches(&key) && !short.is_usable());
    }
}
