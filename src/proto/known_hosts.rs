//! known_hosts files as sshd(8) describes them: which lines are about a host, and what keys they hold. And what ssh
//! asks and reads in place of such a file: its KnownHostsCommand.

use std::collections::HashMap;

use data_encoding::BASE64;
use ring::hmac;

use super::hostkey::{HostKey, HostKeyError};
use super::pattern::spans;

pub mod command;
mod nobody;

/// Longest line that is looked at, in octets; a key is at most a tenth of that.
pub(super) const MAX_LINE: usize = 128 * 1024;
/// Octets of a hashed name and of its salt: those of SHA-1.
pub const HASH: usize = 20;

/// What a line makes of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The host may show it.
    Plain,
    /// It may sign the host's certificates.
    CertAuthority,
    /// Nobody may show it.
    Revoked,
}

/// A line that is about the host asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// What it makes of its key.
    pub marker: Marker,
    /// Other hosts may be meant by it too: it names several, or has a pattern.
    pub shared: bool,
    /// The key, or why it cannot be compared.
    pub key: Result<HostKey, HostKeyError>,
}

/// The name under which ssh looks a host up: bare on port 22, else with its port.
pub fn lookup_name(host: &str, port: u16) -> String {
    if port == 22 { host.to_ascii_lowercase() } else { format!("[{}]:{port}", host.to_ascii_lowercase()) }
}

/// The lines of a file that are about `name` (see [`lookup_name`]). Those out of form are passed over, as ssh
/// does.
pub fn entries(text: &str, name: &str) -> Vec<Entry> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.len() <= MAX_LINE);
    lines.filter_map(|(at, line)| entry(at + 1, line, name)).collect()
}

/// A file in which many names are to be looked up.
#[derive(Debug)]
pub struct Index {
    lines: Vec<String>,
    /// Lines by the names that stand there word for word, in lower case; their numbers from 1.
    plain: HashMap<String, Vec<usize>>,
    /// Lines that have to be tried for each name: those with patterns, and hashed ones.
    tried: Vec<usize>,
    hashed: usize,
}

impl Index {
    /// Of a file's text.
    pub fn new(text: &str) -> Self {
        let mut index = Index { lines: Vec::new(), plain: HashMap::new(), tried: Vec::new(), hashed: 0 };
        for line in text.lines() {
            let number = index.lines.len() + 1;
            let is_bearable = line.len() <= MAX_LINE;
            index.lines.push(if is_bearable { line.to_owned() } else { String::new() });
            let Some(hosts) = hosts_of(line).filter(|_| is_bearable) else { continue };
            if hosts.starts_with('|') {
                index.hashed += 1;
                index.tried.push(number);
            } else if hosts.contains(['*', '?', '!']) {
                index.tried.push(number);
            } else {
                for name in hosts.split(',') {
                    let numbers = index.plain.entry(name.to_ascii_lowercase()).or_default();
                    if numbers.last() != Some(&number) {
                        numbers.push(number);
                    }
                }
            }
        }
        index
    }

    /// How many of its lines hide their names.
    pub fn hashed(&self) -> usize {
        self.hashed
    }

    /// The same without them.
    #[must_use]
    pub fn without_hashed(mut self) -> Self {
        let lines = std::mem::take(&mut self.lines);
        let is_hashed = |number: &usize| {
            lines.get(number - 1).and_then(|line| hosts_of(line)).is_some_and(|hosts| hosts.starts_with('|'))
        };
        self.tried.retain(|number| !is_hashed(number));
        Index { lines, hashed: 0, ..self }
    }

    /// The lines that are about `name`, as [`entries`] finds them.
    pub fn entries(&self, name: &str) -> Vec<Entry> {
        let plain = self.plain.get(&name.to_ascii_lowercase()).into_iter().flatten();
        let mut numbers: Vec<usize> = plain.chain(&self.tried).copied().collect();
        numbers.sort_unstable();
        numbers.iter().filter_map(|number| entry(*number, self.lines.get(number - 1)?, name)).collect()
    }
}

