//! The chosen hosts, as ssh matches them.

use crate::proto::name::HostName;
use crate::proto::pattern::{PatternError, PatternList};

/// How many names are tried.
const MAX_PROBES: usize = 8;

/// Host patterns, at least one of which some host can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// In lower case, without final dots, in their order.
    words: Vec<String>,
    list: PatternList,
}

/// Why these are no hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostsError {
    /// One of them is no pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// Negated patterns alone, or such as leave nothing.
    #[error("no host is ever matched by {0}")]
    Nobody(String),
    /// With a port, which ssh does not compare.
    #[error("{0}: ssh compares patterns with names alone, whatever the port")]
    Port(String),
}

impl Hosts {
    /// From patterns as in ssh_config(5), each a word of its own or several with commas between them.
    pub fn parse(patterns: &[String]) -> Result<Self, HostsError> {
        let joined = patterns.join(" ").to_ascii_lowercase();
        let list = PatternList::parse(&joined)?;
        if list.is_empty() {
            return Err(HostsError::Nobody(patterns.join(" ")));
        }
        let words = joined.split([' ', ',']).filter(|word| !word.is_empty());
        if let Some(word) = words.clone().find(|word| has_port(word)) {
            return Err(HostsError::Port(word.to_owned()));
        }
        let words = words.map(|word| word.strip_suffix('.').unwrap_or(word).to_owned()).collect();
        Ok(Hosts { words, list })
    }

    /// The patterns, as they were given.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The same, to compare hosts with.
    pub fn list(&self) -> &PatternList {
        &self.list
    }

    /// The argument of `Match host`. A name may be typed with a final dot, which to ssh makes another name.
    pub fn match_list(&self) -> String {
        let both = |word: &String| match word.ends_with('*') {
            true => word.clone(),
            false => format!("{word},{word}."),
        };
        self.words.iter().map(both).collect::<Vec<_>>().join(",")
    }

    /// Names that are matched, to be tried.
    pub fn probes(&self) -> Vec<String> {
        let wanted = self.words.iter().filter(|word| !word.starts_with('!'));
        let name = |word: &String| word.replace('*', "sshanchor-probe").replace('?', "x");
        let good = |name: &String| HostName::parse(name).is_ok() && self.list.matches(name);
        wanted.map(name).filter(good).take(MAX_PROBES).collect()
    }

    /// Which of the `former` patterns match hosts that these leave out.
    pub fn left_out<'a>(&self, former: &'a Hosts) -> Vec<&'a str> {
        let (unwanted, wanted): (Vec<&String>, Vec<&String>) =
            former.words.iter().partition(|word| word.starts_with('!'));
        let is_left_out = |word: &&String| {
            let words: Vec<&str> =
                [*word].into_iter().chain(unwanted.iter().copied()).map(String::as_str).collect();
            PatternList::parse(&words.join(" ")).is_ok_and(|part| !part.is_covered_by(&[&self.list]))
        };
        wanted.into_iter().filter(is_left_out).map(String::as_str).collect()
    }

    /// Patterns that addresses match, none of which can be proven.
    pub fn addresses(&self) -> Vec<&str> {
        let of_address = |word: &&String| {
            let digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | '*' | '?');
            word.contains(':') || (word.contains(|c: char| c.is_ascii_digit()) && word.chars().all(digits))
        };
        let wanted = self.words.iter().filter(|word| !word.starts_with('!'));
        wanted.filter(of_address).map(String::as_str).collect()
    }
}

/// `NAME:PORT`, which no IPv6 address is like.
fn has_port(word: &str) -> bool {
    let is_hex = |c: char| c.is_ascii_hexdigit() || matches!(c, '*' | '?' | '!');
    word.split_once(':').is_some_and(|(name, port)| {
        !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.chars().all(is_hex)
    })
}
