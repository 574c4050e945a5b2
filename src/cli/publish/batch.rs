//! `--batch`: many hosts and their keys, a line a host.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::cli::host_name;
use crate::error::Error;
use crate::fan_out::in_parallel;
use crate::files::{self, pipe};
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;
use crate::ssh::hostkeys;

/// Largest batch file, in octets.
const MAX_BATCH: u64 = 64 * 1024 * 1024;
/// So many hosts are worth a thread: key files are small, and what they take is to be opened.
const HOSTS_A_THREAD: usize = 500;

/// A host and its keys.
pub(in crate::cli) type Host = (HostName, Vec<HostKey>);

/// Hosts and their keys, a line a host: `HOST PUBFILE...`. One bad line and nothing is done. `patience` is for a file that
/// is a pipe.
pub(in crate::cli) fn read(path: &Path, patience: Duration) -> Result<Vec<Host>, Error> {
    let text = read_bounded(path, patience).map_err(|e| {
        let told = Error::usage("batch-file", format!("cannot read {}: {e}", path.display()));
        Error { hint: pipe::hint(&e).map(str::to_owned), ..told }
    })?;
    // After an error nothing is done: what follows need not be read.
    let has_failed = AtomicBool::new(false);
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
    let found = in_parallel(&lines, HOSTS_A_THREAD, |&(number, text)| match has_failed.load(Relaxed) {
        true => Ok(None),
        false => line(text).map(|host| host.map(|host| (number, host))).map_err(|error| {
            has_failed.store(true, Relaxed);
            at_line(error, path, number)
        }),
    })?;
    let (mut hosts, mut names) = (Vec::with_capacity(found.len()), HashSet::with_capacity(found.len()));
    for line in found {
        let Some((number, host)) = line? else { continue };
        if !names.insert(host.0.clone()) {
            let error = Error::usage("batch-file", format!("{} a second time", host.0));
            return Err(at_line(error, path, number));
        }
        hosts.push(host);
    }
    match hosts.is_empty() {
        true => Err(Error::usage("batch-file", format!("{} names no host", path.display()))),
        false => Ok(hosts),
    }
}

/// The host of a line and the keys in its files; none of a line that names none.
fn line(text: &str) -> Result<Option<Host>, Error> {
    let mut words = text.split('#').next().unwrap_or("").split_ascii_whitespace();
    let Some(host) = words.next() else { return Ok(None) };
    let name = host_name(host)?;
    let files: Vec<PathBuf> = words.map(PathBuf::from).collect();
    if files.is_empty() {
        let error = Error::usage("batch-file", format!("{host} has no public key file"));
        return Err(error.hint("a line is HOST PUBFILE..."));
    }
    Ok(Some((name, hostkeys::of_files(&files)?)))
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
