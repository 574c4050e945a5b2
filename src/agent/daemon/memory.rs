//! What an agent keeps from one run to the next: `agent.json` in the state folder. It is written when it says something
//! new, not at each look: many a machine lives on a flash disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::rights::May;
use crate::agent::state::{State, StateError};
use crate::files;
use crate::ownership;
use crate::proto::name::Name;
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::proto::status::Moment;
use crate::proto::vanished;

const FILE: &str = "agent.json";
const LOCK: &str = "agent.lock";
const VERSION: u64 = 1;
/// Largest file that is read, in octets.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// So old the last success on disk may be, in seconds, where nothing else is new.
const STALE: u64 = 6 * 3600;

/// Sets by where they stand and the place that holds them.
pub type Sets = BTreeMap<(Name, String), Set>;

/// What is known of one set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    /// Which own records stand there, and how often they were gone.
    pub memory: vanished::Memory,
    /// Since when just these stand there, in seconds since 1970.
    pub since: Option<u64>,
    /// When all was last as it should be.
    pub last_success: Option<u64>,
    /// Why it is not, and since when.
    pub failing: Option<(String, u64)>,
}

/// An agent's memory, locked: no other agent has the same.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    _lock: File,
    on_disk: Sets,
    /// As it is now.
    pub sets: Sets,
    /// What this process has seen of its rights.
    pub may: May,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u64,
    owners: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    owner: String,
    server: String,
    standing: Vec<String>,
    since: Option<Moment>,
    last_success: Option<Moment>,
    vanished: Vec<Moment>,
    given_up: Option<Vec<String>>,
    failing: Option<Failing>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failing {
    reason: String,
    since: Moment,
}

impl Store {
    /// Reads it, and keeps it for this process alone as long as it lives.
    pub fn open(state: &State) -> Result<Self, StateError> {
        let folder = state.folder();
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| StateError::Io { path, error }
        };
        files::make_private_folder(folder).map_err(io(folder))?;
        ownership::check(folder, &fs::metadata(folder).map_err(io(folder))?)?;
        let lock = folder.join(LOCK);
        let mut options = File::options();
        let file =
            options.create(true).truncate(false).write(true).mode(0o600).open(&lock).map_err(io(&lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(StateError::AgentRuns(lock)),
            Err(fs::TryLockError::Error(error)) => return Err(io(&lock)(error)),
        }
        let path = folder.join(FILE);
        let sets = read(&path)?;
        Ok(Store { path, _lock: file, on_disk: sets.clone(), sets, may: May::new() })
    }

    /// Forgets sets that are neither among `known` nor standing anywhere.
    pub fn retain(&mut self, known: &BTreeSet<(Name, String)>) {
        self.sets.retain(|key, set| known.contains(key) || !set.memory.standing.is_empty());
        self.may.retain(|key, _| known.contains(key));
    }

    /// Writes it if it says something new; at the `end` also when all was last well.
    pub fn save(&mut self, end: bool) -> Result<(), StateError> {
        if !self.says_something_new(end) {
            return Ok(());
        }
        self.write().map_err(|error| StateError::Io { path: self.path.clone(), error })?;
        self.on_disk.clone_from(&self.sets);
        Ok(())
    }

    fn says_something_new(&self, end: bool) -> bool {
        if self.sets.len() != self.on_disk.len() {
            return true;
        }
        self.sets.iter().any(|(key, set)| match self.on_disk.get(key) {
            None => true,
            Some(old) => {
                let success = set.last_success.unwrap_or(0).saturating_sub(old.last_success.unwrap_or(0));
                let same = Set { last_success: old.last_success, ..set.clone() } == *old;
                !same || success >= STALE || (end && success > 0)
            }
        })
    }

