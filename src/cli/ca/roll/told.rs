//! What is told of a roll: what was done, where it is, what it waits for.

use std::path::Path;

use serde::Serialize;

use super::Leg;
use super::situation::Situation;
use crate::cli::Context;
use crate::cli::ca::Key;
use crate::output::{Report, hosts, rfc3339};
use crate::proto::issuance::ledger::{Standing, State};
use crate::proto::moment;
use crate::proto::rollover::{Lag, Step, Wait};

/// Most hosts that are told of in text; JSON has all.
const MOST: usize = 20;

/// How far it is.
#[derive(Debug)]
pub(super) enum Progress {
    Done,
    Failed,
    Next(&'static str),
    Waiting(Wait),
}

impl Progress {
    pub(super) fn of(leg: Leg) -> Self {
        match leg {
            Leg::Done => Progress::Done,
            Leg::Failed(_) => Progress::Failed,
            Leg::Next(step) => Progress::Next(word(&step)),
            Leg::Waiting(wait) => Progress::Waiting(wait),
        }
    }

    /// The word for it in JSON.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Progress::Done => "done",
            Progress::Failed => "failed",
            Progress::Next(_) => "next",
            Progress::Waiting(Wait::Servers(_)) => "servers",
            Progress::Waiting(Wait::Caches { .. }) => "caches",
            Progress::Waiting(Wait::Hosts(_)) => "hosts",
            Progress::Waiting(Wait::Settle { .. }) => "settle",
            Progress::Waiting(Wait::Gone(_)) => "withdrawal",
        }
    }
}

/// The word for a step.
pub(super) fn word(step: &Step) -> &'static str {
    match step {
        Step::Idle | Step::Wait(_) => "wait",
        Step::Begin => "begin",
        Step::Publish { .. } => "publish",
        Step::Spread => "spread",
        Step::Lost => "lost",
        Step::Switch => "switch",
        Step::Revoke => "revoke",
        Step::Withdraw => "withdraw",
        Step::Unpublish => "unpublish",
        Step::Forget => "forget",
    }
}

/// A roll, for people and for scripts.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    folder: String,
    /// done, next, failed, or what is waited for: servers, caches, hosts, settle, withdrawal.
    status: &'static str,
    /// Steps of this run, in order.
    steps: Vec<&'static str>,
    /// With --status: the step that would come now.
    next: Option<&'static str>,
    /// Until when it waits, if that is known.
    until: Option<String>,
    at: Vec<String>,
    old: Option<Key>,
    new: Option<Key>,
    /// The new key signs.
    switched: bool,
    emergency: bool,
    aborted: bool,
    /// Those that hold it up.
    servers: Vec<Server>,
    /// Those that have no certificate of the new key; in an emergency all that are refused.
    hosts: Vec<Host>,
    skipped: Vec<String>,
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize)]
struct Server {
    at: String,
    server: String,
    /// Why it did not say anything; null if it did.
    detail: Option<String>,
}

#[derive(Debug, Serialize)]
struct Host {
    names: Vec<String>,
    key: Key,
    serial: String,
    valid_before: Option<String>,
    #[serde(skip)]
    end: u64,
}

impl From<&Standing> for Host {
    fn from(standing: &Standing) -> Self {
        let issued = &standing.issued;
        Host {
            names: issued.principals.clone(),
            key: Key::from(issued.key),
            serial: issued.serial.to_string(),
            valid_before: rfc3339(issued.valid_before),
            end: issued.valid_before,
        }
    }
}

impl Told {
    pub(super) fn new(
        folder: &Path,
        situation: &Situation,
        progress: Progress,
        steps: Vec<&'static str>,
    ) -> Self {
        let is_under_way = situation.is_under_way();
        let roll = situation.roll.as_ref().filter(|_| is_under_way);
        let (mut servers, mut open, mut until) = (Vec::new(), Vec::new(), None);
        match &progress {
            Progress::Waiting(Wait::Servers(lagging) | Wait::Gone(lagging)) => {
                servers = lagging.iter().map(Server::from).collect();
            }
            Progress::Waiting(Wait::Caches { until: moment } | Wait::Settle { until: moment }) => {
                until = Some(*moment);
            }
            Progress::Waiting(Wait::Hosts(places)) => {
                open =
                    places.iter().filter_map(|at| situation.certificates.get(*at)).map(Host::from).collect();
            }
            _ => {}
        }
        let is_emergency = roll.is_some_and(|roll| roll.is_emergency);
        if is_emergency {
            open = refused(situation);
        }
        let mut told = Told {
            folder: folder.display().to_string(),
            status: progress.word(),
            steps,
            next: if let Progress::Next(step) = progress { Some(step) } else { None },
            until: until.and_then(rfc3339),
            at: situation.at.iter().map(ToString::to_string).collect(),
            old: is_under_way.then(|| Key::from(situation.old())),
            new: is_under_way.then(|| Key::from(situation.new_key())),
            switched: is_under_way && situation.is_switched(),
            emergency: is_emergency,
            aborted: roll.is_some_and(|roll| roll.is_aborted),
            servers,
            hosts: open,
            skipped: roll.map(|roll| roll.skipped.iter().cloned().collect()).unwrap_or_default(),
            text: String::new(),
        };
        told.text = told.lines(situation, &progress).join("\n");
        told
    }

