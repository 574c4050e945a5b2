//! JSON in ASCII alone, so that no terminal finds a control character in it, and no cut is within a character.

/// The same JSON value with everything outside printable ASCII as `\\u` escapes. That is in strings alone, whose own
/// controls (below U+0020) are escaped already (RFC 8259 section 7).
pub fn ascii(json: impl Into<String>) -> String {
    let json = json.into();
    // As most is. Without a way out in the middle many octets are looked at in one go.
    if !json.bytes().fold(false, |is_other, b| is_other | !(b' '..=b'~').contains(&b)) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        match c.is_ascii() && c != '\u{7f}' {
            true => text.push(c),
            false => {
                for unit in c.encode_utf16(&mut units) {
                    text += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_finds_a_control_in_it_and_readers_the_same_value() {
        // CSI of C1 and DEL are none that JSON asks to be escaped.
        for text in ["\u{9b}31m", "\u{7f}", "\u{202e}evil", "\u{1f512}", "\x1b[31m", "plain \\u0041 \"x\""] {
            let json = ascii(serde_json::to_string(text).unwrap());
            assert!(json.bytes().all(|b| (b' '..=b'~').contains(&b)), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
