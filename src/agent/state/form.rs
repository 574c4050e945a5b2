//! What the file of own records says, and how. Version 1 knew owners and records alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::Own;
use crate::error::Error;
use crate::fan_out::in_parallel;
use crate::proto::moment;
use crate::proto::name::Name;
use crate::proto::plan::Shown;
use crate::proto::sshfp::{Sshfp, SshfpSet};

/// The version that is written.
pub const VERSION: u32 = 2;
/// What an owner with one record takes, more or less.
const OCTETS_AN_OWNER: usize = 288;
/// So many owners are worth a thread that writes them as text.
const OWNERS_A_THREAD: usize = 1000;

/// Own records by owner, and all that is known of them.
pub type Entries = BTreeMap<Name, Entry>;

/// What is known of one owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Where the records were last published; none where an older version of this program did it.
    pub origin: Option<Arc<Origin>>,
    /// The configuration named the owner.
    pub configured: bool,
    /// The records in their order, each once, and since when it is own, in seconds since 1970: the moment right before it
    /// was first sent.
    pub records: Vec<(Sshfp, Option<u64>)>,
}

/// Where records were published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The zone.
    pub zone: Name,
    /// The kind of place, as [`crate::backend::site::Site::kind`] has it.
    pub backend: String,
    /// Its address, file or program, as [`crate::backend::site::Site::label`] has it.
    pub server: String,
}

impl Entry {
    /// The records alone.
    pub fn records(&self) -> SshfpSet {
        self.records.iter().map(|(record, _)| record.clone()).collect()
    }

    /// Since when `record` is own, if that is known.
    pub fn since_of(&self, record: &Sshfp) -> Option<Option<u64>> {
        let at = self.records.binary_search_by(|(known, _)| known.cmp(record)).ok()?;
        self.records.get(at).map(|(_, since)| *since)
    }

    /// Since when all of these records are own, if that is known.
    pub fn since(&self) -> Option<u64> {
        self.records.iter().map(|(_, since)| *since).collect::<Option<Vec<u64>>>()?.into_iter().max()
    }
}

