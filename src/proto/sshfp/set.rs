//! The SSHFP records of one owner as a set. It has one to three members as a rule, and there are some for each host of a
//! batch: an ordered vector is a tenth of a tree node, and nothing at all while it is empty.

use std::{slice, vec};

use super::Sshfp;

/// Records, each once, in the order of their RDATA.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SshfpSet(Vec<Sshfp>);

impl SshfpSet {
    /// No records, for whoever wants to borrow some.
    pub const EMPTY: &'static Self = &Self::new();

    /// No records.
    pub const fn new() -> Self {
        SshfpSet(Vec::new())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order.
    pub fn iter(&self) -> slice::Iter<'_, Sshfp> {
        self.0.iter()
    }

    /// Whether `record` is one of them.
    pub fn contains(&self, record: &Sshfp) -> bool {
        self.0.binary_search(record).is_ok()
    }

    /// Puts `record` in; false if it was there.
    pub fn insert(&mut self, record: Sshfp) -> bool {
        match self.0.binary_search(&record) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, record);
                true
            }
        }
    }

    /// Takes `record` out; false if it was not there.
    pub fn remove(&mut self, record: &Sshfp) -> bool {
        self.0.binary_search(record).map(|at| self.0.remove(at)).is_ok()
    }

    /// Keeps those that `stays` says yes to.
    pub fn retain(&mut self, stays: impl FnMut(&Sshfp) -> bool) {
        self.0.retain(stays);
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Those of this set that are not in `other`.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Sshfp> {
        self.iter().filter(|record| !other.contains(record))
    }

    /// Those that are in both.
    pub fn intersection<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Sshfp> {
        self.iter().filter(|record| other.contains(record))
    }

    /// Those of either, in no particular order.
    pub fn union<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Sshfp> {
        self.iter().chain(other.difference(self))
    }

    /// None is missing in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).next().is_none()
    }

    /// None is in `other`.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.intersection(other).next().is_none()
    }
}

impl Extend<Sshfp> for SshfpSet {
    fn extend<I: IntoIterator<Item = Sshfp>>(&mut self, records: I) {
        self.0.extend(records);
        // A peer may show thousands at one name: one by one they would be moved as often.
        self.0.sort_unstable();
        self.0.dedup();
    }
}

impl FromIterator<Sshfp> for SshfpSet {
    fn from_iter<I: IntoIterator<Item = Sshfp>>(records: I) -> Self {
        let mut records: Vec<Sshfp> = records.into_iter().collect();
        records.sort_unstable();
        records.dedup();
        // A vector that grows begins with room for four, and most sets have one.
        records.shrink_to_fit();
        SshfpSet(records)
    }
}

impl<const N: usize> From<[Sshfp; N]> for SshfpSet {
    fn from(records: [Sshfp; N]) -> Self {
        records.into_iter().collect()
    }
}

impl IntoIterator for SshfpSet {
    type Item = Sshfp;
    type IntoIter = vec::IntoIter<Sshfp>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a SshfpSet {
    type Item = &'a Sshfp;
    type IntoIter = slice::Iter<'a, Sshfp>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn record((letter, length): (u8, u8)) -> Sshfp {
        Sshfp::from_rdata(&[&[4, 2], vec![letter; usize::from(length)].as_slice()].concat()).unwrap()
    }

    fn records() -> impl Strategy<Value = Vec<Sshfp>> {
        proptest::collection::vec((0..6_u8, prop_oneof![Just(32_u8), 1..4_u8]).prop_map(record), 0..9)
    }

    proptest! {
        #[test]
        fn it_is_what_a_tree_would_be(left in records(), right in records()) {
            let tree = |records: &[Sshfp]| records.iter().cloned().collect::<BTreeSet<_>>();
            let set = |records: &[Sshfp]| records.iter().cloned().collect::<SshfpSet>();
            let ((a, b), (x, y)) = ((set(&left), set(&right)), (tree(&left), tree(&right)));
            prop_assert!(a.iter().eq(&x), "order");
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
            prop_assert!(a.difference(&b).eq(x.difference(&y)));
            prop_assert!(a.intersection(&b).eq(x.intersection(&y)));
            prop_assert_eq!(a.union(&b).cloned().collect::<SshfpSet>().into_iter().collect::<BTreeSet<_>>(), &x | &y);
            prop_assert_eq!(a.is_subset(&b), x.is_subset(&y));
            prop_assert_eq!(a.is_disjoint(&b), x.is_disjoint(&y));
            let (mut one, mut other) = (a.clone(), x.clone());
            for record in &right {
                prop_assert_eq!(one.insert(record.clone()), other.insert(record.clone()));
            }
            for record in &left {
                prop_assert_eq!(one.remove(record), other.remove(record));
                prop_assert_eq!(one.contains(record), other.contains(record));
            }
            prop_assert!(one.iter().eq(&other) && one.len() == other.len());
            let mut all = a;
            all.extend(right);
            prop_assert_eq!(all, y.union(&x).cloned().collect::<SshfpSet>());
        }
    }
}
