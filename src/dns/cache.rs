//! Proofs of earlier runs, on disk for all processes of a user, or in the memory of one. On disk: 256 files, a line an
//! RRset, in the form of [`crate::proto::bundle`].
//!
//! Nothing in it is believed. A proof out of it is made anew from the trust anchor, and it serves accepts
//! alone: what does not come to an accept is asked of DNS. Each line is sealed (HMAC-SHA-256) under a secret of
//! the folder, so that one that was changed, moved or given a new time is no line at all; and none of it is
//! looked at if others than this user and root could have written it.
//!
//! Lines are added at the end, each by one write, and the last whole one about a subject counts: processes need no
//! locks, and what a crash leaves half-written is passed over. A file that grows beyond its bound is replaced by
//! its newest half; what others add in that moment is lost, and asked for again.

mod file;
mod index;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::HEXLOWER;
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};

use self::file::{Line, MAX_FILE, TAG, append, read_lines, shrink};
use self::index::{Index, Last, read_at};
use self::memory::Memory;
use crate::ownership::{self, Folder, OpenError, Untrusted};
use crate::proto::bundle::{entry_from_text, entry_text};
use crate::proto::chain::Entry;
use crate::proto::message::Question;
use crate::proto::name::Name;

mod memory;

/// The folder of this form of the cache.
const VERSION: &str = "v1";
/// The files of the secret and of the clock.
const KEY: &str = "key";
const CLOCK: &str = "clock";
/// Hexadecimal digits in the name of a file of proofs.
const SHARD: usize = 2;
/// Longest line that is kept, in octets.
const MAX_LINE: usize = 16 * 1024;
/// Addresses are kept that long for the day when DNS does not answer, in seconds.
const ADDRESSES_KEPT: u64 = 30 * 86_400;

/// Why there is no cache in this run.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// Others could have written into it.
    #[error("the cache is not used: {0}")]
    Untrusted(#[from] Untrusted),
    /// It cannot be made or read.
    #[error("the cache is not used: {0}: {1}")]
    Io(PathBuf, io::Error),
}

impl CacheError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            // To take a folder from its owner is no remedy.
            Self::Untrusted(Untrusted::Foreign { .. }) | Self::Io(..) => {
                "name another folder: --cache FOLDER, or none: --cache off".to_owned()
            }
            Self::Untrusted(untrusted) => untrusted.hint(),
        }
    }

    fn opening(path: &Path) -> impl Fn(OpenError) -> Self {
        |error| match error {
            OpenError::Untrusted(untrusted) => Self::Untrusted(untrusted),
            OpenError::Io(e) => Self::Io(path.to_owned(), e),
        }
    }
}

/// The cache of this user, or that of this process.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    storage: Storage,
    /// The newest inception that was ever verified, in seconds since 1970.
    clock: AtomicU64,
}

/// Where it is kept.
enum Storage {
    Folder { folder: PathBuf, key: hmac::Key, index: Index },
    Memory(Memory),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folder = match &self.storage {
            Storage::Folder { folder, .. } => Some(folder),
            Storage::Memory(_) => None,
        };
        f.debug_struct("Cache").field("folder", &folder).finish_non_exhaustive()
    }
}

/// What a line is about: a part of its seal.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Proof(&'a Question),
    /// Addresses of a host, as these resolvers have them.
    Addresses(&'a Name, &'a str),
    Clock,
}

impl Subject<'_> {
    fn octets(self) -> Vec<u8> {
        match self {
            Self::Proof(question) => {
                [b"proof\0", question.name.wire(), &question.rtype.0.to_be_bytes()].concat()
            }
            Self::Addresses(host, scope) => [b"addresses\0", host.wire(), scope.as_bytes()].concat(),
            Self::Clock => b"clock\0".to_vec(),
        }
    }
}

/// Where a host was to be found. Nobody vouches for it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Addresses {
    addresses: Vec<IpAddr>,
    fetched: u64,
    ttl: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    inception: u64,
}

