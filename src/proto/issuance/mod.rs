//! Host certificates of a CA of one's own: what it may sign, what stands in it, and what is kept of it.
//!
//! A [`Request`] becomes a [`Draft`] if the [`Authority`] allows it, a draft with the CA's signature becomes
//! [`Issued`], and that becomes a line of the [`journal`] before anybody gets to see the certificate. The form is that
//! of OpenSSH's PROTOCOL.certkeys.

pub mod authority;
mod draft;
pub mod journal;
pub mod ledger;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use data_encoding::{BASE64, BASE64_NOPAD};

use super::certificate::{MIN_RSA_BITS, SUFFIX};
use super::duration;
use super::hostkey::{HostKey, KeyType};
use super::moment;
use super::name::HostName;
use super::verdict::RELEASED;

pub use self::authority::{Authority, AuthorityError, CaKey, Holder, KeyState};
pub use self::draft::{Draft, NotIssued};

/// How long a certificate is good unless it is told: OpenSSH itself has no default.
pub const DEFAULT_VALIDITY: Duration = Duration::from_secs(30 * 86_400);
/// The longest that a certificate is good unless the CA was made for longer.
pub const DEFAULT_MAX_VALIDITY: Duration = Duration::from_secs(90 * 86_400);
/// A host whose clock is behind by so many seconds still takes a new certificate.
const SKEW: u64 = 300;
/// Most names in a certificate: OpenSSH's SSHKEY_CERT_MAX_PRINCIPALS.
const MAX_NAMES: usize = 256;
/// Longest key id, in octets.
const MAX_KEY_ID: usize = 256;

/// Type and digest of a public key: what SSHFP records, journal and revocation know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyDigest {
    /// The key's type.
    pub key_type: KeyType,
    /// SHA-256 of the key's blob.
    pub sha256: [u8; 32],
}

impl From<&HostKey> for KeyDigest {
    fn from(key: &HostKey) -> Self {
        KeyDigest { key_type: key.key_type(), sha256: key.sha256() }
    }
}

/// As OpenSSH prints fingerprints.
impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} SHA256:{}", self.key_type, BASE64_NOPAD.encode(&self.sha256))
    }
}

/// A key that is revoked; of a digest alone nobody knows the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RevokedKey {
    /// The key's type, where it is known.
    pub key_type: Option<KeyType>,
    /// SHA-256 of the key's blob.
    pub sha256: [u8; 32],
}

impl From<KeyDigest> for RevokedKey {
    fn from(key: KeyDigest) -> Self {
        RevokedKey { key_type: Some(key.key_type), sha256: key.sha256 }
    }
}

impl From<&HostKey> for RevokedKey {
    fn from(key: &HostKey) -> Self {
        KeyDigest::from(key).into()
    }
}

/// What somebody wants a certificate for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The host's plain key.
    pub key: HostKey,
    /// What the host is called, each exactly; the first one is its name.
    pub names: Vec<HostName>,
    /// How long it is to be good; none means the CA's default.
    pub validity: Option<Duration>,
    /// Its serial number; none means a random one.
    pub serial: Option<u64>,
    /// A label for people and logs; none means the first name.
    pub key_id: Option<String>,
    /// It takes the place of another one: for the journal alone.
    pub is_renewal: bool,
}

impl Request {
    /// For these names of the host with this key, and all else as the CA has it.
    pub fn new(key: HostKey, names: impl IntoIterator<Item = HostName>) -> Self {
        let names = names.into_iter().collect();
        Request { key, names, validity: None, serial: None, key_id: None, is_renewal: false }
    }
}

/// Randomness for one certificate, of the system's.
#[derive(Clone)]
pub struct Randomness {
    /// For the serial number, where none is asked for.
    pub serial: u64,
    /// So that nobody can foretell what the CA signs.
    pub nonce: [u8; 32],
}

/// Why a certificate is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Without names it would be good for every host.
    #[error("a host certificate needs at least one name")]
    NoNames,
    /// More than OpenSSH reads.
    #[error("{0} names in one certificate (at most {MAX_NAMES})")]
    ManyNames(usize),
    /// The CA is not for this host.
    #[error("{name} is not at or below {}, for which this CA is", list(domains))]
    Outside {
        /// The host.
        name: HostName,
        /// What the CA is for.
        domains: Vec<HostName>,
    },
    /// The key is one of the CA's own.
    #[error("this is a key of the CA itself: a host that holds it could sign for all the others")]
    OwnKey,
    /// Too small for anybody to rely on.
    #[error("RSA key of {0} bits (want at least {MIN_RSA_BITS})")]
    SmallRsa(usize),
    /// Good for no time at all.
    #[error("a certificate that is good for no time is good for nothing")]
    NoValidity,
    /// Good for longer than the CA allows.
    #[error("{} is longer than a certificate of this CA may be good ({})", duration::text(*asked), duration::text(*most))]
    LongValidity {
        /// What was asked for.
        asked: Duration,
        /// What the CA allows.
        most: Duration,
    },
    /// OpenSSH's value for "none".
    #[error("a serial number is 1 or more")]
    ZeroSerial,
    /// Two certificates of one CA have two serial numbers.
    #[error("serial number {0} is taken")]
    SerialTaken(u64),
    /// Not a label that logs can hold.
    #[error("a key id is 1 to {MAX_KEY_ID} printable ASCII characters")]
    KeyId,
    /// Its certificate would vouch for nobody.
    #[error("the key {0} is revoked")]
    Revoked(KeyDigest),
    /// So is whatever it signs.
    #[error("the CA's own key {0} is revoked")]
    RevokedCa(HostKey),
    /// A certificate made now would be good at the wrong time.
    #[error("the clock says {}, which is before this release of sshanchor was made", moment::text(*.0))]
    Clock(u64),
}

