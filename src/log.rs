//! What is said of work that goes on: a level, a sentence, and fields. Where it goes is another's matter ([`Sink`]).

mod sinks;
mod telling;

use std::fmt;

pub use sinks::{AtLeast, JOURNAL, Journal, Json, Lines, Text, sink};
pub use telling::Telling;

/// How much it matters; the numbers are those of syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is wrong that will not pass by itself.
    Error = 3,
    /// Something is not as it should be.
    Warning = 4,
    /// Something has changed: records were published, a key was replaced.
    Notice = 5,
    /// What goes on.
    Info = 6,
    /// The same in more detail.
    Debug = 7,
}

impl Level {
    /// Its stable word.
    pub fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

/// One thing that is said. It may hold peers' octets: whoever shows it sanitises.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// How much it matters.
    pub level: Level,
    /// A sentence: lower case, no full stop.
    pub message: &'a str,
    /// The same for scripts, in snake_case: `owner`, `zone`, `server`, `reason`, `hint`, `added`, `removed`.
    pub fields: &'a [(&'static str, &'a str)],
}

/// Where it goes. It neither fails nor blocks for long.
pub trait Sink: fmt::Debug + Send + Sync {
    /// Says it.
    fn say(&self, event: &Event<'_>);
}
