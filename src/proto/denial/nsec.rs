//! NSEC records (RFC 4034 section 4) and what they deny.

use super::types::{Denies, TypeBitmap};
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};

/// One proven NSEC record.
#[derive(Debug, Clone)]
pub(super) struct Nsec {
    owner: Name,
    next: Name,
    types: TypeBitmap,
}

impl Nsec {
    /// From a proven set; none if it is out of form or reaches out of its zone.
    pub(super) fn from_set(set: &RrSet, zone: &Name) -> Option<Self> {
        let mut rdatas = set.rdatas();
        let (rdata, None) = (rdatas.next()?, rdatas.next()) else { return None };
        let (next, used) = Name::read_wire(rdata).ok()?;
        let owner = set.owner().clone();
        let types = TypeBitmap::read(rdata.get(used..)?)?;
        (next.is_at_or_below(zone) && owner.is_at_or_below(zone)).then_some(Nsec { owner, next, types })
    }

    /// `name` lies in the gap after the owner, and the owner is not a cut or DNAME above it, which
    /// could not speak for what is below (RFC 6840 section 4.1).
    fn covers(&self, name: &Name, zone: &Name) -> bool {
        let in_gap = self.owner < *name && (*name < self.next || self.next == *zone);
        let below_cut = name.is_at_or_below(&self.owner) && self.types.ends_zone_data();
        in_gap && !below_cut
    }

    /// The deepest name that `self` shows to exist above `name`.
    fn closest_encloser(&self, name: &Name) -> Name {
        let common = |other: &Name| {
            let mut above = name.clone();
            while !other.is_at_or_below(&above) {
                match above.parent() {
                    Some(parent) => above = parent,
                    None => break,
                }
            }
            above
        };
        let (left, right) = (common(&self.owner), common(&self.next));
        if left.label_count() >= right.label_count() { left } else { right }
    }
}

/// `records` of `zone` prove that nothing exists between `encloser`, whose wildcard was expanded, and `name`.
pub(super) fn denies_closer(records: &[Nsec], zone: &Name, name: &Name, encloser: &Name) -> bool {
    records.iter().any(|gap| {
        gap.covers(name, zone)
            && !gap.next.is_at_or_below(name)
            && gap.closest_encloser(name).label_count() <= encloser.label_count()
    })
}

/// What `records` of `zone` prove about `rtype` at `name`.
pub(super) fn denies(records: &[Nsec], zone: &Name, name: &Name, rtype: RrType) -> Denies {
    if let Some(here) = records.iter().find(|n| n.owner == *name) {
        return here.types.denies_at(rtype, name == zone);
    }
    let Some(gap) = records.iter().find(|n| n.covers(name, zone)) else { return Denies::Nothing };
    if gap.next.is_at_or_below(name) {
        return Denies::NoData; // an empty non-terminal
    }
    let Ok(wildcard) = gap.closest_encloser(name).child(b"*") else { return Denies::Nothing };
    if let Some(source) = records.iter().find(|n| n.owner == wildcard) {
        return source.types.denies_at(rtype, false);
    }
    match records.iter().any(|n| n.covers(&wildcard, zone)) {
        true => Denies::Name,
        false => Denies::NameButWildcard,
    }
}
