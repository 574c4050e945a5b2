//! What these commands need of a CA's folder: what the CA is for, its keys, what it has signed; and a line in its
//! journal for what was done here.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use crate::error::Error;
use crate::ownership::{self, OpenError};
use crate::proto::hostkey::{HostKey, KeyType};
use crate::proto::moment;
use crate::proto::name::HostName;
use crate::ssh::hostkeys;

/// Largest files that are read, in octets: a million certificates take about a gigabyte.
const MAX_CA: u64 = 1024 * 1024;
const MAX_JOURNAL: u64 = 4 * 1024 * 1024 * 1024;
/// How long another process may hold the lock.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// A CA's folder, as far as it matters here.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// What the CA is for.
    pub(super) domains: Vec<HostName>,
    /// Its keys that sign, or will.
    pub(super) keys: Vec<HostKey>,
    /// Those that sign no more.
    pub(super) retired: Vec<HostKey>,
}

/// A certificate that the CA has signed.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) principals: Vec<String>,
    /// The host's key.
    pub(super) key: Digest,
}

/// A key by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digest {
    /// None where only the digest is known.
    pub(super) key_type: Option<KeyType>,
    pub(super) sha256: [u8; 32],
}

impl From<&HostKey> for Digest {
    fn from(key: &HostKey) -> Self {
        Digest { key_type: Some(key.key_type()), sha256: key.sha256() }
    }
}

impl Folder {
    /// The CA in this folder; none if there is no `ca.json`.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let file = path.join("ca.json");
        let Some(text) = read(&file, MAX_CA)? else { return Ok(None) };
        let malformed =
            |why: String| Error::failure("ca-folder", format!("{} is malformed: {why}", file.display()));
        let ca: Value = serde_json::from_str(&text).map_err(|e| malformed(e.to_string()))?;
        let texts = |field: &str| ca[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        let domains = texts("domains").map(HostName::parse).collect::<Result<Vec<_>, _>>();
        let domains = domains.map_err(|e| malformed(e.to_string()))?;
        let (mut keys, mut retired) = (Vec::new(), Vec::new());
        for key in ca["keys"].as_array().into_iter().flatten() {
            let line =
                key["public_key"].as_str().ok_or_else(|| malformed("a key without public_key".into()))?;
            let public = HostKey::from_line(line).map_err(|e| malformed(e.to_string()))?;
            let list = if key["state"] == "retired" { &mut retired } else { &mut keys };
            list.push(public);
        }
        match keys.is_empty() {
            true => Err(malformed("it has no key".into())),
            false => Ok(Some(Folder { path: path.to_owned(), domains, keys, retired })),
        }
    }

    /// Every certificate of the journal. A line that a crash cut short is passed over; any other that cannot be read is
    /// an error: nothing is done on partial knowledge.
    pub(super) fn issued(&self) -> Result<Vec<Issued>, Error> {
        let file = self.path.join("journal.jsonl");
        let Some(text) = read(&file, MAX_JOURNAL)? else { return Ok(Vec::new()) };
        let mut issued = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_end_matches('\0');
            let entry: Value = match serde_json::from_str(line) {
                Ok(entry) => entry,
                Err(e) if e.is_eof() => continue,
                Err(e) => return Err(self.bad_line(at, &e.to_string())),
            };
            if !matches!(entry["event"].as_str(), Some("sign" | "renew")) {
                continue;
            }
            let key = &entry["key"];
            let sha256 = key["sha256"].as_str().and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
            let sha256 = sha256.and_then(|octets| octets.try_into().ok());
            let principals = entry["principals"]
                .as_array()
                .map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
            let (Some(sha256), Some(principals)) = (sha256, principals) else {
                return Err(self.bad_line(at, "a certificate without key and principals"));
            };
            let key_type = key["type"].as_str().and_then(KeyType::from_name);
            issued.push(Issued { principals, key: Digest { key_type, sha256 } });
        }
        Ok(issued)
    }

    fn bad_line(&self, at: usize, why: &str) -> Error {
        let file = self.path.join("journal.jsonl");
        let message = format!("{} line {}: {why}", file.display(), at + 1);
        Error::failure("ca-journal", message).hint("somebody wrote into the journal: see what it was")
    }

    /// Appends an event at `now`, in seconds since 1970, and waits until it is on disk.
    pub(super) fn note(&self, now: u64, event: &str, fields: Value) -> Result<(), Error> {
        let mut line = fields;
        line["time"] = moment::text(now).into();
        line["event"] = event.into();
        self.append(&format!("{line}\n")).map_err(|e| {
            let file = self.path.join("journal.jsonl");
            Error::failure("ca-journal", format!("cannot write {}: {e}", file.display()))
        })
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let open = |name: &str| {
            let mut options = OpenOptions::new();
            options
                .create(true)
                .truncate(false)
                .read(true)
                .append(true)
                .mode(0o600)
                .open(self.path.join(name))
        };
        let lock = open("lock")?;
        let until = Instant::now() + LOCK_WAIT;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(io::Error::other("another process holds the lock"));
                }
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
        let mut journal: File = open("journal.jsonl")?;
        let mut last = [b'\n'];
        if journal.metadata()?.len() > 0 {
            journal.seek(SeekFrom::End(-1))?;
            journal.read_exact(&mut last)?;
        }
        // After a line that a crash cut short, another begins.
        let line = if last == [b'\n'] { line.to_owned() } else { format!("\n{line}") };
        journal.write_all(line.as_bytes())?;
        journal.sync_all()
    }
}

/// A key for the journal.
pub(super) fn key_form(key: &Digest) -> Value {
    json!({ "type": key.key_type.map(KeyType::name), "sha256": HEXLOWER.encode(&key.sha256) })
}

/// A file that nobody else can write; none if there is none.
fn read(path: &Path, limit: u64) -> Result<Option<String>, Error> {
    let told = |e: io::Error| Error::failure("ca-folder", format!("cannot read {}: {e}", path.display()));
    let file = match ownership::open(path) {
        Ok(file) => file,
        Err(e) if e.is_absent() => return Ok(None),
        Err(OpenError::Untrusted(e)) => return Err(Error::failure("ca-folder", &e).hint(e.hint())),
        Err(OpenError::Io(e)) => return Err(told(e)),
    };
    hostkeys::read_whole(file, limit).map(Some).map_err(told)
}