/// The names of a line, behind its marker if it has one.
fn hosts_of(line: &str) -> Option<&str> {
    let line = line.trim_matches([' ', '\t', '\r']);
    let (first, rest) = word(line)?;
    match first.starts_with('@') {
        true => word(rest).map(|(hosts, _)| hosts),
        false => Some(first).filter(|first| !first.starts_with('#')),
    }
}

fn entry(line: usize, text: &str, name: &str) -> Option<Entry> {
    let text = text.trim_matches([' ', '\t', '\r']);
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let (first, rest) = word(text)?;
    let (marker, (hosts, key)) = match first {
        "@cert-authority" => (Marker::CertAuthority, word(rest)?),
        "@revoked" => (Marker::Revoked, word(rest)?),
        unknown if unknown.starts_with('@') => return None,
        hosts => (Marker::Plain, (hosts, rest)),
    };
    let is_meant = match hosts.strip_prefix("|1|") {
        Some(hashed) => Hashed::parse(hashed)?.is(name),
        None => is_listed(hosts, name),
    };
    let shared = hosts.contains([',', '*', '?']);
    is_meant.then(|| Entry { line, marker, shared, key: HostKey::from_line(key) })
}

/// The first word, and what follows the blanks after it.
pub(super) fn word(text: &str) -> Option<(&str, &str)> {
    text.split_once([' ', '\t']).map(|(word, rest)| (word, rest.trim_start_matches([' ', '\t'])))
}

/// A name (see [`lookup_name`]) as `ssh-keygen -H` hides it: whoever knows the name can find it, and nobody can read it.
/// `salt` is to be random.
pub fn hashed(name: &str, salt: &[u8; HASH]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    let hash = hmac::sign(&key, name.as_bytes());
    format!("|1|{}|{}", BASE64.encode(salt), BASE64.encode(hash.as_ref()))
}

/// A hashed name: HMAC-SHA1 of the name under a salt.
pub(super) struct Hashed {
    key: hmac::Key,
    hash: Vec<u8>,
}

impl Hashed {
    /// From `SALT|HASH`, both in base64.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (salt, hash) = text.split_once('|')?;
        let octets = |text: &str| BASE64.decode(text.as_bytes()).ok().filter(|octets| octets.len() == HASH);
        let (salt, hash) = (octets(salt)?, octets(hash)?);
        Some(Hashed { key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt), hash })
    }

    /// It is this name (see [`lookup_name`]).
    pub(super) fn is(&self, name: &str) -> bool {
        hmac::verify(&self.key, name.as_bytes(), &self.hash).is_ok()
    }
}

/// A comma list of patterns; one that begins with `!` and matches takes the name out again.
fn is_listed(patterns: &str, name: &str) -> bool {
    let mut listed = false;
    for pattern in patterns.split(',').filter(|pattern| !pattern.is_empty()) {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => listed = listed || matches(pattern, name),
        }
    }
    listed
}

