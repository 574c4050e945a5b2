//! Trust anchors: the keys that proofs begin with.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use super::key::{Algorithm, Dnskey, Ds};
use crate::proto::name::Name;

/// The root zone's key signing keys as IANA publishes them: tag, SHA-256 of the key. Key 20326 signs
/// since 2018-10-11; 38696 was published on 2025-01-11 and takes over on 2026-10-11.
const ROOT: [(u16, &str); 2] = [
    (20326, "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d"),
    (38696, "683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16"),
];

/// A key that is trusted at a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Anchor {
    Key(Dnskey),
    Digest(Ds),
}

/// The trust anchors of this run. Of several, the closest enclosing one alone counts for a name,
/// without falling back upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors(Vec<(Name, Anchor)>);

/// Why a text holds no trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Neither DNSKEY nor DS in presentation form.
    #[error(
        "line {0}: want OWNER [TTL] [IN] DNSKEY FLAGS 3 ALGORITHM BASE64, or OWNER [TTL] [IN] DS TAG ALGORITHM DIGEST-TYPE HEX"
    )]
    Line(usize),
    /// A key or digest that could never prove anything.
    #[error(
        "line {0}: algorithm {1} with this key or digest cannot prove anything here (want RSA/SHA-256, RSA/SHA-512, ECDSA or Ed25519, and for DS SHA-256 or SHA-384)"
    )]
    Unsupported(usize, u8),
    /// A key that may not sign a zone.
    #[error("line {0}: this DNSKEY is revoked, or is no zone key (flags 256 or 257, protocol 3)")]
    NotAZoneKey(usize),
    /// No line at all.
    #[error("no DNSKEY or DS line in it")]
    Empty,
}

impl Anchors {
    /// The root keys that are built in.
    pub fn built_in() -> Self {
        let anchor = |(tag, hex): (u16, &str)| {
            let digest = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.into();
            Some((Name::root(), Anchor::Digest(Ds { tag, algorithm: 8, digest_type: 2, digest })))
        };
        Anchors(ROOT.into_iter().filter_map(anchor).collect())
    }

    /// From lines in presentation form, as `dnssec-keygen`, `dnssec-dsfromkey`, `dig` and `unbound-anchor`
    /// print them. Comments begin with `;` or `#`; a record may be spread over lines by parentheses.
    pub fn from_text(text: &str) -> Result<Self, AnchorError> {
        let mut anchors = Vec::new();
        for (at, line) in logical_lines(text) {
            let line_error = || AnchorError::Line(at);
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [owner, rest @ ..] = words.as_slice() else { continue };
            let owner = Name::from_text(owner).map_err(|_| line_error())?;
            let is_prefix = |w: &&&str| w.eq_ignore_ascii_case("IN") || w.bytes().all(|b| b.is_ascii_digit());
            let skip = rest.iter().take_while(is_prefix).count();
            let (kind, fields) = rest.get(skip..).and_then(<[_]>::split_first).ok_or_else(line_error)?;
            let [a, b, c, data @ ..] = fields else { return Err(line_error()) };
            let data = data.concat();
            let number = |text: &str| text.parse::<u16>().map_err(|_| line_error());
            let octet = |text: &str| text.parse::<u8>().map_err(|_| line_error());
            let anchor = if kind.eq_ignore_ascii_case("DNSKEY") {
                let key = BASE64.decode(data.as_bytes()).map_err(|_| line_error())?;
                let head = [&number(a)?.to_be_bytes()[..], &[octet(b)?, octet(c)?]].concat();
                let key = Dnskey::from_rdata(&[head, key].concat()).ok_or_else(line_error)?;
                if !key.is_zone_key() {
                    return Err(AnchorError::NotAZoneKey(at));
                }
                if Algorithm::from_number(key.algorithm()).is_none() {
                    return Err(AnchorError::Unsupported(at, key.algorithm()));
                }
                Anchor::Key(key)
            } else if kind.eq_ignore_ascii_case("DS") {
                let digest = HEXLOWER_PERMISSIVE.decode(data.as_bytes()).map_err(|_| line_error())?;
                let ds = Ds {
                    tag: number(a)?,
                    algorithm: octet(b)?,
                    digest_type: octet(c)?,
                    digest: digest.into(),
                };
                if !ds.is_supported() {
                    return Err(AnchorError::Unsupported(at, ds.algorithm));
                }
                Anchor::Digest(ds)
            } else {
                return Err(line_error());
            };
            anchors.push((owner, anchor));
        }
        if anchors.is_empty() { Err(AnchorError::Empty) } else { Ok(Anchors(anchors)) }
    }

