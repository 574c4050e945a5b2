//! What is true of several hosts together: keys that they share, CA sets that reach too far, records of nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use data_encoding::{BASE64_NOPAD, HEXLOWER};

use super::{finding, some};
use crate::proto::audit::facts::OwnRecords;
use crate::proto::audit::report::{Finding, Severity};
use crate::proto::name::Name;
use crate::proto::sshfp::Sshfp;

/// What the rules about several hosts need of one.
#[derive(Debug, Clone, Default)]
pub(in crate::proto::audit) struct Traits {
    /// Host and port, for people.
    pub(in crate::proto::audit) place: String,
    /// The name alone.
    pub(in crate::proto::audit) name: String,
    /// Where its aliases lead; itself where there are none.
    pub(in crate::proto::audit) canonical: String,
    /// The address that answered.
    pub(in crate::proto::audit) address: Option<IpAddr>,
    /// SHA-256 of the keys that it shows.
    pub(in crate::proto::audit) keys: Vec<[u8; 32]>,
    /// CA sets that count for it: X of `_ca._ssh.X`, and the records.
    pub(in crate::proto::audit) cas: Vec<(Name, Vec<Sshfp>)>,
    /// SHA-256 of the CAs whose certificates it shows.
    pub(in crate::proto::audit) certified_by: Vec<[u8; 32]>,
    /// Its certificates may not be all known.
    pub(in crate::proto::audit) is_partial: bool,
}

/// Keys that several hosts show: the finding of each host, by its place in `all`.
pub(in crate::proto::audit) fn shared_keys(all: &[Traits]) -> Vec<(usize, Finding)> {
    let mut holders: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (at, traits) in all.iter().enumerate() {
        for key in &traits.keys {
            holders.entry(*key).or_default().push(at);
        }
    }
    let mut findings: Vec<(usize, Finding)> = Vec::new();
    let mut is_told: BTreeSet<(usize, String)> = BTreeSet::new();
    for (key, holders) in holders {
        let machine = machines(all, &holders);
        let mut names: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        for (at, machine) in &machine {
            names.entry(*machine).or_default().extend(all.get(*at).map(|traits| traits.name.as_str()));
        }
        let distinct: BTreeSet<&str> = names.values().flatten().copied().collect();
        if distinct.len() < 2 {
            continue;
        }
        for at in holders {
            let (Some(traits), Some(mine)) = (all.get(at), machine.get(&at)) else { continue };
            let finding = if names.len() > 1 {
                let here = names.get(mine).map_or(0, BTreeSet::len);
                let others =
                    names.iter().filter(|(other, _)| *other != mine).flat_map(|(_, names)| names.iter());
                cloned(traits, &key, &some(others.copied(), distinct.len().saturating_sub(here)))
            } else {
                let others = distinct.iter().filter(|name| **name != traits.name);
                let message = format!(
                    "{} is the same machine as {}",
                    traits.place,
                    some(others.copied(), distinct.len() - 1)
                );
                let machine = traits.address.map_or_else(|| traits.canonical.clone(), |ip| ip.to_string());
                finding(Severity::Info, "same-machine", machine, message, None)
            };
            if is_told.insert((at, format!("{} {}", finding.code, finding.subject))) {
                findings.push((at, finding));
            }
        }
    }
    findings
}

fn cloned(traits: &Traits, key: &[u8; 32], others: &str) -> Finding {
    let message = format!(
        "{} holds the key SHA256:{} and so does {others}: whoever has one of these machines passes for all",
        traits.place,
        BASE64_NOPAD.encode(key),
    );
    let hint = "were they cloned from one image? Make new keys on each: rm /etc/ssh/ssh_host_*_key*; ssh-keygen -A; then \
                sshanchor publish";
    finding(Severity::Warning, "shared-key", HEXLOWER.encode(key), message, hint.to_owned())
}

/// Which of the holders are one machine, as far as can be told: they have one name behind their aliases, or one address.
fn machines(all: &[Traits], holders: &[usize]) -> BTreeMap<usize, usize> {
    let mut machine: BTreeMap<usize, usize> = holders.iter().map(|at| (*at, *at)).collect();
    let (mut by_name, mut by_address) = (BTreeMap::<&str, usize>::new(), BTreeMap::<IpAddr, usize>::new());
    for at in holders {
        let Some(traits) = all.get(*at) else { continue };
        let known = [
            Some(*by_name.entry(&traits.canonical).or_insert(*at)),
            traits.address.map(|address| *by_address.entry(address).or_insert(*at)),
        ];
        for other in known.into_iter().flatten() {
            let (a, b) = (root(&machine, *at), root(&machine, other));
            machine.insert(a.max(b), a.min(b));
        }
    }
    holders.iter().map(|at| (*at, root(&machine, *at))).collect()
}

