//! What is remembered of rotations, `rotation.json`: facts alone, each a moment or a digest. Whatever else decides the
//! next step is looked up anew every time.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::clock::Clock;
use super::{Digest, Sight, Step};
use crate::proto::hostkey::KeyType;

/// The version of the document that is written.
pub const VERSION: u32 = 1;
/// Most rotations of the past that are kept.
const MAX_PAST: usize = 200;

/// How often the wait begins anew before it is told as an error.
const MOST_LOST: u32 = 3;
/// How long a look at the clocks is kept before it is taken anew, in seconds.
const CLOCK_KEPT: u64 = 3600;

/// How clients are kept from harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// sshd does not offer the type while its key changes: for every client, OpenSSH with VerifyHostKeyDNS too.
    Hide,
    /// Both keys stand in DNS for a while: for clients that are content with one record of several.
    Overlap,
    /// The old key has leaked: it leaves DNS at once.
    Compromised,
}

/// The key at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its type.
    #[serde(rename = "type", with = "key_type")]
    pub key_type: KeyType,
    /// The private key's file, links followed.
    pub path: String,
    /// The key that was there; none for a type that the host gets for the first time.
    #[serde(with = "digest")]
    pub old: Option<Digest>,
    /// The key that replaces it, once it is made.
    #[serde(with = "digest")]
    pub new: Option<Digest>,
}

/// The change of one type; in an emergency of several at the same time. Moments are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// How.
    pub mode: Mode,
    /// What changes.
    pub changes: Vec<Change>,
    /// sshd is to offer the types no more meanwhile: others remain.
    pub is_hiding: bool,
    /// sshd_config names its HostKeys: what a drop-in names comes before them.
    pub is_explicit: bool,
    /// For so many seconds sshd tells clients of the new key before it is used; 0 for not at all.
    pub announce: u64,
    /// When it began.
    pub began: u64,
    /// The greatest TTL that a set was seen with that caches may still hold, in seconds.
    pub ttl: u32,
    /// When every server was first seen with the keys that remain; 0 for ever since.
    pub ground: Option<u64>,
    /// When sshd's configuration began to be changed.
    pub touched: Option<u64>,
    /// When sshd was first seen to tell of the new key.
    pub announced: Option<u64>,
    /// When sshd was last seen not to offer the types, having offered them before.
    pub hidden: Option<u64>,
    /// When the files of the keys began to be replaced.
    pub replaced: Option<u64>,
    /// When every server was first seen with what is wanted; none if one was seen without it since.
    pub spread: Option<u64>,
    /// When it was proven as clients prove it, after caches were over.
    pub proven: Option<u64>,
    /// When sshd was seen to offer the types again, with the keys that are to stay.
    pub shown: Option<u64>,
    /// With [`Mode::Overlap`]: from when on the old key is not wanted in DNS.
    pub withdrawn: Option<u64>,
    /// When it was given up: the old keys are to stay.
    pub aborted: Option<u64>,
    /// Servers that say nothing, by owner and server, and since when.
    pub silent: BTreeMap<String, u64>,
    /// How often a server that had shown what is wanted showed something else again.
    #[serde(default)]
    pub lost: u32,
    /// What the clocks showed when this was last looked at.
    #[serde(default)]
    pub clock: Option<Clock>,
}

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

