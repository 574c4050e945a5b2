//! Live keys, keys on disk and records, held against each other.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;

use super::{Found, of_doctor};
use crate::proto::audit::facts::{HostFacts, Live, Proof, PublishedSet};
use crate::proto::audit::report::Severity;
use crate::proto::denial::Status;
use crate::proto::doctor::known_hosts;
use crate::proto::hostkey::{HostKey, KeyType, Presented};
use crate::proto::known_hosts::lookup_name;
use crate::proto::policy::{Mode, Policy, Require, Revocation};
use crate::proto::sshfp::{SHA1, SHA256, Sshfp};
use crate::proto::verdict::{Reason, Verdict, decide};

/// RSA keys below this, in bits, are weak (NIST SP 800-57); below the second they are so from 2031 on.
const RSA_BITS: (usize, usize) = (2048, 3072);
/// The algorithm number of DSA in SSHFP records (RFC 4255).
const DSA: u8 = 2;

/// Judges at `now`, in seconds since 1970.
pub(in crate::proto::audit) fn judge(now: u64, facts: &HostFacts, found: &mut Found) {
    let none = Live::default();
    let live = facts.live.as_ref().unwrap_or(&none);
    if let Some(proof) = &facts.proof {
        for key in held(live) {
            one(now, facts, proof, live, key, found);
        }
        // What another server holds is not known here.
        if live.failure.is_none() && (!live.keys.is_empty() || live.offers.is_some()) {
            stale(facts, proof, live, found);
        }
        records(proof, found);
        let proven = proven(proof);
        if let (Some(records), Ok(host)) = (&proven, crate::proto::name::HostName::parse(&facts.host)) {
            let name = lookup_name(&facts.host, facts.port);
            let judged = known_hosts::judge(&host, &name, Some(records), &facts.remembered, false);
            // Keys of types without records are no matter of DNS.
            let judged = judged.iter().filter(|finding| finding.check != "known-hosts");
            judged.filter_map(of_doctor).for_each(|finding| found.take(finding));
        }
    }
    disk(facts, live, found);
    let of_disk = facts.disk.iter().flatten();
    for key in held(live).into_iter().chain(of_disk) {
        weak(facts, key, found);
    }
    algorithms(facts, live, found);
}

/// Plain keys, shown as such or in a certificate, each once.
fn held(live: &Live) -> Vec<&HostKey> {
    let mut held: Vec<&HostKey> = live.keys.iter().collect();
    for certificate in &live.certificates {
        if !held.contains(&certificate.key()) {
            held.push(certificate.key());
        }
    }
    held
}

/// The usable records that are proven; none if no set is.
pub(in crate::proto::audit) fn proven(proof: &Proof) -> Option<Vec<Sshfp>> {
    let secure = |set: &&PublishedSet| set.status == Status::Secure;
    let mut sets = proof.sets.iter().filter(secure).peekable();
    sets.peek()?;
    Some(sets.flat_map(|set| &set.records).filter(|record| record.is_usable()).cloned().collect())
}

/// A key that the host shows, by what is proven of the host's own keys, and by what is revoked.
fn one(now: u64, facts: &HostFacts, proof: &Proof, live: &Live, key: &HostKey, found: &mut Found) {
    if proof.policy.mode == Mode::Pass {
        return;
    }
    let verdict = of_key(now, proof, key);
    let host = &facts.host;
    let digest = HEXLOWER.encode(&key.sha256());
    let missing = |found: &mut Found| {
        let message = format!("{host} shows {key}, of which there is no record");
        found.add(Severity::Warning, "missing-record", &digest, message, publish(facts));
    };
    match verdict {
        Verdict::Reject(reason @ Reason::Revoked { .. }) => {
            found.add(Severity::Error, "revoked", &digest, reason.to_string(), reason.hint());
        }
        // SSHFP does not tell curves apart: beside one that is proven this one just has none.
        Verdict::Reject(Reason::KeyMismatch { .. })
            if held(live).into_iter().any(|other| {
                let is_alike = other.key_type().sshfp_algorithm() == key.key_type().sshfp_algorithm();
                is_alike && other != key && matches!(of_key(now, proof, other), Verdict::Accept(_))
            }) =>
        {
            missing(found)
        }
        Verdict::Reject(reason @ Reason::KeyMismatch { .. }) => {
            found.add(Severity::Error, "key-mismatch", &digest, reason.to_string(), reason.hint());
        }
        Verdict::Reject(Reason::KeyTypeNotPublished { .. }) => missing(found),
        _ => {}
    }
}

/// The verdict on a plain key as such: what certificates it has, and which types policy takes, is another matter.
fn of_key(now: u64, proof: &Proof, key: &HostKey) -> Verdict {
    let policy = Policy {
        require: Require::Hostkey,
        algorithms: KeyType::ALL.to_vec(),
        revocation: Revocation::Ca,
        min_rsa_bits: 0,
        ..proof.policy.clone().of_key_alone()
    };
    decide(&proof.evidence, &Presented::Plain(key.clone()), None, &policy, now)
}

fn publish(facts: &HostFacts) -> String {
    format!(
        "if the key is its own, run on it: sshanchor publish --name {} --server PRIMARY --key-file KEY",
        facts.host
    )
}

