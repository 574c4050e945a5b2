//! Host certificates (OpenSSH's PROTOCOL.certkeys): read strictly, and held against everything that OpenSSH asks of
//! one, and more. Whether anybody vouches for the CA is not asked here.

use std::fmt;

use crate::proto::text::cut;
use ssh_key::certificate::CertType;

use super::hostkey::{HostKey, HostKeyError, KeyType};
use super::moment;
use super::name::HostName;
use super::wire::{Reader, put_string};

/// What the names of certificate types and algorithms end in.
pub const SUFFIX: &str = "-cert-v01@openssh.com";
/// The least size of an RSA key in a certificate or of a CA, in bits.
pub const MIN_RSA_BITS: usize = 2048;
/// Most principals that OpenSSH reads (SSHKEY_CERT_MAX_PRINCIPALS).
pub const MAX_PRINCIPALS: usize = 256;
/// The end of a certificate that has none (PROTOCOL.certkeys).
pub const FOREVER: u64 = u64::MAX;

/// A certificate for a host key, as a server presents it. Its fields are what its issuer, whoever that is, says;
/// [`Certificate::check`] holds them against a host.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    blob: Box<[u8]>,
    key: HostKey,
    ca: Result<HostKey, HostKeyError>,
    parsed: Box<ssh_key::Certificate>,
}

/// Why a certificate does not vouch for a host, whoever its CA is. Texts of the certificate are bounded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is one for a user.
    #[error("it is a user's certificate, and no host's")]
    UserType,
    /// No record can vouch for a CA key of this type.
    #[error("its CA key cannot be published: {0}")]
    CaType(HostKeyError),
    /// An RSA key is too small.
    #[error("{whose} is of {bits} bits (want {MIN_RSA_BITS} at least)")]
    SmallRsa {
        /// Which of the two keys.
        whose: &'static str,
        /// Its size.
        bits: usize,
    },
    /// SHA-1, or an algorithm that is not of the CA's key.
    #[error("its CA signature is of {0:?}, which proves nothing")]
    SignatureAlgorithm(String),
    /// Its octets could be written otherwise, and so mean something else to others.
    #[error("its encoding is not canonical")]
    NotCanonical,
    /// The CA's signature does not hold.
    #[error("it is not signed by the CA that it names")]
    Signature,
    /// Its time is yet to come; seconds since 1970.
    #[error("it is valid from {} on", moment::text(*.0))]
    NotYetValid(u64),
    /// Its time is over; seconds since 1970.
    #[error("it was valid until {}", moment::text(*.0))]
    Expired(u64),
    /// It would be good for any host.
    #[error("it names no host at all (no principals)")]
    NoPrincipals,
    /// OpenSSH does not even read it.
    #[error("it has {0} names (principals; want {MAX_PRINCIPALS} at most)")]
    TooManyPrincipals(usize),
    /// The host is not among its names.
    #[error("it is for {}", .0.join(", "))]
    OtherName(Vec<String>),
    /// A condition that nobody here knows how to meet.
    #[error("it has the critical option {0:?}")]
    CriticalOption(String),
}

impl Fault {
    /// A stable word for scripts; listed in docs/json.md.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotYetValid(_) => "certificate-not-yet-valid",
            Self::Expired(_) => "certificate-expired",
            Self::NoPrincipals | Self::OtherName(_) => "certificate-other-name",
            Self::UserType
            | Self::CaType(_)
            | Self::SmallRsa { .. }
            | Self::SignatureAlgorithm(_)
            | Self::NotCanonical
            | Self::Signature
            | Self::TooManyPrincipals(_)
            | Self::CriticalOption(_) => "bad-certificate",
        }
    }

    /// What to do next about it on `host`.
    pub fn hint(&self, host: &HostName) -> String {
        match self {
            Self::NotYetValid(_) => {
                format!(
                    "check the clocks of this machine and of the CA; else have {host} show a certificate that holds now"
                )
            }
            Self::Expired(_) => format!("renew it: run on {host} sshanchor ca renew"),
            Self::NoPrincipals | Self::OtherName(_) => format!(
                "do not connect. If it is {host}'s own, have it signed for this name: sshanchor ca sign --name {host} ..."
            ),
            _ => format!(
                "have {host} show a host certificate that is signed anew: sshanchor ca sign --name {host} ..."
            ),
        }
    }
}

impl Certificate {
    /// From a blob that says it is of the certificate type `name`, such as `ssh-ed25519-cert-v01@openssh.com`.
    pub fn from_blob(blob: &[u8], name: &str) -> Result<Self, HostKeyError> {
        let bad = |why| HostKeyError::Malformed(name.to_owned(), why);
        let plain = name.strip_suffix(SUFFIX).ok_or(bad("not a certificate"))?;
        let key_type =
            KeyType::from_name(plain).ok_or_else(|| HostKeyError::Unsupported(cut(name, 64).into_owned()))?;
        let mut reader = Reader::new(blob);
        if reader.string() != Some(name.as_bytes()) {
            return Err(bad("another type inside"));
        }
        let (key, ca) = keys(&mut reader, key_type).ok_or(bad("cut short, or with octets left over"))?;
        let (key, ca) = (key?, HostKey::from_blob(ca));
        // A CA certified by a CA: nobody takes that (sshkey.c), and to read on would be as deep as its sender likes.
        if matches!(ca, Err(HostKeyError::Certificate(_))) {
            return Err(bad("its CA key is a certificate"));
        }
        let parsed =
            ssh_key::Certificate::from_bytes(blob).map_err(|_| bad("not a well-formed certificate"))?;
        Ok(Certificate { blob: blob.into(), key, ca, parsed: Box::new(parsed) })
    }