impl Cache {
    /// Opens the cache in `folder`, which is made if it is not there.
    pub fn open(folder: &Path) -> Result<Self, CacheError> {
        let io = |path: &Path, error| CacheError::Io(path.to_owned(), error);
        let inside = folder.join(VERSION);
        may_make(folder)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&inside).map_err(|e| io(&inside, e))?;
        for path in [folder, &inside] {
            Folder::open(path).map_err(CacheError::opening(path))?;
        }
        let secret = secret(&inside)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let storage = Storage::Folder { folder: inside, key, index: Index::default() };
        let inner = Inner { storage, clock: AtomicU64::new(0) };
        let cache = Cache(Arc::new(inner));
        if let Some(clock) = cache.read::<Clock>(Subject::Clock) {
            cache.0.clock.store(clock.inception, Ordering::Relaxed);
        }
        Ok(cache)
    }

    /// One in the memory of this process, for one that lives long: within bounds, and gone with it.
    pub fn in_memory() -> Self {
        Cache(Arc::new(Inner { storage: Storage::Memory(Memory::default()), clock: AtomicU64::new(0) }))
    }

    /// What is stored for `question`. It is proven by nobody yet.
    pub fn get(&self, question: &Question) -> Option<Entry> {
        let entry = entry_from_text(&self.read_text(Subject::Proof(question))?).ok()?;
        (entry.question() == question).then_some(entry)
    }

    /// Stores what was proven. It is no failure if that fails: the next run asks again, and what was there before
    /// is gone.
    pub fn put(&self, entries: &[Entry]) {
        for entry in entries {
            if !self.write(Subject::Proof(entry.question()), &entry_text(entry)) {
                self.forget(entry.question());
            }
        }
    }

    /// Drops what is stored for `question`.
    pub fn forget(&self, question: &Question) {
        self.forget_all_of(Subject::Proof(question));
    }

    /// The same for many: the files that are not there, as a rule most of them, are looked for once.
    pub fn forget_many(&self, questions: impl IntoIterator<Item = Question>) {
        let files = match &self.0.storage {
            Storage::Folder { folder, .. } => fs::read_dir(folder).map(|files| (folder, files)).ok(),
            Storage::Memory(_) => None,
        };
        let Some((folder, files)) = files else {
            return questions.into_iter().for_each(|question| self.forget(&question));
        };
        let is_of_proofs = |name: &OsString| name.len() == SHARD;
        let there: HashSet<OsString> =
            files.flatten().map(|file| file.file_name()).filter(is_of_proofs).collect();
        // As a rule nobody has proven anything where many hosts are published.
        if there.is_empty() {
            return;
        }
        for question in questions {
            let (path, _) = place_in(folder, Subject::Proof(&question));
            if path.file_name().is_some_and(|name| there.contains(name)) {
                self.forget(&question);
            }
        }
    }

    /// Drops the addresses of `host` as the resolvers of `scope` had them.
    pub fn forget_addresses(&self, host: &Name, scope: &str) {
        self.forget_all_of(Subject::Addresses(host, scope));
    }

    fn forget_all_of(&self, subject: Subject<'_>) {
        if self.read_text(subject).is_some()
            && !self.write(subject, "")
            && let Storage::Folder { folder, .. } = &self.0.storage
        {
            let _ = fs::remove_file(place_in(folder, subject).0);
        }
    }

    /// Addresses of `host` as the resolvers of `scope` have them, and whether they are within their TTL at `now`
    /// (seconds since 1970).
    pub fn addresses(&self, host: &Name, scope: &str, now: u64) -> Option<(Vec<IpAddr>, bool)> {
        let Addresses { addresses, fetched, ttl } = self.read(Subject::Addresses(host, scope))?;
        let age = now.checked_sub(fetched).filter(|age| *age <= ADDRESSES_KEPT)?;
        Some((addresses, age <= u64::from(ttl)))
    }

    /// Stores where `host` was found at `now`, for `ttl` seconds.
    pub fn put_addresses(&self, host: &Name, scope: &str, addresses: Vec<IpAddr>, now: u64, ttl: u32) {
        self.write_json(Subject::Addresses(host, scope), &Addresses { addresses, fetched: now, ttl });
    }

    /// The newest inception of a signature that was ever verified here, in seconds since 1970: no clock
    /// that is right shows an earlier time.
    pub fn clock(&self) -> u64 {
        self.0.clock.load(Ordering::Relaxed)
    }

    /// Notes the inception of a signature that was verified, in seconds since 1970.
    pub fn note_inception(&self, inception: u64) {
        if self.0.clock.fetch_max(inception, Ordering::Relaxed) < inception
            // Another process may know better by now.
            && self.read::<Clock>(Subject::Clock).is_none_or(|clock| clock.inception < inception)
        {
            self.write_json(Subject::Clock, &Clock { inception });
        }
    }

    /// The last text about `subject`; from a folder the last whose seal is whole.
    fn read_text(&self, subject: Subject<'_>) -> Option<String> {
        let (folder, key, index) = match &self.0.storage {
            Storage::Folder { folder, key, index } => (folder, key, index),
            Storage::Memory(memory) => return memory.read(&subject.octets()).map(|text| text.to_string()),
        };
        let (path, tag) = place_in(folder, subject);
        match index.last(&path, &fs::symlink_metadata(&path).ok()?, &tag) {
            Last::None => return None,
            Last::At(place, length) => {
                let line = read_at(&ownership::open(&path).ok()?, place, length);
                let line = line.as_deref().and_then(Line::read).filter(|line| line.tag == tag);
                if let Some(Line { text, .. }) =
                    line.filter(|line| seal(key, subject, line.text) == line.seal)
                {
                    return Some(text.to_owned()).filter(|text| !text.is_empty());
                }
            }
            Last::Unknown => {}
        }
        let (lines, metadata) = read_lines(&path)?;
        index.note(&path, &metadata, &lines);
        let lines = String::from_utf8_lossy(&lines);
        let about = lines.rsplit('\n').filter_map(Line::read).filter(|line| line.tag == tag);
        let last =
            about.map(|line| (line.seal, line.text)).find(|(whole, text)| seal(key, subject, text) == *whole);
        last.map(|(_, text)| text.to_owned()).filter(|text| !text.is_empty())
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, subject: Subject<'_>) -> Option<T> {
        serde_json::from_str(&self.read_text(subject)?).ok()
    }

    fn write_json(&self, subject: Subject<'_>, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            self.write(subject, &text);
        }
    }

    /// False if that cannot be done: too long, a full disk, a folder that is gone.
    fn write(&self, subject: Subject<'_>, text: &str) -> bool {
        let (folder, key, index) = match &self.0.storage {
            Storage::Folder { folder, key, index } => (folder, key, index),
            Storage::Memory(memory) => {
                let fits = text.len() <= MAX_LINE;
                memory.write(&subject.octets(), if fits { text } else { "" });
                return fits;
            }
        };
        let (path, tag) = place_in(folder, subject);
        // A line that was not finished ends here.
        let line = format!("\n{} {tag} {text}\n", seal(key, subject, text));
        if line.len() > MAX_LINE {
            return false;
        }
        let Ok((before, after)) = append(&path, line.as_bytes()) else { return false };
        index.added(&path, &tag, line.len(), &before, &after);
        if after.len() <= MAX_FILE {
            return true;
        }
        index.forget(&path);
        shrink(folder, &path).is_ok()
    }
}

