//! A CA's key rolled over to the next: one step at a time, each only when nothing that is still in use would break.
//!
//! | stage | DNS | signs | until |
//! |---|---|---|---|
//! | publishing | old, new wanted | old | every server has both |
//! | propagating | both | old | nobody can have the set without the new key in a cache |
//! | switching | both | new wanted | the new one signs |
//! | reissuing | both | new | every certificate by the old key has a successor, or has expired |
//! | settling | both | new | hosts have had the time to show what was issued last |
//! | withdrawing | new, old unwanted | new | no server has the old one |
//! | done | new | new | |
//!
//! The state is written down before its action is carried out, and what an action has done is not assumed but observed.
//! Every action may so be carried out any number of times, and a process that ends anywhere begins again where it was.

#[cfg(test)]
mod tests;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::issuance::ledger::{self, Standing};
use super::moment;

/// The form of a [`State`] that is written down.
pub const VERSION: u32 = 1;
/// How long hosts have to show what was issued last, unless it is told: they renew daily at least. Seconds.
pub const DEFAULT_SETTLE: u64 = 2 * 86_400;

/// A CA key: SHA-256 of its blob, as SSHFP records and the journal have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(pub [u8; 32]);

impl From<Key> for String {
    fn from(key: Key) -> Self {
        HEXLOWER.encode(&key.0)
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let octets = HEXLOWER.decode(text.as_bytes()).ok().and_then(|octets| octets.try_into().ok());
        octets.map(Key).ok_or("want 64 digits of lower-case hex")
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SHA256:{}", data_encoding::BASE64_NOPAD.encode(&self.0))
    }
}

/// How far a roll is. Times in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// The new key goes beside the old one.
    Publishing,
    /// Caches may hold the set without it.
    Propagating {
        /// Until then.
        until: u64,
    },
    /// The new key is to sign.
    Switching,
    /// Hosts get certificates by the new key.
    Reissuing,
    /// Hosts have them, and are given time to show them.
    Settling {
        /// Until then.
        until: u64,
    },
    /// The old key goes.
    Withdrawing,
    /// The new key is the only one.
    Done,
}

/// A roll, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// The key that goes.
    pub old: Key,
    /// The key that comes.
    pub new: Key,
    /// When it was begun, in seconds since 1970.
    pub begun: u64,
    /// How long hosts have to show what was issued last, in seconds.
    pub settle: u64,
    /// The greatest TTL of the CA set that was seen since it was begun, in seconds: a cache may still have that one.
    pub ttl: u64,
    /// How far it is.
    pub at: Stage,
}

/// The CA set at one authoritative server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Which of the two keys it has, and with which TTL, in seconds: that of the set, or of the denial where there is
    /// none (RFC 2308).
    Set {
        /// The old one is there.
        old: bool,
        /// The new one is there.
        new: bool,
        /// In seconds.
        ttl: u32,
    },
    /// It gave no answer: it may have anything.
    Silent,
}

/// What is the case now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The primary, which takes updates.
    pub primary: Seen,
    /// The other servers that answer for the zone.
    pub others: Vec<Seen>,
    /// The key that signs.
    pub signing: Key,
    /// Certificates by the old key that are still needed ([`needed`]).
    pub needed: Needed,
}

/// Certificates by the old key that nothing has taken the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needed {
    /// How many.
    pub count: usize,
    /// When the last of them expires, in seconds since 1970; 0 if there is none.
    pub until: u64,
}

/// What is to be done next. Each may be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Have both keys in DNS.
    Publish,
    /// Look again later: so many servers do not have yet what the primary has, or do not answer.
    WaitForServers {
        /// How many.
        left: usize,
    },
    /// Look again at this moment, in seconds since 1970.
    WaitUntil(u64),
    /// Have the new key sign.
    SwitchSigning,
    /// Look again later: hosts have to renew.
    WaitForReissue {
        /// How many certificates by the old key are still needed.
        left: usize,
        /// When the last of them expires, in seconds since 1970.
        until: u64,
    },
    /// Have the new key in DNS, and the old one not.
    Withdraw,
    /// Nothing.
    Done,
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A key cannot take its own place.
    #[error("the new CA key is the old one ({0})")]
    SameKey(Key),
    /// One at a time.
    #[error("a roll from {old} to {new} is under way")]
    UnderWay {
        /// The key that goes.
        old: Key,
        /// The key that comes.
        new: Key,
    },
    /// The key still signs.
    #[error("{0} is the key that signs")]
    Signing(Key),
    /// Hosts would be rejected.
    #[error("{} certificates by it are in use, the last until {}", .0.count, moment::text(.0.until))]
    InUse(Needed),
    /// Hosts may still show what they had.
    #[error("hosts have until {} to show their new certificates", moment::text(*.0))]
    Settling(u64),
    /// Nothing else would vouch for the hosts.
    #[error("not every server is known to have the new key")]
    NoOther,
    /// Clients believe it.
    #[error("{0} is in DNS: it is to be withdrawn first")]
    Published(Key),
    /// A later version of this program wrote it.
    #[error("the state of the roll is of version {0}, and this program knows {VERSION}")]
    Version(u32),
}

