//! Host sets as `clush` and `nodeset` write them: a comma list of names with ranges in brackets.
//!
//! | written | is |
//! |---|---|
//! | `web[1-3].example.com` | web1, web2, web3 |
//! | `web[001-100]` | web001 to web100: zeros in front are kept |
//! | `web[0-10/2]` | every second: web0, web2, ... web10 |
//! | `web[1,3,5-7]` | web1, web3, web5, web6, web7 |
//! | `r[1-2]n[1-4]` | each with each: r1n1, r1n2, ... r2n4 |
//! | `me@web[1-2]:2222`, `gate:[2201-2204]` | the user stays as it is, a port may be a range |
//! | `[::1]:22`, `[web1]:22` | brackets around a whole host, as ssh writes it: no range |
//! | `@FILE`, `-` | the hosts in a file, or on standard input: each line a list like this one |
//!
//! What is taken as ClusterShell takes it, and what is not, stands in `clustershell.txt` beside this, with the reasons.

mod range;

use self::range::Range;
use crate::proto::text::cut;

/// Longest word, in octets: no user and host name together are longer.
const MAX_WORD: usize = 1024;

/// One word of a host set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Hosts, by their names.
    Hosts(Pattern),
    /// `@FILE`: the hosts in that file.
    File(String),
    /// `-`: the hosts on standard input.
    Input,
}

/// A name with ranges in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Numbers(Vec<Range>),
}

/// Why something is no host set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostSetError {
    /// Two commas side by side, or one at an end.
    #[error("{0:?} has an empty name beside a comma")]
    Empty(String),
    /// A name with white space in it.
    #[error("{0:?} has white space inside of a name")]
    Space(String),
    /// A bracket without its other half.
    #[error("{0:?} has a bracket without its other half")]
    Bracket(String),
    /// Brackets with something else in them than ranges of numbers.
    #[error("[{0}] is no range of numbers: {1}")]
    Range(String, &'static str),
    /// `!`, `&`, `^`, which ClusterShell has between sets.
    #[error("{0:?} has {1:?}, by which clush computes with sets")]
    Operator(String, char),
    /// `{` or `}`, which a shell has.
    #[error("{0:?} has braces, which a shell alone fills in, and only outside of quotes")]
    Brace(String),
    /// No host name is as long.
    #[error("a name of more than {MAX_WORD} octets: {0}...")]
    Long(String),
}

impl HostSetError {
    /// What to type in its place.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty(_) | Self::Space(_) => {
                "commas stand between names: web1.example.com,web2.example.com"
            }
            Self::Bracket(_) | Self::Range(..) => {
                "ranges are written web[1-20], web[001-100], web[1,3,5-7], web[0-10/2]"
            }
            Self::Brace(_) => {
                "ranges of numbers stand in brackets, and for web{1..3} web[1-3]; other names stand each by itself, weba,webb"
            }
            Self::Operator(..) => "name the hosts that are not meant with -x HOSTS",
            Self::Long(_) => "is this a list? commas stand between names",
        }
    }
}

/// The words of a list, each by itself; commas within brackets do not part them.
pub fn parse(text: &str) -> Result<Vec<Word>, HostSetError> {
    let mut words = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                words.push(word(text.get(start..at).unwrap_or_default(), text)?);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(word(text.get(start..).unwrap_or_default(), text)?);
    Ok(words)
}

fn word(word: &str, text: &str) -> Result<Word, HostSetError> {
    let word = word.trim();
    match word.strip_prefix('@') {
        _ if word.is_empty() => Err(HostSetError::Empty(shown(text))),
        _ if word == "-" => Ok(Word::Input),
        Some(file) if !file.is_empty() => Ok(Word::File(file.to_owned())),
        _ => Pattern::parse(word).map(Word::Hosts),
    }
}

/// As much of it as an error shows.
fn shown(text: &str) -> String {
    cut(text, 80).into_owned()
}

