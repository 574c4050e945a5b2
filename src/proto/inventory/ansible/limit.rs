//! `--limit` as Ansible has it: `web:&prod:!web7`, by names and globs of groups and hosts.

use std::collections::BTreeSet;

use super::{ALL, Inventory, InventoryError, UNGROUPED};
use crate::proto::pattern::spans;

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
        let unknown = |why: &str| Err(InventoryError::Limit(format!("{word:?} in --limit: {why}")));
        if word.starts_with('~') {
            return unknown("regular expressions are Ansible's alone");
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
        let mut found = BTreeSet::new();
        if [ALL, "*"].contains(&pattern) {
            found.extend(0..self.len());
        } else {
            let mut has_group = false;
            for name in
                self.groups.keys().map(String::as_str).chain([UNGROUPED]).filter(|name| is_match(name))
            {
                has_group = true;
                found.extend(self.below(name));
            }
            if !has_group || pattern.contains(['.', '?', '*']) {
                let hosts = self.hosts.iter().enumerate();
                found.extend(hosts.filter(|(_, host)| is_match(host)).map(|(place, _)| place));
            }
        }
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
