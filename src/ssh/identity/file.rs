//! A user's key in a file.

use crate::files::pipe;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key};
use rustix::process::geteuid;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::Ask;

/// Longest file that is read, in octets.
const MAX_FILE: u64 = 64 * 1024;
/// How often a passphrase is asked for, as ssh does.
const TRIES: usize = 3;

/// Why a file is no key to use.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be read.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// Others could have read the key.
    #[error("{path}: others can read this private key (mode {mode:04o})")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("{0}: {1}")]
    Content(PathBuf, &'static str),
}

impl IdentityError {
    /// There is no such file.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(_, error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Io(..) => "-i wants a private key, or a .pub file whose key ssh-agent holds".to_owned(),
            Self::Exposed { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Content(path, _) => format!("does ssh-keygen -y -f {} know it?", path.display()),
        }
    }
}

/// What a file holds, and the certificate beside it.
#[derive(Debug)]
pub(in super::super) struct Named {
    pub(super) path: PathBuf,
    pub(in super::super) public: PublicKey,
    pub(super) certificate: Option<Certificate>,
    /// Without one, the agent may hold it.
    pub(in super::super) private: Option<Arc<KeyFile>>,
}

/// A private key in a file.
pub(in super::super) struct KeyFile {
    pub(super) path: PathBuf,
    is_locked: bool,
    secret: Mutex<Secret>,
}

enum Secret {
    Open(Arc<PrivateKey>),
    /// The file's text; its passphrase is asked for once a server takes the key.
    Locked(Zeroizing<String>),
    /// Somebody was asked, or nobody was there, and it stays shut: why.
    Shut(String),
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyFile").field(&self.path).finish()
    }
}

impl Named {
    /// Reads `path`; where there is none but `path.pub`, that. A certificate stands beside it.
    pub(in super::super) fn read(path: &Path) -> Result<Self, IdentityError> {
        let (path, text, exposed) = match read(path) {
            Err(error) if error.is_absent() => {
                let public = with_suffix(path, ".pub");
                // The file that was named is the one to tell of.
                let (text, _) = read(&public).map_err(|_| error)?;
                (public, text, None)
            }
            outcome => outcome.map(|(text, exposed)| (path.to_owned(), text, exposed))?,
        };
        if !text.contains("PRIVATE KEY-----") {
            let no_key = |_| IdentityError::Content(path.clone(), "it holds no key");
            let key = PublicKey::from_openssh(&text).map_err(no_key)?;
            let name = path.to_string_lossy();
            let certificate = certificate(Path::new(name.strip_suffix(".pub").unwrap_or(&name)), &key)?;
            return Ok(Named { path, public: key, certificate, private: None });
        }
        if let Some(mode) = exposed {
            return Err(IdentityError::Exposed { path, mode });
        }
        let (public, secret) = match decode_secret_key(&text, None) {
            Ok(key) => (key.public_key().clone(), Secret::Open(Arc::new(key))),
            Err(_) => (locked(&path, &text)?, Secret::Locked(text)),
        };
        let certificate = certificate(&path, &public)?;
        Ok(Named { certificate, private: Some(Arc::new(KeyFile::new(&path, secret))), public, path })
    }

    /// A key that is at hand, and in no file.
    pub(super) fn of_key(key: &Arc<PrivateKey>) -> Self {
        let path = PathBuf::from("a key");
        let file = KeyFile::new(&path, Secret::Open(Arc::clone(key)));
        Named { path, public: key.public_key().clone(), certificate: None, private: Some(Arc::new(file)) }
    }
}

impl KeyFile {
    fn new(path: &Path, secret: Secret) -> Self {
        let is_locked = matches!(secret, Secret::Locked(_));
        KeyFile { path: path.to_owned(), is_locked, secret: Mutex::new(secret) }
    }

    /// Somebody will be asked for its passphrase.
    pub(in super::super) fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// The private key; else why it is not to be had. However many hosts want it, its passphrase is asked for
    /// once, and what came of it holds for all of them.
    pub(in super::super) async fn unlock(&self, ask: &dyn Ask) -> Result<Arc<PrivateKey>, String> {
        let mut secret = self.secret.lock().await;
        let text = match &*secret {
            Secret::Open(key) => return Ok(Arc::clone(key)),
            Secret::Locked(text) => text,
            Secret::Shut(why) => return Err(why.clone()),
        };
        let outcome = self.ask(text, ask).await;
        *secret = match &outcome {
            Ok(key) => Secret::Open(Arc::clone(key)),
            Err(why) => Secret::Shut(why.clone()),
        };
        outcome
    }

    async fn ask(&self, text: &str, ask: &dyn Ask) -> Result<Arc<PrivateKey>, String> {
        let file = self.path.display();
        for _ in 0..TRIES {
            let Some(passphrase) = ask.passphrase(&self.path).await else {
                return Err(format!(
                    "{file} is protected by a passphrase, and nobody is there to be asked: ssh-add {file}"
                ));
            };
            if let Ok(key) = decode_secret_key(text, Some(&passphrase)) {
                return Ok(Arc::new(key));
            }
        }
        Err(format!("{file}: that is not its passphrase"))
    }
}

/// The text of a file, and its mode if others can read it. As ssh: only what belongs to this user is its to mend.
fn read(path: &Path) -> Result<(Zeroizing<String>, Option<u32>), IdentityError> {
    let trouble = |error| IdentityError::Io(path.to_owned(), error);
    let file = pipe::open(path, pipe::PATIENCE).map_err(trouble)?;
    let (mode, owner) = (file.metadata().mode() & 0o7777, file.metadata().uid());
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE).read_to_string(&mut text).map_err(trouble)?;
    let is_exposed = owner == geteuid().as_raw() && mode & 0o077 != 0;
    Ok((text, is_exposed.then_some(mode)))
}

/// The public half of a private key that cannot be read without its passphrase.
fn locked(path: &Path, text: &str) -> Result<PublicKey, IdentityError> {
    let what = |what| IdentityError::Content(path.to_owned(), what);
    match PrivateKey::from_openssh(text) {
        Ok(key) if key.is_encrypted() => return Ok(key.public_key().clone()),
        // The older formats keep both halves under the passphrase.
        Err(_) if text.contains("ENCRYPTED") => {}
        _ => return Err(what("no private key that can be used")),
    }
    let (public, _) = read(&with_suffix(path, ".pub"))
        .map_err(|_| what("it is protected by a passphrase, and there is no .pub file beside it"))?;
    PublicKey::from_openssh(&public).map_err(|_| what("the .pub file beside it holds no key"))
}

/// A user certificate in a file of its own.
pub(super) fn certificate_in(path: &Path) -> Result<Certificate, IdentityError> {
    let (text, _) = read(path)?;
    Certificate::from_openssh(&text)
        .map_err(|_| IdentityError::Content(path.to_owned(), "it holds no certificate"))
}

/// The user certificate beside a key, if it is that key's.
fn certificate(path: &Path, key: &PublicKey) -> Result<Option<Certificate>, IdentityError> {
    let beside = with_suffix(path, "-cert.pub");
    let text = match read(&beside) {
        Ok((text, _)) => text,
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(error),
    };
    match Certificate::from_openssh(&text) {
        Ok(certificate) if certificate.public_key() == key.key_data() => Ok(Some(certificate)),
        Ok(_) => Err(IdentityError::Content(beside, "it certifies another key")),
        Err(_) => Err(IdentityError::Content(beside, "it holds no certificate")),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
