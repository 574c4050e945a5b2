//! The private known_hosts file for an ssh without KnownHostsCommand: what the proxy lets through stands in it before
//! ssh sees it, and nothing else does.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::ownership::{Folder, OpenError};
use crate::proto::hostkey::HostKey;
use crate::proto::ssh_config::accepted;

/// Largest file that is read, in octets: more than [`accepted::MAX_LINES`] lines with the longest keys.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// How long others may hold the lock; each holds it for as long as a small file takes.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Why a key could not be written.
#[derive(Debug, thiserror::Error)]
pub enum AcceptedError {
    /// The system said no, or somebody else could write what ssh is to believe.
    #[error("{0}: {1}")]
    Open(PathBuf, OpenError),
    /// Not a file that this program has written.
    #[error("{0} is larger than {MAX_FILE} octets")]
    TooLarge(PathBuf),
    /// A line in it is none of this program's, and its user might miss it.
    #[error("{0} holds more than keys that sshanchor has written")]
    Foreign(PathBuf),
    /// Another process has not let it go.
    #[error("{0} is locked by another process")]
    Locked(PathBuf),
    /// It has to have a folder of its own.
    #[error("{0} has no folder")]
    NoFolder(PathBuf),
}

/// Puts `key` in the file as one of `name`, and takes out those of `name` that no longer `holds`; without a key it only
/// takes out. Folder and file are made where they are missing, for this user alone; those that others can write are
/// refused, and so is a file with lines of somebody else's. Blocks for two seconds at most.
pub fn update(
    path: &Path,
    name: &str,
    key: Option<&HostKey>,
    holds: impl Fn(&HostKey) -> bool,
) -> Result<(), AcceptedError> {
    let io = |error: io::Error| AcceptedError::Open(path.to_owned(), error.into());
    let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else {
        return Err(AcceptedError::NoFolder(path.to_owned()));
    };
    if key.is_none() && !path.exists() {
        return Ok(());
    }
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    }
    let open = Folder::open(folder).map_err(|e| AcceptedError::Open(path.to_owned(), e))?;
    let _lock = lock(&path.with_extension("lock"))?;
    let mut text = String::new();
    match open.file(Path::new(file)) {
        Ok(file) => {
            let length = file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(io)?;
            if length as u64 > MAX_FILE {
                return Err(AcceptedError::TooLarge(path.to_owned()));
            }
        }
        Err(e) if e.is_absent() => {}
        Err(e) => return Err(AcceptedError::Open(path.to_owned(), e)),
    }
    if !accepted::is_own(&text) {
        return Err(AcceptedError::Foreign(path.to_owned()));
    }
    let after = accepted::with(&text, name, key, holds);
    if after == text {
        return Ok(());
    }
    // Of mode 0600; ssh finds the old file or the new one.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(after.as_bytes()).map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

fn lock(path: &Path) -> Result<File, AcceptedError> {
    let io = |error: io::Error| AcceptedError::Open(path.to_owned(), error.into());
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path).map_err(io)?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(Duration::from_millis(5)),
            Err(TryLockError::WouldBlock) => return Err(AcceptedError::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_file_is_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh/sshanchor/known_hosts");
        let key = HostKey::from_line(ED25519).unwrap();
        update(&path, "web1.example", None, |_| false).unwrap();
        assert!(!path.exists(), "a refusal makes no file");
        update(&path, "web1.example", Some(&key), |_| false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("web1.example {ED25519}\n"));
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let threads: Vec<_> = (0..16)
            .map(|at| {
                let (path, key) = (path.clone(), key.clone());
                std::thread::spawn(move || update(&path, &format!("host{at}"), Some(&key), |_| false))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 17, "nobody's line is lost");
        update(&path, "web1.example", None, |_| false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 16);
    }

    #[test]
    fn somebody_elses_file_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let key = HostKey::from_line(ED25519).unwrap();
        for foreign in [format!("@revoked * {ED25519}\n"), format!("# mine\n*.example {ED25519}\n")] {
            fs::write(&path, &foreign).unwrap();
            for key in [Some(&key), None] {
                let outcome = update(&path, "web1.example", key, |_| false);
                assert!(matches!(outcome, Err(AcceptedError::Foreign(_))), "{outcome:?}");
                assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
            }
        }
        fs::write(&path, format!("web2.example {ED25519}\n")).unwrap();
        update(&path, "web1.example", Some(&key), |_| false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn what_others_can_write_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (private, path) = (folder.path().join("private"), folder.path().join("private/known_hosts"));
        let key = HostKey::from_line(ED25519).unwrap();
        let put = || update(&path, "web1.example", Some(&key), |_| false);
        put().unwrap();
        for (place, bad, good) in [(&private, 0o770, 0o700), (&path, 0o620, 0o600)] {
            fs::set_permissions(place, fs::Permissions::from_mode(bad)).unwrap();
            assert!(matches!(put(), Err(AcceptedError::Open(_, OpenError::Untrusted(_)))), "{place:?}");
            fs::set_permissions(place, fs::Permissions::from_mode(good)).unwrap();
            put().unwrap();
        }
        fs::rename(&path, private.join("elsewhere")).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(put().is_err(), "a link");
    }
}
