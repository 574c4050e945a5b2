//! From what was done to what is known, and what of it is new: said once, not at each look.

use super::memory::Set;
use super::work::Done;
use crate::agent::proof::Proof;
use crate::agent::published::Published;
use crate::agent::readback;
use crate::error::Error;
use crate::log::{Event, Level, Sink};
use crate::proto::failing;
use crate::proto::name::Name;
use crate::proto::schedule::Ended;
use crate::proto::sshfp::Sshfp;
use crate::proto::status::{Moment, Owner, Server, Trouble};
use crate::proto::vanished::Judgement;

/// How one set is.
pub fn ended(owner: &Owner) -> Ended {
    let lags = owner.servers.iter().any(|server| server.status != CURRENT);
    match &owner.error {
        Some(trouble) if trouble.hard => Ended::Hard,
        Some(_) => Ended::Soft,
        None if lags || owner.proof.as_deref() != Some(SECURE) => Ended::Pending,
        None => Ended::Right,
    }
}

const CURRENT: &str = "current";
const SECURE: &str = "secure";

/// An error as it is shown; `before` is what was wrong until now.
pub fn trouble(error: &Error, before: Option<&Trouble>, now: u64) -> Trouble {
    let since = before.filter(|before| before.reason == error.reason).map_or(Moment(now), |b| b.since);
    Trouble {
        reason: error.reason.to_owned(),
        message: error.message.clone(),
        hint: error.hint.clone(),
        hard: failing::is_hard(error.reason),
        since,
    }
}

/// Why the records do no good although they are published.
fn unproven(published: &Published) -> Option<Error> {
    let proof = published.proof.as_ref().filter(|proof| proof.speaks_against())?;
    let message = format!("published, but clients cannot prove {}: {}", published.owner, proof.message());
    let reason = proof.reason.unwrap_or("insecure");
    Some(
        Error::failure(reason, message)
            .hint("sshanchor doctor says what is wrong with the zone and its delegation"),
    )
}

/// What is now known of a set, and is to be remembered in `set`.
pub fn owner(done: &Done, set: &mut Set, now: u64) -> Owner {
    let published = &done.published;
    let error = published.error.clone().or_else(|| done.locked_out.clone()).or_else(|| unproven(published));
    if published.error.is_none() {
        let own = &done.target.wish.wanted;
        if set.memory.standing != *own || set.since.is_none() {
            set.since = Some(now);
        }
        set.memory.stands(own);
    }
    set.failing = error.as_ref().map(|error| match set.failing.take() {
        Some((reason, since)) if reason == error.reason => (reason, since),
        _ => (error.reason.to_owned(), now),
    });
    if error.is_none() {
        set.last_success = Some(now);
    }
    let since = set.failing.as_ref().map_or(now, |(_, since)| *since);
    let error = error.map(|error| Trouble { since: Moment(since), ..trouble(&error, None, now) });
    let proof = published.proof.as_ref();
    let caches_until = proof.filter(|proof| proof.may_be_of_a_cache()).and_then(|_| {
        // A resolver has had what was there before for no longer than that was there.
        let until = set.since?.saturating_add(published.ttl?.into());
        (until > now).then_some(Moment(until))
    });
    Owner {
        name: published.name.to_string(),
        owner: published.owner.to_string(),
        zone: published.zone.as_ref().map(Name::to_string),
        backend: published.backend.to_owned(),
        server: published.server.to_string(),
        published: set.memory.standing.iter().map(Sshfp::to_string).collect(),
        since: set.since.map(Moment),
        foreign: published.foreign.iter().map(Sshfp::to_string).collect(),
        ttl: published.ttl,
        vanished: u32::try_from(set.memory.lately(now)).unwrap_or(u32::MAX),
        servers: published.read_back.iter().map(server).collect(),
        proof: proof.map(|p| if p.is_secure() { SECURE } else { p.reason.unwrap_or("unproven") }.to_owned()),
        proof_message: proof.filter(|p| !p.is_secure()).map(|p| Proof::message(p).to_owned()),
        caches_until,
        signatures_expire: done.signatures_expire.map(Moment),
        last_success: set.last_success.map(Moment),
        error,
    }
}

