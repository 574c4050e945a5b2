//! Files that may be none: a pipe that nobody writes to, or a device, must not hold the process. A pipe that somebody
//! does write to, as `<(COMMAND)` of a shell is, is read to its end.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// What to do about a pipe that was waited for in vain, where `--timeout` is the patience.
pub const HINT: &str =
    "does anybody write to this pipe, and close it in the end? --timeout SECONDS has it waited for longer";

/// An open file. What is no plain file has `patience` to give all that it has; reading is an error of the kind `TimedOut`
/// then.
pub fn open(path: &Path, patience: Duration) -> io::Result<impl Read> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let waits = !file.metadata()?.is_file();
    Ok(Bounded { file, end: waits.then(|| Instant::now() + patience), patience })
}

struct Bounded {
    file: File,
    /// None of a plain file, which is never waited for.
    end: Option<Instant>,
    patience: Duration,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(end) = self.end else { return self.file.read(buffer) };
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

#[cfg(test)]
mod tests {
    use super::*;

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