/// The records alone.
pub fn own(entries: &Entries) -> Own {
    entries.iter().map(|(owner, entry)| (owner.clone(), entry.records())).collect()
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version1 {
    #[serde(rename = "version")]
    _version: u32,
    owners: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Version2 {
    #[serde(rename = "version")]
    _version: u32,
    owners: BTreeMap<String, Owner>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    zone: Option<String>,
    backend: Option<String>,
    server: Option<String>,
    configured: bool,
    records: BTreeMap<String, Option<String>>,
}

/// Why a file is not what this program writes.
#[derive(Debug, PartialEq, Eq)]
pub enum FormError {
    /// This is wrong with it.
    Malformed(String),
    /// It is of a later version.
    Newer(u64),
}

/// Reads either version.
pub fn parse(text: &str) -> Result<Entries, FormError> {
    let wrong = |e: serde_json::Error| FormError::Malformed(e.to_string());
    match serde_json::from_str::<Versioned>(text).map_err(wrong)?.version {
        1 => {
            let found: Version1 = serde_json::from_str(text).map_err(wrong)?;
            let owners = found.owners.into_iter().map(|(owner, records)| {
                let records = records.into_iter().map(|record| (record, None)).collect();
                let nothing = Owner { zone: None, backend: None, server: None, configured: false, records };
                (owner, nothing)
            });
            entries(owners)
        }
        2 => entries(serde_json::from_str::<Version2>(text).map_err(wrong)?.owners),
        version if version > u64::from(VERSION) => Err(FormError::Newer(version)),
        version => Err(FormError::Malformed(format!("version {version} (this program writes {VERSION})"))),
    }
}

fn entries(owners: impl IntoIterator<Item = (String, Owner)>) -> Result<Entries, FormError> {
    let mut entries = Entries::new();
    // Of a batch all have one moment, and reading it is most of the work.
    let mut last: Option<(String, u64)> = None;
    let mut moment = |text: String| match &last {
        Some((known, moment)) if *known == text => Ok(*moment),
        _ => {
            let moment = moment::parse(&text).ok_or("a time that is none")?;
            last = Some((text, moment));
            Ok::<u64, &str>(moment)
        }
    };
    // So it is with the place.
    let mut place: Option<Arc<Origin>> = None;
    for (text, owner) in owners {
        let wrong = |what: &str, e: &dyn std::fmt::Display| FormError::Malformed(format!("{what}: {e}"));
        let name = Name::from_text(&text).map_err(|e| wrong(&format!("{text:?}"), &e))?;
        let origin = match (owner.zone, owner.backend, owner.server) {
            (Some(zone), Some(backend), Some(server)) => {
                let zone = Name::from_text(&zone).map_err(|e| wrong(&text, &e))?;
                let origin = Origin { zone, backend, server };
                let known = place.take().filter(|known| **known == origin);
                place = Some(known.unwrap_or_else(|| Arc::new(origin)));
                place.clone()
            }
            (None, None, None) => None,
            _ => return Err(wrong(&text, &"zone, backend and server come together")),
        };
        let mut records = Vec::with_capacity(owner.records.len());
        for (record, since) in owner.records {
            let record = Sshfp::from_text(&record).map_err(|e| wrong(&text, &e))?;
            let since = since.map(&mut moment).transpose().map_err(|e| wrong(&text, &e))?;
            records.push((record, since));
        }
        records.sort_unstable();
        if records.windows(2).any(|pair| matches!(pair, [(one, _), (next, _)] if one == next)) {
            return Err(wrong(&text, &"a record twice"));
        }
        if entries.insert(name, Entry { origin, configured: owner.configured, records }).is_some() {
            return Err(wrong(&text, &"twice"));
        }
    }
    Ok(entries)
}

/// An owner of [`Version2`], of what is there: of a large batch it is written while others wait.
#[derive(Serialize)]
struct OwnerText<'a> {
    zone: Option<Shown<&'a Name>>,
    backend: Option<&'a str>,
    server: Option<&'a str>,
    configured: bool,
    #[serde(serialize_with = "records")]
    records: (&'a [(Sshfp, Option<u64>)], &'a Since),
}

/// A moment and its text: of a batch all have the same, and to write it is much of the work.
type Since = (u64, Option<String>);

fn records<S: Serializer>(
    (records, known): &(&[(Sshfp, Option<u64>)], &Since),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = |since: u64| match since == known.0 {
        true => known.1.as_deref().map(Cow::Borrowed),
        false => moment::rfc3339(since).map(Cow::Owned),
    };
    serializer.collect_map(records.iter().map(|(record, since)| (Shown(record), since.and_then(text))))
}

/// `"OWNER":{...},` and the end of the line, of each.
fn lines(entries: &[(&Name, &Entry)]) -> serde_json::Result<Vec<u8>> {
    let mut lines = Vec::with_capacity(entries.len() * OCTETS_AN_OWNER);
    let mut last: Since = (0, moment::rfc3339(0));
    for (name, Entry { origin, configured, records }) in entries {
        if let Some(since) = records.iter().find_map(|(_, since)| *since).filter(|since| *since != last.0) {
            last = (since, moment::rfc3339(since));
        }
        let origin = origin.as_deref();
        let owner = OwnerText {
            zone: origin.map(|origin| Shown(&origin.zone)),
            backend: origin.map(|origin| origin.backend.as_str()),
            server: origin.map(|origin| origin.server.as_str()),
            configured: *configured,
            records: (records, &last),
        };
        serde_json::to_writer(&mut lines, &Shown(name))?;
        lines.push(b':');
        serde_json::to_writer(&mut lines, &owner)?;
        lines.extend(b",\n");
    }
    Ok(lines)
}

/// The file's text, in parts: a line an owner.
pub fn text(entries: &Entries) -> Result<Vec<Vec<u8>>, Error> {
    let owners: Vec<(&Name, &Entry)> = entries.iter().collect();
    let parts: Vec<&[(&Name, &Entry)]> = owners.chunks(OWNERS_A_THREAD).collect();
    let mut text = vec![format!("{{\"version\":{VERSION},\"owners\":{{\n").into_bytes()];
    for part in in_parallel(parts, 1, lines)? {
        text.push(part.map_err(|e| Error::failure("internal", e))?);
    }
    if let Some(last) = text.last_mut().filter(|last| last.ends_with(b",\n")) {
        // No comma behind the last.
        last.truncate(last.len() - 2);
        last.push(b'\n');
    }
    text.push(b"}}\n".to_vec());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    fn record(letter: u8) -> Sshfp {
        Sshfp::from_rdata(&[4, 2, letter]).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let origin = Origin { zone: name("example"), backend: "rfc2136".into(), server: "[::1]:53".into() };
        let records = [(record(1), Some(1_900_000_000)), (record(2), None)].into();
        let known = Entry { origin: Some(origin.into()), configured: true, records };
        let unknown = Entry { records: [(record(3), None)].into(), ..Entry::default() };
        assert_eq!((known.since(), unknown.records()), (None, [record(3)].into()));
        let entries: Entries = [(name("a.example"), known), (name("b.example"), unknown)].into();
        let text = String::from_utf8(text(&entries).unwrap().concat()).unwrap();
        assert!(text.contains("\"4 2 01\":\"2030-03-17T17:46:40Z\""), "{text}");
        assert_eq!(text.lines().count(), entries.len() + 2, "a line an owner: {text}");
        assert_eq!(parse(&text), Ok(entries));
    }

    #[test]
    fn the_first_version_is_read_too() {
        let found = parse(r#"{"version":1,"owners":{"a.example":["4 2 01","1 2 02"]}}"#).unwrap();
        let entry = &found[&name("a.example")];
        assert_eq!((entry.records().len(), &entry.origin, entry.configured), (2, &None, false));
        assert_eq!(entry.since(), None);
    }

    #[test]
    fn anything_else_is_malformed_or_newer() {
        let owner = |fields: &str| format!(r#"{{"version":2,"owners":{{"a.example":{{{fields}}}}}}}"#);
        let good = r#""zone":null,"backend":null,"server":null,"configured":false,"records":{"4 2 aa":null}"#;
        assert!(parse(&owner(good)).is_ok());
        for bad in [
            owner(&good.replace("null,\"backend\"", "\"example\",\"backend\"")),
            owner(&good.replace(
                "\"zone\":null,\"backend\":null,\"server\":null",
                "\"zone\":\"a..b\",\"backend\":\"x\",\"server\":\"y\"",
            )),
            owner(&good.replace("{\"4 2 aa\":null}", "{\"4 2\":null}")),
            owner(&good.replace("{\"4 2 aa\":null}", "{\"4 2 aa\":\"yesterday\"}")),
            owner(&good.replace("{\"4 2 aa\":null}", "{\"4 2 aa\":null,\"4 2 AA\":null}")),
            owner(&good.replace("\"configured\":false,", "")),
            owner(&good.replace("\"configured\":false", "\"configured\":0")),
            owner(&format!("{good},\"more\":1")),
            r#"{"version":2,"owners":{},"more":1}"#.to_owned(),
            r#"{"version":2,"owners":{"a.example":["4 2 aa"]}}"#.to_owned(),
            r#"{"version":1,"owners":{"a.example":{}}}"#.to_owned(),
        ] {
            assert!(matches!(parse(&bad), Err(FormError::Malformed(_))), "{bad}");
        }
        assert_eq!(parse(r#"{"version":3,"zones":{}}"#), Err(FormError::Newer(3)));
    }
}
