//! The course of a run over many hosts: whether another one may begin, and whether those that run may go on.

use std::fmt;

/// Why a run does not go on to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// A host failed, and that was to be the last to begin.
    FailFast,
    /// The time for everything is over.
    Deadline,
    /// Nobody takes the results any more.
    Output,
    /// Somebody wants this process to end, by this signal.
    Signal(Signal),
}

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}

impl Signal {
    /// Its name, without SIG.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "INT",
            Signal::Terminate => "TERM",
            Signal::HangUp => "HUP",
        }
    }

    /// The exit status of a process that it ended, as shells tell it: 128 and the signal's number.
    pub fn exit_status(self) -> u8 {
        match self {
            Signal::HangUp => 129,
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
        }
    }
}

impl Halt {
    /// That of a run which a signal ended; else it is as ever.
    pub fn exit_status(self) -> Option<u8> {
        match self {
            Halt::Signal(signal) => Some(signal.exit_status()),
            Halt::FailFast | Halt::Deadline | Halt::Output => None,
        }
    }

    /// What is under way ends too, and not only does nothing more begin.
    pub fn ends_what_runs(self) -> bool {
        self != Halt::FailFast
    }
}

/// As in "not run: the time was over".
impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Halt::FailFast => f.write_str("another host had failed (--fail-fast)"),
            Halt::Deadline => f.write_str("the time for all of them was over (--deadline)"),
            Halt::Output => f.write_str("nobody took the output any more"),
            Halt::Signal(signal) => write!(f, "ended by SIG{}", signal.name()),
        }
    }
}

/// How far a run is.
#[derive(Debug, Default)]
pub struct Course {
    fail_fast: bool,
    halt: Option<Halt>,
}

impl Course {
    /// Nothing has ended yet. With `fail_fast` the first failure is the last host's beginning.
    pub fn new(fail_fast: bool) -> Self {
        Course { fail_fast, ..Course::default() }
    }

    /// A host's part is over.
    pub fn ended(&mut self, has_failed: bool) {
        if self.fail_fast && has_failed {
            self.halt.get_or_insert(Halt::FailFast);
        }
    }

    /// It is not to go on; of several reasons the first one that ends what runs counts.
    pub fn halt(&mut self, halt: Halt) {
        if !self.halt.is_some_and(Halt::ends_what_runs) {
            self.halt = Some(halt);
        }
    }

    /// Why no more hosts begin, if that is so.
    pub fn halted(&self) -> Option<Halt> {
        self.halt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_the_last_beginning_where_that_is_wanted() {
        for fail_fast in [false, true] {
            let mut course = Course::new(fail_fast);
            course.ended(false);
            assert_eq!(course.halted(), None);
            course.ended(true);
            assert_eq!(course.halted(), fail_fast.then_some(Halt::FailFast));
            assert!(!course.halted().is_some_and(Halt::ends_what_runs));
        }
    }

    #[test]
    fn what_ends_what_runs_outranks_a_failure_and_the_first_of_several_counts() {
        let mut course = Course::new(true);
        course.ended(true);
        course.halt(Halt::Signal(Signal::Interrupt));
        course.halt(Halt::Deadline);
        assert_eq!(course.halted(), Some(Halt::Signal(Signal::Interrupt)));
        let signals = [Signal::HangUp, Signal::Interrupt, Signal::Terminate];
        assert_eq!(signals.map(Signal::exit_status), [129, 130, 143]);
    }
}
