//! A file that is wholly ours and that the operator's zone file includes (`$INCLUDE`), and a command that has the name
//! server load it. The operator's own file is never touched: raising its serial is the command's matter.
//!
//! A change under a lock: what stands in the file is kept beside it (`FILE.before`), the new file takes its place, the
//! command runs. If it fails, the file is put back, and the command runs once more. If this process dies in between,
//! the next run finds `FILE.before` and does the same.

mod text;

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use self::text::Records;
use crate::backend::{ApplyError, Backend, check_zone, lost_race};
use crate::error::Error;
use crate::files;
use crate::ownership::{self, OpenError};
use crate::proto::name::Name;
use crate::proto::plan::{Plan, Present};
use crate::proto::template::Template;
use crate::run;

/// Largest file, in octets.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Most that the command may print, in octets.
const MAX_OUTPUT: usize = 1024 * 1024;
/// A new file is for the name server to read.
const MODE: u32 = 0o644;

/// A file and its command.
#[derive(Debug, Clone)]
pub struct Access {
    /// The file.
    pub file: PathBuf,
    /// What has the name server load it; `%f` is the file, `%z` the zone.
    pub reload: Arc<Template>,
    /// How long the command may take.
    pub patience: Duration,
    /// When all has to be over; putting back what was there is not bound by it.
    pub deadline: Instant,
}

/// What may stand for something in the command.
pub const GAPS: [char; 2] = ['f', 'z'];

/// One zone's file.
#[derive(Debug)]
pub struct ZoneFile {
    place: Access,
    zone: Name,
    /// What was read last, of which files: a batch asks for one owner after the other.
    seen: Mutex<Option<(Stamp, Arc<Records>)>>,
}

/// What tells two states of the files apart: device, inode, size, change in seconds and nanoseconds.
type Stamp = [Option<(u64, u64, u64, i64, i64)>; 2];

impl ZoneFile {
    /// The records of `zone` in the file of `place`.
    pub fn new(place: Access, zone: Name) -> Self {
        ZoneFile { place, zone, seen: Mutex::new(None) }
    }

    fn stamp(&self) -> Stamp {
        [&self.before(), &self.place.file].map(|path| {
            let file = fs::symlink_metadata(path).ok()?;
            Some((file.dev(), file.ino(), file.size(), file.ctime(), file.ctime_nsec()))
        })
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.place.file.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn before(&self) -> PathBuf {
        self.beside(".before")
    }

    /// Locks the file against other runs; none if one of them does not let go of it.
    async fn lock(&self) -> Result<Option<File>, Error> {
        let path = self.beside(".lock");
        let told = path.clone();
        let locked = tokio::task::spawn_blocking(move || files::lock(&path)).await;
        match locked.map_err(|e| Error::failure("internal", e))? {
            Ok(lock) => Ok(Some(lock)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(e) => Err(self.io("lock", &told, &e)),
        }
    }

    fn io(&self, what: &str, path: &Path, error: &io::Error) -> Error {
        Error::failure("zone-file", format!("cannot {what} {}: {error}", path.display()))
            .hint("the file and its folder have to be this user's own, for a lock and a copy stand beside it")
    }

    /// The text of a file of ours; none if it is not there.
    fn text(&self, path: &Path) -> Result<Option<String>, Error> {
        let file = match ownership::open(path) {
            Ok(file) => file,
            Err(e) if e.is_absent() => return Ok(None),
            Err(OpenError::Io(e)) => return Err(self.io("read", path, &e)),
            Err(OpenError::Untrusted(e)) => {
                return Err(
                    Error::failure("zone-file", &e).hint(format!("{}, if it is as it should be", e.hint()))
                );
            }
        };
        let mut text = String::new();
        let read =
            file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|e| self.io("read", path, &e))?;
        match read as u64 > MAX_FILE {
            true => Err(self.not_ours(path, &format!("it is longer than {MAX_FILE} octets"))),
            false => Ok(Some(text)),
        }
    }

    fn records(&self, path: &Path) -> Result<Option<Records>, Error> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        text::parse(&text, &self.zone).map(Some).map_err(|why| self.not_ours(path, &why))
    }

    fn not_ours(&self, path: &Path, why: &str) -> Error {
        let message =
            format!("{} is not a file that sshanchor wrote for zone {}: {why}", path.display(), self.zone);
        Error::failure("zone-file", message).hint(format!(
            "give a file of its own, empty or not there yet, and include it in the zone file: $INCLUDE {}",
            self.place.file.display()
        ))
    }