/// Records of which the host holds no key.
fn stale(facts: &HostFacts, proof: &Proof, live: &Live, found: &mut Found) {
    let held: Vec<&HostKey> = held(live).into_iter().chain(facts.disk.iter().flatten()).collect();
    for record in proven(proof).unwrap_or_default() {
        let is_contradicted = |key: &&HostKey| key.key_type().sshfp_algorithm() == record.algorithm();
        if held.iter().any(|key| record.matches(key)) {
            continue;
        }
        let shows = match held.iter().any(is_contradicted) {
            true => "another key",
            false => "no key",
        };
        let message = format!(
            "{} has a record of {}, and shows {shows} of that algorithm",
            facts.host,
            record.fingerprint_text()
        );
        let host = &facts.host;
        let hint = match found.has("key-mismatch") {
            // Whose key it shows has to be found out first.
            true => format!(
                "key-mismatch comes first; once it is clear that the key shown is {host}'s own, this takes the record away: run \
                 on it sshanchor publish --name {host} --prune ..."
            ),
            false => format!(
                "whoever has the old key passes for it: run on it sshanchor publish --name {host} --prune ..., unless a \
                 rotation has just announced the key (sshanchor rotate --status)"
            ),
        };
        found.add(Severity::Warning, "stale-record", record.to_string(), message, hint);
    }
}

/// The records by themselves, as stock clients read them.
fn records(proof: &Proof, found: &mut Found) {
    for set in &proof.sets {
        let algorithms: BTreeSet<u8> = set.records.iter().map(Sshfp::algorithm).collect();
        for algorithm in algorithms {
            let of_type = |wanted: u8| {
                let is_wanted =
                    move |r: &&Sshfp| r.algorithm() == algorithm && r.fingerprint_type() == wanted;
                set.records.iter().filter(is_wanted).count()
            };
            let owner = &set.owner;
            let subject = format!("{owner} algorithm {algorithm}");
            if of_type(SHA256) > 1 {
                let message = format!(
                    "{owner} has {} records of algorithm {algorithm}: stock OpenSSH (VerifyHostKeyDNS) takes a key only if \
                     all of its algorithm match",
                    of_type(SHA256)
                );
                let hint = format!(
                    "leave one key of each algorithm: sshanchor publish --name {owner} --prune ...; sshanchor rotate has a way \
                     for stock clients (--help)"
                );
                found.add(Severity::Warning, "several-of-algorithm", &subject, message, hint);
            }
            if of_type(SHA1) > 0 {
                let (beside, why) = match of_type(SHA256) {
                    0 => ("has no SHA-256 record", "and is not published for anybody who asks for a proof"),
                    _ => (
                        "has SHA-1 records beside SHA-256",
                        "which prove nothing, and stock ssh clients may believe",
                    ),
                };
                let message = format!("{owner} {beside} of algorithm {algorithm}, {why}");
                let hint = format!("sshanchor publish --name {owner} --prune ... leaves SHA-256 alone");
                found.add(Severity::Info, "sha1-record", &subject, message, hint);
            }
            if algorithm == DSA {
                let message = format!("{owner} has a record of a DSA key, which no present client takes");
                let hint = format!("sshanchor publish --name {owner} --prune ...");
                found.add(Severity::Warning, "weak-algorithm", &subject, message, hint);
            }
        }
    }
}

/// Keys on this machine's disk that its server does not show.
fn disk(facts: &HostFacts, live: &Live, found: &mut Found) {
    if live.failure.is_some() || live.keys.is_empty() {
        return;
    }
    for key in facts.disk.iter().flatten().filter(|key| !held(live).contains(key)) {
        let message = format!("{} holds {key} on disk, and its server does not show it", facts.host);
        let hint = "was the key replaced and sshd not started again? systemctl reload ssh; or HostKeyAlgorithms of sshd_config \
                    hides it";
        found.add(
            Severity::Info,
            "key-not-offered",
            HEXLOWER.encode(&key.sha256()),
            message,
            hint.to_owned(),
        );
    }
}

fn weak(facts: &HostFacts, key: &HostKey, found: &mut Found) {
    let Some(bits) = key.rsa_bits().filter(|bits| *bits < RSA_BITS.1) else { return };
    let (severity, message) = match bits < RSA_BITS.0 {
        true => (Severity::Warning, format!("{} has an RSA key of {bits} bits: {key}", facts.host)),
        false => (
            Severity::Info,
            format!("{} has an RSA key of {bits} bits, enough until 2030: {key}", facts.host),
        ),
    };
    let hint = "sshanchor rotate replaces it; an Ed25519 key beside it serves all but the oldest clients";
    found.add(severity, "weak-key", HEXLOWER.encode(&key.sha256()), message, hint.to_owned());
}

/// What the server offers besides.
fn algorithms(facts: &HostFacts, live: &Live, found: &mut Found) {
    let offers = |name: &str| live.offers.iter().flatten().any(|offer| offer == name);
    let hint = "update its SSH server, or take it out of HostKeyAlgorithms in sshd_config";
    let mut add = |subject: &str, message: String| {
        found.add(Severity::Warning, "weak-algorithm", subject, message, hint.to_owned());
    };
    if offers("ssh-dss") {
        add("ssh-dss", format!("{} offers a DSA host key, of 1024 bits", facts.host));
    }
    if offers("ssh-rsa") && !offers("rsa-sha2-256") && !offers("rsa-sha2-512") {
        add("ssh-rsa", format!("{} signs with RSA by SHA-1 alone, which proves nothing", facts.host));
    }
}
