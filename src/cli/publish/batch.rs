//! `--batch`: many hosts and their keys, in files of their own or in lines as known_hosts has them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::cli::host_name;
use crate::error::Error;
use crate::fan_out::in_parallel;
use crate::files::{self, pipe};
use crate::proto::hostkey::{HostKey, KeyType};
use crate::proto::name::HostName;
use crate::ssh::hostkeys;

/// Largest batch file, in octets.
const MAX_BATCH: u64 = 64 * 1024 * 1024;
/// So many hosts are worth a thread: key files are small, and what they take is to be opened.
const HOSTS_A_THREAD: usize = 500;
/// Most keys of one host: a server has one of each type, and while keys overlap two.
const MAX_KEYS: usize = 64;
/// What every public key begins with in base64: the length of its type's name takes less than two octets.
const BLOB: &str = "AAAA";

/// A host and its keys.
pub(in crate::cli) type Host = (HostName, Vec<HostKey>);

/// Where a line has its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// In the files that it names.
    InFiles,
    /// It holds one itself.
    Written,
}

/// Hosts and their keys, in the order of their first lines: a line a host, `HOST PUBFILE...`; or a line a key, `HOST TYPE
/// BASE64 [COMMENT]`. One bad line and nothing is done. `patience` is for a file that is a pipe.
pub(in crate::cli) fn read(path: &Path, patience: Duration) -> Result<Vec<Host>, Error> {
    let text = read_bounded(path, patience).map_err(|e| {
        let told = Error::usage("batch-file", format!("cannot read {}: {e}", path.display()));
        Error { hint: pipe::hint(&e).map(str::to_owned), ..told }
    })?;
    // After an error nothing is done: what follows need not be read.
    let has_failed = AtomicBool::new(false);
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
    let found = in_parallel(lines, HOSTS_A_THREAD, |(number, text)| match has_failed.load(Relaxed) {
        true => Ok(None),
        false => line(text).map(|line| line.map(|line| (number, line))).map_err(|error| {
            has_failed.store(true, Relaxed);
            at_line(error, path, number)
        }),
    })?;
    let mut hosts: Vec<Host> = Vec::with_capacity(found.len());
    let mut places = HashMap::with_capacity(found.len());
    for line in found {
        let Some((number, ((name, keys), form))) = line? else { continue };
        match places.entry(name.clone()) {
            Entry::Vacant(place) => {
                place.insert((hosts.len(), form));
                hosts.push((name, keys));
            }
            Entry::Occupied(place) if (place.get().1, form) == (Keys::Written, Keys::Written) => {
                let Some((_, known)) = hosts.get_mut(place.get().0) else { continue };
                hostkeys::add(known, keys);
                if known.len() > MAX_KEYS {
                    let error = Error::usage("batch-file", format!("{name} has more than {MAX_KEYS} keys"));
                    return Err(at_line(error, path, number));
                }
            }
            Entry::Occupied(_) => {
                let error = Error::usage("batch-file", format!("{name} a second time"));
                return Err(at_line(error, path, number));
            }
        }
    }
    match hosts.is_empty() {
        true => Err(Error::usage("batch-file", format!("{} names no host", path.display()))),
        false => Ok(hosts),
    }
}

/// The host of a line and its keys; none of a line that names none.
fn line(text: &str) -> Result<Option<(Host, Keys)>, Error> {
    let text = text.split('#').next().unwrap_or("").trim_ascii();
    let Some((host, rest)) = text.split_once(|c: char| c.is_ascii_whitespace()) else {
        return match text {
            "" => Ok(None),
            host => {
                let error = Error::usage("batch-file", format!("{host} has no public key file"));
                Err(error.hint("a line is HOST PUBFILE..., or HOST TYPE BASE64 as known_hosts has it"))
            }
        };
    };
    let name = written_name(host)?;
    let mut words = rest.split_ascii_whitespace();
    let (first, second) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    if KeyType::from_name(first).is_some() || second.starts_with(BLOB) {
        let key = HostKey::from_line(rest).map_err(|e| Error::usage("host-key", format!("{host}: {e}")))?;
        return Ok(Some(((name, vec![key]), Keys::Written)));
    }
    let files: Vec<PathBuf> = rest.split_ascii_whitespace().map(PathBuf::from).collect();
    Ok(Some(((name, hostkeys::of_files(&files)?), Keys::InFiles)))
}

/// A host's name; known_hosts has more than names.
fn written_name(host: &str) -> Result<HostName, Error> {
    host_name(host).map_err(|error| match host.as_bytes() {
        [b'|', ..] => error.hint("known_hosts hides names like this: give each host by its name"),
        [b'@', ..] => error.hint("a line of known_hosts about a CA, or a key that is revoked: leave it out"),
        [b'[', ..] => {
            error.hint("a host on another port: give HOST alone, in a batch of its own with --port N")
        }
        _ => error,
    })
}

fn at_line(mut error: Error, path: &Path, number: usize) -> Error {
    error.message = format!("{} line {number}: {}", path.display(), error.message);
    error
}

fn read_bounded(path: &Path, patience: Duration) -> std::io::Result<String> {
    match path.as_os_str() == "-" {
        true => files::read_whole(std::io::stdin(), MAX_BATCH),
        false => pipe::read(path, MAX_BATCH, patience),
    }
}
