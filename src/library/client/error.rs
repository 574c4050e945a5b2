//! Why there is no connection, or no connection any more.

use std::fmt;

use crate::library::Refusal;
use crate::verifier::Unreachable;

/// Why there is no connection, or why it ended; `E` is the error of the handler inside.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E> {
    /// The host's key is not accepted. Nothing about a user was sent.
    Refused(Refusal),
    /// The host has no address, or none that answers.
    Unreachable(Unreachable),
    /// The key exchange, or what is proven of the host's key, did not come to an end in time.
    Timeout,
    /// russh ended the connection.
    Ssh(russh::Error),
    /// The handler inside ended it.
    Handler(E),
}

impl<E> Error<E> {
    /// Why the host's key is not accepted, if that is it.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

impl<E: From<russh::Error>> Error<E> {
    /// As an error of the handler inside, which knows no refusal of ours: that is russh's `UnknownKey`.
    pub fn into_handlers(self) -> E {
        match self {
            Self::Handler(error) => error,
            Self::Ssh(error) => error.into(),
            Self::Refused(_) => russh::Error::UnknownKey.into(),
            Self::Timeout => russh::Error::ConnectionTimeout.into(),
            Self::Unreachable(_) => russh::Error::Disconnect.into(),
        }
    }
}

impl<E> From<russh::Error> for Error<E> {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl<E> From<Refusal> for Error<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unreachable(unreachable) => unreachable.fmt(f),
            Self::Timeout => f.write_str("the key exchange did not come to an end in time"),
            Self::Ssh(error) => error.fmt(f),
            Self::Handler(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for Error<E> {}