/// Begins a roll at `now`, in seconds since 1970, unless one is under way.
pub fn start(present: Option<&State>, old: Key, new: Key, settle: u64, now: u64) -> Result<State, Refusal> {
    if let Some(State { old, new, at, .. }) = present
        && *at != Stage::Done
    {
        return Err(Refusal::UnderWay { old: *old, new: *new });
    }
    match old == new {
        true => Err(Refusal::SameKey(new)),
        false => Ok(State { version: VERSION, old, new, begun: now, settle, ttl: 0, at: Stage::Publishing }),
    }
}

/// Where it is by what is observed at `now`, in seconds since 1970, and what is to be done next. The state is to be
/// written down before the action is carried out.
pub fn step(state: &State, seen: &Observation, now: u64) -> Result<(State, Action), Refusal> {
    if state.version != VERSION {
        return Err(Refusal::Version(state.version));
    }
    let mut state = state.clone();
    state.ttl = state.ttl.max(seen.ttl());
    // Each turn goes on to a later stage, or back to the one from which it comes again by waiting.
    loop {
        let (at, action) = state.turn(seen, now);
        state.at = at;
        if let Some(action) = action {
            return Ok((state, action));
        }
    }
}

/// Whether the old key may be withdrawn now, whoever asks for it.
pub fn may_withdraw(state: &State, seen: &Observation, now: u64) -> Result<(), Refusal> {
    if seen.signing == state.old {
        return Err(Refusal::Signing(state.old));
    }
    if seen.needed.count > 0 {
        return Err(Refusal::InUse(seen.needed));
    }
    if seen.all().any(|server| !matches!(server, Seen::Set { new: true, .. })) {
        return Err(Refusal::NoOther);
    }
    match state.at {
        Stage::Withdrawing | Stage::Done => Ok(()),
        Stage::Settling { until } if now >= until => Ok(()),
        Stage::Settling { until } => Err(Refusal::Settling(until)),
        // Its time has not begun.
        _ => Err(Refusal::Settling(now.saturating_add(state.settle))),
    }
}

/// Whether the new key, and with it the roll, may be forgotten: nobody believes it, and nothing is signed with it.
pub fn may_forget(state: &State, seen: &Observation) -> Result<(), Refusal> {
    if seen.signing == state.new {
        return Err(Refusal::Signing(state.new));
    }
    match seen.all().any(|server| !matches!(server, Seen::Set { new: false, .. })) {
        true => Err(Refusal::Published(state.new)),
        false => Ok(()),
    }
}

/// The certificates by `old` that are good, and that none by `new` has taken the place of: one for the same key, for
/// the same names at least, that is good as well.
pub fn needed(certificates: &[Standing], old: Key, new: Key) -> Needed {
    let good = |ca: Key| {
        let of = move |standing: &&Standing| {
            standing.state == ledger::State::Valid && standing.issued.ca_sha256 == ca.0
        };
        certificates.iter().filter(of).map(|standing| &standing.issued)
    };
    good(old)
        .filter(|before| {
            !good(new).any(|after| {
                after.key == before.key
                    && before.principals.iter().all(|name| after.principals.contains(name))
            })
        })
        .fold(Needed::default(), |needed, certificate| Needed {
            count: needed.count + 1,
            until: needed.until.max(certificate.valid_before),
        })
}

impl Observation {
    fn all(&self) -> impl Iterator<Item = &Seen> {
        std::iter::once(&self.primary).chain(&self.others)
    }

    /// What is to be done until every server is `as_wanted`; none once they are.
    fn until_all(&self, as_wanted: impl Fn(&Seen) -> bool, update: Action) -> Option<Action> {
        match (as_wanted(&self.primary), &self.primary) {
            (false, Seen::Set { .. }) => Some(update),
            // Whether it took an update is not known before it answers.
            (false, Seen::Silent) => Some(Action::WaitForServers { left: self.left(as_wanted) }),
            (true, _) => match self.left(as_wanted) {
                0 => None,
                left => Some(Action::WaitForServers { left }),
            },
        }
    }

