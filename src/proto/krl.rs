//! OpenSSH's key revocation lists (PROTOCOL.krl), as far as a revoked set can fill one: SHA-256 digests of key blobs.
//!
//! OpenSSH holds such a digest against a plain key, against the key in a certificate and against the key of its CA, so
//! a list says the same as the set that it comes from.

use std::collections::BTreeSet;

use super::wire::{Reader, put_string};

/// `SSHKRL\n\0`.
const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
const FORMAT: u32 = 1;
/// KRL_SECTION_FINGERPRINT_SHA256.
const SHA256_SECTION: u8 = 5;

/// A list: every digest once, in the order that the format wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Krl {
    /// Grows from one list to the next. Nothing in OpenSSH looks at it.
    pub version: u64,
    /// When it was made, in seconds since 1970. Nothing in OpenSSH looks at it.
    pub generated: u64,
    /// For people.
    pub comment: String,
    /// SHA-256 of the blobs of revoked keys.
    pub digests: BTreeSet<[u8; 32]>,
}

impl Krl {
    /// The file. With no digest it holds no section, and revokes nothing.
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = MAGIC.to_vec();
        octets.extend(FORMAT.to_be_bytes());
        octets.extend(self.version.to_be_bytes());
        octets.extend(self.generated.to_be_bytes());
        octets.extend(0u64.to_be_bytes()); // flags
        put_string(&mut octets, b""); // reserved
        put_string(&mut octets, self.comment.as_bytes());
        if !self.digests.is_empty() {
            let mut section = Vec::with_capacity(self.digests.len() * 36);
            self.digests.iter().for_each(|digest| put_string(&mut section, digest));
            octets.push(SHA256_SECTION);
            put_string(&mut octets, &section);
        }
        octets
    }
}

/// The version of the list in a file; none if it is no list, or of another format.
pub fn version_of(octets: &[u8]) -> Option<u64> {
    let mut reader = Reader::new(octets);
    let is_list = reader.take(MAGIC.len())? == MAGIC && reader.u32()? == FORMAT;
    let version = reader.take(8)?.try_into().ok().map(u64::from_be_bytes)?;
    is_list.then_some(version)
}

/// The comment of the list in a file; none if it is no list, of another format, or if its comment is no text.
pub fn comment_of(octets: &[u8]) -> Option<&str> {
    version_of(octets)?;
    let mut reader = Reader::new(octets);
    let _head = reader.take(MAGIC.len() + 4 + 3 * 8)?;
    let _reserved = reader.string()?;
    std::str::from_utf8(reader.string()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_octets_are_those_of_the_format() {
        let krl = Krl { version: 7, generated: 9, comment: "c".into(), digests: [[2; 32], [1; 32]].into() };
        let octets = krl.octets();
        let head =
            [b"SSHKRL\n\0".as_slice(), &[0, 0, 0, 1], &7u64.to_be_bytes(), &9u64.to_be_bytes(), &[0; 8]];
        let rest = [0, 0, 0, 0, 0, 0, 0, 1, b'c', 5, 0, 0, 0, 72, 0, 0, 0, 32, 1];
        assert!(octets.starts_with(&[head.concat().as_slice(), &rest].concat()), "sorted: {octets:?}");
        assert_eq!(octets.len(), 8 + 4 + 24 + 4 + 5 + 5 + 72);
        assert_eq!((version_of(&octets), comment_of(&octets)), (Some(7), Some("c")));
        assert_eq!(Krl { digests: BTreeSet::new(), ..krl }.octets().len(), 45, "no section");
        for cut in 0..20 {
            assert_eq!(version_of(&octets[..cut]), None);
        }
        for cut in 0..45 {
            assert_eq!(comment_of(&octets[..cut]), None, "{cut}");
        }
        assert_eq!(version_of(b"ssh-ed25519 AAAA one key a line is a list too"), None);
    }
}
