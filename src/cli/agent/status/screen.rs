//! A status on one screen.

use crate::agent::daemon::Remembered;
use crate::proto::moment::{self, span};
use crate::proto::status::{Certificate, Moment, Owner, Rotation, Status, Trouble};

/// Most names that are shown; those where something is wrong first.
const MAX_OWNERS: usize = 12;
/// Most records of one name that are shown, and most of other lists.
const MAX_LINES: usize = 6;

/// What stands above that which nobody vouches for any more.
pub(super) const OLD: &str = "OLD: no agent runs. What the latest one knew, which may be otherwise by now:";

/// What the latest agent knew, at `now` in seconds since 1970.
pub(super) fn of_the_past(sets: &[Remembered], now: u64) -> String {
    let line = |set: &Remembered| {
        let Remembered { owner, server, published, last_success, failing, .. } = set;
        let success = match last_success {
            Some(at) => format!("was right {} ago", ago(*at, now)),
            None => "was never right".to_owned(),
        };
        let failing = failing.as_deref().map(|reason| format!(", then failed ({reason})"));
        let line = format!(
            "{owner}: {} records at {server}, {success}{}",
            published.len(),
            failing.unwrap_or_default()
        );
        line.replace(['\n', '\r'], " ")
    };
    some(sets.iter().map(line).collect(), "  ").join("\n")
}

/// The screen, at `now` in seconds since 1970. What it holds is another process's: printable or not.
pub(super) fn text(status: &Status, now: u64) -> String {
    let mut lines = vec![first_line(status, now), passes(status, now)];
    lines.extend(trouble("", status.error.as_ref(), now));
    let warnings = status.warnings.iter().map(|warning| format!("warning: {warning}"));
    lines.extend(some(warnings.collect(), ""));
    let mut owners: Vec<&Owner> = status.owners.iter().collect();
    owners.sort_by_key(|owner| (owner.error.is_none(), !owner.has_drifted(), owner.is_proven()));
    for owner in owners.iter().take(MAX_OWNERS) {
        lines.extend(of_owner(owner, now));
    }
    if let Some(more) = owners.len().checked_sub(MAX_OWNERS).filter(|more| *more > 0) {
        lines.push(format!("and {more} more names (--json has all)"));
    }
    lines.extend(status.rotation.as_ref().map(|rotation| of_rotation(rotation, now)));
    lines.extend(some(status.certificates.iter().map(|c| of_certificate(c, now)).collect(), ""));
    if !status.failures.is_empty() {
        let each = status.failures.iter().map(|(reason, count)| format!("{reason} {count}"));
        lines.push(format!("failures since it started: {}", each.collect::<Vec<_>>().join(", ")));
    }
    // A line end that another process has sent is none of ours.
    lines.iter().map(|line| line.replace(['\n', '\r'], " ")).collect::<Vec<_>>().join("\n")
}

fn first_line(status: &Status, now: u64) -> String {
    let flaws = status.flaws().len();
    let verdict = match (status.last_pass, flaws) {
        (None, _) => "it has not looked yet".to_owned(),
        (_, 0) => "all is well".to_owned(),
        (_, 1) => "1 thing is not as it should be".to_owned(),
        (_, count) => format!("{count} things are not as they should be"),
    };
    let (phase, pid, program) = (status.phase.word(), status.pid, &status.program);
    format!("agent: {verdict} ({phase}; process {pid}, version {program}, up {})", ago(status.started, now))
}

fn passes(status: &Status, now: u64) -> String {
    let moment = |moment: Option<Moment>| match moment {
        Some(moment) => format!("{} ago", ago(moment, now)),
        None => "never".to_owned(),
    };
    let next = match status.next_pass {
        Some(Moment(at)) if at > now => format!("in {}", span(at - now)),
        Some(_) => "now".to_owned(),
        None => "not planned".to_owned(),
    };
    let failed = match status.failed_in_a_row {
        0 => String::new(),
        count => format!(", the last {count} failed"),
    };
    format!(
        "  looked {}, all was right {}, looks again {next}; {} {}, {} changed something{failed}",
        moment(status.last_pass),
        moment(status.last_success),
        status.passes,
        if status.passes == 1 { "pass" } else { "passes" },
        status.changes
    )
}

fn of_owner(owner: &Owner, now: u64) -> Vec<String> {
    let Owner { owner: name, backend, server, .. } = owner;
    let count = match owner.published.len() {
        0 => "nothing is published".to_owned(),
        1 => "1 record".to_owned(),
        count => format!("{count} records"),
    };
    let since = owner.since.map(|since| format!(" for {}", ago(since, now))).unwrap_or_default();
    let zone = owner.zone.as_deref().map(|zone| format!("zone {zone}, ")).unwrap_or_default();
    let ttl = owner.ttl.map(|ttl| format!(", TTL {ttl}")).unwrap_or_default();
    let mut lines = vec![format!("{name}: {count}{since} ({zone}{backend} at {server}{ttl})")];
    lines.extend(some(owner.published.clone(), "  "));
    let current = owner.servers.iter().filter(|server| server.status == "current").count();
    if !owner.servers.is_empty() {
        lines.push(format!("  servers: {current} of {} show them", owner.servers.len()));
    }
    let lagging = owner.servers.iter().filter(|server| server.status != "current").map(|server| {
        let why = server.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
        format!("{}: {}{why}", server.server, server.status)
    });
    lines.extend(some(lagging.collect(), "  "));
    if let Some(proof) = &owner.proof {
        let until = owner.signatures_expire.map(|at| format!("; signatures end {}", coming(at, now)));
        let why = owner.proof_message.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let can = match (owner.is_proven(), owner.caches_until) {
            (true, _) => "clients can prove them".to_owned(),
            (false, Some(at)) => {
                format!("all clients can prove them when caches have expired, {}", coming(at, now))
            }
            (false, None) => "clients cannot prove them".to_owned(),
        };
        lines.push(format!("  proof: {can} ({proof}){why}{}", until.unwrap_or_default()));
    }
    if !owner.foreign.is_empty() {
        lines.push(
            "  not this machine's, and left alone (sshanchor publish --prune takes them away):".to_owned(),
        );
        lines.extend(some(owner.foreign.clone(), "    "));
    }
    if owner.vanished > 0 {
        let times = if owner.vanished == 1 { "once".to_owned() } else { format!("{} times", owner.vanished) };
        lines.push(format!("  own records were gone {times} within a day, though nobody here withdrew them"));
    }
    lines.extend(trouble("  ", owner.error.as_ref(), now));
    lines
}

