//! One line of ssh_config, split as ssh splits it (`process_config_line_depth` and `argv_split` of OpenSSH 9.2).

/// White space of the line.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A keyword in lower case, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The keyword.
    pub keyword: String,
    /// What stands behind it, without quotes.
    pub words: Vec<String>,
}

/// ssh would refuse the line: no word behind the keyword, or a quote without its other half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a line of ssh_config")]
pub struct Malformed;

impl Line {
    /// Reads a line; none if it says nothing.
    pub fn parse(text: &str) -> Result<Option<Self>, Malformed> {
        let text = text.trim_matches([' ', '\t', '\r', '\n', '\u{c}']);
        if text.is_empty() || text.starts_with('#') {
            return Ok(None);
        }
        let end = text.find(|c| SPACE.contains(&c) || c == '=' || c == '"').unwrap_or(text.len());
        let (keyword, rest) = text.split_at(end);
        if keyword.is_empty() || rest.starts_with('"') {
            return Err(Malformed);
        }
        let rest = rest.trim_start_matches(SPACE);
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(SPACE);
        let words = words(rest)?;
        match words.is_empty() {
            true => Err(Malformed),
            false => Ok(Some(Line { keyword: keyword.to_ascii_lowercase(), words })),
        }
    }
}

/// Words between white space: quotes hold them together, a backslash makes a quote, a backslash or (outside of quotes)
/// a blank one of the word, and `#` at the beginning of a word ends the line.
fn words(text: &str) -> Result<Vec<String>, Malformed> {
    let mut words = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(first) = letters.peek() {
        match first {
            ' ' | '\t' => {
                letters.next();
                continue;
            }
            '#' => break,
            _ => {}
        }
        let (mut word, mut quote) = (String::new(), None);
        while let Some(c) = letters.next() {
            match (c, quote) {
                ('\\', _) => match letters.peek() {
                    Some(&next) if matches!(next, '\'' | '"' | '\\') || (next == ' ' && quote.is_none()) => {
                        letters.next();
                        word.push(next);
                    }
                    _ => word.push('\\'),
                },
                (' ' | '\t', None) => break,
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                _ => word.push(c),
            }
        }
        if quote.is_some() {
            return Err(Malformed);
        }
        words.push(word);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_ssh_splits_them() {
        for (text, keyword, words) in [
            ("Host a b", "host", &["a", "b"][..]),
            ("  User = joe # me", "user", &["joe"]),
            ("User=joe", "user", &["joe"]),
            ("User =joe", "user", &["joe"]),
            ("User ==joe", "user", &["=joe"]),
            ("IdentityFile \"~/my keys/id\"\r", "identityfile", &["~/my keys/id"]),
            (r"IdentityFile ~/my\ keys/id\x", "identityfile", &[r"~/my keys/id\x"]),
            (r#"X 'a "b' c"d e"f "g\"h" i#j"#, "x", &["a \"b", "cd ef", "g\"h", "i#j"]),
            ("X \"\"", "x", &[""]),
        ] {
            let line =
                Line { keyword: keyword.to_owned(), words: words.iter().map(|w| (*w).to_owned()).collect() };
            assert_eq!(Line::parse(text), Ok(Some(line)), "{text}");
        }
        for nothing in ["", "   ", "# User joe", "\t# x"] {
            assert_eq!(Line::parse(nothing), Ok(None), "{nothing:?}");
        }
        for bad in ["User", "User =", "User \"joe", "User # joe", "User 'joe"] {
            assert_eq!(Line::parse(bad), Err(Malformed), "{bad:?}");
        }
    }
}
