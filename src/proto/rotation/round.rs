//! The change of one type of key: what was done of it, and when.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::clock::Clock;
use super::{Digest, Sight, Step};
use crate::proto::hostkey::KeyType;

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

impl Round {
    /// One that begins at `now`, in seconds since 1970, and of which nothing is done yet.
    pub fn new(mode: Mode, changes: Vec<Change>, now: u64) -> Self {
        Round {
            mode,
            changes,
            is_hiding: mode != Mode::Overlap,
            is_explicit: false,
            announce: 0,
            began: now,
            ttl: 0,
            ground: None,
            touched: None,
            announced: None,
            hidden: None,
            replaced: None,
            spread: None,
            proven: None,
            shown: None,
            withdrawn: None,
            aborted: None,
            silent: BTreeMap::new(),
            lost: 0,
            clock: None,
        }
    }

    /// What this program never writes down, and what would do harm to go on with: why it is none of its own.
    pub(super) fn nonsense(&self) -> Option<&'static str> {
        let paths: BTreeSet<&str> = self.changes.iter().map(|change| change.path.as_str()).collect();
        if self.changes.is_empty() {
            return Some("a round that changes nothing");
        }
        if paths.len() < self.changes.len() || paths.iter().any(|path| !path.starts_with('/')) {
            return Some("a round that does not say where its keys are");
        }
        if self.replaced.is_some() && self.changes.iter().any(|change| change.new.is_none()) {
            return Some("a round that replaces keys without having made any");
        }
        if self.mode == Mode::Compromised && self.aborted.is_some() {
            return Some("a round that goes back to keys that have leaked");
        }
        None
    }

    /// The keys that are to stay in the end.
    pub fn targets(&self) -> BTreeSet<Digest> {
        self.changes.iter().filter_map(|change| self.target(change)).collect()
    }

    /// The keys that are to go.
    pub fn leaving(&self) -> BTreeSet<Digest> {
        let given_up = self.aborted.is_some();
        self.changes.iter().filter_map(|change| if given_up { change.new } else { change.old }).collect()
    }

    /// sshd is to tell of the next keys: they were announced, and are not in their places yet.
    pub fn tells_next(&self) -> bool {
        self.announced.is_some() && self.replaced.is_none()
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

    /// A key of it has leaked, or those of `more` have: it goes on as an emergency, forward and with all of them at once.
    /// What is done already is found to be done.
    pub fn overtake(&mut self, more: Vec<Change>, is_hiding: bool) {
        let was_aborted = self.aborted.take().is_some();
        if self.mode == Mode::Overlap && more.is_empty() {
            // sshd shows the new key, and it stands in DNS: the old one can go.
            self.is_hiding = false;
        }
        self.mode = Mode::Compromised;
        if was_aborted || !more.is_empty() {
            (self.hidden, self.shown, self.spread, self.proven) = (None, None, None, None);
        }
        if !more.is_empty() {
            (self.is_hiding, self.announce, self.replaced, self.lost) = (is_hiding, 0, None, 0);
            self.changes.extend(more);
        }
    }

    /// All that is left to do is to put away what it used.
    pub fn is_over(&self) -> bool {
        self.is_hiding && self.shown.is_some() && self.aborted.is_none()
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
