//! What is told of a rotation: what was done, where it is, what it waits for.

use serde::Serialize;

use crate::agent::rotation::{Outcome, Progress, Prospect, word};
use crate::output::{Report, rfc3339};
use crate::proto::moment;
use crate::proto::rollover::Lag;
use crate::proto::rotation::{Change, Digest, Mode, Round, Wait};

/// A line of JSON, and the same for people.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// done, next, or what is waited for: servers, caches, announce, settle, proof, withdrawal.
    status: &'static str,
    /// Steps of this run, in order.
    steps: Vec<&'static str>,
    /// With --status: the step that would come now.
    next: Option<&'static str>,
    /// Until when it waits, if that is known.
    until: Option<String>,
    /// hide, overlap or compromised.
    mode: Option<Mode>,
    /// What is under way; where nothing is, what this run has brought to its end, or would begin with.
    changes: Vec<Key>,
    /// Types whose turn comes, the present one first.
    queue: Vec<&'static str>,
    /// It was given up.
    aborted: bool,
    /// Those that hold it up.
    servers: Vec<Server>,
    /// Why it cannot be proven yet.
    detail: Option<String>,
    /// What is to be known besides: how long a key that has leaked can be believed, certificates.
    notes: Vec<String>,
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize)]
struct Key {
    #[serde(rename = "type")]
    key_type: &'static str,
    path: String,
    /// SHA-256, hex; null for a type that the host did not have.
    old: Option<String>,
    /// Null until it is made.
    new: Option<String>,
}

#[derive(Debug, Serialize)]
struct Server {
    owner: String,
    server: String,
    /// Why it did not say anything; null if it did.
    detail: Option<String>,
}

impl Key {
    fn of(change: &Change) -> Self {
        let hex = |digest: Digest| data_encoding::HEXLOWER.encode(&digest);
        let (old, new) = (change.old.map(hex), change.new.map(hex));
        Key { key_type: change.key_type.name(), path: change.path.clone(), old, new }
    }
}

impl Told {
    pub(super) fn new(progress: &Progress) -> Self {
        let Progress { record, now, .. } = progress;
        let past = progress.ended.iter();
        let round = record.round.as_ref();
        let changes: Vec<&Change> = match round {
            Some(round) => round.changes.iter().collect(),
            None => past.clone().map(|past| &past.change).collect(),
        };
        let mut told = Told {
            status: status(&progress.outcome),
            steps: progress.steps.clone(),
            next: None,
            until: None,
            mode: round.map(|round| round.mode).or(past.clone().next_back().map(|past| past.mode)),
            changes: changes.iter().map(|change| Key::of(change)).collect(),
            queue: record.queue.iter().map(|key_type| key_type.name()).collect(),
            aborted: round.map_or(past.clone().any(|past| past.aborted), |round| round.aborted.is_some()),
            servers: Vec::new(),
            detail: None,
            notes: progress.notes.clone(),
            text: String::new(),
        };
        let mut lines: Vec<String> = past.map(|past| ended_line(&past.change, past.aborted)).collect();
        if let Some(round) = round {
            lines.push(heading(round));
            let done: Vec<&str> = progress.steps.iter().filter_map(|step| done(step)).collect();
            if !done.is_empty() {
                lines.push(format!("done: {}", done.join("; ")));
            }
        }
        match &progress.outcome {
            Outcome::Done if lines.is_empty() => lines.push("no rotation is under way".to_owned()),
            Outcome::Done => {}
            Outcome::Next(step) => {
                told.next = Some(word(step));
                lines.push(format!("next: {}", future(word(step))));
            }
            Outcome::Waiting(wait) => {
                told.until = wait.until().and_then(rfc3339);
                lines.push(waiting(wait, *now));
                if let Wait::Servers(lags) | Wait::Gone(lags) = wait {
                    lines.extend(lags.iter().map(lag_line));
                    told.servers = lags.iter().map(Server::from).collect();
                }
                if let Wait::Proof(why) = wait {
                    told.detail = Some(why.clone());
                }
            }
        }
        let later: Vec<&str> = told.queue.iter().skip(usize::from(round.is_some())).copied().collect();
        if !later.is_empty() {
            lines.push(format!("after that: {}", later.join(", ")));
        }
        told.text = lines.join("\n");
        told
    }

