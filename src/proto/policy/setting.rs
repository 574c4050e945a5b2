//! One setting as it stands in a configuration: a key and a value.

mod value;

use std::ops::RangeInclusive;
use std::time::Duration;

use super::posture::{Kex, Posture, StrictKex, Versions, VersionsError};
use super::{Aliases, Mode, Policy, PortLabels, Require, Revocation};
use crate::proto::duration::{self, DurationError};
use crate::proto::hostkey::KeyType;
use crate::proto::name::{HostName, Name};
use crate::proto::ssh_config::Version;
use crate::proto::text::cut;

pub use value::Value;

const MODES: [(&str, Mode); 2] = [("verify", Mode::Verify), ("pass", Mode::Pass)];
const REQUIRES: [(&str, Require); 4] = [
    ("either", Require::Either),
    ("hostkey", Require::Hostkey),
    ("ca", Require::Ca),
    ("both", Require::Both),
];
const REVOCATIONS: [(&str, Revocation); 2] = [("ca", Revocation::Ca), ("always", Revocation::Always)];
const PORT_LABELS: [(&str, PortLabels); 2] =
    [("allowed", PortLabels::Allowed), ("required", PortLabels::Required)];
const ALIASES: [(&str, Aliases); 2] = [("any", Aliases::Any), ("same-zone", Aliases::SameZone)];
const STRICT_KEXES: [(&str, StrictKex); 2] = [("any", StrictKex::Any), ("required", StrictKex::Required)];
const KEXES: [(&str, Kex); 2] = [("any", Kex::Any), ("post-quantum", Kex::PostQuantum)];
/// Sizes of RSA keys that are understood, in bits.
const RSA_BITS: RangeInclusive<u32> = 1024..=16384;
/// No limit.
const NONE: &str = "none";
/// Every place.
const ANY: &str = "any";

/// One setting of a [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of Policy, one each")]
pub enum Setting {
    Mode(Mode),
    Require(Require),
    Algorithms(Vec<KeyType>),
    MinRsaBits(u32),
    PortLabels(PortLabels),
    Aliases(Aliases),
    CaAt(Option<Vec<Name>>),
    Revocation(Revocation),
    MinSignatureLeft(Duration),
    MaxSignatureAge(Option<Duration>),
    OutageGrace(Duration),
    StrictKex(StrictKex),
    Kex(Kex),
    ServerVersions(Option<Versions>),
    MinOpenSsh(Option<Version>),
}

/// Why a key and a value are no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such key.
    #[error("there is no setting {0:?} (there are: {keys})", keys = Setting::KEYS.join(", "))]
    Key(String),
    /// A list or a number where one text is wanted.
    #[error("{0} wants one text in quotes")]
    Text(&'static str),
    /// A word that means nothing here.
    #[error("{key} = {word:?} means nothing (want {wanted})")]
    #[allow(missing_docs, reason = "the operands of the message")]
    Word { key: &'static str, word: String, wanted: String },
    /// Not a name at which a CA set can stand.
    #[error(
        "{0:?} is no domain name (ca_at wants \"any\", or domains at which CA sets stand, such as \"example.com\")"
    )]
    CaAt(String),
    /// Not a host key type.
    #[error("{0:?} is no host key type (there are: {names})", names = KeyType::ALL.map(KeyType::name).join(", "))]
    Algorithm(String),
    /// No host key type at all: nothing could be accepted.
    #[error("algorithms wants at least one host key type")]
    NoAlgorithm,
    /// Not a span of time.
    #[error("{0}: {1}")]
    Duration(&'static str, DurationError),
    /// Not a size of RSA keys.
    #[error("min_rsa_bits wants a number from {} to {}", RSA_BITS.start(), RSA_BITS.end())]
    RsaBits,
    /// Not patterns of software versions.
    #[error("server_versions: {0}")]
    Versions(VersionsError),
    /// Not a version of OpenSSH.
    #[error("min_openssh = {0:?} is no version (want \"9.6\", or \"any\")")]
    OpenSsh(String),
}

impl Setting {
    /// Every key, in the order in which settings are shown.
    pub const KEYS: [&str; 15] = [
        "mode",
        "require",
        "algorithms",
        "min_rsa_bits",
        "port_labels",
        "aliases",
        "ca_at",
        "revocation",
        "min_signature_left",
        "max_signature_age",
        "outage_grace",
        "strict_kex",
        "kex",
        "server_versions",
        "min_openssh",
    ];