/// Why a rotation goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLate {
    /// Clients have seen the new key.
    #[error("sshd shows the new key already")]
    Shown,
    /// Nobody is to go back to a key that has leaked.
    #[error("the old key has leaked")]
    Compromised,
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
        if document.round.as_ref().is_some_and(|round| round.changes.is_empty()) {
            return Err(malformed("a round that changes nothing".into()));
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

impl Round {
    /// The keys that are to stay in the end.
    pub fn targets(&self) -> BTreeSet<Digest> {
        self.changes.iter().filter_map(|change| self.target(change)).collect()
    }

    /// The keys that are to go.
    pub fn leaving(&self) -> BTreeSet<Digest> {
        let given_up = self.aborted.is_some();
        self.changes.iter().filter_map(|change| if given_up { change.new } else { change.old }).collect()
    }

    /// The key that is to stay at this path.
    pub fn target(&self, change: &Change) -> Option<Digest> {
        if self.aborted.is_some() { change.old } else { change.new }
    }

    /// Takes down that `step` begins, before it does anything; true if there was something to take down.
    pub fn begin(&mut self, step: &Step, now: u64) -> bool {
        let mark = match step {
            Step::Replace => &mut self.replaced,
            Step::Announce | Step::Hide => &mut self.touched,
            _ => return false,
        };
        let is_first = mark.is_none();
        mark.get_or_insert(now);
        is_first
    }

    /// Takes down that `step` was done.
    pub fn mark(&mut self, step: &Step, now: u64) {
        let now = Some(now);
        match step {
            Step::Ground => self.ground = now,
            Step::Announce => self.announced = now,
            Step::Hide => self.hidden = now,
            Step::Spread => self.spread = now,
            Step::Lost => {
                self.lost = self.lost.saturating_add(1);
                match self.replaced {
                    None if self.mode != Mode::Overlap => self.ground = None,
                    _ => (self.spread, self.proven) = (None, None),
                }
            }
            Step::Prove => self.proven = now,
            Step::Show => self.shown = now,
            Step::Withdraw => self.withdrawn = now,
            Step::Idle | Step::Prepare | Step::Replace | Step::Publish | Step::Finish | Step::Wait(_) => {}
        }
    }

    /// Gives it up, if that is still possible: whatever was done leads back to the old keys.
    pub fn abort(&mut self, now: u64) -> Result<(), TooLate> {
        if self.aborted.is_some() {
            return Ok(());
        }
        match self.mode {
            Mode::Compromised => return Err(TooLate::Compromised),
            _ if self.shown.is_some() => return Err(TooLate::Shown),
            Mode::Overlap if self.replaced.is_some() => return Err(TooLate::Shown),
            Mode::Overlap | Mode::Hide => {}
        }
        self.aborted = Some(now);
        (self.spread, self.proven) = (None, None);
        Ok(())
    }

    /// Takes down what the clocks show at `now`. A wall clock that was set since the last look takes the moments along, so
    /// that what is waited for lasts as long as it would have. Where nobody knows how much it was set, as after a restart
    /// of the machine, moments that are still to come count as now.
    pub fn see_clock(&mut self, clock: Option<Clock>, now: u64) {
        let then = self.clock.as_ref();
        let jump = then.zip(clock.as_ref()).map_or(0, |(then, clock)| then.jump(clock));
        // An hour is as good as a second, and does not have the file written at every look.
        let is_old = match (then, &clock) {
            (Some(then), Some(clock)) => {
                then.boot != clock.boot || clock.wall.abs_diff(then.wall) >= CLOCK_KEPT
            }
            (then, clock) => then.is_some() || clock.is_some(),
        };
        // 0 is for ever since.
        self.moments()
            .filter(|then| **then != 0)
            .for_each(|then| *then = now.min(then.saturating_add_signed(jump).max(1)));
        if jump != 0 || is_old {
            self.clock = clock;
        }
    }

    fn moments(&mut self) -> impl Iterator<Item = &mut u64> {
        let moments = [
            &mut self.ground,
            &mut self.touched,
            &mut self.announced,
            &mut self.hidden,
            &mut self.replaced,
            &mut self.spread,
            &mut self.proven,
            &mut self.shown,
            &mut self.withdrawn,
        ];
        moments.into_iter().flatten().chain(self.silent.values_mut())
    }

    /// Somebody undoes what is published, again and again: only a person finds out who.
    pub fn is_undone(&self) -> bool {
        self.lost >= MOST_LOST
    }

    /// Takes down who says nothing, and who does again.
    pub fn hear(&mut self, sights: &[Sight], now: u64) {
        for sight in sights {
            match &sight.shown {
                Ok(_) => drop(self.silent.remove(&sight.key())),
                Err(_) => drop(self.silent.entry(sight.key()).or_insert(now)),
            }
        }
    }

    /// Takes down the TTL of what caches may hold.
    pub fn see_ttl(&mut self, sights: &[Sight]) {
        let seen = sights.iter().filter_map(|sight| sight.shown.as_ref().ok()).map(|shown| shown.ttl);
        self.ttl = seen.fold(self.ttl, u32::max);
    }
}

mod key_type {
    use super::*;

    pub fn serialize<S: Serializer>(key_type: &KeyType, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(key_type.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyType, D::Error> {
        let name = String::deserialize(deserializer)?;
        KeyType::from_name(&name).ok_or_else(|| de::Error::custom(format!("{name:?} is no type of key")))
    }
}

mod digest {
    use super::*;

    pub fn serialize<S: Serializer>(digest: &Option<Digest>, serializer: S) -> Result<S::Ok, S::Error> {
        digest.map(|digest| HEXLOWER.encode(&digest)).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let octets = HEXLOWER.decode(text.as_bytes()).ok().and_then(|octets| octets.try_into().ok());
        octets.map(Some).ok_or_else(|| de::Error::custom(format!("{text:?} is no SHA-256")))
    }
}
