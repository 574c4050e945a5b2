//! What this machine has: its sshd, its host keys, and the place for a drop-in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::error::Error;
use crate::proto::hostkey::{HostKey, KeyType};
use crate::proto::rotation::{Digest, Held};
use crate::ssh::host_key_file::{FileError, HostKeyFile, NEXT, is_next, suffixed};
use crate::ssh::hostkeys;
use crate::ssh::sshd::drop_in::{DropInError, algorithms};
use crate::ssh::sshd::{Effective, Sshd, SshdError};

/// sshd as it is configured now, and its keys.
#[derive(Debug)]
pub struct Host {
    /// What `sshd -T` says.
    pub effective: Effective,
    /// Its host keys that can be rotated, in its order.
    pub keys: Vec<(HostKeyFile, HostKey)>,
}

impl Host {
    /// Asks sshd and reads the keys.
    pub async fn read(sshd: &Sshd, patience: Duration) -> Result<Self, Error> {
        let effective = sshd.effective(patience).await.map_err(sshd_error)?;
        let mut keys: Vec<(HostKeyFile, HostKey)> = Vec::new();
        for path in effective.host_keys.iter().filter(|path| !is_next(path)) {
            let file = HostKeyFile::at(path);
            // One that cannot be read here is not rotated; whether it is published the publisher says.
            if let Ok(Some(key)) = file.key()
                && !keys.iter().any(|(other, _)| *other == file)
            {
                keys.push((file, key));
            }
        }
        Ok(Host { effective, keys })
    }

    /// The types of its keys, each once.
    pub fn types(&self) -> Vec<KeyType> {
        let mut types = Vec::new();
        for (_, key) in &self.keys {
            if !types.contains(&key.key_type()) {
                types.push(key.key_type());
            }
        }
        types
    }

    /// Those of them that sshd_config lets it offer.
    pub fn offered(&self) -> Vec<KeyType> {
        let allows = |key_type: &KeyType| {
            let names = algorithms(*key_type);
            self.effective.algorithms.iter().any(|name| names.contains(name))
        };
        self.types().into_iter().filter(allows).collect()
    }

    /// The key of this type, which has to be the only one.
    pub fn of_type(&self, key_type: KeyType) -> Result<&(HostKeyFile, HostKey), Error> {
        let mut of_type = self.keys.iter().filter(|(_, key)| key.key_type() == key_type);
        match (of_type.next(), of_type.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Error::usage("no-such-key", format!("sshd has no host key of type {key_type}"))
                .hint(format!("it has: {}", list(&self.types())))),
            (Some((one, _)), Some((other, _))) => {
                let (one, other) = (one.path().display(), other.path().display());
                let message = format!("sshd has two host keys of type {key_type}: {one} and {other}");
                Err(Error::usage("two-keys", message)
                    .hint("it shows the first alone: take the other out of its configuration"))
            }
        }
    }

    /// The keys that are published, but for those at these paths.
    pub fn others(&self, changing: &BTreeSet<PathBuf>) -> Result<BTreeSet<Digest>, Error> {
        let paths = self.effective.host_keys.iter();
        let others: Vec<PathBuf> =
            paths.filter(|path| !changing.contains(HostKeyFile::at(path).path())).cloned().collect();
        match hostkeys::of_private_paths(&others) {
            Ok(found) => Ok(found.keys.iter().map(HostKey::sha256).collect()),
            Err(hostkeys::HostKeysError::None) => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// sshd is configured to tell of a key that is to come.
    pub fn tells_next(&self) -> bool {
        self.effective.host_keys.iter().any(|path| is_next(path))
    }

    /// The keys that are published.
    pub fn published(&self) -> Result<Vec<HostKey>, Error> {
        Ok(hostkeys::of_private_paths(&self.effective.host_keys)?.keys)
    }

    /// The keys with the times of their files.
    pub fn held(&self) -> Vec<Held> {
        let since = |path: &Path| {
            let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
            modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |span| span.as_secs())
        };
        let held = |(file, key): &(HostKeyFile, HostKey)| Held {
            key_type: key.key_type(),
            digest: key.sha256(),
            since: since(file.path()),
        };
        self.keys.iter().map(held).collect()
    }

    /// Where a key of a type that the host does not have is to stand.
    pub fn place_for(&self, key_type: KeyType) -> Result<PathBuf, Error> {
        let name = match key_type {
            KeyType::Rsa => "ssh_host_rsa_key",
            KeyType::Ed25519 => "ssh_host_ed25519_key",
            _ => "ssh_host_ecdsa_key",
        };
        let listed = self.effective.host_keys.iter().find(|path| path.ends_with(name));
        let beside = || Some(self.keys.first()?.0.path().with_file_name(name));
        let path = listed.cloned().or_else(beside);
        let path = path.ok_or_else(|| Error::usage("no-host-keys", "sshd has no host key"))?;
        match path.exists() {
            true => {
                let message = format!("{} is there, and holds no key of type {key_type}", path.display());
                Err(Error::usage("no-place", message).hint("move it away"))
            }
            false => Ok(path),
        }
    }

    /// Host certificates of the key at `path`.
    pub fn certificates(&self, path: &Path) -> Vec<PathBuf> {
        let own = suffixed(path, "-cert.pub");
        let is_own = |certificate: &&PathBuf| {
            **certificate == own || fs::canonicalize(certificate).is_ok_and(|c| c == own)
        };
        self.effective.host_certificates.iter().filter(is_own).cloned().collect()
    }
}

/// sshd_config names its host keys, so that what stands in front adds to them.
pub async fn is_explicit(sshd: &Sshd, host: &Host, patience: Duration) -> Result<bool, Error> {
    let Some((file, _)) = host.keys.first() else { return Ok(false) };
    let first = format!("HostKey={}", file.path().display());
    let effective = sshd.effective_with(&[first], patience).await.map_err(sshd_error)?;
    Ok(effective.host_keys.len() > 1)
}

fn list(types: &[KeyType]) -> String {
    types.iter().map(|key_type| key_type.name()).collect::<Vec<_>>().join(", ")
}

/// What to do about an sshd that does not answer.
pub fn sshd_error(error: SshdError) -> Error {
    let told = Error::failure("sshd", &error);
    match &error {
        SshdError::Missing => told.hint("install it, or run this where it is"),
        SshdError::Refused { option: "-T", .. } => told.hint(
            "run this as root, who can read the host keys; sshd -t says what is wrong with the configuration",
        ),
        SshdError::Refused { .. } => {
            told.hint("mend sshd's configuration: sshd -t says what is wrong with it")
        }
        SshdError::Run(_) => told,
    }
}

pub(super) fn drop_in_error(error: DropInError) -> Error {
    match &error {
        DropInError::NoInclude(path) => Error::usage("no-include", &error).hint(format!(
            "put this line at the top of {}: Include /etc/ssh/sshd_config.d/*.conf; or, where no client goes by \
             VerifyHostKeyDNS: --overlap",
            path.display()
        )),
        DropInError::Io { .. } => Error::failure("sshd-config", &error).hint("run this as root; --sshd-config FILE names another"),
    }
}

pub(super) fn file_error(error: FileError) -> Error {
    let told = Error::failure("host-key-file", &error);
    match error {
        FileError::Io { .. } => told.hint("run this as root"),
        FileError::Lost(path) => told.hint(format!(
            "put it back from a backup as {0}{NEXT}, or give the rotation up: sshanchor rotate --abort",
            path.display()
        )),
        FileError::Content { .. } => told.hint("does ssh-keygen -y -f know it?"),
        FileError::Make(_) | FileError::Keygen(_) | FileError::Refused(_) => told,
    }
}
