//! Where a plan goes.

pub mod rfc2136;

use std::future::Future;

use crate::error::Error;
use crate::proto::name::Name;
use crate::proto::plan::{Plan, Present};

/// Something that holds records and takes plans.
pub trait Backend: Send + Sync + 'static {
    /// The SSHFP RRset that stands at `owner` now.
    fn read(&self, owner: &Name) -> impl Future<Output = Result<Present, Error>> + Send;

    /// How many of the first `plans` one [`Backend::apply`] takes; at least one if there is any.
    fn fitting(&self, plans: &[Plan]) -> usize;

    /// Puts `plans` into effect, all of them or none, and only if what they were made for still stands.
    fn apply(&self, plans: &[Plan]) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// Why plans were not put into effect.
#[derive(Debug, Clone)]
pub enum ApplyError {
    /// Somebody else was faster: read again, plan again.
    LostRace(Error),
    /// Not allowed for at least one of the owners; others may be.
    Refused(Error),
    /// Will not work for any of them.
    Failed(Error),
}

impl ApplyError {
    /// What to tell.
    pub fn into_error(self) -> Error {
        match self {
            Self::LostRace(error) | Self::Refused(error) | Self::Failed(error) => error,
        }
    }
}
