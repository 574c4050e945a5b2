//! What an agent knows as Prometheus's text exposition format (version 0.0.4, as its documentation has it under
//! "Exposition formats"). Moments are seconds since 1970, so that what is shown stays true while time goes on.

use std::fmt::Write;

use super::status::{Moment, Owner, Phase, Status};

/// What a scraper is told that this is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every phase, for one series each.
const PHASES: [Phase; 5] = [Phase::Starting, Phase::Working, Phase::Idle, Phase::Retrying, Phase::Stuck];
/// What a server may show, for one series each.
const SERVERS: [&str; 3] = ["current", "pending", "unreachable"];

/// A label and its value.
type Label<'a> = (&'a str, &'a str);

/// The exposition, family by family.
struct Text(String);

/// One family: name, kind, what it says.
type Family = (&'static str, &'static str, &'static str);

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
const PROVEN: Family =
    ("sshanchor_proven", "gauge", "1 if the records were proven as clients prove them; absent if not tried.");
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
    let mut text = Text(String::new());
    text.of_agent(status);
    text.of_owners(&status.owners);
    text.of_keys(status);
    text.0
}

impl Text {
    fn of_agent(&mut self, status: &Status) {
        let moment = |moment: Option<Moment>| moment.map_or(0, |moment| moment.0);
        self.family(BUILD, [(vec![("version", status.program.as_str())], 1)]);
        self.family(STARTED, [(vec![], status.started.0)]);
        let phases = PHASES.map(|phase| (vec![("phase", phase.word())], u64::from(phase == status.phase)));
        self.family(PHASE, phases);
        self.family(LAST_PASS, [(vec![], moment(status.last_pass))]);
        self.family(LAST_SUCCESS, [(vec![], moment(status.last_success))]);
        self.family(NEXT_PASS, status.next_pass.map(|moment| (vec![], moment.0)));
        self.family(PASSES, [(vec![], status.passes)]);
        self.family(CHANGES, [(vec![], status.changes)]);
        self.family(FAILED, [(vec![], u64::from(status.failed_in_a_row))]);
        let failures =
            status.failures.iter().map(|(reason, count)| (vec![("reason", reason.as_str())], *count));
        self.family(FAILURES, failures);
        let trouble = status
            .error
            .iter()
            .map(|trouble| (vec![("reason", trouble.reason.as_str()), ("hard", truth(trouble.hard))], 1));
        self.family(TROUBLE, trouble);
        self.family(WARNINGS, [(vec![], status.warnings.len() as u64)]);
    }

    fn of_owners(&mut self, owners: &[Owner]) {
        let mut each = |family, value: &dyn Fn(&Owner) -> Option<u64>| {
            let samples = owners.iter().filter_map(|owner| Some((of(owner), value(owner)?)));
            self.family(family, samples);
        };
        each(PUBLISHED, &|owner| Some(owner.published.len() as u64));
        each(SINCE, &|owner| owner.since.map(|moment| moment.0));
        each(FOREIGN, &|owner| Some(owner.foreign.len() as u64));
        each(DRIFT, &|owner| Some(u64::from(owner.has_drifted())));
        each(VANISHED, &|owner| Some(u64::from(owner.vanished)));
        each(PROVEN, &|owner| owner.proof.as_ref().map(|_| u64::from(owner.is_proven())));
        each(TTL, &|owner| owner.ttl.map(u64::from));
        each(OWNER_SUCCESS, &|owner| Some(owner.last_success.map_or(0, |moment| moment.0)));
        each(SIGNATURES, &|owner| owner.signatures_expire.map(|moment| moment.0));
        let servers = owners.iter().flat_map(|owner| {
            SERVERS.map(|status| {
                let count = owner.servers.iter().filter(|server| server.status == status).count();
                (vec![("owner", owner.owner.as_str()), ("status", status)], count as u64)
            })
        });
        self.family(IN_STEP, servers);
        let troubles = owners.iter().filter_map(|owner| {
            let trouble = owner.error.as_ref()?;
            let labels =
                [("owner", owner.owner.as_str()), ("reason", &trouble.reason), ("hard", truth(trouble.hard))];
            Some((labels.to_vec(), 1))
        });
        self.family(TROUBLE_OF, troubles);
    }

    fn of_keys(&mut self, status: &Status) {
        let certificates = status.certificates.iter().filter_map(|certificate| {
            let labels = vec![("path", certificate.path.as_str()), ("key_type", &certificate.key_type)];
            Some((labels, certificate.expires?.0))
        });
        self.family(CERTIFICATES, certificates);
        let rotation = status.rotation.as_ref();
        let key_type = |rotation: &super::status::Rotation| rotation.key_type.clone();
        let label = rotation.map(key_type).unwrap_or_default();
        let of_type = vec![("key_type", label.as_str())];
        let stage = rotation
            .map(|rotation| (vec![("key_type", label.as_str()), ("stage", rotation.stage.as_str())], 1));
        self.family(STAGE, stage);
        self.family(ROTATING, rotation.map(|rotation| (of_type.clone(), rotation.since.0)));
        self.family(UNTIL, rotation.and_then(|rotation| Some((of_type, rotation.until?.0))));
    }

    /// A family with its samples; nothing at all where there is none.
    fn family<'a>(
        &mut self,
        (name, kind, help): Family,
        samples: impl IntoIterator<Item = (Vec<Label<'a>>, u64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        // Writing to a String does not fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            self.0.push_str(name);
            for (at, (label, content)) in labels.iter().enumerate() {
                let before = if at == 0 { '{' } else { ',' };
                let _ = write!(self.0, "{before}{label}=\"{}\"", escaped(content));
            }
            let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
        }
    }
}

fn of(owner: &Owner) -> Vec<Label<'_>> {
    vec![("owner", owner.owner.as_str())]
}

fn truth(is_true: bool) -> &'static str {
    if is_true { "true" } else { "false" }
}

/// A label's value: backslash, quote and line feed are escaped; other controls, which the format would take, are left
/// out all the same, for they end up on terminals.
fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => value.push_str("\\\\"),
            '"' => value.push_str("\\\""),
            '\n' => value.push_str("\\n"),
            c if c.is_control() => {}
            c => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests;
