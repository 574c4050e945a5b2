//! One configuration file: TOML, read strictly. Every mistake has its line.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Cache;
use super::publishing::{Agent, Publishing, Rotate};
use super::trail::Trail;
use crate::dns::dns_server;
use crate::proto::duration;
use crate::proto::pattern::PatternList;
use crate::proto::policy::{Location, Rule, Setting, Value};
use crate::proto::text::cut;

mod publishing;
mod trail;

/// The version of the format that is read.
const VERSION: &str = "1";
/// Keys above the first `[[host]]` table.
const KEYS: [&str; 10] = [
    "version",
    "resolver",
    "trust_anchor",
    "cache",
    "timeout",
    "host",
    "publish",
    "agent",
    "rotate",
    "trail",
];
/// Most mistakes that are told of one file.
const MAX_MISTAKES: usize = 20;
/// The longest part of a line that is shown, and the longest message, in characters: both hold what the file says.
const MAX_SHOWN: usize = 100;
const MAX_MESSAGE: usize = 400;
/// How long everything together may take.
const TIMEOUTS: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(86_401);

/// What one file says. Numbers beside values are lines, from 1.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) resolver: Option<(Vec<SocketAddr>, usize)>,
    pub(super) trust_anchor: Option<(PathBuf, usize)>,
    pub(super) cache: Option<(Cache, usize)>,
    pub(super) timeout: Option<(Duration, usize)>,
    pub(super) rules: Vec<Rule>,
    pub(super) publishing: Option<(Vec<Publishing>, usize)>,
    pub(super) agent: Option<(Agent, usize)>,
    pub(super) rotate: Option<(Rotate, usize)>,
    pub(super) trail: Option<(Trail, usize)>,
    /// The lines of the keys of [agent] and [rotate], as `agent.interval`.
    pub(super) lines: BTreeMap<String, usize>,
}

/// Where a file is, for what it says of others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whereabouts<'a> {
    /// Its place among those read.
    pub(super) index: usize,
    /// Its folder, from which relative paths go out.
    pub(super) folder: &'a Path,
    /// The user's home, for paths that begin with `~/`.
    pub(super) home: Option<&'a Path>,
}

/// Something in a file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; none if it is about the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// The line itself, without blanks around it, cut if it is long.
    pub shown: Option<String>,
}

impl Mistake {
    pub(super) fn whole(message: impl fmt::Display) -> Self {
        Mistake { line: None, message: message.to_string(), shown: None }
    }
}

/// Reads what a file holds; all of it is right, or every mistake is told.
pub(super) fn parse(octets: impl AsRef<[u8]>, at: Whereabouts<'_>) -> Result<File, Vec<Mistake>> {
    let octets = octets.as_ref();
    let text = &String::from_utf8_lossy(octets);
    let ends = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n').map(|(end, _)| end).collect();
    let mut reader = Reader { text, ends, at, mistakes: Vec::new() };
    if let Err(e) = str::from_utf8(octets) {
        reader.mistake(e.valid_up_to(), "this is not UTF-8");
        return Err(reader.mistakes);
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.mistake(error.span().map_or(0, |span| span.start), error.message());
    }
    if errors.is_empty() && reader.version(root.get_ref()) {
        let file = reader.file(root.get_ref());
        if reader.mistakes.is_empty() {
            return Ok(file);
        }
    }
    let mut mistakes = reader.mistakes;
    mistakes.sort_by_key(|mistake| mistake.line);
    mistakes.dedup();
    let untold = mistakes.len().saturating_sub(MAX_MISTAKES);
    mistakes.truncate(MAX_MISTAKES);
    if untold > 0 {
        mistakes.push(Mistake::whole(format!("and {untold} mistakes more")));
    }
    Err(mistakes)
}