fn list(domains: &[HostName]) -> String {
    let names: Vec<String> = domains.iter().map(HostName::to_string).collect();
    names.join(" or ")
}

impl Refusal {
    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoNames | Self::ManyNames(_) => "names",
            Self::Outside { .. } => "outside-domain",
            Self::OwnKey | Self::SmallRsa(_) => "host-key",
            Self::NoValidity | Self::LongValidity { .. } => "validity",
            Self::ZeroSerial | Self::SerialTaken(_) => "serial",
            Self::KeyId => "key-id",
            Self::Revoked(_) | Self::RevokedCa(_) => "revoked",
            Self::Clock(_) => "clock",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoNames => "name the host: --name web1.example.com".into(),
            Self::ManyNames(_) => "sign a certificate for each host".into(),
            Self::Outside { .. } => {
                "is the name whole? another domain wants a CA of its own: sshanchor ca init --ca \
                                     FOLDER --domain DOMAIN"
                    .into()
            }
            Self::OwnKey => "name the host's own key: --host-key ssh_host_ed25519_key.pub".into(),
            Self::SmallRsa(_) => "make a better one: ssh-keygen -t ed25519".into(),
            Self::NoValidity => "say how long: --validity 30d".into(),
            Self::LongValidity { most, .. } => {
                format!("ask for less: --validity {}; hosts renew with ca renew", duration::text(*most))
            }
            Self::ZeroSerial | Self::SerialTaken(_) => "leave --serial out: a random one is taken".into(),
            Self::KeyId => return None,
            Self::Revoked(_) => "make a new host key (ssh-keygen -t ed25519), and have that signed".into(),
            Self::RevokedCa(_) => "make another CA: sshanchor ca init --ca FOLDER".into(),
            Self::Clock(_) => "set this machine's clock".into(),
        })
    }
}

/// A certificate that is signed, with what stands in it. Made by [`Draft::signed`], or read from the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// Its serial number.
    pub serial: u64,
    /// Its label.
    pub key_id: String,
    /// The names that it is good for, lower case, without a final dot.
    pub principals: Vec<String>,
    /// The host's key.
    pub key: KeyDigest,
    /// SHA-256 of the CA key's blob.
    pub ca_sha256: [u8; 32],
    /// From when it is good, in seconds since 1970.
    pub valid_after: u64,
    /// Until when it is good, in seconds since 1970; not good any more at that very moment.
    pub valid_before: u64,
    /// The whole certificate.
    pub blob: Vec<u8>,
}

impl Issued {
    /// As a line of a `-cert.pub` file; its first name is the comment.
    pub fn line(&self) -> String {
        let comment = self.principals.first().map_or("", String::as_str);
        format!("{}{SUFFIX} {} {comment}", self.key.key_type, BASE64.encode(&self.blob))
    }
}

/// What `authority` makes of `request` at `now`, in seconds since 1970; else why it must not be signed.
pub fn draft(
    authority: &Authority,
    request: &Request,
    randomness: &Randomness,
    now: u64,
) -> Result<Draft, Refusal> {
    if now < RELEASED {
        return Err(Refusal::Clock(now));
    }
    let mut names: Vec<HostName> = Vec::with_capacity(request.names.len());
    for name in &request.names {
        if !authority.is_for(name) {
            return Err(Refusal::Outside { name: name.clone(), domains: authority.domains().to_vec() });
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let first = names.first().ok_or(Refusal::NoNames)?.to_string();
    if names.len() > MAX_NAMES {
        return Err(Refusal::ManyNames(names.len()));
    }
    check_key(&request.key)?;
    if authority.keys().iter().any(|own| own.key == request.key) {
        return Err(Refusal::OwnKey);
    }
    let validity = request.validity.unwrap_or(authority.validity());
    if validity.as_secs() == 0 {
        return Err(Refusal::NoValidity);
    }
    if validity > authority.max_validity() {
        return Err(Refusal::LongValidity { asked: validity, most: authority.max_validity() });
    }
    let key_id = request.key_id.clone().unwrap_or(first);
    let is_printable = key_id.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic());
    if !is_printable || !(1..=MAX_KEY_ID).contains(&key_id.len()) {
        return Err(Refusal::KeyId);
    }
    // A signed 64-bit number holds it, whoever reads it; none of OpenSSH's "no serial number".
    let serial = request.serial.unwrap_or((randomness.serial >> 1).max(1));
    if serial == 0 {
        return Err(Refusal::ZeroSerial);
    }
    Ok(Draft {
        ca: authority.current().key.clone(),
        key: request.key.clone(),
        names,
        serial,
        key_id,
        valid_after: now.saturating_sub(SKEW).max(RELEASED),
        valid_before: now.saturating_add(validity.as_secs()),
        nonce: randomness.nonce,
    })
}

/// A key that a host or a CA may have.
fn check_key(key: &HostKey) -> Result<(), Refusal> {
    match key.rsa_bits() {
        Some(bits) if bits < MIN_RSA_BITS => Err(Refusal::SmallRsa(bits)),
        _ => Ok(()),
    }
}