/// The file in `folder` that `subject` is in, and what its lines there have after their seal.
fn place_in(folder: &Path, subject: Subject<'_>) -> (PathBuf, String) {
    let hash = HEXLOWER.encode(digest::digest(&digest::SHA256, &subject.octets()).as_ref());
    let (file, tag) = hash.split_at(SHARD);
    // The clock is not among what grows old and goes.
    let file = if matches!(subject, Subject::Clock) { CLOCK } else { file };
    (folder.join(file), tag.chars().take(TAG).collect())
}

fn seal(key: &hmac::Key, subject: Subject<'_>, text: &str) -> String {
    let mut context = hmac::Context::with_key(key);
    let about = subject.octets();
    context.update(&(about.len() as u64).to_be_bytes());
    context.update(&about);
    context.update(text.as_bytes());
    HEXLOWER.encode(context.sign().as_ref())
}

/// Whoever makes a folder owns it, so it is not made in one that belongs to somebody else: root with a user's
/// HOME, as sudo may leave it, would shut that user out.
fn may_make(folder: &Path) -> Result<(), CacheError> {
    let above = folder.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    match above.filter(|(path, _)| *path != folder) {
        Some((path, metadata)) => Ok(ownership::check_owner(path, &metadata)?),
        None => Ok(()),
    }
}

/// The secret of the cache in `folder`, made when first needed, and again where it was cut short (the power
/// failed): what was sealed with the old one is lost.
fn secret(folder: &Path) -> Result<[u8; 32], CacheError> {
    let path = folder.join(KEY);
    let io = |error| CacheError::Io(path.clone(), error);
    if !path.try_exists().map_err(io)? {
        make_secret(folder, &path).map_err(io)?;
    }
    match read_secret(&path) {
        Err(CacheError::Io(_, e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
            fs::remove_file(&path).map_err(io)?;
            make_secret(folder, &path).map_err(io)?;
            read_secret(&path)
        }
        outcome => outcome,
    }
}

/// Of two processes that make one at the same time the first wins.
fn make_secret(folder: &Path, path: &Path) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&rand::random::<[u8; 32]>())?;
    match file.persist_noclobber(path) {
        Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => Err(e.error),
        _ => Ok(()),
    }
}

fn read_secret(path: &Path) -> Result<[u8; 32], CacheError> {
    let mut secret = [0; 32];
    let mut file = ownership::open(path).map_err(CacheError::opening(path))?;
    file.read_exact(&mut secret).map_err(|e| CacheError::Io(path.to_owned(), e))?;
    Ok(secret)
}

#[cfg(test)]
mod tests;
