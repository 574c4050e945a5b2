//! The path by which ssh is to start this program.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The absolute path of this program: as it was started, if that leads to it, for the name in PATH may outlive the
/// file that it is a link to.
pub(super) fn this_program() -> Result<PathBuf, Error> {
    let real = std::env::current_exe()
        .map_err(|e| Error::failure("io", format!("cannot tell where this program is: {e}")))?;
    let typed = std::env::args_os().next().unwrap_or_default();
    Ok(as_typed(&typed, &std::env::var_os("PATH").unwrap_or_default(), &real).unwrap_or(real))
}

fn as_typed(typed: &OsStr, path: &OsStr, real: &Path) -> Option<PathBuf> {
    let typed = Path::new(typed);
    let id = |path: &Path| fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let found = match typed.components().count() {
        1 => std::env::split_paths(path).map(|folder| folder.join(typed)).find(|file| file.is_file())?,
        _ => std::path::absolute(typed).ok()?,
    };
    (found.is_absolute() && id(&found) == id(real)).then_some(found)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_name_in_path_is_kept_where_it_leads_here() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("store-1.0"), folder.path().join("sshanchor"));
        fs::write(&real, "").unwrap();
        symlink(&real, &link).unwrap();
        let path = std::env::join_paths([Path::new("/nonexistent"), folder.path()]).unwrap();
        let found = |typed: &str| as_typed(OsStr::new(typed), &path, &real);
        assert_eq!(found("sshanchor"), Some(link.clone()));
        assert_eq!(found(link.to_str().unwrap()), Some(link));
        assert_eq!(found("store-2.0"), None);
        assert_eq!(found("/bin/sh"), None, "somebody else's name");
    }
}
