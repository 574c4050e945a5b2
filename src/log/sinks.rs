//! Where what is said goes: lines of text or JSON on standard error, or fields in systemd's journal.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Event, Level, Sink};
use crate::config::publishing::Log;
use crate::output::{self, Output};
use crate::proto::moment;
use crate::proto::text;
use crate::verifier;

/// Where the journal takes messages of its own form (systemd.io/JOURNAL_NATIVE_PROTOCOL).
pub const JOURNAL: &str = "/run/systemd/journal/socket";
/// Device and inode of the stream that leads to the journal (systemd.exec(5)).
const STREAM: &str = "JOURNAL_STREAM";
/// Longest value of one field, in octets: a datagram takes more of them.
const MAX_VALUE: usize = 8 * 1024;
/// How long the journal may take to make room.
const PATIENCE: Duration = Duration::from_secs(1);

/// The sink of this name, as the environment lets it be.
pub fn sink(log: Log) -> Arc<dyn Sink> {
    let leads_to_journal = leads_to_journal();
    let text = Text { to_journal: leads_to_journal };
    match log {
        Log::Auto if leads_to_journal && Path::new(JOURNAL).exists() => Arc::new(Journal::at(JOURNAL, text)),
        Log::Auto | Log::Text => Arc::new(text),
        Log::Json => Arc::new(Json),
        Log::Journald => Arc::new(Journal::at(JOURNAL, text)),
    }
}

/// Standard error is the stream that systemd has made for it, and no other one.
fn leads_to_journal() -> bool {
    let stream = std::env::var(STREAM).unwrap_or_default();
    match rustix::fs::fstat(std::io::stderr()) {
        Ok(stat) => stream == format!("{}:{}", stat.st_dev, stat.st_ino),
        Err(_) => false,
    }
}

/// A line of text.
#[derive(Debug, Clone, Copy)]
pub struct Text {
    /// The journal reads it: it knows the time, and understands a priority in front (sd-daemon(3)).
    to_journal: bool,
}

impl Text {
    fn line(self, now: u64, event: &Event<'_>) -> String {
        let (level, message) = (event.level, text::sanitise(event.message));
        let mut line = match self.to_journal {
            true => format!("<{}>{message}", level as u8),
            false => format!("{} {}: {message}", moment::text(now), level.word()),
        };
        for (name, value) in event.fields {
            match *name {
                "hint" => line += &format!(" (hint: {})", text::sanitise(value)),
                name => line += &format!(" {name}={}", word(value)),
            }
        }
        line
    }
}

/// A value that is one word, or in quotes.
fn word(value: &str) -> String {
    let value = text::sanitise(value);
    match value.is_empty() || value.contains([' ', '"', '=']) {
        true => format!("{value:?}"),
        false => value,
    }
}

impl Sink for Text {
    fn say(&self, event: &Event<'_>) {
        output::log_line(&self.line(verifier::now(), event));
    }
}

/// Lines of a command that a person has typed: warnings, and with `-v` what goes on. Errors are the command's own to print.
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    /// Where they go.
    pub out: Output,
    /// How many `-v` have what goes on told in more detail.
    pub debug: u8,
}

impl Sink for Lines {
    fn say(&self, event: &Event<'_>) {
        let hint = event.fields.iter().find(|(name, _)| *name == "hint").map(|(_, hint)| *hint);
        let line = match hint {
            Some(hint) => format!("{} (hint: {hint})", event.message),
            None => event.message.to_owned(),
        };
        match event.level {
            Level::Error => {}
            Level::Warning => self.out.warn(&line),
            Level::Debug if self.out.verbose < self.debug => {}
            Level::Notice | Level::Info | Level::Debug => self.out.detail(&line),
        }
    }
}

/// An object a line.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Json {
    fn line(now: u64, event: &Event<'_>) -> String {
        let mut object = serde_json::Map::new();
        object.insert("time".to_owned(), moment::text(now).into());
        object.insert("level".to_owned(), event.level.word().into());
        object.insert("message".to_owned(), event.message.into());
        object.extend(event.fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        crate::proto::ascii_json::ascii(serde_json::Value::Object(object).to_string())
    }
}

impl Sink for Json {
    fn say(&self, event: &Event<'_>) {
        output::log_line(&Json::line(verifier::now(), event));
    }
}

/// Fields, in the journal's own protocol.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// Where there is no journal.
    instead: Text,
}

impl Journal {
    /// The journal that listens at `path`; `instead` takes what it does not.
    pub fn at(path: impl Into<PathBuf>, instead: Text) -> Self {
        Journal { path: path.into(), instead }
    }

