//! NSEC3 records (RFC 5155) and what they deny.

use data_encoding::BASE32HEX_NOPAD;
use ring::digest;

use super::types::{Denies, TypeBitmap};
use crate::proto::chain::{Budget, Nsec3Hash};
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

/// The records of one answer, all of one salt and count of iterations, and what hashing costs.
struct Hashed<'a> {
    records: &'a [Nsec3],
    salt: &'a [u8],
    iterations: u16,
    budget: &'a mut Budget,
}

/// There are no more hashes to be had.
struct Exhausted;

impl<'a> Hashed<'a> {
    /// Or what there is to say without hashing.
    fn new(records: &'a [Nsec3], budget: &'a mut Budget) -> Result<Self, Denies> {
        let first = records.first().ok_or(Denies::Nothing)?;
        // Of several chains none is whole, as far as anybody can see (RFC 5155 section 8.2).
        if records.iter().any(|r| r.iterations != first.iterations || r.salt != first.salt) {
            return Err(Denies::Nothing);
        }
        if first.iterations > MAX_ITERATIONS {
            return Err(Denies::TooManyIterations);
        }
        Ok(Hashed { records, salt: &first.salt, iterations: first.iterations, budget })
    }

    fn hash(&mut self, name: &Name) -> Result<Nsec3Hash, Exhausted> {
        let (salt, iterations) = (self.salt, self.iterations);
        self.budget.nsec3_hash(name, salt, iterations, || hash(name, salt, iterations)).ok_or(Exhausted)
    }

    fn matching(&mut self, name: &Name) -> Result<Option<&'a Nsec3>, Exhausted> {
        let hash = self.hash(name)?;
        Ok(self.records.iter().find(|r| *r.hash == hash))
    }

    fn covering(&mut self, name: &Name) -> Result<Option<&'a Nsec3>, Exhausted> {
        let hash = self.hash(name)?;
        Ok(self.records.iter().find(|r| r.covers(&hash)))
    }

    fn denies_closer(&mut self, name: &Name, encloser: &Name) -> Result<Denies, Exhausted> {
        let next_closer = name.last_labels(encloser.label_count() + 1);
        Ok(match self.covering(&next_closer)? {
            Some(gap) if gap.opt_out => Denies::OptOut,
            Some(_) => Denies::Name,
            None => Denies::Nothing,
        })
    }

    fn denies(&mut self, zone: &Name, name: &Name, rtype: RrType) -> Result<Denies, Exhausted> {
        if let Some(here) = self.matching(name)? {
            return Ok(here.types.denies_at(rtype, name == zone));
        }
        // The closest encloser, and the name one label below it on the way to `name` (RFC 5155 section 8.3).
        let (mut next_closer, mut above) = (name.clone(), name.parent());
        while let Some(encloser) = above.filter(|n| n.is_at_or_below(zone)) {
            if let Some(found) = self.matching(&encloser)? {
                return match found.types.ends_zone_data() {
                    true => Ok(Denies::Nothing),
                    false => self.denies_below(&encloser, &next_closer, rtype),
                };
            }
            above = encloser.parent();
            next_closer = encloser;
        }
        Ok(Denies::Nothing)
    }

    fn denies_below(
        &mut self,
        encloser: &Name,
        next_closer: &Name,
        rtype: RrType,
    ) -> Result<Denies, Exhausted> {
        let Some(gap) = self.covering(next_closer)? else { return Ok(Denies::Nothing) };
        // An unsigned delegation has no DS, whatever a wildcard says (RFC 5155 section 8.6).
        if gap.opt_out && rtype == RrType::DS {
            return Ok(Denies::OptOut);
        }
        let Ok(wildcard) = encloser.child(b"*") else { return Ok(Denies::Nothing) };
        let told = match (self.matching(&wildcard)?, self.covering(&wildcard)?) {
            (Some(source), _) => source.types.denies_at(rtype, false),
            (None, Some(_)) => Denies::Name,
            (None, None) => Denies::NameButWildcard,
        };
        Ok(match told {
            Denies::NoData | Denies::Name if gap.opt_out => Denies::OptOut,
            Denies::NameButWildcard if gap.opt_out => Denies::OptOutButWildcard,
            told => told,
        })
    }
}

/// What `records` prove about names between `encloser`, whose wildcard was expanded, and `name`:
/// [`Denies::Name`] if there are none (RFC 5155 section 8.8).
pub(super) fn denies_closer(records: &[Nsec3], name: &Name, encloser: &Name, budget: &mut Budget) -> Denies {
    let hashed = Hashed::new(records, budget);
    hashed.map_or_else(|told| told, |mut h| h.denies_closer(name, encloser).unwrap_or(Denies::TooManyHashes))
}

/// What `records` of `zone` prove about `rtype` at `name`.
pub(super) fn denies(
    records: &[Nsec3],
    zone: &Name,
    name: &Name,
    rtype: RrType,
    budget: &mut Budget,
) -> Denies {
    let hashed = Hashed::new(records, budget);
    hashed.map_or_else(|told| told, |mut h| h.denies(zone, name, rtype).unwrap_or(Denies::TooManyHashes))
}

/// RFC 5155 section 5: SHA-1 over name and salt, then again over the digest and salt.
pub(super) fn hash(name: &Name, salt: &[u8], iterations: u16) -> Nsec3Hash {
    let once = |input: &[u8]| {
        let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        context.update(input);
        context.update(salt);
        let mut out = Nsec3Hash::default();
        out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        out
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