/// Says what became of records that were to be taken away, as the machine is switched off.
pub fn gone(log: &dyn Sink, done: &Published) {
    let (level, message, reason) = match &done.error {
        Some(error) => (Level::Error, error.message.clone(), error.reason),
        None => {
            let removed = done.removed.len();
            let message =
                format!("{} was withdrawn, for the machine is switched off: {removed} removed", done.owner);
            (Level::Notice, message, "")
        }
    };
    let owner = done.owner.to_string();
    let fields = [("owner", owner.as_str()), ("reason", reason)];
    let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    log.say(&Event { level, message: &message, fields: &fields });
}

fn server(seen: &readback::Seen) -> Server {
    let status = match seen.status {
        readback::Status::Current => CURRENT,
        readback::Status::Pending => "pending",
        readback::Status::Unreachable => "unreachable",
    };
    Server { server: seen.server.to_string(), status: status.to_owned(), detail: seen.detail.clone() }
}

/// Says what was done to a set, and what is new of it.
pub fn tell(log: &dyn Sink, done: Option<&Done>, before: Option<&Owner>, now: &Owner) {
    let say = |level, message: String, more: &[(&'static str, &str)]| {
        let zone = now.zone.as_deref().unwrap_or_default();
        let mut fields = vec![("owner", now.owner.as_str()), ("zone", zone), ("server", now.server.as_str())];
        fields.extend(more);
        fields.retain(|(_, value)| !value.is_empty());
        log.say(&Event { level, message: &message, fields: &fields });
    };
    let name = &now.owner;
    if let Some(done) = done {
        let vanished = now.vanished.to_string();
        if done.judgement == Judgement::PutBack {
            let message = format!("own records at {name} were gone: putting them back");
            say(Level::Warning, message, &[("vanished", &vanished)]);
        }
        let (added, removed) = (&done.published.added, &done.published.removed);
        if done.published.changed {
            let (added, removed) = (added.len().to_string(), removed.len().to_string());
            let message = format!("{name} was changed: {added} added, {removed} removed");
            say(Level::Notice, message, &[("added", &added), ("removed", &removed)]);
        }
    }
    let reason = |owner: &Owner| owner.error.as_ref().map(|trouble| trouble.reason.clone());
    match (&now.error, before.and_then(reason)) {
        (Some(trouble), before) => {
            let level = match (before.as_ref() == Some(&trouble.reason), trouble.hard) {
                (true, _) => Level::Debug,
                (false, true) => Level::Error,
                (false, false) => Level::Warning,
            };
            let hint = trouble.hint.as_deref().unwrap_or_default();
            say(level, trouble.message.clone(), &[("reason", &trouble.reason), ("hint", hint)]);
        }
        (None, Some(_)) => say(Level::Notice, format!("{name} is as it should be again"), &[]),
        (None, None) => say(Level::Debug, format!("{name} is as it should be"), &[]),
    }
    if !now.foreign.is_empty() && before.is_none_or(|before| before.foreign != now.foreign) {
        let message = format!("{name} has records that are not this machine's: {}", now.foreign.join(", "));
        say(Level::Warning, message, &[("hint", "if they are nobody's any more: sshanchor publish --prune")]);
    }
    for server in &now.servers {
        let then = before.and_then(|b| b.servers.iter().find(|then| then.server == server.server));
        let (was_current, is_current) =
            (then.is_none_or(|then| then.status == CURRENT), server.status == CURRENT);
        let detail = server.detail.as_deref().unwrap_or("no detail");
        match (was_current, is_current) {
            (true, false) => {
                say(Level::Warning, format!("pending at {} for {name}: {detail}", server.server), &[])
            }
            (false, true) => say(Level::Notice, format!("{} shows {name} as it should", server.server), &[]),
            _ => {}
        }
    }
    let is_passing = now.error.is_none() && now.proof.as_deref() != Some(SECURE);
    if is_passing && before.is_none_or(|before| before.proof != now.proof) {
        let why = now.proof_message.as_deref().unwrap_or("no proof was had in time");
        say(Level::Info, format!("pending: clients cannot yet prove {name}: {why}"), &[]);
    } else if now.proof.as_deref() == Some(SECURE) && before.is_none_or(|before| before.proof != now.proof) {
        say(Level::Info, format!("{name} is proven as clients will prove it"), &[]);
    }
}
