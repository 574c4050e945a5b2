//! Which records this machine has published: the state file that tells own records from others'.
//!
//! Written so that a crash does no harm: what is about to be published is recorded as own before the
//! update goes out, what was withdrawn is dropped after it came back.

mod form;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::process::geteuid;

use self::form::FormError;
pub use self::form::{Entries, Entry, Origin, VERSION};
use crate::error::Error;
use crate::files;
use crate::ownership::{self, OpenError, Untrusted};
use crate::proto::name::Name;
use crate::proto::sshfp::{Sshfp, SshfpSet};

const FILE: &str = "published.json";
const LOCK: &str = "published.lock";
/// Largest state file that is read, in octets: 10,000 hosts with three keys take 5 MB.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Own records by owner.
pub type Own = BTreeMap<Name, SshfpSet>;

/// The state folder.
#[derive(Debug, Clone)]
pub struct State {
    folder: PathBuf,
    /// What is noted of owners beside their records.
    noted: Option<Arc<Noted>>,
}

/// What is noted of owners as something is changed about them.
#[derive(Debug)]
pub struct Noted {
    /// Where they are published.
    pub origin: Arc<Origin>,
    /// The configuration names them.
    pub configured: bool,
    /// The moment, in seconds since 1970.
    pub now: u64,
}

/// Why the state cannot be used. It is never taken as empty instead.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file or its folder cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// What was opened.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not what this program writes.
    #[error("{path} is malformed: {why}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A later version of this program wrote it.
    #[error("{path} is of version {version}, and this program knows {VERSION}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
    /// Others could have the records removed that they write into it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Somebody else holds the lock.
    #[error("{0} is locked by another process")]
    Locked(PathBuf),
    /// An agent looks after this state.
    #[error("an agent runs already, for it holds {0}")]
    AgentRuns(PathBuf),
    /// No folder was given, and this user has none.
    #[error("no folder for the state")]
    NoFolder,
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        let told = match &error {
            StateError::AgentRuns(_) => Error::failure("agent-runs", error.to_string()),
            error => Error::failure("state", format!("state: {error}")),
        };
        match error {
            StateError::AgentRuns(_) => told.hint(
                "sshanchor agent status shows it; SIGHUP has it look at once, and sshanchor publish does a pass beside it",
            ),
            StateError::Io { error, .. } => {
                told.hint(files::remedy(&error).unwrap_or("give a folder for the state that this user may write: --state DIR"))
            }
            StateError::NoFolder => told.hint("give a folder for the state that this user may write: --state DIR"),
            StateError::Malformed { path, .. } => told.hint(format!(
                "it says which records are own: mend {0}, or move it away to begin with this machine's present keys",
                path.display()
            )),
            StateError::Newer { .. } => told.hint("use the sshanchor that wrote it, or one at least as new"),
            StateError::Untrusted(untrusted) => told.hint(format!(
                "look whether it was changed, then {}; or give another folder: --state DIR",
                untrusted.hint()
            )),
            StateError::Locked(_) => told.hint("wait until the other run has ended"),
        }
    }
}

impl State {
    /// In this folder, which is made when something is first written.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        State { folder: folder.into(), noted: None }
    }

    /// The same, for changes of which this is to be noted.
    #[must_use]
    pub fn noting(&self, noted: Noted) -> Self {
        State { noted: Some(Arc::new(noted)), ..self.clone() }
    }

    /// Where it lives unless told: `/var/lib/sshanchor` for root, else the user's state folder.
    pub fn default_folder() -> Result<PathBuf, StateError> {
        if geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/sshanchor"));
        }
        let folders = directories::ProjectDirs::from("", "", "sshanchor").ok_or(StateError::NoFolder)?;
        Ok(folders.state_dir().unwrap_or(folders.data_local_dir()).to_owned())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is own, by owner. No file means nothing was published yet.
    pub fn read(&self) -> Result<Own, StateError> {
        Ok(form::own(&self.entries()?))
    }

    /// The same, with where and since when.
    pub fn entries(&self) -> Result<Entries, StateError> {
        let path = self.folder.join(FILE);
        let file = match ownership::open_own(&path) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Entries::new()),
            Err(OpenError::Untrusted(untrusted)) => return Err(untrusted.into()),
            Err(OpenError::Io(error)) => return Err(StateError::Io { path, error }),
        };
        let mut text = String::new();
        let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
        let malformed = |why: String| StateError::Malformed { path: path.clone(), why };
        match read {
            Ok(length) if length as u64 > MAX_FILE => Err(malformed("too large".into())),
            Ok(_) => form::parse(&text).map_err(|error| match error {
                FormError::Newer(version) => StateError::Newer { path: path.clone(), version },
                FormError::Malformed(why) => malformed(why),
            }),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(malformed("not UTF-8".into())),
            Err(error) => Err(StateError::Io { path, error }),
        }
    }

    /// Reads, changes and writes under a lock, so that no other process's entries are lost.
    pub fn update(&self, change: impl FnOnce(&mut Opened)) -> Result<(), StateError> {
        let mut opened = self.open()?;
        change(&mut opened);
        opened.write()
    }

    /// Locks the file and reads it.
    pub fn open(&self) -> Result<Opened, StateError> {
        let lock = self.lock()?;
        Ok(Opened { state: self.clone(), _lock: lock, entries: self.entries()?, is_changed: false })
    }

    fn lock(&self) -> Result<File, StateError> {
        let path = self.folder.join(LOCK);
        let io = |error| StateError::Io { path: path.clone(), error };
        files::make_private_folder(&self.folder)
            .map_err(|error| StateError::Io { path: self.folder.clone(), error })?;
        files::lock(&path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StateError::Locked(path.clone()),
            _ => io(error),
        })
    }
}