    /// From a key and its value.
    pub fn read(key: &str, value: &Value) -> Result<Self, SettingError> {
        let unknown = || SettingError::Key(cut(key, 40).into_owned());
        let key = *Self::KEYS.iter().find(|known| **known == key).ok_or_else(unknown)?;
        let text = || match value {
            Value::Text(text) => Ok(text.as_str()),
            Value::List(_) | Value::Number(_) => Err(SettingError::Text(key)),
        };
        let span = || duration::parse(text()?).map_err(|e| SettingError::Duration(key, e));
        Ok(match key {
            "mode" => Self::Mode(choice(key, text()?, &MODES)?),
            "require" => Self::Require(choice(key, text()?, &REQUIRES)?),
            "algorithms" => Self::Algorithms(algorithms(value)?),
            "port_labels" => Self::PortLabels(choice(key, text()?, &PORT_LABELS)?),
            "aliases" => Self::Aliases(choice(key, text()?, &ALIASES)?),
            "ca_at" => Self::CaAt(places(value)?),
            "revocation" => Self::Revocation(choice(key, text()?, &REVOCATIONS)?),
            "min_signature_left" => Self::MinSignatureLeft(span()?),
            "max_signature_age" if text()? == NONE => Self::MaxSignatureAge(None),
            "max_signature_age" => Self::MaxSignatureAge(Some(span()?)),
            "outage_grace" => Self::OutageGrace(span()?),
            "min_rsa_bits" => {
                let bits = value.number().filter(|bits| RSA_BITS.contains(bits));
                Self::MinRsaBits(bits.ok_or(SettingError::RsaBits)?)
            }
            "strict_kex" => Self::StrictKex(choice(key, text()?, &STRICT_KEXES)?),
            "kex" => Self::Kex(choice(key, text()?, &KEXES)?),
            "server_versions" => Self::ServerVersions(match value.words().as_slice() {
                [ANY] => None,
                words => Some(Versions::parse(words.iter().copied()).map_err(SettingError::Versions)?),
            }),
            "min_openssh" => Self::MinOpenSsh(openssh(text()?)?),
            _ => return Err(unknown()),
        })
    }

    /// Its key.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Mode(_) => "mode",
            Self::Require(_) => "require",
            Self::Algorithms(_) => "algorithms",
            Self::PortLabels(_) => "port_labels",
            Self::Aliases(_) => "aliases",
            Self::CaAt(_) => "ca_at",
            Self::Revocation(_) => "revocation",
            Self::MinSignatureLeft(_) => "min_signature_left",
            Self::MaxSignatureAge(_) => "max_signature_age",
            Self::OutageGrace(_) => "outage_grace",
            Self::MinRsaBits(_) => "min_rsa_bits",
            Self::StrictKex(_) => "strict_kex",
            Self::Kex(_) => "kex",
            Self::ServerVersions(_) => "server_versions",
            Self::MinOpenSsh(_) => "min_openssh",
        }
    }

    /// It asks for something of the handshake that shows a key.
    pub fn is_of_handshake(&self) -> bool {
        let mut policy = Policy::default();
        policy.set(self.clone());
        policy.posture.asks()
    }

    /// Its value, as [`Setting::read`] takes it.
    pub fn value(&self) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        match self {
            Self::Mode(mode) => text(word(*mode, &MODES)),
            Self::Require(require) => text(word(*require, &REQUIRES)),
            Self::Algorithms(types) => Value::List(types.iter().map(KeyType::to_string).collect()),
            Self::PortLabels(labels) => text(word(*labels, &PORT_LABELS)),
            Self::Aliases(aliases) => text(word(*aliases, &ALIASES)),
            Self::CaAt(None) => text(ANY),
            Self::CaAt(Some(places)) => Value::List(places.iter().map(Name::to_string).collect()),
            Self::Revocation(revocation) => text(word(*revocation, &REVOCATIONS)),
            Self::MaxSignatureAge(None) => text(NONE),
            Self::MinRsaBits(bits) => Value::Number(*bits),
            Self::StrictKex(strict) => text(word(*strict, &STRICT_KEXES)),
            Self::Kex(kex) => text(word(*kex, &KEXES)),
            Self::ServerVersions(None) | Self::MinOpenSsh(None) => text(ANY),
            Self::ServerVersions(Some(versions)) => Value::List(versions.patterns().to_vec()),
            Self::MinOpenSsh(Some(version)) => Value::Text(version.to_string()),
            Self::MinSignatureLeft(span) | Self::MaxSignatureAge(Some(span)) | Self::OutageGrace(span) => {
                Value::Text(duration::text(*span))
            }
        }
    }
}

