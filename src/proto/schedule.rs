//! When an agent looks after its records: what has happened, in; the moment of the next pass, out.
//!
//! Moments are spans since the agent started, by a clock that nobody sets: one that is set back must not stop it.

use std::time::Duration;

/// A key, its public half and its certificate are written within moments: so long nothing more has to come.
pub const SETTLE: Duration = Duration::from_secs(2);
/// No longer than this, whatever goes on coming.
pub const SETTLE_MOST: Duration = Duration::from_secs(10);
/// The first pause after something failed that may pass; it doubles with each failure in a row.
pub const RETRY: Duration = Duration::from_secs(2);
/// The longest such pause: a primary that was down for an hour is served within a minute and a half of its return.
pub const RETRY_MOST: Duration = Duration::from_secs(60);
/// The shortest pause for what wants to be looked at again.
pub const LEAST: Duration = Duration::from_secs(1);
/// How many times a pause can double before it is longer than anybody waits.
const DOUBLINGS: u32 = 16;

/// What happens to an agent, besides that time goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A file that it depends on changed.
    Changed,
    /// Nothing that matters changed, as it turned out.
    Unchanged,
    /// Somebody wants a pass now: SIGHUP.
    Asked,
    /// A pass begins.
    Begins,
    /// A pass has ended.
    Ended(Ended),
    /// Something that it looks after wants to be looked at so much later: a rotation that waits.
    Wanted(Duration),
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// All is as it should be.
    Right,
    /// What was to be done is done, and not all servers or caches show it.
    Pending,
    /// Something is wrong that only a person can mend.
    Hard,
    /// Something failed that may pass.
    Soft,
}

/// When it looks next.
#[derive(Debug, Clone)]
pub struct Schedule {
    interval: Duration,
    timer: Duration,
    /// Since when files change, and when they are taken to have settled.
    settling: Option<(Duration, Duration)>,
    /// Passes in a row that ended in the same of [`Ended::Soft`] and [`Ended::Pending`].
    row: (Option<Ended>, u32),
}

impl Schedule {
    /// The first pass is due at once; then one every `interval`, a tenth more or less by chance.
    pub fn new(interval: Duration) -> Self {
        Schedule { interval, timer: Duration::ZERO, settling: None, row: (None, 0) }
    }

