//! The file of a private host key while the key changes: the next one is made beside it and put into its place, and the
//! one before is kept until it is certain that nobody needs it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::decode_secret_key;
use russh::keys::ssh_key::LineEnding;
use zeroize::Zeroizing;

use super::hostkeys;
use super::keygen::{self, MakeError};
use crate::files;
use crate::files::pipe;
use crate::proto::hostkey::{HostKey, HostKeyError, KeyType};
use crate::run::{RunError, run};

/// Behind the name of a private key: the one that is to replace it.
pub const NEXT: &str = ".sshanchor-next";
/// Behind the name of a private key: the one that it has replaced.
pub const OLD: &str = ".sshanchor-old";
/// Longest private key, in octets: RSA of 16384 bits takes 12 KiB.
const MAX_FILE: u64 = 64 * 1024;
/// An RSA key that is smaller, in bits, gets a successor of ssh-keygen's own size.
const MIN_RSA: usize = 2048;
const RSA: usize = 3072;

/// A private host key's file, links followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKeyFile {
    path: PathBuf,
}

/// What went wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system said no.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It holds something else.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The key that is wanted is nowhere.
    #[error("the key that is to stand at {} is neither there nor beside it", .0.display())]
    Lost(PathBuf),
    /// No new key.
    #[error("cannot make a key: {0}")]
    Make(#[from] MakeError),
    /// ssh-keygen, which makes RSA keys.
    #[error("cannot make a key: {0}")]
    Keygen(#[from] RunError),
    /// It refused.
    #[error("cannot make a key: ssh-keygen {0}")]
    Refused(String),
}

/// A private key as it stands in a file, and its public half.
struct Pair {
    text: Zeroizing<String>,
    public: HostKey,
    comment: String,
}

impl HostKeyFile {
    /// The file at `path`, or where one is to be made.
    pub fn at(path: &Path) -> Self {
        HostKeyFile { path: fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key in it; none if there is no such file.
    pub fn key(&self) -> Result<Option<HostKey>, FileError> {
        Ok(read(&self.path)?.map(|pair| pair.public))
    }

    /// The public half beside it is not that of the key in it: a run was killed before it had put both into their places,
    /// or taken both away.
    pub fn is_half(&self) -> Result<bool, FileError> {
        let public = suffixed(&self.path, ".pub");
        Ok(match read(&self.path)? {
            Some(pair) => !holds(&public, &pair.public),
            None => public.exists(),
        })
    }

    /// The next key, beside it: of a type, and an RSA key of so many bits. Whatever was beside it goes.
    pub async fn make_next(
        &self,
        key_type: KeyType,
        bits: Option<usize>,
        patience: Duration,
    ) -> Result<HostKey, FileError> {
        let comment = match read(&self.path) {
            Ok(Some(pair)) => pair.comment,
            _ => "sshanchor".to_owned(),
        };
        let next = suffixed(&self.path, NEXT);
        let text = match key_type {
            KeyType::Rsa => self.rsa(bits, &comment, patience).await?,
            other => {
                let key = keygen::generate(other, &comment)?;
                key.to_openssh(LineEnding::LF).map_err(|e| MakeError::Key(e.to_string()))?
            }
        };
        let public = public_of(&text, &next)?;
        self.write(&next, &text)?;
        self.write_public(&next, &public, &comment)?;
        Ok(public)
    }

    /// Puts the key of which `is_wanted` holds into its place, wherever it is, keeping the present one beside; and the
    /// public half to it. May be done again after a crash at any point.
    pub fn bring(&self, is_wanted: impl Fn(&HostKey) -> bool) -> Result<(), FileError> {
        let present = read(&self.path)?;
        if let Some(pair) = present.as_ref().filter(|pair| is_wanted(&pair.public)) {
            return self.write_public(&self.path, &pair.public, &pair.comment);
        }
        let old = suffixed(&self.path, OLD);
        let (next, last) = (read(&suffixed(&self.path, NEXT))?, read(&old)?);
        let is_kept = |key: &HostKey| next.iter().chain(&last).any(|pair| pair.public == *key);
        // What an earlier rotation left there, whose state is lost, is none that this one could go back to.
        let is_free = last.as_ref().is_none_or(|last| !is_wanted(&last.public));
        let present = present.filter(|present| is_free && !is_kept(&present.public));
        let wanted = next.into_iter().chain(last).find(|pair| is_wanted(&pair.public));
        let wanted = wanted.ok_or_else(|| FileError::Lost(self.path.clone()))?;
        if let Some(present) = present {
            self.write_public(&old, &present.public, &present.comment)?;
            self.write(&old, &present.text)?;
        }
        self.write(&self.path, &wanted.text)?;
        crate::crash::may_crash("replace", "within");
        self.write_public(&self.path, &wanted.public, &wanted.comment)
    }

    /// Takes the key out of its place; a copy stays beside it.
    pub fn take_away(&self) -> Result<(), FileError> {
        remove(&self.path)?;
        remove(&suffixed(&self.path, ".pub"))
    }

    /// Does away with whatever is beside it, and with what a run that was killed has left there; true if that was a key
    /// that has been in use.
    pub fn settle(&self) -> Result<bool, FileError> {
        files::sweep(files::folder(&self.path));
        let was_used = suffixed(&self.path, OLD).exists();
        for suffix in [NEXT, OLD] {
            let beside = suffixed(&self.path, suffix);
            remove(&beside)?;
            remove(&suffixed(&beside, ".pub"))?;
        }
        Ok(was_used)
    }

    async fn rsa(
        &self,
        bits: Option<usize>,
        comment: &str,
        patience: Duration,
    ) -> Result<Zeroizing<String>, FileError> {
        let folder =
            tempfile::Builder::new().prefix(&files::temporary()).tempdir_in(files::folder(&self.path));
        let folder = folder.map_err(|error| FileError::Io { path: self.path.clone(), error })?;
        let file = folder.path().join("key");
        let bits = bits.filter(|bits| *bits >= MIN_RSA).unwrap_or(RSA).to_string();
        let arguments: [&OsStr; 12] = [
            "-q".as_ref(),
            "-t".as_ref(),
            "rsa".as_ref(),
            "-b".as_ref(),
            bits.as_ref(),
            // Host keys have no passphrase.
            "-N".as_ref(),
            "".as_ref(),
            "-C".as_ref(),
            comment.as_ref(),
            "-f".as_ref(),
            file.as_os_str(),
            "-a1".as_ref(),
        ];
        let ran = run(OsStr::new("ssh-keygen"), &arguments, b"", 64 * 1024, patience).await?;
        if let Some(why) = ran.failure() {
            return Err(FileError::Refused(why));
        }
        text(&file)?.ok_or_else(|| FileError::Refused("left no key".into()))
    }

    /// A private key, with the owner and mode of the one in place.
    fn write(&self, path: &Path, text: &str) -> Result<(), FileError> {
        let like = fs::metadata(&self.path).or_else(|_| fs::metadata(suffixed(&self.path, OLD))).ok();
        put(path, text.as_bytes(), 0o600, like.as_ref())
    }

    /// The public half of the key at `private`, beside it.
    fn write_public(&self, private: &Path, key: &HostKey, comment: &str) -> Result<(), FileError> {
        let path = suffixed(private, ".pub");
        let line = format!("{} {comment}", key.line());
        let line = format!("{}\n", line.trim_end());
        if holds(&path, key) {
            return Ok(());
        }
        let like = fs::metadata(suffixed(&self.path, ".pub")).ok();
        put(&path, line.as_bytes(), 0o644, like.as_ref())
    }
}

/// Whether the .pub file at `path` holds `key`.
fn holds(path: &Path, key: &HostKey) -> bool {
    pipe::read(path, MAX_FILE, pipe::PATIENCE)
        .is_ok_and(|there| HostKey::from_line(there.trim()).is_ok_and(|there| there == *key))
}

fn put(path: &Path, octets: &[u8], mode: u32, like: Option<&fs::Metadata>) -> Result<(), FileError> {
    let told = |error| FileError::Io { path: path.to_owned(), error };
    let folder = files::folder(path);
    let staged = files::staged(folder, octets, mode, like).map_err(told)?;
    staged.persist(path).map_err(|e| told(e.error))?;
    // The new name outlives a loss of power, where the system can do that.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::Io { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}

fn text(path: &Path) -> Result<Option<Zeroizing<String>>, FileError> {
    let told = |error| FileError::Io { path: path.to_owned(), error };
    let file = match pipe::open(path, pipe::PATIENCE) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(told)?,
    };
    let mut text = Zeroizing::new(String::with_capacity(MAX_FILE as usize));
    file.take(MAX_FILE).read_to_string(&mut text).map_err(told)?;
    Ok(Some(text))
}

/// The private key at `path`; of formats that are not read here, the public half is that beside it.
fn read(path: &Path) -> Result<Option<Pair>, FileError> {
    let Some(text) = text(path)? else { return Ok(None) };
    let beside = pipe::read(&suffixed(path, ".pub"), MAX_FILE, pipe::PATIENCE).unwrap_or_default();
    let comment = beside.trim().splitn(3, ' ').nth(2).unwrap_or_default().to_owned();
    let public = public_of(&text, path).or_else(|error| match text.contains("PRIVATE KEY-----") {
        true => match hostkeys::of_files(&[suffixed(path, ".pub")]).unwrap_or_default().into_iter().next() {
            Some(key) => Ok(key),
            None => Err(error),
        },
        false => Err(error),
    })?;
    Ok(Some(Pair { text, public, comment }))
}

fn public_of(text: &str, path: &Path) -> Result<HostKey, FileError> {
    let content = |why: String| FileError::Content { path: path.to_owned(), why };
    let key = decode_secret_key(text, None)
        .map_err(|_| content("it holds no private key that can be used".into()))?;
    let line = key.public_key().to_openssh().map_err(|e| content(e.to_string()))?;
    HostKey::from_line(&line).map_err(|e: HostKeyError| content(e.to_string()))
}

/// Whether what is at `path` is to replace another key.
pub fn is_next(path: &Path) -> bool {
    path.to_string_lossy().ends_with(NEXT)
}

/// `path` with more at its end.
pub fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn public(path: &Path) -> HostKey {
        HostKey::from_line(fs::read_to_string(suffixed(path, ".pub")).unwrap().trim()).unwrap()
    }

    #[tokio::test]
    async fn a_key_is_replaced_with_its_mode_and_its_public_half() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let file = HostKeyFile::at(&path);
        assert_eq!(file.key().unwrap(), None);
        let first = file.make_next(KeyType::Ed25519, None, PATIENCE).await.unwrap();
        file.bring(|key| *key == first).unwrap();
        assert_eq!(mode(&path), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(suffixed(&path, ".pub"), first.line() + " root@web1\n").unwrap();
        let next = file.make_next(KeyType::EcdsaP384, None, PATIENCE).await.unwrap();
        assert_eq!((next.key_type(), file.key().unwrap()), (KeyType::EcdsaP384, Some(first.clone())));
        file.bring(|key| *key == next).unwrap();
        file.bring(|key| *key == next).unwrap();
        assert_eq!((file.key().unwrap(), public(&path)), (Some(next.clone()), next.clone()));
        assert_eq!(
            (mode(&path), mode(&suffixed(&path, ".pub")), mode(&suffixed(&path, OLD))),
            (0o640, 0o644, 0o640)
        );
        assert!(fs::read_to_string(suffixed(&path, ".pub")).unwrap().ends_with(" root@web1\n"));
        // Back again, as long as it is not settled.
        file.bring(|key| *key == first).unwrap();
        assert_eq!(file.key().unwrap(), Some(first.clone()));
        file.bring(|key| *key == next).unwrap();
        // Killed between the two renames.
        fs::write(suffixed(&path, ".pub"), first.line()).unwrap();
        assert_eq!(file.key().unwrap(), Some(next.clone()));
        file.bring(|key| *key == next).unwrap();
        assert_eq!(public(&path), next);
        assert!(file.settle().unwrap());
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["key", "key.pub"]);
        assert!(matches!(file.bring(|key| *key == first), Err(FileError::Lost(_))));
        assert_eq!(file.key().unwrap(), Some(next));
    }

    #[tokio::test]
    async fn what_an_earlier_rotation_left_does_not_cost_the_key_in_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let file = HostKeyFile::at(&path);
        let mut keys = Vec::new();
        for _ in 0..3 {
            // The state was lost each time before the rotation was settled.
            let made = file.make_next(KeyType::Ed25519, None, PATIENCE).await.unwrap();
            file.bring(|key| *key == made).unwrap();
            keys.push(made);
        }
        assert_eq!(file.key().unwrap().as_ref(), keys.get(2));
        file.bring(|key| keys.get(1) == Some(key)).unwrap();
        assert_eq!(file.key().unwrap().as_ref(), keys.get(1), "given up: back to the one before");
    }

    #[tokio::test]
    async fn what_a_run_that_was_killed_has_left_half_done_is_seen_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let file = HostKeyFile::at(&path);
        assert!(!file.is_half().unwrap(), "there is nothing");
        let first = file.make_next(KeyType::Ed25519, None, PATIENCE).await.unwrap();
        file.bring(|key| *key == first).unwrap();
        let next = file.make_next(KeyType::Ed25519, None, PATIENCE).await.unwrap();
        assert!(!file.is_half().unwrap());
        // The private key was put into its place, and no more.
        fs::copy(suffixed(&path, NEXT), &path).unwrap();
        assert!(file.is_half().unwrap() && file.key().unwrap() == Some(next.clone()));
        file.bring(|key| *key == next).unwrap();
        assert!(!file.is_half().unwrap() && public(&path) == next);
        // It was taken away, and no more.
        fs::remove_file(&path).unwrap();
        assert!(file.is_half().unwrap());
        file.take_away().unwrap();
        assert!(!file.is_half().unwrap() && !suffixed(&path, ".pub").exists());
    }

    #[tokio::test]
    async fn an_rsa_key_gets_one_of_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = HostKeyFile::at(&folder.path().join("key"));
        let made = file.make_next(KeyType::Rsa, Some(2048), PATIENCE).await.unwrap();
        assert_eq!((made.key_type(), made.rsa_bits()), (KeyType::Rsa, Some(2048)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the key and its public half");
    }
}
