//! Proofs as text: the format of bundles and of the cache's files, version 1.
//!
//! A bundle is a file of JSON objects, one a line (UTF-8, LF). The first is the header; each other one an
//! entry: a question, and the RRset that answers it with the one signature that proves it. Keys and DS sets of
//! zones are entries as all others are, and stand there once, however many names need them.
//!
//! ```text
//! {"format":"sshanchor-bundle","version":1,"made":1795305600,"entries":9}
//! {"name":"web1.example.com","type":"SSHFP","ttl":300,"fetched":1795305600,"rdata":["BAK..."],"rrsig":"ACw..."}
//! {"name":"www.example.com","type":"SSHFP","alias":"CNAME","ttl":300,...}
//! {"name":"a.old.example.com","type":"SSHFP","alias":"DNAME","owner":"old.example.com","ttl":300,...}
//! ```
//!
//! * `name`, `type`: the question. Names are absolute, whether they end in a dot or not; types are mnemonics or
//!   `TYPE123`.
//! * `alias`: the entry leads to another name; `owner` tells where its DNAME stands.
//! * `ttl`: seconds, as it came; `fetched`, `made`: seconds since 1970.
//! * `rdata`: each record's canonical RDATA (RFC 4034 section 6.2) in base64; `rrsig`: the RRSIG's RDATA in
//!   base64.
//!
//! Nothing in it is believed: it holds no trust anchors, and every use proves it anew. Fields that are not
//! known, entries that are missing or there twice, and other versions are errors.

use std::collections::BTreeMap;
use std::fmt::Write;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::chain::{Answer, Budget, ChainError, Entry, Halt, MAX_ZONES, Material, Prover};
use super::message::Question;
use super::name::Name;
use super::rr::{RrSet, RrType, Rrsig};

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;
/// Largest bundle that is read, in octets: 100,000 hosts take a third of it.
pub const MAX_BUNDLE: usize = 128 * 1024 * 1024;
/// Longest entry, in octets: the largest RRset that TCP can carry, in base64.
pub const MAX_LINE: usize = 128 * 1024;

const FORMAT: &str = "sshanchor-bundle";

/// Proofs that travel: entries by their question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    made: u64,
    entries: BTreeMap<Question, Entry>,
}

/// Why a text is no bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It begins otherwise.
    #[error("not a bundle: its first line is no header of one")]
    Header,
    /// Made by another version of this program.
    #[error("a bundle of version {0}, and this program reads version {VERSION}")]
    Version(u32),
    /// An entry is out of form.
    #[error("line {line}: {why}")]
    Line {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// It was cut short, or something was put in.
    #[error("{found} entries where its header says {said}: it is incomplete or was changed")]
    Count {
        /// What the header says.
        said: usize,
        /// What there is.
        found: usize,
    },
    /// Longer than [`MAX_BUNDLE`].
    #[error("larger than {} MiB", MAX_BUNDLE / 1024 / 1024)]
    TooLarge,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    made: u64,
    entries: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alias: Option<Alias>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    ttl: u32,
    fetched: u64,
    rdata: Vec<String>,
    rrsig: String,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum Alias {
    Cname,
    Dname,
}

impl Bundle {
    /// Of these entries, made at `made` (seconds since 1970). Of several for one question the first counts.
    pub fn new(entries: impl IntoIterator<Item = Entry>, made: u64) -> Self {
        let mut bundle = Bundle { made, entries: BTreeMap::new() };
        for entry in entries {
            bundle.entries.entry(entry.question().clone()).or_insert(entry);
        }
        bundle
    }

    /// When it was made, in seconds since 1970, as it says.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// The entries, in canonical order of their names.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.values()
    }

    /// The entry for `question`.
    pub fn get(&self, question: &Question) -> Option<&Entry> {
        self.entries.get(question)
    }

    /// As the text of a file.
    pub fn to_text(&self) -> String {
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            made: self.made,
            entries: self.entries.len(),
        };
        let mut text = String::new();
        // Strings and numbers always have a JSON form, and a String takes all that is written.
        let _ = writeln!(text, "{}", serde_json::to_string(&header).unwrap_or_default());
        for entry in self.entries() {
            let _ = writeln!(text, "{}", entry_text(entry));
        }
        text
    }

    /// Reads the text of a file.
    pub fn from_text(text: &str) -> Result<Self, BundleError> {
        if text.len() > MAX_BUNDLE {
            return Err(BundleError::TooLarge);
        }
        let mut lines = text.lines();
        let first = lines.next().ok_or(BundleError::Header)?;
        let header = header(first)?;
        let mut entries = BTreeMap::new();
        for (line, text) in (2..).zip(lines) {
            let error = |why: String| BundleError::Line { line, why };
            let entry = entry_from_text(text).map_err(error)?;
            if let Some(twice) = entries.insert(entry.question().clone(), entry) {
                let Question { name, rtype } = twice.question();
                return Err(error(format!("{name} {rtype} is there twice")));
            }
        }
        match entries.len() {
            found if found == header.entries => Ok(Bundle { made: header.made, entries }),
            found => Err(BundleError::Count { said: header.entries, found }),
        }
    }

    /// Until when `entry` and all that it rests on is signed, in seconds since 1970, as they say themselves; none
    /// where a part of it is not there. Aliases are entries of their own.
    pub fn signed_until(&self, entry: &Entry) -> Option<u64> {
        let end = |entry: &Entry| {
            let rrsig = entry.set().signatures().first()?;
            let left = rrsig.expiration.wrapping_sub(entry.fetched() as u32) as i32;
            Some((entry.fetched().checked_add_signed(i64::from(left))?, rrsig.signer.clone()))
        };
        let (mut until, mut zone) = end(entry)?;
        for _ in 0..MAX_ZONES {
            let of_zone = |rtype| self.get(&Question::new(zone.clone(), rtype));
            let (keys, _) = end(of_zone(RrType::DNSKEY)?)?;
            until = until.min(keys);
            // A zone without a DS set here is one that a trust anchor is for.
            let Some(ds) = of_zone(RrType::DS) else { return Some(until) };
            let (ds, above) = end(ds)?;
            (until, zone) = (until.min(ds), above);
        }
        None
    }

    /// Proves the answer to `asked` from what is in the bundle alone, by `prover`, at its time.
    pub fn prove(&self, asked: &Question, prover: &mut Prover) -> Result<Answer, ChainError> {
        let get = |question: &Question| self.get(question).map(Entry::bundled);
        prove_stored(asked, prover, get)
    }
}

