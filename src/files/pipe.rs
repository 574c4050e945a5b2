//! Files that may be none: a pipe that nobody writes to, or a device, must not hold the process. A pipe that somebody
//! does write to, as `<(COMMAND)` of a shell is, is read to its end.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::read_whole;

/// How long a file that a user names is waited for where the command's `--timeout` is not at hand.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What to do about a pipe that was waited for in vain, where `--timeout` is the patience; none where `error` is another.
pub fn hint(error: &io::Error) -> Option<&'static str> {
    (error.kind() == io::ErrorKind::TimedOut).then_some(
        "does anybody write to this pipe, and close it in the end? --timeout SECONDS has it waited for longer",
    )
}

/// Opens a file that a user named. What is no plain file has `patience` to give all that it has; reading is an error of
/// the kind `TimedOut` then.
pub fn open(path: &Path, patience: Duration) -> io::Result<Bounded> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    let end = (!metadata.is_file()).then(|| Instant::now() + patience);
    let left = Some(metadata.len()).filter(|length| *length > 0);
    Ok(Bounded { file, metadata, end, patience, left })
}

/// The text of a file that a user named, as by [`open`] and [`read_whole`].
pub fn read(path: &Path, limit: u64, patience: Duration) -> io::Result<String> {
    read_whole(open(path, patience)?, limit)
}

/// An open file, or pipe, that holds the process for so long and no longer.
#[derive(Debug)]
pub struct Bounded {
    file: File,
    metadata: Metadata,
    /// None of a plain file, which is never waited for.
    end: Option<Instant>,
    patience: Duration,
    /// Octets of a plain file that are still to come, where it says how many it has. Those of the kernel's say none.
    left: Option<u64>,
}

impl Bounded {
    /// What it was when it was opened.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The file, to be locked.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(end) = self.end else { return self.read_plain(buffer) };
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let nothing = || format!("it did not come to its end in {} s", self.patience.as_secs_f64());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            // A pipe that nobody has opened for writing yet would look as if it were at its end.
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&timeout)) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, nothing())),
                // Whoever was stopped and goes on again has waited for nothing.
                Err(Errno::INTR) => continue,
                ready => ready?,
            };
            match self.file.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && !left.is_zero() => {}
                read => return read,
            }
        }
    }
}

impl Bounded {
    /// Whoever reads to the end asks once more behind the last octet, which of ten thousand files is as many system calls.
    fn read_plain(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == Some(0) {
            return Ok(0);
        }
        let read = self.file.read(buffer)?;
        // One that has grown meanwhile fills the buffer, or has more than it said.
        self.left = self.left.and_then(|left| left.checked_sub(read as u64)).filter(|_| read < buffer.len());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_file_is_read_to_its_end_wherever_that_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let patience = Duration::from_secs(20);
        for length in [0, 1, 1000, 1023, 1024, 1025, 100_000] {
            let text = "k".repeat(length);
            std::fs::write(&path, &text).unwrap();
            for room in [0, 1, 1024, 4096] {
                let mut read = String::with_capacity(room);
                open(&path, patience).unwrap().read_to_string(&mut read).unwrap();
                assert_eq!(read.len(), length, "{room}");
            }
        }
        // It grows, or is cut, while it is open.
        for (now, read) in [("a key and more", "a key and more"), ("a", "a")] {
            std::fs::write(&path, "a key").unwrap();
            let mut file = open(&path, patience).unwrap();
            std::fs::write(&path, now).unwrap();
            let mut text = String::with_capacity(1024);
            file.read_to_string(&mut text).unwrap();
            assert_eq!(text, read);
        }
        // The kernel's own say that they are empty.
        let mut text = String::new();
        open(Path::new("/proc/self/status"), patience).unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains("VmRSS"), "{text}");
    }

    #[test]
    fn pipes_are_waited_for_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let read = |patience| {
            let mut text = String::new();
            open(&path, patience)?.read_to_string(&mut text).map(|_| text)
        };
        assert_eq!(read(Duration::from_millis(50)).unwrap_err().kind(), io::ErrorKind::TimedOut);
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| std::fs::write(&path, "a key"));
            assert_eq!(read(Duration::from_secs(20)).unwrap(), "a key");
            writer.join().unwrap().unwrap();
        });
        // A device without an end gives what is asked of it; a plain file waits for nothing.
        let mut some = [1; 9];
        open(Path::new("/dev/zero"), Duration::from_secs(20)).unwrap().read_exact(&mut some).unwrap();
        assert_eq!(some, [0; 9]);
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "a key").unwrap();
        let mut text = String::new();
        open(&plain, Duration::ZERO).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a key");
    }
}
