//! One setting as it stands in a configuration: a key and a value.

use std::fmt;
use std::time::Duration;

use super::{Aliases, Mode, Policy, PortLabels, Require, Revocation};
use crate::proto::duration::{self, DurationError};
use crate::proto::hostkey::KeyType;
use crate::proto::name::{HostName, Name};

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
/// No limit.
const NONE: &str = "none";
/// Every place.
const ANY: &str = "any";

/// One setting of a [`Policy`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields of Policy, one each
pub enum Setting {
    Mode(Mode),
    Require(Require),
    Algorithms(Vec<KeyType>),
    PortLabels(PortLabels),
    Aliases(Aliases),
    CaAt(Option<Vec<Name>>),
    Revocation(Revocation),
    MinSignatureLeft(Duration),
    MaxSignatureAge(Option<Duration>),
    OutageGrace(Duration),
}

/// A value as it stands in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `"text"`.
    Text(String),
    /// `["text", "text"]`.
    List(Vec<String>),
}

/// Why a key and a value are no setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such key.
    #[error("there is no setting {0:?} (there are: {keys})", keys = Setting::KEYS.join(", "))]
    Key(String),
    /// A list where one text is wanted.
    #[error("{0} wants one text, not a list")]
    List(&'static str),
    /// A word that means nothing here.
    #[error("{key} = {word:?} means nothing (want {wanted})")]
    #[allow(missing_docs)] // the operands of the message
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
}

impl Setting {
    /// Every key, in the order in which settings are shown.
    pub const KEYS: [&str; 10] = [
        "mode",
        "require",
        "algorithms",
        "port_labels",
        "aliases",
        "ca_at",
        "revocation",
        "min_signature_left",
        "max_signature_age",
        "outage_grace",
    ];

    /// From a key and its value.
    pub fn read(key: &str, value: &Value) -> Result<Self, SettingError> {
        let unknown = || SettingError::Key(key.chars().take(40).collect());
        let key = *Self::KEYS.iter().find(|known| **known == key).ok_or_else(unknown)?;
        let text = || match value {
            Value::Text(text) => Ok(text.as_str()),
            Value::List(_) => Err(SettingError::List(key)),
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
        }
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
        }
    }

    /// All of its settings, in the order of [`Setting::KEYS`].
    pub fn settings(&self) -> [Setting; 10] {
        [
            Setting::Mode(self.mode),
            Setting::Require(self.require),
            Setting::Algorithms(self.algorithms.clone()),
            Setting::PortLabels(self.port_labels),
            Setting::Aliases(self.aliases),
            Setting::CaAt(self.ca_at.clone()),
            Setting::Revocation(self.revocation),
            Setting::MinSignatureLeft(self.min_signature_left),
            Setting::MaxSignatureAge(self.max_signature_age),
            Setting::OutageGrace(self.outage_grace),
        ]
    }
}

/// As in TOML.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(texts) => {
                let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
                write!(f, "[{}]", quoted.join(", "))
            }
        }
    }
}

fn choice<T: Copy>(key: &'static str, text: &str, choices: &[(&str, T)]) -> Result<T, SettingError> {
    choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
        let wanted: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
        SettingError::Word { key, word: text.chars().take(40).collect(), wanted: wanted.join(" or ") }
    })
}

