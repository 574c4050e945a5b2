//! What became of one set of records: of a host, of a CA, of what is revoked.

use std::sync::Arc;

use serde::Serialize;

use super::pass::Target;
use super::proof::Proof;
use super::readback::Seen;
use super::reconcile::Outcome;
use crate::backend::site::Site;
use crate::error::{self, Error};
use crate::proto::name::Name;
use crate::proto::plan::{Intent, text, text_if_known, texts};
use crate::proto::publication::Signing;
use crate::proto::sshfp::{self, Sshfp, SshfpSet};

/// What a set of records is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A host's keys.
    Host,
    /// The keys of the CAs that vouch for hosts.
    Ca,
    /// Keys that nobody is to accept any more.
    Revoked,
}

/// What holds the records, for the results that tell of it.
#[derive(Debug, Clone)]
pub struct SiteName {
    /// See [`Site::kind`].
    pub kind: &'static str,
    /// See [`Site::label`].
    pub label: Arc<str>,
}

impl SiteName {
    /// That place.
    pub fn of(site: &Site) -> Self {
        SiteName { kind: site.kind(), label: site.label().into() }
    }
}

/// What became of one set.
#[derive(Debug, Serialize)]
pub struct Published {
    /// The host, or the domain of the CA.
    #[serde(serialize_with = "text")]
    pub name: Name,
    /// Where its records stand.
    #[serde(serialize_with = "text")]
    pub owner: Name,
    /// The zone, if it is known.
    #[serde(serialize_with = "text_if_known")]
    pub zone: Option<Name>,
    /// The kind of place that holds the records.
    pub backend: &'static str,
    /// Its address, file or program.
    #[serde(serialize_with = "text")]
    pub server: Arc<str>,
    /// The records were changed.
    pub changed: bool,
    /// There is something to change; with --dry-run and --check the lists say what.
    pub pending: bool,
    /// Records that were added, or would be.
    #[serde(serialize_with = "texts")]
    pub added: SshfpSet,
    /// Records that were removed, or would be.
    #[serde(serialize_with = "texts")]
    pub removed: SshfpSet,
    /// Own records that stay.
    #[serde(serialize_with = "texts")]
    pub kept: SshfpSet,
    /// Somebody else's records.
    #[serde(serialize_with = "texts")]
    pub foreign: SshfpSet,
    /// The TTL of the set, in seconds.
    pub ttl: Option<u32>,
    /// The TTL that is there before the change.
    #[serde(skip)]
    pub ttl_before: Option<u32>,
    /// Whether the zone is signed; none where nobody knows, or it does not matter.
    pub zone_signing: Option<Signing>,
    /// What each server shows.
    pub read_back: Vec<Seen>,
    /// Whether it can be proven, if that was tried.
    pub proof: Option<Proof>,
    /// Why it is not as it should be.
    #[serde(flatten, serialize_with = "error::fields")]
    pub error: Option<Error>,
}

impl Published {
    /// What became of the records of `name`. `looks_only`: nothing was meant to change.
    pub fn new(name: &Name, zone: &Name, place: &SiteName, outcome: Outcome, looks_only: bool) -> Self {
        let Outcome { owner, plan, mut added, mut removed, changed, error } = outcome;
        let pending = plan.as_ref().is_some_and(|plan| !plan.is_empty());
        let (mut kept, mut foreign, mut ttl, mut ttl_before) = (SshfpSet::new(), SshfpSet::new(), None, None);
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
            name: name.clone(),
            owner,
            zone: Some(zone.clone()),
            backend: place.kind,
            server: place.label.clone(),
            changed,
            pending,
            added,
            removed,
            kept,
            foreign,
            ttl,
            ttl_before,
            zone_signing: None,
            read_back: Vec::new(),
            proof: None,
            error,
        }
    }

    /// A host for which not even the zone is known.
    pub fn failed(name: &Name, owner: &Name, place: &SiteName, error: Error) -> Self {
        let outcome = Outcome { error: Some(error), ..Outcome::open(owner) };
        Published { zone: None, ..Published::new(name, &Name::root(), place, outcome, false) }
    }

    /// What is to be said of the zone of these results, once for all of them. Where it was tried to prove them, that tells
    /// better.
    pub fn warning_of_zone(results: &[Published]) -> Option<String> {
        let is_unsigned = |p: &&Published| p.zone_signing == Some(Signing::Unsigned) && p.error.is_none();
        let unsigned =
            results.iter().find(is_unsigned).filter(|_| results.iter().all(|p| p.proof.is_none()))?;
        Some(format!(
            "zone {} is not signed at {}: until it is signed and its DS record stands above it, these records prove nothing \
             (if a signer behind that server does it, have it proven: --resolver ADDR; --require-signed refuses what cannot be \
             proven)",
            unsigned.zone.as_ref().map_or_else(|| "unknown".to_owned(), Name::to_string),
            unsigned.server
        ))
    }

    /// What there is to be said aloud.
    pub fn warnings(&self, target: &Target) -> Vec<String> {
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
}
