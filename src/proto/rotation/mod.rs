//! Rotating host keys, so that no client ever refuses the host.
//!
//! OpenSSH with VerifyHostKeyDNS accepts a key only if *all* SSHFP records of its algorithm match, so two keys of one type
//! cannot stand side by side. Hence sshd does not offer a type while its key changes ([`Mode::Hide`]):
//!
//! ```text
//! prepare   the next key is made, beside the old one
//! ground    every server shows the keys of the other types, and caches do
//! announce  (if asked for) sshd tells known_hosts users of the next key (UpdateHostKeys)
//! hide      sshd does not offer the type any more, and tells of the next key as before
//! settle    handshakes that were under way end
//! replace   the files of the key; nobody sees it
//! publish   the new key's records in the place of the old one's
//! spread    every authoritative server shows that
//! caches    whatever was cached before has expired
//! prove     as clients do
//! show      sshd offers the type again, with the new key
//! finish    the old key is done away with
//! ```
//!
//! Given up before `show`, the same steps lead back to the old key. [`Mode::Overlap`] publishes the new key beside the
//! old one, switches, and withdraws the old one. [`Mode::Compromised`] hides where another type remains, and waits for
//! nothing before the old key has left DNS.
//!
//! Nothing is kept but facts ([`Record`]); [`decide`] makes the next step of them, every time anew, and each step may be
//! done twice. So a crash anywhere costs nothing but another run.

mod clock;
mod due;
mod record;
mod round;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::rollover::Lag;
pub use super::rollover::{Digest, SLACK, Shown};

pub use self::clock::Clock;
pub use self::due::{Held, due, next};
pub use self::record::{BadRecord, Past, Record, VERSION, Wish};
pub use self::round::{Change, Mode, Round, TooLate};

/// One server, about the records at one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// The owner.
    pub owner: String,
    /// The server, for people.
    pub server: String,
    /// It is the one that takes updates.
    pub is_primary: bool,
    /// What it shows, or why it did not say.
    pub shown: Result<Shown, String>,
}

impl Sight {
    /// How it is called in [`Round::silent`].
    pub fn key(&self) -> String {
        format!("{} {}", self.owner, self.server)
    }

    fn lacks(&self, keys: &BTreeSet<Digest>) -> bool {
        self.shown.as_ref().is_ok_and(|shown| !keys.is_subset(&shown.everywhere))
    }

    fn has(&self, keys: &BTreeSet<Digest>) -> bool {
        self.shown.as_ref().is_ok_and(|shown| !keys.is_disjoint(&shown.anywhere))
    }

    fn holds_up(&self, silence: Option<&String>) -> Lag {
        let (at, server) = (self.owner.clone(), self.server.clone());
        Lag { at, server, is_primary: self.is_primary, silence: silence.cloned() }
    }
}

