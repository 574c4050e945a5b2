//! Trust anchors: the keys that proofs begin with.

use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

use super::key::{Algorithm, Dnskey, Ds};
use crate::proto::name::Name;

/// A key signing key of the root zone that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootKey {
    /// Its tag.
    pub tag: u16,
    /// SHA-256 of it, in hex: what a DS record would hold.
    sha256: &'static str,
    /// Since when it signs, in seconds since 1970.
    pub signs_since: u64,
}

/// The root zone's key signing keys as IANA publishes them. Key 20326 signs since 2018-10-11; 38696 was published
/// on 2025-01-11 and takes over on 2026-10-11.
pub const ROOT: [RootKey; 2] = [
    RootKey {
        tag: 20326,
        sha256: "e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d",
        signs_since: 1_539_216_000,
    },
    RootKey {
        tag: 38696,
        sha256: "683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16",
        signs_since: 1_791_676_800,
    },
];

/// A key that is trusted at a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Anchor {
    /// The key itself.
    Key(Dnskey),
    /// Its digest.
    Digest(Ds),
}

impl Anchor {
    /// The key's tag (RFC 4034 appendix B).
    pub fn tag(&self) -> u16 {
        match self {
            Anchor::Key(key) => key.tag(),
            Anchor::Digest(ds) => ds.tag,
        }
    }

    /// It means `key` of `zone`.
    pub fn fits(&self, zone: &Name, key: &Dnskey) -> bool {
        match self {
            Anchor::Key(trusted) => trusted.same_key(key),
            Anchor::Digest(ds) => ds.covers(zone, key),
        }
    }
}

/// The trust anchors of this run. Of several, the closest enclosing one alone counts for a name,
/// without falling back upwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchors(Arc<[(Name, Anchor)]>);

/// Why a text holds no trust anchors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// Neither DNSKEY nor DS in presentation form.
    #[error(
        "line {0}: want OWNER [TTL] [IN] DNSKEY FLAGS 3 ALGORITHM BASE64, or OWNER [TTL] [IN] DS TAG ALGORITHM DIGEST-TYPE HEX"
    )]
    Line(usize),
    /// `$ORIGIN` and its like, or an owner that only means something with them.
    #[error("line {0}: names are not read relative to an origin: write the zone's whole name")]
    Relative(usize),
    /// The only lines of a zone are of keys or digests that could never prove anything.
    #[error("line {0}: {1}")]
    Unusable(usize, Unusable),
    /// No line at all.
    #[error("no DNSKEY or DS line in it that is to be trusted")]
    Empty,
}

/// Why a key or digest could never prove anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// An algorithm whose signatures prove nothing here.
    #[error(
        "signatures of algorithm {0} prove nothing here (want RSA/SHA-256, RSA/SHA-512, ECDSA, Ed25519 or Ed448: 8, 10, 13 to 16)"
    )]
    Algorithm(u8),
    /// A digest type other than SHA-256 and SHA-384, or not of their length.
    #[error(
        "a DS record of digest type {0} with {1} octets proves nothing here (want type 2 with 32 octets, or 4 with 48)"
    )]
    Digest(u8, usize),
    /// A key that may not sign a zone.
    #[error("this DNSKEY is revoked, or is no zone key (flags 256 or 257, protocol 3)")]
    NotAZoneKey,
}

impl Anchors {
    /// The root keys that are built in.
    pub fn built_in() -> Self {
        let anchor = |RootKey { tag, sha256, .. }: RootKey| {
            let digest = HEXLOWER_PERMISSIVE.decode(sha256.as_bytes()).ok()?.into();
            Some((Name::root(), Anchor::Digest(Ds { tag, algorithm: 8, digest_type: 2, digest })))
        };
        Anchors(ROOT.into_iter().filter_map(anchor).collect())
    }

