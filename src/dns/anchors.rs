//! Trust anchor files.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::files::pipe;
use crate::proto::chain::{AnchorError, Anchors};

/// Largest file that is read, in octets.
const MAX_FILE: u64 = 1024 * 1024;

/// Why a file gives no trust anchors.
#[derive(Debug, thiserror::Error)]
pub enum AnchorFileError {
    /// It cannot be read.
    #[error("cannot read {0}: {1}")]
    Io(PathBuf, std::io::Error),
    /// It holds something else.
    #[error("{0}: {1}")]
    Content(PathBuf, AnchorError),
    /// No file of keys is that long.
    #[error("{0} is larger than 1 MiB")]
    TooLarge(PathBuf),
}

/// Reads DNSKEY and DS lines from `path`; without one, the built-in root keys. `patience` is for one that is a pipe.
pub fn load(path: Option<&Path>, patience: Duration) -> Result<Anchors, AnchorFileError> {
    let Some(path) = path else { return Ok(Anchors::built_in()) };
    let io = |e| AnchorFileError::Io(path.into(), e);
    let mut octets = Vec::new();
    pipe::open(path, patience).map_err(io)?.take(MAX_FILE + 1).read_to_end(&mut octets).map_err(io)?;
    if octets.len() as u64 > MAX_FILE {
        return Err(AnchorFileError::TooLarge(path.into()));
    }
    // Octets that are no text can only stand where no anchor can.
    Anchors::from_text(&String::from_utf8_lossy(&octets))
        .map_err(|e| AnchorFileError::Content(path.into(), e))
}
