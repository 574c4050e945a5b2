//! What is wanted of the trail: `[trail]` of the configuration.

use std::path::PathBuf;

/// `[trail]`: where every verdict by which somebody connects is noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// A file of JSON lines.
    pub file: Option<PathBuf>,
    /// systemd's journal.
    pub journald: bool,
    /// No connection goes on whose line cannot be written.
    pub required: bool,
}