    /// Sends it to the journal that listens at `path`, which may take a second.
    pub fn send(path: &Path, event: &Event<'_>) -> io::Result<()> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.send_to(&Journal::datagram(event), path).map(drop)
    }

    fn datagram(event: &Event<'_>) -> Vec<u8> {
        let mut datagram = Vec::new();
        put(&mut datagram, "MESSAGE", event.message);
        put(&mut datagram, "PRIORITY", &(event.level as u8).to_string());
        put(&mut datagram, "SYSLOG_IDENTIFIER", "sshanchor");
        for (name, value) in event.fields {
            put(&mut datagram, &format!("SSHANCHOR_{}", name.to_ascii_uppercase()), value);
        }
        datagram
    }
}

/// A field: `NAME=VALUE`, or where the value has line ends its length as 64 bits, little-endian, between the two, so that
/// no value can pose as another field.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    let mut value: String = value.lines().map(text::sanitise).collect::<Vec<_>>().join("\n");
    // It is ASCII by now.
    value.truncate(MAX_VALUE);
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

impl Sink for Journal {
    fn say(&self, event: &Event<'_>) {
        if Journal::send(&self.path, event).is_err() {
            self.instead.say(event);
        }
    }
}

/// Says nothing below a level.
#[derive(Debug)]
pub struct AtLeast {
    /// The least important that is said.
    pub level: Level,
    /// By whom.
    pub sink: Arc<dyn Sink>,
}

impl Sink for AtLeast {
    fn say(&self, event: &Event<'_>) {
        if event.level <= self.level {
            self.sink.say(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: Event<'_> = Event {
        level: Level::Warning,
        message: "cannot publish\nSSHANCHOR_OWNER=evil \x1b[2J",
        fields: &[
            ("owner", "web1.example.com"),
            ("reason", "timeout"),
            ("detail", "a \"b\""),
            ("hint", "wait, \u{9b}or not"),
        ],
    };
    const NOW: u64 = 1_800_000_000;

    #[test]
    fn text_is_one_line_with_a_time_or_with_a_priority_for_the_journal() {
        let rest = "cannot publish\\nSSHANCHOR_OWNER=evil \\u{1b}[2J owner=web1.example.com reason=timeout \
                    detail=\"a \\\"b\\\"\" (hint: wait, \\u{9b}or not)";
        let line = Text { to_journal: false }.line(NOW, &EVENT);
        assert_eq!(line, format!("2027-01-15T08:00:00Z warning: {rest}"));
        assert_eq!(Text { to_journal: true }.line(NOW, &EVENT), format!("<4>{rest}"));
    }

    #[test]
    fn json_is_an_object_a_line_and_exact() {
        let line = Json::line(NOW, &EVENT);
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&value["level"], &value["message"]), (&"warning".into(), &EVENT.message.into()));
        assert_eq!((&value["time"], &value["reason"]), (&"2027-01-15T08:00:00Z".into(), &"timeout".into()));
        assert_eq!(value["hint"], "wait, \u{9b}or not");
    }

    /// The fields of a datagram, as journald reads them.
    fn fields(mut datagram: &[u8]) -> Vec<(String, String)> {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        let mut fields = Vec::new();
        while let Some(end) = datagram.iter().position(|b| *b == b'\n') {
            let line = &datagram[..end];
            datagram = &datagram[end + 1..];
            match line.iter().position(|b| *b == b'=') {
                Some(at) => fields.push((text(&line[..at]), text(&line[at + 1..]))),
                None => {
                    let (length, rest) = datagram.split_at(8);
                    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
                    fields.push((text(line), text(&rest[..length])));
                    assert_eq!(rest[length], b'\n');
                    datagram = &rest[length + 1..];
                }
            }
        }
        assert!(datagram.is_empty());
        fields
    }

    #[test]
    fn the_journal_gets_fields_and_no_value_poses_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Journal::at(&path, Text { to_journal: false }).say(&EVENT);
        let mut octets = [0; 4096];
        let length = journal.recv(&mut octets).unwrap();
        let want = [
            ("MESSAGE", "cannot publish\nSSHANCHOR_OWNER=evil \\u{1b}[2J"),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "sshanchor"),
            ("SSHANCHOR_OWNER", "web1.example.com"),
            ("SSHANCHOR_REASON", "timeout"),
            ("SSHANCHOR_DETAIL", "a \"b\""),
            ("SSHANCHOR_HINT", "wait, \\u{9b}or not"),
        ];
        assert_eq!(fields(&octets[..length]), want.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_value_has_its_bound() {
        let long = "x".repeat(MAX_VALUE * 2);
        let event = Event { level: Level::Info, message: &long, fields: &[] };
        assert_eq!(fields(&Journal::datagram(&event))[0].1.len(), MAX_VALUE);
    }
}
