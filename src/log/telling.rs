//! What a piece of work says on its way, if anybody listens.

use std::sync::Arc;

use super::{Event, Level, Sink};

/// A sink, or nobody: then nothing is put into words.
#[derive(Debug, Clone, Default)]
pub struct Telling(Option<Arc<dyn Sink>>);

impl Telling {
    /// To this sink.
    pub fn to(sink: Arc<dyn Sink>) -> Self {
        Telling(Some(sink))
    }

    /// What goes on ([`Level::Info`]).
    pub fn info(&self, message: impl FnOnce() -> String) {
        self.say(Level::Info, message);
    }

    /// The same in more detail ([`Level::Debug`]).
    pub fn debug(&self, message: impl FnOnce() -> String) {
        self.say(Level::Debug, message);
    }

    fn say(&self, level: Level, message: impl FnOnce() -> String) {
        if let Some(sink) = &self.0 {
            sink.say(&Event { level, message: &message(), fields: &[] });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Sink for Kept {
        fn say(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(format!("{} {}", event.level.word(), event.message));
        }
    }

    #[test]
    fn nobody_listens_and_nothing_is_put_into_words() {
        Telling::default().info(|| panic!("nobody asked"));
        let kept = Arc::new(Kept::default());
        let telling = Telling::to(kept.clone());
        telling.info(|| "one".to_owned());
        telling.debug(|| "two".to_owned());
        assert_eq!(*kept.0.lock().unwrap(), ["info one", "debug two"]);
    }
}
