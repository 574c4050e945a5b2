//! What an agent knows of its work: told over its socket, as metrics, and kept from one run to the next.
//!
//! Moments are seconds since 1970, in JSON as RFC 3339 in UTC.

mod judged;
#[cfg(test)]
pub(crate) mod samples;
mod told;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::moment;

pub use judged::Flaw;

/// The version of the form.
pub const VERSION: u32 = 1;

/// A moment, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&moment::text(self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("{text:?} is no moment (RFC 3339, UTC)"));
        moment::parse(&text).map(Moment).ok_or_else(wrong)
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the form: [`VERSION`].
    pub version: u32,
    /// The version of the program.
    pub program: String,
    /// The agent's process.
    pub pid: u32,
    /// When it started.
    pub started: Moment,
    /// What it does now.
    pub phase: Phase,
    /// When the latest pass ended.
    pub last_pass: Option<Moment>,
    /// When a pass last found everything right, or made it so.
    pub last_success: Option<Moment>,
    /// When it looks again at the latest.
    pub next_pass: Option<Moment>,
    /// Passes since it started.
    pub passes: u64,
    /// Passes since it started that changed something.
    pub changes: u64,
    /// Failed passes in a row.
    pub failed_in_a_row: u32,
    /// Failures since it started, by their stable reason.
    pub failures: BTreeMap<String, u64>,
    /// What concerns no set alone: keys that cannot be read, a clock that is off.
    pub error: Option<Trouble>,
    /// What is to be said aloud: key files that others can read, keys that were passed over.
    pub warnings: Vec<String>,
    /// The sets of records.
    pub owners: Vec<Owner>,
    /// The host certificates of this machine.
    pub certificates: Vec<Certificate>,
    /// A rotation of host keys that is under way.
    pub rotation: Option<Rotation>,
}

/// What the agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It has not yet made a pass.
    Starting,
    /// It is at it.
    Working,
    /// All is well.
    Idle,
    /// Something failed that may pass; it tries again at `next_pass`.
    Retrying,
    /// Something is wrong that only a person can mend; it goes on looking.
    Stuck,
}

/// One set of records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The host.
    pub name: String,
    /// Where its records stand.
    pub owner: String,
    /// The zone, if it is known.
    pub zone: Option<String>,
    /// The kind of place that holds the records.
    pub backend: String,
    /// Its address, file or program.
    pub server: String,
    /// Own records that stand there, in presentation form.
    pub published: Vec<String>,
    /// Since when this set of own records is published.
    pub since: Option<Moment>,
    /// Somebody else's records.
    pub foreign: Vec<String>,
    /// The TTL, in seconds.
    pub ttl: Option<u32>,
    /// How often within the last day own records were gone, though nobody here withdrew them.
    pub vanished: u32,
    /// What each server shows.
    pub servers: Vec<Server>,
    /// Whether clients can prove it: `secure`, or what else, as `lookup` has it; none if that was not tried.
    pub proof: Option<String>,
    /// Why they cannot.
    pub proof_message: Option<String>,
    /// Until when caches may hold what was there before; none where that is no reason for clients not to prove it.
    #[serde(default)]
    pub caches_until: Option<Moment>,
    /// When the signatures over the records expire, if any are known.
    pub signatures_expire: Option<Moment>,
    /// When all was last as it should be.
    pub last_success: Option<Moment>,
    /// Why it is not as it should be.
    pub error: Option<Trouble>,
}

/// One name server, about one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its name or address.
    pub server: String,
    /// `current`, `pending` or `unreachable`.
    pub status: String,
    /// Why it is not current.
    pub detail: Option<String>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// A stable word.
    pub reason: String,
    /// The same for people.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// It will not pass by itself.
    pub hard: bool,
    /// Since when.
    pub since: Moment,
}

/// One host certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its file.
    pub path: String,
    /// Its key's type.
    pub key_type: String,
    /// When it ends; none if never.
    pub expires: Option<Moment>,
}

/// Where a rotation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The type whose key is replaced now.
    pub key_type: String,
    /// The stage: a stable word.
    pub stage: String,
    /// What it does or waits for, in words.
    pub waits_for: String,
    /// Until when at the least, where that is known.
    pub until: Option<Moment>,
    /// When it began.
    pub since: Moment,
}
