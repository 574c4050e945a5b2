//! known_hosts files that are looked at.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::files::{Original, ReplaceError};
use crate::proto::tidy::{self, Line};

/// Largest file that is read, in octets: some hundred thousand keys.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A file as it was read.
#[derive(Debug)]
pub(super) struct KnownHosts {
    /// Its path, as it was given.
    pub(super) shown: String,
    original: Original,
}

impl KnownHosts {
    /// None if there is no such file, or something else in its place.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Error> {
        let shown = path.display().to_string();
        let original = Original::read(path, MAX_FILE)
            .map_err(|e| Error::failure("known-hosts-file", format!("cannot read {shown}: {e}")))?;
        Ok(original.map(|original| KnownHosts { shown, original }))
    }

    pub(super) fn lines(&self) -> Vec<Line<'_>> {
        tidy::lines(self.original.octets())
    }

    pub(super) fn octets(&self) -> &[u8] {
        self.original.octets()
    }

    /// Puts `octets` in its place; gives the path under which it stays as it was.
    pub(super) fn replace(&self, octets: &[u8]) -> Result<PathBuf, Error> {
        let suffix = format!(".sshanchor-{}", moment(crate::verifier::now()));
        self.original.replace(octets, &suffix).map_err(|e| {
            let told = Error::failure("known-hosts-file", format!("{}: {e}; it is as it was", self.shown));
            match e {
                ReplaceError::Changed => told.hint("is ssh adding hosts? run this again"),
                ReplaceError::Io(_) => told,
            }
        })
    }
}

/// 20261122T051500Z.
fn moment(seconds: u64) -> String {
    let text = crate::output::rfc3339(seconds).unwrap_or_else(|| seconds.to_string());
    text.replace(['-', ':'], "")
}

/// Files by several names are one.
pub(super) fn each_once(
    files: impl Iterator<Item = Result<KnownHosts, Error>>,
) -> Result<Vec<KnownHosts>, Error> {
    let mut all: Vec<KnownHosts> = Vec::new();
    for file in files {
        let file = file?;
        if !all.iter().any(|there| there.original.is_same_file(&file.original)) {
            all.push(file);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    #[test]
    fn moments_fit_into_file_names() {
        assert_eq!(super::moment(1_795_219_200), "20261121T000000Z");
    }
}
