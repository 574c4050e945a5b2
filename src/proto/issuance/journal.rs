//! What a CA has done, an event a line: JSON, appended and never changed.
//!
//! A line that a crash cut short is the beginning of one; it is passed over, for nothing that it tells of has left
//! the CA. A line that is anything else than that and no event is an error: somebody wrote into the journal.

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Issued, KeyDigest, RevokedKey};
use crate::proto::ascii_json::ascii;
use crate::proto::hostkey::KeyType;
use crate::proto::moment;

/// Longest line, in octets, without its end: a certificate of the longest names and keys has 96 KiB in base64.
pub const MAX_LINE: usize = 256 * 1024;

/// Something that a CA did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When, in seconds since 1970.
    pub time: u64,
    /// What.
    pub event: Event,
}

/// What a CA did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It began.
    Init {
        /// Its key.
        ca: KeyDigest,
        /// What it is for.
        domains: Vec<String>,
    },
    /// It signed a certificate, for the first time or (`renew`) in the place of another one.
    Sign {
        /// The certificate.
        issued: Issued,
        /// It takes the place of another one.
        is_renewal: bool,
    },
    /// It revoked a key: of a host, plain or in certificates, or of a CA.
    Revoke {
        /// The key.
        key: RevokedKey,
        /// Whatever else is told of it, such as the host.
        more: Map<String, Value>,
    },
    /// It took that back.
    Unrevoke {
        /// The key.
        key: RevokedKey,
        /// Whatever else is told of it.
        more: Map<String, Value>,
    },
    /// Something that needs no form here: `publish`, `withdraw`, `roll`, and what later versions do.
    Other {
        /// What is done.
        name: String,
        /// What is told of it.
        more: Map<String, Value>,
    },
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An event.
    Entry(Entry),
    /// The beginning of one, which a crash cut short.
    Torn,
}

/// A line that is no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadLine(String);

impl Event {
    /// An event without a form of its own; `more` is a JSON object.
    pub fn other(name: &str, more: Value) -> Self {
        let more = match more {
            Value::Object(more) => more,
            Value::Null => Map::new(),
            value => Map::from_iter([("detail".to_owned(), value)]),
        };
        Event::Other { name: name.to_owned(), more }
    }

    /// The digest of a key that is revoked from here on (true), or is no more (false).
    pub fn revokes(&self) -> Option<([u8; 32], bool)> {
        match self {
            Self::Revoke { key, .. } => Some((key.sha256, true)),
            Self::Unrevoke { key, .. } => Some((key.sha256, false)),
            _ => None,
        }
    }

    /// The word for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Init { .. } => "init",
            Self::Sign { is_renewal: false, .. } => "sign",
            Self::Sign { is_renewal: true, .. } => "renew",
            Self::Revoke { .. } => "revoke",
            Self::Unrevoke { .. } => "unrevoke",
            Self::Other { name, .. } => name,
        }
    }
}

impl Entry {
    /// As a line, with its end. The fields that all events have cannot be overwritten.
    pub fn line(&self) -> String {
        let mut fields = match &self.event {
            Event::Init { ca, domains } => object(json!({ "ca": KeyForm::from(ca), "domains": domains })),
            Event::Sign { issued, .. } => object(json!(IssuedForm::from(issued))),
            Event::Revoke { key, more } | Event::Unrevoke { key, more } => {
                let mut fields = more.clone();
                fields.insert("key".to_owned(), json!(RevokedForm::from(key)));
                fields
            }
            Event::Other { more, .. } => more.clone(),
        };
        fields.insert("time".to_owned(), moment::text(self.time).into());
        fields.insert("event".to_owned(), self.event.name().into());
        // Escapes keep it within one line; what is not ASCII in it is escaped too, so that a cut is never within a
        // character.
        ascii(Value::Object(fields).to_string()) + "\n"
    }

    fn read(value: Value) -> Result<Self, String> {
        let Value::Object(mut fields) = value else {
            return Err("it is no JSON object".to_owned());
        };
        let mut text = |field: &str| match fields.remove(field) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(format!("it has no {field}")),
        };
        let time = moment::parse(&text("time")?).ok_or("its time is none")?;
        let event = match text("event")?.as_str() {
            "init" => {
                let form: InitForm = typed(fields)?;
                Event::Init { ca: form.ca.read()?, domains: form.domains }
            }
            name @ ("sign" | "renew") => {
                let issued = typed::<IssuedForm>(fields)?.read()?;
                Event::Sign { issued, is_renewal: name == "renew" }
            }
            name @ ("revoke" | "unrevoke") => {
                let key = fields.remove("key").ok_or("it has no key")?;
                let form: RevokedForm = serde_json::from_value(key).map_err(|e| e.to_string())?;
                match name {
                    "revoke" => Event::Revoke { key: form.read()?, more: fields },
                    _ => Event::Unrevoke { key: form.read()?, more: fields },
                }
            }
            name => Event::Other { name: name.to_owned(), more: fields },
        };
        Ok(Entry { time, event })
    }
}

