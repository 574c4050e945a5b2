//! Bundle files.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::{self, pipe};
use crate::proto::bundle::{Bundle, BundleError, MAX_BUNDLE};

/// Why a file gives no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleFileError {
    /// It cannot be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// It holds something else.
    #[error("{0}: {1}")]
    Content(PathBuf, BundleError),
}

/// Reads the bundle at `path`. Whoever wrote it: nothing in it is believed. `patience` is for one that is a pipe.
pub fn load(path: &Path, patience: Duration) -> Result<Bundle, BundleFileError> {
    let io = |e| BundleFileError::Io(path.into(), e);
    let content = |e| BundleFileError::Content(path.into(), e);
    let mut octets = Vec::new();
    pipe::open(path, patience)
        .map_err(io)?
        .take(MAX_BUNDLE as u64 + 1)
        .read_to_end(&mut octets)
        .map_err(io)?;
    if octets.len() > MAX_BUNDLE {
        return Err(content(BundleError::TooLarge));
    }
    let text = String::from_utf8(octets).map_err(|_| content(BundleError::Header))?;
    Bundle::from_text(&text).map_err(content)
}

/// Writes `bundle` to `path`, as a whole or not at all. What it holds is public, and the file can be read by
/// all. Links stay, and so do pipes and devices (see [`files::write`]).
pub fn save(bundle: &Bundle, path: &Path) -> Result<(), BundleFileError> {
    files::write(path, bundle.to_text().as_bytes()).map_err(|e| BundleFileError::Io(path.into(), e))
}
