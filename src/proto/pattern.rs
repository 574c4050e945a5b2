//! Host patterns as in ssh_config(5), PATTERNS: `*`, `?`, and `!` for what is left out.

use std::fmt;

/// Longest pattern, in octets: no host name is longer (RFC 1035 section 2.3.4).
const MAX_PATTERN: usize = 255;

/// A pattern without its `!`, lower case, with each run of wildcards in one order (`?` before a single `*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Pattern(Box<[u8]>);

/// Patterns of which one has to match, and none that is negated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternList {
    wanted: Vec<Pattern>,
    unwanted: Vec<Pattern>,
}

/// Why a text is no list of patterns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No pattern at all, or a `!` alone.
    #[error("want host patterns such as \"*.example.com !db.example.com\"")]
    Empty,
    /// Something that stands in no name and no address.
    #[error(
        "{0:?} in a host pattern (want letters, digits, - . _ : and the wildcards * and ?; other scripts as xn--...)"
    )]
    Character(char),
    /// Longer than any name.
    #[error("a host pattern of {0} octets (no name has more than {MAX_PATTERN})")]
    Long(usize),
}

/// `pattern` matches the whole of `text`, in which `*` and `?` stand for themselves; case counts. If `text` is
/// itself a pattern, true says that `pattern` matches all that it matches: `*` takes any part of it, `?` anything
/// but a `*`.
///
/// Behind a `*` the first place that fits is as good as any later one, so that no more than the last `*`
/// is ever gone back to: at most as many steps as both lengths multiplied, which are bounded.
pub fn spans(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(octet) = text.get(here) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, here));
                at += 1;
            }
            Some(wanted) if wanted == octet || (*wanted == b'?' && *octet != b'*') => {
                at += 1;
                here += 1;
            }
            _ => match &mut star {
                Some((after, taken)) => {
                    *taken += 1;
                    (at, here) = (*after, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|octet| *octet == b'*'))
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, PatternError> {
        // One final dot counts for nothing. With two it is no name, and stays what it is.
        let bare = text.strip_suffix('.').filter(|rest| !rest.ends_with('.')).unwrap_or(text);
        let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '*' | '?');
        if let Some(wrong) = bare.chars().find(|c| !good(c)) {
            return Err(PatternError::Character(wrong));
        }
        if bare.is_empty() {
            return Err(PatternError::Empty);
        }
        if bare.len() > MAX_PATTERN {
            return Err(PatternError::Long(bare.len()));
        }
        let mut octets = Vec::with_capacity(bare.len());
        let mut star = false;
        for octet in bare.bytes() {
            if octet == b'*' {
                star = true;
                continue;
            }
            if star && octet != b'?' {
                octets.push(b'*');
                star = false;
            }
            octets.push(octet.to_ascii_lowercase());
        }
        octets.extend(star.then_some(b'*'));
        Ok(Pattern(octets.into()))
    }

    /// See [`spans`].
    fn spans(&self, text: &[u8]) -> bool {
        spans(&self.0, text)
    }

    /// Some text is matched by both.
    fn meets(&self, other: &Pattern) -> bool {
        let (left, right) = (&self.0, &other.0);
        // Whether what is left of `left` meets what is left of `right`, from their ends on.
        let mut below = vec![false; right.len() + 1];
        for at in (0..=left.len()).rev() {
            let mut row = vec![false; right.len() + 1];
            for here in (0..=right.len()).rev() {
                let get = |row: &[bool], index: usize| row.get(index).copied().unwrap_or(false);
                let meets = match (left.get(at), right.get(here)) {
                    (None, None) => true,
                    (Some(b'*'), _) => get(&below, here) || get(&row, here + 1),
                    (_, Some(b'*')) => get(&row, here + 1) || get(&below, here),
                    (Some(a), Some(b)) => (a == b || *a == b'?' || *b == b'?') && get(&below, here + 1),
                    _ => false,
                };
                if let Some(place) = row.get_mut(here) {
                    *place = meets;
                }
            }
            below = row;
        }
        below.first().copied().unwrap_or(false)
    }

    /// No host name and no address is like this, whatever its wildcards stand for.
    fn is_impossible(&self) -> bool {
        let wild = |octet: &u8| matches!(octet, b'*' | b'?');
        let fixed = self.0.iter().filter(|octet| **octet != b'*').count();
        let bad_label = |label: &[u8]| {
            let ends = [label.first(), label.last()];
            label.is_empty() || ends.contains(&Some(&b'-')) || (label.len() > 63 && !label.iter().any(wild))
        };
        if self.0.contains(&b':') {
            return self.0.contains(&b'_') || self.0.contains(&b'-');
        }
        fixed > 253 || self.0.contains(&b'_') || self.0.split(|octet| *octet == b'.').any(bad_label)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl PatternList {
    /// From patterns with blanks or commas between them; a final dot counts for nothing.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut list = PatternList { wanted: Vec::new(), unwanted: Vec::new() };
        for word in text.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|word| !word.is_empty())
        {
            match word.strip_prefix('!') {
                Some(rest) => list.unwanted.push(Pattern::parse(rest)?),
                None => list.wanted.push(Pattern::parse(word)?),
            }
        }
        if list.wanted.is_empty() && list.unwanted.is_empty() {
            return Err(PatternError::Empty);
        }
        Ok(list)
    }

    /// `host`, a name or an address in whatever case, is matched by one pattern and by no negated one.
    pub fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.spans(host.as_bytes()));
        any(&self.wanted) && !any(&self.unwanted)
    }

    /// No host can ever be matched, as far as one pattern beside another shows.
    pub fn is_empty(&self) -> bool {
        self.parts().next().is_none()
    }

    /// Each host that this list matches is matched by one of `others`, as far as one pattern beside another
    /// shows: true is certain, false is not.
    pub fn is_covered_by(&self, others: &[&PatternList]) -> bool {
        self.parts().all(|part| others.iter().any(|other| other.covers(part, &self.unwanted)))
    }

    /// Some host may be matched by both, as far as one pattern beside another shows: false is certain.
    pub fn meets(&self, other: &PatternList) -> bool {
        self.parts().any(|part| {
            let left_out = |list: &PatternList| list.unwanted.iter().any(|unwanted| unwanted.spans(&part.0));
            !left_out(other) && other.parts().any(|theirs| part.meets(theirs) && !self.leaves_out(theirs))
        })
    }

    /// The patterns that can match something.
    fn parts(&self) -> impl Iterator<Item = &Pattern> {
        self.wanted.iter().filter(|part| !part.is_impossible() && !self.leaves_out(part))
    }

    fn leaves_out(&self, part: &Pattern) -> bool {
        self.unwanted.iter().any(|unwanted| unwanted.spans(&part.0))
    }

    /// All that `part` matches, but for what `except` does, is matched here.
    fn covers(&self, part: &Pattern, except: &[Pattern]) -> bool {
        let excepted = |unwanted: &Pattern| except.iter().any(|pattern| pattern.spans(&unwanted.0));
        self.wanted.iter().any(|wanted| wanted.spans(&part.0))
            && self.unwanted.iter().all(|unwanted| !unwanted.meets(part) || excepted(unwanted))
    }
}

