//! The result of `publish` and `withdraw` for one host.

use std::collections::BTreeSet;

use serde::Serialize;

use super::primary::Target;
use super::proof::Proof;
use crate::agent::readback::{Seen, Status};
use crate::agent::reconcile::Outcome;
use crate::backend::site::Site;
use crate::error::Error;
use crate::output::{Output, Report};
use crate::proto::name::Name;
use crate::proto::plan::{Intent, texts};
use crate::proto::sshfp::{self, Sshfp};

/// What a set of records is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Role {
    /// A host's keys.
    Host,
    /// The keys of the CAs that vouch for hosts.
    Ca,
    /// Keys that nobody is to accept any more.
    Revoked,
}

#[derive(Debug, Serialize)]
pub(super) struct Published {
    /// The host, or the domain of the CA.
    pub(super) name: String,
    /// Where its records stand.
    pub(super) owner: String,
    zone: Option<String>,
    /// The kind of place that holds the records.
    backend: &'static str,
    /// Its address, file or program.
    server: String,
    /// The records were changed.
    pub(super) changed: bool,
    /// There is something to change; with --dry-run and --check the lists say what.
    pub(super) pending: bool,
    #[serde(serialize_with = "texts")]
    added: BTreeSet<Sshfp>,
    #[serde(serialize_with = "texts")]
    removed: BTreeSet<Sshfp>,
    #[serde(serialize_with = "texts")]
    kept: BTreeSet<Sshfp>,
    #[serde(serialize_with = "texts")]
    pub(super) foreign: BTreeSet<Sshfp>,
    /// The TTL of the set, in seconds.
    ttl: Option<u32>,
    /// The TTL that is there before the change.
    #[serde(skip)]
    ttl_before: Option<u32>,
    pub(super) read_back: Vec<Seen>,
    pub(super) proof: Option<Proof>,
    #[serde(flatten, serialize_with = "failure")]
    pub(super) error: Option<Error>,
}

/// The fields of [`Output::error`], null where all is well.
fn failure<S: serde::Serializer>(error: &Option<Error>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Failure<'a> {
        error: Option<&'a str>,
        reason: Option<&'a str>,
        hint: Option<&'a str>,
    }
    let hint = error.as_ref().and_then(|e| e.hint.as_deref());
    let (error, reason) = (error.as_ref().map(|e| e.message.as_str()), error.as_ref().map(|e| e.reason));
    Failure { error, reason, hint }.serialize(serializer)
}

impl Published {
    /// What became of the records of `name`. `looks_only`: nothing was meant to change.
    pub(super) fn new(name: &Name, zone: &Name, site: &Site, outcome: Outcome, looks_only: bool) -> Self {
        let Outcome { owner, plan, mut added, mut removed, changed, error } = outcome;
        let pending = plan.as_ref().is_some_and(|plan| !plan.is_empty());
        let (mut kept, mut foreign, mut ttl, mut ttl_before) = (BTreeSet::new(), BTreeSet::new(), None, None);
        if let Some(plan) = plan {
            if looks_only {
                (added, removed) = (plan.add, plan.remove);
            }
            kept = plan.keep.difference(&added).cloned().collect();
            foreign = plan.foreign;
            ttl_before = plan.present.ttl;
            let stays = !kept.is_empty() || !foreign.is_empty() || !added.is_empty();
            ttl = stays.then_some(plan.ttl);
        }
        Published {
            name: name.to_string(),
            owner: owner.to_string(),
            zone: Some(zone.to_string()),
            backend: site.kind(),
            server: site.label(),
            changed,
            pending,
            added,
            removed,
            kept,
            foreign,
            ttl,
            ttl_before,
            read_back: Vec::new(),
            proof: None,
            error,
        }
    }

    /// A host for which not even the zone is known.
    pub(super) fn failed(name: &Name, owner: &Name, site: &Site, error: Error) -> Self {
        let outcome = Outcome { error: Some(error), ..Outcome::open(owner) };
        Published { zone: None, ..Published::new(name, &Name::root(), site, outcome, false) }
    }

