//! Whose files may steer this process: those of this user and of root, which nobody else can write.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Why a file or folder is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It belongs to another user.
    #[error("{path} belongs to user {uid}, who is neither this user nor root")]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Others than its owner can write it.
    #[error("{path} can be written by others than its owner (mode {mode:04o})")]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Whoever can change the link can put another file in its place.
    #[error("{0} is a symbolic link")]
    Link(PathBuf),
    /// A folder, a pipe or a device where a file is wanted, or a file where a folder is.
    #[error("{path} is not {wanted}")]
    Kind {
        /// What was opened.
        path: PathBuf,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Untrusted {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Foreign { path, .. }
            | Self::Exposed { path, .. }
            | Self::Link(path)
            | Self::Kind { path, .. } => path,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Foreign { path, .. } => format!("chown {} {}", geteuid().as_raw(), path.display()),
            Self::Exposed { path, .. } => format!("chmod go-w {}", path.display()),
            Self::Link(path) => {
                format!("put a file or folder of its own in place of the link {}", path.display())
            }
            Self::Kind { path, wanted } => format!("put {wanted} at {}", path.display()),
        }
    }
}

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is there, and not to be trusted.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// The system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl OpenError {
    /// There is no such file, or no folder in which it could be.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

/// Belongs to this user or to root, and nobody else can write it. `path` is for the error alone.
pub fn check(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    check_owner(path, metadata)?;
    let mode = metadata.mode() & 0o7777;
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(Untrusted::Exposed { path: path.to_owned(), mode }),
    }
}

/// Belongs to this user or to root, whoever else can write it. `path` is for the error alone.
pub fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), Untrusted> {
    let uid = metadata.uid();
    match is_trusted(uid, geteuid().as_raw()) {
        true => Ok(()),
        false => Err(Untrusted::Foreign { path: path.to_owned(), uid }),
    }
}

/// Files of `owner` may steer a process of `user`: root could steer it anyway.
fn is_trusted(owner: u32, user: u32) -> bool {
    owner == user || owner == 0
}

/// A folder that is open and to be trusted; its files are opened in it, wherever its name leads by then.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    folder: File,
}

impl Folder {
    /// Opens a folder that is no link and to be trusted.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let folder = Self::unchecked(path)?;
        folder.check()?;
        Ok(folder)
    }

    fn unchecked(path: &Path) -> Result<Self, OpenError> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let folder = open_at(CWD, path, path, OFlags::DIRECTORY)?;
        Ok(Folder { path: path.to_owned(), folder })
    }

    fn check(&self) -> Result<(), OpenError> {
        Ok(check(&self.path, &self.folder.metadata()?)?)
    }

    /// Opens one of its files for reading: a plain file, no link, and to be trusted. `name` is a file name alone.
    pub fn file(&self, name: &Path) -> Result<File, OpenError> {
        let path = self.path.join(name);
        // Not blocking: a pipe that nobody writes to must not hold the process.
        let file = open_at(&self.folder, name, &path, OFlags::NONBLOCK)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(Untrusted::Kind { path, wanted: "a plain file" }.into());
        }
        check(&path, &metadata)?;
        Ok(file)
    }
}

/// Opens a file for reading, if it and its folder are to be trusted. That it is absent is told first.
pub fn open(path: &Path) -> Result<File, OpenError> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Untrusted::Kind { path: path.to_owned(), wanted: "a plain file" }.into());
    };
    let folder = Folder::unchecked(folder)?;
    let file = folder.file(Path::new(name))?;
    folder.check()?;
    Ok(file)
}

/// Opens a file of this program's own for reading, where its folder may be a link, as of systemd's DynamicUser: a plain
/// file, which is to be trusted like its folder. None if it, or the folder, is not there.
pub fn open_own(path: &Path) -> Result<Option<File>, OpenError> {
    let folder = crate::files::folder(path);
    match std::fs::metadata(folder) {
        Ok(metadata) => check(folder, &metadata)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        // A link that leads nowhere is none of ours: to take it for no file would be to begin anew.
        Err(Errno::NOENT) if path.symlink_metadata().is_ok() => {
            return Err(Untrusted::Link(path.to_owned()).into());
        }
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(io::Error::from(errno).into()),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Untrusted::Kind { path: path.to_owned(), wanted: "a plain file" }.into());
    }
    check(path, &metadata)?;
    Ok(Some(file))
}

