//! The cache of one process that lives long: nobody else can write into it, so that nothing in it is sealed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets that are kept, what they are about included: zones, and thousands of hosts.
const MAX_OCTETS: usize = 16 * 1024 * 1024;

/// The last text about each subject; the oldest goes first.
#[derive(Default)]
pub(super) struct Memory(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    texts: HashMap<Arc<[u8]>, Arc<str>>,
    order: VecDeque<Arc<[u8]>>,
    octets: usize,
}

impl Memory {
    pub(super) fn read(&self, subject: &[u8]) -> Option<Arc<str>> {
        self.lock().texts.get(subject).cloned()
    }

    /// An empty text is none.
    pub(super) fn write(&self, subject: &[u8], text: &str) {
        let inner = &mut *self.lock();
        if let Some(old) = inner.texts.remove(subject) {
            inner.octets -= subject.len() + old.len();
            inner.order.retain(|other| **other != *subject);
        }
        if text.is_empty() {
            return;
        }
        let subject: Arc<[u8]> = subject.into();
        inner.octets += subject.len() + text.len();
        inner.order.push_back(subject.clone());
        inner.texts.insert(subject, text.into());
        while inner.octets > MAX_OCTETS {
            let Some(oldest) = inner.order.pop_front() else { break };
            let gone = inner.texts.remove(&oldest);
            inner.octets -= oldest.len() + gone.map_or(0, |text| text.len());
        }
    }

    /// A panic elsewhere cannot leave a text half-written.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first_and_what_was_written_again_is_new() {
        let memory = Memory::default();
        let long = "x".repeat(MAX_OCTETS / 4);
        for subject in [b"a", b"b", b"c", b"a"] {
            memory.write(subject, &long);
        }
        memory.write(b"d", &long);
        assert!(memory.read(b"b").is_none(), "one too many");
        for subject in [b"a", b"c", b"d"] {
            assert!(memory.read(subject).is_some());
            memory.write(subject, "");
            assert!(memory.read(subject).is_none());
        }
        let inner = memory.lock();
        assert!(inner.octets == 0 && inner.order.is_empty() && inner.texts.is_empty());
    }
}
