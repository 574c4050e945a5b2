//! ssh's configuration files, read as ssh reads them: the user's and then the system's, with all that they include.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{User, getuid};

use super::files::{self, ConfigFileError};
use crate::ownership::Untrusted;
use crate::proto::pattern::spans;
use crate::proto::ssh_config::tree::{Directive, MAX_DEPTH, MAX_FILES, read};

/// The system's configuration.
const SYSTEM: &str = "/etc/ssh/ssh_config";

/// Which configuration is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Which {
    /// What ssh itself reads: the user's and the system's.
    #[default]
    Usual,
    /// This file alone.
    File(PathBuf),
    /// None at all.
    None,
}

/// A configuration.
#[derive(Debug, Clone)]
pub struct SshConfig {
    /// Which one it is.
    pub which: Which,
    /// Its files.
    pub files: Vec<Vec<Directive>>,
}

/// Why a configuration is not used.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// It cannot be read.
    #[error("cannot read {0}")]
    File(#[from] ConfigFileError),
    /// Others could make it say what they like: ssh refuses it too.
    #[error("ssh does not read its configuration: {0}")]
    Untrusted(#[from] Untrusted),
    /// The file that was named is not there.
    #[error("there is no {0}")]
    Missing(PathBuf),
    /// They include one another, or there are thousands.
    #[error("{0} includes more than {MAX_FILES} files, or deeper than {MAX_DEPTH}")]
    TooMany(PathBuf),
}

impl TreeError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Untrusted(untrusted) => untrusted.hint(),
            _ => "ssh -G HOST tells what ssh makes of its configuration".to_owned(),
        }
    }
}

/// The home of this user by the password database, as ssh has it whatever HOME says.
pub fn home() -> Option<PathBuf> {
    User::from_uid(getuid()).ok().flatten().map(|user| user.dir)
}

/// Reads a configuration. Files that are not there say nothing, except for one that was named.
pub fn load(which: Which) -> Result<SshConfig, TreeError> {
    let reader = Reader { home: home(), count: Cell::new(0), trouble: Cell::new(None) };
    let files = match &which {
        Which::None => Vec::new(),
        Which::File(path) => match reader.file(path, Trust::AnyUser, 0)? {
            None => return Err(TreeError::Missing(path.clone())),
            Some(file) => vec![file],
        },
        Which::Usual => {
            let user = reader.home.as_ref().map(|home| home.join(".ssh/config"));
            let user = user.map(|path| reader.file(&path, Trust::User, 0)).transpose()?.flatten();
            let system = reader.file(Path::new(SYSTEM), Trust::System, 0)?;
            [user, system].into_iter().flatten().collect()
        }
    };
    match reader.trouble.take() {
        Some(error) => Err(error),
        None => Ok(SshConfig { which, files }),
    }
}

/// Whose file it is, by which ssh decides where to look for what it includes, and whether its owner counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The user's own.
    User,
    /// One that was named: it is read whoever wrote it.
    AnyUser,
    /// The system's.
    System,
}

struct Reader {
    home: Option<PathBuf>,
    count: Cell<usize>,
    /// What went wrong with an included file.
    trouble: Cell<Option<TreeError>>,
}

impl Reader {
    fn file(&self, path: &Path, trust: Trust, depth: usize) -> Result<Option<Vec<Directive>>, TreeError> {
        self.count.set(self.count.get() + 1);
        if self.count.get() > MAX_FILES || depth > MAX_DEPTH {
            return Err(TreeError::TooMany(path.to_owned()));
        }
        let Some(octets) = files::read(path)? else { return Ok(None) };
        if trust == Trust::User || depth > 0 {
            check_owner(path)?;
        }
        let text = String::from_utf8_lossy(&octets);
        let include = |words: &[String]| self.included(words, trust, depth);
        Ok(Some(read(&text, include)))
    }

    /// The files that an Include line means; none if that takes more than paths and their wildcards.
    fn included(&self, words: &[String], trust: Trust, depth: usize) -> Option<Vec<Vec<Directive>>> {
        let mut files = Vec::new();
        for word in words {
            if word.contains(['%', '$', '[', '{', '\\']) {
                return None;
            }
            let path = match word.strip_prefix('~') {
                Some(rest) => self.home.as_ref()?.join(rest.strip_prefix('/')?),
                None if word.starts_with('/') => PathBuf::from(word),
                None if trust == Trust::System => Path::new(SYSTEM).with_file_name(word),
                None => self.home.as_ref()?.join(".ssh").join(word),
            };
            for path in glob(path.to_str()?) {
                match self.file(&path, trust, depth + 1) {
                    Ok(file) => files.extend(file),
                    Err(error) => {
                        let earlier = self.trouble.take();
                        self.trouble.set(earlier.or(Some(error)));
                        return None;
                    }
                }
            }
        }
        Some(files)
    }
}

/// ssh takes no file that others could have written.
fn check_owner(path: &Path) -> Result<(), TreeError> {
    let metadata = fs::metadata(path).map_err(|e| ConfigFileError::Io(path.to_owned(), e))?;
    let (uid, mode) = (metadata.uid(), metadata.mode());
    if uid != 0 && uid != getuid().as_raw() {
        return Err(Untrusted::Foreign { path: path.to_owned(), uid }.into());
    }
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(Untrusted::Exposed { path: path.to_owned(), mode: mode & 0o7777 }.into()),
    }
}

/// The paths that a pattern with `*` and `?` matches, in order (glob(3)); a plain path is itself.
fn glob(pattern: &str) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        if !part.contains(['*', '?']) {
            paths.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        let mut found = Vec::new();
        for folder in &paths {
            let Ok(entries) = fs::read_dir(folder) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(text) = name.to_str() else { continue };
                let is_hidden = text.starts_with('.') && !part.starts_with('.');
                if !is_hidden && spans(part.as_bytes(), text.as_bytes()) {
                    found.push(folder.join(text));
                }
            }
        }
        found.sort();
        found.truncate(MAX_FILES + 1);
        paths = found;
    }
    paths
}
