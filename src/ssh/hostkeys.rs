//! Public host keys on disk: of named files, and of this machine's sshd.
//!
//! All that sshd has loaded are taken, those too that HostKeyAlgorithms keeps it from offering: a record that nobody asks
//! for does no harm, and a key that is hidden while it changes needs one.

mod pair;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;

use super::host_key_file::is_next;
use super::sshd::{Effective, Sshd, SshdError};
use crate::error::Error;
use crate::files::pipe;
use crate::proto::hostkey::{HostKey, HostKeyError};

/// Largest file, or standard input, that is read, in octets.
pub const MAX_FILE: u64 = 1024 * 1024;
/// What sshd says where it can load no host key.
const NO_KEYS: &str = "no hostkeys available";
/// Most files that includes may bring in, as OpenSSH bounds their depth.
const MAX_INCLUDES: usize = 256;

/// Keys, and what was passed over on the way to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKeys {
    /// The keys, each once, in the order they were found.
    pub keys: Vec<HostKey>,
    /// Keys of this machine that cannot be published; to be told of.
    pub skipped: Vec<Skipped>,
}

/// A host key of this machine that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// sshd lists it but it does not exist, so sshd does not offer it either.
    Missing(PathBuf),
    /// SSHFP has no number for it.
    Unsupported(PathBuf, HostKeyError),
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "host key {} does not exist: passed over", path.display()),
            Self::Unsupported(path, why) => write!(f, "{}: {why}: passed over", path.display()),
        }
    }
}

/// Why the keys are not known. Nothing is published on partial knowledge.
#[derive(Debug, thiserror::Error)]
pub enum HostKeysError {
    /// A file that cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A line that is no host key.
    #[error("{} line {line}: {error}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        error: HostKeyError,
    },
    /// A file without a key.
    #[error("{} holds no public key", .0.display())]
    Empty(PathBuf),
    /// A private key without its public half beside it.
    #[error("host key {} has no {}.pub beside it", .0.display(), .0.display())]
    NoPublicHalf(PathBuf),
    /// The public half is that of another key.
    #[error("{}.pub is not the public half of {}, which sshd offers", .0.display(), .0.display())]
    OtherKey(PathBuf),
    /// The private key ends in the middle.
    #[error("host key {} is not whole: sshd cannot load it", .0.display())]
    Damaged(PathBuf),
    /// This machine has no host key that can be published.
    #[error("found no host key of this machine that can be published")]
    None,
}

/// What to do about keys that cannot be had.
impl From<HostKeysError> for Error {
    fn from(error: HostKeysError) -> Self {
        match &error {
            HostKeysError::Unreadable { error: io, path } => {
                let told = Error::failure("host-key-file", &error);
                match io.kind() {
                    std::io::ErrorKind::TimedOut => told.hint("is it a pipe that nobody writes to?"),
                    std::io::ErrorKind::PermissionDenied => told.hint(format!(
                        "nothing is done on partial knowledge: make {} readable, or run this as root",
                        path.display()
                    )),
                    _ => told.hint("give public key files: /etc/ssh/ssh_host_ed25519_key.pub and its like"),
                }
            }
            HostKeysError::Key { path, .. } => {
                let told = Error::usage("host-key", &error);
                match path.to_str().and_then(|path| path.strip_suffix(".pub")) {
                    Some(private) if Path::new(private).is_file() => told.hint(format!(
                        "if it is not whole, make it anew from the private key: ssh-keygen -y -f {private} > {private}.pub"
                    )),
                    _ => told,
                }
            }
            HostKeysError::Empty(_) => Error::usage("host-key", error)
                .hint("a line is TYPE BASE64 [COMMENT], as in /etc/ssh/ssh_host_ed25519_key.pub"),
            HostKeysError::NoPublicHalf(path) => Error::failure("host-key-file", &error)
                .hint(format!("make it: ssh-keygen -y -f {0} > {0}.pub", path.display())),
            HostKeysError::OtherKey(path) => Error::failure("key-mismatch", &error).hint(format!(
                "was the key replaced, and its .pub file left? Make it anew: ssh-keygen -y -f {0} > {0}.pub",
                path.display()
            )),
            HostKeysError::Damaged(path) => Error::failure("host-key-file", &error).hint(format!(
                "was it copied in part, or the disk full? Bring it back, or remove it and make another: rm {0} {0}.pub; \
                 ssh-keygen -A",
                path.display()
            )),
            HostKeysError::None => Error::failure("no-host-keys", &error)
                .hint("make host keys (ssh-keygen -A), or name public key files: --host-key FILE"),
        }
    }
}

