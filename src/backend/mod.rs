//! Where a plan goes: four kinds of place that hold a zone's records, behind one trait.

pub mod exec;
pub mod powerdns;
pub mod rfc2136;
pub mod site;
pub mod wildcard;
pub mod zonefile;

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::error::Error;
use crate::proto::name::Name;
use crate::proto::plan::{MAX_TTL, Plan, Present};

/// How many owners are read at a time, where that is cheap.
const READS: usize = 32;

/// What a backend can do, and what it cannot; whoever uses it adapts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Plans take effect only if what they were made for still stands. Without it two publishers can undo each other
    /// between a look and a change, so that what was done is looked at again after a while.
    pub compare_and_swap: bool,
    /// Its word on a change is authenticated, and what it shows is not.
    pub vouches: bool,
    /// Least and greatest TTL that records may have, in seconds.
    pub min_ttl: u32,
    /// See `min_ttl`.
    pub max_ttl: u32,
    /// Most owners in one change.
    pub batch: usize,
    /// How many owners may be read at a time.
    pub reads: usize,
    /// How many changes may be under way at a time; one at a time where there is a `pace`.
    pub changes: usize,
    /// Least time from the end of one change to the next, in milliseconds: for quotas.
    #[serde(rename = "pace_ms", serialize_with = "millis")]
    pub pace: Duration,
}

fn millis<S: serde::Serializer>(pace: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(pace.as_millis()).unwrap_or(u64::MAX))
}

impl Default for Capabilities {
    /// Those of a primary that takes dynamic updates.
    fn default() -> Self {
        Capabilities {
            compare_and_swap: true,
            vouches: false,
            min_ttl: 0,
            max_ttl: MAX_TTL,
            batch: usize::MAX,
            reads: READS,
            changes: 1,
            pace: Duration::ZERO,
        }
    }
}

/// Something that holds records and takes plans.
pub trait Backend: Send + Sync + 'static {
    /// What it can do.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Brings a change to its end that an earlier run left halfway. Called before anything is read that is to be
    /// changed, and never where records are only looked at.
    fn prepare(&self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// The SSHFP RRset that stands at `owner` now.
    fn read(&self, owner: &Name) -> impl Future<Output = Result<Present, Error>> + Send;

    /// What stands at each of many owners, where that is to be had at one go: in their order, none for those that are
    /// to be read one by one.
    fn read_many(&self, owners: &[Name]) -> impl Future<Output = Vec<Option<Present>>> + Send {
        std::future::ready(vec![None; owners.len()])
    }

    /// How many of the first `plans` one [`Backend::apply`] takes; at least one if there is any.
    fn fitting(&self, plans: &[Plan]) -> usize {
        plans.len().min(self.capabilities().batch.max(1))
    }

    /// Puts `plans` into effect, all of them or none, and only if what they were made for still stands (as far as
    /// [`Capabilities::compare_and_swap`] goes).
    fn apply(&self, plans: &[Plan]) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// Why plans were not put into effect.
#[derive(Debug, Clone)]
pub enum ApplyError {
    /// Somebody else was faster: read again, plan again.
    LostRace(Error),
    /// It may have been done or not, and may be tried again: what it was made for no longer stands if it was done.
    /// Read again, plan again.
    Unknown(Error),
    /// Not allowed for at least one of the owners; others may be.
    Refused(Error),
    /// Will not work for any of them.
    Failed(Error),
}

impl ApplyError {
    /// What to tell.
    pub fn into_error(self) -> Error {
        match self {
            Self::LostRace(error) | Self::Unknown(error) | Self::Refused(error) | Self::Failed(error) => {
                error
            }
        }
    }
}

/// Somebody else changed the records of `owner`, which `place` holds, after they were read.
fn lost_race(owner: &Name, place: &str) -> ApplyError {
    let error = Error::failure(
        "lost-race",
        format!("the records of {owner} in {place} changed after they were read"),
    );
    ApplyError::LostRace(error.hint(
        "somebody else keeps changing these records: try again, and see who else publishes at this name",
    ))
}

/// More owners in one change than the backend takes.
fn too_many(plans: &[Plan], place: &str) -> ApplyError {
    let message = format!("{place} does not change {} sets of records at once", plans.len());
    ApplyError::Failed(Error::failure("too-large", message).hint(
        "these sets have to change together: publish them where that is possible, as with --server or --zone-file",
    ))
}

/// An owner among `plans` that does not lie in `zone`.
fn check_zone(plans: &[Plan], zone: &Name) -> Result<(), ApplyError> {
    match plans.iter().find(|plan| !plan.owner.is_at_or_below(zone)) {
        Some(outside) => {
            let message = format!("{} does not lie in zone {zone}", outside.owner);
            Err(ApplyError::Failed(
                Error::usage("notzone", message).hint("leave --zone out, or give the right one"),
            ))
        }
        None => Ok(()),
    }
}
