//! The type bitmap of NSEC and NSEC3 (RFC 4034 section 4.1.2), and what a denial says.

use std::collections::BTreeSet;

use crate::proto::rr::RrType;
use crate::proto::wire::Reader;

/// What records prove to be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denies {
    /// They prove nothing about it.
    Nothing,
    /// The record exists, or may: the denial contradicts itself.
    Contradicted,
    /// The name has other data, or only names below it.
    NoData,
    /// The name is a cut without a secure way down: an unsigned zone begins there.
    InsecureCut,
    /// The name does not exist, and no wildcard stands in for it.
    Name,
    /// The name itself does not exist; nothing is said about a wildcard.
    NameButWildcard,
    /// Unsigned delegations may hide in the gap (RFC 5155 section 6).
    OptOut,
    /// The same, and nothing is said about a wildcard.
    OptOutButWildcard,
    /// So many iterations that nobody should hash them.
    TooManyIterations,
    /// More hashes than one lookup may compute.
    TooManyHashes,
}

/// The types that exist at a name.
#[derive(Debug, Clone, Default)]
pub(super) struct TypeBitmap(BTreeSet<u16>);

impl TypeBitmap {
    /// Reads window blocks to the end.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        let mut types = BTreeSet::new();
        let mut reader = Reader::new(octets);
        while !reader.is_empty() {
            let (window, length) = (u16::from(reader.u8()?), usize::from(reader.u8()?));
            if !(1..=32).contains(&length) {
                return None;
            }
            for (at, byte) in (0u16..).zip(reader.take(length)?) {
                let set = (0..8).filter(|bit| byte & (0x80 >> bit) != 0);
                types.extend(set.map(|bit| (window << 8) | (at * 8 + bit)));
            }
        }
        Some(TypeBitmap(types))
    }

    fn has(&self, rtype: RrType) -> bool {
        self.0.contains(&rtype.0)
    }

    /// A cut or a DNAME: below it this zone has no data.
    pub(super) fn ends_zone_data(&self) -> bool {
        (self.has(RrType::NS) && !self.has(RrType::SOA)) || self.has(RrType::DNAME)
    }

    /// What a record at the very name proves about `rtype` there.
    pub(super) fn denies_at(&self, rtype: RrType, apex: bool) -> Denies {
        if self.has(rtype) || self.has(RrType::CNAME) {
            return Denies::Contradicted;
        }
        let cut = self.has(RrType::NS) && !self.has(RrType::SOA);
        match (rtype, cut) {
            // The child's own apex record cannot speak for the parent's DS.
            (RrType::DS, false) if self.has(RrType::SOA) && !apex => Denies::Nothing,
            (RrType::DS, true) => Denies::InsecureCut,
            // The parent's record at a cut cannot speak for the child's data.
            (_, true) => Denies::Nothing,
            (_, false) => Denies::NoData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_of_rfc_4034_section_4_3_is_read() {
        let mut octets = vec![0, 6, 0x40, 1, 0, 0, 0, 3, 4, 27];
        octets.extend([0; 26]);
        octets.push(0x20);
        let types = TypeBitmap::read(&octets).unwrap();
        for number in [1, 15, 46, 47, 1234] {
            assert!(types.has(RrType(number)), "{number}");
        }
        assert_eq!(types.0.len(), 5);
        assert!(TypeBitmap::read(&[0, 0]).is_none());
        assert!(TypeBitmap::read(&[0, 2, 1]).is_none());
    }

    #[test]
    fn a_cut_speaks_for_its_ds_alone() {
        let cut = TypeBitmap([2, 46, 47].into());
        assert_eq!(cut.denies_at(RrType::DS, false), Denies::InsecureCut);
        assert_eq!(cut.denies_at(RrType::A, false), Denies::Nothing);
        let signed_cut = TypeBitmap([2, 43, 46, 47].into());
        assert_eq!(signed_cut.denies_at(RrType::DS, false), Denies::Contradicted);
        let child_apex = TypeBitmap([2, 6, 46, 47].into());
        assert_eq!(child_apex.denies_at(RrType::DS, false), Denies::Nothing);
    }
}
