//! ssh's configuration files: read as they are, and replaced whole, never half.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::files;
use crate::proto::ssh_config::change::{Change, Kind};

/// Largest file that is read, in octets.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Why a file stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The system said no.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// A folder, a pipe or a device.
    #[error("{0} is no plain file")]
    Kind(PathBuf),
    /// No configuration is that large.
    #[error("{0} is larger than {MAX_FILE} octets")]
    TooLarge(PathBuf),
    /// Somebody else has written it since it was read.
    #[error("{0} was changed by somebody else meanwhile")]
    Changed(PathBuf),
    /// A link that leads to nothing.
    #[error("{0} is a link to a file that is not there")]
    Dangling(PathBuf),
    /// The new file would not belong to whom the old one does.
    #[error("{path} belongs to user {uid}, and this user cannot write files of theirs")]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
}

/// The file's octets; none if there is no such file. Links are followed.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, ConfigFileError> {
    let io = |error| ConfigFileError::Io(path.to_owned(), error);
    let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(ConfigFileError::Kind(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound && is_link => {
            return Err(ConfigFileError::Dangling(path.to_owned()));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    }
    let mut octets = Vec::new();
    let length = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut octets));
    match length.map_err(io)? as u64 > MAX_FILE {
        true => Err(ConfigFileError::TooLarge(path.to_owned())),
        false => Ok(Some(octets)),
    }
}

/// Makes the file what it is to be, at once: whoever reads it finds the old or the new one. A link stays, and what it
/// leads to is replaced; owner and mode stay. A new file has `mode`, and a folder made for it lets in whom the file
/// does.
pub fn apply(change: &Change, mode: u32) -> Result<(), ConfigFileError> {
    let path = &change.path;
    let io = |error| ConfigFileError::Io(path.clone(), error);
    if change.kind() == Kind::None {
        return Ok(());
    }
    if read(path)? != change.before {
        return Err(ConfigFileError::Changed(path.clone()));
    }
    let Some(after) = &change.after else { return fs::remove_file(path).map_err(io) };
    let old = fs::metadata(path).ok();
    let real = if old.is_some() { fs::canonicalize(path).map_err(io)? } else { path.clone() };
    let folder = files::folder(&real);
    if old.is_none() && !folder.exists() {
        // Who may read the file has to get to it.
        let folder_mode = if mode & 0o004 != 0 { 0o755 } else { 0o700 };
        DirBuilder::new().mode(folder_mode).create(folder).map_err(io)?;
    }
    let file = files::staged(folder, after, mode, old.as_ref()).map_err(|e| match &old {
        Some(old) if e.kind() == io::ErrorKind::PermissionDenied && old.uid() != geteuid().as_raw() => {
            ConfigFileError::Owner { path: path.clone(), uid: old.uid() }
        }
        _ => io(e),
    })?;
    file.persist(&real).map_err(|e| io(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn change(path: &Path, before: Option<&str>, after: Option<&str>) -> Change {
        let octets = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        Change { path: path.to_owned(), before: octets(before), after: octets(after) }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn files_are_made_replaced_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh/config");
        assert_eq!(read(&path).unwrap(), None);
        apply(&change(&path, None, Some("a\n")), 0o600).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        apply(&change(&path, Some("a\n"), Some("b\n")), 0o600).unwrap();
        assert_eq!((read(&path).unwrap().unwrap(), mode(&path)), (b"b\n".to_vec(), 0o640));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        apply(&change(&path, Some("b\n"), None), 0o600).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_for_a_file_that_all_read_lets_them_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ssh_config.d/00-sshanchor.conf");
        apply(&change(&path, None, Some("a\n")), 0o644).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o644, 0o755));
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (dotfiles, link) = (folder.path().join("dotfiles"), folder.path().join("config"));
        fs::create_dir(&dotfiles).unwrap();
        fs::write(dotfiles.join("ssh_config"), "a\n").unwrap();
        symlink("dotfiles/ssh_config", &link).unwrap();
        apply(&change(&link, Some("a\n"), Some("b\n")), 0o600).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(dotfiles.join("ssh_config")).unwrap(), "b\n");

        let dangling = folder.path().join("dangling");
        symlink("nowhere", &dangling).unwrap();
        assert!(matches!(read(&dangling), Err(ConfigFileError::Dangling(_))));
        assert!(matches!(read(folder.path()), Err(ConfigFileError::Kind(_))));
    }

    #[test]
    fn what_somebody_else_writes_meanwhile_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let planned = change(&path, Some("a\n"), Some("b\n"));
        fs::write(&path, "theirs\n").unwrap();
        assert!(matches!(apply(&planned, 0o600), Err(ConfigFileError::Changed(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs\n");
    }
}