    /// The closest zone at or above `name` that has an anchor.
    pub fn closest(&self, name: &Name) -> Option<&Name> {
        self.0
            .iter()
            .map(|(zone, _)| zone)
            .filter(|zone| name.is_at_or_below(zone))
            .max_by_key(|zone| zone.label_count())
    }

    /// There is an anchor for `zone` itself.
    pub fn has(&self, zone: &Name) -> bool {
        self.0.iter().any(|(owner, _)| owner == zone)
    }

    /// `key` is trusted at `zone`.
    pub fn trusts(&self, zone: &Name, key: &Dnskey) -> bool {
        self.0.iter().any(|(owner, anchor)| {
            owner == zone
                && match anchor {
                    Anchor::Key(trusted) => trusted.same_key(key),
                    Anchor::Digest(ds) => ds.covers(zone, key),
                }
        })
    }
}

/// Lines with comments cut off and parentheses joined; each with the number of its first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let bare = line.split([';', '#']).next().unwrap_or_default();
        let joined = bare.replace(['(', ')'], " ");
        match lines.last_mut() {
            Some((_, last)) if open => {
                last.push(' ');
                last.push_str(&joined);
            }
            _ => lines.push((at + 1, joined)),
        }
        open = (open || bare.contains('(')) && !bare.contains(')');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==";

    #[test]
    fn the_built_in_digests_are_those_of_the_root_keys() {
        use hickory_proto::dnssec::{PublicKey, TrustAnchors};
        let anchors = Anchors::built_in();
        let library = TrustAnchors::default();
        let mut found = 0;
        for at in 0..library.len() {
            let key = library.get(at).unwrap();
            let rdata = [&[1, 1, 3, u8::from(key.algorithm())], key.public_bytes()].concat();
            found += usize::from(anchors.trusts(&Name::root(), &Dnskey::from_rdata(&rdata).unwrap()));
        }
        assert_eq!((anchors.0.len(), found), (2, 2));
    }

    #[test]
    fn dnskey_and_ds_lines_are_read() {
        let text = format!(
            "; root of the lab\n. 3600 IN DNSKEY 257 3 13 {KEY}\n\
             Example.NET. IN DS 55648 13 2 ( b4c8c1fe2e7477127b27115656ad6256\n  f424625bf5c1e2770ce6d6e37df61d17 ) ; a comment\n"
        );
        let anchors = Anchors::from_text(&text).unwrap();
        let key =
            Dnskey::from_rdata(&[&[1, 1, 3, 13], BASE64.decode(KEY.as_bytes()).unwrap().as_slice()].concat())
                .unwrap();
        let net = Name::from_text("example.net").unwrap();
        assert!(anchors.trusts(&Name::root(), &key) && anchors.trusts(&net, &key));
        assert!(!anchors.trusts(&Name::from_text("net").unwrap(), &key));
        let below = Name::from_text("a.example.net").unwrap();
        assert_eq!(anchors.closest(&below), Some(&net));
        assert_eq!(anchors.closest(&Name::from_text("org").unwrap()), Some(&Name::root()));
    }

    #[test]
    fn unusable_lines_are_refused() {
        let case = |line: &str| Anchors::from_text(line).unwrap_err();
        assert_eq!(case(""), AnchorError::Empty);
        assert_eq!(case("; nothing\n\n"), AnchorError::Empty);
        assert_eq!(case("\nexample. IN A 192.0.2.1"), AnchorError::Line(2));
        assert_eq!(case("example. DNSKEY 257 3 13 !"), AnchorError::Line(1));
        assert_eq!(case(&format!("example. DNSKEY 385 3 13 {KEY}")), AnchorError::NotAZoneKey(1));
        assert_eq!(case(&format!("example. DNSKEY 257 3 5 {KEY}")), AnchorError::Unsupported(1, 5));
        assert_eq!(case("example. DS 1 8 1 aabb"), AnchorError::Unsupported(1, 8));
    }
}
