//! Is this machine able to publish, and will its records do what they are for: keys, rights, the zone, its servers, the
//! times that a rotation waits.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::{Finding, chain};
use crate::proto::chain::Answer;
use crate::proto::denial::{Status, Unproven};
use crate::proto::duration;
use crate::proto::moment::span;
use crate::proto::name::Name;
use crate::proto::plan::Present;
use crate::proto::rotation::Record;
use crate::proto::sshfp::{Sshfp, SshfpSet};
use crate::proto::verdict::{hint_for, status_code};

/// A TTL above this, in seconds, makes a change of keys a matter of days.
const LONG_TTL: u32 = 86_400;
/// So often a rotation fits into the time between two, or it is hardly ever done.
const ROOM: u64 = 4;

/// Why something could not be done, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// What came of one question.
pub type Tried<T> = Result<T, Failure>;

/// What one name server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name and address.
    pub label: String,
    /// The serial number of its zone, and what stands at the owner; or why it shows nothing.
    pub shows: Result<(u32, Present), String>,
}

/// How long things take by what is configured, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The TTL of the records.
    pub ttl: u32,
    /// How long caches may keep that there is nothing.
    pub negative_ttl: u32,
    /// The age at which a key is replaced, if any.
    pub every: Option<u64>,
    /// How long the next key is announced.
    pub announce: u64,
    /// How many types of keys there are, which are replaced one after another.
    pub types: usize,
}

fn failed(check: &'static str, about: impl Display, failure: &Failure, remedy: &str) -> Finding {
    let remedy = failure.hint.clone().unwrap_or_else(|| remedy.to_owned());
    Finding::error(check, about, failure.message.clone()).remedy(remedy)
}

/// Judges the host keys that are to be published: their records, and what was passed over.
pub fn host_keys(found: &Tried<(SshfpSet, Vec<String>)>) -> Vec<Finding> {
    let (records, passed_over) = match found {
        Ok(found) => found,
        Err(failure) => {
            return vec![failed("host-keys", "host keys", failure, "sshd -T lists the keys in force")];
        }
    };
    let mut findings: Vec<Finding> = passed_over
        .iter()
        .map(|why| {
            let remedy = "mend or remove it; sshd -T | grep hostkey lists the keys in force";
            Finding::warning("host-keys", "host keys", why.clone()).remedy(remedy)
        })
        .collect();
    if records.is_empty() {
        let finding = Finding::error("host-keys", "host keys", "there is no host key to publish");
        findings.push(finding.remedy("ssh-keygen -A makes them"));
    } else {
        let told: Vec<String> = records.iter().map(Sshfp::fingerprint_text).collect();
        findings.push(Finding::ok("host-keys", "host keys", format!("in force: {}", told.join(", "))));
    }
    findings
}

/// Judges the files with the keys to the place of the records, by what is weak about them.
pub fn key_files(about: &str, opened: &Tried<Vec<String>>) -> Vec<Finding> {
    match opened {
        Ok(weaknesses) if weaknesses.is_empty() => {
            vec![Finding::ok("publish-key", about, "its key is readable, and for this user alone")]
        }
        Ok(weaknesses) => weaknesses
            .iter()
            .map(|weakness| {
                let remedy = "chmod 0600 the file; if others may have read it, make a new key";
                Finding::warning("publish-key", about, weakness.clone()).remedy(remedy)
            })
            .collect(),
        Err(failure) => vec![failed("publish-key", about, failure, "give the key's file in [publish]")],
    }
}

/// Judges whether the place of the records answers for a zone that holds `owner`.
pub fn place(about: &str, owner: &Name, zone: &Tried<Name>) -> Finding {
    match zone {
        Ok(zone) => {
            Finding::ok("publish-place", about, format!("it answers, and holds {owner} in zone {zone}"))
        }
        Err(failure) => failed("publish-place", about, failure, "is it up, and is its address right?"),
    }
}

/// Judges what the primary made of the key, which signed a question.
pub fn key(about: &str, tried: &Tried<()>) -> Finding {
    match tried {
        Ok(()) => Finding::ok("publish-key", about, "it knows the key, and the clocks agree"),
        Err(failure) => failed("publish-key", about, failure, "compare the key with the server's"),
    }
}

/// Judges what the primary made of an update at `owner` that changes nothing.
pub fn rights(about: &str, owner: &Name, tried: &Tried<()>) -> Finding {
    match tried {
        Ok(()) => {
            let message =
                format!("the key may change SSHFP at {owner} (tried with an update that changes nothing)");
            Finding::ok("publish-rights", about, message)
        }
        Err(failure) => failed("publish-rights", about, failure, "allow the key this name and type there"),
    }
}

/// Tells of a place whose rights are only known once something is written.
pub fn rights_untried(about: &str, kind: &str) -> Finding {
    let message = format!("whether records may be changed there shows when they are ({kind} has no trial)");
    Finding::info("publish-rights", about, message)
}

