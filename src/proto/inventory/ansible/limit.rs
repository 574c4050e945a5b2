//! `--limit` as Ansible has it: `web:&prod:!web7`, by names, globs and regular expressions (`~web[0-9]+`) of groups and
//! hosts.

use std::collections::BTreeSet;

use regex_lite::RegexBuilder;

use super::{ALL, Inventory, InventoryError, UNGROUPED};
use crate::proto::pattern::spans;
use crate::proto::text::cut;

/// How much of a word an error shows, in characters.
const SHOWN: usize = 255;
/// Largest regular expression once it is compiled, in octets; what it takes to match is at most that by the name's length.
const MAX_REGEX: usize = 64 * 1024;

impl Inventory {
    /// The places of the hosts that `patterns` leave; all, where there are none. A pattern that names what is wanted and
    /// means nobody is an error, for it is mistyped.
    pub fn limited(&self, patterns: &[String]) -> Result<BTreeSet<usize>, InventoryError> {
        let mut words: Vec<&str> = Vec::new();
        for pattern in patterns {
            words.extend(split(pattern).into_iter().map(str::trim).filter(|word| !word.is_empty()));
        }
        let is = |word: &&str, sign: char| word.starts_with(sign);
        let wanted: Vec<&str> = words.iter().copied().filter(|w| !is(w, '!') && !is(w, '&')).collect();
        let mut hosts = match wanted.is_empty() {
            true => (0..self.len()).collect(),
            false => BTreeSet::new(),
        };
        for word in wanted {
            let found = self.matching(word)?;
            if found.is_empty() {
                let word = cut(word, SHOWN);
                return Err(InventoryError::Limit(format!("no group and no host is called {word:?}")));
            }
            hosts.extend(found);
        }
        for word in words.iter().filter_map(|word| word.strip_prefix('&')) {
            let found = self.matching(word)?;
            hosts.retain(|host| found.contains(host));
        }
        for word in words.iter().filter_map(|word| word.strip_prefix('!')) {
            let found = self.matching(word)?;
            hosts.retain(|host| !found.contains(host));
        }
        Ok(hosts)
    }

    /// Whom one word means: a group, groups and hosts by a glob, a host; perhaps some of them, by their places.
    fn matching(&self, word: &str) -> Result<BTreeSet<usize>, InventoryError> {
        let unknown =
            |why: &str| Err(InventoryError::Limit(format!("{:?} in --limit: {why}", cut(word, SHOWN))));
        if let Some(expression) = word.strip_prefix('~') {
            let built = |text: &str| RegexBuilder::new(text).size_limit(MAX_REGEX).build();
            // As Python's `match` has it: from the beginning, and not to the end.
            let regex = built(expression).and_then(|_| built(&format!("^(?:{expression})")));
            return match regex {
                Ok(regex) => Ok(self.named(&|name: &str| regex.is_match(name), true)),
                Err(error) => unknown(&format!("as a regular expression: {error}")),
            };
        }
        if word.starts_with('@') {
            return unknown("name the hosts of a file by -H @FILE");
        }
        let (pattern, places) = match word.strip_suffix(']').and_then(|rest| rest.split_once('[')) {
            Some((pattern, inside)) => match subscript(inside) {
                Some(places) => (pattern, Some(places)),
                None => return unknown("want a place or places in brackets, [0] or [0:2]"),
            },
            None if word.contains(['[', ']']) => return unknown("sets of letters are Ansible's alone"),
            None => (word, None),
        };
        let is_match = |name: &str| spans(pattern.as_bytes(), name.as_bytes());
        let found = match [ALL, "*"].contains(&pattern) {
            true => (0..self.len()).collect(),
            false => self.named(&is_match, pattern.contains(['.', '?', '*'])),
        };
        Ok(match places {
            None => found,
            Some((first, last)) => {
                let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
                let at = |place: i64| if place < 0 { count + place } else { place };
                let (first, last) = (at(first), last.map_or(count - 1, at));
                let is_in =
                    |place: usize| i64::try_from(place).is_ok_and(|place| (first..=last).contains(&place));
                found
                    .into_iter()
                    .enumerate()
                    .filter(|(place, _)| is_in(*place))
                    .map(|(_, host)| host)
                    .collect()
            }
        })
    }

    /// The hosts of groups whose name matches; where no group does, or `are_hosts_meant` as well, those whose own does.
    fn named(&self, is_match: &dyn Fn(&str) -> bool, are_hosts_meant: bool) -> BTreeSet<usize> {
        let (mut found, mut has_group) = (BTreeSet::new(), false);
        let groups = self.groups.keys().map(String::as_str).filter(|name| ![ALL, UNGROUPED].contains(name));
        for name in groups.chain([ALL, UNGROUPED]).filter(|name| is_match(name)) {
            has_group = true;
            match name {
                ALL => found.extend(0..self.len()),
                name => found.extend(self.below(name)),
            }
        }
        if !has_group || are_hosts_meant {
            let hosts = self.hosts.iter().enumerate();
            found.extend(hosts.filter(|(_, host)| is_match(host)).map(|(place, _)| place));
        }
        found
    }

    /// The hosts of a group and of those below it.
    fn below(&self, group: &str) -> BTreeSet<usize> {
        let (mut hosts, mut seen, mut waiting) = (BTreeSet::new(), BTreeSet::new(), vec![group]);
        while let Some(name) = waiting.pop() {
            if !seen.insert(name) {
                continue;
            }
            if let Some(group) = self.groups.get(name) {
                hosts.extend(&group.hosts);
                waiting.extend(group.children.iter().map(String::as_str));
            }
        }
        if group == UNGROUPED {
            let grouped: BTreeSet<usize> = self
                .groups
                .iter()
                .filter(|(name, _)| ![ALL, UNGROUPED].contains(&name.as_str()))
                .flat_map(|(_, group)| group.hosts.iter().copied())
                .collect();
            hosts = (0..self.len()).filter(|place| !grouped.contains(place)).collect();
        }
        hosts
    }
}

/// Words between commas; where there are none, between colons outside of brackets. An IPv6 address is one word.
fn split(pattern: &str) -> Vec<&str> {
    if pattern.contains(',') {
        return pattern.split(',').collect();
    }
    if pattern.parse::<std::net::Ipv6Addr>().is_ok() {
        return vec![pattern];
    }
    let mut depth = 0_usize;
    let is_end = |c: char| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ':' && depth == 0
    };
    pattern.split(is_end).collect()
}

/// `0`, `-1`, `0:2`, `1:`, `1-2`: the first place and the last.
fn subscript(inside: &str) -> Option<(i64, Option<i64>)> {
    if let Ok(place) = inside.parse() {
        return Some((place, Some(place)));
    }
    let (first, last) = inside.split_once(':').or_else(|| inside.split_once('-'))?;
    let first = if first.is_empty() { 0 } else { first.parse().ok()? };
    let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
    Some((first, last))
}
