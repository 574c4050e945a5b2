//! Files that are written as a whole or not at all.

pub mod pipe;

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

/// What to do about a write that failed for want of room, or of a disk that takes writes; none where that is not why.
pub fn remedy(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            Some("make room on that disk (df shows what is left), then do it again")
        }
        io::ErrorKind::QuotaExceeded => {
            Some("make room within this user's quota (quota shows it), then do it again")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("that file system takes no writes: mount it read-write, or name another folder")
        }
        _ => None,
    }
}

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

/// All of `source` as text. More than `limit` octets are an error: a part must not pass for the whole.
pub fn read_whole(source: impl Read, limit: u64) -> io::Result<String> {
    // Room for a key beforehand: less would be read in several pieces.
    let mut octets = Vec::with_capacity(1024);
    source.take(limit.saturating_add(1)).read_to_end(&mut octets)?;
    if octets.len() as u64 > limit {
        let why = format!("it is longer than {limit} octets");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(String::from_utf8(octets).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
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

/// Puts a file of these `parts` for this user alone at `path`, whole and for good, under a lock that keeps others from doing so; what runs
/// that were killed in the middle of it have left goes.
pub fn put_state(path: &Path, parts: &[impl AsRef<[u8]>]) -> io::Result<()> {
    let folder = folder(path);
    sweep(folder);
    let mut file = NamedTempFile::with_prefix_in(temporary(), folder)?;
    parts.iter().try_for_each(|part| file.write_all(part.as_ref()))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // The rename itself lasts only once the folder is written.
    File::open(folder)?.sync_all()
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
mod tests;
