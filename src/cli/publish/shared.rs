//! One key on several hosts of a batch: machines that were copied, keys and all.

use std::collections::{BTreeSet, HashMap};

use crate::agent::pass::Target;
use crate::proto::name::Name;
use crate::proto::sshfp::Sshfp;

/// Names that one warning tells, and warnings that there are at most.
const MOST_NAMES: usize = 3;
const MOST_WARNINGS: usize = 5;

/// A warning for each group of hosts that have a key in common.
pub(super) fn warnings(targets: &[Target]) -> Vec<String> {
    // As a rule nobody shares.
    let mut first: HashMap<&Sshfp, &Name> = HashMap::with_capacity(targets.len());
    let mut names: HashMap<&Sshfp, BTreeSet<&Name>> = HashMap::new();
    for Target { name: host, wish, .. } in targets {
        for record in &wish.wanted {
            let first = *first.entry(record).or_insert(host);
            if first != host {
                names.entry(record).or_default().extend([first, host]);
            }
        }
    }
    // Of hosts that share all of their keys it is said once.
    let groups: BTreeSet<BTreeSet<&Name>> = names.into_values().collect();
    let mut warnings: Vec<String> = groups.iter().take(MOST_WARNINGS).map(warning).collect();
    if groups.len() > MOST_WARNINGS {
        let more = groups.len() - MOST_WARNINGS;
        warnings.push(format!("so it is with {more} more groups of hosts"));
    }
    warnings
}

fn warning(names: &BTreeSet<&Name>) -> String {
    let shown: Vec<String> = names.iter().take(MOST_NAMES).map(|name| name.to_string()).collect();
    let others = match names.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    format!(
        "{}{others} have the same host key: if they are several machines (copies of one image), each can pass for the others: \
         make new keys there (rm /etc/ssh/ssh_host_*; ssh-keygen -A)",
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::name::HostName;
    use crate::proto::plan::Intent;

    fn host(name: &str, keys: &[u8]) -> Target {
        let records = keys.iter().map(|letter| Sshfp::sha256_of(4, &[*letter; 32])).collect();
        let intent = Intent::Publish { ttl: None, prune: false };
        Target::host(&HostName::parse(name).unwrap(), None, records, intent).unwrap()
    }

    #[test]
    fn what_is_shared_is_told_once_for_a_group() {
        assert!(warnings(&[host("a.test", &[1, 2]), host("b.test", &[3])]).is_empty());
        let two = warnings(&[host("a.test", &[1, 2]), host("b.test", &[2, 1]), host("c.test", &[3])]);
        assert_eq!(two.len(), 1);
        assert!(two[0].starts_with("a.test, b.test have the same host key"), "{two:?}");
        let many: Vec<_> = (0..9).map(|at| host(&format!("h{at}.test"), &[7])).collect();
        assert!(warnings(&many)[0].starts_with("h0.test, h1.test, h2.test and 6 more have"));
        let pairs: Vec<_> = (0..20).map(|at| host(&format!("h{at}.test"), &[at / 2])).collect();
        assert_eq!(warnings(&pairs).len(), MOST_WARNINGS + 1);
    }
}