struct Reader<'a> {
    text: &'a str,
    /// Where its lines end.
    ends: Vec<usize>,
    at: Whereabouts<'a>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end < offset) + 1
    }

    fn place(&self, offset: usize) -> Location {
        Location { file: self.at.index, line: self.line(offset) }
    }

    fn mistake(&mut self, offset: usize, message: impl fmt::Display) {
        let line = self.line(offset);
        let begin = line.checked_sub(2).and_then(|before| self.ends.get(before)).map_or(0, |end| end + 1);
        let end = self.ends.get(line - 1).copied().unwrap_or(self.text.len());
        let shown = self.text.get(begin..end).map(|text| cut(text.trim(), MAX_SHOWN).into_owned());
        let message = cut(&message.to_string(), MAX_MESSAGE).into_owned();
        self.mistakes.push(Mistake { line: Some(line), message, shown });
    }

    /// Keeps what is right, tells what is not.
    fn right<T, E: fmt::Display>(&mut self, value: Result<T, E>, offset: usize) -> Option<T> {
        value.map_err(|error| self.mistake(offset, error)).ok()
    }

    /// The file is of the version that is known here. Of another one nothing else is looked at.
    fn version(&mut self, root: &DeTable<'_>) -> bool {
        let Some(version) = root.get("version") else {
            self.mistakes
                .push(Mistake::whole(format!("it does not say its version (want: version = {VERSION})")));
            return false;
        };
        let known = version.get_ref().as_integer().is_some_and(|n| n.radix() == 10 && n.as_str() == VERSION);
        if !known {
            let message = format!("this program knows version {VERSION} alone (want: version = {VERSION})");
            self.mistake(version.span().start, message);
        }
        known
    }

    fn file(&mut self, root: &DeTable<'_>) -> File {
        let mut file = File::default();
        for (key, value) in root.iter() {
            let (begin, line) = (key.span().start, self.line(key.span().start));
            match key.get_ref().as_ref() {
                "version" => {}
                "host" => file.rules = self.rules(value),
                "publish" => file.publishing = Some((self.publishing(value), line)),
                "agent" => file.agent = self.agent(value).map(|agent| (agent, line)),
                "rotate" => file.rotate = self.rotate(value).map(|rotate| (rotate, line)),
                "trail" => file.trail = self.trail(value).map(|trail| (trail, line)),
                "resolver" => {
                    let servers = texts(value).and_then(|value| servers(&value));
                    file.resolver = self.right(servers, begin).map(|servers| (servers, line));
                }
                "trust_anchor" => {
                    let path = one_text(value).and_then(|text| path(&text, self.at));
                    file.trust_anchor = self.right(path, begin).map(|path| (path, line));
                }
                "cache" => {
                    let cache = one_text(value).and_then(|text| Cache::read(&text, |t| path(t, self.at)));
                    file.cache = self.right(cache, begin).map(|cache| (cache, line));
                }
                "timeout" => {
                    let timeout = one_text(value).and_then(|text| timeout(&text));
                    file.timeout = self.right(timeout, begin).map(|timeout| (timeout, line));
                }
                key if Setting::KEYS.contains(&key) => {
                    let message =
                        format!("{key} belongs into a [[host]] table (for all hosts: match = \"*\")");
                    self.mistake(begin, message);
                }
                key => {
                    let key: String = cut(key, 40).into_owned();
                    self.mistake(begin, format!("there is no key {key:?} (there are: {})", KEYS.join(", ")))
                }
            }
        }
        for (name, value) in root.iter() {
            let (name, DeValue::Table(table)) = (name.get_ref().as_ref(), value.get_ref()) else { continue };
            if matches!(name, "agent" | "rotate") {
                let line = |key: &Spanned<_>| self.line(key.span().start);
                file.lines
                    .extend(table.iter().map(|(key, _)| (format!("{name}.{}", key.get_ref()), line(key))));
            }
        }
        file
    }

    fn rules(&mut self, value: &Spanned<DeValue<'_>>) -> Vec<Rule> {
        let tables = match value.get_ref() {
            DeValue::Array(tables) => tables,
            _ => {
                self.mistake(value.span().start, "want [[host]], with two brackets: there may be several");
                return Vec::new();
            }
        };
        tables.iter().filter_map(|table| self.rule(table)).collect()
    }

    fn rule(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Rule> {
        let DeValue::Table(table) = value.get_ref() else {
            self.mistake(value.span().start, "want a table of settings for hosts");
            return None;
        };
        let mut hosts = None;
        let mut says_for_whom = false;
        let mut settings = Vec::new();
        for (key, value) in table.iter() {
            let begin = key.span().start;
            match key.get_ref().as_ref() {
                "match" => {
                    let patterns = texts(value).map(|value| match value {
                        Value::Text(text) => text,
                        Value::List(texts) => texts.join(" "),
                        Value::Number(number) => number.to_string(),
                    });
                    let list = patterns.and_then(|text| PatternList::parse(&text).map_err(|e| e.to_string()));
                    hosts = self.right(list, begin);
                    says_for_whom = true;
                }
                key if KEYS.contains(&key) => {
                    self.mistake(begin, format!("{key} belongs above the first [[host]] table"));
                }
                key => {
                    let setting = match Setting::KEYS.contains(&key) {
                        true => number(value).map_or_else(|| texts(value), Ok),
                        // Whatever its value, it is the key that is wrong.
                        false => Ok(Value::Text(String::new())),
                    };
                    let setting =
                        setting.and_then(|value| Setting::read(key, &value).map_err(|e| e.to_string()));
                    let place = self.place(begin);
                    settings.extend(self.right(setting, begin).map(|setting| (setting, place)));
                }
            }
        }
        settings.sort_by_key(|(_, place)| *place);
        let place = self.place(value.span().start);
        if !says_for_whom {
            self.mistake(
                value.span().start,
                "this table does not say for which hosts (match = \"*.example.com\")",
            );
        }
        Some(Rule { hosts: hosts?, place, settings })
    }
}

