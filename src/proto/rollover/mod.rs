//! Rolling a CA over from its key to the next one, so that every client accepts every host all the while.
//!
//! ```text
//! start     the next key is made; nobody knows of it
//! publish   it stands beside the old one in the CA sets
//! spread    every authoritative server shows it
//! caches    whatever was cached before that has expired
//! switch    it signs from now on
//! hosts     each host has a certificate of it, or its old one is over, revoked or given up
//! settle    hosts have had time to load what was signed last
//! withdraw  the old key leaves the CA sets, then the CA
//! ```
//!
//! Before `switch` nobody needs the new key, so it may be taken back. After `withdraw` nobody needs the old one.
//! In between both stand in DNS, and hosts may show certificates of either.
//!
//! Nothing is kept but facts: the parts that the CA's keys play (`ca.json`), what stands in DNS, and moments in the
//! journal ([`Roll`]). [`decide`] makes the next step of them, every time anew, and each step may be done twice. So a
//! crash anywhere costs nothing but another run.

mod record;
mod reissue;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::issuance::ledger::Standing;
use super::plan::Present;
use super::sshfp;

pub use self::record::{BadRecord, Mark, Roll};
pub use self::reissue::outstanding;

/// SHA-256 of a public key's blob.
pub type Digest = [u8; 32];

/// Waits are so many seconds longer: caches count in whole seconds.
pub const SLACK: u64 = 2;

/// No cache keeps anything for longer, in seconds (RFC 8767 section 4): a TTL that is greater, of a server that anybody may
/// speak for, is not waited for.
pub const MAX_TTL: u32 = 604_800;

/// What a server shows at one owner, on all of its addresses that answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Digests that every address shows.
    pub everywhere: BTreeSet<Digest>,
    /// Digests that some address shows.
    pub anywhere: BTreeSet<Digest>,
    /// The greatest TTL, in seconds; at most [`MAX_TTL`].
    pub ttl: u32,
}

impl Shown {
    /// What all of `answers` have in common, and what any of them has.
    pub fn of<'a>(answers: impl IntoIterator<Item = &'a Present>) -> Self {
        let mut shown: Option<Shown> = None;
        for present in answers {
            let usable = present.records.iter().filter(|record| record.fingerprint_type() == sshfp::SHA256);
            let digests: BTreeSet<Digest> =
                usable.filter_map(|record| record.fingerprint().try_into().ok()).collect();
            let ttl = present.ttl.unwrap_or(0).min(MAX_TTL);
            shown = Some(match shown {
                None => Shown { everywhere: digests.clone(), anywhere: digests, ttl },
                Some(before) => Shown {
                    everywhere: before.everywhere.intersection(&digests).copied().collect(),
                    anywhere: before.anywhere.union(&digests).copied().collect(),
                    ttl: before.ttl.max(ttl),
                },
            });
        }
        shown.unwrap_or_default()
    }
}

/// One server, about the sets of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// The name at or below which the hosts are.
    pub at: String,
    /// The server, for people.
    pub server: String,
    /// It is the one that takes updates.
    pub is_primary: bool,
    /// Its CA set, or why it did not say.
    pub ca: Result<Shown, String>,
    /// Its revoked set, or why it did not say.
    pub revoked: Result<Shown, String>,
}

/// A server that holds things up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lag {
    /// The name at or below which the hosts are.
    pub at: String,
    /// The server.
    pub server: String,
    /// It is the one that takes updates.
    pub is_primary: bool,
    /// Why it did not say anything; none if it shows what it should not, or not what it should.
    pub silence: Option<String>,
}

impl Lag {
    /// Without a word from the server that takes updates nothing is known, and nothing can be done.
    pub fn is_silent_primary(&self) -> bool {
        self.is_primary && self.silence.is_some()
    }
}

/// All that a step depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Seconds since 1970.
    pub now: u64,
    /// The key that signs.
    pub current: Digest,
    /// The key that is to sign.
    pub next: Option<Digest>,
    /// The key that signed before.
    pub retired: Option<Digest>,
    /// What the journal says of this roll, which is that to `next`, else that to `current`.
    pub roll: Option<&'a Roll>,
    /// What every authoritative server shows, at each name.
    pub sights: &'a [Sight],
    /// What was signed, in order.
    pub certificates: &'a [Standing],
    /// Caches are given so many seconds more: for those who bridge outages with what they knew.
    pub margin: u64,
    /// How many seconds hosts have to load the certificate that was signed last.
    pub settle: u64,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is under way.
    Idle,
    /// Write down that it has begun.
    Begin,
    /// Put the new key into the CA sets; and the old one, should somebody have taken it away while hosts need it.
    Publish {
        /// The old one too.
        old: bool,
    },
    /// Write down that every server shows the new key.
    Spread,
    /// Write down that a server shows the new key no more.
    Lost,
    /// Let the new key sign.
    Switch,
    /// In an emergency: take the old key out of the CA sets, and put it into the revoked sets, at once.
    Revoke,
    /// Take the old key out of the CA sets.
    Withdraw,
    /// Give the roll up: take the new key out of the CA sets.
    Unpublish,
    /// The old key leaves the CA, which ends the roll; after it was given up, the new one.
    Forget,
    /// Nothing but wait.
    Wait(Wait),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// Servers that do not show the new key.
    Servers(Vec<Lag>),
    /// Caches that may hold a set without the new key.
    Caches {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// Hosts whose last certificate is of the old key; places in the list of certificates.
    Hosts(Vec<usize>),
    /// Hosts that have yet to load what was signed.
    Settle {
        /// Until when, in seconds since 1970.
        until: u64,
    },
    /// Servers that still show the old key, or do not yet show it revoked.
    Gone(Vec<Lag>),
}

