//! Whose files may steer this program: those of this user and of root, that no others can write to, and no
//! links.

use std::fs::{File, Metadata, OpenOptions, symlink_metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Why a file or folder is not to be believed.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// It cannot be looked at or opened.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// It belongs to another user, who can write into it.
    #[error("{path} belongs to user {uid}, who is neither this user nor root")]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Others than its owner can write into it.
    #[error(
        "{path} can be written by others than its owner (mode {mode:04o}); chmod go-w {path} takes that away"
    )]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is a link, or something else that is not what it should be.
    #[error("{0} is a link or no plain file or folder")]
    Irregular(PathBuf),
}

/// `path` is a folder that only this user and root can write to.
pub fn check_folder(path: &Path) -> Result<(), OwnershipError> {
    let metadata = symlink_metadata(path).map_err(|e| OwnershipError::Io(path.to_owned(), e))?;
    match metadata.is_dir() {
        true => check(path, &metadata),
        false => Err(OwnershipError::Irregular(path.to_owned())),
    }
}

/// Opens the plain file at `path` for reading, if only this user and root can write to it. Links are not
/// followed, and what is opened is what is checked.
pub fn open(path: &Path) -> Result<File, OwnershipError> {
    let io = |e| OwnershipError::Io(path.to_owned(), e);
    // A FIFO must not hold up the opening.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path);
    let file = match opened {
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(OwnershipError::Irregular(path.to_owned()));
        }
        other => other.map_err(io)?,
    };
    let metadata = file.metadata().map_err(io)?;
    match metadata.is_file() {
        true => check(path, &metadata).map(|()| file),
        false => Err(OwnershipError::Irregular(path.to_owned())),
    }
}

fn check(path: &Path, metadata: &Metadata) -> Result<(), OwnershipError> {
    let (path, uid, mode) = (path.to_owned(), metadata.uid(), metadata.mode() & 0o7777);
    if !is_trusted(uid, geteuid().as_raw()) {
        return Err(OwnershipError::Foreign { path, uid });
    }
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(OwnershipError::Exposed { path, mode }),
    }
}

/// Files of `owner` may steer a process of `user`: root could steer it anyway.
fn is_trusted(owner: u32, user: u32) -> bool {
    owner == user || owner == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn only_this_user_and_root_are_believed() {
        assert!(is_trusted(1000, 1000) && is_trusted(0, 1000) && is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
    }

    #[test]
    fn files_that_others_can_write_and_links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "text").unwrap();
        symlink(&file, &link).unwrap();
        for (mode, good) in [(0o600, true), (0o644, true), (0o664, false), (0o646, false)] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            assert_eq!(open(&file).is_ok(), good, "{mode:o}");
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(open(&link), Err(OwnershipError::Irregular(_))));
        assert!(matches!(open(folder.path()), Err(OwnershipError::Irregular(_))));
        assert!(matches!(open(&folder.path().join("none")), Err(OwnershipError::Io(..))));
    }

    #[test]
    fn folders_are_held_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        assert!(matches!(check_folder(&link), Err(OwnershipError::Irregular(_))));
        for (mode, good) in [(0o700, true), (0o755, true), (0o775, false), (0o1777, false)] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(check_folder(folder.path()).is_ok(), good, "{mode:o}");
        }
    }
}