    /// The whole certificate.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The key that it is about.
    pub fn key(&self) -> &HostKey {
        &self.key
    }

    /// The key that it names as its CA's; none of a type that SSHFP has no number for.
    pub fn ca(&self) -> Option<&HostKey> {
        self.ca.as_ref().ok()
    }

    /// Its number among those of its CA.
    pub fn serial(&self) -> u64 {
        self.parsed.serial()
    }

    /// What its CA calls it: the CA's text, as it stands there.
    pub fn key_id(&self) -> &str {
        self.parsed.key_id()
    }

    /// The names that it is good for, as they stand there.
    pub fn principals(&self) -> &[String] {
        self.parsed.valid_principals()
    }

    /// The first second of its validity, since 1970.
    pub fn valid_after(&self) -> u64 {
        self.parsed.valid_after()
    }

    /// The first second after its validity, since 1970; [`FOREVER`] if there is none.
    pub fn valid_before(&self) -> u64 {
        self.parsed.valid_before()
    }

    /// Its octets are those that its fields give when they are written again, over which the signature is checked.
    pub fn is_canonical(&self) -> bool {
        self.parsed.to_bytes().is_ok_and(|again| *again == *self.blob)
    }

    /// Everything that has to hold of a certificate for `host` at `now`, in seconds since 1970, besides that somebody
    /// vouches for its CA: a host's, signed by the CA that it names, neither of the two keys a small RSA key, no SHA-1,
    /// its time, the host among its principals word for word (no wildcards; one without principals is nobody's, and one with more than OpenSSH reads), and no
    /// critical options, of which there are none for hosts.
    pub fn check(&self, host: &HostName, now: u64) -> Result<(), Fault> {
        if self.parsed.cert_type() != CertType::Host {
            return Err(Fault::UserType);
        }
        let ca = self.ca.as_ref().map_err(|e| Fault::CaType(e.clone()))?;
        for (whose, key) in [("its key", &self.key), ("its CA key", ca)] {
            if let Some(bits) = key.rsa_bits().filter(|bits| *bits < MIN_RSA_BITS) {
                return Err(Fault::SmallRsa { whose, bits });
            }
        }
        if !self.is_canonical() {
            return Err(Fault::NotCanonical);
        }
        let algorithm = self.parsed.signature().algorithm().to_string();
        if !signs_as(ca.key_type(), &algorithm) {
            return Err(Fault::SignatureAlgorithm(cut(&algorithm, 64).into_owned()));
        }
        self.parsed.verify_signature().map_err(|_| Fault::Signature)?;
        if now < self.valid_after() {
            return Err(Fault::NotYetValid(self.valid_after()));
        }
        if now >= self.valid_before() {
            return Err(Fault::Expired(self.valid_before()));
        }
        if self.principals().is_empty() {
            return Err(Fault::NoPrincipals);
        }
        if self.principals().len() > MAX_PRINCIPALS {
            return Err(Fault::TooManyPrincipals(self.principals().len()));
        }
        let name = host.to_string();
        if !self.principals().contains(&name) {
            let shown = |text: &String| cut(text, 80).into_owned();
            return Err(Fault::OtherName(self.principals().iter().take(4).map(shown).collect()));
        }
        match self.parsed.critical_options().keys().next() {
            Some(option) => Err(Fault::CriticalOption(cut(option, 64).into_owned())),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} by {:?})", self.key, self.ca)
    }
}

/// The plain key, and the CA's key as it stands there, from the fields after the type. None unless they are all there,
/// and nothing else.
fn keys<'a>(reader: &mut Reader<'a>, key_type: KeyType) -> Option<(Result<HostKey, HostKeyError>, &'a [u8])> {
    let _nonce = reader.string()?;
    let fields = if key_type == KeyType::Ed25519 { 1 } else { 2 };
    let mut blob = Vec::new();
    put_string(&mut blob, key_type.name().as_bytes());
    for _ in 0..fields {
        put_string(&mut blob, reader.string()?);
    }
    let (_serial, _type, _key_id, _principals) =
        (reader.take(8)?, reader.u32()?, reader.string()?, reader.string()?);
    let (_after, _before, _critical, _extensions) =
        (reader.take(8)?, reader.take(8)?, reader.string()?, reader.string()?);
    let (_reserved, ca, _signature) = (reader.string()?, reader.string()?, reader.string()?);
    reader.is_empty().then(|| (HostKey::from_blob(&blob), ca))
}

/// Keys of this type make such signatures, and these prove something: not SHA-1's `ssh-rsa`.
fn signs_as(key_type: KeyType, algorithm: &str) -> bool {
    algorithm != "ssh-rsa" && KeyType::from_algorithm(algorithm) == Some(key_type)
}
