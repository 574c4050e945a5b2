//! The server's part of a key exchange: the reply that carries K_S, and the group before it.

use crate::proto::wire::Reader;

/// Why a message of the key exchange is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Not host key, share and signature, and nothing more.
    #[error("malformed key exchange reply")]
    Reply,
    /// Not two positive numbers, and nothing more.
    #[error("malformed group in group exchange")]
    Group,
}

/// K_S from a reply's payload: `string K_S`, `string` or `mpint` with the server's share, `string`
/// signature, end (RFC 4253 section 8, RFC 4419 section 3, RFC 5656 section 4; hybrids alike).
pub fn host_key(payload: &[u8]) -> Result<&[u8], ReplyError> {
    let mut reader = Reader::new(payload);
    let _message = reader.u8();
    let (Some(host_key), Some(_share), Some(_signature), true) =
        (reader.string(), reader.string(), reader.string(), reader.is_empty())
    else {
        return Err(ReplyError::Reply);
    };
    Ok(host_key)
}

/// Checks `SSH_MSG_KEX_DH_GEX_GROUP`: exactly `mpint p`, `mpint g` (RFC 4419 section 3), so that no
/// reply of another method passes for it.
pub fn group(payload: &[u8]) -> Result<(), ReplyError> {
    let mut reader = Reader::new(payload);
    let _message = reader.u8();
    match (reader.mpint(), reader.mpint(), reader.is_empty()) {
        (Some(_), Some(_), true) => Ok(()),
        _ => Err(ReplyError::Group),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::handshake::samples::{group as a_group, reply};
    use crate::proto::packet::message::{GEX_REPLY, KEX_REPLY};

    #[test]
    fn k_s_is_the_first_of_three_strings() {
        for number in [KEX_REPLY, GEX_REPLY] {
            assert_eq!(host_key(&reply(number, b"K_S")), Ok(&b"K_S"[..]));
        }
    }

    #[test]
    fn cut_and_prolonged_replies_are_refused() {
        let whole = reply(KEX_REPLY, b"K_S");
        for cut in 0..whole.len() {
            assert_eq!(host_key(&whole[..cut]), Err(ReplyError::Reply), "cut at {cut}");
        }
        assert_eq!(host_key(&[whole, vec![0]].concat()), Err(ReplyError::Reply));
    }

    #[test]
    fn a_group_is_two_numbers() {
        let whole = a_group();
        assert_eq!(group(&whole), Ok(()));
        for cut in 0..whole.len() {
            assert_eq!(group(&whole[..cut]), Err(ReplyError::Group), "cut at {cut}");
        }
        assert_eq!(group(&[whole, vec![0]].concat()), Err(ReplyError::Group));
    }

    #[test]
    fn a_reply_dressed_as_a_group_is_refused() {
        assert_eq!(group(&reply(KEX_REPLY, b"\0\0\0\x0bssh-ed25519")), Err(ReplyError::Group));
    }
}
