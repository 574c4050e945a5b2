//! The journal's file: read line by line, appended to under the CA's lock.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{CaError, lock, sync};
use crate::ownership::{self, Folder};
use crate::proto::issuance::journal::{Entry, Line, MAX_LINE, read};

const FILE: &str = "journal.jsonl";

/// What a CA has done, in the order in which it was done.
#[derive(Debug, Clone)]
pub struct Journal {
    folder: PathBuf,
}

impl Journal {
    /// That of the CA in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        Journal { folder: folder.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// All of it.
    pub fn read(&self) -> Result<Vec<Entry>, CaError> {
        self.entries()?.collect()
    }

    /// One entry after the other; what a crash cut short is passed over.
    pub fn entries(&self) -> Result<Entries, CaError> {
        let path = self.path();
        let opened = Folder::open(&self.folder).and_then(|folder| folder.file(Path::new(FILE)));
        let file = match opened {
            Ok(file) => Some(BufReader::new(file)),
            Err(e) if e.is_absent() => None,
            Err(e) => return Err(CaError::open(&path)(e)),
        };
        Ok(Entries { path, file, line: 0 })
    }

    /// Adds an event, which is on the disk when this returns. What is to be done about it is done afterwards.
    pub fn append(&self, entry: &Entry) -> Result<(), CaError> {
        let _lock = lock(&self.folder)?;
        self.append_locked(entry)
    }

    /// The same for who has the lock.
    pub(super) fn append_locked(&self, entry: &Entry) -> Result<(), CaError> {
        let path = self.path();
        let line = entry.line();
        if line.len() > MAX_LINE {
            return Err(CaError::io(&path)(io::ErrorKind::FileTooLarge.into()));
        }
        let is_new = path.symlink_metadata().is_err();
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600).custom_flags(flags.cast_signed());
        let mut file = options.open(&path).map_err(CaError::io(&path))?;
        let metadata = file.metadata().map_err(CaError::io(&path))?;
        ownership::check(&path, &metadata)?;
        // A crash may have cut a line short: it stays as it is, and this one begins anew.
        let begin = match is_whole(&mut file).map_err(CaError::io(&path))? {
            true => "",
            false => "\n",
        };
        let octets = [begin.as_bytes(), line.as_bytes()].concat();
        file.write_all(&octets).and_then(|()| file.sync_all()).map_err(CaError::io(&path))?;
        match is_new {
            true => sync(&self.folder),
            false => Ok(()),
        }
    }
}

/// It ends with the end of a line.
fn is_whole(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The entries of a journal, each read when it is its turn.
#[derive(Debug)]
pub struct Entries {
    path: PathBuf,
    /// None where there is no journal yet, and after an error.
    file: Option<BufReader<File>>,
    line: u64,
}

impl Entries {
    fn advance(&mut self) -> Result<Option<Entry>, CaError> {
        while let Some(file) = &mut self.file {
            let mut line = Vec::new();
            let limit = MAX_LINE as u64 + 1;
            file.by_ref().take(limit).read_until(b'\n', &mut line).map_err(CaError::io(&self.path))?;
            self.line += 1;
            let bad = |why: String| CaError::Journal { path: self.path.clone(), line: self.line, why };
            if line.is_empty() {
                return Ok(None);
            }
            match line.strip_suffix(b"\n") {
                None if line.len() > MAX_LINE => return Err(bad("it is too long".to_owned())),
                whole => match read(whole.unwrap_or(&line)).map_err(|e| bad(e.to_string()))? {
                    Line::Entry(entry) => return Ok(Some(entry)),
                    Line::Torn => {}
                },
            }
        }
        Ok(None)
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, CaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = self.advance().transpose();
        if !matches!(outcome, Some(Ok(_))) {
            self.file = None;
        }
        outcome
    }
}
