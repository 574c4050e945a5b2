//! Where the trail goes ([`crate::proto::trail`]): a file, systemd's journal, or both.
//!
//! A line is one write(2) of a file that was opened to append, so that no two processes' lines mix. A file is opened
//! once a run, which is how it can be moved away in between; it is made for this user alone (by root, for the group to
//! read), and no link is followed to it. What cannot be written is told; where the trail is `required`, no connection
//! goes on without its line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::config::trail::Trail as Wanted;
use crate::error::{Error, Kind};
use crate::log::{Event, JOURNAL, Journal, Level};
use crate::proto::trail::{Asker, Entry};

/// Where the lines of one command go.
#[derive(Debug)]
pub struct Trail {
    asker: Asker,
    places: Vec<Sink>,
    /// Why a line is missing, until it is told.
    trouble: Mutex<Trouble>,
}

#[derive(Debug, Default)]
enum Trouble {
    #[default]
    None,
    Untold(String),
    Told,
}

#[derive(Debug)]
struct Sink {
    way: Way,
    is_required: bool,
}

#[derive(Debug)]
enum Way {
    /// A file, which is opened for the first line.
    File(PathBuf, OnceLock<Result<File, String>>),
    /// The journal that listens here.
    Journal(PathBuf),
}

impl Trail {
    /// For `command` of this process; none if nothing is wanted.
    pub fn new(command: &'static str, wanted: &[Wanted]) -> Option<Self> {
        Self::with_journal(command, wanted, Path::new(JOURNAL))
    }

    fn with_journal(command: &'static str, wanted: &[Wanted], journal: &Path) -> Option<Self> {
        let mut places: Vec<Sink> = Vec::new();
        for Wanted { file, journald, required } in wanted {
            let file = file.iter().map(|file| Way::File(file.clone(), OnceLock::new()));
            let journal = journald.then(|| Way::Journal(journal.to_owned()));
            for way in file.chain(journal) {
                match places.iter_mut().find(|place| place.way.path() == way.path()) {
                    // Two files of the configuration name the same.
                    Some(place) => place.is_required |= required,
                    None => places.push(Sink { way, is_required: *required }),
                }
            }
        }
        let asker = Asker { command, uid: rustix::process::getuid().as_raw(), pid: std::process::id() };
        (!places.is_empty()).then(|| Trail { asker, places, trouble: Mutex::default() })
    }

    /// Writes the line, at `now` in seconds since 1970. The error, of a trail that is required, ends whatever rests on the
    /// verdict.
    pub fn write(&self, entry: &Entry, now: u64) -> Result<(), Error> {
        let line = entry.line(now, &self.asker);
        let mut outcome = Ok(());
        for place in &self.places {
            let written = match &line {
                Some(line) => place.way.write(line, entry, &self.asker),
                None => Err("the line is too long".to_owned()),
            };
            let Err(why) = written else { continue };
            let message = format!("the trail cannot be written: {}: {why}", place.way.path().display());
            if place.is_required {
                outcome = Err(Error::failure("trail", message).hint(
                    "mend it, or take required = true out of [trail] in the configuration, to go on without its line",
                ));
            } else {
                let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                if matches!(*trouble, Trouble::None) {
                    *trouble = Trouble::Untold(message);
                }
            }
        }
        outcome
    }

    /// The same of a host that came to no verdict by a key.
    pub fn failure(&self, host: &str, port: u16, error: &Error, now: u64) -> Result<(), Error> {
        let verdict = match error.kind {
            Kind::Rejected => Some("reject"),
            Kind::Unproven => Some("unproven"),
            Kind::Failure | Kind::Usage | Kind::Pending => None,
        };
        self.write(&Entry::failed(host, port, verdict, error.reason, &error.message), now)
    }

    /// Why a line is missing, once.
    pub fn trouble(&self) -> Option<String> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *trouble) {
            Trouble::None => None,
            Trouble::Untold(message) => {
                *trouble = Trouble::Told;
                Some(message)
            }
            Trouble::Told => {
                *trouble = Trouble::Told;
                None
            }
        }
    }
}

impl Way {
    fn path(&self) -> &Path {
        match self {
            Self::File(path, _) | Self::Journal(path) => path,
        }
    }

    fn write(&self, line: &str, entry: &Entry, asker: &Asker) -> Result<(), String> {
        match self {
            Self::File(path, file) => {
                let file = file.get_or_init(|| open(path)).as_ref().map_err(String::clone)?;
                append(file, line).map_err(|e| e.to_string())
            }
            Self::Journal(path) => to_journal(path, entry, asker).map_err(|e| e.to_string()),
        }
    }
}

