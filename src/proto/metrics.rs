//! What an agent knows as Prometheus's metrics. Moments are seconds since 1970, so that what is shown stays true while
//! time goes on.

use super::exposition::{self, Family, Sample, counter, gauge};
use super::status::{Moment, Owner, Phase, Rotation, Status, Trouble};

pub use super::exposition::CONTENT_TYPE;

/// Every phase, for one series each.
const PHASES: [Phase; 5] = [Phase::Starting, Phase::Working, Phase::Idle, Phase::Retrying, Phase::Stuck];
/// What a server may show, for one series each.
const SERVERS: [&str; 3] = ["current", "pending", "unreachable"];

/// Everything that there may be, in its order.
const FAMILIES: &[Family<Status>] = &[
    gauge("sshanchor_build_info", "The agent's version; always 1.", |status| {
        vec![Sample::new(1).label("version", &status.program)]
    }),
    gauge("sshanchor_start_time_seconds", "When the agent started.", |status| {
        vec![Sample::new(status.started.0)]
    }),
    gauge("sshanchor_phase", "1 for what the agent does now.", |status| {
        let is_now = |phase| u64::from(phase == status.phase);
        PHASES.map(|phase| Sample::new(is_now(phase)).label("phase", phase.word())).to_vec()
    }),
    gauge(
        "sshanchor_last_pass_timestamp_seconds",
        "When the latest pass ended; 0 before the first.",
        |status| vec![Sample::new(or_never(status.last_pass))],
    ),
    gauge(
        "sshanchor_last_success_timestamp_seconds",
        "When a pass last found everything right, or made it so; 0 if never.",
        |status| vec![Sample::new(or_never(status.last_success))],
    ),
    gauge("sshanchor_next_pass_timestamp_seconds", "When the agent looks again at the latest.", |status| {
        status.next_pass.map(|moment| Sample::new(moment.0)).into_iter().collect()
    }),
    counter("sshanchor_passes_total", "Passes since the agent started.", |status| {
        vec![Sample::new(status.passes)]
    }),
    counter("sshanchor_changes_total", "Passes that changed records.", |status| {
        vec![Sample::new(status.changes)]
    }),
    gauge("sshanchor_failed_passes", "Failed passes in a row.", |status| {
        vec![Sample::new(u64::from(status.failed_in_a_row))]
    }),
    counter("sshanchor_failures_total", "Failures by their stable reason.", |status| {
        let failures = status.failures.iter();
        failures.map(|(reason, count)| Sample::new(*count).label("reason", reason)).collect()
    }),
    gauge("sshanchor_trouble", "1 for what is wrong now; hard is what only a person can mend.", |status| {
        status.error.iter().map(|trouble| of_trouble(Sample::new(1), trouble)).collect()
    }),
    gauge("sshanchor_warnings", "What the agent warns of; agent status tells it.", |status| {
        vec![Sample::new(status.warnings.len() as u64)]
    }),
    gauge("sshanchor_published_records", "Own records that stand in DNS.", |status| {
        each(status, |owner| Some(owner.published.len() as u64))
    }),
    gauge(
        "sshanchor_published_since_timestamp_seconds",
        "Since when this set of own records is published.",
        |status| each(status, |owner| owner.since.map(|moment| moment.0)),
    ),
    gauge("sshanchor_foreign_records", "Records at the name that are somebody else's.", |status| {
        each(status, |owner| Some(owner.foreign.len() as u64))
    }),
    gauge("sshanchor_drift", "1 while the records are not everywhere as they should be.", |status| {
        each(status, |owner| Some(u64::from(owner.has_drifted())))
    }),
    gauge(
        "sshanchor_vanished_last_day",
        "How often within a day own records were gone, though nobody here withdrew them.",
        |status| each(status, |owner| Some(u64::from(owner.vanished))),
    ),
    gauge(
        "sshanchor_proven",
        "1 if the records were proven as clients prove them; absent if not tried, or while caches may have older ones.",
        |status| {
            each(status, |owner| {
                owner.proof.as_ref().filter(|_| owner.caches_until.is_none())?;
                Some(u64::from(owner.is_proven()))
            })
        },
    ),
    gauge("sshanchor_ttl_seconds", "The TTL of the records.", |status| {
        each(status, |owner| owner.ttl.map(u64::from))
    }),
    gauge(
        "sshanchor_owner_last_success_timestamp_seconds",
        "When the records of one name were last as they should be; 0 if never.",
        |status| each(status, |owner| Some(or_never(owner.last_success))),
    ),
    gauge(
        "sshanchor_signature_expiry_timestamp_seconds",
        "When the signatures over the records expire.",
        |status| each(status, |owner| owner.signatures_expire.map(|moment| moment.0)),
    ),
    gauge("sshanchor_name_servers", "Name servers by what they show.", |status| {
        let servers = status.owners.iter().flat_map(|owner| {
            SERVERS.map(|status| {
                let count = owner.servers.iter().filter(|server| server.status == status).count();
                of(owner, count as u64).label("status", status)
            })
        });
        servers.collect()
    }),
    gauge(
        "sshanchor_owner_trouble",
        "1 for what is wrong with one name; hard is what only a person can mend.",
        |status| {
            let owners = status.owners.iter();
            owners.filter_map(|owner| Some(of_trouble(of(owner, 1), owner.error.as_ref()?))).collect()
        },
    ),
    gauge(
        "sshanchor_certificate_expiry_timestamp_seconds",
        "When a host certificate expires; absent for one that never does.",
        |status| {
            let certificates = status.certificates.iter().filter_map(|certificate| {
                let sample = Sample::new(certificate.expires?.0).label("path", &certificate.path);
                Some(sample.label("key_type", &certificate.key_type))
            });
            certificates.collect()
        },
    ),
    gauge("sshanchor_rotation_stage", "1 for the stage of the rotation under way.", |status| {
        let rotation = status.rotation.iter();
        rotation.map(|rotation| of_rotation(rotation, 1).label("stage", &rotation.stage)).collect()
    }),
    gauge("sshanchor_rotation_start_timestamp_seconds", "When the rotation under way began.", |status| {
        status.rotation.iter().map(|rotation| of_rotation(rotation, rotation.since.0)).collect()
    }),
    gauge(
        "sshanchor_rotation_wait_until_timestamp_seconds",
        "Until when the rotation waits at the least.",
        |status| {
            let rotation = status.rotation.iter();
            rotation.filter_map(|rotation| Some(of_rotation(rotation, rotation.until?.0))).collect()
        },
    ),
];

/// Every name of a metric that there may be, for whoever writes rules.
pub fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.name)
}

/// All of it.
pub fn text(status: &Status) -> String {
    exposition::text(FAMILIES, status)
}

fn or_never(moment: Option<Moment>) -> u64 {
    moment.map_or(0, |moment| moment.0)
}

/// Of one set of records.
fn of(owner: &Owner, value: u64) -> Sample<'_> {
    Sample::new(value).label("owner", &owner.owner)
}

/// Of each set of records that has the value.
fn each(status: &Status, value: fn(&Owner) -> Option<u64>) -> Vec<Sample<'_>> {
    status.owners.iter().filter_map(|owner| Some(of(owner, value(owner)?))).collect()
}

/// What is wrong, with `sample`.
fn of_trouble<'a>(sample: Sample<'a>, trouble: &'a Trouble) -> Sample<'a> {
    sample.label("reason", &trouble.reason).label("hard", if trouble.hard { "true" } else { "false" })
}

/// Of the rotation under way.
fn of_rotation(rotation: &Rotation, value: u64) -> Sample<'_> {
    Sample::new(value).label("key_type", &rotation.key_type)
}

#[cfg(test)]
mod tests;