    fn write(&self) -> io::Result<()> {
        let texts = |records: &SshfpSet| records.iter().map(Sshfp::to_string).collect::<Vec<_>>();
        let owners = self.sets.iter().map(|((owner, server), set)| Entry {
            owner: owner.to_string(),
            server: server.clone(),
            standing: texts(&set.memory.standing),
            since: set.since.map(Moment),
            last_success: set.last_success.map(Moment),
            vanished: set.memory.vanished.iter().copied().map(Moment).collect(),
            given_up: set.memory.given_up.as_ref().map(texts),
            failing: set
                .failing
                .as_ref()
                .map(|(reason, since)| Failing { reason: reason.clone(), since: Moment(*since) }),
        });
        let document = Document { version: VERSION, owners: owners.collect() };
        let folder = files::folder(&self.path);
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, &document)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        // The rename itself lasts only once the folder is written.
        File::open(folder)?.sync_all()
    }
}

fn read(path: &Path) -> Result<Sets, StateError> {
    let io = |error| StateError::Io { path: path.to_owned(), error };
    let malformed = |why: String| StateError::Malformed { path: path.to_owned(), why };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Sets::new()),
        Err(error) => return Err(io(error)),
    };
    ownership::check(path, &file.metadata().map_err(io)?)?;
    let mut octets = Vec::new();
    if file.take(MAX_FILE + 1).read_to_end(&mut octets).map_err(io)? as u64 > MAX_FILE {
        return Err(malformed("too large".into()));
    }
    let text = std::str::from_utf8(&octets).map_err(|_| malformed("not UTF-8".into()))?;
    let version = serde_json::from_str::<serde_json::Value>(text).ok();
    match version.and_then(|value| value.get("version")?.as_u64()) {
        Some(version) if version > VERSION => Err(StateError::Newer { path: path.to_owned(), version }),
        _ => parse(text).map_err(malformed),
    }
}

fn parse(text: &str) -> Result<Sets, String> {
    let document: Document = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if document.version != VERSION {
        return Err(format!("version {} (this program writes {VERSION})", document.version));
    }
    let mut sets = Sets::new();
    for entry in document.owners {
        let owner = Name::from_text(&entry.owner).map_err(|e| format!("{:?}: {e}", entry.owner))?;
        let records = |texts: Vec<String>| -> Result<SshfpSet, String> {
            texts.iter().map(|text| Sshfp::from_text(text).map_err(|e| format!("{text:?}: {e}"))).collect()
        };
        if entry.vanished.len() > vanished::LIMIT {
            return Err(format!("{owner} vanished too often"));
        }
        let set = Set {
            memory: vanished::Memory {
                standing: records(entry.standing)?,
                vanished: entry.vanished.into_iter().map(|Moment(then)| then).collect(),
                given_up: entry.given_up.map(records).transpose()?,
            },
            since: entry.since.map(|Moment(then)| then),
            last_success: entry.last_success.map(|Moment(then)| then),
            failing: entry.failing.map(|failing| (failing.reason, failing.since.0)),
        };
        let told = format!("{owner} at {} twice", entry.server);
        if sets.insert((owner, entry.server), set).is_some() {
            return Err(told);
        }
    }
    Ok(sets)
}

/// What the latest agent knew of one set, for whoever finds it gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Remembered {
    /// Where the records stood.
    pub owner: String,
    /// The place that held them.
    pub server: String,
    /// Own records that stood there, in presentation form.
    pub published: Vec<String>,
    /// Since when.
    pub since: Option<Moment>,
    /// When all was last as it should be; hours may have gone since it was written.
    pub last_success: Option<Moment>,
    /// What was wrong: a stable word.
    pub failing: Option<String>,
}

