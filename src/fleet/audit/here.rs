//! This machine: its keys on disk, where it is among the audited hosts, and what its known_hosts files remember.

use std::path::PathBuf;

use crate::proto::doctor::known_hosts::Remembered;
use crate::proto::hostkey::HostKey;
use crate::proto::known_hosts::{Index, lookup_name};
use crate::proto::name::HostName;
use crate::ssh::known_hosts;

/// Most comparisons of hashed names with hosts: each costs a digest.
const MAX_HASHES: usize = 20_000_000;

/// This machine.
#[derive(Debug, Default)]
pub struct Here {
    /// Its names, and the keys on its disk that go with them.
    keys: Vec<(Vec<HostName>, Vec<HostKey>)>,
    files: Vec<(String, Index)>,
}

impl Here {
    /// These names have these keys on this machine's disk.
    pub fn add_keys(&mut self, names: Vec<HostName>, keys: Vec<HostKey>) {
        self.keys.push((names, keys));
    }

    /// Reads known_hosts files, in which `hosts` names will be looked up. Gives what could not be read, in sentences.
    pub fn read_known_hosts(&mut self, files: &[PathBuf], hosts: usize) -> Vec<String> {
        let mut warnings = Vec::new();
        for path in files {
            let shown = path.display().to_string();
            match known_hosts::read(path) {
                Ok(None) => {}
                Ok(Some(text)) => {
                    let mut index = Index::new(&text);
                    if index.hashed().saturating_mul(hosts) > MAX_HASHES {
                        warnings.push(format!(
                            "{shown} has {} hashed names, too many to try {hosts} hosts on: they are passed over",
                            index.hashed()
                        ));
                        index = index.without_hashed();
                    }
                    self.files.push((shown, index));
                }
                Err(error) => warnings.push(format!("{shown} cannot be read, and takes no part: {error}")),
            }
        }
        warnings
    }

    /// The keys on disk, if this machine is the host.
    pub(super) fn keys_of(&self, host: &HostName) -> Option<Vec<HostKey>> {
        let mut own = self.keys.iter().filter(|(names, _)| names.contains(host)).peekable();
        own.peek()?;
        let mut keys: Vec<HostKey> = Vec::new();
        for key in own.flat_map(|(_, keys)| keys) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        Some(keys)
    }

    /// What the files remember of the host.
    pub(super) fn remembered(&self, host: &HostName, port: u16) -> Vec<Remembered> {
        let name = lookup_name(&host.to_string(), port);
        let of_file = |(path, index): &(String, Index)| Remembered {
            path: path.clone(),
            entries: index.entries(&name),
        };
        self.files.iter().map(of_file).filter(|remembered| !remembered.entries.is_empty()).collect()
    }
}