    /// From lines in presentation form, as `dnssec-keygen`, `dnssec-dsfromkey`, `dig` and `unbound-anchor`
    /// print them. Comments begin with `;` or `#`; a record may be spread over lines by parentheses; a line
    /// that begins with a blank may leave the owner out. `$TTL` and RRSIG lines are passed over, and so are
    /// keys that RFC 5011 does not trust (yet), by the state that Unbound writes beside them.
    ///
    /// A line that could never prove anything is passed over where the zone has a better one (a SHA-1 DS
    /// beside one of SHA-256), as validators do; where it has none, the zone would fall to those above it,
    /// and that is an error.
    pub fn from_text(text: &str) -> Result<Self, AnchorError> {
        let mut anchors: Vec<(Name, Anchor)> = Vec::new();
        let mut unusable: Vec<(Name, AnchorError)> = Vec::new();
        let mut last_owner: Option<Name> = None;
        for Line { at, text } in logical_lines(text.trim_start_matches('\u{feff}')) {
            let line_error = || AnchorError::Line(at);
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            let (owner, rest) = match words.as_slice() {
                [] => continue,
                [first, ..] if first.eq_ignore_ascii_case("$TTL") => continue,
                [first, ..] if first.starts_with('$') || *first == "@" => {
                    return Err(AnchorError::Relative(at));
                }
                rest @ [first, ..]
                    if text.starts_with([' ', '\t']) && (is_prefix(first) || is_type(first)) =>
                {
                    (last_owner.clone().ok_or_else(line_error)?, rest)
                }
                [first, rest @ ..] => (Name::from_text(first).map_err(|_| line_error())?, rest),
            };
            let skip = rest.iter().take_while(|word| is_prefix(word)).count();
            let (kind, fields) = rest.get(skip..).and_then(<[_]>::split_first).ok_or_else(line_error)?;
            last_owner = Some(owner.clone());
            if kind.eq_ignore_ascii_case("RRSIG") {
                continue;
            }
            match anchor(kind, fields).ok_or_else(line_error)? {
                Ok(anchor) => anchors.push((owner, anchor)),
                Err(why) => unusable.push((owner, AnchorError::Unusable(at, why))),
            }
        }
        let alone = |owner: &Name| anchors.iter().all(|(zone, _)| zone != owner);
        match unusable.into_iter().find(|(owner, _)| alone(owner)) {
            Some((_, error)) => Err(error),
            None if anchors.is_empty() => Err(AnchorError::Empty),
            None => Ok(Anchors(anchors.into())),
        }
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
        self.of(zone).any(|anchor| anchor.fits(zone, key))
    }

    /// The anchors of `zone`.
    pub fn of(&self, zone: &Name) -> impl Iterator<Item = &Anchor> {
        self.0.iter().filter(move |(owner, _)| owner == zone).map(|(_, anchor)| anchor)
    }

    /// The zones that have anchors, each once, those above before those below.
    pub fn zones(&self) -> Vec<&Name> {
        let mut zones: Vec<&Name> = self.0.iter().map(|(zone, _)| zone).collect();
        zones.sort();
        zones.dedup();
        zones
    }
}

/// What may stand between an owner and a type: a class, or a TTL, which may have units (1d12h).
fn is_prefix(word: &str) -> bool {
    let is_ttl = word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_digit() || b"smhdwSMHDW".contains(&b));
    is_ttl || word.eq_ignore_ascii_case("IN")
}

fn is_type(word: &str) -> bool {
    ["DNSKEY", "DS", "RRSIG"].iter().any(|kind| word.eq_ignore_ascii_case(kind))
}

/// The RDATA of a DNSKEY or DS record; none if it is neither.
fn anchor(kind: &str, fields: &[&str]) -> Option<Result<Anchor, Unusable>> {
    let [a, b, c, data @ ..] = fields else { return None };
    let data = data.concat();
    let (first, second, third): (u16, u8, u8) = (a.parse().ok()?, b.parse().ok()?, c.parse().ok()?);
    if kind.eq_ignore_ascii_case("DNSKEY") {
        let key = BASE64.decode(data.as_bytes()).ok()?;
        let key = Dnskey::from_rdata(&[&first.to_be_bytes()[..], &[second, third], &key].concat())?;
        return Some(match Algorithm::from_number(third) {
            _ if !key.is_zone_key() => Err(Unusable::NotAZoneKey),
            None => Err(Unusable::Algorithm(third)),
            Some(_) => Ok(Anchor::Key(key)),
        });
    }
    if !kind.eq_ignore_ascii_case("DS") {
        return None;
    }
    let digest: Box<[u8]> = HEXLOWER_PERMISSIVE.decode(data.as_bytes()).ok()?.into();
    let length = digest.len();
    let ds = Ds { tag: first, algorithm: second, digest_type: third, digest };
    Some(match (third, length) {
        _ if Algorithm::from_number(second).is_none() => Err(Unusable::Algorithm(second)),
        (2, 32) | (4, 48) => Ok(Anchor::Digest(ds)),
        _ => Err(Unusable::Digest(third, length)),
    })
}

/// A record's text, comments cut off and parentheses joined, with the number of its first line.
struct Line {
    at: usize,
    text: String,
}

fn logical_lines(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let (bare, comment) = line.split_at(line.find([';', '#']).unwrap_or(line.len()));
        let joined = if is_distrusted(comment) { String::new() } else { bare.replace(['(', ')'], " ") };
        match lines.last_mut() {
            Some(last) if open => {
                last.text.push(' ');
                last.text.push_str(&joined);
            }
            _ => lines.push(Line { at: at + 1, text: joined }),
        }
        open = (open || bare.contains('(')) && !bare.contains(')');
    }
    lines
}

