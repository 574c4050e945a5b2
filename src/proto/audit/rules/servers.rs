//! The servers of a zone: does each answer, and have the records that are proven?

use std::collections::BTreeSet;

use super::{Found, finding};
use crate::proto::audit::facts::{HostFacts, Proof, ServerFact, ZoneFacts};
use crate::proto::audit::report::{Finding, Severity};
use crate::proto::denial::Status;
use crate::proto::sshfp::SshfpSet;

/// What each server of the host's zone has, by what is proven: whether it agrees; none where it gave no answer. Where
/// nothing is proven the server with the newest serial number is the measure.
pub(in crate::proto::audit) fn agreement(facts: &HostFacts) -> Vec<Option<bool>> {
    let Some(proof) = &facts.proof else { return vec![None; facts.servers.len()] };
    let wanted: Vec<Option<SshfpSet>> = proof
        .sets
        .iter()
        .enumerate()
        .map(|(at, set)| match set.status {
            Status::Secure | Status::Absent => Some(set.records.clone()),
            _ => newest(&facts.servers, at).cloned(),
        })
        .collect();
    let agrees = |server: &ServerFact| {
        let mut pairs = server
            .shows
            .iter()
            .zip(&wanted)
            .filter_map(|(shows, wanted)| Some(shows.as_ref()? == wanted.as_ref()?));
        let first = pairs.next()?;
        Some(first && pairs.all(|agrees| agrees))
    };
    facts.servers.iter().map(agrees).collect()
}

/// What the server with the newest serial number has at this owner (RFC 1982: numbers go round).
fn newest(servers: &[ServerFact], at: usize) -> Option<&SshfpSet> {
    let mut best: Option<(&ServerFact, &SshfpSet)> = None;
    for server in servers {
        let (Some(serial), Some(Some(shows))) = (server.serial, server.shows.get(at)) else { continue };
        let is_newer = |than: u32| (serial.wrapping_sub(than) as i32) > 0;
        if best.is_none_or(|(other, _)| other.serial.is_none_or(is_newer)) {
            best = Some((server, shows));
        }
    }
    best.map(|(_, shows)| shows)
}

pub(in crate::proto::audit) fn judge(facts: &HostFacts, found: &mut Found) {
    let Some(Proof { zone, .. }) = &facts.proof else { return };
    for (server, agrees) in facts.servers.iter().zip(agreement(facts)) {
        if agrees != Some(false) {
            continue;
        }
        let count: usize = server.shows.iter().flatten().map(SshfpSet::len).sum();
        let serial = server.serial.map(|serial| format!(", serial {serial}")).unwrap_or_default();
        let zone = zone.as_ref().map_or_else(|| "the zone".to_owned(), ToString::to_string);
        let message = format!(
            "{} has other records of {} than the rest of DNS ({count} records{serial})",
            server.label(),
            facts.host
        );
        let hint = format!(
            "see that it is notified and may transfer {zone}: its log, and the primary's (also-notify, allow-transfer; Knot: \
             notify, acl)"
        );
        found.add(Severity::Warning, "server-differs", &server.address, message, hint);
    }
}

/// The servers of one zone, each once.
pub(in crate::proto::audit) fn of_zone(zone: &ZoneFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = &zone.zone;
    for server in &zone.servers {
        if let Err(why) = &server.serial {
            let subject = format!("{name} {}", server.label());
            let message = format!("{}, a server of {name}, gives no answer about it: {why}", server.label());
            let hint = format!(
                "is it up, and does it serve {name}? whoever asks it waits; else take it out of the NS records"
            );
            findings.push(finding(Severity::Warning, "dead-server", subject, message, hint));
        }
    }
    let serials: BTreeSet<u32> =
        zone.servers.iter().filter_map(|server| server.serial.clone().ok()).collect();
    if serials.len() > 1 {
        let told = zone
            .servers
            .iter()
            .filter_map(|server| Some(format!("{} has {}", server.label(), server.serial.as_ref().ok()?)));
        let told: Vec<String> = told.collect();
        let message = format!(
            "the servers of {name} have different serial numbers: {}",
            super::some(told.iter().map(String::as_str), told.len())
        );
        let hint = "it passes by itself where a change is under way, and stays where each server signs for itself; else see that the one \
                    behind is notified and may transfer the zone";
        findings.push(finding(Severity::Info, "serial-differs", name, message, hint.to_owned()));
    }
    findings
}
