//! Who may write a file that decides whom to trust, or that speaks for this machine.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::ownership::{self, Untrusted};
use crate::proto::doctor::Finding;

/// What is wrong with the owner or the mode of a file that says whom to trust, or of its folder; nothing where that cannot
/// be told. Links are followed: what counts is who can change what is read in the end.
pub(super) fn exposed(path: &Path) -> Vec<Finding> {
    changeable(path, "whom this machine trusts")
}

/// The same of a file that says something else.
pub(super) fn changeable(path: &Path, what: &str) -> Vec<Finding> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let both = [Some(real.as_path()), real.parent()].into_iter().flatten();
    both.filter_map(|place| judge(place, &fs::metadata(place).ok()?, what)).collect()
}

fn judge(place: &Path, metadata: &fs::Metadata, what: &str) -> Option<Finding> {
    const STICKY: u32 = 0o1000;
    let untrusted = ownership::check(place, metadata).err()?;
    let check = match &untrusted {
        // In a sticky folder nobody replaces the files of others.
        Untrusted::Exposed { .. } if metadata.is_dir() && metadata.mode() & STICKY != 0 => return None,
        Untrusted::Exposed { .. } => "file-mode",
        _ => "file-owner",
    };
    let message = format!("others can change {what}: {untrusted}");
    Some(Finding::warning(check, place.display(), message).remedy(untrusted.hint()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn checks(path: &Path) -> Vec<&'static str> {
        exposed(path).into_iter().map(|finding| finding.check).collect()
    }

    #[test]
    fn files_and_folders_that_others_may_write_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("root.anchor");
        fs::write(&file, "").unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (file_mode, folder_mode, want) in [
            (0o600, 0o700, &[][..]),
            (0o644, 0o755, &[]),
            (0o664, 0o755, &["file-mode"]),
            (0o646, 0o700, &["file-mode"]),
            (0o644, 0o777, &["file-mode"]),
            (0o644, 0o1777, &[]),
            (0o666, 0o775, &["file-mode", "file-mode"]),
        ] {
            mode(&file, file_mode);
            mode(folder.path(), folder_mode);
            assert_eq!(checks(&file), want, "{file_mode:o} in {folder_mode:o}");
        }
    }

    #[test]
    fn a_link_counts_by_what_it_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(checks(&link), ["file-mode"]);
        assert_eq!(checks(&folder.path().join("missing")), Vec::<&str>::new());
    }
}
