//! The trail: a line for each verdict by which somebody connects, or does not. Names are those of `verify --json`.

use crate::proto::text::cut;
use serde::Serialize;

use super::ascii_json::ascii;
use super::evidence::Evidence;
use super::hostkey::{HostKey, Presented};
use super::moment::rfc3339;
use super::policy::Seen;
use super::rr::Origin;
use super::verdict::{Basis, Verdict};

/// Longest line without its end, in octets: as much as a pipe takes at once (PIPE_BUF), and a page of a file.
pub const MAX_LINE: usize = 4095;
/// Longest texts in it, in characters; each may take six octets (`\u001b`).
const MAX_MESSAGE: usize = 320;
const MAX_NAME: usize = 255;

/// Who has asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Asker {
    /// verify, exec, proxy or known-hosts.
    pub command: &'static str,
    /// The user's number.
    pub uid: u32,
    /// The process's number.
    pub pid: u32,
}

/// A key as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Key {
    /// Its type, as in its blob.
    #[serde(rename = "type")]
    pub key_type: &'static str,
    /// SHA-256 of its blob, lower-case hex.
    pub sha256: String,
}

impl From<&HostKey> for Key {
    fn from(key: &HostKey) -> Self {
        Key { key_type: key.key_type().name(), sha256: data_encoding::HEXLOWER.encode(&key.sha256()) }
    }
}

/// What was seen of the handshake, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Handshake {
    kex: String,
    /// Both sides offered it.
    strict_kex: bool,
    /// The server's version line: its own claim.
    server_version: String,
}

impl From<&Seen> for Handshake {
    fn from(seen: &Seen) -> Self {
        Handshake {
            kex: part(&seen.kex, 64),
            strict_kex: seen.strict_client && seen.strict_server,
            server_version: part(&seen.server_version, MAX_NAME),
        }
    }
}

/// What came of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The host, as it was asked for.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Who is to log in there; null where nobody is, or ssh alone knows.
    pub user: Option<String>,
    /// accept, reject or unproven; null where there was no key to judge.
    pub verdict: Option<&'static str>,
    /// A stable word; null of an accept.
    pub reason: Option<&'static str>,
    /// A sentence.
    pub message: String,
    /// The plain key that was presented.
    pub key: Option<Key>,
    /// The CA by which it was accepted.
    pub ca: Option<Key>,
    /// What an accept rests on: hostkey or ca.
    pub basis: Option<&'static str>,
    /// The owner of the SSHFP set that vouches.
    pub owner: Option<String>,
    /// Where the proof came from: dns, cache, bundle or grace.
    pub source: Option<&'static str>,
    /// How old a proof in grace is, in seconds.
    pub age: Option<u64>,
    /// Until when the proof may be kept.
    pub valid_until: Option<String>,
    /// What was seen of the handshake.
    pub handshake: Option<Handshake>,
}

impl Entry {
    /// Of a host of which there is no verdict by a key.
    pub fn failed(
        host: &str,
        port: u16,
        verdict: Option<&'static str>,
        reason: &'static str,
        message: &str,
    ) -> Self {
        Entry {
            host: part(host, MAX_NAME),
            port,
            user: None,
            verdict,
            reason: Some(reason),
            message: part(message, MAX_MESSAGE),
            key: None,
            ca: None,
            basis: None,
            owner: None,
            source: None,
            age: None,
            valid_until: None,
            handshake: None,
        }
    }

