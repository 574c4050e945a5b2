//! What is known of hosts, in the forms of other programs: SSHFP sets for zones and their tools, proven keys for SSH
//! clients. Rendering alone; what may be rendered was decided before.

use std::fmt;

use super::name::Name;
use super::plan::DEFAULT_TTL;
use super::sshfp::{Sshfp, SshfpSet};

pub mod keys;
pub mod tools;
pub mod zone;

/// An SSHFP set at an owner whose name means the same in every form: letters, digits, `-` and `_` in its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    owner: Name,
    ttl: Option<u32>,
    records: SshfpSet,
}

/// Why a set cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// The owner has a character that some program would take for something else.
    #[error("{0}: records at this name are not exported (want letters, digits, - and _ in its labels)")]
    Owner(Name),
    /// It is of another zone.
    #[error("{owner} is not in the zone {zone}")]
    OtherZone {
        /// The owner.
        owner: Name,
        /// The zone.
        zone: Name,
    },
}

impl RecordSet {
    /// A set with this TTL in seconds, or the program's own.
    pub fn new(
        owner: Name,
        ttl: Option<u32>,
        records: impl IntoIterator<Item = Sshfp>,
    ) -> Result<Self, ExportError> {
        let plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
        match owner.is_root() || !owner.labels().all(|label| label.iter().all(plain)) {
            true => Err(ExportError::Owner(owner)),
            false => Ok(RecordSet { owner, ttl, records: records.into_iter().collect() }),
        }
    }

    /// Where the records are.
    pub fn owner(&self) -> &Name {
        &self.owner
    }

    /// Their TTL in seconds, if one is known.
    pub fn ttl(&self) -> Option<u32> {
        self.ttl
    }

    /// The records, each once.
    pub fn records(&self) -> impl Iterator<Item = &Sshfp> {
        self.records.iter()
    }

    /// The owner with its final dot.
    fn absolute(&self) -> String {
        format!("{}.", self.owner)
    }

    /// The TTL for programs that want one.
    fn some_ttl(&self) -> u32 {
        self.ttl.unwrap_or(DEFAULT_TTL)
    }

    /// The owner below `zone`, without it: empty at the zone's own name.
    fn relative(&self, zone: &Name) -> Result<String, ExportError> {
        if !self.owner.is_at_or_below(zone) {
            return Err(ExportError::OtherZone { owner: self.owner.clone(), zone: zone.clone() });
        }
        let labels = self.owner.labels().take(self.owner.label_count() - zone.label_count());
        let labels: Vec<_> = labels.map(String::from_utf8_lossy).collect();
        Ok(labels.join("."))
    }
}

/// Sets of the same owner become one, with the least of their TTLs; the order is that of the names.
pub fn merged(sets: impl IntoIterator<Item = RecordSet>) -> Vec<RecordSet> {
    let mut all: std::collections::BTreeMap<Name, RecordSet> = Default::default();
    for set in sets {
        match all.get_mut(&set.owner) {
            None => {
                all.insert(set.owner.clone(), set);
            }
            Some(there) => {
                there.ttl = [there.ttl, set.ttl].into_iter().flatten().min();
                there.records.extend(set.records);
            }
        }
    }
    all.into_values().collect()
}

/// Text in quotes as JSON, JavaScript and YAML read it. It comes from names and digests alone.
fn quoted(text: &str) -> impl fmt::Display {
    serde_json::Value::from(text)
}

/// Pretty JSON; what is given has strings for keys and cannot fail.
fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn name(text: &str) -> Name {
        Name::from_text(text).unwrap()
    }

    /// A set of Ed25519 and RSA records whose digests are all `digest`.
    pub(super) fn set(owner: &str, ttl: Option<u32>, digest: &str) -> RecordSet {
        let record = |algorithm| Sshfp::from_text(&format!("{algorithm} 2 {}", digest.repeat(32))).unwrap();
        RecordSet::new(name(owner), ttl, [record(4), record(1)]).unwrap()
    }

    #[test]
    fn names_that_need_an_escape_somewhere_are_not_exported() {
        for bad in [r"a\.b.test", r#"a\"b.test"#, "a$b.test", "a b.test", "*.test", "a'b.test", "é.test", "."]
        {
            assert!(RecordSet::new(name(bad), None, []).is_err(), "{bad}");
        }
        for good in ["web1.example.test", "_22._ssh.web-1.test", "1.test"] {
            assert!(RecordSet::new(name(good), None, []).is_ok(), "{good}");
        }
    }

    #[test]
    fn names_are_told_within_their_zone() {
        let relative = |zone: &str| set("_22._ssh.web1.example.test", None, "ab").relative(&name(zone));
        assert_eq!(relative("example.test").unwrap(), "_22._ssh.web1");
        assert_eq!(relative("_22._ssh.web1.example.test").unwrap(), "");
        assert_eq!(relative(".").unwrap(), "_22._ssh.web1.example.test");
        for other in ["other.test", "xample.test", "a._22._ssh.web1.example.test"] {
            assert!(matches!(relative(other), Err(ExportError::OtherZone { .. })), "{other}");
        }
    }

    #[test]
    fn sets_of_one_owner_become_one() {
        let sets = merged([
            set("b.test", None, "ab"),
            set("a.test", Some(60), "ab"),
            set("a.test", Some(30), "cd"),
            set("a.test", None, "ab"),
        ]);
        let told: Vec<_> = sets.iter().map(|s| (s.owner.to_string(), s.ttl, s.records.len())).collect();
        assert_eq!(told, [("a.test".to_owned(), Some(30), 4), ("b.test".to_owned(), None, 2)]);
    }
}
