//! What an agent knows as Prometheus's metrics. Moments are seconds since 1970, so that what is shown stays true while
//! time goes on.

use super::exposition::{Exposition, Family, Label};
use super::status::{Moment, Owner, Phase, Status};

pub use super::exposition::CONTENT_TYPE;

/// Every phase, for one series each.
const PHASES: [Phase; 5] = [Phase::Starting, Phase::Working, Phase::Idle, Phase::Retrying, Phase::Stuck];
/// What a server may show, for one series each.
const SERVERS: [&str; 3] = ["current", "pending", "unreachable"];

const BUILD: Family = ("sshanchor_build_info", "gauge", "The agent's version; always 1.");
const STARTED: Family = ("sshanchor_start_time_seconds", "gauge", "When the agent started.");
const PHASE: Family = ("sshanchor_phase", "gauge", "1 for what the agent does now.");
const LAST_PASS: Family =
    ("sshanchor_last_pass_timestamp_seconds", "gauge", "When the latest pass ended; 0 before the first.");
const LAST_SUCCESS: Family = (
    "sshanchor_last_success_timestamp_seconds",
    "gauge",
    "When a pass last found everything right, or made it so; 0 if never.",
);
const NEXT_PASS: Family =
    ("sshanchor_next_pass_timestamp_seconds", "gauge", "When the agent looks again at the latest.");
const PASSES: Family = ("sshanchor_passes_total", "counter", "Passes since the agent started.");
const CHANGES: Family = ("sshanchor_changes_total", "counter", "Passes that changed records.");
const FAILED: Family = ("sshanchor_failed_passes", "gauge", "Failed passes in a row.");
const FAILURES: Family = ("sshanchor_failures_total", "counter", "Failures by their stable reason.");
const TROUBLE: Family =
    ("sshanchor_trouble", "gauge", "1 for what is wrong now; hard is what only a person can mend.");
const WARNINGS: Family = ("sshanchor_warnings", "gauge", "What the agent warns of; agent status tells it.");
const PUBLISHED: Family = ("sshanchor_published_records", "gauge", "Own records that stand in DNS.");
const SINCE: Family = (
    "sshanchor_published_since_timestamp_seconds",
    "gauge",
    "Since when this set of own records is published.",
);
const FOREIGN: Family =
    ("sshanchor_foreign_records", "gauge", "Records at the name that are somebody else's.");
const DRIFT: Family =
    ("sshanchor_drift", "gauge", "1 while the records are not everywhere as they should be.");
const VANISHED: Family = (
    "sshanchor_vanished_last_day",
    "gauge",
    "How often within a day own records were gone, though nobody here withdrew them.",
);
const PROVEN: Family = (
    "sshanchor_proven",
    "gauge",
    "1 if the records were proven as clients prove them; absent if not tried, or while caches may have older ones.",
);
const IN_STEP: Family = ("sshanchor_name_servers", "gauge", "Name servers by what they show.");
const TTL: Family = ("sshanchor_ttl_seconds", "gauge", "The TTL of the records.");
const OWNER_SUCCESS: Family = (
    "sshanchor_owner_last_success_timestamp_seconds",
    "gauge",
    "When the records of one name were last as they should be; 0 if never.",
);
const SIGNATURES: Family =
    ("sshanchor_signature_expiry_timestamp_seconds", "gauge", "When the signatures over the records expire.");
const CERTIFICATES: Family = (
    "sshanchor_certificate_expiry_timestamp_seconds",
    "gauge",
    "When a host certificate expires; absent for one that never does.",
);
const STAGE: Family = ("sshanchor_rotation_stage", "gauge", "1 for the stage of the rotation under way.");
const ROTATING: Family =
    ("sshanchor_rotation_start_timestamp_seconds", "gauge", "When the rotation under way began.");
const UNTIL: Family = (
    "sshanchor_rotation_wait_until_timestamp_seconds",
    "gauge",
    "Until when the rotation waits at the least.",
);

const TROUBLE_OF: Family = (
    "sshanchor_owner_trouble",
    "gauge",
    "1 for what is wrong with one name; hard is what only a person can mend.",
);

/// Every name of a metric that there may be, for whoever writes rules.
pub fn names() -> impl Iterator<Item = &'static str> {
    const ALL: [Family; 27] = [
        BUILD,
        STARTED,
        PHASE,
        LAST_PASS,
        LAST_SUCCESS,
        NEXT_PASS,
        PASSES,
        CHANGES,
        FAILED,
        FAILURES,
        TROUBLE,
        WARNINGS,
        PUBLISHED,
        SINCE,
        FOREIGN,
        DRIFT,
        VANISHED,
        PROVEN,
        IN_STEP,
        TTL,
        OWNER_SUCCESS,
        SIGNATURES,
        CERTIFICATES,
        STAGE,
        ROTATING,
        UNTIL,
        TROUBLE_OF,
    ];
    ALL.into_iter().map(|(name, ..)| name)
}