/// The file, locked, and what is to be in it: nothing of it is there before [`Opened::write`].
#[derive(Debug)]
pub struct Opened {
    state: State,
    _lock: File,
    entries: Entries,
    is_changed: bool,
}

impl Opened {
    /// The own records at `owner`.
    pub fn records(&self, owner: &Name) -> SshfpSet {
        self.entries.get(owner).map(Entry::records).unwrap_or_default()
    }

    /// Those at `owner` are `records` now, and published from here.
    pub fn publish(&mut self, owner: &Name, records: &SshfpSet) {
        let noted = self.state.noted.clone();
        self.put(owner, records, noted.as_deref());
    }

    /// Those at `owner` are `records` now; an owner without any is dropped.
    pub fn set(&mut self, owner: &Name, records: &SshfpSet) {
        self.put(owner, records, None);
    }

    fn put(&mut self, owner: &Name, records: &SshfpSet, noted: Option<&Noted>) {
        if records.is_empty() {
            self.is_changed |= self.entries.remove(owner).is_some();
            return;
        }
        let before = self.entries.get(owner);
        let since = |record: &Sshfp| before.and_then(|entry| entry.since_of(record));
        let now = noted.map(|noted| noted.now);
        let entry = Entry {
            origin: noted.map(|n| n.origin.clone()).or_else(|| before.and_then(|entry| entry.origin.clone())),
            configured: noted.is_some_and(|n| n.configured) || before.is_some_and(|entry| entry.configured),
            records: records.iter().map(|r| (r.clone(), since(r).unwrap_or(now))).collect(),
        };
        if before != Some(&entry) {
            self.is_changed = true;
            self.entries.insert(owner.clone(), entry);
        }
    }

