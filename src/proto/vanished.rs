//! Own records that are gone although nobody here withdrew them. They are put back; but whoever removes them again and
//! again may mean it, and is not to be fought.

use super::sshfp::SshfpSet;

/// So often within [`WINDOW`], and they are not put back any more.
pub const LIMIT: usize = 3;
/// How long it counts, in seconds.
pub const WINDOW: u64 = 86_400;

/// What an agent remembers of one set of its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Own records that were seen to stand there.
    pub standing: SshfpSet,
    /// When records of it were found gone, in seconds since 1970; at most [`LIMIT`].
    pub vanished: Vec<u64>,
    /// The records that were wanted when it was given up; none if it was not.
    pub given_up: Option<SshfpSet>,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Publish as ever.
    Publish,
    /// Own records are gone: put them back, and say so.
    PutBack,
    /// They go again and again: change nothing, and say so.
    GiveUp,
}

impl Memory {
    /// A look at the set: of the `wanted` records these are `missing`. What is found gone counts once: it is no longer
    /// among those that stand.
    pub fn look(&mut self, wanted: &SshfpSet, missing: &SshfpSet, now: u64) -> Judgement {
        if let Some(then) = &self.given_up {
            // Somebody has put them there, or the keys are others now.
            if *then == *wanted && !missing.is_empty() {
                return Judgement::GiveUp;
            }
            self.begin_anew();
        }
        let gone: SshfpSet = self.standing.intersection(missing).cloned().collect();
        if gone.is_empty() {
            return Judgement::Publish;
        }
        self.standing.retain(|record| !gone.contains(record));
        self.vanished.retain(|then| now.saturating_sub(*then) < WINDOW);
        self.vanished.push(now);
        if self.vanished.len() < LIMIT {
            return Judgement::PutBack;
        }
        self.given_up = Some(wanted.clone());
        Judgement::GiveUp
    }

    /// These own records stand there.
    pub fn stands(&mut self, records: &SshfpSet) {
        self.standing.clone_from(records);
    }

    /// How often records of it were found gone within [`WINDOW`] before `now`, in seconds since 1970.
    pub fn lately(&self, now: u64) -> usize {
        self.vanished.iter().filter(|then| now.saturating_sub(**then) < WINDOW).count()
    }

    /// What was counted counts no more: somebody has looked into it.
    pub fn begin_anew(&mut self) {
        self.vanished.clear();
        self.given_up = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sshfp::Sshfp;

    fn set(letters: &str) -> SshfpSet {
        letters.bytes().map(|b| Sshfp::from_rdata(&[&[4, 2], [b; 32].as_slice()].concat()).unwrap()).collect()
    }

    const DAY: u64 = 86_400;

    /// What a look that finds `missing` makes of it; what is published then stands.
    fn look(memory: &mut Memory, wanted: &str, missing: &str, now: u64) -> Judgement {
        let judgement = memory.look(&set(wanted), &set(missing), now);
        if judgement != Judgement::GiveUp {
            memory.stands(&set(wanted));
        }
        judgement
    }

    #[test]
    fn they_are_put_back_twice_and_not_a_third_time() {
        let mut memory = Memory::default();
        assert_eq!(look(&mut memory, "ab", "ab", 0), Judgement::Publish, "they never stood there");
        assert_eq!(look(&mut memory, "ab", "", 1), Judgement::Publish);
        assert_eq!(look(&mut memory, "ab", "a", 2), Judgement::PutBack);
        assert_eq!(look(&mut memory, "ab", "ab", 3), Judgement::PutBack);
        assert_eq!(look(&mut memory, "ab", "b", 4), Judgement::GiveUp);
        assert_eq!(look(&mut memory, "ab", "ab", 5), Judgement::GiveUp);
        assert_eq!(look(&mut memory, "ab", "b", 9 * DAY), Judgement::GiveUp, "time alone does not mend it");
        assert_eq!(memory.vanished.len(), LIMIT);
    }

    #[test]
    fn a_publish_by_hand_new_keys_and_somebody_who_asks_make_it_go_on() {
        let given_up = || {
            let mut memory = Memory { standing: set("a"), vanished: vec![1, 2], given_up: None };
            assert_eq!(look(&mut memory, "a", "a", 3), Judgement::GiveUp);
            memory
        };
        let mut by_hand = given_up();
        assert_eq!(look(&mut by_hand, "a", "", 4), Judgement::Publish);
        assert_eq!(look(&mut by_hand, "a", "a", 5), Judgement::PutBack, "counted from the beginning");
        let mut new_key = given_up();
        assert_eq!(look(&mut new_key, "b", "b", 4), Judgement::Publish);
        let mut asked = given_up();
        asked.begin_anew();
        assert_eq!(look(&mut asked, "a", "a", 4), Judgement::Publish);
    }

    #[test]
    fn what_is_a_day_old_does_not_count_and_a_key_that_was_replaced_has_not_vanished() {
        let mut memory = Memory::default();
        for now in [0, DAY, 2 * DAY, 3 * DAY] {
            memory.stands(&set("a"));
            assert_eq!(look(&mut memory, "a", "a", now), Judgement::PutBack);
        }
        assert_eq!(look(&mut memory, "b", "b", 3 * DAY), Judgement::Publish, "a is wanted no more");
        // Found and counted, then ended before anything was put back: the next look does not count it again.
        memory = Memory { standing: set("a"), ..Memory::default() };
        assert_eq!(memory.look(&set("a"), &set("a"), 5), Judgement::PutBack);
        assert_eq!(memory.look(&set("a"), &set("a"), 6), Judgement::Publish);
        assert_eq!(memory.vanished, [5]);
        // A clock that was set back makes nothing worse than it is.
        assert_eq!(look(&mut memory, "a", "", 4), Judgement::Publish);
        assert_eq!(look(&mut memory, "a", "a", 1), Judgement::PutBack);
    }
}