/// Opens `name` in `at`, never through a link. `path` is for the error alone.
fn open_at(at: impl std::os::fd::AsFd, name: &Path, path: &Path, kind: OFlags) -> Result<File, OpenError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | kind;
    match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Ok(fd) => Ok(File::from(fd)),
        // What stands in the way of the system is no proof; its error decides, the second look explains.
        Err(errno) => {
            let link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
            match (errno, link) {
                (Errno::LOOP | Errno::NOTDIR | Errno::MLINK, true) => {
                    Err(Untrusted::Link(path.to_owned()).into())
                }
                _ => Err(io::Error::from(errno).into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A private folder with a private file in it.
    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "content").unwrap();
        mode(&file, 0o644);
        (folder, file)
    }

    #[test]
    fn only_this_user_and_root_are_trusted() {
        assert!(is_trusted(1000, 1000) && is_trusted(0, 1000) && is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
    }

    #[test]
    fn a_file_of_ones_own_is_opened() {
        let (_folder, file) = place();
        let mut text = String::new();
        open(&file).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
    }

    #[test]
    fn what_others_can_write_is_refused_until_it_is_mended() {
        let (folder, file) = place();
        for (path, bad, good) in [(file.as_path(), 0o664, 0o644), (folder.path(), 0o757, 0o755)] {
            mode(path, bad);
            let error = open(&file).unwrap_err();
            let OpenError::Untrusted(untrusted @ Untrusted::Exposed { .. }) = &error else {
                panic!("{error}")
            };
            assert_eq!(untrusted.hint(), format!("chmod go-w {}", path.display()));
            assert!(!error.is_absent());
            assert!(open(&folder.path().join("nothing")).unwrap_err().is_absent());
            mode(path, good);
            assert!(open(&file).is_ok());
        }
    }

    #[test]
    fn links_are_refused() {
        let (folder, file) = place();
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        assert!(matches!(open(&link), Err(OpenError::Untrusted(Untrusted::Link(path))) if path == link));
        let elsewhere = tempfile::tempdir().unwrap();
        let linked = elsewhere.path().join("linked");
        symlink(folder.path(), &linked).unwrap();
        let error = open(&linked.join("file"));
        assert!(matches!(error, Err(OpenError::Untrusted(Untrusted::Link(path))) if path == linked));
        symlink(folder.path().join("nothing"), folder.path().join("dangling")).unwrap();
        assert!(!open(&folder.path().join("dangling")).unwrap_err().is_absent(), "a link is there");
    }

    #[test]
    fn files_of_our_own_may_stand_behind_a_link_and_are_plain_or_absent() {
        let (folder, file) = place();
        let elsewhere = tempfile::tempdir().unwrap();
        let linked = elsewhere.path().join("linked");
        symlink(folder.path(), &linked).unwrap();
        assert!(open_own(&file).unwrap().is_some() && open_own(&linked.join("file")).unwrap().is_some());
        for absent in [folder.path().join("nothing"), folder.path().join("no/file")] {
            assert!(open_own(&absent).unwrap().is_none());
        }
        let (pipe, dangling) = (folder.path().join("pipe"), folder.path().join("dangling"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        mode(&pipe, 0o600);
        symlink("nowhere", &dangling).unwrap();
        for bad in [pipe, dangling, folder.path().to_owned()] {
            assert!(matches!(open_own(&bad), Err(OpenError::Untrusted(_))), "{bad:?}");
        }
        assert!(open_own(&file.join("below")).is_err(), "a file where the folder should be");
        for (path, bad, good) in [(file.as_path(), 0o664, 0o644), (folder.path(), 0o757, 0o755)] {
            mode(path, bad);
            assert!(matches!(open_own(&file), Err(OpenError::Untrusted(_))), "{path:?}");
            mode(path, good);
        }
    }

    #[test]
    fn what_is_no_plain_file_is_refused_and_what_is_absent_is_told_apart() {
        let (folder, file) = place();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        mode(&pipe, 0o600);
        for path in [folder.path().to_owned(), pipe, PathBuf::from("/")] {
            assert!(matches!(open(&path), Err(OpenError::Untrusted(_))), "{path:?}");
        }
        for path in [folder.path().join("nothing"), folder.path().join("no/file"), file.join("below")] {
            assert!(open(&path).unwrap_err().is_absent(), "{path:?}");
        }
    }
}