/// As in ssh_config(5), PATTERNS; case does not count.
fn matches(pattern: &str, name: &str) -> bool {
    spans(pattern.to_ascii_lowercase().as_bytes(), name.to_ascii_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBPn7qwXoRiflqtmplGUcFBhzOfr+CqMeWC2CihxZ3eq";
    // Made by ssh-keygen -H of web1.example.com and [web1.example.com]:2222.
    const HASHED: &str = "|1|EN9OZ9fKjB5iWgEMZGDdv4Ugoas=|Rz9hAC1jYBkeh+dvFFih6Jmnojk=";
    const HASHED_WITH_PORT: &str = "|1|bd93AZtr2Jg9V9rl7lAPbhDNP/g=|nJq4ogstdip4trRjZWi0xoPjI3I=";

    fn lines(text: &str, name: &str) -> Vec<usize> {
        entries(text, name).iter().map(|entry| entry.line).collect()
    }

    fn is_about(hosts: &str, name: &str) -> bool {
        !lines(&format!("{hosts} {KEY}\n"), name).is_empty()
    }

    #[test]
    fn names_ports_lists_and_patterns_are_told_apart() {
        let web1 = lookup_name("Web1.example.com", 22);
        let other_port = lookup_name("web1.example.com", 2222);
        for hosts in [
            "web1.example.com",
            "WEB1.example.com",
            "a,web1.example.com,b",
            "*.example.com",
            "web?.example.com",
        ] {
            assert!(is_about(hosts, &web1), "{hosts}");
        }
        for hosts in [
            "web2.example.com",
            "web1",
            "*.example.com,!web1.*",
            "[web1.example.com]:2222",
            "web1.example.com.",
            ",,",
        ] {
            assert!(!is_about(hosts, &web1), "{hosts}");
        }
        for hosts in ["[web1.example.com]:2222", "[*.example.com]:2222", "*"] {
            assert!(is_about(hosts, &other_port), "{hosts}");
        }
        assert!(!is_about("web1.example.com", &other_port));
        assert!(!is_about("[web1.example.com]:22", &web1));
    }

    #[test]
    fn hashed_names_are_found_by_their_name_alone() {
        let names = ["web1.example.com", "[web1.example.com]:2222", "web2.example.com"];
        assert_eq!(names.map(|name| is_about(HASHED, name)), [true, false, false]);
        assert_eq!(names.map(|name| is_about(HASHED_WITH_PORT, name)), [false, true, false]);
        for bad in ["|1|", "|1|AAAA|AAAA", "|2|x|y", "|1|EN9OZ9fKjB5iWgEMZGDdv4Ugoas="] {
            assert!(!is_about(bad, "web1.example.com"), "{bad}");
        }
    }

    #[test]
    fn names_are_hashed_as_ssh_keygen_does() {
        for (line, name) in [(HASHED, "web1.example.com"), (HASHED_WITH_PORT, "[web1.example.com]:2222")] {
            let salt = BASE64.decode(line.split('|').nth(2).unwrap().as_bytes()).unwrap();
            assert_eq!(hashed(name, &salt.try_into().unwrap()), line);
        }
    }

    #[test]
    fn comments_and_lines_out_of_form_are_passed_over() {
        let text = format!(
            "# web1 {KEY}\n\n  web1\t{KEY} a comment # and more\r\n@cert-authority web1 {KEY}\n@revoked * {KEY}\n\
             @nonsense web1 {KEY}\nweb1\nweb1 ssh-dss AAAA\n@revoked web1\n"
        );
        let found = entries(&text, "web1");
        let seen: Vec<_> = found.iter().map(|e| (e.line, e.marker, e.shared, e.key.is_ok())).collect();
        assert_eq!(
            seen,
            [
                (3, Marker::Plain, false, true),
                (4, Marker::CertAuthority, false, true),
                (5, Marker::Revoked, true, true),
                (8, Marker::Plain, false, false),
            ]
        );
    }

    #[test]
    fn hard_patterns_end() {
        let name = "a".repeat(5_000);
        assert!(!matches(&format!("{}b", "*a".repeat(2_000)), &name));
        assert!(lines(&format!("{} {KEY}", "x".repeat(MAX_LINE)), "x").is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-z@|!,*? \t\n=]{0,200}", name in "[a-z]{1,8}") {
            for entry in entries(&text, &name) {
                prop_assert!(entry.line <= text.lines().count());
            }
        }

        #[test]
        fn an_index_finds_the_same(hosts in prop::collection::vec("(@revoked |@cert-authority |# |@x )?([ab*?!]{1,2}(,[ab*]{1,2}){0,2}|web1.example.com)", 0..6), name in "[abAB]{1,2}") {
            let text: String = hosts.iter().map(|hosts| format!("{hosts} {KEY}\n")).collect();
            let text = format!("{text}{HASHED} {KEY}\n");
            for name in [name.as_str(), "web1.example.com"] {
                prop_assert_eq!(Index::new(&text).entries(name), entries(&text, name));
            }
            prop_assert_eq!(Index::new(&text).hashed(), 1);
            prop_assert_eq!(Index::new(HASHED).without_hashed().entries("web1.example.com"), []);
        }

        #[test]
        fn a_name_matches_itself_and_what_stars_leave_of_it(name in "[a-z.]{1,20}", cut in 0usize..20) {
            let cut = cut.min(name.len());
            prop_assert!(matches(&name, &name));
            let pattern = format!("{}*", &name[..cut]);
            prop_assert!(matches(&pattern, &name));
            let pattern = format!("*{}", &name[cut..]);
            prop_assert!(matches(&pattern, &name));
        }
    }
}
