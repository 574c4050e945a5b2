//! What to change at one owner: present records, wanted records and own records in, a plan out. The
//! plan is a value: it is printed, compared and applied as it stands.

use std::fmt::Display;

use serde::{Serialize, Serializer};

use super::name::Name;
use super::sshfp::{Sshfp, SshfpSet};

/// TTL of records that are new where nobody said otherwise, in seconds.
pub const DEFAULT_TTL: u32 = 3600;
/// From here on a TTL is warned of, in seconds: a week, which is as long as most resolvers keep anything (RFC 8767 section 4).
pub const LONG_TTL: u32 = 7 * 86_400;
/// Greatest TTL there is, in seconds (RFC 2181 section 8).
pub const MAX_TTL: u32 = i32::MAX as u32;

/// The SSHFP RRset that an authority holds at an owner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Present {
    /// Its TTL in seconds; none if there are no records.
    pub ttl: Option<u32>,
    /// Its records, each once.
    #[serde(serialize_with = "texts")]
    pub records: SshfpSet,
}

impl Present {
    /// A set with this TTL; an empty one has none.
    pub fn new(ttl: u32, records: impl IntoIterator<Item = Sshfp>) -> Self {
        let records: SshfpSet = records.into_iter().collect();
        Present { ttl: (!records.is_empty()).then_some(ttl), records }
    }

    /// No records.
    pub fn absent() -> Self {
        Self::default()
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// This machine's records, and no stale ones of its own.
    Publish {
        /// The TTL the whole set shall have, in seconds; none leaves that of a set that exists.
        ttl: Option<u32>,
        /// Remove other machines' records too.
        prune: bool,
    },
    /// None of this machine's records. Whoever shares the name keeps theirs.
    Withdraw,
    /// These records beside whatever else is there: nothing goes.
    Add {
        /// The TTL the whole set shall have, in seconds; none leaves that of a set that exists.
        ttl: Option<u32>,
    },
    /// Without these records; all others stay, this machine's too.
    Remove {
        /// Those among them that are not this machine's as well.
        foreign: bool,
    },
}

impl Intent {
    /// Records are wanted in the set, and not out of it.
    pub fn publishes(self) -> bool {
        matches!(self, Intent::Publish { .. } | Intent::Add { .. })
    }

    /// What is own is what [`Intent::settled`] makes of it already.
    pub fn is_settled(self, own: &SshfpSet, wanted: &SshfpSet) -> bool {
        match self {
            Intent::Publish { .. } => own == wanted,
            Intent::Withdraw => own.is_empty(),
            Intent::Add { .. } => wanted.is_subset(own),
            Intent::Remove { .. } => own.is_disjoint(wanted),
        }
    }

    /// What is own at an owner once this has succeeded with `wanted`, where it was `own` before.
    pub fn settled(self, own: &SshfpSet, wanted: &SshfpSet) -> SshfpSet {
        match self {
            Intent::Publish { .. } => wanted.clone(),
            Intent::Withdraw => SshfpSet::new(),
            Intent::Add { .. } => own.union(wanted).cloned().collect(),
            Intent::Remove { .. } => own.difference(wanted).cloned().collect(),
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Publishing nothing would be a withdrawal in disguise.
    #[error("no keys to publish at {0}")]
    NothingWanted(Name),
}

/// What to do with each record of one owner:
///
/// ```text
/// present  wanted  own  | publish  publish --prune  withdraw                          add      remove
/// no       yes     any  | add      add              -                                 add      -
/// yes      yes     yes  | keep     keep             remove                            keep     remove
/// yes      yes     no   | keep     keep             remove (what is wanted is own)    keep     foreign, or remove if asked
/// yes      no      yes  | remove   remove           remove                            keep     keep
/// yes      no      no   | foreign  remove           foreign                           foreign  foreign
/// no       no      any  | -        -                -                                 -        -
/// ```
///
/// Something is always wanted when publishing or adding, so neither ever empties a set. All records of a set
/// share one TTL (RFC 2181 section 5.2): another TTL re-sets the whole of it. SHA-1 records are never
/// wanted, hence own only if the state says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Where the records stand.
    #[serde(serialize_with = "text")]
    pub owner: Name,
    /// The TTL of the set afterwards, in seconds.
    pub ttl: u32,
    /// Records that are not there yet.
    #[serde(serialize_with = "texts")]
    pub add: SshfpSet,
    /// Records that have to go.
    #[serde(serialize_with = "texts")]
    pub remove: SshfpSet,
    /// Own records that stay.
    #[serde(serialize_with = "texts")]
    pub keep: SshfpSet,
    /// Somebody else's records, which stay.
    #[serde(serialize_with = "texts")]
    pub foreign: SshfpSet,
    /// What the plan was made for; it is applied only if this still stands.
    pub present: Present,
}

impl Plan {
    /// Decides by the table above. `wanted` are the records of this machine's keys, `own` those that
    /// this machine is known to have published earlier.
    pub fn new(
        owner: &Name,
        present: &Present,
        wanted: &SshfpSet,
        own: &SshfpSet,
        intent: Intent,
    ) -> Result<Self, PlanError> {
        Self::of(owner, present.clone(), wanted, own, intent)
    }