    fn lines(&self, situation: &Situation, progress: &Progress) -> Vec<String> {
        let mut lines = Vec::new();
        if self.old.is_none() {
            lines.push(format!("no roll is under way; {} signs", situation.ca.public_key()));
            return lines;
        }
        let at = self.at.join(", ");
        lines.push(format!("from {} to {}, for {at}", situation.old(), situation.new_key()));
        let done: Vec<&str> = self.steps.iter().map(|step| past(step)).collect();
        if !done.is_empty() {
            lines.push(format!("done: {}", done.join("; ")));
        }
        match progress {
            Progress::Done if self.aborted => lines.push("given up: the old key signs as before".to_owned()),
            Progress::Done => {
                lines.push("the roll is done: only the new key signs, and stands in DNS".to_owned())
            }
            Progress::Failed => lines.push("it stays where it is; run this again".to_owned()),
            Progress::Next(step) => lines.push(format!("next: {}", future(step))),
            Progress::Waiting(Wait::Servers(_)) => {
                lines.push("waiting for these servers to show the new key:".to_owned());
            }
            Progress::Waiting(Wait::Gone(_)) if self.emergency => {
                lines.push("waiting for these servers to show that the old key is revoked:".to_owned());
            }
            Progress::Waiting(Wait::Gone(_)) => {
                lines.push("waiting for these servers to show the old key no more:".to_owned());
            }
            Progress::Waiting(Wait::Caches { until }) => lines.push(format!(
                "waiting until {} ({}): caches may hold the CA set without the new key until then",
                moment::text(*until),
                moment::span(until.saturating_sub(situation.now))
            )),
            Progress::Waiting(Wait::Settle { until }) => lines.push(format!(
                "waiting until {} ({}): hosts load the certificates that were signed last",
                moment::text(*until),
                moment::span(until.saturating_sub(situation.now))
            )),
            Progress::Waiting(Wait::Hosts(_)) => lines.push(format!(
                "the new key signs; waiting for {} to have a certificate of it (ca renew, or ca sign):",
                hosts(self.hosts.len())
            )),
        }
        for server in &self.servers {
            let detail = server.detail.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            lines.push(format!("  {} for {}{detail}", server.server, server.at));
        }
        if self.emergency && !self.hosts.is_empty() {
            lines.push(format!(
                "{} refused until they have a certificate of the new key (ca renew, or ca sign):",
                match self.hosts.len() {
                    1 => "1 host is".to_owned(),
                    count => format!("{count} hosts are"),
                }
            ));
        }
        for host in self.hosts.iter().take(MOST) {
            let end = moment::text(host.end);
            lines.push(format!("  {} ({}, good until {end})", host.names.join(","), host.key.key_type));
        }
        if self.hosts.len() > MOST {
            lines.push(format!("  and {} more (--json has all)", self.hosts.len() - MOST));
        }
        lines
    }

    /// What to do next, and what there is to know.
    pub(super) fn notes(&self, cx: &Context) {
        match self.status {
            "hosts" => cx.out.note("hosts that are gone: sshanchor ca roll --skip HOST, or ca revoke --host HOST"),
            "servers" | "withdrawal" => cx.out.note(
                "a server that is gone: take it out of the zone's NS records, or name those that there are: --check-server",
            ),
            "done" if self.steps.contains(&"forget") && !self.aborted => cx.out.note(&format!(
                "the old private key signs no more: destroy it where it is (in {}, or with the agent)",
                self.folder
            )),
            _ => {}
        }
        if self.steps.contains(&"switch") && !self.emergency {
            cx.out.note(
                "the journal knows the certificates that this CA has signed: what ssh-keygen -s or another program signed \
                 with the old key is not waited for",
            );
        }
    }
}

/// In an emergency: every certificate of the old key that would be good, without one of the new key for the same host key
/// and names.
fn refused(situation: &Situation) -> Vec<Host> {
    let (old, new) = (situation.old().sha256(), situation.new_key().sha256());
    // For who asks what breaks, the old key counts as good.
    let as_if: Vec<Standing> = situation
        .certificates
        .iter()
        .map(|standing| {
            let is_good = standing.issued.ca_sha256 == old && situation.now < standing.issued.valid_before;
            let state = if is_good { State::Valid } else { standing.state };
            Standing { state, ..standing.clone() }
        })
        .collect();
    let open = crate::proto::rollover::outstanding(&as_if, &old, &new, &std::collections::BTreeSet::new());
    open.iter().filter_map(|at| as_if.get(*at)).map(Host::from).collect()
}

impl From<&Lag> for Server {
    fn from(lag: &Lag) -> Self {
        Server { at: lag.at.clone(), server: lag.server.clone(), detail: lag.silence.clone() }
    }
}

impl Report for Told {
    fn text(&self) -> String {
        self.text.clone()
    }
}

fn past(step: &str) -> &'static str {
    match step {
        "begin" => "begun",
        "publish" => "the new key is published beside the old one",
        "spread" => "every server shows it",
        "lost" => "a server shows it no more",
        "switch" => "the new key signs",
        "revoke" => "the old key is revoked",
        "withdraw" => "the old key is withdrawn",
        "unpublish" => "the new key is withdrawn",
        _ => "the CA has one key",
    }
}

fn future(step: &str) -> &'static str {
    match step {
        "begin" => "write down that it begins",
        "publish" => "publish the new key beside the old one",
        "spread" => "write down that every server shows the new key",
        "lost" => "write down that a server shows the new key no more",
        "switch" => "sign with the new key",
        "revoke" => "revoke the old key",
        "withdraw" => "withdraw the old key",
        "unpublish" => "withdraw the new key",
        _ => "have the CA forget the other key",
    }
}