fn word<T: PartialEq>(value: T, choices: &[(&'static str, T)]) -> &'static str {
    choices.iter().find(|(_, choice)| *choice == value).map_or("", |(word, _)| word)
}

/// Each type once, in the order given; a text is a list with commas or blanks between.
fn algorithms(value: &Value) -> Result<Vec<KeyType>, SettingError> {
    let mut types = Vec::new();
    for name in words(value) {
        let unknown = || SettingError::Algorithm(name.chars().take(40).collect());
        let key_type = KeyType::from_algorithm(name).ok_or_else(unknown)?;
        if !types.contains(&key_type) {
            types.push(key_type);
        }
    }
    if types.is_empty() { Err(SettingError::NoAlgorithm) } else { Ok(types) }
}

/// A list; a text is one with commas or blanks between.
fn words(value: &Value) -> Vec<&str> {
    match value {
        Value::Text(text) => text.split([',', ' ']).filter(|name| !name.is_empty()).collect(),
        Value::List(names) => names.iter().map(String::as_str).collect(),
    }
}

/// Where CA sets stand: names in the grammar of host names.
fn places(value: &Value) -> Result<Option<Vec<Name>>, SettingError> {
    let words = words(value);
    if words == [ANY] {
        return Ok(None);
    }
    let bad = |word: &str| SettingError::CaAt(word.chars().take(80).collect());
    let place = |word: &&str| match HostName::parse(word) {
        Ok(at) if *word != ANY => Ok(at.name().clone()),
        _ => Err(bad(word)),
    };
    let places: Vec<Name> = words.iter().map(place).collect::<Result<_, _>>()?;
    if places.is_empty() { Err(bad("")) } else { Ok(Some(places)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn each_setting_is_read_as_it_is_shown() {
        for setting in Policy::default().settings() {
            assert_eq!(Setting::read(setting.key(), &setting.value()).unwrap(), setting);
        }
        for (key, value) in [
            ("mode", "pass"),
            ("require", "hostkey"),
            ("require", "ca"),
            ("require", "both"),
            ("revocation", "always"),
            ("port_labels", "required"),
            ("aliases", "same-zone"),
            ("min_signature_left", "2d"),
            ("max_signature_age", "12h"),
            ("outage_grace", "6h"),
        ] {
            let setting = Setting::read(key, &text(value)).unwrap();
            assert_eq!((setting.key(), setting.value()), (key, text(value)));
            let mut policy = Policy::default();
            policy.set(setting.clone());
            assert_ne!(policy, Policy::default(), "{key}");
            assert!(policy.settings().contains(&setting), "{key}");
        }
        assert_eq!(Policy::default().settings().map(|setting| setting.key()), Setting::KEYS);
    }

    #[test]
    fn rsa_has_three_names() {
        let read = |value: Value| Setting::read("algorithms", &value).unwrap();
        let both = Setting::Algorithms(vec![KeyType::Ed25519, KeyType::Rsa]);
        let names = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"].map(str::to_owned);
        assert_eq!(read(Value::List(names.to_vec())), both);
        assert_eq!(read(text("ssh-ed25519,rsa-sha2-256")), both);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (key, value) in [
            ("mode", "Pass"),
            ("mode", ""),
            ("require", "none"),
            ("algorithms", "ssh-dss"),
            ("algorithms", "ssh-ed25519-cert-v01@openssh.com"),
            ("algorithms", ""),
            ("port_labels", "yes"),
            ("aliases", "none"),
            ("outage_grace", "6"),
            ("min_signature_left", "none"),
            ("max_signature_age", "never"),
            ("grace", "6h"),
        ] {
            assert!(Setting::read(key, &text(value)).is_err(), "{key} = {value}");
        }
        assert!(Setting::read("mode", &Value::List(vec!["pass".into()])).is_err());
        assert!(Setting::read("algorithms", &Value::List(Vec::new())).is_err());
    }

    #[test]
    fn places_of_ca_sets_are_names() {
        let read = |value: &Value| Setting::read("ca_at", value);
        let names =
            |names: &[&str]| names.iter().map(|name| Name::from_text(name).unwrap()).collect::<Vec<_>>();
        assert_eq!(read(&text("any")), Ok(Setting::CaAt(None)));
        let two = Setting::CaAt(Some(names(&["example.com", "lab.example.com"])));
        assert_eq!(read(&text("Example.com., lab.example.com")), Ok(two.clone()));
        assert_eq!(read(&two.value()), Ok(two));
        for bad in ["", "any example.com", "*.example.com", "_ca._ssh.example.com", "192.0.2.1"] {
            assert!(read(&text(bad)).is_err(), "{bad}");
        }
    }
}