/// A whole number, in decimal.
fn number(value: &Spanned<DeValue<'_>>) -> Option<Value> {
    let number = value.get_ref().as_integer().filter(|n| n.radix() == 10)?;
    number.as_str().parse().ok().map(Value::Number)
}

/// A text or a list of texts.
fn texts(value: &Spanned<DeValue<'_>>) -> Result<Value, String> {
    let text = |value: &DeValue<'_>| value.as_str().map(str::to_owned);
    let wanted = || "want a text in quotes, or a list of such".to_owned();
    match value.get_ref() {
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| text(item.get_ref())).collect();
            texts.map(Value::List).ok_or_else(wanted)
        }
        other => text(other).map(Value::Text).ok_or_else(wanted),
    }
}

fn one_text(value: &Spanned<DeValue<'_>>) -> Result<String, String> {
    value.get_ref().as_str().map(str::to_owned).ok_or_else(|| "want a text in quotes".to_owned())
}

fn servers(value: &Value) -> Result<Vec<SocketAddr>, String> {
    let server = |text: &str| dns_server(text).map_err(|e| format!("{text:?}: {e}"));
    let servers: Vec<SocketAddr> = match value {
        Value::Text(text) => text.split(',').map(server).collect::<Result<_, _>>()?,
        Value::List(texts) => texts.iter().map(|text| server(text)).collect::<Result<_, _>>()?,
        Value::Number(_) => Vec::new(),
    };
    if servers.is_empty() {
        return Err("want at least one resolver; without the key the system's are asked".to_owned());
    }
    Ok(servers)
}

fn path(text: &str, at: Whereabouts<'_>) -> Result<PathBuf, String> {
    match text.strip_prefix("~/") {
        _ if text.is_empty() => Err("want a path".to_owned()),
        Some(rest) => at.home.map(|home| home.join(rest)).ok_or_else(|| "this user has no home".to_owned()),
        None if text.starts_with('~') => Err("of homes only one's own is known, as ~/".to_owned()),
        None => Ok(at.folder.join(text)),
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let span = duration::parse(text).map_err(|e| e.to_string())?;
    match TIMEOUTS.contains(&span) {
        true => Ok(span),
        false => Err(format!("{text:?}: want a span of time from 1s to 1d")),
    }
}

#[cfg(test)]
mod tests;