impl Pattern {
    /// One word: `[USER@]HOST[:PORT]`, in which whatever follows the user may have ranges.
    pub fn parse(word: &str) -> Result<Self, HostSetError> {
        if word.len() > MAX_WORD {
            return Err(HostSetError::Long(shown(word)));
        }
        let host = word.rfind('@').map_or(0, |at| at + 1);
        let (user, host) = word.split_at(host);
        let mut pieces = vec![Piece::Text(user.to_owned())];
        match enclosed(host) {
            // The brackets of ssh's own form stay; within them may stand ranges.
            Some((inside, behind)) => {
                pieces.push(Piece::Text("[".to_owned()));
                ranges(inside, word, &mut pieces)?;
                pieces.push(Piece::Text("]".to_owned()));
                ranges(behind, word, &mut pieces)?;
            }
            None => ranges(host, word, &mut pieces)?,
        }
        Ok(Pattern { pieces })
    }

    /// How many names this stands for.
    pub fn count(&self) -> u64 {
        let each = |piece: &Piece| match piece {
            Piece::Text(_) => 1,
            Piece::Numbers(ranges) => ranges.iter().map(Range::count).fold(0, u64::saturating_add),
        };
        self.pieces.iter().map(each).fold(1, u64::saturating_mul)
    }

    /// Each name once for each time that it is meant, the last range the fastest.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..self.count()).map(|at| self.name(at))
    }

    /// The name in that place.
    fn name(&self, mut at: u64) -> String {
        let mut parts = Vec::with_capacity(self.pieces.len());
        for piece in self.pieces.iter().rev() {
            match piece {
                Piece::Text(text) => parts.push(text.clone()),
                Piece::Numbers(ranges) => {
                    let count = ranges.iter().map(Range::count).fold(0, u64::saturating_add).max(1);
                    parts.push(range::nth(ranges, at % count));
                    at /= count;
                }
            }
        }
        parts.reverse();
        parts.concat()
    }
}

/// `[HOST]` in front, and what is behind it: as ssh has it, with a letter or a colon in it, which no range has.
fn enclosed(host: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    let end = host.char_indices().find_map(|(at, c)| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(at)
    })?;
    let inside = host.get(..end)?.strip_prefix('[')?;
    let behind = host.get(end + 1..)?;
    let is_host = inside.contains(|c: char| c.is_alphabetic() || matches!(c, ':' | '.'));
    (is_host && (behind.is_empty() || behind.starts_with(':'))).then_some((inside, behind))
}

/// Text and ranges, in turn.
fn ranges(text: &str, word: &str, pieces: &mut Vec<Piece>) -> Result<(), HostSetError> {
    let mut rest = text;
    loop {
        let Some((before, after)) = rest.split_once('[') else {
            plain(rest, word)?;
            pieces.push(Piece::Text(rest.to_owned()));
            return Ok(());
        };
        plain(before, word)?;
        pieces.push(Piece::Text(before.to_owned()));
        let (inside, behind) = after.split_once(']').ok_or_else(|| HostSetError::Bracket(shown(word)))?;
        if inside.contains('[') {
            return Err(HostSetError::Bracket(shown(word)));
        }
        let range =
            |part: &str| Range::parse(part.trim()).map_err(|why| HostSetError::Range(shown(inside), why));
        pieces.push(Piece::Numbers(inside.split(',').map(range).collect::<Result<_, _>>()?));
        rest = behind;
    }
}

/// What stands between ranges. Whether it is a host name is looked at later, when the name is whole.
fn plain(text: &str, word: &str) -> Result<(), HostSetError> {
    if text.contains(']') {
        return Err(HostSetError::Bracket(shown(word)));
    }
    if text.contains(char::is_whitespace) {
        return Err(HostSetError::Space(shown(word)));
    }
    if text.contains(['{', '}']) {
        return Err(HostSetError::Brace(shown(word)));
    }
    match text.chars().find(|c| matches!(c, '!' | '&' | '^')) {
        Some(operator) => Err(HostSetError::Operator(shown(word), operator)),
        None => Ok(()),
    }
}

/// A line of a file of hosts without its comment, which begins the line or stands behind white space; none if it
/// says nothing.
pub fn line(text: &str) -> Option<&str> {
    let mut before = ' ';
    let comment = text.char_indices().find(|(_, c)| {
        let begins = *c == '#' && before.is_whitespace();
        before = *c;
        begins
    });
    let line = comment.map_or(text, |(at, _)| text.get(..at).unwrap_or_default()).trim();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests;