/// All of it.
pub fn text(status: &Status) -> String {
    let mut text = Exposition::default();
    of_agent(&mut text, status);
    of_owners(&mut text, &status.owners);
    of_keys(&mut text, status);
    text.text()
}

fn of_agent(text: &mut Exposition, status: &Status) {
    let moment = |moment: Option<Moment>| moment.map_or(0, |moment| moment.0);
    text.family(BUILD, [(vec![("version", status.program.as_str())], 1)]);
    text.family(STARTED, [(vec![], status.started.0)]);
    let phases = PHASES.map(|phase| (vec![("phase", phase.word())], u64::from(phase == status.phase)));
    text.family(PHASE, phases);
    text.family(LAST_PASS, [(vec![], moment(status.last_pass))]);
    text.family(LAST_SUCCESS, [(vec![], moment(status.last_success))]);
    text.family(NEXT_PASS, status.next_pass.map(|moment| (vec![], moment.0)));
    text.family(PASSES, [(vec![], status.passes)]);
    text.family(CHANGES, [(vec![], status.changes)]);
    text.family(FAILED, [(vec![], u64::from(status.failed_in_a_row))]);
    let failures = status.failures.iter().map(|(reason, count)| (vec![("reason", reason.as_str())], *count));
    text.family(FAILURES, failures);
    let trouble = status
        .error
        .iter()
        .map(|trouble| (vec![("reason", trouble.reason.as_str()), ("hard", truth(trouble.hard))], 1));
    text.family(TROUBLE, trouble);
    text.family(WARNINGS, [(vec![], status.warnings.len() as u64)]);
}

fn of_owners(text: &mut Exposition, owners: &[Owner]) {
    let mut each = |family, value: &dyn Fn(&Owner) -> Option<u64>| {
        let samples = owners.iter().filter_map(|owner| Some((of(owner), value(owner)?)));
        text.family(family, samples);
    };
    each(PUBLISHED, &|owner| Some(owner.published.len() as u64));
    each(SINCE, &|owner| owner.since.map(|moment| moment.0));
    each(FOREIGN, &|owner| Some(owner.foreign.len() as u64));
    each(DRIFT, &|owner| Some(u64::from(owner.has_drifted())));
    each(VANISHED, &|owner| Some(u64::from(owner.vanished)));
    each(PROVEN, &|owner| {
        owner.proof.as_ref().filter(|_| owner.caches_until.is_none())?;
        Some(u64::from(owner.is_proven()))
    });
    each(TTL, &|owner| owner.ttl.map(u64::from));
    each(OWNER_SUCCESS, &|owner| Some(owner.last_success.map_or(0, |moment| moment.0)));
    each(SIGNATURES, &|owner| owner.signatures_expire.map(|moment| moment.0));
    let servers = owners.iter().flat_map(|owner| {
        SERVERS.map(|status| {
            let count = owner.servers.iter().filter(|server| server.status == status).count();
            (vec![("owner", owner.owner.as_str()), ("status", status)], count as u64)
        })
    });
    text.family(IN_STEP, servers);
    let troubles = owners.iter().filter_map(|owner| {
        let trouble = owner.error.as_ref()?;
        let labels =
            [("owner", owner.owner.as_str()), ("reason", &trouble.reason), ("hard", truth(trouble.hard))];
        Some((labels.to_vec(), 1))
    });
    text.family(TROUBLE_OF, troubles);
}

fn of_keys(text: &mut Exposition, status: &Status) {
    let certificates = status.certificates.iter().filter_map(|certificate| {
        let labels = vec![("path", certificate.path.as_str()), ("key_type", &certificate.key_type)];
        Some((labels, certificate.expires?.0))
    });
    text.family(CERTIFICATES, certificates);
    let rotation = status.rotation.as_ref();
    let key_type = |rotation: &super::status::Rotation| rotation.key_type.clone();
    let label = rotation.map(key_type).unwrap_or_default();
    let of_type = vec![("key_type", label.as_str())];
    let stage =
        rotation.map(|rotation| (vec![("key_type", label.as_str()), ("stage", rotation.stage.as_str())], 1));
    text.family(STAGE, stage);
    text.family(ROTATING, rotation.map(|rotation| (of_type.clone(), rotation.since.0)));
    text.family(UNTIL, rotation.and_then(|rotation| Some((of_type, rotation.until?.0))));
}

fn of(owner: &Owner) -> Vec<Label<'_>> {
    vec![("owner", owner.owner.as_str())]
}

fn truth(is_true: bool) -> &'static str {
    if is_true { "true" } else { "false" }
}

#[cfg(test)]
mod tests;