/// Judges at `now` (seconds since 1970) whether what is published in `zone` can be proven, by the proof of its SOA.
pub fn zone(now: u64, zone: &Name, proof: &Result<Answer, Unproven>) -> Vec<Finding> {
    match proof {
        Ok(answer) => {
            let mut way: Vec<String> = answer.data().zones().map(|zone| zone.name().to_string()).collect();
            way.reverse();
            let message = format!("signed, and proven from {}", way.join(" -> "));
            vec![Finding::ok("publish-zone", zone, message), chain::ends(now, answer)]
        }
        Err(unproven) => {
            let what = match unproven.status {
                Status::Insecure => {
                    "it is not signed, or nobody above vouches for its keys: nothing that is published here can be proven"
                }
                Status::Bogus => "its proof fails: clients reject what is published here",
                _ => "whether its records can be proven is not known",
            };
            let message = format!("{what} ({}): {unproven}", status_code(unproven));
            let finding = match unproven.status {
                Status::Insecure | Status::Bogus => Finding::error("publish-zone", zone, message),
                _ => Finding::warning("publish-zone", zone, message),
            };
            let remedy = match unproven.status {
                Status::Insecure => format!(
                    "have {zone} signed (BIND: dnssec-policy default; Knot: dnssec-signing: on), then give its DS to the \
                     registrar or to the zone above"
                ),
                _ => hint_for(zone, unproven),
            };
            vec![finding.remedy(remedy)]
        }
    }
}

/// Judges what stands at `owner` by what is `wanted` there.
pub fn records(owner: &Name, wanted: &SshfpSet, present: &Tried<Present>) -> Finding {
    let about = format!("{owner} SSHFP");
    let present = match present {
        Ok(present) => present,
        Err(failure) => return failed("publish-records", about, failure, "see above"),
    };
    let missing = wanted.difference(&present.records).count();
    let others = present.records.difference(wanted).count();
    let beside = match others {
        0 => String::new(),
        others => format!("; {others} more are there, of other keys or machines"),
    };
    match missing {
        0 => {
            let message = format!("all {} records of this machine's keys are there{beside}", wanted.len());
            Finding::ok("publish-records", about, message)
        }
        missing => {
            let message =
                format!("{missing} of {} records of this machine's keys are not there{beside}", wanted.len());
            Finding::warning("publish-records", about, message)
                .remedy("sshanchor publish; sshanchor agent keeps them right")
        }
    }
}

/// Judges the zone's `servers` by the place of the records, whose zone has this serial number, where it is a name server.
pub fn servers(zone: &Name, primary: Option<u32>, present: &Present, servers: &[Server]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut serials = BTreeSet::new();
    for Server { label, shows } in servers {
        let finding = match shows {
            Ok((serial, shown)) if shown == present => {
                serials.insert(*serial);
                continue;
            }
            Ok((serial, _)) => {
                let lag = match primary {
                    Some(primary) if *serial != primary => format!(" (serial {serial}, the primary has {primary})"),
                    _ => format!(" (serial {serial})"),
                };
                let message = format!("{label} shows other records than the primary{lag}");
                Finding::warning("publish-servers", label, message).remedy(format!(
                    "see that {label} is notified and may transfer {zone}: its log, and the primary's (also-notify, \
                     allow-transfer; Knot: notify, acl)"
                ))
            }
            Err(why) => Finding::warning("publish-servers", label, format!("{label} shows nothing: {why}")).remedy(
                "is it up? clients that ask it wait, and a rotation waits for it (dead_after in [rotate])",
            ),
        };
        findings.push(finding);
    }
    if findings.is_empty() {
        let among = match servers.len() {
            0 => return vec![Finding::info("publish-servers", zone, "no other name server of it is known")],
            1 => "the other name server shows".to_owned(),
            count => format!("all {count} other name servers show"),
        };
        let mut message = format!("{among} the same records");
        // Where a server signs what it is handed, it counts for itself.
        match (primary, serials.len()) {
            (Some(primary), 1) if serials.contains(&primary) => message += &format!(" (serial {primary})"),
            (Some(primary), _) => {
                let serials: Vec<String> = serials.iter().map(ToString::to_string).collect();
                message += &format!(" (serial {}; the primary has {primary})", serials.join(", "));
            }
            (None, _) => {}
        }
        findings.push(Finding::ok("publish-servers", zone, message));
    }
    findings
}

