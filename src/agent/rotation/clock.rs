//! A clock that nobody sets, beside the one that is told.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::proto::rotation::Clock;

const SECOND: i128 = 1_000_000_000;

/// Both clocks at the moment when the wall clock showed `wall` seconds since 1970; none where the system does not tell
/// which of its starts this is.
pub fn read(wall: u64) -> Option<Clock> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let shown = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |shown| shown.as_nanos());
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
    let up = i128::from(tv_sec) * SECOND + i128::from(tv_nsec);
    // Each cut to seconds for itself, they would seem to be a second nearer to each other at one look than at the next.
    let apart = (i128::try_from(shown).ok()? - up + SECOND / 2).div_euclid(SECOND);
    // A board without a clock of its own may show less than it has been up.
    let uptime = u64::try_from((i128::from(wall) - apart).max(0)).ok()?;
    Some(Clock { boot: boot.trim().to_owned(), uptime, wall })
}