/// As in a configuration: what is wanted, then what is not.
impl fmt::Display for PatternList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.wanted.iter().map(Pattern::to_string);
        let words: Vec<String> = words.chain(self.unwanted.iter().map(|p| format!("!{p}"))).collect();
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> PatternList {
        PatternList::parse(text).unwrap()
    }

    #[test]
    fn wildcards_match_the_whole_name() {
        for (pattern, host, want) in [
            ("web1.example.com", "web1.example.com", true),
            ("WEB1.Example.com.", "web1.example.COM", true),
            ("web1.example.com", "web1.example.com.", true),
            ("web1.example.com", "web1.example.com.org", false),
            ("web1.example.com", "aweb1.example.com", false),
            ("*.example.com", "web1.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("web?.example.com", "web1.example.com", true),
            ("web?.example.com", "web10.example.com", false),
            ("web?.example.com", "web.example.com", false),
            ("*", "anything", true),
            ("*a*b*c", "xaxbxc", true),
            ("*a*b*c", "xaxbx", false),
            ("*?", "a", true),
            ("**a", "a", true),
            ("10.0.?.*", "10.0.1.200", true),
            ("fe80:*", "fe80::1", true),
        ] {
            assert_eq!(list(pattern).matches(host), want, "{pattern} and {host}");
        }
    }

    #[test]
    fn negation_and_lists_are_those_of_ssh_config() {
        for (patterns, host, want) in [
            ("*.example.com !db.example.com", "web.example.com", true),
            ("*.example.com !db.example.com", "db.example.com", false),
            ("!db.example.com,*.example.com", "db.example.com", false),
            ("!db.example.com", "web.example.com", false),
            ("!*", "web.example.com", false),
            ("a, b", "b", true),
            ("a,,b  ,", "b", true),
        ] {
            assert_eq!(list(patterns).matches(host), want, "{patterns} and {host}");
        }
        for bad in ["", " , ", "!", "a !", "a/b", "ü.de", "[a]:22", "a\0", &"a".repeat(256)] {
            assert!(PatternList::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hostile_patterns_cost_no_more_than_both_lengths_multiplied() {
        let pattern = Pattern::parse(&"*a".repeat(127)).unwrap();
        let host = [vec![b'a'; 252], vec![b'b']].concat();
        // 2^126 ways to share out the letters; this is to end at once.
        for _ in 0..1000 {
            assert!(!pattern.spans(&host));
        }
    }

    #[test]
    fn one_list_covers_another_only_if_that_is_certain() {
        for (wide, narrow, want) in [
            ("*", "*.example.com", true),
            ("*.example.com", "*", false),
            ("*.example.com", "web?.example.com", true),
            ("*.example.com", "a.example.com b.example.com", true),
            ("*.example.com", "a.example.com b.example.org", false),
            ("*.example.com !db.example.com", "web.example.com", true),
            ("*.example.com !db.example.com", "db.example.com", false),
            ("*.example.com !db.example.com", "*.example.com", false),
            ("*.example.com !db.example.com", "*.example.com !db.example.com", true),
            ("*.example.com !db.example.com", "*.example.com !d*", true),
            ("*.example.com !*.org", "web.example.com", true),
            ("?*", "*?", true),
            ("?", "*", false),
            ("a*", "a?b*", true),
            ("a?b*", "a*", false),
        ] {
            assert_eq!(list(narrow).is_covered_by(&[&list(wide)]), want, "{wide} over {narrow}");
        }
        let (a, b) = (list("a.example"), list("b.example"));
        assert!(list("a.example b.example").is_covered_by(&[&a, &b]), "by two together");
        assert!(!list("a.example b.example").is_covered_by(&[&a]));
    }

    #[test]
    fn lists_that_can_never_match_are_known() {
        for text in
            ["!a", "a !a", "a.example !*.example", "a_b", ".a", "a..b", "-a.b", "*.a-.b", "*-", "a_b a !?"]
        {
            assert!(list(text).is_empty(), "{text}");
        }
        for text in ["a..", ".."] {
            assert!(list(text).is_empty());
            assert_eq!(list(text).to_string(), text, "told of as it was written");
        }
        assert!(list(&"a".repeat(64)).is_empty());
        for text in ["a", "a !b", "*.a", "a*-b", "10.0.0.1", "::1", "fe80:*", "a !a b", "*.*.*"] {
            assert!(!list(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn lists_meet_where_some_host_is_matched_by_both() {
        for (left, right, want) in [
            ("*.example.com", "web.*", true),
            ("*.example.com", "*.example.org", false),
            ("a*b", "ab*b", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("* !*.example.com", "web.example.com", false),
            ("web.example.com", "* !*.example.com", false),
            ("* !web.example.com", "*.example.com", true),
        ] {
            assert_eq!(list(left).meets(&list(right)), want, "{left} and {right}");
        }
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        proptest! {
            /// A list that covers another matches whatever that one matches; two that match one host meet.
            #[test]
            fn coverage_and_meeting_agree_with_matching(
                left in "(!?[ab.*?]{1,4} ?){1,3}", right in "(!?[ab.*?]{1,4} ?){1,3}", host in "[ab](\\.?[ab]){0,3}"
            ) {
                if let (Ok(left), Ok(right)) = (PatternList::parse(&left), PatternList::parse(&right)) {
                    let (in_left, in_right) = (left.matches(&host), right.matches(&host));
                    prop_assert!(!(right.is_covered_by(&[&left]) && in_right) || in_left);
                    prop_assert!(!(in_left && in_right) || left.meets(&right));
                    prop_assert!(!in_left || !left.is_empty());
                }
            }
        }
    }
}
