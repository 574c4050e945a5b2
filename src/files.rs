//! Files that are written as a whole or not at all.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use tempfile::NamedTempFile;

/// What the names of temporary files begin with; the process follows.
const TEMPORARY: &str = ".sshanchor-";
/// How long another process may hold a lock; it needs it for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// Makes a folder, and those above it, for this user alone; one that is there stays as it is.
pub fn make_private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Locks `path`, an empty file that is made where there is none, until what is returned is dropped. An error of the
/// kind `WouldBlock` if another process does not let go of it.
pub fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Writes `octets` to `path`, for all to read. A link stays, and the file that it leads to is replaced; a pipe or a
/// device is written to, for in its place a file would be no use, and as root a disaster.
pub fn write(path: &Path, octets: &[u8]) -> io::Result<()> {
    let outcome = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::canonicalize(path).and_then(|path| put(&path, octets)),
        Ok(_) => OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(octets)),
        Err(_) => put(path, octets),
    };
    outcome.map_err(plain)
}

/// Writes `octets` to `path`, for all to read, in a folder that others may write: neither is a link there followed, nor a
/// pipe or a device opened; they are errors.
pub fn write_own(path: &Path, octets: &[u8]) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is there, and no plain file"))
        }
        // What comes there meanwhile is replaced, not written through.
        _ => put(path, octets).map_err(plain),
    }
}

/// Puts a new file at `path`, or in the place of the one that is there.
fn put(path: &Path, octets: &[u8]) -> io::Result<()> {
    // The system's own words for a folder that is not there.
    fs::metadata(folder(path))?;
    staged(folder(path), octets, 0o644, None)?.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// A file in `folder` that holds `octets` and needs no more than its name: of `mode`, or with owner and mode of the one
/// that it is to stand for.
pub fn staged(
    folder: &Path,
    octets: &[u8],
    mode: u32,
    stands_for: Option<&Metadata>,
) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::with_prefix_in(temporary(), folder)?;
    file.write_all(octets)?;
    match stands_for {
        Some(old) => dress(file.as_file(), old)?,
        None => file.as_file().set_permissions(Permissions::from_mode(mode))?,
    }
    file.as_file().sync_all()?;
    Ok(file)
}

/// What the name of a temporary file or folder of this process begins with.
pub fn temporary() -> String {
    format!("{TEMPORARY}{}-", std::process::id())
}

/// Does away with temporary files in `folder` whose process is no more: it was killed before they had their names. Such
/// a file may hold a private key.
pub fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let whose = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY)?.split_once('-'));
        let Some(pid) = whose.and_then(|(pid, _)| Pid::from_raw(pid.parse().ok()?)) else { continue };
        if test_kill_process(pid) != Err(Errno::SRCH) {
            continue;
        }
        // What cannot be removed stays; the next one tries again.
        let _ = match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => fs::remove_dir_all(entry.path()),
            false => fs::remove_file(entry.path()),
        };
    }
}

/// Gives `file` the owner and the mode of another one.
fn dress(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid())
        && let Err(e) = fchown(file, Some(old.uid()), Some(old.gid()))
        // The group alone is no reason to leave it.
        && new.uid() != old.uid()
    {
        return Err(e);
    }
    // After the owner, whose change takes bits away.
    // What the old group may do is nothing to another one.
    let group = if file.metadata()?.gid() == old.gid() { 0 } else { 0o070 };
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777 & !group))
}

/// The folder that `path` is in.
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The error of a temporary file names that file, which nobody asked for.
fn plain(error: io::Error) -> io::Error {
    match error.get_ref() {
        Some(_) => error.kind().into(),
        None => error,
    }
}

/// A file that is to be changed, as it was read.
#[derive(Debug)]
pub struct Original {
    /// Where it is, links followed.
    path: PathBuf,
    file: File,
    metadata: Metadata,
    octets: Vec<u8>,
}