/// The keys of these public key files, in their order, each once. Every one of them has to be good.
pub fn of_files(paths: &[PathBuf]) -> Result<Vec<HostKey>, HostKeysError> {
    let mut keys = Vec::new();
    for path in paths {
        add(&mut keys, public_keys(path)?);
    }
    Ok(keys)
}

/// The same of a server's own: where the private key lies beside one, and can be read, it has to be the other half.
pub fn of_own_files(paths: &[PathBuf]) -> Result<Vec<HostKey>, HostKeysError> {
    let mut keys = Vec::new();
    for path in paths {
        let found = public_keys(path)?;
        if path.extension().is_some_and(|extension| extension == "pub") {
            pair::check(&path.with_extension(""), &found)?;
        }
        add(&mut keys, found);
    }
    Ok(keys)
}

/// The keys of some text: public key lines; or, if it has lines `hostkey PATH` as `sshd -T` and
/// sshd_config have them, the keys at those paths. `source` names the text in errors.
pub fn of_text(text: &str, source: &Path) -> Result<HostKeys, HostKeysError> {
    let paths = Config::parse(text).host_keys;
    if !paths.is_empty() {
        return of_private_paths(&paths);
    }
    let mut keys = Vec::new();
    add(&mut keys, read_keys(text, source)?);
    Ok(HostKeys { keys, skipped: Vec::new() })
}

/// Where sshd's configuration lives.
pub const FOLDER: &str = "/etc/ssh";

/// The keys that this machine's sshd offers, by what it says of itself ([`ask_sshd`]); where it said nothing (it needs
/// root), by its configuration below `/etc/ssh`.
pub fn of_sshd(effective: Option<&Effective>) -> Result<HostKeys, HostKeysError> {
    match effective {
        Some(effective) => of_private_paths(&effective.host_keys),
        None => of_configuration(Path::new(FOLDER)),
    }
}

/// `sshd -T` prints the configuration in force, its own or that of `config`, host keys among it. None where it does not
/// run, or names no keys.
pub async fn ask_sshd(config: Option<&Path>, patience: Duration) -> Option<Effective> {
    match Sshd::find(config).ok()?.effective(patience).await {
        Ok(effective) => Some(effective).filter(|effective| !effective.host_keys.is_empty()),
        // It can read all that there are, and there are none: another configuration's keys are not this machine's.
        Err(SshdError::Refused { why, .. }) if why.contains(NO_KEYS) && geteuid().is_root() => {
            Some(Effective::default())
        }
        Err(_) => None,
    }
}

/// As sshd would find them in `folder`: HostKey lines of sshd_config and what it includes, else
/// `ssh_host_*_key.pub`.
fn of_configuration(folder: &Path) -> Result<HostKeys, HostKeysError> {
    let mut paths = Vec::new();
    let mut to_read = vec![folder.join("sshd_config")];
    let mut read = BTreeSet::new();
    while let Some(path) = to_read.pop() {
        // Files that include each other end here; endlessly many others must not end in a part of the keys.
        if !read.insert(path.clone()) {
            continue;
        }
        if read.len() > MAX_INCLUDES {
            let error = io::Error::other(format!("it is more than the {MAX_INCLUDES} files that are read"));
            return Err(HostKeysError::Unreadable { path, error });
        }
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(HostKeysError::Unreadable { path, error }),
        };
        let config = Config::parse(&text);
        paths.extend(config.host_keys);
        for pattern in config.includes.iter().rev() {
            to_read.extend(matching_files(&folder.join(pattern))?.into_iter().rev());
        }
    }
    if !paths.is_empty() {
        return of_private_paths(&paths);
    }
    let defaults = matching_files(&folder.join("ssh_host_*_key.pub"))?;
    let defaults: Vec<PathBuf> = defaults.iter().map(|p| p.with_extension("")).collect();
    of_private_paths(&defaults)
}

/// What matters here of sshd_config(5).
#[derive(Debug, Default, PartialEq, Eq)]
struct Config {
    host_keys: Vec<PathBuf>,
    includes: Vec<String>,
}

