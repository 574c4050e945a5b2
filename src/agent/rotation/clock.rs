//! A clock that nobody sets, beside the one that is told.

use rustix::time::{ClockId, clock_gettime};

use crate::proto::rotation::Clock;

/// Both clocks, where the wall clock shows `wall` seconds since 1970; none where the system does not tell which of its
/// starts this is.
pub fn read(wall: u64) -> Option<Clock> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let uptime = u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).ok()?;
    Some(Clock { boot: boot.trim().to_owned(), uptime, wall })
}
