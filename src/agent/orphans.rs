//! Records that the configuration had this machine publish, at names that it no longer has: the host was called otherwise,
//! or a name was taken out of `[publish]`. Nobody renews them, and they vouch for this machine's keys all the same. They
//! are told of, and removed when somebody says so: a host name can change by accident.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::state::{Entries, Origin};
use crate::proto::moment;
use crate::proto::name::Name;
use crate::proto::sshfp::SshfpSet;

/// Records of this machine that it has no name for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Where they stand.
    pub owner: Name,
    /// Where they were published last, if that is known.
    pub origin: Option<Arc<Origin>>,
    /// The records.
    pub records: SshfpSet,
    /// Since when, in seconds since 1970, if that is known.
    pub since: Option<u64>,
}

impl Orphan {
    /// For people.
    pub fn message(&self) -> String {
        let place = self.origin.as_ref().map(|o| format!(" at {}", o.server)).unwrap_or_default();
        let since = self.since.map(|s| format!(" since {}", moment::text(s))).unwrap_or_default();
        format!(
            "{} is no name of this machine any more, and its records are published{place}{since}",
            self.owner
        )
    }

    /// What to do about it.
    pub const HINT: &str =
        "if that is right: sshanchor withdraw --orphans; else put the name back into [publish]";
}

/// The orphans among `entries`, where `named` are all owners that the configuration names now. What was published by hand is
/// none, nor are the sets of a CA.
pub fn orphans(entries: &Entries, named: &BTreeSet<Name>) -> Vec<Orphan> {
    let lost = entries.iter().filter(|(owner, entry)| entry.configured && !named.contains(*owner));
    let orphan = |(owner, entry): (&Name, &super::state::Entry)| Orphan {
        owner: owner.clone(),
        origin: entry.origin.clone(),
        records: entry.records(),
        since: entry.since(),
    };
    lost.map(orphan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::state::Entry;
    use crate::proto::sshfp::Sshfp;

    #[test]
    fn only_what_the_configuration_named_is_missed() {
        let name = |text: &str| Name::from_text(text).unwrap();
        let entry = |configured, since| {
            let records = [(Sshfp::from_rdata(&[4, 2, 1]).unwrap(), since)].into();
            Entry { configured, records, ..Entry::default() }
        };
        let entries: Entries = [
            (name("old.example"), entry(true, Some(1_795_219_200))),
            (name("new.example"), entry(true, None)),
            (name("by-hand.example"), entry(false, None)),
        ]
        .into();
        let found = orphans(&entries, &[name("new.example")].into());
        assert_eq!(found.len(), 1);
        let message = "old.example is no name of this machine any more, and its records are published since 2026-11-21T00:00:00Z";
        assert_eq!(found[0].message(), message);
        assert!(orphans(&entries, &[name("new.example"), name("old.example")].into()).is_empty());
    }
}