    /// With --dry-run, where nothing is under way.
    pub(super) fn would_begin(prospect: &Prospect) -> Self {
        let Prospect { wish, types, first, .. } = prospect;
        let queue: Vec<&str> = types.iter().map(|key_type| key_type.name()).collect();
        let mut lines = vec![format!("would replace the host keys of type {}", queue.join(", "))];
        if let Some(first) = first {
            lines.push(format!("first: {}", heading(first)));
            lines.extend(way(first, wish.margin));
        }
        Told {
            status: "next",
            steps: Vec::new(),
            next: Some("begin"),
            until: None,
            mode: Some(wish.mode),
            changes: first.iter().flat_map(|round| &round.changes).map(Key::of).collect(),
            queue,
            aborted: false,
            servers: Vec::new(),
            detail: None,
            notes: Vec::new(),
            text: lines.join("\n"),
        }
    }
}

/// How clients are kept from harm in a round that is to come; `margin` in seconds.
fn way(round: &Round, margin: u64) -> Vec<String> {
    let caches = moment::span(u64::from(round.ttl).saturating_add(margin));
    let announced = (round.announce > 0).then(|| {
        let announce = moment::span(round.announce);
        format!("before: sshd tells known_hosts users of the new key for {announce}")
    });
    let meanwhile = match (round.mode, round.is_hiding) {
        (Mode::Overlap, _) => "both keys stand in DNS, and OpenSSH with VerifyHostKeyDNS refuses the host",
        (Mode::Hide, _) => "sshd does not offer the type",
        (Mode::Compromised, true) => "the old key has left DNS, and sshd does not offer the type",
        (Mode::Compromised, false) => {
            "the old key has left DNS; clients whose caches hold its record refuse the host"
        }
    };
    let meanwhile = format!("until caches have expired ({caches} once every server is right): {meanwhile}");
    announced.into_iter().chain([meanwhile]).collect()
}

/// The word for where it is.
pub(super) fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Next(_) => "next",
        Outcome::Waiting(Wait::Servers(_)) => "servers",
        Outcome::Waiting(Wait::Caches { .. }) => "caches",
        Outcome::Waiting(Wait::Announce { .. }) => "announce",
        Outcome::Waiting(Wait::Settle { .. }) => "settle",
        Outcome::Waiting(Wait::Proof(_)) => "proof",
        Outcome::Waiting(Wait::Gone(_)) => "withdrawal",
    }
}

fn heading(round: &Round) -> String {
    let keys: Vec<String> =
        round.changes.iter().map(|change| format!("{} ({})", change.path, change.key_type)).collect();
    let what = match (round.aborted.is_some(), round.changes.iter().all(|change| change.old.is_none())) {
        (true, _) => "going back to the old key at",
        (false, true) => "first another type, which serves meanwhile:",
        (false, false) => "replacing",
    };
    format!("{what} {}", keys.join(", "))
}

fn ended_line(change: &Change, aborted: bool) -> String {
    match (aborted, change.old) {
        (true, _) => format!("given up: {} is as it was", change.path),
        (false, None) => format!("{} is there and in DNS ({})", change.path, change.key_type),
        (false, Some(_)) => format!("{} is replaced ({})", change.path, change.key_type),
    }
}

