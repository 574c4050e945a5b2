//! Which subjects have lines in the files of a cache, and where the last one stands, so that of many questions those that
//! nobody has asked before cost a look at the file's size, and the others one line. It counts for a file as long as nobody
//! else has written to that; and nothing is believed for it: a line is judged as any other.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Line;

/// Where lines are in the files that this process has read.
#[derive(Debug, Default)]
pub(super) struct Index(Mutex<HashMap<PathBuf, Known>>);

#[derive(Debug)]
struct Known {
    state: State,
    /// The last line about each subject, by its tag: its place and its length, in octets.
    lines: HashMap<u128, (u32, u32)>,
}

/// What tells that a file is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
}

impl State {
    fn of(metadata: &Metadata) -> Self {
        State {
            file: (metadata.dev(), metadata.ino()),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// What is known of the lines about a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// There is none.
    None,
    /// It stands here and has this length, in octets.
    At(u64, usize),
    /// The file has to be read.
    Unknown,
}

impl Index {
    /// Where the last line with this tag is in the file at `path`, which is as `metadata` says.
    pub(super) fn last(&self, path: &Path, metadata: &Metadata, tag: &str) -> Last {
        let known = self.lock();
        let Some(known) = known.get(path).filter(|known| known.state == State::of(metadata)) else {
            return Last::Unknown;
        };
        match key(tag).map(|key| known.lines.get(&key)) {
            Some(Some((place, length))) => Last::At(u64::from(*place), *length as usize),
            Some(None) => Last::None,
            None => Last::Unknown,
        }
    }

    /// Notes what is in a file, which was as `metadata` says before it was read.
    pub(super) fn note(&self, path: &Path, metadata: &Metadata, octets: &[u8]) {
        if metadata.len() != octets.len() as u64 {
            self.lock().remove(path);
            return;
        }
        let (mut lines, mut place) = (HashMap::new(), 0_usize);
        for line in octets.split(|octet| *octet == b'\n') {
            let tag = std::str::from_utf8(line).ok().and_then(Line::read).and_then(|line| key(line.tag));
            if let (Some(tag), Ok(at), Ok(length)) = (tag, u32::try_from(place), u32::try_from(line.len())) {
                lines.insert(tag, (at, length));
            }
            place += line.len() + 1;
        }
        self.lock().insert(path.to_owned(), Known { state: State::of(metadata), lines });
    }

    /// Notes a line with this tag that was added: `written` octets, of which the first and the last are line ends.
    pub(super) fn added(&self, path: &Path, tag: &str, written: usize, before: &Metadata, after: &Metadata) {
        let (before, after) = (State::of(before), State::of(after));
        let mut index = self.lock();
        if before.length == 0 {
            index.insert(path.to_owned(), Known { state: before, lines: HashMap::new() });
        }
        let is_all = after.file == before.file && after.length == before.length + written as u64;
        let known = index.get_mut(path).filter(|known| known.state == before && is_all);
        let place = (u32::try_from(before.length + 1), u32::try_from(written.saturating_sub(2)));
        match (known, key(tag), place) {
            (Some(known), Some(tag), (Ok(at), Ok(length))) => {
                known.lines.insert(tag, (at, length));
                known.state = after;
            }
            _ => drop(index.remove(path)),
        }
    }

    /// The file at `path` has been replaced.
    pub(super) fn forget(&self, path: &Path) {
        self.lock().remove(path);
    }

    /// What is known is whole or not there.
    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The octets that [`Last::At`] speaks of.
pub(super) fn read_at(file: &File, place: u64, length: usize) -> Option<String> {
    let mut line = vec![0; length];
    file.read_exact_at(&mut line, place).ok()?;
    String::from_utf8(line).ok()
}

/// A tag as a number: it has thirty hexadecimal digits.
fn key(tag: &str) -> Option<u128> {
    u128::from_str_radix(tag, 16).ok()
}
