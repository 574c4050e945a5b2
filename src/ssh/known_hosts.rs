//! known_hosts files on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::hostkeys::read_whole;

/// Largest file that is read, in octets: some hundred thousand hosts.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// The file's text; none if there is no such file, or something else in its place, such as /dev/null.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => read_whole(File::open(path)?, MAX_FILE).map(Some),
        Ok(_) => Ok(None),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Where OpenSSH looks unless it is told otherwise (ssh_config(5), UserKnownHostsFile, GlobalKnownHostsFile).
pub fn default_files() -> Vec<PathBuf> {
    let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(".ssh"));
    let own = home.into_iter().flat_map(|ssh| ["known_hosts", "known_hosts2"].map(|name| ssh.join(name)));
    let shared = ["ssh_known_hosts", "ssh_known_hosts2"].map(|name| Path::new("/etc/ssh").join(name));
    own.chain(shared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
