//! The proof for one host: does it hold, for how long could it be replayed, what is weak in it.

use super::{Finding, Severity};
use crate::proto::chain::{Answer, Dnskey, Proven, Zone};
use crate::proto::denial::{Status, Unproven};
use crate::proto::moment;
use crate::proto::name::{HostName, Name};
use crate::proto::rr::{RrSet, RrType, Rrsig};
use crate::proto::sshfp::{self, Sshfp};
use crate::proto::verdict::{hint_for, status_code};

const DAY: u64 = 86_400;
/// A withdrawn key that can be replayed for longer than this, in seconds, is worth a warning.
const LONG_REPLAY: u64 = 7 * DAY;
/// A TTL above this, in seconds, keeps withdrawn records in caches for too long.
const LONG_TTL: u32 = 86_400;
/// RSA zone keys below this, in bits, are weak (RFC 8624 leaves it to NIST SP 800-57, which says 2048).
const MIN_RSA_BITS: usize = 2048;

/// Judges at `now` (seconds since 1970) what was proven for `host`: at its own name, and under its port label.
pub fn judge(
    now: u64,
    host: &HostName,
    host_keys: &Result<Answer, Unproven>,
    port_keys: &Result<Answer, Unproven>,
) -> Vec<Finding> {
    let proven: Vec<&Answer> = [host_keys, port_keys].into_iter().flatten().collect();
    let mut findings = Vec::new();
    match (host_keys, port_keys) {
        (Err(unproven), Err(_)) => findings.push(failure(host, unproven)),
        (Ok(_), Err(unproven)) => findings.extend(beside("port-label", host, unproven)),
        (Err(unproven), Ok(_)) => findings.extend(beside("chain", host, unproven)),
        (Ok(_), Ok(_)) => {}
    }
    for answer in &proven {
        findings.extend(of_answer(now, answer));
    }
    if !proven.is_empty() {
        findings.push(fingerprints(host, &records(&proven)));
    }
    findings.into_iter().map(|finding| finding.of(host)).collect()
}

/// Judges at `now`, in seconds since 1970, one proof that holds: the way, how long it can be replayed, what is weak in it.
pub(in crate::proto) fn of_answer(now: u64, answer: &Answer) -> [Finding; 5] {
    [chain(answer), replay(now, answer.data()), ends(now, answer), ttl(answer), zone_keys(answer)]
}

/// The usable SSHFP records that are proven for a host; none if no set is.
pub fn records_of(
    host_keys: &Result<Answer, Unproven>,
    port_keys: &Result<Answer, Unproven>,
) -> Option<Vec<Sshfp>> {
    let proven: Vec<&Answer> = [host_keys, port_keys].into_iter().flatten().collect();
    (!proven.is_empty()).then(|| records(&proven).into_iter().filter(Sshfp::is_usable).collect())
}

fn records(proven: &[&Answer]) -> Vec<Sshfp> {
    let rdatas = proven.iter().flat_map(|answer| answer.data().set().rdatas());
    rdatas.filter_map(|rdata| Sshfp::from_rdata(rdata).ok()).collect()
}

fn failure(host: &HostName, unproven: &Unproven) -> Finding {
    let message = format!("nothing vouches for {host} ({}): {unproven}", status_code(unproven));
    Finding::error("chain", host, message).remedy(hint_for(host.name(), unproven))
}

/// One of the two places is proven. Most hosts have nothing at the other; more than a plain absence is worth
/// telling.
fn beside(check: &'static str, host: &HostName, unproven: &Unproven) -> Option<Finding> {
    let place = match check {
        "port-label" => "for this port alone",
        _ => "for every port",
    };
    let message = format!("what is published {place} is not proven: {unproven}");
    let remedy = hint_for(host.name(), unproven);
    (unproven.status != Status::Absent).then(|| Finding::info(check, host, message).remedy(remedy))
}

fn chain(answer: &Answer) -> Finding {
    let (set, rrsig) = (answer.data().set(), answer.data().rrsig());
    let mut zones: Vec<String> = answer.data().zones().map(|zone| zone.name().to_string()).collect();
    zones.reverse();
    let way: Vec<String> = answer.aliases().iter().map(|alias| alias.set().owner().to_string()).collect();
    let by_way =
        if way.is_empty() { String::new() } else { format!(" (by way of the alias {})", way.join(", ")) };
    let message = format!(
        "proven from {}{by_way}, signed by key {} (algorithm {})",
        zones.join(" -> "),
        rrsig.key_tag,
        rrsig.algorithm
    );
    Finding::ok("chain", about(set), message)
}

fn about(set: &RrSet) -> String {
    format!("{} {}", set.owner(), set.rtype())
}

/// Seconds until `rrsig` ends and how long it holds in all; it holds at `now`, in seconds since 1970.
fn time_left(now: u64, rrsig: &Rrsig) -> (u64, u64) {
    let left = rrsig.expiration.wrapping_sub(now as u32);
    (u64::from(left), u64::from(rrsig.expiration.wrapping_sub(rrsig.inception)))
}

/// A record that is withdrawn now can be replayed until its signature expires, whatever its TTL.
fn replay(now: u64, data: &Proven) -> Finding {
    let (left, life) = time_left(now, data.rrsig());
    let (until, zone) = (now.saturating_add(left), data.zone().name());
    let message = format!(
        "a key that is withdrawn now can be replayed until {} ({})",
        moment::text(until),
        moment::span(left)
    );
    let finding = match left > LONG_REPLAY {
        true => Finding::warning("replay-window", about(data.set()), message).remedy(format!(
            "have {zone} signed for days (now: {}): BIND's dnssec-policy signatures-validity 7d, Knot's rrsig-lifetime: 7d",
            moment::span(life)
        )),
        false => Finding::ok("replay-window", about(data.set()), message),
    };
    finding.until(until)
}