/// Proves the answer to `asked` from stored sets alone, `get` giving them by their question. What is not there
/// is an [`ChainError::Unanswered`].
pub fn prove_stored(
    asked: &Question,
    prover: &mut Prover,
    get: impl Fn(&Question) -> Option<RrSet>,
) -> Result<Answer, ChainError> {
    let (mut material, mut budget) = (Material::default(), Budget::default());
    loop {
        let needs = match prover.answer(asked, &material, &mut budget) {
            Ok(answer) => return Ok(answer),
            Err(Halt::Failed(error)) => return Err(error),
            Err(Halt::Need(needs)) => needs,
        };
        for question in needs {
            if let Some(set) = get(&question) {
                material.restore(&question, set);
            }
            if material.get(&question).is_none() {
                let why = "it is not among the stored proofs".to_owned();
                return Err(ChainError::Unanswered { question, why });
            }
        }
    }
}

fn header(line: &str) -> Result<Header, BundleError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Beginning {
        format: String,
        version: u32,
    }
    match serde_json::from_str::<Beginning>(line) {
        Ok(begins) if begins.format == FORMAT && begins.version == VERSION => {
            serde_json::from_str(line).map_err(|_| BundleError::Header)
        }
        Ok(begins) if begins.format == FORMAT => Err(BundleError::Version(begins.version)),
        _ => Err(BundleError::Header),
    }
}

/// An entry as one line, without its end.
pub fn entry_text(entry: &Entry) -> String {
    let (question, set) = (entry.question(), entry.set());
    let alias = match set.rtype() {
        rtype if rtype == question.rtype && *set.owner() == question.name => None,
        RrType::DNAME => Some(Alias::Dname),
        _ => Some(Alias::Cname),
    };
    let line = Line {
        name: question.name.to_string(),
        rtype: question.rtype.to_string(),
        alias,
        owner: (alias == Some(Alias::Dname)).then(|| set.owner().to_string()),
        ttl: set.ttl(),
        fetched: entry.fetched(),
        rdata: set.rdatas().map(|rdata| BASE64.encode(rdata)).collect(),
        rrsig: set.signatures().first().map(|rrsig| BASE64.encode(&rrsig.rdata())).unwrap_or_default(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// Reads what [`entry_text`] writes; the error says what is wrong.
pub fn entry_from_text(text: &str) -> Result<Entry, String> {
    if text.len() > MAX_LINE {
        return Err(format!("longer than {MAX_LINE} octets"));
    }
    let line: Line = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let name = |text: &str| Name::from_text(text).map_err(|e| format!("{text:?}: {e}"));
    let octets = |text: &str| BASE64.decode(text.as_bytes()).map_err(|e| format!("base64: {e}"));
    let rtype = RrType::from_text(&line.rtype).filter(|rtype| !rtype.is_meta());
    let rtype = rtype.ok_or_else(|| format!("{:?} is no record type", line.rtype))?;
    let question = Question::new(name(&line.name)?, rtype);
    let (owner, rtype) = match (line.alias, line.owner) {
        (None, None) => (question.name.clone(), rtype),
        (Some(Alias::Cname), None) => (question.name.clone(), RrType::CNAME),
        (Some(Alias::Dname), Some(owner)) => (name(&owner)?, RrType::DNAME),
        _ => return Err("an owner belongs to a DNAME, and to nothing else".to_owned()),
    };
    let rdatas: Vec<Box<[u8]>> =
        line.rdata.iter().map(|text| octets(text).map(Into::into)).collect::<Result<_, _>>()?;
    if rdatas.is_empty() {
        return Err("an RRset without records".to_owned());
    }
    // What is signed has its length in 16 bits (RFC 4034 section 3.1.8.1).
    if rdatas.iter().any(|rdata| rdata.len() > usize::from(u16::MAX)) {
        return Err("a record of more than 65535 octets".to_owned());
    }
    let rrsig = Rrsig::from_rdata(&octets(&line.rrsig)?).ok_or("an RRSIG out of form")?;
    if rrsig.covered != rtype {
        return Err(format!("an RRSIG over {} beside {rtype}", rrsig.covered));
    }
    let ttl = line.ttl.min(i32::MAX as u32);
    let set = RrSet::stored(owner, rtype, ttl, rdatas, vec![rrsig]);
    Entry::new(question, set, line.fetched)
        .ok_or_else(|| "an RRset that does not answer its question".to_owned())
}

#[cfg(test)]
mod tests;
