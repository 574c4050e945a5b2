//! Bundle files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

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

/// Reads the bundle at `path`. Whoever wrote it: nothing in it is believed.
pub fn load(path: &Path) -> Result<Bundle, BundleFileError> {
    let io = |e| BundleFileError::Io(path.into(), e);
    let content = |e| BundleFileError::Content(path.into(), e);
    let mut octets = Vec::new();
    File::open(path).map_err(io)?.take(MAX_BUNDLE as u64 + 1).read_to_end(&mut octets).map_err(io)?;
    if octets.len() > MAX_BUNDLE {
        return Err(content(BundleError::TooLarge));
    }
    let text = String::from_utf8(octets).map_err(|_| content(BundleError::Header))?;
    Bundle::from_text(&text).map_err(content)
}

/// Writes `bundle` to `path`, as a whole or not at all. What it holds is public, and the file can be read by
/// all. A link stays, and the file that it leads to is replaced; a pipe or a device is written to, for in its place a
/// file would be no use, and as root a disaster.
pub fn save(bundle: &Bundle, path: &Path) -> Result<(), BundleFileError> {
    // The error of a temporary file names that file, which nobody asked for.
    let plain = |e: io::Error| match e.get_ref() {
        Some(_) => e.kind().into(),
        None => e,
    };
    let io = |e| BundleFileError::Io(path.into(), plain(e));
    let text = bundle.to_text();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => fs::canonicalize(path).and_then(|path| replace(&path, &text)),
        Ok(_) => {
            OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()))
        }
        Err(_) => replace(path, &text),
    }
    .map_err(io)
}

/// Puts a new file at `path`, or in the place of the one that is there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, symlink};

    use super::*;

    #[test]
    fn files_are_replaced_and_what_is_no_file_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("fleet.bundle"), folder.path().join("link"));
        let (old, new) = (Bundle::new(Vec::new(), 1), Bundle::new(Vec::new(), 2));
        save(&old, &file).unwrap();
        symlink(&file, &link).unwrap();
        save(&new, &link).unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), new.to_text());
        assert!(save(&new, folder.path()).is_err(), "a folder");
        assert!(save(&new, &folder.path().join("no/file")).is_err());

        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe).unwrap()
        });
        save(&new, &pipe).unwrap();
        assert_eq!(reader.join().unwrap(), new.to_text());
        assert!(pipe.metadata().unwrap().file_type().is_fifo());
    }
}
