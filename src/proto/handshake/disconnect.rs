//! `SSH_MSG_DISCONNECT` (RFC 4253 section 11.1): how a peer's is made harmless, and how ours reads.

use crate::proto::packet::message;
use crate::proto::wire::{Reader, put_string};

/// `SSH_DISCONNECT_HOST_KEY_NOT_VERIFIABLE`.
pub const HOST_KEY_NOT_VERIFIABLE: u32 = 9;
/// Longest text that is taken over from a server, in octets.
const MAX_PEER_TEXT: usize = 255;
/// Longest text of our own, in octets; OpenSSH shows the first 400.
const MAX_OWN_TEXT: usize = 1000;

/// Octets as printable ASCII, at most `limit` of them: everything else becomes `\n`, `\x1b` and the
/// like.
pub fn printable(octets: &[u8], limit: usize) -> String {
    let mut text = String::with_capacity(octets.len().min(limit));
    for octet in octets {
        match octet {
            b' '..=b'~' => text.push(char::from(*octet)),
            other => text.extend(other.escape_ascii().map(char::from)),
        }
        if text.len() > limit {
            text.truncate(limit.saturating_sub(3));
            text.push_str("...");
            break;
        }
    }
    text
}

/// The reason code and the sanitised text of a server's DISCONNECT payload. What does not parse
/// reads as code 0 and no text: the connection ends either way.
pub fn read(payload: &[u8]) -> (u32, String) {
    let mut reader = Reader::new(payload);
    let _message = reader.u8();
    let code = reader.u32().unwrap_or(0);
    (code, printable(reader.string().unwrap_or_default(), MAX_PEER_TEXT))
}

/// A DISCONNECT payload with this reason code; the text is sanitised and cut, the language empty.
pub fn payload(code: u32, text: &str) -> Vec<u8> {
    let mut payload = vec![message::DISCONNECT];
    payload.extend(code.to_be_bytes());
    put_string(&mut payload, printable(text.as_bytes(), MAX_OWN_TEXT).as_bytes());
    put_string(&mut payload, b"");
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_cut() {
        assert_eq!(
            printable("it's \x1b[31m\"x\"\r\n\u{e9}".as_bytes(), 99),
            "it's \\x1b[31m\"x\"\\r\\n\\xc3\\xa9"
        );
        assert_eq!(printable(&[b'a'; 20], 20), "a".repeat(20));
        assert_eq!(printable(&[b'a'; 21], 20), format!("{}...", "a".repeat(17)));
        assert!(printable(&[0; 9999], 20).len() <= 20);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let (code, text) = read(&payload(HOST_KEY_NOT_VERIFIABLE, "no\x07"));
        assert_eq!((code, text.as_str()), (9, "no\\x07"));
    }

    #[test]
    fn a_broken_disconnect_has_no_text() {
        assert_eq!(read(&[1]), (0, String::new()));
        assert_eq!(read(&[1, 0, 0, 0, 2, 0, 0, 0, 9, b'a']), (2, String::new()));
    }
}