/// What the latest agent in `state` knew, whether one runs or not.
pub fn remembered(state: &State) -> Result<Vec<Remembered>, StateError> {
    let sets = read(&state.folder().join(FILE))?;
    let each = sets.into_iter().map(|((owner, server), set)| Remembered {
        owner: owner.to_string(),
        server,
        published: set.memory.standing.iter().map(Sshfp::to_string).collect(),
        since: set.since.map(Moment),
        last_success: set.last_success.map(Moment),
        failing: set.failing.map(|(reason, _)| reason),
    });
    Ok(each.collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key(owner: &str) -> (Name, String) {
        (Name::from_text(owner).unwrap(), "192.0.2.1:53".to_owned())
    }

    fn set() -> Set {
        let record = |letter: u8| Sshfp::from_rdata(&[&[4, 2], [letter; 32].as_slice()].concat()).unwrap();
        Set {
            memory: vanished::Memory {
                standing: [record(1), record(2)].into(),
                vanished: vec![5, 6, 7],
                given_up: Some([record(1)].into()),
            },
            since: Some(4),
            last_success: Some(100),
            failing: Some(("vanished".into(), 7)),
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_is_this_users_alone() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("state"));
        let mut store = Store::open(&state).unwrap();
        assert!(store.sets.is_empty());
        store.sets.extend([(key("a.example"), set()), (key("b.example"), Set::default())]);
        store.save(false).unwrap();
        let sets = store.sets.clone();
        assert!(matches!(Store::open(&state), Err(StateError::AgentRuns(_))), "a second agent");
        drop(store);
        let mut store = Store::open(&state).unwrap();
        assert_eq!(store.sets, sets);
        let mode = fs::metadata(state.folder().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        store.retain(&[].into());
        assert_eq!(store.sets.len(), 1, "what stands somewhere is not forgotten");
        let left: Vec<_> = fs::read_dir(state.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "no temporary file stays: {left:?}");
    }

    #[test]
    fn it_is_not_written_at_each_look() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&State::at(folder.path())).unwrap();
        store.sets.insert(key("a.example"), set());
        store.save(false).unwrap();
        let path = folder.path().join(FILE);
        let changes = |store: &mut Store, success, end| {
            store.sets.get_mut(&key("a.example")).unwrap().last_success = Some(success);
            fs::remove_file(&path).unwrap();
            store.save(end).unwrap();
            let is_written = path.exists();
            fs::write(&path, "").unwrap();
            is_written
        };
        assert!(!changes(&mut store, 100, false));
        assert!(!changes(&mut store, 1000, false));
        assert!(changes(&mut store, 1000, true));
        assert!(!changes(&mut store, 1000, true));
        assert!(changes(&mut store, 1000 + STALE, false));
        store.sets.get_mut(&key("a.example")).unwrap().memory.vanished.pop();
        assert!(changes(&mut store, 1000 + STALE, false));
    }

    #[test]
    fn what_is_malformed_is_an_error_and_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path());
        let path = folder.path().join(FILE);
        let entry = r#"{"owner":"a.example","server":"s","standing":["4 2 aa"],"since":null,"last_success":
            "2026-11-22T00:00:00Z","vanished":[],"given_up":null,"failing":null}"#;
        let good = format!(r#"{{"version":1,"owners":[{entry}]}}"#);
        fs::write(&path, &good).unwrap();
        assert_eq!(Store::open(&state).unwrap().sets.len(), 1);
        for bad in [
            String::new(),
            "{}".to_owned(),
            good.replace("\"since\"", "\"until\""),
            good.replace("4 2 aa", "4 2"),
            good.replace("2026-11", "2026-13"),
            good.replace("a.example", "a..example"),
            good.replace("version\":1", "version\":0"),
            format!(r#"{{"version":1,"owners":[{entry},{entry}]}}"#),
            good[..good.len() - 1].to_owned(),
        ] {
            fs::write(&path, &bad).unwrap();
            assert!(matches!(Store::open(&state), Err(StateError::Malformed { .. })), "{bad}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        fs::write(&path, r#"{"version":2,"zones":{}}"#).unwrap();
        assert!(matches!(Store::open(&state), Err(StateError::Newer { version: 2, .. })));
        fs::write(&path, &good).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(Store::open(&state), Err(StateError::Untrusted(_))));
    }
}