fn root(machine: &BTreeMap<usize, usize>, mut at: usize) -> usize {
    while let Some(up) = machine.get(&at).filter(|up| **up < at) {
        at = *up;
    }
    at
}

/// CA sets that reach further than their use: every CA is held against the audited hosts that it may vouch for and those
/// that show its certificates.
pub(in crate::proto::audit) fn cas(all: &[Traits]) -> Vec<Finding> {
    let mut reach: BTreeMap<(&Name, &Sshfp), Vec<&Traits>> = BTreeMap::new();
    for traits in all {
        for (at, records) in &traits.cas {
            for record in records {
                reach.entry((at, record)).or_default().push(traits);
            }
        }
    }
    let mut findings = Vec::new();
    for ((at, record), reached) in reach {
        let uses = |traits: &&&Traits| traits.certified_by.iter().any(|ca| *record.fingerprint() == *ca);
        let users: Vec<&&Traits> = reached.iter().filter(uses).collect();
        let subject = format!("_ca._ssh.{at} {record}");
        let ca = record.fingerprint_text();
        if users.is_empty() {
            // Who could not be seen may be the one who needs it.
            if reached.iter().all(|traits| !traits.is_partial) {
                let message = format!(
                    "the CA {ca} at {at} may vouch for all {} audited hosts there, and none shows a certificate of it",
                    reached.len()
                );
                let hint = format!(
                    "if nobody else needs it: sshanchor ca withdraw --at {at} ...; it could sign for any of them"
                );
                findings.push(finding(Severity::Info, "ca-unused", subject, message, hint));
            }
            continue;
        }
        let Some(narrow) = common(users.iter().map(|traits| traits.name.as_str())) else { continue };
        let is_outside =
            |traits: &&&Traits| Name::from_text(&traits.name).is_ok_and(|name| !name.is_at_or_below(&narrow));
        let outside: Vec<String> = reached
            .iter()
            .filter(is_outside)
            .map(|traits| traits.name.clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if narrow != *at && narrow.is_at_or_below(at) && !outside.is_empty() {
            let message = format!(
                "the CA {ca} at {at} may vouch for {} audited hosts, and only those below {narrow} show its certificates: it could \
                 sign for {} as well",
                reached.len(),
                some(outside.iter().map(String::as_str), outside.len())
            );
            let hint = format!(
                "publish it where it is needed: sshanchor ca publish --at {narrow} ..., then sshanchor ca withdraw --at {at} ..."
            );
            findings.push(finding(Severity::Warning, "ca-wide", subject, message, hint));
        }
    }
    findings
}

/// The closest name above all of these hosts.
fn common<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<Name> {
    let above = |name: &str| Name::from_text(name).ok()?.parent();
    let mut common = above(names.next()?)?;
    for name in names {
        let name = Name::from_text(name).ok()?;
        // The set at a host's own name is none for that host.
        while !name.parent()?.is_at_or_below(&common) {
            common = common.parent()?;
        }
    }
    Some(common)
}

/// Records that this machine has published and that nobody holds.
pub(in crate::proto::audit) fn orphans(own: &[OwnRecords]) -> Vec<Finding> {
    let orphan = |own: &OwnRecords| {
        let count = own.records.len();
        let message = own.message.clone().unwrap_or_else(|| {
            format!(
                "this machine has published {count} {} at {} whose keys no audited host shows",
                if count == 1 { "record" } else { "records" },
                own.owner
            )
        });
        let hint = match own.message {
            Some(_) => {
                "if that is right: sshanchor withdraw --orphans; else put the name back into [publish]"
                    .to_owned()
            }
            None => format!(
                "if the host is gone: sshanchor withdraw --name {} --server PRIMARY --key-file KEY; else audit it as well",
                own.owner
            ),
        };
        finding(Severity::Warning, "orphan", &own.owner, message, hint)
    };
    own.iter().filter(|own| !own.records.is_empty()).map(orphan).collect()
}