/// All that a step depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Seconds since 1970.
    pub now: u64,
    /// What is remembered.
    pub round: Option<&'a Round>,
    /// The private key at the path of each change.
    pub disk: &'a [Option<Digest>],
    /// The public half at one of these paths is that of another key: a run was killed between the two.
    pub is_half: bool,
    /// sshd's configuration tells of a key that is to come.
    pub tells_next: bool,
    /// The keys of sshd that do not change.
    pub others: &'a BTreeSet<Digest>,
    /// A handshake shows a type that is to be hidden.
    pub is_exposed: bool,
    /// sshd's drop-in is on disk, whether it was written down or not.
    pub has_drop_in: bool,
    /// What every authoritative server shows, at each owner.
    pub sights: &'a [Sight],
    /// How many seconds a handshake may last.
    pub settle: u64,
    /// Caches are given so many seconds more.
    pub margin: u64,
    /// A secondary that has said nothing for so many seconds is not waited for.
    pub dead_after: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is under way.
    Idle,
    /// Make the next keys beside the old ones.
    Prepare,
    /// Write down that every server shows the keys of the other types.
    Ground,
    /// Have sshd tell of the next key.
    Announce,
    /// Have sshd not offer the types.
    Hide,
    /// Put the keys that are to stay into their places.
    Replace,
    /// Publish what is wanted now.
    Publish,
    /// Write down that every server shows it.
    Spread,
    /// Write down that a server does not any more.
    Lost,
    /// Prove it as clients do.
    Prove,
    /// Have sshd offer the types with the keys that are to stay.
    Show,
    /// Write down that the old key is wanted in DNS no more.
    Withdraw,
    /// Do away with the keys that have gone, and write down that it has ended.
    Finish,
    /// Nothing but wait.
    Wait(Wait),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Servers that do not show what is wanted.
    Servers(Vec<Lag>),
    /// Caches that may hold what was there before.
    Caches {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// Clients that learn of the new key.
    Announce {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// Handshakes that may be under way with the old key.
    Settle {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// It cannot be proven yet.
    Proof(String),
    /// Servers that still show a key that has gone.
    Gone(Vec<Lag>),
}

impl Wait {
    /// Until when, if that is known: seconds since 1970.
    pub fn until(&self) -> Option<u64> {
        match self {
            Self::Caches { until } | Self::Announce { until } | Self::Settle { until } => Some(*until),
            Self::Servers(_) | Self::Proof(_) | Self::Gone(_) => None,
        }
    }
}

/// What to do next, and nothing that a client could suffer from, except in an emergency.
pub fn decide(facts: &Facts<'_>) -> Step {
    let Some(round) = facts.round else { return Step::Idle };
    let is_untouched = round.replaced.is_none();
    if round.aborted.is_some() && is_untouched {
        return given_up(facts, round);
    }
    if is_untouched && round.changes.iter().any(|change| change.new.is_none()) {
        return Step::Prepare;
    }
    match (round.mode, round.is_hiding) {
        (Mode::Overlap, _) => overlapping(facts, round),
        (Mode::Compromised, false) => at_once(facts, round),
        _ => hiding(facts, round),
    }
}

/// The types are not offered while their keys change.
fn hiding(facts: &Facts<'_>, round: &Round) -> Step {
    let is_patient = round.mode != Mode::Compromised;
    if round.hidden.is_none() && is_patient {
        if let Some(step) = shown_everywhere(facts, round, facts.others, &BTreeSet::new(), round.ground) {
            return if step == Step::Spread { Step::Ground } else { step };
        }
        if !round.is_explicit
            && let Some(step) = announced(facts, round)
        {
            return step;
        }
    }
    // What shows through, or will at sshd's next start, does no harm when all is ready.
    let is_open = facts.is_exposed || !facts.has_drop_in;
    if round.hidden.is_none() || (is_open && round.proven.is_none()) {
        return Step::Hide;
    }
    if round.replaced.is_none()
        && is_patient
        && let Some(step) = announced(facts, round)
    {
        return step;
    }
    let until = round.hidden.unwrap_or(facts.now).saturating_add(facts.settle);
    if is_patient && facts.now < until {
        return Step::Wait(Wait::Settle { until });
    }
    if round.replaced.is_none() || !is_in_place(facts, round) {
        return Step::Replace;
    }
    if round.shown.is_some() {
        return Step::Finish;
    }
    let wanted: BTreeSet<Digest> = round.targets().union(facts.others).copied().collect();
    if let Some(step) = shown_everywhere(facts, round, &wanted, &round.leaving(), round.spread) {
        return step;
    }
    if round.proven.is_none() { Step::Prove } else { Step::Show }
}

/// Both keys stand in DNS while sshd goes over from one to the other.
fn overlapping(facts: &Facts<'_>, round: &Round) -> Step {
    if round.withdrawn.is_some() {
        return gone(facts, round, facts.others);
    }
    let mut wanted: BTreeSet<Digest> = round.targets().union(facts.others).copied().collect();
    wanted.extend(round.leaving());
    if round.replaced.is_none() {
        if let Some(step) = shown_everywhere(facts, round, &wanted, &BTreeSet::new(), round.spread) {
            return step;
        }
        if let Some(step) = announced(facts, round).filter(|_| !round.is_explicit) {
            return step;
        }
        return if round.proven.is_none() { Step::Prove } else { Step::Replace };
    }
    if !is_in_place(facts, round) {
        return Step::Replace;
    }
    let Some(shown) = round.shown else { return Step::Show };
    let until = shown.saturating_add(facts.settle);
    if facts.now < until { Step::Wait(Wait::Settle { until }) } else { Step::Withdraw }
}

/// The old keys have leaked, and there is no other to serve with.
fn at_once(facts: &Facts<'_>, round: &Round) -> Step {
    if round.replaced.is_none() || !is_in_place(facts, round) {
        return Step::Replace;
    }
    if round.shown.is_none() {
        return Step::Show;
    }
    gone(facts, round, facts.others)
}

/// It is given up before the keys were touched: nothing but traces is to go.
fn given_up(facts: &Facts<'_>, round: &Round) -> Step {
    let new: BTreeSet<Digest> = round.changes.iter().filter_map(|change| change.new).collect();
    let silent = silent_primaries(facts);
    if round.mode == Mode::Overlap && !new.is_empty() {
        if !silent.is_empty() || facts.sights.is_empty() {
            return Step::Wait(Wait::Servers(silent));
        }
        if primaries(facts).any(|sight| sight.has(&new)) {
            return Step::Publish;
        }
    }
    if round.touched.is_some() && (facts.has_drop_in || round.shown.is_none()) {
        Step::Show
    } else {
        Step::Finish
    }
}

/// The keys that leave are gone from every server; those that stay are there.
fn gone(facts: &Facts<'_>, round: &Round, others: &BTreeSet<Digest>) -> Step {
    let silent = silent_primaries(facts);
    if !silent.is_empty() || primaries(facts).next().is_none() {
        return Step::Wait(Wait::Servers(silent));
    }
    let wanted: BTreeSet<Digest> = round.targets().union(others).copied().collect();
    let leaving = round.leaving();
    let is_bad = |sight: &Sight| sight.lacks(&wanted) || sight.has(&leaving);
    if primaries(facts).any(is_bad) {
        return Step::Publish;
    }
    let lagging = lagging(facts, round, is_bad);
    if lagging.is_empty() { Step::Finish } else { Step::Wait(Wait::Gone(lagging)) }
}

/// What is left to do until every server shows `wanted` and none `leaving`, and no cache anything else; none if that is
/// so. `since` is when every server was first seen so.
fn shown_everywhere(
    facts: &Facts<'_>,
    round: &Round,
    wanted: &BTreeSet<Digest>,
    leaving: &BTreeSet<Digest>,
    since: Option<u64>,
) -> Option<Step> {
    let silent = silent_primaries(facts);
    // Without a word from the primary nothing is known; and no server at all is no word either.
    if !silent.is_empty() || primaries(facts).next().is_none() {
        return Some(Step::Wait(Wait::Servers(silent)));
    }
    let is_bad = |sight: &Sight| sight.lacks(wanted) || sight.has(leaving);
    if since.is_some() && facts.sights.iter().any(is_bad) {
        return Some(Step::Lost);
    }
    if primaries(facts).any(is_bad) {
        return Some(Step::Publish);
    }
    let lagging = lagging(facts, round, is_bad);
    if !lagging.is_empty() {
        return Some(Step::Wait(Wait::Servers(lagging)));
    }
    let Some(since) = since else { return Some(Step::Spread) };
    let wait = u64::from(round.ttl).saturating_add(SLACK).saturating_add(facts.margin);
    // 0 is for ever since.
    let until = if since == 0 { 0 } else { since.saturating_add(wait) };
    (facts.now < until).then_some(Step::Wait(Wait::Caches { until }))
}

fn announced(facts: &Facts<'_>, round: &Round) -> Option<Step> {
    if round.announce == 0 {
        return None;
    }
    let Some(announced) = round.announced else { return Some(Step::Announce) };
    let until = announced.saturating_add(round.announce);
    (facts.now < until).then_some(Step::Wait(Wait::Announce { until }))
}

fn is_in_place(facts: &Facts<'_>, round: &Round) -> bool {
    let targets = round.changes.iter().map(|change| round.target(change));
    !facts.is_half && !facts.tells_next && facts.disk.iter().copied().eq(targets)
}

fn primaries<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Sight> {
    facts.sights.iter().filter(|sight| sight.is_primary)
}

fn silent_primaries(facts: &Facts<'_>) -> Vec<Lag> {
    let silent = primaries(facts).filter_map(|sight| Some((sight, sight.shown.as_ref().err()?)));
    silent.map(|(sight, why)| sight.holds_up(Some(why))).collect()
}

/// Servers of which `is_bad` holds, and secondaries that have not been silent for long enough to be dead.
fn lagging(facts: &Facts<'_>, round: &Round, is_bad: impl Fn(&Sight) -> bool) -> Vec<Lag> {
    let is_dead = |sight: &Sight| {
        let since = round.silent.get(&sight.key());
        since.is_some_and(|since| facts.now.saturating_sub(*since) >= facts.dead_after)
    };
    let lag = |sight: &Sight| match &sight.shown {
        Err(why) => (!is_dead(sight)).then(|| sight.holds_up(Some(why))),
        Ok(_) => is_bad(sight).then(|| sight.holds_up(None)),
    };
    facts.sights.iter().filter_map(lag).collect()
}
