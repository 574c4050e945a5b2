//! Proofs of earlier runs, on disk, for all processes of a user: one small file an RRset, in the form of
//! [`crate::proto::bundle`].
//!
//! Nothing in it is believed. A proof out of it is made anew from the trust anchor, and it serves accepts
//! alone: what does not come to an accept is asked of DNS. Each file is sealed (HMAC-SHA-256) under a secret of
//! the folder, so that a file that was changed, moved or given a new time is no file at all; and none of it is
//! looked at if others than this user and root could have written it.
//!
//! Files are replaced as a whole and never locked. How much there may be is bounded: the oldest files of a
//! shard go first.

use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::SystemTime;

use data_encoding::HEXLOWER;
use ring::{digest, hmac};
use serde::{Deserialize, Serialize};

use crate::ownership::{self, Folder, OpenError, Untrusted};
use crate::proto::bundle::{entry_from_text, entry_text};
use crate::proto::chain::Entry;
use crate::proto::message::Question;
use crate::proto::name::Name;

/// The folder of this form of the cache.
const VERSION: &str = "v1";
/// The files of the secret and of the clock.
const KEY: &str = "key";
const CLOCK: &str = "clock";
/// Longest file that is kept, in octets.
const MAX_FILE: usize = 16 * 1024;
/// Files in one shard, of which there are 256.
const MAX_FILES: usize = 256;
/// Octets in one shard: 64 MiB in all.
const MAX_SHARD: u64 = 256 * 1024;
/// Every so many writes the shard that was written to is brought back to its bounds.
const SWEEP_EVERY: u32 = 8;
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

/// The cache of this user.
#[derive(Debug, Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    key: hmac::Key,
    writes: AtomicU32,
    /// The newest inception that was ever verified, in seconds since 1970.
    clock: AtomicU64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// What a file is about: a part of its name and of its seal.
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
    /// Where it lives unless told; none for a user without a home.
    pub fn default_folder() -> Option<PathBuf> {
        Some(directories::ProjectDirs::from("", "", "sshanchor")?.cache_dir().to_owned())
    }

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
        let inner = Inner {
            folder: inside,
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            writes: AtomicU32::new(0),
            clock: AtomicU64::new(0),
        };
        let cache = Cache(Arc::new(inner));
        if let Some(clock) = cache.read::<Clock>(Subject::Clock) {
            cache.0.clock.store(clock.inception, Ordering::Relaxed);
        }
        Ok(cache)
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
        let _ = fs::remove_file(self.path(Subject::Proof(question)));
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

    fn path(&self, subject: Subject<'_>) -> PathBuf {
        // Not in a shard, where it would grow old and go.
        if let Subject::Clock = subject {
            return self.0.folder.join(CLOCK);
        }
        let name = digest::digest(&digest::SHA256, &subject.octets());
        let name = HEXLOWER.encode(name.as_ref());
        let (shard, rest) = name.split_at(2);
        self.0.folder.join(shard).join(rest.get(..30).unwrap_or(rest))
    }

    fn seal(&self, subject: Subject<'_>, text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0.key);
        let about = subject.octets();
        context.update(&(about.len() as u64).to_be_bytes());
        context.update(&about);
        context.update(text.as_bytes());
        HEXLOWER.encode(context.sign().as_ref())
    }

    /// The text about `subject`, if its seal is whole.
    fn read_text(&self, subject: Subject<'_>) -> Option<String> {
        let file = ownership::open(&self.path(subject)).ok()?;
        let mut octets = String::new();
        file.take(MAX_FILE as u64 + 1).read_to_string(&mut octets).ok()?;
        let (seal, text) = octets.strip_suffix('\n')?.split_once('\n')?;
        let whole = octets.len() <= MAX_FILE && self.seal(subject, text) == seal;
        whole.then(|| text.to_owned())
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
        let file = format!("{}\n{text}\n", self.seal(subject, text));
        let path = self.path(subject);
        let Some(folder) = path.parent().filter(|_| file.len() <= MAX_FILE) else { return false };
        let _ = fs::DirBuilder::new().mode(0o700).create(folder);
        let written = replace(folder, &path, file.as_bytes()).is_ok();
        let is_shard = !matches!(subject, Subject::Clock);
        if is_shard && self.0.writes.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_EVERY) {
            sweep(folder);
        }
        written
    }
}

fn replace(folder: &Path, path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(octets)?;
    file.persist(path)?;
    Ok(())
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

/// Brings a shard back to its bounds: the oldest files go.
fn sweep(shard: &Path) {
    let Ok(files) = fs::read_dir(shard) else { return };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = files
        .flatten()
        .filter_map(|file| {
            let metadata = file.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), file.path()))
        })
        .collect();
    files.sort_by(|a, b| b.cmp(a));
    let mut octets = 0;
    for (at, (_, length, path)) in files.iter().enumerate() {
        octets += length;
        if at >= MAX_FILES || octets > MAX_SHARD {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests;