    /// Another interval, from the end of the next pass on.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
    }

    /// When the next pass is due.
    pub fn due(&self) -> Duration {
        self.settling.map_or(self.timer, |(_, until)| until.min(self.timer))
    }

    /// It is not the timer that a pass at `now` is due by, but a change of files.
    pub fn is_for_a_change(&self, now: Duration) -> bool {
        self.settling.is_some() && now < self.timer
    }

    /// Takes in what happened at `now`. `chance` is from 0 to 1, 1 excluded, and new each time.
    pub fn on(&mut self, event: Event, now: Duration, chance: f64) {
        match event {
            Event::Changed => {
                let since = self.settling.map_or(now, |(since, _)| since);
                self.settling = Some((since, (now + SETTLE).min(since + SETTLE_MOST)));
            }
            Event::Unchanged | Event::Begins => self.settling = None,
            Event::Wanted(later) => self.timer = self.timer.min(now + later.max(LEAST)),
            Event::Asked => (self.timer, self.row) = (now, (None, 0)),
            Event::Ended(ended) => {
                self.row = match self.row {
                    (Some(before), count) if before == ended => (Some(ended), count.saturating_add(1)),
                    _ => (Some(ended), 0),
                };
                self.timer = now + self.pause(ended, chance.clamp(0.0, 1.0));
            }
        }
    }

    fn pause(&self, ended: Ended, chance: f64) -> Duration {
        let doubled = RETRY.saturating_mul(1 << self.row.1.min(DOUBLINGS));
        match ended {
            Ended::Right | Ended::Hard => self.interval.mul_f64(0.9 + 0.2 * chance),
            // Of many that failed together none come back together.
            Ended::Soft => doubled.min(RETRY_MOST).mul_f64(0.5 + chance).min(self.interval),
            // A server that is down for days is looked at no more often than anything else.
            Ended::Pending => doubled.min(self.interval).mul_f64(0.75 + 0.25 * chance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(900);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_begins_at_once_and_looks_every_interval_with_a_tenth_of_jitter() {
        for ended in [Ended::Right, Ended::Hard] {
            for (chance, due) in [(0.0, 1810), (0.5, 1900), (0.9999, 1990)] {
                let mut schedule = Schedule::new(INTERVAL);
                assert_eq!(schedule.due(), Duration::ZERO);
                schedule.on(Event::Begins, at(0), 0.0);
                schedule.on(Event::Ended(ended), at(1000), chance);
                assert_eq!(schedule.due().as_secs_f64().round() as u64, due);
            }
        }
    }

    /// The moments of the passes while a primary is down from 0 to `down`, and the first one after it.
    fn passes(interval: Duration, down: Duration, chance: f64) -> (usize, Duration) {
        let (mut schedule, mut count) = (Schedule::new(interval), 0);
        while schedule.due() < down {
            let now = schedule.due();
            schedule.on(Event::Begins, now, chance);
            schedule.on(Event::Ended(Ended::Soft), now + at(5), chance);
            count += 1;
        }
        (count, schedule.due())
    }

    #[test]
    fn a_primary_that_is_down_is_not_hammered_and_is_served_soon_after_it_is_back() {
        for chance in [0.0, 0.3, 0.999] {
            let (count, first) = passes(INTERVAL, at(3600), chance);
            assert!((40..=110).contains(&count), "{count} in an hour, chance {chance}");
            assert!(first <= at(3600 + 100), "{first:?}");
            let (count, first) = passes(INTERVAL, at(10), chance);
            assert!(count <= 3 && first <= at(20), "a hiccup is soon over: {count}, {first:?}");
        }
        // Success begins anew.
        let mut schedule = Schedule::new(INTERVAL);
        for _ in 0..50 {
            schedule.on(Event::Ended(Ended::Soft), at(0), 0.5);
        }
        assert_eq!(schedule.due(), RETRY_MOST);
        schedule.on(Event::Ended(Ended::Right), at(0), 0.5);
        assert_eq!(schedule.due(), INTERVAL);
        schedule.on(Event::Ended(Ended::Soft), at(0), 0.5);
        assert_eq!(schedule.due(), RETRY);
        // An interval that is shorter than any pause holds.
        let (count, first) = passes(at(1), at(60), 0.999);
        assert!(count >= 9 && first <= at(66), "{count} {first:?}");
    }

    #[test]
    fn what_lags_is_looked_at_ever_more_rarely() {
        let mut schedule = Schedule::new(INTERVAL);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            schedule.on(Event::Ended(Ended::Pending), at(0), 0.999_999);
            pauses.push(schedule.due().as_secs_f64().round() as u64);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
    }

    #[test]
    fn changes_settle_before_they_count_but_not_for_ever() {
        let mut schedule = Schedule::new(INTERVAL);
        schedule.on(Event::Ended(Ended::Right), at(0), 0.5);
        schedule.on(Event::Changed, at(100), 0.0);
        assert_eq!(schedule.due(), at(102));
        assert!(schedule.is_for_a_change(at(102)));
        schedule.on(Event::Changed, at(101), 0.0);
        assert_eq!(schedule.due(), at(103));
        for second in 102..200 {
            schedule.on(Event::Changed, at(second), 0.0);
        }
        assert_eq!(schedule.due(), at(110));
        schedule.on(Event::Unchanged, at(110), 0.0);
        assert_eq!(schedule.due(), INTERVAL, "the timer is where it was");
        // A change does not put off what is due anyway.
        schedule.on(Event::Changed, at(899), 0.0);
        assert_eq!(schedule.due(), INTERVAL);
        assert!(!schedule.is_for_a_change(INTERVAL));
        schedule.on(Event::Begins, INTERVAL, 0.0);
        schedule.on(Event::Ended(Ended::Right), INTERVAL, 0.5);
        assert_eq!(schedule.due(), INTERVAL * 2);
    }

    #[test]
    fn what_waits_is_looked_at_in_time_and_no_later_than_anything_else() {
        let mut schedule = Schedule::new(INTERVAL);
        schedule.on(Event::Ended(Ended::Right), at(0), 0.5);
        schedule.on(Event::Wanted(at(3600)), at(0), 0.0);
        assert_eq!(schedule.due(), INTERVAL);
        schedule.on(Event::Wanted(at(60)), at(0), 0.0);
        assert_eq!(schedule.due(), at(60));
        schedule.on(Event::Wanted(at(0)), at(30), 0.0);
        assert_eq!(schedule.due(), at(31));
        schedule.on(Event::Ended(Ended::Right), at(31), 0.5);
        assert_eq!(schedule.due(), at(931));
    }

    #[test]
    fn who_asks_is_served_at_once() {
        let mut schedule = Schedule::new(INTERVAL);
        schedule.on(Event::Ended(Ended::Soft), at(0), 0.5);
        schedule.on(Event::Asked, at(1), 0.0);
        assert_eq!(schedule.due(), at(1));
        schedule.set_interval(at(60));
        schedule.on(Event::Begins, at(1), 0.0);
        schedule.on(Event::Ended(Ended::Hard), at(2), 0.5);
        assert_eq!(schedule.due(), at(62));
    }
}
