//! From facts to a report: each host as soon as it is known, so that what was gathered need not be kept; then all of them
//! together.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;

use super::facts::{HostFacts, Live, OwnRecords, Proof, PublishedSet, ZoneFacts, ZoneServer};
use super::report::{Finding, HostCertificate, HostReport, Key, Record, Report, Server, ZoneReport};
use super::rules::fleet::{self, Traits};
use super::rules::{Found, Shared, certificates, keys, outcome, proof, servers};
use crate::proto::certificate::{Certificate, FOREVER};
use crate::proto::chain::Answer;
use crate::proto::denial::Status;
use crate::proto::hostkey::HostKey;
use crate::proto::known_hosts::Marker;
use crate::proto::rr::{RrType, presentation};
use crate::proto::sshfp::Sshfp;
use crate::proto::verdict::{Published, published};

/// A host that was judged by itself.
#[derive(Debug)]
pub struct Judged {
    report: HostReport,
    traits: Traits,
    shared: Vec<Shared>,
}

impl Judged {
    /// What is said of it so far.
    pub fn report(&self) -> &HostReport {
        &self.report
    }

    /// SHA-256 of the keys that it shows.
    pub fn keys(&self) -> impl Iterator<Item = [u8; 32]> {
        self.traits.keys.iter().copied()
    }
}

/// Judges one host at `now`, in seconds since 1970.
pub fn judge(now: u64, facts: &HostFacts) -> Judged {
    let mut found = Found::default();
    outcome::judge(facts, &mut found);
    if let Some(of_host) = &facts.proof {
        proof::judge(now, of_host, &mut found);
    }
    keys::judge(now, facts, &mut found);
    certificates::judge(now, facts, &mut found);
    servers::judge(facts, &mut found);
    let Found { findings, shared } = found;
    Judged { report: told(now, facts, findings), traits: traits(now, facts), shared }
}

/// All hosts together, in the order in which they were named.
pub fn fleet(now: u64, hosts: Vec<Judged>, zones: &[ZoneFacts], own: &[OwnRecords]) -> Report {
    let (mut reports, mut all, mut shared) = (Vec::new(), Vec::new(), Vec::new());
    for host in hosts {
        reports.push(host.report);
        all.push(host.traits);
        shared.extend(host.shared);
    }
    for (at, finding) in fleet::shared_keys(&all) {
        if let Some(report) = reports.get_mut(at) {
            report.findings.push(finding);
        }
    }
    let mut findings = once(shared);
    findings.extend(fleet::cas(&all));
    findings.extend(zones.iter().flat_map(servers::of_zone));
    findings.extend(fleet::orphans(own));
    gravest_first(&mut findings);
    reports.iter_mut().for_each(|report| gravest_first(&mut report.findings));
    let zones = zones.iter().map(|zone| of_zone(zone, &reports)).collect();
    Report::new(now, reports, zones, findings)
}

fn gravest_first(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (b.severity, &a.code, &a.subject).cmp(&(a.severity, &b.code, &b.subject)));
}

/// Each about one subject once: the gravest, of those the heaviest, and how many hosts say so.
fn once(shared: Vec<Shared>) -> Vec<Finding> {
    let mut kept: BTreeMap<(String, String), (Shared, usize)> = BTreeMap::new();
    for one in shared {
        let key = (one.finding.code.clone(), one.finding.subject.clone());
        match kept.get_mut(&key) {
            None => {
                kept.insert(key, (one, 1));
            }
            Some((best, hosts)) => {
                *hosts += 1;
                if (one.finding.severity, one.weight) > (best.finding.severity, best.weight) {
                    *best = one;
                }
            }
        }
    }
    let told = |(Shared { mut finding, .. }, hosts): (Shared, usize)| {
        if hosts > 1 {
            finding.message = format!("{} ({hosts} hosts)", finding.message);
        }
        finding
    };
    kept.into_values().map(told).collect()
}

fn of_zone(zone: &ZoneFacts, reports: &[HostReport]) -> ZoneReport {
    let name = zone.zone.to_string();
    let here: Vec<&HostReport> = reports.iter().filter(|r| r.zone.as_deref() == Some(&name)).collect();
    let server = |server: &ZoneServer| {
        let address = server.address.clone().unwrap_or_default();
        let of_hosts = here.iter().flat_map(|report| &report.servers);
        let mut seen = of_hosts.filter(|s| s.address == address).filter_map(|s| s.agrees).peekable();
        Server {
            name: server.name.clone(),
            serial: server.serial.clone().ok(),
            agrees: seen.peek().is_some().then(|| seen.all(|agrees| agrees)),
            address,
        }
    };
    ZoneReport { hosts: here.len(), servers: zone.servers.iter().map(server).collect(), zone: name }
}

/// The proven sets of the host's own keys that count.
fn counting(now: u64, proof: &Proof) -> Vec<Published> {
    published(&proof.evidence, &proof.policy, now).unwrap_or_default()
}