fn waiting(wait: &Wait, now: u64) -> String {
    let until =
        |until: &u64| format!("{} ({})", moment::text(*until), moment::span(until.saturating_sub(now)));
    match wait {
        Wait::Servers(_) => "waiting for these servers to show what is published:".to_owned(),
        Wait::Gone(_) => "waiting for these servers to show the old key no more:".to_owned(),
        Wait::Caches { until: moment } => {
            format!("waiting until {}: caches may hold the records of before until then", until(moment))
        }
        Wait::Announce { until: moment } => {
            format!("waiting until {}: sshd tells known_hosts users of the new key", until(moment))
        }
        Wait::Settle { until: moment } => {
            format!("waiting until {}: for handshakes that began with the old key", until(moment))
        }
        Wait::Proof(why) => format!("waiting for a proof of the new records: {why}"),
    }
}

fn lag_line(lag: &Lag) -> String {
    let detail = lag.silence.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("  {} for {}{detail}", lag.server, lag.at)
}

impl From<&Lag> for Server {
    fn from(lag: &Lag) -> Self {
        Server { owner: lag.at.clone(), server: lag.server.clone(), detail: lag.silence.clone() }
    }
}

impl Report for Told {
    fn text(&self) -> String {
        self.text.clone()
    }
}

/// What a step has brought, where that is worth a word.
fn done(step: &str) -> Option<&'static str> {
    Some(match step {
        "prepare" => "the next key is made",
        "announce" => "sshd tells of it",
        "hide" => "sshd does not offer the type",
        "replace" => "the key is replaced",
        "publish" => "it is published",
        "spread" => "every server shows it",
        "lost" => "a server shows other records again",
        "prove" => "proven as clients do",
        "show" => "sshd shows it",
        _ => return None,
    })
}

fn future(step: &str) -> &'static str {
    match step {
        "prepare" => "make the next key",
        "ground" => "write down that every server shows the other keys",
        "announce" => "have sshd tell of the next key",
        "hide" => "have sshd not offer the type",
        "replace" => "replace the key",
        "publish" => "publish what sshd has",
        "spread" => "write down that every server shows it",
        "lost" => "write down that a server shows other records again",
        "prove" => "prove the records as clients do",
        "show" => "have sshd offer the type, with the key that is to stay",
        "withdraw" => "withdraw the old key",
        _ => "do away with the old key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::hostkey::KeyType;
    use crate::proto::rotation::Wish;

    fn text(wish: Wish, first: Option<Round>) -> String {
        let types = vec![KeyType::Ed25519, KeyType::EcdsaP256];
        Told::would_begin(&Prospect { wish, types, first, warnings: Vec::new() }).text
    }

    #[test]
    fn what_would_be_done_is_told_with_its_first_round() {
        let wish = |mode| Wish { mode, announce: 0, margin: 600, ..Wish::default() };
        let round = |mode, is_hiding, announce| {
            let path = "/etc/ssh/ssh_host_ed25519_key".to_owned();
            let change = Change { key_type: KeyType::Ed25519, path, old: Some([1; 32]), new: None };
            Round { is_hiding, announce, ttl: 3600, ..Round::new(mode, vec![change], 0) }
        };
        assert_eq!(
            text(wish(Mode::Hide), Some(round(Mode::Hide, true, 86_400 * 7))),
            "would replace the host keys of type ssh-ed25519, ecdsa-sha2-nistp256\n\
             first: replacing /etc/ssh/ssh_host_ed25519_key (ssh-ed25519)\n\
             before: sshd tells known_hosts users of the new key for 7 days\n\
             until caches have expired (70 minutes once every server is right): sshd does not offer the type"
        );
        for (mode, is_hiding, told) in [
            (Mode::Overlap, false, "VerifyHostKeyDNS refuses the host"),
            (Mode::Compromised, true, "sshd does not offer the type"),
            (Mode::Compromised, false, "whose caches hold its record refuse the host"),
        ] {
            let text = text(wish(mode), Some(round(mode, is_hiding, 0)));
            assert!(text.ends_with(told) && !text.contains("before:"), "{text}");
        }
        // Where something is under way, it is only said what would join.
        assert_eq!(text(wish(Mode::Compromised), None).lines().count(), 1);
    }
}