/// What is wrong, since when, and what to do.
fn trouble(margin: &str, trouble: Option<&Trouble>, now: u64) -> Vec<String> {
    let Some(Trouble { reason, message, hint, hard, since }) = trouble else { return Vec::new() };
    let kind = if *hard { "wrong" } else { "failing" };
    let mut lines = vec![format!("{margin}{kind} for {} ({reason}): {message}", ago(*since, now))];
    lines.extend(hint.iter().map(|hint| format!("{margin}  do: {hint}")));
    lines
}

fn of_rotation(rotation: &Rotation, now: u64) -> String {
    let Rotation { key_type, stage, waits_for, until, since } = rotation;
    let until = until.map(|at| format!(", until {} at the least", coming(at, now))).unwrap_or_default();
    format!("rotation of {key_type} for {}: {stage}: {waits_for}{until}", ago(*since, now))
}

fn of_certificate(certificate: &Certificate, now: u64) -> String {
    let Certificate { path, key_type, expires } = certificate;
    let ends = match expires {
        Some(at) if at.0 <= now => format!("ended {} ago", ago(*at, now)),
        Some(at) => format!("ends {}", coming(*at, now)),
        None => "never ends".to_owned(),
    };
    format!("certificate {path} ({key_type}) {ends}")
}

/// Lines behind a margin, no more than fit.
fn some(lines: Vec<String>, margin: &str) -> Vec<String> {
    let more = lines.len().saturating_sub(MAX_LINES);
    let mut shown: Vec<String> =
        lines.into_iter().take(MAX_LINES).map(|line| format!("{margin}{line}")).collect();
    if more > 0 {
        shown.push(format!("{margin}and {more} more"));
    }
    shown
}

fn ago(moment: Moment, now: u64) -> String {
    span(now.saturating_sub(moment.0))
}

fn coming(moment: Moment, now: u64) -> String {
    match moment.0.checked_sub(now) {
        Some(left) => format!("{} (in {})", moment::text(moment.0), span(left)),
        None => format!("{} ({} ago)", moment::text(moment.0), ago(moment, now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::status::samples::{NOW, unwell, well};

    #[test]
    fn all_that_is_well_is_on_one_screen() {
        let a = "aa".repeat(32);
        let b = "bb".repeat(32);
        let want = format!(
            "agent: all is well (idle; process 4242, version 0.1.0, up 24 hours)
  looked 60 s ago, all was right 60 s ago, looks again in 14 minutes; 96 passes, 1 changed something
web1.example.com: 2 records for 10 days (zone example.com, rfc2136 at 192.0.2.53:53, TTL 3600)
  4 2 {a}
  3 2 {b}
  servers: 2 of 2 show them
  proof: clients can prove them (secure); signatures end 2027-01-22T08:00:00Z (in 7 days)
certificate /etc/ssh/ssh_host_ed25519_key-cert.pub (ssh-ed25519) ends 2027-02-14T08:00:00Z (in 30 days)
failures since it started: timeout 2"
        );
        assert_eq!(text(&well(), NOW), want);
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_do() {
        let text = text(&unwell(), NOW);
        for want in [
            "agent: 6 things are not as they should be (retrying;",
            "all was right never",
            ", the last 3 failed",
            "wrong for 2 hours (clock): the clock is off\n  do: do",
            "warning: a key file can be read by others",
            "  failing for 2 hours (timeout): no answer",
            "  192.0.2.53:53: pending\n  ns2.example.com: unreachable: no answer",
            "  proof: clients cannot prove them (insecure): example.com is not signed",
            "left alone (sshanchor publish --prune takes them away):\n    1 2 cc",
            "  own records were gone 2 times",
            "rotation of ssh-ed25519 for 10 minutes: caches: caches to forget the old key, until 2027-01-15T09:00:00Z (in 60 minutes) at the least",
            "never ends",
        ] {
            assert!(text.contains(want), "{want}\n{text}");
        }
        assert!(text.lines().all(|line| !line.starts_with("in time")), "{text}");
    }

    #[test]
    fn many_names_do_not_scroll_the_screen_away_and_the_worst_come_first() {
        let mut status = well();
        let bad = unwell().owners.remove(0);
        status.owners = (0..40)
            .map(|n| Owner { owner: format!("web{n}.example.com"), ..status.owners[0].clone() })
            .collect();
        status.owners.push(bad);
        let text = text(&status, NOW);
        assert!(text.contains("and 29 more names"), "{text}");
        let first = text.lines().find(|line| line.contains(".example.com:")).unwrap();
        assert!(first.starts_with("web1.example.com: 2 records"), "{first}");
        assert!(text.contains("failing for 2 hours (timeout)"));
    }
}
