//! Revoked keys: the SSHFP set at `_revoked._ssh.X`, which stands beside every CA set at `_ca._ssh.X`.
//!
//! Its records hold SHA-256 digests of public keys: of hosts, of keys in certificates, of CAs. They are matched by
//! digest alone, so a slip in a record's numbers revokes all the same. One fixed record that is no key's, the
//! sentinel, makes the set exist even when nothing is revoked: a set without it has been tampered with or was never
//! set up, and nothing may be concluded from it.

use std::collections::BTreeSet;

use super::name::{Name, NameError};
use super::sshfp::{self, Sshfp};

mod window;

pub use window::Window;

/// RDATA of the sentinel: `1 2` and 64 zeros in presentation form. No key has this digest.
pub const SENTINEL: [u8; 34] = {
    let mut rdata = [0; 34];
    rdata[0] = 1;
    rdata[1] = sshfp::SHA256;
    rdata
};

/// `rdata` is the sentinel's, octet by octet.
pub fn is_sentinel(rdata: &[u8]) -> bool {
    rdata == SENTINEL
}

/// The sentinel as a record.
pub fn sentinel() -> Sshfp {
    Sshfp::sha256_of(1, &[0; 32])
}

/// Where the CA keys stand that may vouch for hosts at or below `at`.
pub fn ca_owner(at: &Name) -> Result<Name, NameError> {
    at.child(b"_ssh")?.child(b"_ca")
}

/// Where the revoked keys stand beside the CA set of `at`.
pub fn owner(at: &Name) -> Result<Name, NameError> {
    at.child(b"_ssh")?.child(b"_revoked")
}

/// X of `_ca._ssh.X` and of `_revoked._ssh.X`; none of other names.
pub fn domain_of(owner: &Name) -> Option<Name> {
    let at = owner.parent()?.parent()?;
    (ca_owner(&at).as_ref() == Ok(owner) || self::owner(&at).as_ref() == Ok(owner)).then_some(at)
}

/// The digests of a revoked set that had its sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedSet {
    digests: BTreeSet<[u8; 32]>,
}

/// Nothing may be concluded from the set, least of all that a key is not revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the revoked set has no sentinel (1 2 and 64 zeros)")]
pub struct NoSentinel;

impl RevokedSet {
    /// From the RDATA of a proven set. Whatever algorithm and digest type a record names, a digest of 32 octets
    /// counts; records with digests of other lengths (SHA-1) revoke nothing.
    pub fn from_rdatas<'a>(rdatas: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NoSentinel> {
        let mut seen = false;
        let mut digests = BTreeSet::new();
        for rdata in rdatas {
            match rdata {
                sentinel if is_sentinel(sentinel) => seen = true,
                [_, _, digest @ ..] => digests.extend(<[u8; 32]>::try_from(digest)),
                _ => {}
            }
        }
        if seen { Ok(RevokedSet { digests }) } else { Err(NoSentinel) }
    }

    /// A key with this digest of its blob is revoked.
    #[must_use]
    pub fn contains_sha256(&self, digest: &[u8; 32]) -> bool {
        self.digests.contains(digest)
    }

    /// Every revoked digest, in order.
    pub fn digests(&self) -> impl ExactSizeIterator<Item = &[u8; 32]> {
        self.digests.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_sets_lead_to_their_domain() {
        let name = |text: &str| Name::from_text(text).unwrap();
        for owner in ["_ca._ssh.example.test", "_revoked._ssh.example.test", "_CA._ssh.example.test"] {
            assert_eq!(domain_of(&name(owner)), Some(name("example.test")), "{owner}");
        }
        for other in ["example.test", "_22._ssh.example.test", "_ca.example.test", "_ca", "."] {
            assert_eq!(domain_of(&name(other)), None, "{other}");
        }
    }

    fn set(rdatas: &[&[u8]]) -> Result<RevokedSet, NoSentinel> {
        RevokedSet::from_rdatas(rdatas.iter().copied())
    }

    #[test]
    fn the_sentinel_is_one_fixed_record() {
        assert_eq!(sentinel().to_string(), format!("1 2 {}", "0".repeat(64)));
        assert_eq!(sentinel().rdata(), SENTINEL);
        assert!(is_sentinel(&SENTINEL));
        for at in 0..SENTINEL.len() {
            let mut other = SENTINEL;
            other[at] ^= 1;
            assert!(!is_sentinel(&other), "octet {at}");
        }
        assert!(!is_sentinel(&SENTINEL[..33]) && !is_sentinel(&[SENTINEL.as_slice(), &[0]].concat()));
    }

    #[test]
    fn without_its_sentinel_a_set_is_none() {
        let key = [&[4, 2], [7; 32].as_slice()].concat();
        assert_eq!(set(&[]), Err(NoSentinel));
        assert_eq!(set(&[&key]), Err(NoSentinel));
        let mut like = SENTINEL;
        like[0] = 4;
        assert_eq!(set(&[&key, &like]), Err(NoSentinel), "of another algorithm");
        assert_eq!(set(&[&SENTINEL[..33]]), Err(NoSentinel));
        let good = set(&[&key, &SENTINEL]).unwrap();
        assert_eq!(good.digests().collect::<Vec<_>>(), [&[7; 32]]);
        assert!(!set(&[&SENTINEL]).unwrap().contains_sha256(&[0; 32]), "it revokes nothing itself");
    }

    #[test]
    fn the_digest_alone_decides() {
        for (algorithm, kind) in [(4, 2), (1, 2), (3, 2), (0, 0), (255, 255), (4, 1)] {
            let key = [&[algorithm, kind], [7; 32].as_slice()].concat();
            let set = set(&[&SENTINEL, &key]).unwrap();
            assert!(set.contains_sha256(&[7; 32]), "{algorithm} {kind}");
            assert!(!set.contains_sha256(&[8; 32]));
        }
        for length in [0, 1, 20, 31, 33, 64] {
            let odd = [&[4, 2], vec![7; length].as_slice()].concat();
            assert_eq!(set(&[&SENTINEL, &odd]).unwrap().digests().len(), 0, "{length} octets");
        }
        assert_eq!(set(&[&SENTINEL, &[], &[4]]).unwrap().digests().len(), 0);
    }

    #[test]
    fn owners_are_below_one_underscore_label() {
        let at = Name::from_text("example.com").unwrap();
        assert_eq!(ca_owner(&at).unwrap().to_string(), "_ca._ssh.example.com");
        assert_eq!(owner(&at).unwrap().to_string(), "_revoked._ssh.example.com");
        let long = Name::from_text(&["a".repeat(62).as_str(); 4].join(".")).unwrap_or(Name::root());
        assert!(long.is_root() || owner(&long).is_err());
    }
}
