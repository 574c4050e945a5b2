//! Which records this machine has published: the state file that tells own records from others'.
//!
//! Written so that a crash does no harm: what is about to be published is recorded as own before the
//! update goes out, what was withdrawn is dropped after it came back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::files;
use crate::ownership::{self, Untrusted};
use crate::proto::name::Name;
use crate::proto::sshfp::Sshfp;

const FILE: &str = "published.json";
const LOCK: &str = "published.lock";
const VERSION: u32 = 1;
/// Largest state file that is read, in octets: 10,000 hosts with three keys take 3 MB.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Own records by owner.
pub type Own = BTreeMap<Name, BTreeSet<Sshfp>>;

/// The state folder.
#[derive(Debug, Clone)]
pub struct State {
    folder: PathBuf,
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
    /// No folder was given, and this user has none.
    #[error("no folder for the state")]
    NoFolder,
}

impl From<StateError> for Error {
    fn from(error: StateError) -> Self {
        let told = Error::failure("state", format!("state: {error}"));
        match error {
            StateError::Io { .. } | StateError::NoFolder => {
                told.hint("give a folder for the state that this user may write: --state DIR")
            }
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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    owners: BTreeMap<String, Vec<String>>,
}

impl State {
    /// In this folder, which is made when something is first written.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        State { folder: folder.into() }
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
        let path = self.folder.join(FILE);
        if let Ok(metadata) = fs::metadata(&self.folder) {
            ownership::check(&self.folder, &metadata)?;
        }
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Own::new()),
            Err(error) => return Err(StateError::Io { path, error }),
        };
        match file.metadata() {
            Ok(metadata) => ownership::check(&path, &metadata)?,
            Err(error) => return Err(StateError::Io { path, error }),
        }
        let mut text = String::new();
        let read = file.take(MAX_FILE + 1).read_to_string(&mut text);
        let malformed = |why: String| StateError::Malformed { path: path.clone(), why };
        match read {
            Ok(length) if length as u64 > MAX_FILE => Err(malformed("too large".into())),
            Ok(_) => match version(&text) {
                Some(version) if version > u64::from(VERSION) => Err(StateError::Newer { path, version }),
                _ => parse(&text).map_err(malformed),
            },
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(malformed("not UTF-8".into())),
            Err(error) => Err(StateError::Io { path, error }),
        }
    }

    /// Reads, changes and writes under a lock, so that no other process's entries are lost. Nothing is
    /// written if nothing changes; what is written is complete or not there at all.
    pub fn update(&self, change: impl FnOnce(&mut Own)) -> Result<(), StateError> {
        let _lock = self.lock()?;
        let before = self.read()?;
        let mut after = before.clone();
        change(&mut after);
        after.retain(|_, records| !records.is_empty());
        if after == before {
            return Ok(());
        }
        let owners = after.iter().map(|(owner, records)| {
            (owner.to_string(), records.iter().map(Sshfp::to_string).collect::<Vec<_>>())
        });
        let document = Document { version: VERSION, owners: owners.collect() };
        self.write(&document).map_err(|error| StateError::Io { path: self.folder.join(FILE), error })
    }

    fn write(&self, document: &Document) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        serde_json::to_writer_pretty(&mut file, document)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(FILE))?;
        // The rename itself lasts only once the folder is written.
        File::open(&self.folder)?.sync_all()
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

/// The version of a file whose other fields may be unknown here.
fn version(text: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(text).ok()?.get("version")?.as_u64()
}

fn parse(text: &str) -> Result<Own, String> {
    let document: Document = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if document.version != VERSION {
        return Err(format!("version {} (this program writes {VERSION})", document.version));
    }
    let mut own = Own::new();
    for (owner, records) in document.owners {
        let name = Name::from_text(&owner).map_err(|e| format!("{owner:?}: {e}"))?;
        let records = records.iter().map(|r| Sshfp::from_text(r)).collect::<Result<_, _>>();
        if own.insert(name, records.map_err(|e| format!("{owner}: {e}"))?).is_some() {
            return Err(format!("{owner} twice"));
        }
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
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
        state.update(|own| drop(own.insert(name("_22._ssh.web1.example"), [record(1)].into()))).unwrap();
        state.update(|own| own.entry(name("web2.example")).or_default().extend([record(2)])).unwrap();
        let own = state.read().unwrap();
        assert_eq!(own.len(), 2);
        assert_eq!(own[&name("_22._ssh.web1.example")], [record(1)].into());
        state.update(|own| own.get_mut(&name("web2.example")).unwrap().clear()).unwrap();
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
                        state.update(|own| drop(own.insert(owner, [record(at)].into()))).unwrap();
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
            assert!(state.update(|own| own.clear()).is_err(), "{bad}: overwritten");
            assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), bad);
        }
        fs::write(folder.path().join(FILE), r#"{"version":2,"zones":{}}"#).unwrap();
        assert!(matches!(state.read(), Err(StateError::Newer { version: 2, .. })));
    }

    #[test]
    fn state_that_others_may_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let state = State::at(folder.path().join("state"));
        state.update(|own| drop(own.insert(name("a.example"), [record(1)].into()))).unwrap();
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
