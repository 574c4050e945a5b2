//! `rotation.json` in the state folder: read strictly, written whole, and one process at a time.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::agent::state::{State, StateError};
use crate::error::Error;
use crate::files;
use crate::files::read_whole;
use crate::ownership::{self, OpenError};
use crate::proto::rotation::{BadRecord, Record};

/// Its name.
pub const FILE: &str = "rotation.json";
const LOCK: &str = "rotation.lock";
/// The reason of the error that another run is at it.
pub const LOCKED: &str = "locked";
/// Largest file that is read, in octets.
const MAX_FILE: u64 = 1024 * 1024;

/// Holds other runs off while it lives.
#[derive(Debug)]
pub struct Lock {
    _held: File,
}

/// What is remembered in this state folder. No file means that nothing was ever rotated.
pub fn read(state: &State) -> Result<Record, Error> {
    let path = state.folder().join(FILE);
    let io = |error| Error::from(StateError::Io { path: path.clone(), error });
    let file = match ownership::open_own(&path) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Record::default()),
        Err(OpenError::Untrusted(untrusted)) => return Err(StateError::Untrusted(untrusted).into()),
        Err(OpenError::Io(error)) => return Err(io(error)),
    };
    let text = read_whole(file, MAX_FILE).map_err(io)?;
    Record::read(&text).map_err(|bad| {
        let told = Error::failure("state", format!("state: {}: {bad}", path.display()));
        match bad {
            BadRecord::Newer(_) => told.hint("use the sshanchor that wrote it, or one at least as new"),
            BadRecord::Malformed(_) => told.hint(
                "it says how far a rotation is: compare it with a backup; without it, see which keys sshd offers and which \
                 stand in DNS before it is moved away",
            ),
        }
    })
}

/// Writes it; under the lock.
pub fn write(state: &State, record: &Record, _lock: &Lock) -> Result<(), Error> {
    let path = state.folder().join(FILE);
    let put = || files::put_state(&path, &[record.text().map_err(io::Error::other)?]);
    put().map_err(|error| StateError::Io { path: path.clone(), error }.into())
}

/// Waits for a short while until no other run works at it.
pub fn lock(state: &State) -> Result<Lock, Error> {
    let path: PathBuf = state.folder().join(LOCK);
    let io = |path: &Path, error| Error::from(StateError::Io { path: path.to_owned(), error });
    files::make_private_folder(state.folder()).map_err(|error| io(state.folder(), error))?;
    match files::lock(&path) {
        Ok(held) => Ok(Lock { _held: held }),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let error = Error::failure(LOCKED, "another run rotates this machine's keys");
            Err(error.hint("wait until it has ended; or see how far it is: sshanchor rotate --status"))
        }
        Err(error) => Err(io(&path, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::proto::hostkey::KeyType;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else_is_taken_for_empty() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("state"));
        assert_eq!(read(&state).unwrap(), Record::default());
        let held = lock(&state).unwrap();
        let record = Record { queue: vec![KeyType::Rsa], ..Record::default() };
        write(&state, &record, &held).unwrap();
        assert_eq!(read(&state).unwrap(), record);
        let file = state.folder().join(FILE);
        fs::write(&file, "{}").unwrap();
        assert_eq!(read(&state).unwrap_err().reason, "state");
        fs::write(&file, record.text().unwrap()).unwrap();
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(read(&state).is_err(), "others can write it");
    }
}
