//! known_hosts files on disk.

pub mod accepted;

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::files::pipe;

/// Largest file that is read, in octets: some hundred thousand keys.
pub const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The text of a file, or a pipe; none if there is no such file, or something else in its place, such as /dev/null.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() || metadata.file_type().is_fifo() => {
            pipe::read(path, MAX_FILE, pipe::PATIENCE).map(Some)
        }
        Ok(_) => Ok(None),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// The file that ssh means: clients of old print `~/` as it was written.
pub fn expand(text: &str) -> PathBuf {
    let home = || directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned());
    match text.strip_prefix("~/").zip(home()) {
        Some((rest, home)) => home.join(rest),
        None => text.into(),
    }
}

/// Where OpenSSH looks unless it is told otherwise (ssh_config(5), UserKnownHostsFile, GlobalKnownHostsFile).
pub fn default_files() -> Vec<PathBuf> {
    let files = [
        "~/.ssh/known_hosts",
        "~/.ssh/known_hosts2",
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/ssh_known_hosts2",
    ];
    files.map(expand).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_put_in() {
        assert_eq!(expand("/etc/ssh/ssh_known_hosts"), Path::new("/etc/ssh/ssh_known_hosts"));
        assert_eq!(expand("~other/x"), Path::new("~other/x"));
        let mine = expand("~/.ssh/known_hosts");
        assert!(mine.is_absolute() && mine.ends_with(".ssh/known_hosts"));
        assert_eq!(default_files().len(), 4);
    }

    #[test]
    fn files_are_read_and_what_is_none_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        fs::write(&file, "web1 ssh-ed25519 AAAA\n").unwrap();
        assert_eq!(read(&file).unwrap().unwrap(), "web1 ssh-ed25519 AAAA\n");
        assert!(read(&folder.path().join("missing")).unwrap().is_none());
        assert!(read(&file.join("below a file")).unwrap().is_none());
        assert!(read(folder.path()).unwrap().is_none());
        assert!(read(Path::new("/dev/null")).unwrap().is_none());
    }
}
