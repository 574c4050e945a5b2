//! What all the hosts of a run have to heed.

use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::proto::course::{Course, Halt};

/// The course of a run, and the word that goes round when what runs is to end.
#[derive(Debug)]
pub struct Control {
    course: Mutex<Course>,
    word: watch::Sender<Option<Halt>>,
}

/// One host's ear for that word.
#[derive(Debug, Clone)]
pub struct Halts(watch::Receiver<Option<Halt>>);

impl Control {
    /// A run that goes on. With `fail_fast` the first failure is the last host's beginning.
    pub fn new(fail_fast: bool) -> Self {
        Control { course: Mutex::new(Course::new(fail_fast)), word: watch::Sender::new(None) }
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host's part is over.
    pub fn ended(&self, has_failed: bool) {
        self.course().ended(has_failed);
    }

    /// Nothing more is to begin; what runs is to end, if `halt` is of that kind.
    pub fn halt(&self, halt: Halt) {
        self.course().halt(halt);
        if halt.ends_what_runs() {
            self.word.send_if_modified(|word| word.replace(halt).is_none());
        }
    }

    /// Why no more hosts begin, if that is so.
    pub fn halted(&self) -> Option<Halt> {
        self.course().halted()
    }

    /// For one host more.
    pub fn halts(&self) -> Halts {
        Halts(self.word.subscribe())
    }
}

impl Halts {
    /// Until everything is to end; why.
    pub async fn heard(&mut self) -> Halt {
        let word = self.0.wait_for(Option::is_some).await.ok().and_then(|word| *word);
        match word {
            Some(halt) => halt,
            // Nobody is left who could say so.
            None => pending().await,
        }
    }
}