    /// Writes what has changed, if anything has: all of it or nothing.
    pub fn write(&mut self) -> Result<(), StateError> {
        if self.is_changed {
            let path = self.state.folder.join(FILE);
            let text = form::text(&self.entries).map_err(|e| io::Error::other(e.message));
            let written = text.and_then(|text| files::put_state(&path, &text));
            written.map_err(|error| StateError::Io { path, error })?;
            self.is_changed = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    fn record(letter: u8) -> Sshfp {
        Sshfp::from_rdata(&[&[4, 2], [letter; 32].as_slice()].concat()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("new/state"));
        assert!(state.read().unwrap().is_empty(), "no file yet");
        state.update(|own| own.set(&name("_22._ssh.web1.example"), &[record(1)].into())).unwrap();
        state.update(|own| own.set(&name("web2.example"), &[record(2)].into())).unwrap();
        let own = state.read().unwrap();
        assert_eq!(own.len(), 2);
        assert_eq!(own[&name("_22._ssh.web1.example")], [record(1)].into());
        state.update(|own| own.set(&name("web2.example"), SshfpSet::EMPTY)).unwrap();
        assert_eq!(state.read().unwrap().len(), 1, "an owner without records is dropped");
        let left: Vec<_> = fs::read_dir(state.folder()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "no temporary file stays: {left:?}");
    }

    #[test]
    fn two_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let state = State::at(folder.path());
                scope.spawn(move || {
                    for at in 0..10u8 {
                        let owner = name(&format!("h{at}.t{thread}.example"));
                        state.update(|own| own.set(&owner, &[record(at)].into())).unwrap();
                    }
                });
            }
        });
        assert_eq!(State::at(folder.path()).read().unwrap().len(), 40);
    }

    #[test]
    fn malformed_state_is_an_error_and_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path());
        let good = r#"{"version":1,"owners":{"a.example":["4 2 aa"]}}"#;
        fs::write(folder.path().join(FILE), good).unwrap();
        assert_eq!(state.read().unwrap().len(), 1);
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"version":0,"owners":{}}"#,
            r#"{"version":1,"owners":{},"more":1}"#,
            r#"{"version":1,"owners":{"a..b":[]}}"#,
            r#"{"version":1,"owners":{"a.example":["4 2"]}}"#,
            r#"{"version":1,"owners":{"a.example":[],"A.example":[]}}"#,
            &good[..good.len() - 1],
        ] {
            fs::write(folder.path().join(FILE), bad).unwrap();
            assert!(matches!(state.read(), Err(StateError::Malformed { .. })), "{bad}");
            assert!(
                state.update(|own| own.set(&name("a.example"), SshfpSet::EMPTY)).is_err(),
                "{bad}: overwritten"
            );
            assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), bad);
        }
        let newer = r#"{"version":3,"zones":{}}"#;
        fs::write(folder.path().join(FILE), newer).unwrap();
        assert!(matches!(state.read(), Err(StateError::Newer { version: 3, .. })));
        assert!(state.update(|own| own.set(&name("a.example"), SshfpSet::EMPTY)).is_err());
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), newer);
    }

    #[test]
    fn where_and_since_when_is_noted_of_what_changes_and_kept_of_what_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path());
        let old = r#"{"version":1,"owners":{"a.example":["4 2 aa"],"b.example":["4 2 aa"]}}"#;
        fs::write(folder.path().join(FILE), old).unwrap();
        let origin = |server: &str| {
            Arc::new(Origin { zone: name("example"), backend: "rfc2136".into(), server: server.into() })
        };
        let noting =
            |server: &str, configured, now| state.noting(Noted { origin: origin(server), configured, now });
        state.update(|_| {}).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), old, "no change, nothing written");
        let add = |own: &mut Opened| {
            let mut records = own.records(&name("a.example"));
            records.insert(record(1));
            own.publish(&name("a.example"), &records);
        };
        noting("x", true, 1_900_000_000).update(add).unwrap();
        let entries = state.entries().unwrap();
        let (a, b) = (&entries[&name("a.example")], &entries[&name("b.example")]);
        assert_eq!((&a.origin, a.configured), (&Some(origin("x")), true));
        let since: Vec<_> = a.records.iter().map(|(_, since)| *since).collect();
        assert_eq!(since, [Some(1_900_000_000), None], "by the order of records");
        assert_eq!((&b.origin, b.configured, b.since()), (&None, false, None), "nobody has touched it");
        // Somewhere else, by hand, later: the place is the new one, the rest stays.
        noting("y", false, 1_900_000_009).update(add).unwrap();
        let entries = state.entries().unwrap();
        assert_eq!(entries[&name("a.example")].origin, Some(origin("y")));
        assert!(entries[&name("a.example")].configured);
        assert_eq!(
            entries[&name("a.example")].records.iter().map(|(_, since)| *since).collect::<Vec<_>>(),
            since
        );
        // What goes and comes back is new.
        state.update(|own| own.set(&name("a.example"), SshfpSet::EMPTY)).unwrap();
        noting("x", false, 1_900_000_009).update(add).unwrap();
        assert_eq!(state.entries().unwrap()[&name("a.example")].since(), Some(1_900_000_009));
        assert!(!state.entries().unwrap()[&name("a.example")].configured);
    }

    #[test]
    fn state_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("state"));
        state.update(|own| own.set(&name("a.example"), &[record(1)].into())).unwrap();
        let file = state.folder().join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(state.folder()).unwrap().permissions().mode() & 0o777, 0o700);
        for (path, mode, back) in [(file.as_path(), 0o620, 0o600), (state.folder(), 0o770, 0o700)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(state.read(), Err(StateError::Untrusted(_))), "{path:?}");
            fs::set_permissions(path, fs::Permissions::from_mode(back)).unwrap();
        }
        assert!(state.read().is_ok());
    }
}
