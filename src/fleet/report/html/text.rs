//! How text gets into a page: whatever a peer has sent is printable ASCII on one line, bounded, and no markup.

use std::fmt;

use crate::proto::moment::rfc3339;
use crate::proto::text::shorten;

/// Characters of a text at most.
const TEXT: usize = 1200;

/// Text as a page shows it, in an element or in a quoted attribute.
pub(super) struct Text<'a>(&'a str);

/// Any text: the one way by which it gets into the page.
pub(super) fn text(content: &str) -> Text<'_> {
    Text(content)
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = shorten(self.0, TEXT);
        let mut rest = content.as_ref();
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            let mut chars = special.chars();
            f.write_str(match chars.next() {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = chars.as_str();
        }
        f.write_str(rest)
    }
}

/// A moment in seconds since 1970, for people and programs.
pub(super) struct Moment(u64);

/// A moment as an element.
pub(super) fn moment(seconds: u64) -> Moment {
    Moment(seconds)
}

impl Moment {
    /// `2026-11-21 12:00`; none beyond the year 9999.
    fn short(&self) -> Option<String> {
        Some(rfc3339(self.0)?.get(..16)?.replace('T', " "))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.short() {
            Some(short) => write!(f, "{short} UTC"),
            None => f.write_str("no date"),
        }
    }
}

/// A moment as a `time` element.
pub(super) fn time(seconds: u64) -> String {
    match (rfc3339(seconds), moment(seconds).short()) {
        (Some(exact), Some(short)) => format!("<time datetime=\"{exact}\">{short}</time>"),
        _ => "no date".to_owned(),
    }
}

/// `1 host`, `10,000 hosts`.
pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}

/// With a comma before each three digits.
pub(super) fn number(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A sentence's first letter as a capital.
pub(super) fn capital(content: &str) -> String {
    let mut chars = content.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(
            text("<script>\"it's\" &amp;</script>\n\u{202e}").to_string(),
            "&lt;script&gt;&quot;it&#39;s&quot; &amp;amp;&lt;/script&gt;\\n\\u{202e}"
        );
        assert!(text(&"<".repeat(100_000)).to_string().len() < 5 * TEXT);
    }

    #[test]
    fn moments_and_numbers_are_short() {
        assert_eq!(moment(1_795_262_400).to_string(), "2026-11-21 12:00 UTC");
        assert_eq!(time(1_795_262_400), "<time datetime=\"2026-11-21T12:00:00Z\">2026-11-21 12:00</time>");
        assert_eq!(time(u64::MAX), "no date");
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(counted(1, "host", "hosts"), "1 host");
    }
}
