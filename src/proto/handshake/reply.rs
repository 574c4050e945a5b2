//! The server's part of a key exchange: the reply that carries K_S, and the group before it.

use crate::proto::wire::Reader;

/// Why a message of the key exchange is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Not host key, share and signature, and nothing more.
    #[error("malformed key exchange reply")]
    Reply,
    /// Signed with another algorithm than was negotiated, or with none at all.
    #[error("key exchange reply whose signature is not {0}, which was negotiated")]
    Signature(String),
    /// Not two positive numbers, and nothing more.
    #[error("malformed group in group exchange")]
    Group,
}

/// A server's reply. What its signature is worth is for the client to check: it alone can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'a> {
    /// K_S.
    pub host_key: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Reply<'a> {
    /// From a payload: `string K_S`, `string` or `mpint` with the server's share, `string`
    /// signature, end (RFC 4253 section 8, RFC 4419 section 3, RFC 5656 section 4; hybrids alike).
    pub fn parse(payload: &'a [u8]) -> Result<Self, ReplyError> {
        let mut reader = Reader::new(payload);
        let _message = reader.u8();
        match (reader.string(), reader.string(), reader.string(), reader.is_empty()) {
            (Some(host_key), Some(_share), Some(signature), true) => Ok(Reply { host_key, signature }),
            _ => Err(ReplyError::Reply),
        }
    }

    /// Whether the signature calls itself what a host key algorithm signs as (RFC 8332 section 3;
    /// certificates sign as the key inside them). Not every client looks: asyncssh takes a SHA-1
    /// signature by an RSA key whatever was negotiated.
    pub fn signed_as(&self, algorithm: &str) -> Result<(), ReplyError> {
        let plain = algorithm.strip_suffix("-cert-v01@openssh.com").unwrap_or(algorithm);
        match Reader::new(self.signature).string() {
            Some(name) if name == plain.as_bytes() => Ok(()),
            _ => Err(ReplyError::Signature(algorithm.to_owned())),
        }
    }
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
    use crate::proto::wire::put_string;

    #[test]
    fn k_s_is_the_first_of_three_strings() {
        for number in [KEX_REPLY, GEX_REPLY] {
            assert_eq!(Reply::parse(&reply(number, b"K_S")).unwrap().host_key, b"K_S");
        }
    }

    #[test]
    fn cut_and_prolonged_replies_are_refused() {
        let whole = reply(KEX_REPLY, b"K_S");
        for cut in 0..whole.len() {
            assert_eq!(Reply::parse(&whole[..cut]), Err(ReplyError::Reply), "cut at {cut}");
        }
        assert_eq!(Reply::parse(&[whole, vec![0]].concat()), Err(ReplyError::Reply));
    }

    #[test]
    fn the_signature_is_of_the_negotiated_algorithm() {
        let signed = |name: &[u8]| {
            let mut signature = Vec::new();
            put_string(&mut signature, name);
            put_string(&mut signature, &[6; 64]);
            signature
        };
        let as_algorithm =
            |signature: &[u8], algorithm| Reply { host_key: b"", signature }.signed_as(algorithm).is_ok();
        for (name, algorithm) in [
            ("ssh-ed25519", "ssh-ed25519"),
            ("ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com"),
            ("rsa-sha2-512", "rsa-sha2-512-cert-v01@openssh.com"),
            ("rsa-sha2-256", "rsa-sha2-256"),
        ] {
            assert!(as_algorithm(&signed(name.as_bytes()), algorithm), "{name} {algorithm}");
        }
        for (name, algorithm) in [
            ("ssh-rsa", "rsa-sha2-512"),
            ("rsa-sha2-256", "rsa-sha2-512"),
            ("ssh-rsa", "rsa-sha2-256-cert-v01@openssh.com"),
            ("ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519-cert-v01@openssh.com"),
            ("", "ssh-ed25519"),
        ] {
            assert!(!as_algorithm(&signed(name.as_bytes()), algorithm), "{name} {algorithm}");
        }
        for broken in [&b""[..], b"\0\0\0\x0bssh"] {
            assert!(!as_algorithm(broken, "ssh-ed25519"), "{broken:?}");
        }
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
