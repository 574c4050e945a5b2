//! Names that get their address from a wildcard. As soon as any record stands at or below such a name, the wildcard is no
//! longer asked about it (RFC 4592 section 2.2): its keys would be published, and it could not be reached any more.

use std::collections::{BTreeMap, BTreeSet};

use super::site::Site;
use crate::fan_out::in_order;
use crate::proto::name::Name;
use crate::proto::rr::RrType;

/// How many questions are open at a time.
const WIDTH: usize = 32;

/// Those of `hosts`, all in `zone`, that have their address from a wildcard, and from which. What cannot be asked, or gives
/// no answer, is none: what comes next tells of it.
pub async fn shadowed(site: &Site, zone: &Name, hosts: &[&Name]) -> BTreeMap<Name, Name> {
    if !matches!(site, Site::Rfc2136 { .. } | Site::PowerDns(_)) {
        return BTreeMap::new();
    }
    // Of hosts that stand side by side one stands for all.
    let mut parents: Vec<Name> = Vec::new();
    for host in hosts {
        if parents.last().is_none_or(|last| !host.is_right_below(last)) {
            parents.extend(host.parent());
        }
    }
    let candidates: BTreeSet<Name> = parents.iter().flat_map(|parent| at_or_above(parent, zone)).collect();
    let candidates: Vec<Name> = candidates.into_iter().collect();
    let asked = in_order(candidates.clone(), WIDTH, |wildcard: Name| {
        let (site, zone) = (site.clone(), zone.clone());
        async move { is_there(&site, &zone, &wildcard).await }
    });
    let there = asked.await.unwrap_or_default();
    let wildcards: BTreeSet<Name> =
        candidates.into_iter().zip(there).filter(|(_, there)| *there).map(|(name, _)| name).collect();
    if wildcards.is_empty() {
        return BTreeMap::new();
    }
    // The closest one is the one that answers, if any does.
    let pairs: Vec<(Name, Name)> = (hosts.iter())
        .filter_map(|host| Some(((*host).clone(), above(host, zone).find(|name| wildcards.contains(name))?)))
        .collect();
    let found = in_order(pairs, WIDTH, |(host, wildcard): (Name, Name)| {
        let (site, zone) = (site.clone(), zone.clone());
        async move { of(&site, &zone, &host, &wildcard).await.map(|wildcard| (host, wildcard)) }
    });
    found.await.unwrap_or_default().into_iter().flatten().collect()
}

/// The wildcards that could answer for `host`, the closest first.
fn above(host: &Name, zone: &Name) -> impl Iterator<Item = Name> {
    host.parent().into_iter().flat_map(move |parent| at_or_above(&parent, zone))
}

fn at_or_above(parent: &Name, zone: &Name) -> impl Iterator<Item = Name> + use<> {
    let zone = zone.clone();
    let parents = std::iter::successors(Some(parent.clone()), Name::parent);
    parents.take_while(move |name| name.is_at_or_below(&zone)).filter_map(|name| name.child(b"*").ok())
}

async fn is_there(site: &Site, zone: &Name, wildcard: &Name) -> bool {
    match site {
        Site::Rfc2136 { primary, .. } => primary.has_name(wildcard).await.unwrap_or(false),
        Site::PowerDns(access) => access.has_records(zone, wildcard).await.unwrap_or(false),
        Site::ZoneFile(_) | Site::Exec(_) => false,
    }
}

async fn of(site: &Site, zone: &Name, host: &Name, wildcard: &Name) -> Option<Name> {
    match site {
        Site::Rfc2136 { primary, .. } => {
            for rtype in [RrType::A, RrType::AAAA] {
                if let Ok(Some(found)) = primary.expanded(host, wildcard, rtype).await {
                    return Some(found);
                }
            }
            None
        }
        // The API shows what stands there, and nothing that is made up.
        Site::PowerDns(access) => {
            let stands = access.has_records(zone, host).await.unwrap_or(true);
            (!stands && host != zone).then(|| wildcard.clone())
        }
        Site::ZoneFile(_) | Site::Exec(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wildcards_above_a_host_end_at_its_zone() {
        let name = |text| Name::from_text(text).unwrap();
        let texts = |host, zone| above(&name(host), &name(zone)).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(texts("a.b.example.com", "example.com"), ["*.b.example.com", "*.example.com"]);
        assert!(texts("example.com", "example.com").is_empty());
    }
}
