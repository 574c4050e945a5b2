//! A wall clock that jumps, held against one that nobody sets.

use serde::{Deserialize, Serialize};

/// Seconds by which the two clocks may drift apart between two looks before it counts as a jump.
const DRIFT: u64 = 5;

/// What two clocks showed at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Which start of the machine this is (Linux: the boot id).
    pub boot: String,
    /// Seconds since then, sleep included (Linux: CLOCK_BOOTTIME).
    pub uptime: u64,
    /// Seconds since 1970 by the wall clock.
    pub wall: u64,
}

impl Clock {
    /// By how many seconds the wall clock has been set forward since `self` (backward: less than 0). Of another start of
    /// the machine nothing is known: 0.
    pub fn jump(&self, now: &Clock) -> i64 {
        let Some(passed) = now.uptime.checked_sub(self.uptime).filter(|_| now.boot == self.boot) else {
            return 0;
        };
        let jump = i128::from(now.wall) - i128::from(self.wall) - i128::from(passed);
        match jump.unsigned_abs() > u128::from(DRIFT) {
            true => i64::try_from(jump).unwrap_or(0),
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(boot: &str, uptime: u64, wall: u64) -> Clock {
        Clock { boot: boot.to_owned(), uptime, wall }
    }

    #[test]
    fn a_jump_is_what_the_wall_clock_shows_beyond_the_time_that_has_passed() {
        let then = clock("a", 1000, 1_700_000_000);
        assert_eq!(then.jump(&clock("a", 1060, 1_700_000_060)), 0);
        assert_eq!(
            then.jump(&clock("a", 1060, 1_700_000_063)),
            0,
            "two clocks drift, and are read one after the other"
        );
        assert_eq!(then.jump(&clock("a", 1060, 1_700_086_460)), 86_400);
        assert_eq!(then.jump(&clock("a", 1060, 1_699_913_660)), -86_400);
        assert_eq!(then.jump(&clock("b", 10, 1_700_086_460)), 0, "another start of the machine");
        assert_eq!(then.jump(&clock("a", 10, 1_700_086_460)), 0, "no clock goes backward that nobody sets");
        assert_eq!(then.jump(&clock("a", 1060, u64::MAX)), 0, "nonsense");
    }
}