impl Wait {
    /// Until when, if that is known: seconds since 1970.
    pub fn until(&self) -> Option<u64> {
        match self {
            Self::Caches { until } | Self::Settle { until } => Some(*until),
            Self::Servers(_) | Self::Hosts(_) | Self::Gone(_) => None,
        }
    }
}

/// What to do next, and nothing that a client or host could suffer from, except in an emergency.
pub fn decide(facts: &Facts<'_>) -> Step {
    let (new, old, is_switched) = match (facts.next, facts.retired) {
        (None, None) => return Step::Idle,
        (_, Some(retired)) => (facts.current, retired, true),
        (Some(next), None) => (next, facts.current, false),
    };
    let Some(roll) = facts.roll.filter(|roll| roll.new == new) else { return Step::Begin };
    let primaries = || facts.sights.iter().filter(|sight| sight.is_primary);
    let silent: Vec<Lag> = primaries().filter_map(|sight| silence(sight, roll.is_emergency)).collect();
    // Without a word from the primary nothing is known; and no server at all is no word either.
    if !silent.is_empty() || primaries().next().is_none() {
        return Step::Wait(Wait::Servers(silent));
    }
    let shows = |sight: &Sight, key: &Digest| sight.ca.as_ref().is_ok_and(|set| set.anywhere.contains(key));
    if roll.is_aborted && !is_switched {
        return if primaries().any(|sight| shows(sight, &new)) { Step::Unpublish } else { Step::Forget };
    }
    let lacking = |sight: &Sight| sight.ca.as_ref().is_ok_and(|set| !set.everywhere.contains(&new));
    if !is_switched && roll.spread.is_some() && facts.sights.iter().any(lacking) {
        return Step::Lost;
    }
    let open = outstanding(facts.certificates, &old, &new, &roll.skipped);
    // In an emergency nobody is to believe it.
    let is_old_needed = !roll.is_emergency && (!is_switched || !open.is_empty());
    let has_lost = |sight: &Sight| sight.ca.as_ref().is_ok_and(|set| !set.everywhere.contains(&old));
    if primaries().any(lacking) || (is_old_needed && primaries().any(has_lost)) {
        return Step::Publish { old: is_old_needed };
    }
    if roll.is_emergency {
        return emergency(facts, roll, &old, is_switched);
    }
    let lagging: Vec<Lag> = facts.sights.iter().filter_map(|sight| lag(sight, &sight.ca, lacking)).collect();
    if !is_switched {
        return match roll.spread {
            _ if !lagging.is_empty() => Step::Wait(Wait::Servers(lagging)),
            None => Step::Spread,
            Some(spread) => {
                let wait = u64::from(roll.ttl).saturating_add(SLACK).saturating_add(facts.margin);
                let until = spread.saturating_add(wait);
                if facts.now < until { Step::Wait(Wait::Caches { until }) } else { Step::Switch }
            }
        };
    }
    if !open.is_empty() {
        return Step::Wait(Wait::Hosts(open));
    }
    let until = reissue::settled(facts.certificates, &old, &new, facts.settle);
    if facts.now < until {
        return Step::Wait(Wait::Settle { until });
    }
    if !lagging.is_empty() {
        return Step::Wait(Wait::Servers(lagging));
    }
    let remains = |sight: &Sight| shows(sight, &old);
    if primaries().any(remains) {
        return Step::Withdraw;
    }
    let remaining: Vec<Lag> =
        facts.sights.iter().filter_map(|sight| lag(sight, &sight.ca, remains)).collect();
    if remaining.is_empty() { Step::Forget } else { Step::Wait(Wait::Gone(remaining)) }
}

/// The old key is not to be believed for a moment longer than it takes.
fn emergency(facts: &Facts<'_>, roll: &Roll, old: &Digest, is_switched: bool) -> Step {
    if !is_switched {
        return Step::Switch;
    }
    let is_revoked = |sight: &Sight| sight.revoked.as_ref().is_ok_and(|set| set.everywhere.contains(old));
    let vouches = |sight: &Sight| sight.ca.as_ref().is_ok_and(|set| set.anywhere.contains(old));
    let believes = |sight: &Sight| vouches(sight) || !is_revoked(sight);
    // What servers show is not proven, and whoever has the key may be on the way: the update is made once in any case.
    if !roll.is_revoked || facts.sights.iter().any(|sight| sight.is_primary && believes(sight)) {
        return Step::Revoke;
    }
    let remaining: Vec<Lag> = facts
        .sights
        .iter()
        .filter_map(|sight| lag(sight, if sight.ca.is_err() { &sight.ca } else { &sight.revoked }, believes))
        .collect();
    if remaining.is_empty() { Step::Forget } else { Step::Wait(Wait::Gone(remaining)) }
}

fn silence(sight: &Sight, both: bool) -> Option<Lag> {
    let silent = sight.ca.as_ref().err().or(sight.revoked.as_ref().err().filter(|_| both))?;
    Some(Lag { silence: Some(silent.clone()), ..holds_up(sight) })
}

/// A server that did not say, or of which `is_bad` holds.
fn lag(sight: &Sight, said: &Result<Shown, String>, is_bad: impl Fn(&Sight) -> bool) -> Option<Lag> {
    match said {
        Err(why) => Some(Lag { silence: Some(why.clone()), ..holds_up(sight) }),
        Ok(_) => is_bad(sight).then(|| holds_up(sight)),
    }
}

fn holds_up(sight: &Sight) -> Lag {
    let (at, server) = (sight.at.clone(), sight.server.clone());
    Lag { at, server, is_primary: sight.is_primary, silence: None }
}