/// Every set that the proof rests on.
fn links(answer: &Answer) -> Vec<(&RrSet, &Rrsig, &Name)> {
    let mut links: Vec<(&RrSet, &Rrsig, &Name)> = Vec::new();
    let proven = answer.aliases().iter().chain([answer.data()]);
    for proven in proven {
        links.push((proven.set(), proven.rrsig(), proven.zone().name()));
        for zone in proven.zones() {
            let (set, rrsig) = zone.keys();
            links.push((set, rrsig, zone.name()));
            links.extend(zone.ds().map(|ds| (ds.set(), ds.rrsig(), ds.zone().name())));
        }
    }
    links
}

/// Signers renew well before the end. One that signs for a day or less signs at each question: there only the
/// last quarter tells of trouble.
pub(super) fn ends(now: u64, answer: &Answer) -> Finding {
    let links = links(answer);
    let mut soon: Vec<(u64, &RrSet, &Name)> = Vec::new();
    for (set, rrsig, zone) in &links {
        let (left, life) = time_left(now, rrsig);
        if left < life / 4 || (left < DAY && life >= 2 * DAY) {
            soon.push((left, set, zone));
        }
    }
    let first = links.iter().map(|(_, rrsig, _)| time_left(now, rrsig).0).min().unwrap_or(0);
    match soon.into_iter().min_by_key(|(left, ..)| *left) {
        Some((left, set, zone)) => {
            let until = moment::text(now.saturating_add(left));
            let message = format!(
                "the signature of {zone} ends in {}, at {until}, and has not been renewed",
                moment::span(left)
            );
            Finding::warning("signature-end", about(set), message).remedy(format!(
                "see that {zone}'s signer runs (BIND: rndc dnssec -status {zone}; Knot: keymgr {zone} list)"
            ))
        }
        None => {
            let message = format!("every signature of the chain holds for {} or more", moment::span(first));
            Finding::ok("signature-end", about(answer.data().set()), message)
        }
    }
}

fn ttl(answer: &Answer) -> Finding {
    let (set, rrsig) = (answer.data().set(), answer.data().rrsig());
    let ttl = rrsig.original_ttl;
    let message = format!("resolvers may keep the records for {}", moment::span(u64::from(ttl)));
    match ttl > LONG_TTL {
        true => {
            Finding::warning("ttl", about(set), format!("{message}: a changed key is seen as late as that"))
                .remedy(format!("sshanchor publish --name {} --ttl 3600 ...", set.owner()))
        }
        false => Finding::ok("ttl", about(set), message),
    }
}

/// RSA keys of the zones that are too short. Whoever breaks one speaks for all that is below.
fn zone_keys(answer: &Answer) -> Finding {
    let mut weak: Vec<String> = Vec::new();
    let zones = answer.aliases().iter().chain([answer.data()]).flat_map(Proven::zones);
    for zone in zones {
        let keys = zone.keys().0.rdatas().filter_map(Dnskey::from_rdata).filter(Dnskey::is_zone_key);
        for key in keys {
            if let Some(bits) = key.rsa_bits().filter(|bits| *bits < MIN_RSA_BITS) {
                let told = format!("{} key {} of {bits} bits", zone.name(), key.tag());
                if !weak.contains(&told) {
                    weak.push(told);
                }
            }
        }
    }
    let about = about(answer.data().set());
    if weak.is_empty() {
        return Finding::ok(
            "zone-keys",
            about,
            format!("no zone of the chain has a weak key ({})", algorithms(answer)),
        );
    }
    Finding::warning("zone-keys", about, format!("RSA keys that are too short: {}", weak.join(", ")))
        .remedy("have the zone roll to ECDSA P-256 (algorithm 13) or RSA of 2048 bits; or trust your own zone's key alone: --trust-anchor FILE")
}

/// The zones and the algorithms of the signatures over their keys, from the top down.
fn algorithms(answer: &Answer) -> String {
    let told = |zone: &Zone| format!("{}: {}", zone.name(), zone.keys().1.algorithm);
    let mut all: Vec<String> = answer.data().zones().map(told).collect();
    all.reverse();
    format!("algorithms {}", all.join(", "))
}

fn fingerprints(host: &HostName, records: &[Sshfp]) -> Finding {
    let usable: Vec<String> = records.iter().filter(|r| r.is_usable()).map(Sshfp::fingerprint_text).collect();
    let publish = format!("sshanchor publish --name {host} ...");
    if usable.is_empty() {
        let message = "none of the records is SHA-256 of a known key type: they prove nothing";
        return Finding::error("fingerprints", about_sshfp(host), message)
            .remedy(format!("publish SHA-256 records: {publish}"));
    }
    let sha1 = records.iter().filter(|record| record.fingerprint_type() == sshfp::SHA1).count();
    let severity = if sha1 == 0 { Severity::Ok } else { Severity::Info };
    let mut message = format!("{} proven: {}", count(usable.len(), "key"), usable.join(", "));
    if sha1 > 0 {
        message +=
            &format!("; {} of SHA-1 beside them, which stock ssh clients may believe", count(sha1, "record"));
    }
    let finding = Finding::new(severity, "fingerprints", about_sshfp(host), message);
    if sha1 > 0 { finding.remedy(format!("take the SHA-1 records out: {publish} --prune")) } else { finding }
}

fn about_sshfp(host: &HostName) -> String {
    format!("{host} {}", RrType::SSHFP)
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests;
