//! NSEC3 records (RFC 5155) and what they deny.

use data_encoding::BASE32HEX_NOPAD;
use ring::digest;

use super::types::{Denies, TypeBitmap};
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};
use crate::proto::wire::Reader;

/// More iterations make a zone insecure (RFC 9276 section 3.2 lets a validator choose the limit).
const MAX_ITERATIONS: u16 = 150;
/// Flag Opt-Out (RFC 5155 section 3.1.2.1).
const OPT_OUT: u8 = 1;

/// One proven NSEC3 record.
#[derive(Debug, Clone)]
pub(super) struct Nsec3 {
    hash: Box<[u8]>,
    next: Box<[u8]>,
    opt_out: bool,
    iterations: u16,
    salt: Box<[u8]>,
    types: TypeBitmap,
}

impl Nsec3 {
    /// From a proven set of `zone`; none if it is out of form or of an unknown hash.
    pub(super) fn from_set(set: &RrSet, zone: &Name) -> Option<Self> {
        let mut rdatas = set.rdatas();
        let (rdata, None) = (rdatas.next()?, rdatas.next()) else { return None };
        if set.owner().parent().as_ref() != Some(zone) {
            return None;
        }
        let label = set.owner().labels().next()?.to_ascii_uppercase();
        let hash = BASE32HEX_NOPAD.decode(&label).ok()?;
        let mut reader = Reader::new(rdata);
        let (algorithm, flags, iterations) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let salt_length = usize::from(reader.u8()?);
        let salt = reader.take(salt_length)?;
        let next_length = usize::from(reader.u8()?);
        let next = reader.take(next_length)?;
        let types = TypeBitmap::read(reader.rest())?;
        let known = algorithm == 1 && flags & !OPT_OUT == 0 && hash.len() == 20 && next.len() == 20;
        known.then(|| Nsec3 {
            hash: hash.into(),
            next: next.into(),
            opt_out: flags & OPT_OUT != 0,
            iterations,
            salt: salt.into(),
            types,
        })
    }

    fn covers(&self, hash: &[u8]) -> bool {
        if self.hash < self.next {
            *self.hash < *hash && *hash < *self.next
        } else {
            // The last of the chain, whose next is the first.
            *self.hash < *hash || *hash < *self.next
        }
    }
}

/// What `records` prove about names between `encloser`, whose wildcard was expanded, and `name`:
/// [`Denies::Name`] if there are none (RFC 5155 section 8.8).
pub(super) fn denies_closer(records: &[Nsec3], name: &Name, encloser: &Name) -> Denies {
    let Some(first) = records.first() else { return Denies::Nothing };
    if first.iterations > MAX_ITERATIONS {
        return Denies::TooManyIterations;
    }
    let next_closer = hash(&name.last_labels(encloser.label_count() + 1), &first.salt, first.iterations);
    let same = |r: &&Nsec3| r.iterations == first.iterations && r.salt == first.salt;
    match records.iter().filter(same).find(|r| r.covers(&next_closer)) {
        Some(gap) if gap.opt_out => Denies::OptOut,
        Some(_) => Denies::Name,
        None => Denies::Nothing,
    }
}

/// What `records` of `zone` prove about `rtype` at `name`.
pub(super) fn denies(records: &[Nsec3], zone: &Name, name: &Name, rtype: RrType) -> Denies {
    let Some(first) = records.first() else { return Denies::Nothing };
    if records.iter().any(|r| r.iterations != first.iterations || r.salt != first.salt) {
        return Denies::Nothing;
    }
    if first.iterations > MAX_ITERATIONS {
        return Denies::TooManyIterations;
    }
    let hashed = |name: &Name| hash(name, &first.salt, first.iterations);
    let matching = |hash: &[u8]| records.iter().find(|r| *r.hash == *hash);
    let covering = |hash: &[u8]| records.iter().find(|r| r.covers(hash));
    if let Some(here) = matching(&hashed(name)) {
        return here.types.denies_at(rtype, name == zone);
    }
    // The closest encloser, and the name one label below it on the way to `name` (RFC 5155 section 8.3).
    let (mut next_closer, mut above) = (name.clone(), name.parent());
    while let Some(encloser) = above.filter(|n| n.is_at_or_below(zone)) {
        if let Some(found) = matching(&hashed(&encloser)) {
            if found.types.ends_zone_data() {
                return Denies::Nothing;
            }
            let Some(gap) = covering(&hashed(&next_closer)) else { return Denies::Nothing };
            // An unsigned delegation has no DS, whatever a wildcard says (RFC 5155 section 8.6).
            if gap.opt_out && rtype == RrType::DS {
                return Denies::OptOut;
            }
            let Ok(wildcard) = encloser.child(b"*") else { return Denies::Nothing };
            let wildcard = hashed(&wildcard);
            let told = match (matching(&wildcard), covering(&wildcard)) {
                (Some(source), _) => source.types.denies_at(rtype, false),
                (None, Some(_)) => Denies::Name,
                (None, None) => Denies::NameButWildcard,
            };
            return match told {
                Denies::NoData | Denies::Name if gap.opt_out => Denies::OptOut,
                Denies::NameButWildcard if gap.opt_out => Denies::OptOutButWildcard,
                told => told,
            };
        }
        above = encloser.parent();
        next_closer = encloser;
    }
    Denies::Nothing
}

/// RFC 5155 section 5: SHA-1 over name and salt, then again over the digest and salt.
pub(super) fn hash(name: &Name, salt: &[u8], iterations: u16) -> Vec<u8> {
    let once = |input: &[u8]| {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(input);
        context.update(salt);
        context.finish().as_ref().to_vec()
    };
    (0..iterations).fold(once(name.wire()), |digest, _| once(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_rfc_5155_appendix_a() {
        let salt = [0xaa, 0xbb, 0xcc, 0xdd];
        for (name, want) in [
            ("example", "0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM"),
            ("a.example", "35MTHGPGCU1QG68FAB165KLNSNK3DPVL"),
            ("*.w.example", "R53BQ7CC2UVMUBFU5OCMM6PERS9TK9EN"),
        ] {
            let name = Name::from_text(name).unwrap();
            assert_eq!(BASE32HEX_NOPAD.encode(&hash(&name, &salt, 12)), want);
        }
    }
}