/// Reads a line without its end.
pub fn read(line: &[u8]) -> Result<Line, BadLine> {
    // After a crash a file system may have made room for more than was written.
    let written = line.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    let written = line.get(..written).unwrap_or_default();
    if written.is_empty() {
        return Ok(Line::Torn);
    }
    match serde_json::from_slice(written) {
        Ok(value) => Entry::read(value).map(Line::Entry).map_err(BadLine),
        Err(e) if e.is_eof() && written.starts_with(b"{") => Ok(Line::Torn),
        Err(e) => Err(BadLine(e.to_string())),
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn typed<T: serde::de::DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    serde_json::from_value(Value::Object(fields)).map_err(|e| e.to_string())
}

#[derive(Serialize, Deserialize)]
struct KeyForm {
    #[serde(rename = "type")]
    key_type: String,
    sha256: String,
}

impl From<&KeyDigest> for KeyForm {
    fn from(key: &KeyDigest) -> Self {
        KeyForm { key_type: key.key_type.name().to_owned(), sha256: HEXLOWER.encode(&key.sha256) }
    }
}

impl KeyForm {
    fn read(self) -> Result<KeyDigest, String> {
        let key_type = KeyType::from_name(&self.key_type).ok_or("its key has no type that is known")?;
        Ok(KeyDigest { key_type, sha256: digest(&self.sha256)? })
    }
}

/// Like [`KeyForm`], with null for a type that nobody knows.
#[derive(Serialize, Deserialize)]
struct RevokedForm {
    #[serde(rename = "type")]
    key_type: Option<String>,
    sha256: String,
}

impl From<&RevokedKey> for RevokedForm {
    fn from(key: &RevokedKey) -> Self {
        RevokedForm {
            key_type: key.key_type.map(|known| known.name().to_owned()),
            sha256: HEXLOWER.encode(&key.sha256),
        }
    }
}

impl RevokedForm {
    fn read(self) -> Result<RevokedKey, String> {
        let known = |name: &str| KeyType::from_name(name).ok_or("its key has no type that is known");
        let key_type = self.key_type.as_deref().map(known).transpose()?;
        Ok(RevokedKey { key_type, sha256: digest(&self.sha256)? })
    }
}

#[derive(Serialize, Deserialize)]
struct InitForm {
    ca: KeyForm,
    domains: Vec<String>,
}

/// A serial number is text: JSON readers that count in doubles lose its last digits.
#[derive(Serialize, Deserialize)]
struct IssuedForm {
    serial: String,
    key_id: String,
    principals: Vec<String>,
    key: KeyForm,
    ca_sha256: String,
    valid_after: String,
    valid_before: String,
    certificate: String,
}

impl From<&Issued> for IssuedForm {
    fn from(issued: &Issued) -> Self {
        IssuedForm {
            serial: issued.serial.to_string(),
            key_id: issued.key_id.clone(),
            principals: issued.principals.clone(),
            key: KeyForm::from(&issued.key),
            ca_sha256: HEXLOWER.encode(&issued.ca_sha256),
            valid_after: moment::text(issued.valid_after),
            valid_before: moment::text(issued.valid_before),
            certificate: BASE64.encode(&issued.blob),
        }
    }
}

impl IssuedForm {
    fn read(self) -> Result<Issued, String> {
        let seconds = |text: &str| moment::parse(text).ok_or(format!("{text:?} is no time"));
        Ok(Issued {
            serial: self.serial.parse().map_err(|_| "its serial is no number")?,
            key_id: self.key_id,
            principals: self.principals,
            key: self.key.read()?,
            ca_sha256: digest(&self.ca_sha256)?,
            valid_after: seconds(&self.valid_after)?,
            valid_before: seconds(&self.valid_before)?,
            blob: BASE64.decode(self.certificate.as_bytes()).map_err(|_| "its certificate is no base64")?,
        })
    }
}

fn digest(hex: &str) -> Result<[u8; 32], String> {
    let octets = HEXLOWER.decode(hex.as_bytes()).map_err(|_| "a digest is no lower-case hex")?;
    octets.try_into().map_err(|_| "a digest is of another length".to_owned())
}
