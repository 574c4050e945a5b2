//! What to change at one owner: present records, wanted records and own records in, a plan out. The
//! plan is a value: it is printed, compared and applied as it stands.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::{Serialize, Serializer};

use super::name::Name;
use super::sshfp::Sshfp;

/// TTL of records that are new where nobody said otherwise, in seconds.
pub const DEFAULT_TTL: u32 = 3600;
/// Greatest TTL there is, in seconds (RFC 2181 section 8).
pub const MAX_TTL: u32 = i32::MAX as u32;

/// The SSHFP RRset that an authority holds at an owner.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Present {
    /// Its TTL in seconds; none if there are no records.
    pub ttl: Option<u32>,
    /// Its records, each once.
    #[serde(serialize_with = "texts")]
    pub records: BTreeSet<Sshfp>,
}

impl Present {
    /// A set with this TTL; an empty one has none.
    pub fn new(ttl: u32, records: impl IntoIterator<Item = Sshfp>) -> Self {
        let records: BTreeSet<Sshfp> = records.into_iter().collect();
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
/// present  wanted  own  | publish  publish --prune  withdraw
/// no       yes     any  | add      add              -
/// yes      yes     any  | keep     keep             remove (what is wanted is own)
/// yes      no      yes  | remove   remove           remove
/// yes      no      no   | foreign  remove           foreign
/// no       no      any  | -        -                -
/// ```
///
/// Something is always wanted when publishing, so publishing never empties a set. All records of a set
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
    pub add: BTreeSet<Sshfp>,
    /// Records that have to go.
    #[serde(serialize_with = "texts")]
    pub remove: BTreeSet<Sshfp>,
    /// Own records that stay.
    #[serde(serialize_with = "texts")]
    pub keep: BTreeSet<Sshfp>,
    /// Somebody else's records, which stay.
    #[serde(serialize_with = "texts")]
    pub foreign: BTreeSet<Sshfp>,
    /// What the plan was made for; it is applied only if this still stands.
    pub present: Present,
}

impl Plan {
    /// Decides by the table above. `wanted` are the records of this machine's keys, `own` those that
    /// this machine is known to have published earlier.
    pub fn new(
        owner: &Name,
        present: &Present,
        wanted: &BTreeSet<Sshfp>,
        own: &BTreeSet<Sshfp>,
        intent: Intent,
    ) -> Result<Self, PlanError> {
        let nothing = BTreeSet::new();
        let (target, ttl, prune) = match intent {
            Intent::Publish { .. } if wanted.is_empty() => {
                return Err(PlanError::NothingWanted(owner.clone()));
            }
            Intent::Publish { ttl, prune } => (wanted, ttl, prune),
            Intent::Withdraw => (&nothing, None, false),
        };
        let goes = |record: &&Sshfp| prune || own.contains(*record) || wanted.contains(*record);
        let unwanted = || present.records.difference(target);
        Ok(Plan {
            owner: owner.clone(),
            ttl: ttl.or(present.ttl).unwrap_or(DEFAULT_TTL),
            add: target.difference(&present.records).cloned().collect(),
            remove: unwanted().filter(goes).cloned().collect(),
            keep: present.records.intersection(target).cloned().collect(),
            foreign: unwanted().filter(|r| !goes(r)).cloned().collect(),
            present: present.clone(),
        })
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
    pub fn outcome(&self) -> BTreeSet<Sshfp> {
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
    serializer.collect_seq(values.into_iter().map(|v| v.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records by letters: `a` is `4 2 6161..`.
    fn set(letters: &str) -> BTreeSet<Sshfp> {
        letters.bytes().map(|b| Sshfp::from_rdata(&[&[4, 2], [b; 32].as_slice()].concat()).unwrap()).collect()
    }

    fn name() -> Name {
        Name::from_text("web1.example.com").unwrap()
    }

    #[test]
    fn each_transition_is_that_of_the_table() {
        const PUBLISH: Intent = Intent::Publish { ttl: None, prune: false };
        const PRUNE: Intent = Intent::Publish { ttl: None, prune: true };
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
            if intent != Intent::Withdraw {
                assert!(!after.records.is_empty(), "{case}: publishing emptied a set");
            }
        }
    }

    #[test]
    fn publishing_nothing_is_refused() {
        let publish = Intent::Publish { ttl: None, prune: true };
        let present = Present::new(300, set("a"));
        let plan = Plan::new(&name(), &present, &set(""), &set("a"), publish);
        assert_eq!(plan, Err(PlanError::NothingWanted(name())));
        assert!(Plan::new(&name(), &present, &set("a"), &set("a"), publish).is_ok());
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
