//! What a CA of one's own is: for which hosts, with which keys, and how long its certificates are good. Kept as
//! `ca.json`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DEFAULT_MAX_VALIDITY, DEFAULT_VALIDITY, Refusal, check_key};
use crate::proto::duration;
use crate::proto::hostkey::HostKey;
use crate::proto::name::{HostName, Name, NameError};

const VERSION: u32 = 1;

/// Which part a key plays. There is exactly one current one; the others are there while the CA rolls over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Will sign, and does not yet.
    Next,
    /// Signs.
    Current,
    /// Signs no more; certificates that it signed may still be about.
    Retired,
}

/// Who holds a private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A file in OpenSSH's format; a relative path is one in the CA's folder.
    File(PathBuf),
    /// ssh-agent, for itself or for a token.
    Agent,
}

/// One of a CA's keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaKey {
    /// Its public half.
    pub key: HostKey,
    /// Who holds its private half.
    pub holder: Holder,
    /// Which part it plays.
    pub state: KeyState,
}

/// A CA: one current key at any time, each key once, at least one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    domains: Vec<HostName>,
    validity: Duration,
    max_validity: Duration,
    keys: Vec<CaKey>,
    /// The one of `keys` that is current.
    current: CaKey,
}

/// Why something is no CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// Not the form that this program writes.
    #[error("{0}")]
    Form(String),
    /// A later version of this program wrote it.
    #[error("it is of version {0}, and this program knows {VERSION}")]
    Newer(u64),
    /// It is for nobody.
    #[error("a CA needs a domain")]
    NoDomain,
    /// Exactly one of its keys has to sign.
    #[error("{0} of its keys are current (want one)")]
    Current(usize),
    /// A key stands there twice.
    #[error("{0} is there already")]
    Twice(HostKey),
    /// It has no such key, or not in the state that was expected.
    #[error("{0} is not a key of this CA in the state {1:?}")]
    Unknown(HostKey, KeyState),
    /// A key that must not sign.
    #[error(transparent)]
    Key(#[from] Refusal),
    /// Its certificates would be good for longer than they may.
    #[error("a validity of {} does not fit below the greatest, {}", duration::text(*.0), duration::text(*.1))]
    Validity(Duration, Duration),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    domains: Vec<String>,
    validity: String,
    max_validity: String,
    keys: Vec<KeyDocument>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyDocument {
    state: KeyState,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    agent: bool,
}

impl Authority {
    /// A CA for what is at or below `domains`, with one key.
    pub fn new(domains: Vec<HostName>, key: HostKey, holder: Holder) -> Result<Self, AuthorityError> {
        let keys = vec![CaKey { key, holder, state: KeyState::Current }];
        Self::of(domains, DEFAULT_VALIDITY, DEFAULT_MAX_VALIDITY, keys)
    }

    /// With other limits: how long a certificate is good unless it is told, and at most.
    pub fn with_validity(self, validity: Duration, max_validity: Duration) -> Result<Self, AuthorityError> {
        Self::of(self.domains, validity, max_validity, self.keys)
    }

    /// Reads what [`Authority::text`] has written.
    pub fn parse(text: &str) -> Result<Self, AuthorityError> {
        let form = |e: &dyn std::fmt::Display| AuthorityError::Form(e.to_string());
        let value: serde_json::Value = serde_json::from_str(text).map_err(|e| form(&e))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version > u64::from(VERSION) => return Err(AuthorityError::Newer(version)),
            Some(version) if version == u64::from(VERSION) => {}
            _ => return Err(AuthorityError::Form("it has no version that this program knows".into())),
        }
        let document: Document = serde_json::from_value(value).map_err(|e| form(&e))?;
        let domains = document.domains.iter().map(|domain| HostName::parse(domain));
        let span = |text: &str| duration::parse(text).map_err(|e| form(&e));
        Self::of(
            domains.collect::<Result<_, _>>().map_err(|e| form(&e))?,
            span(&document.validity)?,
            span(&document.max_validity)?,
            document.keys.into_iter().map(KeyDocument::read).collect::<Result<_, _>>()?,
        )
    }

    /// As `ca.json` has it.
    pub fn text(&self) -> Result<String, AuthorityError> {
        let document = Document {
            version: VERSION,
            domains: self.domains.iter().map(HostName::to_string).collect(),
            validity: duration::text(self.validity),
            max_validity: duration::text(self.max_validity),
            keys: self.keys.iter().map(KeyDocument::of).collect(),
        };
        let text =
            serde_json::to_string_pretty(&document).map_err(|e| AuthorityError::Form(e.to_string()))?;
        Ok(text + "\n")
    }

    /// The one maker: what is to hold at any time holds of what it makes.
    fn of(
        domains: Vec<HostName>,
        validity: Duration,
        max_validity: Duration,
        keys: Vec<CaKey>,
    ) -> Result<Self, AuthorityError> {
        if domains.is_empty() {
            return Err(AuthorityError::NoDomain);
        }
        for (at, key) in keys.iter().enumerate() {
            check_key(&key.key)?;
            if keys.iter().skip(at + 1).any(|other| other.key == key.key) {
                return Err(AuthorityError::Twice(key.key.clone()));
            }
        }
        if validity.as_secs() == 0 || validity > max_validity {
            return Err(AuthorityError::Validity(validity, max_validity));
        }
        let mut current = keys.iter().filter(|key| key.state == KeyState::Current);
        match (current.next().cloned(), current.count()) {
            (Some(current), 0) => Ok(Authority { domains, validity, max_validity, keys, current }),
            (first, more) => Err(AuthorityError::Current(usize::from(first.is_some()) + more)),
        }
    }

    /// The same with other keys.
    fn with_keys(self, keys: Vec<CaKey>) -> Result<Self, AuthorityError> {
        Self::of(self.domains, self.validity, self.max_validity, keys)
    }

    /// What the CA is for: hosts at or below these.
    pub fn domains(&self) -> &[HostName] {
        &self.domains
    }

    /// Where its keys are published: `_ca._ssh.DOMAIN` for each domain.
    pub fn owners(&self) -> Result<Vec<Name>, NameError> {
        self.domains.iter().map(|domain| domain.name().child(b"_ssh")?.child(b"_ca")).collect()
    }

    /// The CA is for this host.
    pub fn is_for(&self, host: &HostName) -> bool {
        self.domains.iter().any(|domain| host.name().is_at_or_below(domain.name()))
    }

    /// How long a certificate is good unless it is told.
    pub fn validity(&self) -> Duration {
        self.validity
    }

    /// How long a certificate is good at most.
    pub fn max_validity(&self) -> Duration {
        self.max_validity
    }

    /// All keys, in the order in which they came.
    pub fn keys(&self) -> &[CaKey] {
        &self.keys
    }

    /// The key that signs.
    pub fn current(&self) -> &CaKey {
        &self.current
    }

    /// With one more key, which will sign once it is promoted.
    pub fn with_next(mut self, key: HostKey, holder: Holder) -> Result<Self, AuthorityError> {
        let mut keys = std::mem::take(&mut self.keys);
        keys.push(CaKey { key, holder, state: KeyState::Next });
        self.with_keys(keys)
    }

    /// The next key `key` signs from now on, and the one that did is retired.
    pub fn promoted(mut self, key: &HostKey) -> Result<Self, AuthorityError> {
        if !self.has(key, KeyState::Next) {
            return Err(AuthorityError::Unknown(key.clone(), KeyState::Next));
        }
        let mut keys = std::mem::take(&mut self.keys);
        for known in &mut keys {
            match known.state {
                KeyState::Current => known.state = KeyState::Retired,
                KeyState::Next if known.key == *key => known.state = KeyState::Current,
                KeyState::Next | KeyState::Retired => {}
            }
        }
        self.with_keys(keys)
    }

    /// Without `key`, which is in `state`; the current one cannot go.
    pub fn without(mut self, key: &HostKey, state: KeyState) -> Result<Self, AuthorityError> {
        if !self.has(key, state) {
            return Err(AuthorityError::Unknown(key.clone(), state));
        }
        let mut keys = std::mem::take(&mut self.keys);
        keys.retain(|known| known.key != *key);
        self.with_keys(keys)
    }

    fn has(&self, key: &HostKey, state: KeyState) -> bool {
        self.keys.iter().any(|known| known.key == *key && known.state == state)
    }
}

impl Holder {
    /// Where its file is, if it is in one; `folder` is the CA's.
    pub fn file(&self, folder: &Path) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(folder.join(path)),
            Self::Agent => None,
        }
    }
}

impl KeyDocument {
    fn of(key: &CaKey) -> Self {
        let (key_file, agent) = match &key.holder {
            Holder::File(path) => (Some(path.clone()), false),
            Holder::Agent => (None, true),
        };
        KeyDocument { state: key.state, public_key: key.key.line(), key_file, agent }
    }

    fn read(self) -> Result<CaKey, AuthorityError> {
        let holder = match (self.key_file, self.agent) {
            (Some(path), false) => Holder::File(path),
            (None, true) => Holder::Agent,
            _ => return Err(AuthorityError::Form("a key is in a key_file, or with the agent".into())),
        };
        let key = HostKey::from_line(&self.public_key).map_err(|e| AuthorityError::Form(e.to_string()))?;
        Ok(CaKey { key, holder, state: self.state })
    }
}
