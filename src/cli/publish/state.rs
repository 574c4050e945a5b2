//! What is told where the record of what is own cannot be read or written.

use crate::agent::state::StateError;
use crate::error::Error;

pub(in crate::cli) fn state_error(error: StateError) -> Error {
    let told = Error::failure("state", format!("state: {error}"));
    match error {
        StateError::Io { .. } | StateError::NoFolder => told.hint("give a folder for the state that this user may write: --state DIR"),
        StateError::Malformed { path, .. } => told.hint(format!(
            "it says which records are own: mend {0}, or move it away to begin with this machine's present keys",
            path.display()
        )),
        StateError::Newer { .. } => told.hint("use the sshanchor that wrote it, or one at least as new"),
        StateError::Untrusted(untrusted) => told.hint(format!(
            "look whether it was changed, then {}; or give another folder: --state DIR", untrusted.hint()
        )),
        StateError::Locked(_) => told.hint("wait until the other run has ended"),
    }
}
