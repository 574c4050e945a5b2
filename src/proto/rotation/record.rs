//! What is remembered of rotations, `rotation.json`: facts alone, each a moment or a digest. Whatever else decides the
//! next step is looked up anew every time.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Digest;
use super::round::{Change, Mode, Round};
use crate::proto::hostkey::KeyType;

/// The version of the document that is written.
pub const VERSION: u32 = 1;
/// Most rotations of the past that are kept.
const MAX_PAST: usize = 200;

/// A change that has come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// What has changed.
    pub change: Change,
    /// How.
    pub mode: Mode,
    /// When it began.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// It was given up.
    pub aborted: bool,
}

/// What rotations are under way and were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The one that is under way.
    pub round: Option<Round>,
    /// Types whose turn comes after it, in order; with the first of them being that of the round.
    pub queue: Vec<KeyType>,
    /// How the next ones of the queue are done.
    pub wish: Wish,
    /// Those that have ended, the latest last.
    pub past: Vec<Past>,
}

/// How types of the queue are to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// How clients are kept from harm.
    pub mode: Mode,
    /// For so many seconds sshd tells clients of the new key before it is used.
    pub announce: u64,
    /// Caches are given so many seconds more.
    pub margin: u64,
    /// When it was asked for, in seconds since 1970.
    pub since: u64,
}

impl Default for Wish {
    fn default() -> Self {
        Wish { mode: Mode::Hide, announce: 0, margin: 0, since: 0 }
    }
}

/// Why a record is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// It is not what this program writes.
    #[error("{0}")]
    Malformed(String),
    /// A later version of this program wrote it.
    #[error("it is of version {0}, and this program knows {VERSION}")]
    Newer(u64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    round: Option<Round>,
    queue: Vec<String>,
    wish: Wish,
    past: Vec<Past>,
}

impl Record {
    /// From what [`Record::text`] gives; strictly, for nothing is done on partial knowledge.
    pub fn read(text: &str) -> Result<Self, BadRecord> {
        let malformed = |why: String| BadRecord::Malformed(why);
        let value: serde_json::Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        match version {
            Some(version) if version > u64::from(VERSION) => return Err(BadRecord::Newer(version)),
            Some(version) if version == u64::from(VERSION) => {}
            _ => return Err(malformed(format!("it is not of version {VERSION}"))),
        }
        let document: Document = serde_json::from_value(value).map_err(|e| malformed(e.to_string()))?;
        let queue = document.queue.iter().map(|name| KeyType::from_name(name).ok_or(name));
        let queue = queue.collect::<Result<Vec<_>, _>>();
        let queue = queue.map_err(|name| malformed(format!("{name:?} is no type of key")))?;
        if let Some(why) = document.round.as_ref().and_then(Round::nonsense) {
            return Err(malformed(why.into()));
        }
        Ok(Record { round: document.round, queue, wish: document.wish, past: document.past })
    }

    /// As JSON.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let document = Document {
            version: VERSION,
            round: self.round.clone(),
            queue: self.queue.iter().map(|key_type| key_type.name().to_owned()).collect(),
            wish: self.wish,
            past: self.past.clone(),
        };
        serde_json::to_string_pretty(&document).map(|text| text + "\n")
    }

    /// The round has ended at `now`: what it changed is past, which is returned too, and its types leave the queue.
    pub fn finish(&mut self, now: u64) -> Vec<Past> {
        let Some(round) = self.round.take() else { return Vec::new() };
        let mut ended = Vec::new();
        for change in round.changes {
            // A type that was added served another one's change: that is still to come.
            if change.old.is_some() {
                self.queue.retain(|key_type| *key_type != change.key_type);
            }
            let aborted = round.aborted.is_some();
            ended.push(Past { change, mode: round.mode, began: round.began, ended: now, aborted });
        }
        if round.aborted.is_some() {
            self.queue.clear();
        }
        self.past.extend(ended.iter().cloned());
        let surplus = self.past.len().saturating_sub(MAX_PAST);
        self.past.drain(..surplus);
        ended
    }

    /// A rotation is under way.
    pub fn is_open(&self) -> bool {
        self.round.is_some() || !self.queue.is_empty()
    }

    /// The emergency that is under way has replaced the key of this type already.
    pub fn is_saved(&self, key_type: KeyType) -> bool {
        let is_emergency = self.is_open() && self.wish.mode == Mode::Compromised;
        let saved = |past: &Past| {
            past.change.key_type == key_type
                && past.mode == Mode::Compromised
                && past.ended >= self.wish.since
        };
        is_emergency && self.past.iter().any(saved)
    }

    /// What is to stand in DNS beside the keys that sshd has, as far as the round decides.
    pub fn also_wanted(&self) -> BTreeSet<(KeyType, Digest)> {
        let Some(round) = &self.round else { return BTreeSet::new() };
        let is_open = round.mode == Mode::Overlap && round.withdrawn.is_none() && round.aborted.is_none();
        let changes = round.changes.iter().filter(|_| is_open);
        let keys = changes.flat_map(|change| [change.old, change.new].map(|key| (change.key_type, key)));
        keys.filter_map(|(key_type, key)| Some((key_type, key?))).collect()
    }
}
