//! A file of sshd's configuration that is this program's alone, in front of all others: for a while it says which host key
//! algorithms sshd offers, and which host keys it tells of.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::files;
use crate::files::pipe;
use crate::proto::certificate::SUFFIX;
use crate::proto::hostkey::KeyType;
use crate::ssh::hostkeys::matches;

/// The file that is there while a key changes. In front: sshd takes the first value that it meets.
const NAME: &str = "00-sshanchor.conf";
/// The file that stays where sshd_config names its HostKeys and a host got one more type.
const KEYS: &str = "01-sshanchor-keys.conf";
/// Where sshd looks where nobody says otherwise; and for files that are included by a relative path.
const FOLDER: &str = "/etc/ssh";
/// Largest file that is read, in octets.
const MAX_FILE: u64 = 1024 * 1024;

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropIn {
    folder: PathBuf,
}

/// What it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// Host keys, in front of those of sshd_config.
    pub host_keys: Vec<PathBuf>,
    /// What sshd offers, and nothing else; none means as sshd_config has it.
    pub algorithms: Option<Vec<String>>,
}

/// Why there is no place for it.
#[derive(Debug, thiserror::Error)]
pub enum DropInError {
    /// A file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// sshd_config includes no folder before a Match block.
    #[error("{} includes no folder of configuration files", .0.display())]
    NoInclude(PathBuf),
}

impl DropIn {
    /// Beside the files that sshd's configuration includes: `config`, or the usual one.
    pub fn find(config: Option<&Path>) -> Result<Self, DropInError> {
        let path = config.map_or_else(|| Path::new(FOLDER).join("sshd_config"), Path::to_owned);
        let read = pipe::read(&path, MAX_FILE, pipe::PATIENCE);
        let text = read.map_err(|error| DropInError::Io { path: path.clone(), error })?;
        match included(&text) {
            Some(folder) => Ok(DropIn { folder }),
            None => Err(DropInError::NoInclude(path)),
        }
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    /// What the file holds; none if there is none.
    pub fn read(&self) -> Result<Option<String>, DropInError> {
        let path = self.path();
        match pipe::read(&path, MAX_FILE, pipe::PATIENCE) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DropInError::Io { path, error }),
        }
    }

    /// Writes the file, or removes it.
    pub fn put(&self, text: Option<&str>) -> Result<(), DropInError> {
        put(&self.path(), text)
    }

    /// Names a host key for good.
    pub fn keep(&self, host_key: &Path) -> Result<(), DropInError> {
        let content = Content { host_keys: vec![host_key.to_owned()], algorithms: None };
        let about =
            "# Written by sshanchor rotate: a host key of another type, which serves while one is rotated.\n";
        put(&self.folder.join(KEYS), Some(&(about.to_owned() + &content.lines())))
    }

    /// Takes that back.
    pub fn keep_none(&self) -> Result<(), DropInError> {
        put(&self.folder.join(KEYS), None)
    }
}

fn put(path: &Path, text: Option<&str>) -> Result<(), DropInError> {
    let outcome = match text {
        Some(text) => files::write(path, text.as_bytes()),
        None => match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        },
    };
    outcome.map_err(|error| DropInError::Io { path: path.to_owned(), error })?;
    // Its name outlives a loss of power, where the system can do that.
    let _ = fs::File::open(files::folder(path)).and_then(|folder| folder.sync_all());
    Ok(())
}

impl Content {
    /// As it stands in the file.
    pub fn text(&self) -> String {
        let about = "# Written by sshanchor rotate, which takes it away again: a host key changes.\n";
        about.to_owned() + &self.lines()
    }

    fn lines(&self) -> String {
        let mut text = String::new();
        for key in &self.host_keys {
            let _ = writeln!(text, "HostKey \"{}\"", key.display());
        }
        if let Some(algorithms) = &self.algorithms {
            let _ = writeln!(text, "HostKeyAlgorithms {}", algorithms.join(","));
        }
        text
    }
}

/// The first folder from which sshd_config includes a file of our name, in front of its Match blocks.
fn included(text: &str) -> Option<PathBuf> {
    for line in text.lines().map(str::trim) {
        let (keyword, value) = line.split_at(line.find([' ', '\t', '=']).unwrap_or(line.len()));
        if keyword.eq_ignore_ascii_case("match") {
            return None;
        }
        if !keyword.eq_ignore_ascii_case("include") {
            continue;
        }
        let values = value.trim_start_matches([' ', '\t', '=']).split_ascii_whitespace();
        for pattern in values.map(|value| Path::new(FOLDER).join(value.trim_matches('"'))) {
            let name = pattern.file_name().and_then(|name| name.to_str());
            let folder = pattern.parent().filter(|folder| folder.is_dir());
            if let (Some(name), Some(folder)) = (name, folder)
                && matches(name, NAME)
                && matches(name, KEYS)
            {
                return Some(folder.to_owned());
            }
        }
    }
    None
}

/// The names of the host key algorithms of a type, certificates' too.
pub fn algorithms(key_type: KeyType) -> Vec<String> {
    let plain: &[&str] = match key_type {
        KeyType::Rsa => &["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"],
        _ => &[key_type.name()],
    };
    plain.iter().flat_map(|name| [(*name).to_owned(), format!("{name}{SUFFIX}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_that_of_the_first_include() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display();
        let found = |text: &str| included(&text.replace("HERE", &here.to_string()));
        for good in [
            "# x\nInclude HERE/*.conf\nHostKey /x",
            "include=HERE/*.conf",
            "Include /no-such-folder/*.conf HERE/*",
            "Port 22\n  Include \"HERE/*.conf\"\nMatch all\n",
        ] {
            assert_eq!(found(good).as_deref(), Some(folder.path()), "{good}");
        }
        for bad in [
            "",
            "Match all\nInclude HERE/*.conf",
            "Include HERE/local.conf",
            "Include /no-such-folder/*.conf",
        ] {
            assert_eq!(found(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_it_says_is_put_there_and_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("sshd_config");
        assert!(matches!(DropIn::find(Some(&config)), Err(DropInError::Io { .. })));
        fs::write(&config, "Port 22\n").unwrap();
        assert!(matches!(DropIn::find(Some(&config)), Err(DropInError::NoInclude(_))));
        fs::write(&config, format!("Include {}/*.conf\n", folder.path().display())).unwrap();
        let drop_in = DropIn::find(Some(&config)).unwrap();
        assert_eq!(drop_in.read().unwrap(), None);
        let content =
            Content { host_keys: vec!["/a b".into()], algorithms: Some(vec!["x".into(), "y".into()]) };
        drop_in.put(Some(&content.text())).unwrap();
        let text = drop_in.read().unwrap().unwrap();
        assert!(text.ends_with("HostKey \"/a b\"\nHostKeyAlgorithms x,y\n"), "{text}");
        drop_in.put(None).unwrap();
        drop_in.put(None).unwrap();
        assert_eq!(drop_in.read().unwrap(), None);
        assert_eq!(algorithms(KeyType::Rsa).len(), 6);
        assert!(algorithms(KeyType::Ed25519).contains(&"ssh-ed25519-cert-v01@openssh.com".to_owned()));
    }
}
