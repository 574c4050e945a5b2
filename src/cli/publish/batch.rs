//! `--batch`: many hosts and their keys, a line a host.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use crate::cli::host_name;
use crate::error::Error;
use crate::fan_out::in_parallel;
use crate::proto::hostkey::HostKey;
use crate::proto::name::HostName;
use crate::ssh::hostkeys;

/// Largest batch file, in octets.
const MAX_BATCH: u64 = 64 * 1024 * 1024;
/// So many hosts are worth a thread: key files are small, and what they take is to be opened.
const HOSTS_A_THREAD: usize = 500;

/// What a line says.
struct Line {
    /// From 1.
    number: usize,
    name: HostName,
    files: Vec<PathBuf>,
}

/// Hosts and their keys, a line a host: `HOST PUBFILE...`. One bad line and nothing is done.
pub(in crate::cli) fn read(path: &Path) -> Result<Vec<(HostName, Vec<HostKey>)>, Error> {
    let lines = lines(path)?;
    // After an error nothing is done: what follows need not be read.
    let has_failed = AtomicBool::new(false);
    let found = in_parallel(&lines, HOSTS_A_THREAD, |line| match has_failed.load(Relaxed) {
        true => Ok(Vec::new()),
        false => hostkeys::of_files(&line.files).map_err(|error| {
            has_failed.store(true, Relaxed);
            at_line(error.into(), path, line.number)
        }),
    })?;
    lines.into_iter().zip(found).map(|(line, keys)| Ok((line.name, keys?))).collect()
}

fn lines(path: &Path) -> Result<Vec<Line>, Error> {
    let text = read_bounded(path)
        .map_err(|e| Error::usage("batch-file", format!("cannot read {}: {e}", path.display())))?;
    let (mut lines, mut names) = (Vec::new(), HashSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let mut words = line.split('#').next().unwrap_or("").split_ascii_whitespace();
        let Some(host) = words.next() else { continue };
        let name = host_name(host).map_err(|error| at_line(error, path, number))?;
        let files: Vec<PathBuf> = words.map(PathBuf::from).collect();
        if files.is_empty() {
            let error = Error::usage("batch-file", format!("{host} has no public key file"));
            return Err(at_line(error.hint("a line is HOST PUBFILE..."), path, number));
        }
        if !names.insert(name.clone()) {
            let error = Error::usage("batch-file", format!("{host} a second time"));
            return Err(at_line(error, path, number));
        }
        lines.push(Line { number, name, files });
    }
    match lines.is_empty() {
        true => Err(Error::usage("batch-file", format!("{} names no host", path.display()))),
        false => Ok(lines),
    }
}

fn at_line(mut error: Error, path: &Path, number: usize) -> Error {
    error.message = format!("{} line {number}: {}", path.display(), error.message);
    error
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    match path.as_os_str() == "-" {
        true => hostkeys::read_whole(std::io::stdin(), MAX_BATCH),
        false => hostkeys::read_whole(std::fs::File::open(path)?, MAX_BATCH),
    }
}
