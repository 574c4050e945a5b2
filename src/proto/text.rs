//! Texts of others: how they are made harmless, and as much of them as is shown.

use std::borrow::Cow;

/// Text as a single line of printable ASCII: control characters, escapes and everything outside
/// ASCII become `\u{..}` or `\n` and the like.
pub fn sanitise(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() {
            clean.push(c);
        } else {
            clean.extend(c.escape_default());
        }
    }
    clean
}

/// `text`, or its first `most` characters and `...` if there are more. What it holds stays as it is: whoever shows it
/// sanitises, and JSON has escapes of its own.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default())),
    }
}

/// The same for where it is shown at once: sanitised, as by [`sanitise`].
pub fn shorten(text: &str, most: usize) -> Cow<'_, str> {
    let kept = cut(text, most);
    match kept.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        true => kept,
        false => Cow::Owned(sanitise(&kept)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_longer_is_cut() {
        assert_eq!(cut("web1", 4), "web1");
        assert_eq!(cut("web12", 4), "web1...");
        assert_eq!(cut("\u{e9}\u{e9}\u{e9}", 2), "\u{e9}\u{e9}...");
        assert_eq!(cut("", 0), "");
        assert_eq!(shorten("\u{e9}\x1b\u{e9}", 2), "\\u{e9}\\u{1b}...");
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        let clean = sanitise("a\x1b[31mb\r\n\u{202e}\u{7f}\u{e9}\0");
        assert_eq!(clean, "a\\u{1b}[31mb\\r\\n\\u{202e}\\u{7f}\\u{e9}\\u{0}");
        assert_eq!(sanitise(&clean), clean, "twice is once");
    }
}
