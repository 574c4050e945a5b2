//! Happy Eyeballs (RFC 8305): which of a host's addresses is tried when. A name's addresses come one family at a
//! time, and those of earlier runs may be there before; the first connection wins, and what was slower is dropped.
//!
//! Times are since the race began. Nobody vouches for addresses, and nothing rests on them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// How long an A answer waits for the AAAA answer (RFC 8305 sections 3 and 8).
pub const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// Between the beginnings of two attempts, unless one fails before (RFC 8305 sections 5 and 8).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// How long a lookup may take before addresses that nobody says are current are tried: long enough for a resolver
/// that has to ask others, for what is found by them may be another host.
pub const RESERVE_DELAY: Duration = Duration::from_secs(1);
/// Addresses of one host that are tried, all in all.
pub const MAX_ADDRESSES: usize = 8;
/// Of these, how many may be from earlier runs, so that there is room for what is found now.
const MAX_KEPT: usize = MAX_ADDRESSES / 2;

/// The kinds of addresses, each with a lookup of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// AAAA.
    V6,
    /// A.
    V4,
}

impl Family {
    /// That of `address`; an IPv4-mapped one counts as it is written.
    pub fn of(address: &SocketAddr) -> Self {
        if address.is_ipv6() { Family::V6 } else { Family::V4 }
    }

    fn other(self) -> Self {
        match self {
            Family::V6 => Family::V4,
            Family::V4 => Family::V6,
        }
    }
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Look the name up, both families at the same time.
    LookUp,
    /// Begin to connect to this address.
    Attempt(SocketAddr),
    /// Nothing before this time (none: at no time), unless something happens.
    Wait(Option<Duration>),
    /// There is nothing left to try or to wait for.
    GiveUp,
}

/// How far the lookup is.
#[derive(Debug)]
enum Lookup {
    NotBegun,
    Begun { at: Duration, awaits_v6: bool, awaits_v4: bool },
    Over,
}

/// One race for one connection.
#[derive(Debug)]
pub struct Race {
    /// Within their TTL, the best one first.
    kept: VecDeque<SocketAddr>,
    /// From the lookup.
    found: VecDeque<SocketAddr>,
    /// What is tried where the lookup gives none in time.
    reserve: VecDeque<SocketAddr>,
    lookup: Lookup,
    /// The first answer, if it was one with addresses.
    found_at: Option<Duration>,
    tried: Vec<SocketAddr>,
    failed: usize,
    /// When the last attempt began; none once one failed since.
    paced_by: Option<Duration>,
}

impl Race {
    /// For a name. `kept` was found earlier and is within its TTL, the best one first: it goes first, and the lookup
    /// begins only where that does not connect at once. `reserve` is what nobody says is current.
    pub fn for_name(
        kept: impl IntoIterator<Item = SocketAddr>,
        reserve: impl IntoIterator<Item = SocketAddr>,
    ) -> Self {
        Race {
            kept: kept.into_iter().take(MAX_KEPT).collect(),
            found: VecDeque::new(),
            reserve: reserve.into_iter().take(MAX_KEPT).collect(),
            lookup: Lookup::NotBegun,
            found_at: None,
            tried: Vec::new(),
            failed: 0,
            paced_by: None,
        }
    }

    /// For addresses that need no lookup.
    pub fn for_addresses(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut race = Race { lookup: Lookup::Over, ..Self::for_name([], []) };
        race.found(addresses, Duration::ZERO);
        race
    }

    /// The lookup found these at `now`.
    pub fn found(&mut self, addresses: impl IntoIterator<Item = SocketAddr>, now: Duration) {
        self.found.extend(addresses);
        if !self.found.is_empty() {
            self.found_at.get_or_insert(now);
        }
    }

    /// The lookup of this family is over, whatever it found.
    pub fn looked_up(&mut self, family: Family) {
        if let Lookup::Begun { awaits_v6, awaits_v4, .. } = &mut self.lookup {
            match family {
                Family::V6 => *awaits_v6 = false,
                Family::V4 => *awaits_v4 = false,
            }
            if !*awaits_v6 && !*awaits_v4 {
                self.lookup = Lookup::Over;
            }
        }
    }

    /// An attempt has failed: the next need not wait.
    pub fn failed(&mut self) {
        self.failed += 1;
        self.paced_by = None;
    }

    /// What to do at `now`. To be asked again after each step but the last, and whenever something has happened.
    pub fn next(&mut self, now: Duration) -> Step {
        let next_attempt = self.paced_by.map(|at| at + CONNECTION_ATTEMPT_DELAY).filter(|at| now < *at);
        if matches!(self.lookup, Lookup::NotBegun) {
            let kept_goes_first = !self.kept.is_empty() && self.tried.is_empty();
            if !kept_goes_first && next_attempt.is_none() {
                self.lookup = Lookup::Begun { at: now, awaits_v6: true, awaits_v4: true };
                return Step::LookUp;
            }
        }
        if next_attempt.is_none()
            && let Some(address) = self.take(now)
        {
            self.tried.push(address);
            self.paced_by = Some(now);
            return Step::Attempt(address);
        }
        if self.is_looked_up() && self.all_failed() {
            return Step::GiveUp;
        }
        let later = [next_attempt, self.end_of_resolution_delay(), self.end_of_reserve_delay()];
        Step::Wait(later.into_iter().flatten().filter(|at| now < *at).min())
    }

    fn is_looked_up(&self) -> bool {
        matches!(self.lookup, Lookup::Over)
    }

    fn all_failed(&self) -> bool {
        self.failed == self.tried.len()
    }

    /// The next address, of the other family than the one before if there is one.
    fn take(&mut self, now: Duration) -> Option<SocketAddr> {
        while self.tried.len() < MAX_ADDRESSES {
            let before = self.tried.last().map(Family::of);
            let (queue, first) = self.queue(now)?;
            let wanted = before.map(Family::other).or(first);
            let place = queue.iter().position(|address| Some(Family::of(address)) == wanted);
            let address = queue.remove(place.unwrap_or(0))?;
            if !self.tried.contains(&address) {
                return Some(address);
            }
        }
        None
    }

    /// Where the next address is from, and the family that goes first there.
    fn queue(&mut self, now: Duration) -> Option<(&mut VecDeque<SocketAddr>, Option<Family>)> {
        let waits = self.end_of_resolution_delay().is_some_and(|end| now < end);
        let in_reserve = match self.end_of_reserve_delay() {
            Some(end) => end <= now,
            None => self.is_looked_up() && (self.found_at.is_none() || self.all_failed()),
        };
        if !self.found.is_empty() && !waits {
            return Some((&mut self.found, Some(Family::V6)));
        }
        // What was found earlier is in the order that proved good.
        if !self.kept.is_empty() {
            return Some((&mut self.kept, None));
        }
        (in_reserve && !self.reserve.is_empty()).then_some((&mut self.reserve, None))
    }

    /// Until when A addresses wait for the AAAA answer.
    fn end_of_resolution_delay(&self) -> Option<Duration> {
        let waits = matches!(self.lookup, Lookup::Begun { awaits_v6: true, .. });
        self.found_at.filter(|_| waits).map(|at| at + RESOLUTION_DELAY)
    }

    /// When a lookup that has found nothing has had its time.
    fn end_of_reserve_delay(&self) -> Option<Duration> {
        match self.lookup {
            Lookup::Begun { at, .. } if self.found_at.is_none() => Some(at + RESERVE_DELAY),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
