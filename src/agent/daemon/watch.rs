//! Files on which an agent's work rests: told as soon as one of them may have changed. Where the system cannot tell,
//! nothing is told, and what changed is found by the next look.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// Most links that are followed on the way to a file, as Linux bounds them.
const MAX_LINKS: usize = 40;
/// Most folders that are watched.
const MAX_FOLDERS: usize = 128;
/// Most entries of a folder that are looked at.
const MAX_ENTRIES: usize = 1024;
/// How often the way to the files is walked again, while it changes under the feet.
const WALKS: usize = 5;

/// Files, and folders of which any file counts. They need not be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// Files.
    pub files: BTreeSet<PathBuf>,
    /// Folders.
    pub folders: BTreeSet<PathBuf>,
}

impl Files {
    /// Something that is another once one of them has changed: by what the system says of them, not by what is in them.
    pub fn print(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let within = |folder: &PathBuf| {
            let entries = fs::read_dir(folder).map(|entries| entries.filter_map(|e| Some(e.ok()?.path())));
            let mut entries: Vec<PathBuf> =
                entries.map(|e| e.take(MAX_ENTRIES).collect()).unwrap_or_default();
            entries.sort();
            entries
        };
        for path in self.files.iter().cloned().chain(self.folders.iter().flat_map(within)) {
            let found = fs::metadata(&path).ok();
            let times = found.as_ref().map(|m| (m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec()));
            (path, times, found.map(|m| (m.dev(), m.ino(), m.len()))).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The folders whose entries lead to them, with the entries' names that count; none means any.
    fn ways(&self) -> BTreeMap<PathBuf, Option<BTreeSet<OsString>>> {
        let mut ways: BTreeMap<PathBuf, Option<BTreeSet<OsString>>> = BTreeMap::new();
        for path in self.files.iter().chain(&self.folders) {
            for (folder, name) in steps(path) {
                if let Some(names) = ways.entry(folder).or_insert_with(|| Some(BTreeSet::new())) {
                    names.insert(name);
                }
            }
        }
        for folder in self.folders.iter().filter_map(|folder| fs::canonicalize(folder).ok()) {
            ways.insert(folder, None);
        }
        while ways.len() > MAX_FOLDERS {
            ways.pop_last();
        }
        ways
    }
}

/// The entries of folders that lead to `path`: the file itself, each link on the way to it, and, where something is not
/// there, the first that is not.
fn steps(path: &Path) -> Vec<(PathBuf, OsString)> {
    let (mut steps, mut links, mut here) = (Vec::new(), 0, PathBuf::from("/"));
    let mut rest: VecDeque<PathBuf> = parts(path).collect();
    while let Some(part) = rest.pop_front() {
        let name = match part.components().next() {
            Some(Component::Normal(name)) => name.to_owned(),
            Some(Component::RootDir) => {
                here = PathBuf::from("/");
                continue;
            }
            Some(Component::ParentDir) => {
                here.pop();
                continue;
            }
            _ => continue,
        };
        let next = here.join(&name);
        match fs::symlink_metadata(&next) {
            Ok(found) if found.is_symlink() && links < MAX_LINKS => {
                steps.push((here.clone(), name));
                links += 1;
                for part in fs::read_link(&next).iter().flat_map(|to| parts(to).collect::<Vec<_>>()).rev() {
                    rest.push_front(part);
                }
            }
            Ok(found) if found.is_dir() && !rest.is_empty() => here = next,
            _ => {
                steps.push((here, name));
                return steps;
            }
        }
    }
    steps
}

fn parts(path: &Path) -> impl Iterator<Item = PathBuf> {
    let path = std::path::absolute(path).ok().filter(|_| path.is_absolute()).unwrap_or(path.to_owned());
    path.components().map(|part| PathBuf::from(part.as_os_str())).collect::<Vec<_>>().into_iter()
}

/// Watched files.
#[derive(Debug, Default)]
pub struct Watch {
    files: Files,
    ways: BTreeMap<PathBuf, Option<BTreeSet<OsString>>>,
    system: Option<system::Notices>,
}

impl Watch {
    /// Watches these files from now on; true if they are others than before.
    pub fn set(&mut self, files: Files) -> bool {
        if self.files == files && self.system.is_some() {
            return false;
        }
        let is_new = self.files != files;
        self.files = files;
        self.renew();
        is_new
    }

    /// Watches the same files where they are now: folders were moved, links lead elsewhere.
    pub fn renew(&mut self) {
        for _ in 0..WALKS {
            self.ways = self.files.ways();
            self.system = system::Notices::new(&self.ways);
            // What came into being on the way meanwhile is told by nobody.
            if self.files.ways() == self.ways {
                return;
            }
        }
    }

    /// What is watched.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The system tells of changes.
    pub fn is_told(&self) -> bool {
        self.system.is_some()
    }

    /// Waits until something has happened to one of them, or may have.
    pub async fn changed(&mut self) {
        let is_told = match &self.system {
            Some(notices) => notices.next().await,
            None => false,
        };
        if !is_told {
            self.system = None;
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::collections::{BTreeMap, BTreeSet};
    use std::ffi::{OsStr, OsString};
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::Errno;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// Octets of events that are read at a time.
    const PORTION: usize = 4096;

    /// What inotify(7) tells of some folders.
    #[derive(Debug)]
    pub struct Notices {
        queue: AsyncFd<OwnedFd>,
        names: BTreeMap<i32, Option<BTreeSet<OsString>>>,
    }

    #[expect(
        deprecated,
        reason = "for what does not own its descriptor; an OwnedFd does, and the successor is unsafe"
    )]
    fn register(queue: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
        AsyncFd::with_interest(queue, Interest::READABLE).ok()
    }

    impl Notices {
        /// None where the system will not.
        pub fn new(folders: &BTreeMap<PathBuf, Option<BTreeSet<OsString>>>) -> Option<Self> {
            let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
            // A file that somebody writes to counts once it is closed.
            let wanted = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::ATTRIB
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            let mut names: BTreeMap<i32, Option<BTreeSet<OsString>>> = BTreeMap::new();
            for (folder, wants) in folders {
                match inotify::add_watch(&queue, folder, wanted) {
                    // Two paths to one folder have one number.
                    Ok(number) => match (names.get_mut(&number), wants) {
                        (Some(Some(names)), Some(more)) => names.extend(more.iter().cloned()),
                        _ => drop(names.insert(number, wants.clone())),
                    },
                    // It went, or may not be read: the next one up is watched, or the next look finds it.
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
                    Err(_) => return None,
                }
            }
            Some(Notices { queue: register(queue)?, names })
        }

        /// Waits for something that counts; false once nothing more can be told.
        pub async fn next(&self) -> bool {
            loop {
                let Ok(mut ready) = self.queue.readable().await else { return false };
                match ready.try_io(|queue| self.read(queue.get_ref()).map_err(Into::into)) {
                    Ok(Ok(true)) => return true,
                    Ok(Ok(false)) | Err(_) => {}
                    Ok(Err(_)) => return false,
                }
            }
        }

        /// Reads one portion of events, and whether one of them counts.
        fn read(&self, queue: &OwnedFd) -> Result<bool, Errno> {
            let mut octets = [MaybeUninit::uninit(); PORTION];
            let mut events = Reader::new(queue, &mut octets);
            let mut counts = false;
            loop {
                let event = events.next()?;
                let lost = ReadFlags::QUEUE_OVERFLOW
                    | ReadFlags::IGNORED
                    | ReadFlags::UNMOUNT
                    | ReadFlags::DELETE_SELF
                    | ReadFlags::MOVE_SELF;
                let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                counts |= event.events().intersects(lost)
                    || match (self.names.get(&event.wd()), name) {
                        (Some(Some(names)), Some(name)) => names.contains(name),
                        (Some(None), Some(_)) => true,
                        _ => false,
                    };
                if events.is_buffer_empty() {
                    return Ok(counts);
                }
            }
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use std::collections::{BTreeMap, BTreeSet};
    use std::ffi::OsString;
    use std::path::PathBuf;

    /// Nobody tells here.
    #[derive(Debug)]
    pub enum Notices {}

    impl Notices {
        pub fn new(_: &BTreeMap<PathBuf, Option<BTreeSet<OsString>>>) -> Option<Self> {
            None
        }

        pub async fn next(&self) -> bool {
            false
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
