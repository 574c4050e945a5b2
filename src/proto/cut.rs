//! Texts of others, as much of them as is shown.

use std::borrow::Cow;

/// `text`, or its first `most` characters and `...` if there are more.
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default())),
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
    }
}
