//! What can be in the way of a CA.

use std::io;
use std::path::{Path, PathBuf};

use crate::files;
use crate::ownership::{OpenError, Untrusted};
use crate::proto::hostkey::{HostKey, HostKeyError};
use crate::proto::issuance::{AuthorityError, NotIssued, Refusal};
use crate::ssh::identity::IdentityError;
use crate::ssh::keygen::MakeError;

/// Why a CA cannot be used, or does not do what is asked for.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// There is none.
    #[error("there is no CA in {}", .0.display())]
    Absent(PathBuf),
    /// There is one, and it is never overwritten.
    #[error("there is a CA in {} already", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Others could have written it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// Somebody else is at it.
    #[error("{} is locked by another process", .0.display())]
    Locked(PathBuf),
    /// The description is none, or would be none.
    #[error("{}: {}", .0.display(), .1)]
    Description(PathBuf, AuthorityError),
    /// The journal is not what this program writes.
    #[error("{} line {line}: {why}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// While somebody was asked for a passphrase, another key took over.
    #[error("the CA has rolled over meanwhile: {0} signs no more")]
    RolledOver(HostKey),
    /// It must not be signed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A key file cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A key of a type that no CA here can have.
    #[error("{}: {}", .0.display(), .1)]
    Key(PathBuf, HostKeyError),
    /// A public key where a private one is wanted.
    #[error("{} is a public key, and a CA in a file needs the private one", .0.display())]
    PublicFile(PathBuf),
    /// The file was replaced.
    #[error("{} does not hold the key {} of this CA", .0.display(), .1)]
    OtherKey(PathBuf, HostKey),
    /// Nobody knew the passphrase.
    #[error("{0}")]
    Passphrase(String),
    /// The key does not sign.
    #[error("{0} does not sign: {1}")]
    Sign(String, String),
    /// A key cannot be made or written down.
    #[error("the key cannot be made: {0}")]
    Make(String),
    /// SSH_AUTH_SOCK is not set.
    #[error("the CA's key is held by ssh-agent, and there is none (SSH_AUTH_SOCK is not set)")]
    NoSocket,
    /// Nobody answers there.
    #[error("no ssh-agent at {}: {}", .0.display(), .1)]
    NoAgent(PathBuf, String),
    /// The agent has other keys.
    #[error("ssh-agent does not hold the key {0}")]
    NotHeld(HostKey),
    /// It has the key, and does not sign.
    #[error("ssh-agent holds the key {0} and does not sign with it: {1}")]
    AgentRefuses(HostKey, String),
    /// What was signed is not what was to be signed; it does not leave.
    #[error("no certificate was issued: {0}")]
    NotIssued(#[from] NotIssued),
    /// The system has no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}

impl CaError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| CaError::Io { path: path.to_owned(), error }
    }

    pub(super) fn open(path: &Path) -> impl Fn(OpenError) -> Self {
        move |error| match error {
            OpenError::Untrusted(untrusted) => CaError::Untrusted(untrusted),
            OpenError::Io(error) => CaError::Io { path: path.to_owned(), error },
        }
    }

    /// A stable word for scripts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Absent(_) => "no-ca",
            Self::Exists(_) => "ca-exists",
            Self::Io { .. } => "io",
            Self::Untrusted(_) => "untrusted",
            Self::Locked(_) => "locked",
            Self::RolledOver(_) => "rolled-over",
            Self::Description(..) => "ca",
            Self::Journal { .. } => "journal",
            Self::Refused(refusal) => refusal.reason(),
            Self::Identity(_)
            | Self::Key(..)
            | Self::PublicFile(_)
            | Self::OtherKey(..)
            | Self::Passphrase(_)
            | Self::Sign(..)
            | Self::Make(_) => "ca-key",
            Self::NoSocket | Self::NoAgent(..) | Self::NotHeld(_) | Self::AgentRefuses(..) => "agent",
            Self::NotIssued(_) | Self::Random(_) => "not-issued",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Absent(_) => "make one: sshanchor ca init --domain example.com; or say where it is: --ca FOLDER".into(),
            Self::Exists(_) => "it stays as it is; make another one elsewhere: --ca FOLDER".into(),
            Self::Untrusted(untrusted) => untrusted.hint(),
            Self::Refused(refusal) | Self::Description(_, AuthorityError::Key(refusal)) => return refusal.hint(),
            Self::Identity(error) => match error {
                IdentityError::Exposed { .. } => error.hint(),
                _ => "a CA's key is a private key as ssh-keygen makes it, without -cert.pub beside it".into(),
            },
            Self::Key(_, HostKeyError::SecurityKey(_)) => {
                "let the token hold a plain key (PIV, PKCS#11: ssh-add -s), and use it by --agent".into()
            }
            Self::Key(..) => "make one: ssh-keygen -t ed25519 -f ca_key".into(),
            Self::PublicFile(_) => "name the private key; if ssh-agent holds it: --agent --public-key FILE".into(),
            Self::OtherKey(..) => "put the CA's key back in its place".into(),
            Self::Passphrase(_) => "without a terminal: --passphrase-file FILE".into(),
            Self::NoSocket => "eval $(ssh-agent), then ssh-add the CA's key (a token's: ssh-add -s PROVIDER.so)".into(),
            Self::NoAgent(..) => "is SSH_AUTH_SOCK right? ssh-add -l asks the same agent".into(),
            Self::NotHeld(_) => {
                "ssh-add -l tells what it holds; add the CA's key: ssh-add FILE, a token's: ssh-add -s PROVIDER.so".into()
            }
            Self::AgentRefuses(..) => "is the agent locked (ssh-add -X), or did it want a consent (ssh-add -c)?".into(),
            Self::RolledOver(_) => "try again: the new key signs".into(),
            Self::Locked(_) => "try again once the other sshanchor is done".into(),
            Self::Journal { path, .. } => {
                format!("nothing is signed on a journal that is spoilt: compare {} with a backup", path.display())
            }
            Self::Io { error, .. } => return files::remedy(error).map(str::to_owned),
            Self::Description(..)
            | Self::Sign(..)
            | Self::Make(_)
            | Self::NotIssued(_)
            | Self::Random(_) => return None,
        })
    }
}

impl From<MakeError> for CaError {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::Random(why) => Self::Random(why),
            other => Self::Make(other.to_string()),
        }
    }
}