    /// Of a verdict by `evidence`, at `now` in seconds since 1970, on what was presented in the handshake that was seen;
    /// none where it was not asked for.
    pub fn judged(
        evidence: &Evidence,
        presented: Option<&Presented>,
        seen: Option<&Seen>,
        verdict: &Verdict,
        now: u64,
    ) -> Self {
        let (host, port, origin) = (evidence.host().to_string(), evidence.port(), evidence.origin());
        let blank = Entry {
            reason: None,
            key: presented.map(|presented| presented.key().into()),
            source: origin.map(Origin::code),
            age: origin.and_then(|origin| origin.age(now)),
            handshake: seen.map(Handshake::from),
            ..Entry::failed(&host, port, None, "", "")
        };
        let refused = |word, reason: &super::verdict::Reason, blank| Entry {
            verdict: Some(word),
            reason: Some(reason.code()),
            message: part(&reason.to_string(), MAX_MESSAGE),
            ..blank
        };
        match verdict {
            Verdict::Accept(anchored) => Entry {
                verdict: Some("accept"),
                message: part(&anchored.basis().to_string(), MAX_MESSAGE),
                ca: anchored.ca().map(Key::from),
                basis: Some(match anchored.basis() {
                    Basis::HostKey { .. } => "hostkey",
                    Basis::Ca { .. } => "ca",
                }),
                owner: Some(part(&anchored.owner().to_string(), MAX_NAME)),
                valid_until: rfc3339(anchored.valid_until()),
                ..blank
            },
            Verdict::Reject(reason) => refused("reject", reason, blank),
            Verdict::Unproven(reason) => refused("unproven", reason, blank),
        }
    }

    /// With the user who is to log in, where that is known.
    #[must_use]
    pub fn of_login(self, user: Option<&str>) -> Self {
        Entry { user: user.map(|user| part(user, MAX_NAME)), ..self }
    }

    /// A JSON object on one line of at most [`MAX_LINE`] octets, printable ASCII, without its end; none if there is no
    /// such.
    pub fn line(&self, time: u64, asker: &Asker) -> Option<String> {
        #[derive(Serialize)]
        struct Line<'a> {
            time: Option<String>,
            #[serde(flatten)]
            asker: &'a Asker,
            #[serde(flatten)]
            entry: &'a Entry,
        }
        let json = |entry| serde_json::to_string(&Line { time: rfc3339(time), asker, entry }).ok();
        let whole = ascii(&json(self)?);
        if whole.len() <= MAX_LINE {
            return Some(whole);
        }
        // Only what nobody needs can be as long.
        let line = ascii(&json(&Entry { message: String::new(), ..self.clone() })?);
        (line.len() <= MAX_LINE).then_some(line)
    }
}

/// As it is: JSON escapes what is no text.
fn part(text: &str, longest: usize) -> String {
    cut(text, longest).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKER: Asker = Asker { command: "verify", uid: 1000, pid: 42 };
    const NOW: u64 = 1_800_000_000;

    #[test]
    fn a_line_is_an_object_in_printable_ascii() {
        let entry = Entry::failed("web1.example.com", 22, None, "unreachable", "no \x1b[2J\nw\u{e9}y");
        let line = entry.line(NOW, &ASKER).unwrap();
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["time"], "2027-01-15T08:00:00Z");
        assert_eq!(
            (&value["command"], &value["uid"], &value["pid"]),
            (&"verify".into(), &1000.into(), &42.into())
        );
        assert_eq!((&value["host"], &value["reason"]), (&"web1.example.com".into(), &"unreachable".into()));
        assert_eq!((&value["verdict"], &value["key"]), (&serde_json::Value::Null, &serde_json::Value::Null));
        assert_eq!(value["message"], "no \x1b[2J\nw\u{e9}y");
        assert_eq!(value["user"], serde_json::Value::Null);
        let line = entry.of_login(Some("dep\nloy")).line(NOW, &ASKER).unwrap();
        assert!(line.contains(r#""user":"dep\nloy""#), "{line}");
    }

    #[test]
    fn no_line_is_longer_than_what_is_written_at_once() {
        let wild = "\u{1b}".repeat(10_000);
        let seen = Seen {
            kex: wild.clone(),
            strict_client: true,
            strict_server: true,
            server_version: "\"".repeat(10_000),
        };
        let entry = Entry {
            handshake: Some((&seen).into()),
            owner: Some("a".repeat(MAX_NAME)),
            ..Entry::failed(&"h".repeat(1000), 65535, Some("unproven"), "no-answer", &wild)
        };
        let entry = entry.of_login(Some(&"u".repeat(1000)));
        let line = entry.line(u64::MAX, &ASKER).unwrap();
        assert!(line.len() <= MAX_LINE, "{}", line.len());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((value["reason"].as_str(), value["port"].as_u64()), (Some("no-answer"), Some(65535)));
    }
}