    fn left(&self, as_wanted: impl Fn(&Seen) -> bool) -> usize {
        self.all().filter(|server| !as_wanted(server)).count()
    }

    fn ttl(&self) -> u64 {
        self.all()
            .map(|server| if let Seen::Set { ttl, .. } = server { u64::from(*ttl) } else { 0 })
            .max()
            .unwrap_or(0)
    }
}

fn has_both(server: &Seen) -> bool {
    matches!(server, Seen::Set { old: true, new: true, .. })
}

fn has_new_alone(server: &Seen) -> bool {
    matches!(server, Seen::Set { old: false, new: true, .. })
}

impl State {
    /// One look: the stage by it, and what is to be done there; none if that stage is to look itself.
    fn turn(&self, seen: &Observation, now: u64) -> (Stage, Option<Action>) {
        let both = || seen.until_all(has_both, Action::Publish);
        match self.at {
            Stage::Publishing => match both() {
                Some(action) => (self.at, Some(action)),
                // A cache may have asked just before, and have the set as it was.
                None => (Stage::Propagating { until: now.saturating_add(self.ttl) }, None),
            },
            Stage::Propagating { until } => match both() {
                // Somebody took a key away: the time counts anew.
                Some(_) => (Stage::Publishing, None),
                None if now < until => (self.at, Some(Action::WaitUntil(until))),
                None => (Stage::Switching, None),
            },
            Stage::Switching if seen.signing == self.new => (Stage::Reissuing, None),
            Stage::Switching => match both() {
                Some(_) => (Stage::Publishing, None),
                None => (self.at, Some(Action::SwitchSigning)),
            },
            // It signs: both have to be there, whatever happened, and at once.
            Stage::Reissuing | Stage::Settling { .. } if both() == Some(Action::Publish) => {
                (Stage::Reissuing, Some(Action::Publish))
            }
            Stage::Reissuing | Stage::Settling { .. } if seen.signing != self.new => (Stage::Switching, None),
            Stage::Reissuing => match seen.needed {
                Needed { count: 0, .. } => {
                    (Stage::Settling { until: now.saturating_add(self.settle.max(self.ttl)) }, None)
                }
                Needed { count: left, until } => (self.at, Some(Action::WaitForReissue { left, until })),
            },
            Stage::Settling { .. } if seen.needed.count > 0 => (Stage::Reissuing, None),
            Stage::Settling { until } if now < until => (self.at, Some(Action::WaitUntil(until))),
            // Every server has the new key before one loses the old one.
            Stage::Settling { .. } => match both() {
                Some(action) => (self.at, Some(action)),
                None => (Stage::Withdrawing, None),
            },
            // What is needed again, or signs again, is not taken away.
            Stage::Withdrawing if seen.signing != self.new || seen.needed.count > 0 => {
                (Stage::Reissuing, None)
            }
            Stage::Withdrawing => match seen.until_all(has_new_alone, Action::Withdraw) {
                Some(action) => (self.at, Some(action)),
                None => (Stage::Done, None),
            },
            Stage::Done => (self.at, Some(Action::Done)),
        }
    }

    /// In words: where it is, and what it waits for.
    pub fn explain(&self, action: &Action) -> String {
        let State { old, new, .. } = self;
        let is = match self.at {
            Stage::Publishing => format!("the new key {new} goes into DNS beside the old one"),
            Stage::Propagating { .. } => {
                "both keys are in DNS; caches may still have the old one alone, so that it signs".to_owned()
            }
            Stage::Switching => format!("everybody can have the new key {new} by now: it is to sign"),
            Stage::Reissuing => format!("{new} signs; hosts have certificates by {old} still"),
            Stage::Settling { .. } => {
                "every host has a certificate by the new key; all get time to show it".to_owned()
            }
            Stage::Withdrawing => format!("nobody needs the old key {old} any more: it leaves DNS"),
            Stage::Done => format!("{new} has taken the place of {old}"),
        };
        let waits = match action {
            Action::Publish => "next: publish both keys".to_owned(),
            Action::WaitForServers { left } => format!("waits for {left} servers of the zone"),
            Action::WaitUntil(until) => format!("waits until {}", moment::text(*until)),
            Action::SwitchSigning => "next: the new key signs".to_owned(),
            Action::WaitForReissue { left, until } => format!(
                "waits for {left} hosts' certificates to be renewed (sshanchor ca renew), or to expire, the last at {}",
                moment::text(*until)
            ),
            Action::Withdraw => "next: withdraw the old key".to_owned(),
            Action::Done => return is,
        };
        format!("{is}; {waits}")
    }
}
