//! What the journal says of a roll: events `roll`, each with a `step` and the `new` key whose roll it is.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value, json};

use super::Digest;
use crate::proto::issuance::KeyDigest;
use crate::proto::issuance::journal::{Entry, Event};
use crate::proto::name::Name;

const EVENT: &str = "roll";

/// One roll, as far as the journal knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// The key that it leads to.
    pub new: Digest,
    /// The names below whose sets the CA's keys stand.
    pub at: Vec<Name>,
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// The greatest TTL that a set without the new key was seen with, in seconds.
    pub ttl: u32,
    /// When every server was first seen with the new key, in seconds since 1970; none if one was seen without it since.
    pub spread: Option<u64>,
    /// The old key has leaked.
    pub is_emergency: bool,
    /// The primary has vouched, by TSIG, that the old key is revoked and withdrawn.
    pub is_revoked: bool,
    /// It was given up.
    pub is_aborted: bool,
    /// Names of hosts that are not waited for.
    pub skipped: BTreeSet<String>,
}

/// Something that happened to a roll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// It began.
    Start {
        /// The names below whose sets the CA's keys stand.
        at: Vec<Name>,
        /// The greatest TTL of these sets, in seconds.
        ttl: u32,
    },
    /// Every server shows the new key.
    Spread {
        /// The greatest TTL of the sets, in seconds.
        ttl: u32,
    },
    /// A server shows it no more.
    Lost {
        /// The greatest TTL of the sets, in seconds.
        ttl: u32,
    },
    /// The old key has leaked.
    Emergency,
    /// In an emergency: the primary has vouched that the old key is revoked and withdrawn.
    Revoked,
    /// It is given up.
    Abort,
    /// These hosts are not waited for.
    Skip(Vec<String>),
    /// The new key signs.
    Switch,
    /// The old key is withdrawn, or revoked in an emergency.
    Withdraw,
    /// It has ended.
    Done,
}

/// An event that is none of a roll.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event {EVENT:?} in the journal {0}")]
pub struct BadRecord(&'static str);

impl Mark {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Spread { .. } => "spread",
            Self::Lost { .. } => "lost",
            Self::Emergency => "emergency",
            Self::Revoked => "revoked",
            Self::Abort => "abort",
            Self::Skip(_) => "skip",
            Self::Switch => "switch",
            Self::Withdraw => "withdraw",
            Self::Done => "done",
        }
    }

    /// For the journal: in the roll from `old` to `new`.
    pub fn event(&self, old: KeyDigest, new: KeyDigest) -> Event {
        let key =
            |key: KeyDigest| json!({ "type": key.key_type.name(), "sha256": HEXLOWER.encode(&key.sha256) });
        let mut more = Map::new();
        more.insert("step".to_owned(), self.name().into());
        more.insert("old".to_owned(), key(old));
        more.insert("new".to_owned(), key(new));
        match self {
            Self::Start { at, ttl } => {
                more.insert("at".to_owned(), at.iter().map(Name::to_string).collect());
                more.insert("ttl".to_owned(), (*ttl).into());
            }
            Self::Spread { ttl } | Self::Lost { ttl } => {
                more.insert("ttl".to_owned(), (*ttl).into());
            }
            Self::Skip(hosts) => {
                more.insert("hosts".to_owned(), hosts.clone().into());
            }
            Self::Emergency | Self::Revoked | Self::Abort | Self::Switch | Self::Withdraw | Self::Done => {}
        }
        Event::Other { name: EVENT.to_owned(), more }
    }
}

impl Roll {
    /// What `entries` say of the roll to the key `new`; none if it was not written down that it began. Of a key that was
    /// rolled to before, the last time counts.
    pub fn read(entries: &[Entry], new: &Digest) -> Result<Option<Self>, BadRecord> {
        let mut roll: Option<Roll> = None;
        for entry in entries {
            let Event::Other { name, more } = &entry.event else { continue };
            if name != EVENT || digest(more)? != *new {
                continue;
            }
            let step = text(more, "step").ok_or(BadRecord("has no step"))?;
            if step == "start" {
                let at = texts(more, "at").ok_or(BadRecord("has no names"))?;
                let at: Result<Vec<Name>, _> = at.iter().map(|name| Name::from_text(name)).collect();
                roll = Some(Roll {
                    new: *new,
                    at: at.map_err(|_| BadRecord("has a name that is none"))?,
                    began: entry.time,
                    ttl: ttl(more)?,
                    spread: None,
                    is_emergency: false,
                    is_revoked: false,
                    is_aborted: false,
                    skipped: BTreeSet::new(),
                });
                continue;
            }
            let Some(roll) = &mut roll else { return Err(BadRecord("has no beginning")) };
            match step {
                "spread" => {
                    roll.ttl = roll.ttl.max(ttl(more)?);
                    roll.spread = roll.spread.or(Some(entry.time));
                }
                "lost" => {
                    roll.ttl = roll.ttl.max(ttl(more)?);
                    roll.spread = None;
                }
                "emergency" => roll.is_emergency = true,
                "revoked" => roll.is_revoked = true,
                "abort" => roll.is_aborted = true,
                "skip" => roll.skipped.extend(texts(more, "hosts").ok_or(BadRecord("names no hosts"))?),
                // Where it stands is seen from the keys and from DNS.
                "switch" | "withdraw" => {}
                "done" => {}
                _ => return Err(BadRecord("has a step that this program does not know")),
            }
        }
        Ok(roll)
    }
}

fn text<'a>(more: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    more.get(field)?.as_str()
}

fn texts(more: &Map<String, Value>, field: &str) -> Option<Vec<String>> {
    more.get(field)?.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

fn ttl(more: &Map<String, Value>) -> Result<u32, BadRecord> {
    let ttl = more.get("ttl").and_then(Value::as_u64).and_then(|ttl| u32::try_from(ttl).ok());
    ttl.ok_or(BadRecord("has no TTL"))
}

fn digest(more: &Map<String, Value>) -> Result<Digest, BadRecord> {
    let hex = more.get("new").and_then(|new| new.get("sha256")).and_then(Value::as_str);
    let octets = hex.and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
    octets.and_then(|octets| octets.try_into().ok()).ok_or(BadRecord("has no new key"))
}