    /// The same, of what nobody else needs.
    pub fn of(
        owner: &Name,
        present: Present,
        wanted: &SshfpSet,
        own: &SshfpSet,
        intent: Intent,
    ) -> Result<Self, PlanError> {
        if intent.publishes() && wanted.is_empty() {
            return Err(PlanError::NothingWanted(owner.clone()));
        }
        let ttl = match intent {
            Intent::Publish { ttl, .. } | Intent::Add { ttl } => ttl,
            Intent::Withdraw | Intent::Remove { .. } => None,
        };
        let stays = |record: &&Sshfp| match (intent, wanted.contains(record), own.contains(record)) {
            (Intent::Publish { .. } | Intent::Add { .. }, true, _) | (Intent::Add { .. }, ..) => true,
            (Intent::Publish { prune, .. }, false, own) => !prune && !own,
            (Intent::Withdraw, wanted, own) => !wanted && !own,
            (Intent::Remove { foreign }, wanted, own) => !wanted || (!own && !foreign),
        };
        let is_own = |record: &&Sshfp| match intent {
            Intent::Publish { .. } => wanted.contains(record),
            Intent::Add { .. } => wanted.contains(record) || own.contains(record),
            Intent::Withdraw | Intent::Remove { .. } => own.contains(record),
        };
        let there = &present.records;
        let missing = || wanted.difference(there).filter(|_| intent.publishes());
        let (add, remove) =
            (missing().cloned().collect(), there.iter().filter(|r| !stays(r)).cloned().collect());
        let keep = there.iter().filter(|r| stays(r) && is_own(r)).cloned().collect();
        let foreign = there.iter().filter(|r| stays(r) && !is_own(r)).cloned().collect();
        let ttl = ttl.or(present.ttl).unwrap_or(DEFAULT_TTL);
        Ok(Plan { owner: owner.clone(), ttl, add, remove, keep, foreign, present })
    }

    /// Nothing has to change.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && !self.resets_ttl()
    }

    /// Records that stay get another TTL, so the whole set is written anew.
    pub fn resets_ttl(&self) -> bool {
        let stays = !self.keep.is_empty() || !self.foreign.is_empty();
        stays && self.present.ttl.is_some_and(|ttl| ttl != self.ttl)
    }

    /// The records that are there once the plan is applied.
    pub fn outcome(&self) -> SshfpSet {
        [&self.add, &self.keep, &self.foreign].into_iter().flatten().cloned().collect()
    }
}

/// For `serde`: the presentation form.
pub fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// For `serde`: a list of presentation forms.
pub fn texts<'a, S, T>(values: &'a T, serializer: S) -> Result<S::Ok, S::Error>
where
    S: Serializer,
    &'a T: IntoIterator<Item: Display>,
{
    serializer.collect_seq(values.into_iter().map(Shown))
}

/// For `serde`: the presentation form of what may be unknown.
pub fn text_if_known<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(Shown).serialize(serializer)
}