fn told(now: u64, facts: &HostFacts, findings: Vec<Finding>) -> HostReport {
    let proof = facts.proof.as_ref();
    let status = match proof {
        // The set at its own name comes first, and speaks for it unless another is proven.
        Some(proof) if proof.sets.iter().any(|set| set.status == Status::Secure) => Status::Secure,
        Some(proof) => proof.sets.first().map_or(Status::Indeterminate, |set| set.status),
        None => Status::Indeterminate,
    };
    let answers: Vec<&Answer> =
        proof.into_iter().flat_map(|p| p.evidence.proven().map(|(answer, _)| answer)).collect();
    let sets = proof.map(|proof| counting(now, proof)).unwrap_or_default();
    let live = facts.live.as_ref();
    let address = live.and_then(|live| live.address);
    HostReport {
        host: facts.host.clone(),
        port: facts.port,
        verdict: facts.outcome.verdict.map(str::to_owned),
        reason: facts.outcome.reason.map(str::to_owned),
        message: facts.outcome.message.clone(),
        status: status.to_string(),
        zone: proof.and_then(|proof| proof.zone.as_ref()).map(ToString::to_string),
        valid_until: answers.iter().map(|answer| answer.valid_until()).min(),
        signed_until: answers.iter().map(|answer| answer.expires()).min(),
        ttl: sets.iter().map(|set| set.ttl).min(),
        address: address.map(|address| address.to_string()),
        server_version: live.and_then(|live| live.server_version.clone()),
        kex: live.and_then(|live| live.kex.clone()),
        records: proof.map(records).unwrap_or_default(),
        keys: held(facts),
        certificates: shown(now, facts),
        servers: facts
            .servers
            .iter()
            .zip(servers::agreement(facts))
            .map(|(server, agrees)| Server {
                name: server.name.clone(),
                address: server.address.clone(),
                serial: server.serial,
                agrees,
            })
            .collect(),
        findings,
    }
}

fn records(proof: &Proof) -> Vec<Record> {
    let of_set = |set: &PublishedSet| {
        let (owner, proven) = (set.owner.to_string(), set.status == Status::Secure);
        let record = |record: &Sshfp| Record {
            owner: owner.clone(),
            rdata: presentation(RrType::SSHFP, &record.rdata()),
            proven,
        };
        set.records.iter().map(record).collect::<Vec<_>>()
    };
    proof.sets.iter().flat_map(of_set).collect()
}

/// Every key of the host, wherever it was seen.
fn held(facts: &HostFacts) -> Vec<Key> {
    let proven = facts.proof.as_ref().and_then(keys::proven).unwrap_or_default();
    let mut all: Vec<(&HostKey, Vec<String>)> = Vec::new();
    let mut see = |key, place: &str| match all.iter_mut().find(|(other, _)| *other == key) {
        Some((_, seen)) if seen.iter().any(|s| s == place) => {}
        Some((_, seen)) => seen.push(place.to_owned()),
        None => all.push((key, vec![place.to_owned()])),
    };
    if let Some(live) = &facts.live {
        live.keys.iter().for_each(|key| see(key, "live"));
        live.certificates.iter().for_each(|certificate| see(certificate.key(), "live"));
    }
    facts.disk.iter().flatten().for_each(|key| see(key, "disk"));
    for entry in facts.remembered.iter().flat_map(|file| &file.entries).filter(|e| e.marker == Marker::Plain)
    {
        if let Ok(key) = &entry.key {
            see(key, "known_hosts");
        }
    }
    let told = |(key, seen): (&HostKey, Vec<String>)| Key {
        key_type: key.key_type().name().to_owned(),
        sha256: HEXLOWER.encode(&key.sha256()),
        bits: key.rsa_bits(),
        seen,
        published: proven.iter().any(|record| record.matches(key)),
    };
    all.into_iter().map(told).collect()
}

fn shown(now: u64, facts: &HostFacts) -> Vec<HostCertificate> {
    let certificates = facts.live.iter().flat_map(|live| &live.certificates);
    let told = |certificate: &Certificate| {
        let good = facts.proof.as_ref().is_some_and(|proof| {
            let is_proven = certificate.ca().is_some_and(|ca| certificates::is_proven(now, proof, ca));
            is_proven && certificate.check(proof.evidence.host(), now).is_ok()
        });
        HostCertificate {
            key_sha256: HEXLOWER.encode(&certificate.key().sha256()),
            ca_sha256: certificate.ca().map(|ca| HEXLOWER.encode(&ca.sha256())),
            serial: certificate.serial(),
            valid_from: Some(certificate.valid_after()),
            valid_until: Some(certificate.valid_before()).filter(|until| *until != FOREVER),
            good,
        }
    };
    certificates.map(told).collect()
}

fn traits(now: u64, facts: &HostFacts) -> Traits {
    let nothing = Live::default();
    let live = facts.live.as_ref().unwrap_or(&nothing);
    let certified = live.certificates.iter().map(Certificate::key);
    let keys: BTreeSet<[u8; 32]> = live.keys.iter().chain(certified).map(HostKey::sha256).collect();
    let sets = facts.proof.iter().flat_map(|proof| proof.evidence.ca_sets(&proof.policy, now));
    let cas = sets.filter_map(|set| Some((set.answer.asked().name.parent()?.parent()?, set.keys)));
    // The first proven set that an alias led to.
    let owner = facts.proof.as_ref().and_then(|proof| {
        let (answer, _) = proof.evidence.proven().next()?;
        (!answer.aliases().is_empty()).then(|| answer.data().set().owner().to_string())
    });
    Traits {
        // Port 22 goes without saying.
        place: match facts.port {
            22 => facts.host.clone(),
            port => HostReport::place_of(&facts.host, port),
        },
        canonical: owner.unwrap_or_else(|| facts.host.clone()),
        name: facts.host.clone(),
        address: live.address,
        keys: keys.into_iter().collect(),
        cas: cas.collect(),
        certified_by: live.certificates.iter().filter_map(|c| Some(c.ca()?.sha256())).collect(),
        is_partial: facts.live.is_none() || live.failure.is_some(),
    }
}