/// The comment in which Unbound keeps the state of RFC 5011 section 4: of a key that is not yet trusted
/// (START 0, ADDPEND 1) or no more (REVOKED 4, REMOVED 5).
fn is_distrusted(comment: &str) -> bool {
    comment.split_once(";;state=").is_some_and(|(_, state)| state.starts_with(['0', '1', '4', '5']))
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
    fn what_is_no_anchor_is_refused() {
        let case = |line: &str| Anchors::from_text(line).unwrap_err();
        for empty in ["", "; nothing\n\n", "$TTL 300\n", ". RRSIG DNSKEY 13 0 1 2 3 4 . AAAA"] {
            assert_eq!(case(empty), AnchorError::Empty, "{empty}");
        }
        assert_eq!(case("\nexample. IN A 192.0.2.1"), AnchorError::Line(2));
        assert_eq!(case("example. DNSKEY 257 3 13 !"), AnchorError::Line(1));
        assert_eq!(case("trust-anchors {"), AnchorError::Line(1));
        assert_eq!(case(&format!("$ORIGIN test.\nexample DNSKEY 257 3 13 {KEY}")), AnchorError::Relative(1));
        assert_eq!(case(&format!("@ IN DNSKEY 257 3 13 {KEY}")), AnchorError::Relative(1));
        assert_eq!(case(&format!("  IN DNSKEY 257 3 13 {KEY}")), AnchorError::Line(1), "of no owner");
    }

    #[test]
    fn an_owner_may_be_left_out_and_never_becomes_another() {
        let text = format!(
            "example. 1d12h IN DNSKEY 256 3 13 {KEY}\n\tIN DNSKEY 257 3 13 {KEY}\n  3600 DS 1 13 2 {DIGEST}\n"
        );
        let anchors = Anchors::from_text(&text).unwrap();
        let example = Name::from_text("example").unwrap();
        assert_eq!(anchors.0.iter().map(|(owner, _)| owner).collect::<Vec<_>>(), [&example; 3]);
        let indented = Anchors::from_text(&format!("  example. IN DNSKEY 257 3 13 {KEY}")).unwrap();
        assert!(indented.has(&example));
        assert!(
            Anchors::from_text(&format!("\u{feff}example. DNSKEY 257 3 13 {KEY}")).unwrap().has(&example)
        );
    }

    const DIGEST: &str = "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17";

    #[test]
    fn a_line_that_proves_nothing_is_passed_over_beside_a_better_one_alone() {
        let good = format!("example. DS 1 13 2 {DIGEST}");
        for (line, why) in [
            (format!("example. DNSKEY 385 3 13 {KEY}"), Unusable::NotAZoneKey),
            (format!("example. DNSKEY 0 3 13 {KEY}"), Unusable::NotAZoneKey),
            (format!("example. DNSKEY 257 3 5 {KEY}"), Unusable::Algorithm(5)),
            (format!("example. DNSKEY 257 3 17 {KEY}"), Unusable::Algorithm(17)),
            ("example. DS 1 8 1 aabb".to_owned(), Unusable::Digest(1, 2)),
            ("example. DS 1 13 2 aabb".to_owned(), Unusable::Digest(2, 2)),
            (format!("example. DS 1 13 4 {DIGEST}"), Unusable::Digest(4, 32)),
            (format!("example. DS 1 7 2 {DIGEST}"), Unusable::Algorithm(7)),
        ] {
            let alone = |text: &str| Anchors::from_text(text).unwrap_err();
            assert_eq!(alone(&line), AnchorError::Unusable(1, why));
            assert_eq!(alone(&format!(". {}\n{line}", &good[9..])), AnchorError::Unusable(2, why), "above");
            for text in [format!("{line}\n{good}"), format!("{good}\n{line}")] {
                assert_eq!(Anchors::from_text(&text).unwrap().0.len(), 1, "{text}");
            }
        }
    }

    #[test]
    fn keys_that_rfc_5011_does_not_trust_are_passed_over() {
        let line = |state: u8| {
            format!(
                ".\t86400\tIN\tDNSKEY\t257 3 13 {KEY} ;{{id = 1 (ksk), size = 256b}} ;;state={state} [ X ] ;;count=0\n"
            )
        };
        for state in [2, 3] {
            assert!(Anchors::from_text(&line(state)).is_ok(), "{state}");
        }
        for state in [0, 1, 4, 5] {
            assert_eq!(Anchors::from_text(&line(state)), Err(AnchorError::Empty), "{state}");
        }
    }
}