impl Config {
    /// Keywords in any case, an optional `=`, optional quotes; HostKey cannot stand below Match.
    fn parse(text: &str) -> Self {
        let mut config = Config::default();
        for line in text.lines().map(str::trim) {
            let (keyword, value) = line.split_at(line.find([' ', '\t', '=']).unwrap_or(line.len()));
            let value = value.trim_start_matches([' ', '\t', '=']).trim();
            match keyword.to_ascii_lowercase().as_str() {
                "hostkey" if !value.is_empty() => config.host_keys.push(value.trim_matches('"').into()),
                "include" => {
                    config.includes.extend(value.split_ascii_whitespace().map(|v| v.trim_matches('"').into()))
                }
                "match" => break,
                _ => {}
            }
        }
        config
    }
}

/// Files whose last component matches, sorted; `*` stands for any characters. Other patterns of glob(7) are an
/// error: taken literally they would leave files out.
fn matching_files(pattern: &Path) -> Result<Vec<PathBuf>, HostKeysError> {
    let (Some(folder), Some(wanted)) = (pattern.parent(), pattern.file_name().and_then(|n| n.to_str()))
    else {
        return Ok(Vec::new());
    };
    let text = pattern.to_string_lossy();
    if text.contains(['?', '[']) || folder.to_string_lossy().contains('*') {
        let error = io::Error::other("this pattern is not understood here");
        return Err(HostKeysError::Unreadable { path: pattern.to_owned(), error });
    }
    if !wanted.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    let unreadable = |error| HostKeysError::Unreadable { path: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        if name.to_str().is_some_and(|name| !name.starts_with('.') && matches(wanted, name)) {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// A name against a pattern in which `*` stands for any characters.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest)))
        }),
    }
}

/// The public halves of private host keys. One that is to replace another some day is none yet.
pub fn of_private_paths(paths: &[PathBuf]) -> Result<HostKeys, HostKeysError> {
    let mut found = HostKeys::default();
    for path in paths.iter().filter(|path| !is_next(path)) {
        match of_private_path(path) {
            Ok(keys) => add(&mut found.keys, keys),
            Err(NotOne::Skip(skipped)) => found.skipped.push(skipped),
            Err(NotOne::Fail(error)) => return Err(error),
        }
    }
    if found.keys.is_empty() {
        let unsupported = found.skipped.into_iter().find_map(|skipped| match skipped {
            Skipped::Unsupported(path, error) => Some(HostKeysError::Key { path, line: 1, error }),
            Skipped::Missing(_) => None,
        });
        return Err(unsupported.unwrap_or(HostKeysError::None));
    }
    Ok(found)
}

enum NotOne {
    Skip(Skipped),
    Fail(HostKeysError),
}

fn of_private_path(path: &Path) -> Result<Vec<HostKey>, NotOne> {
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    let keys = match public_keys(&public) {
        Err(HostKeysError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            match public_keys(path) {
                // With HostKeyAgent the path itself is a public key (sshd_config(5)).
                Ok(keys) => Ok(keys),
                Err(HostKeysError::Unreadable { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(NotOne::Skip(Skipped::Missing(path.to_owned())));
                }
                Err(_) => Err(HostKeysError::NoPublicHalf(path.to_owned())),
            }
        }
        keys => keys.and_then(|keys| pair::check(path, &keys).map(|()| keys)),
    };
    keys.map_err(|error| match error {
        HostKeysError::Key {
            path,
            error:
                error @ (HostKeyError::SecurityKey(_)
                | HostKeyError::Certificate(_)
                | HostKeyError::Unsupported(_)),
            ..
        } => NotOne::Skip(Skipped::Unsupported(path, error)),
        error => NotOne::Fail(error),
    })
}

fn public_keys(path: &Path) -> Result<Vec<HostKey>, HostKeysError> {
    let text = read_text(path).map_err(|error| HostKeysError::Unreadable { path: path.to_owned(), error })?;
    read_keys(&text, path)
}

fn read_keys(text: &str, path: &Path) -> Result<Vec<HostKey>, HostKeysError> {
    match HostKey::from_text(text) {
        Ok(keys) if keys.is_empty() => Err(HostKeysError::Empty(path.to_owned())),
        Ok(keys) => Ok(keys),
        Err((line, error)) => Err(HostKeysError::Key { path: path.to_owned(), line, error }),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    pipe::read(path, MAX_FILE, pipe::PATIENCE)
}

/// Adds those that are not there yet.
pub fn add(keys: &mut Vec<HostKey>, more: Vec<HostKey>) {
    for key in more {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
}

#[cfg(test)]
mod tests;