impl Policy {
    /// With this setting in place of its own.
    pub(super) fn set(&mut self, setting: Setting) {
        match setting {
            Setting::Mode(mode) => self.mode = mode,
            Setting::Require(require) => self.require = require,
            Setting::Algorithms(types) => self.algorithms = types,
            Setting::PortLabels(labels) => self.port_labels = labels,
            Setting::Aliases(aliases) => self.aliases = aliases,
            Setting::CaAt(places) => self.ca_at = places,
            Setting::Revocation(revocation) => self.revocation = revocation,
            Setting::MinSignatureLeft(span) => self.min_signature_left = span,
            Setting::MaxSignatureAge(span) => self.max_signature_age = span,
            Setting::OutageGrace(span) => self.outage_grace = span,
            Setting::MinRsaBits(bits) => self.min_rsa_bits = bits,
            Setting::StrictKex(strict) => self.posture.strict_kex = strict,
            Setting::Kex(kex) => self.posture.kex = kex,
            Setting::ServerVersions(versions) => self.posture.server_versions = versions,
            Setting::MinOpenSsh(version) => self.posture.min_openssh = version,
        }
    }

    /// All of its settings, in the order of [`Setting::KEYS`].
    pub fn settings(&self) -> [Setting; 15] {
        let Posture { strict_kex, kex, server_versions, min_openssh } = &self.posture;
        [
            Setting::Mode(self.mode),
            Setting::Require(self.require),
            Setting::Algorithms(self.algorithms.clone()),
            Setting::MinRsaBits(self.min_rsa_bits),
            Setting::PortLabels(self.port_labels),
            Setting::Aliases(self.aliases),
            Setting::CaAt(self.ca_at.clone()),
            Setting::Revocation(self.revocation),
            Setting::MinSignatureLeft(self.min_signature_left),
            Setting::MaxSignatureAge(self.max_signature_age),
            Setting::OutageGrace(self.outage_grace),
            Setting::StrictKex(*strict_kex),
            Setting::Kex(*kex),
            Setting::ServerVersions(server_versions.clone()),
            Setting::MinOpenSsh(*min_openssh),
        ]
    }
}

fn choice<T: Copy>(key: &'static str, text: &str, choices: &[(&str, T)]) -> Result<T, SettingError> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let wanted: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
        SettingError::Word { key, word: cut(text, 40).into_owned(), wanted: wanted.join(" or ") }
    })
}

fn word<T: PartialEq>(value: T, choices: &[(&'static str, T)]) -> &'static str {
    choices.iter().find(|(_, choice)| *choice == value).map_or("", |(word, _)| word)
}

/// Each type once, in the order given; a text is a list with commas or blanks between.
fn algorithms(value: &Value) -> Result<Vec<KeyType>, SettingError> {
    let mut types = Vec::new();
    for name in value.words() {
        let unknown = || SettingError::Algorithm(cut(name, 40).into_owned());
        let key_type = KeyType::from_algorithm(name).ok_or_else(unknown)?;
        if !types.contains(&key_type) {
            types.push(key_type);
        }
    }
    if types.is_empty() { Err(SettingError::NoAlgorithm) } else { Ok(types) }
}

/// Where CA sets stand: names in the grammar of host names.
fn places(value: &Value) -> Result<Option<Vec<Name>>, SettingError> {
    let words = value.words();
    if words == [ANY] {
        return Ok(None);
    }
    let bad = |word: &str| SettingError::CaAt(cut(word, 80).into_owned());
    let place = |word: &&str| match HostName::parse(word) {
        Ok(at) if *word != ANY => Ok(at.name().clone()),
        _ => Err(bad(word)),
    };
    let places: Vec<Name> = words.iter().map(place).collect::<Result<_, _>>()?;
    if places.is_empty() { Err(bad("")) } else { Ok(Some(places)) }
}

/// `MAJOR.MINOR`, and nothing behind it.
fn openssh(text: &str) -> Result<Option<Version>, SettingError> {
    if text == ANY {
        return Ok(None);
    }
    let version = Version::parse(&format!("OpenSSH_{text}"));
    let read = version.filter(|version| version.to_string() == text);
    read.map(Some).ok_or_else(|| SettingError::OpenSsh(cut(text, 40).into_owned()))
}

#[cfg(test)]
mod tests;