    /// What is, or is about to be again: an unfinished change does not count.
    fn standing(&self) -> Result<Arc<Records>, Error> {
        let stamp = self.stamp();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, records)) = seen.as_ref().filter(|(at, _)| *at == stamp) {
            return Ok(records.clone());
        }
        let records = match self.records(&self.before())? {
            Some(records) => records,
            None => self.records(&self.place.file)?.unwrap_or_default(),
        };
        let records = Arc::new(records);
        *seen = Some((stamp, records.clone()));
        Ok(records)
    }

    /// Puts a whole file at `path`, and makes it last.
    fn put(&self, path: &Path, text: &str) -> io::Result<()> {
        let folder = files::folder(path);
        let old = fs::metadata(&self.place.file).ok();
        files::staged(folder, text.as_bytes(), MODE, old.as_ref())?.persist(path).map_err(|e| e.error)?;
        File::open(folder)?.sync_all()
    }

    /// Has the name server load the file.
    async fn reload(&self) -> Result<(), Error> {
        let arguments = self.place.reload.arguments(|gap| match gap {
            'f' => self.place.file.display().to_string(),
            _ => self.zone.to_string(),
        });
        let program = self.place.reload.program();
        let ran = run::run(program.as_ref(), &arguments, b"", MAX_OUTPUT, self.place.patience).await;
        let why = match &ran {
            Ok(ran) => ran.failure().map(|failure| format!("{program} {failure}")),
            Err(e) => Some(e.to_string()),
        };
        why.map_or(Ok(()), |why| {
            let message = format!("the reload command failed: {why}");
            Err(Error::failure("reload", message)
                .hint("it has to raise the zone's serial and have the server load it; try it by hand"))
        })
    }

    /// Puts back what was there before an unfinished change, if there is one, and has it loaded. The lock is held.
    async fn put_back(&self) -> Result<(), Error> {
        let before = self.before();
        if self.records(&before)?.is_none() {
            return Ok(());
        }
        let back = fs::rename(&before, &self.place.file);
        back.map_err(|e| self.io("put back", &self.place.file, &e))?;
        self.reload().await
    }

    async fn exchange(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        let failed = ApplyError::Failed;
        let place = self.place.file.display().to_string();
        let Some(_lock) = self.lock().await.map_err(failed)? else {
            return Err(match plans.first() {
                Some(plan) => lost_race(&plan.owner, &place),
                None => failed(Error::failure("locked", format!("{place} is locked by another process"))),
            });
        };
        self.put_back().await.map_err(failed)?;
        let standing = self.records(&self.place.file).map_err(failed)?.unwrap_or_default();
        let new = text::after(standing.clone(), plans).map_err(|owner| lost_race(&owner, &place))?;
        if new == standing {
            return Ok(());
        }
        let old = text::write(&standing, &self.zone);
        self.put(&self.before(), &old).map_err(|e| failed(self.io("write", &self.before(), &e)))?;
        let written = self.put(&self.place.file, &text::write(&new, &self.zone));
        let outcome = match written {
            Ok(()) => self.reload().await,
            Err(e) => Err(self.io("write", &self.place.file, &e)),
        };
        match outcome {
            Ok(()) => {
                let done = fs::remove_file(self.before());
                done.map_err(|e| failed(self.io("remove", &self.before(), &e)))
            }
            Err(mut error) => {
                error.message += match self.put_back().await {
                    Ok(()) => "; the file was put back, and loaded again",
                    Err(_) => "; the file was put back, and the command failed again: see the server's log",
                };
                Err(failed(error))
            }
        }
    }
}

impl Backend for ZoneFile {
    async fn prepare(&self) -> Result<(), Error> {
        if !self.before().exists() {
            return Ok(());
        }
        // Another run may be at it right now; only what nobody works on was left.
        match self.lock().await? {
            Some(_lock) => self.put_back().await,
            None => Ok(()),
        }
    }

    async fn read(&self, owner: &Name) -> Result<Present, Error> {
        Ok(self.standing()?.get(owner).cloned().unwrap_or_default())
    }

    async fn apply(&self, plans: &[Plan]) -> Result<(), ApplyError> {
        check_zone(plans, &self.zone)?;
        if Instant::now() >= self.place.deadline {
            return Err(ApplyError::Failed(Error::failure(
                "timeout",
                "no time is left for the reload command",
            )));
        }
        self.exchange(plans).await
    }
}