    /// A line of JSON in any case; for people the result, or the error.
    pub(super) fn print(&self, out: &Output) -> Result<(), Error> {
        if out.json || self.error.is_none() {
            out.result(self)?;
        }
        if let Some(error) = &self.error {
            out.error_text(error);
        }
        Ok(())
    }

    /// What there is to be said aloud.
    pub(super) fn warnings(&self, target: &Target) -> Vec<String> {
        let (owner, mut warnings) = (&self.owner, Vec::new());
        let stay = match target.wish.intent {
            Intent::Publish { .. } | Intent::Add { .. } => "they stay, unless --prune is given",
            Intent::Withdraw | Intent::Remove { .. } => "they stay",
        };
        let records = || self.foreign.iter().map(Sshfp::to_string).collect::<Vec<_>>().join(", ");
        let has_foreign = !self.foreign.is_empty();
        match target.role {
            Role::Host if has_foreign => {
                warnings.push(format!("{owner} has records that are not this machine's ({stay}): {}", records()));
            }
            Role::Ca if has_foreign => warnings.push(format!(
                "{owner} has CA keys that were not published from here ({stay}): somebody else's CA vouches for the hosts \
                 of {}: {}",
                self.name,
                records()
            )),
            // Whoever revokes a key may: it only ever takes accepts away.
            _ => {}
        }
        if self.foreign.iter().any(|record| record.fingerprint_type() == sshfp::SHA1) {
            let nothing = if target.role == Role::Revoked { "revoke" } else { "prove" };
            warnings.push(format!("{owner} has SHA-1 records, which {nothing} nothing"));
        }
        if let Some(proof) = self.proof.as_ref().filter(|proof| !proof.is_secure()) {
            let what = if proof.speaks_against() {
                "published, but clients cannot prove"
            } else {
                "pending: clients cannot yet prove"
            };
            warnings.push(format!("{what} {owner}: {}", proof.message()));
        }
        warnings
    }

    fn heading(&self) -> String {
        let place = format!("zone {} at {}", self.zone.as_deref().unwrap_or("unknown"), self.server);
        let counts: Vec<String> = [(&self.added, "add"), (&self.removed, "remove")]
            .into_iter()
            .filter(|(records, _)| !records.is_empty())
            .map(|(records, what)| match self.changed {
                true => format!("{} {}", past(what), records.len()),
                false => format!("{} to {what}", records.len()),
            })
            .collect();
        let mut parts = counts;
        match (self.ttl_before, self.ttl) {
            (Some(before), Some(ttl)) if before != ttl => parts.push(format!("TTL {before} -> {ttl}")),
            (_, Some(ttl)) if !parts.is_empty() => parts.push(format!("TTL {ttl}")),
            _ => {}
        }
        if parts.is_empty() {
            let what = if self.changed { "TTL set" } else { "nothing to change" };
            parts.push(what.to_owned());
        }
        format!("; {}: {} ({place})", self.owner, parts.join(", "))
    }
}

fn past(what: &str) -> &'static str {
    if what == "add" { "added" } else { "removed" }
}

/// A heading as a zone file comment, then the set as a difference; each line holds a record just as
/// `ssh-keygen -r` prints it.
impl Report for Published {
    fn text(&self) -> String {
        let lines = |mark: &'static str, records: &BTreeSet<Sshfp>| {
            records.iter().map(|r| format!("{mark} {}", r.line(&self.owner))).collect::<Vec<_>>()
        };
        let mut text = vec![self.heading()];
        text.extend(lines("-", &self.removed));
        text.extend(lines("+", &self.added));
        text.extend(lines(" ", &self.kept));
        if self.proof.as_ref().is_some_and(Proof::is_secure) {
            text.push("; proven as clients will prove it".to_owned());
        }
        let current = self.read_back.iter().filter(|seen| seen.status == Status::Current);
        let servers: Vec<&str> = current.map(|seen| seen.server.as_str()).collect();
        if self.changed && !servers.is_empty() {
            text.push(format!("; read back from {}", servers.join(", ")));
        }
        text.join("\n")
    }
}