/// Why a file was not changed; it is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Somebody else changed it after it was read.
    #[error("it was changed while it was looked at")]
    Changed,
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Original {
    /// Reads the file at `path`; none if there is none, or something else in its place, such as /dev/null. More than
    /// `limit` octets are an error.
    pub fn read(path: &Path, limit: u64) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => {}
            Ok(_) => return Ok(None),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
        }
        let path = fs::canonicalize(path)?;
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        let mut octets = Vec::new();
        (&file).take(limit.saturating_add(1)).read_to_end(&mut octets)?;
        match octets.len() as u64 > limit {
            true => {
                Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {limit} octets")))
            }
            false => Ok(Some(Original { path, file, metadata, octets })),
        }
    }

    /// What was read.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Both are one file, whatever it was called.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.metadata.dev(), self.metadata.ino()) == (other.metadata.dev(), other.metadata.ino())
    }

    /// Puts `octets` in the place of what was read, with the owner and the mode that the file has. What was read
    /// stays beside it, with the same owner and mode, under its name and `suffix`; there, nothing is ever overwritten.
    /// Gives the path of that copy.
    pub fn replace(&self, octets: &[u8], suffix: &str) -> Result<PathBuf, ReplaceError> {
        self.is_unchanged()?;
        let copy = self.keep_beside(suffix).map_err(plain)?;
        match self.put(octets) {
            Ok(()) => Ok(copy),
            Err(e) => {
                // Nothing was changed: a copy of it is of no use.
                let _ = fs::remove_file(&copy);
                Err(e)
            }
        }
    }

    fn put(&self, octets: &[u8]) -> Result<(), ReplaceError> {
        let new = staged(folder(&self.path), octets, 0o600, Some(&self.metadata)).map_err(plain)?;
        self.is_unchanged()?;
        let mut new = new.persist(&self.path).map_err(|e| plain(e.error))?;
        // ssh opens the file and appends: what came between the last look and now is in the old file alone.
        let late = self.appended()?;
        if !late.is_empty() {
            new.seek(SeekFrom::End(0))?;
            new.write_all(&late)?;
        }
        Ok(())
    }

    /// The file is still the one that was read, with the same content.
    fn is_unchanged(&self) -> Result<(), ReplaceError> {
        let now = File::open(&self.path)?;
        let (was, is) = (&self.metadata, now.metadata()?);
        let mut octets = Vec::new();
        now.take(self.octets.len() as u64 + 1).read_to_end(&mut octets)?;
        match (was.dev(), was.ino()) == (is.dev(), is.ino()) && octets == self.octets {
            true => Ok(()),
            false => Err(ReplaceError::Changed),
        }
    }

    fn appended(&self) -> io::Result<Vec<u8>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.octets.len() as u64))?;
        let mut late = Vec::new();
        file.read_to_end(&mut late)?;
        Ok(late)
    }

    fn keep_beside(&self, suffix: &str) -> io::Result<PathBuf> {
        const MAX_COPIES: u32 = 100;
        for attempt in 1..=MAX_COPIES {
            let mut name = self.path.clone().into_os_string();
            name.push(suffix);
            if attempt > 1 {
                name.push(format!("-{attempt}"));
            }
            // New: neither a file nor a link of that name is written through.
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&name) {
                Ok(mut copy) => {
                    let written = copy
                        .write_all(&self.octets)
                        .and_then(|()| dress(&copy, &self.metadata))
                        .and_then(|()| copy.sync_all());
                    if written.is_err() {
                        let _ = fs::remove_file(&name);
                    }
                    return written.map(|()| name.into());
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    const LIMIT: u64 = 1024;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn files_are_replaced_and_what_is_no_file_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("known_hosts"), folder.path().join("link"));
        write(&file, b"old").unwrap();
        symlink(&file, &link).unwrap();
        write(&link, b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(text(&file), "new");
        assert!(write(folder.path(), b"").is_err(), "a folder");
        assert!(write(&folder.path().join("no/file"), b"").is_err());

        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        write(&pipe, b"for a reader").unwrap();
        assert_eq!(reader.join().unwrap(), "for a reader");
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }

    #[test]
    fn where_others_may_write_no_link_is_followed_and_no_pipe_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, pipe) =
            (folder.path().join("file"), folder.path().join("link"), folder.path().join("pipe"));
        write_own(&file, b"old").unwrap();
        symlink(&file, &link).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for bad in [&link, &pipe] {
            assert!(write_own(bad, b"new").is_err());
        }
        assert_eq!(text(&file), "old");
        write_own(&file, b"new").unwrap();
        assert_eq!((text(&file).as_str(), file.metadata().unwrap().mode() & 0o777), ("new", 0o644));
    }

    #[test]
    fn a_changed_file_keeps_its_mode_and_its_link_and_leaves_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("known_hosts"), folder.path().join("link"));
        fs::write(&file, "one\r\ntwo").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        let original = Original::read(&link, LIMIT).unwrap().unwrap();
        let copy = original.replace(b"two", ".old").unwrap();
        assert_eq!((text(&file).as_str(), text(&copy).as_str()), ("two", "one\r\ntwo"));
        assert!(link.symlink_metadata().unwrap().is_symlink());
        for path in [&file, &copy] {
            assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640, "{path:?}");
        }
        // The next copy is another file, and a link in its place is not followed.
        symlink(folder.path().join("elsewhere"), folder.path().join("known_hosts.old-2")).unwrap();
        let next = Original::read(&file, LIMIT).unwrap().unwrap().replace(b"", ".old").unwrap();
        assert!(next.ends_with("known_hosts.old-3"));
        assert_eq!((text(&copy).as_str(), text(&next).as_str()), ("one\r\ntwo", "two"));
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn what_a_killed_process_left_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let dead = format!(".sshanchor-{}-", gone.id());
        fs::create_dir(folder.path().join(dead.clone() + "d")).unwrap();
        let kept =
            [".sshanchor-x".to_owned(), ".sshanchor-0-x".to_owned(), "key".to_owned(), temporary() + "x"];
        for name in kept.iter().cloned().chain([dead.clone() + "x", dead + "d/key"]) {
            fs::write(folder.path().join(name), "").unwrap();
        }
        sweep(folder.path());
        let left = fs::read_dir(folder.path()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let mut kept = kept.to_vec();
        left.sort();
        kept.sort();
        assert_eq!(left, kept);
        sweep(&folder.path().join("none"));
    }

    #[test]
    fn what_somebody_else_changed_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let read = || {
            fs::write(&file, "one\n").unwrap();
            Original::read(&file, LIMIT).unwrap().unwrap()
        };
        let changes: [&dyn Fn(); 3] = [
            &|| OpenOptions::new().append(true).open(&file).unwrap().write_all(b"two\n").unwrap(),
            &|| write(&file, b"one\n").unwrap(),
            &|| fs::write(&file, "ONE\n").unwrap(),
        ];
        for change in changes {
            let original = read();
            change();
            let there = text(&file);
            assert!(matches!(original.replace(b"", ".old"), Err(ReplaceError::Changed)));
            assert_eq!(text(&file), there);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no copy, no temporary file");
        assert!(read().replace(b"", ".old").is_ok());
    }

    #[test]
    fn what_is_appended_at_the_last_moment_is_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        fs::write(&file, "one\n").unwrap();
        let mut ssh = OpenOptions::new().append(true).open(&file).unwrap();
        let original = Original::read(&file, LIMIT).unwrap().unwrap();
        ssh.write_all(b"late\n").unwrap();
        assert_eq!(original.appended().unwrap(), b"late\n");
    }

    #[test]
    fn what_is_no_file_is_none_and_what_is_too_long_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        for none in [file.as_path(), folder.path(), Path::new("/dev/null"), &file.join("below")] {
            assert!(Original::read(none, LIMIT).unwrap().is_none(), "{none:?}");
        }
        fs::write(&file, "long").unwrap();
        assert!(Original::read(&file, 3).is_err());
        assert_eq!(Original::read(&file, 4).unwrap().unwrap().octets(), b"long");
    }
}
