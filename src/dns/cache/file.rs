//! One of the files of a cache: lines that are added at its end, until it is replaced by its newest half.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::ownership;

/// Octets in one file, of which there are 256: 64 MiB in all.
pub(super) const MAX_FILE: u64 = 256 * 1024;
/// Octets that a file may have until somebody has shrunk it.
pub(super) const LONGEST: u64 = 2 * MAX_FILE;
/// Hexadecimal digits that tell the subjects in one file apart.
pub(super) const TAG: usize = 30;

pub(super) struct Line<'a> {
    pub(super) seal: &'a str,
    pub(super) tag: &'a str,
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let (seal, rest) = line.split_once(' ')?;
        let (tag, text) = rest.split_once(' ')?;
        (tag.len() == TAG).then_some(Line { seal, tag, text })
    }
}

/// The file at `path`, if it is this user's or root's alone, and what it was before it was read. One that is far beyond
/// its bound is none: its newest lines, which count, would be those that are not read.
pub(super) fn read_lines(path: &Path) -> Option<(Vec<u8>, Metadata)> {
    let file = ownership::open(path).ok()?;
    let (metadata, mut octets) = (file.metadata().ok()?, Vec::new());
    file.take(LONGEST + 1).read_to_end(&mut octets).ok()?;
    (octets.len() as u64 <= LONGEST).then_some((octets, metadata))
}

/// Adds to the file, which is made if it is not there; tells what it was before and what it is now. One that nobody could
/// shrink begins anew.
pub(super) fn append(path: &Path, line: &[u8]) -> io::Result<(Metadata, Metadata)> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(flags.bits() as i32);
    let mut file = options.open(path)?;
    let mut before = file.metadata()?;
    if before.len() > LONGEST {
        file.set_len(0)?;
        before = file.metadata()?;
    }
    file.write_all(line)?;
    Ok((before, file.metadata()?))
}

/// Replaces the file by the last line about each subject, newest first, as far as they fill half of its bound.
pub(super) fn shrink(folder: &Path, path: &Path) -> io::Result<()> {
    let lines = read_lines(path).map(|(lines, _)| lines).unwrap_or_default();
    let lines = String::from_utf8_lossy(&lines);
    let (mut seen, mut kept, mut octets) = (HashSet::new(), Vec::new(), 0);
    for line in lines.rsplit('\n') {
        let Some(tag) = Line::read(line).map(|line| line.tag) else { continue };
        if seen.insert(tag) {
            octets += line.len() as u64 + 1;
            if octets > MAX_FILE / 2 {
                break;
            }
            kept.push(line);
        }
    }
    kept.reverse();
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(kept.join("\n").as_bytes())?;
    file.write_all(b"\n")?;
    file.persist(path)?;
    Ok(())
}