/// Something that is written in presentation form, right to where it goes.
#[derive(Debug, Clone, Copy)]
pub struct Shown<T>(pub T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records by letters: `a` is `4 2 6161..`.
    fn set(letters: &str) -> SshfpSet {
        letters.bytes().map(|b| Sshfp::from_rdata(&[&[4, 2], [b; 32].as_slice()].concat()).unwrap()).collect()
    }

    fn name() -> Name {
        Name::from_text("web1.example.com").unwrap()
    }

    #[test]
    fn each_transition_is_that_of_the_table() {
        const PUBLISH: Intent = Intent::Publish { ttl: None, prune: false };
        const PRUNE: Intent = Intent::Publish { ttl: None, prune: true };
        const ADD: Intent = Intent::Add { ttl: None };
        const REMOVE: Intent = Intent::Remove { foreign: false };
        const REMOVE_ANY: Intent = Intent::Remove { foreign: true };
        // present, wanted, own, intent -> add, remove, keep, foreign
        let table = [
            ("first publish", "", "ab", "", PUBLISH, "ab", "", "", ""),
            ("repeat", "ab", "ab", "ab", PUBLISH, "", "", "ab", ""),
            ("records found that are ours", "ab", "ab", "", PUBLISH, "", "", "ab", ""),
            ("one is missing", "a", "ab", "ab", PUBLISH, "b", "", "a", ""),
            ("key swapped", "a", "b", "a", PUBLISH, "b", "a", "", ""),
            ("key swapped without state", "a", "b", "", PUBLISH, "b", "", "", "a"),
            ("key swapped, intent recorded already", "a", "b", "ab", PUBLISH, "b", "a", "", ""),
            ("crash after the update", "b", "b", "ab", PUBLISH, "", "", "b", ""),
            ("a shared name", "xa", "b", "a", PUBLISH, "b", "a", "", "x"),
            ("a shared name, nothing to do", "xa", "a", "a", PUBLISH, "", "", "a", "x"),
            ("prune", "xya", "a", "a", PRUNE, "", "xy", "a", ""),
            ("prune and swap", "xa", "b", "a", PRUNE, "b", "ax", "", ""),
            ("own but long gone", "x", "a", "bc", PUBLISH, "a", "", "", "x"),
            ("withdraw", "ab", "ab", "ab", Intent::Withdraw, "", "ab", "", ""),
            ("withdraw without state", "ab", "ab", "", Intent::Withdraw, "", "ab", "", ""),
            ("withdraw stale ones too", "ab", "b", "a", Intent::Withdraw, "", "ab", "", ""),
            ("withdraw from a shared name", "xa", "a", "a", Intent::Withdraw, "", "a", "", "x"),
            ("withdraw what is not there", "", "a", "a", Intent::Withdraw, "", "", "", ""),
            ("withdraw with state alone", "xa", "", "a", Intent::Withdraw, "", "a", "", "x"),
            ("add the first", "", "s", "", ADD, "s", "", "", ""),
            ("add beside others and own", "xa", "b", "a", ADD, "b", "", "a", "x"),
            ("add what is there", "xb", "b", "", ADD, "", "", "b", "x"),
            ("remove one of the own", "xab", "b", "ab", REMOVE, "", "b", "a", "x"),
            ("remove, but it is another's", "xa", "x", "a", REMOVE, "", "", "a", "x"),
            ("remove another's too", "xya", "x", "a", REMOVE_ANY, "", "x", "a", "y"),
            ("remove the last", "a", "a", "a", REMOVE, "", "a", "", ""),
            ("remove what is not there", "x", "b", "b", REMOVE, "", "", "", "x"),
        ];
        for (case, present, wanted, own, intent, add, remove, keep, foreign) in table {
            let present = Present::new(300, set(present));
            let plan = Plan::new(&name(), &present, &set(wanted), &set(own), intent).unwrap();
            assert_eq!(plan.add, set(add), "{case}: add");
            assert_eq!(plan.remove, set(remove), "{case}: remove");
            assert_eq!(plan.keep, set(keep), "{case}: keep");
            assert_eq!(plan.foreign, set(foreign), "{case}: foreign");
            assert_eq!(plan.is_empty(), add.is_empty() && remove.is_empty(), "{case}: is_empty");
            // Applied, it leaves what it said, and a second look finds nothing to do.
            let after = Present::new(plan.ttl, plan.outcome());
            let again = Plan::new(&name(), &after, &set(wanted), &set(own), intent).unwrap();
            assert!(again.is_empty(), "{case}: {again:?}");
            if intent.publishes() {
                assert!(!after.records.is_empty(), "{case}: publishing emptied a set");
            }
            let settled = intent.settled(&set(own), &set(wanted));
            assert!(intent.is_settled(&settled, &set(wanted)), "{case}");
            assert_eq!(intent.is_settled(&set(own), &set(wanted)), settled == set(own), "{case}");
            let again = Plan::new(&name(), &after, &set(wanted), &settled, intent).unwrap();
            assert!(again.is_empty(), "{case}: with the state after it: {again:?}");
        }
    }

    #[test]
    fn publishing_nothing_is_refused() {
        let publish = Intent::Publish { ttl: None, prune: true };
        let present = Present::new(300, set("a"));
        let plan = Plan::new(&name(), &present, &set(""), &set("a"), publish);
        assert_eq!(plan, Err(PlanError::NothingWanted(name())));
        assert!(Plan::new(&name(), &present, &set("a"), &set("a"), publish).is_ok());
        let add = Intent::Add { ttl: None };
        assert!(Plan::new(&name(), &present, &set(""), &set("a"), add).is_err());
    }

    #[test]
    fn the_ttl_changes_only_when_asked() {
        let plan = |present: &str, ttl: Option<u32>| {
            let present = Present::new(300, set(present));
            let intent = Intent::Publish { ttl, prune: false };
            let plan = Plan::new(&name(), &present, &set("a"), &set("a"), intent).unwrap();
            (plan.ttl, plan.resets_ttl(), plan.is_empty())
        };
        assert_eq!(plan("", None), (DEFAULT_TTL, false, false));
        assert_eq!(plan("", Some(60)), (60, false, false));
        assert_eq!(plan("a", None), (300, false, true));
        assert_eq!(plan("a", Some(300)), (300, false, true));
        assert_eq!(plan("a", Some(60)), (60, true, false));
        assert_eq!(plan("x", Some(60)), (60, true, false), "others share the TTL");
    }

    #[test]
    fn a_plan_is_written_as_text_and_lists() {
        let intent = Intent::Publish { ttl: None, prune: false };
        let plan = Plan::new(&name(), &Present::absent(), &set("a"), &set(""), intent).unwrap();
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["owner"], "web1.example.com");
        assert_eq!(json["add"][0], format!("4 2 {}", "61".repeat(32)));
        assert_eq!(json["present"]["ttl"], serde_json::Value::Null);
    }
}