/// Judges the TTL by the times that a rotation waits, and by `signed_for`: how long the zone's signatures hold in all, in
/// seconds, where they are known.
pub fn times(owner: &Name, times: &Times, signed_for: Option<u64>) -> Vec<Finding> {
    let about = format!("{owner} SSHFP");
    let waits = u64::from(times.ttl.max(times.negative_ttl));
    let round = times.announce.saturating_add(waits);
    let mut findings = Vec::new();
    let mut warn = |message: String, remedy: String| {
        findings.push(Finding::warning("publish-ttl", &about, message).remedy(remedy));
    };
    if times.ttl.max(times.negative_ttl) > LONG_TTL {
        let which = if times.ttl > LONG_TTL { "TTL" } else { "negative TTL of the zone's SOA" };
        let message = format!(
            "caches keep what they know for {} ({which}): a changed key is seen as late as that",
            span(waits)
        );
        let remedy = match which {
            "TTL" => "sshanchor publish --ttl 3600, or ttl = 3600 in [publish]".to_owned(),
            _ => "lower the last number of the zone's SOA record (minimum), to 3600 say".to_owned(),
        };
        warn(message, remedy);
    }
    if let Some(every) = times.every {
        let whole = round.saturating_mul(times.types.max(1) as u64);
        if whole.saturating_mul(ROOM) > every {
            let message = format!(
                "a rotation of {} types takes {} or more (announce {}, caches {}), and one begins every {}",
                times.types,
                span(whole),
                span(times.announce),
                span(waits),
                span(every)
            );
            let days = duration::text(std::time::Duration::from_secs(whole.saturating_mul(ROOM)));
            warn(
                message,
                format!("every = \"{days}\" or more in [rotate], a lower TTL, or a shorter announce"),
            );
        }
    }
    if let Some(signed_for) = signed_for.filter(|signed_for| *signed_for < waits.saturating_mul(2)) {
        let message = format!(
            "the zone's signatures hold for {}, and caches keep records for {}: some will be kept longer than they are good",
            span(signed_for),
            span(waits)
        );
        warn(
            message,
            "a lower TTL (an eighth of the signatures' time, say), or longer signatures".to_owned(),
        );
    }
    if findings.is_empty() {
        let message =
            format!("a change of keys is everywhere known after {} (TTL {})", span(waits), times.ttl);
        findings.push(Finding::ok("publish-ttl", &about, message));
    }
    findings
}

/// Judges the state folder, which says which records are own.
pub fn state(folder: &str, read: &Tried<usize>) -> Finding {
    match read {
        Ok(0) => Finding::ok("publish-state", folder, format!("{folder} knows of nothing published yet")),
        Ok(names) => {
            Finding::ok("publish-state", folder, format!("{folder} knows what is own at {names} names"))
        }
        Err(failure) => failed("publish-state", folder, failure, "give another folder: --state DIR"),
    }
}

/// Judges the agent: what it says in one line and whether all is well, or why it says nothing.
pub fn agent(told: &Tried<(bool, String)>) -> Finding {
    match told {
        Ok((true, sentence)) => Finding::ok("agent", "agent", format!("it runs: {sentence}")),
        Ok((false, sentence)) => Finding::warning("agent", "agent", format!("it runs: {sentence}"))
            .remedy("sshanchor agent status"),
        Err(failure) => {
            let message = format!("{}: when a key changes, nobody publishes it by itself", failure.message);
            let remedy = failure.hint.clone().unwrap_or_else(|| "sshanchor agent".to_owned());
            Finding::info("agent", "agent", message).remedy(remedy)
        }
    }
}

/// A rotation that nobody goes on with for so long, in seconds, is told of, though an agent runs.
const STANDS: u64 = 7 * 86_400;

/// Judges a rotation of host keys that is under way at `now`, in seconds since 1970; nothing where there is none.
pub fn rotation(record: &Tried<Record>, now: u64, agent_runs: bool) -> Option<Finding> {
    let record = match record {
        Ok(record) => record,
        Err(failure) => return Some(failed("rotation", "rotation", failure, "sshanchor rotate --status")),
    };
    let began =
        record.round.as_ref().map(|round| round.began).or(record.is_open().then_some(record.wish.since))?;
    let age = now.saturating_sub(began);
    let message = format!("a rotation of host keys is under way since {}", span(age));
    Some(match (agent_runs, age > STANDS) {
        (true, false) => {
            Finding::ok("rotation", "rotation", format!("{message}, and an agent goes on with it"))
        }
        (true, true) => Finding::warning("rotation", "rotation", message)
            .remedy("sshanchor rotate --status says what it waits for"),
        (false, _) => Finding::warning(
            "rotation",
            "rotation",
            format!("{message}, and nobody goes on with it"),
        )
        .remedy(
            "sshanchor rotate --resume, again and again until it is done (--wait), or have an agent do it",
        ),
    })
}

/// A rotation whose record is lost has left something.
pub fn rotation_lost(what: &str) -> Finding {
    Finding::error("rotation", "rotation", what)
        .remedy("sshanchor publish --check; and keep the state folder from one start to the next")
}

#[cfg(test)]
mod tests;