/// One write(2): a part of a line is no line.
fn append(mut file: &File, line: &str) -> io::Result<()> {
    let octets = format!("{line}\n").into_bytes();
    loop {
        match file.write(&octets) {
            Ok(length) if length == octets.len() => return Ok(()),
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    "there was no room for the whole line",
                ));
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// Opens it to append, and makes it where it is missing; its folder has to be there. Waits for nobody.
fn open(path: &Path) -> Result<File, String> {
    let mode = if geteuid().is_root() { 0o640 } else { 0o600 };
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC).bits();
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(mode)
        .custom_flags(flags.cast_signed())
        .open(path)
        .map_err(|e| match rustix::io::Errno::from_io_error(&e) {
            Some(rustix::io::Errno::LOOP) => "it is a link".to_owned(),
            _ => e.to_string(),
        })?;
    let metadata = file.metadata().map_err(|e| e.to_string())?;
    match (metadata.is_file(), metadata.uid()) {
        (false, _) => Err("it is no regular file".to_owned()),
        (true, owner) if owner != 0 && owner != geteuid().as_raw() => {
            Err(format!("it belongs to user {owner}, and neither to this one nor to root"))
        }
        (true, _) => Ok(file),
    }
}

fn to_journal(path: &Path, entry: &Entry, asker: &Asker) -> io::Result<()> {
    let (port, uid) = (entry.port.to_string(), asker.uid.to_string());
    let level = match entry.verdict {
        Some("accept") => Level::Info,
        Some(_) => Level::Warning,
        None => Level::Notice,
    };
    let word = entry.verdict.unwrap_or("failed");
    let message = format!("{} {}:{} {word}: {}", asker.command, entry.host, entry.port, entry.message);
    let mut fields: Vec<(&'static str, &str)> =
        vec![("command", asker.command), ("host", &entry.host), ("port", &port), ("user", &uid)];
    let mut put = |name, value: Option<&'static str>| fields.extend(value.map(|value| (name, value)));
    put("verdict", entry.verdict);
    put("reason", entry.reason);
    put("basis", entry.basis);
    put("source", entry.source);
    put("key_type", entry.key.as_ref().map(|key| key.key_type));
    let sha256 = entry.key.as_ref().map(|key| key.sha256.as_str());
    let ca = entry.ca.as_ref().map(|key| key.sha256.as_str());
    for (name, value) in [
        ("key_sha256", sha256),
        ("ca_sha256", ca),
        ("owner", entry.owner.as_deref()),
        // Of systemd's journal SSHANCHOR_USER is the one who asks.
        ("login", entry.user.as_deref()),
        ("valid_until", entry.valid_until.as_deref()),
    ] {
        fields.extend(value.map(|value| (name, value)));
    }
    Journal::send(path, &Event { level, message: &message, fields: &fields })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    use super::*;

    fn wanted(file: &Path, required: bool) -> Wanted {
        Wanted { file: Some(file.to_owned()), journald: false, required }
    }

    fn entry() -> Entry {
        Entry::failed("web1.example.com", 22, Some("reject"), "key-mismatch", "not it\nSSHANCHOR_HOST=other")
    }

    #[test]
    fn lines_are_appended_to_a_file_for_this_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trail");
        for _ in 0..2 {
            let trail = Trail::new("verify", &[wanted(&path, true), wanted(&path, false)]).unwrap();
            trail.write(&entry(), 1_800_000_000).unwrap();
        }
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o037, 0);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "once each: {text}");
        assert!(text.lines().all(|line| line.contains("key-mismatch") && line.ends_with('}')));
        assert!(Trail::new("verify", &[]).is_none());
    }

    #[test]
    fn what_cannot_be_written_is_told_once_or_ends_it_where_it_is_required() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        std::fs::write(&real, "").unwrap();
        let link = folder.path().join("link");
        symlink(&real, &link).unwrap();
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        for path in
            [link, fifo, folder.path().to_owned(), folder.path().join("none/trail"), "/dev/full".into()]
        {
            let trail = Trail::new("proxy", &[wanted(&path, false)]).unwrap();
            trail.write(&entry(), 0).unwrap();
            trail.write(&entry(), 0).unwrap();
            assert!(trail.trouble().unwrap().contains("cannot be written"), "{path:?}");
            assert_eq!(trail.trouble(), None);
            let trail = Trail::new("proxy", &[wanted(&path, true)]).unwrap();
            assert_eq!(trail.write(&entry(), 0).unwrap_err().reason, "trail", "{path:?}");
        }
        assert_eq!(std::fs::read_to_string(real).unwrap(), "");
    }

    #[test]
    fn the_journal_has_fields() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let trail = |required| {
            let wanted = [Wanted { file: None, journald: true, required }];
            Trail::with_journal("known-hosts", &wanted, &path).unwrap()
        };
        assert!(trail(true).write(&entry(), 0).is_err(), "nobody listens");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        trail(true).write(&entry(), 0).unwrap();
        let mut octets = [0; 4096];
        let length = journal.recv(&mut octets).unwrap();
        let text = String::from_utf8_lossy(&octets[..length]).into_owned();
        for field in [
            "PRIORITY=4",
            "SSHANCHOR_HOST=web1.example.com",
            "SSHANCHOR_COMMAND=known-hosts",
            "SSHANCHOR_VERDICT=reject",
        ] {
            assert!(text.contains(field), "{field}: {text}");
        }
        // No value poses as a field.
        assert_eq!(
            text.matches("\nSSHANCHOR_HOST=").count(),
            2,
            "the field, and the message's own line: {text}"
        );
        assert!(text.starts_with("MESSAGE\n"), "{text}");
    }
}
