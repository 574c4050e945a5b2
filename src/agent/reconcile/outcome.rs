//! What one owner shall hold, what became of it, and how it stands after an error.

use crate::error::Error;
use crate::proto::name::Name;
use crate::proto::plan::{Intent, Plan, Present};
use crate::proto::sshfp::SshfpSet;

/// What one owner shall hold of this machine's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The owner.
    pub owner: Name,
    /// The records of this machine's keys.
    pub wanted: SshfpSet,
    /// What to do with them.
    pub intent: Intent,
}

impl AsRef<Wish> for Wish {
    fn as_ref(&self) -> &Wish {
        self
    }
}

/// What became of one owner.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The owner.
    pub owner: Name,
    /// The latest plan: what is still to do, or, once all is done, what stays. None if the owner could
    /// not be read.
    pub plan: Option<Plan>,
    /// Records that were added.
    pub added: SshfpSet,
    /// Records that were removed.
    pub removed: SshfpSet,
    /// An update of this owner took effect.
    pub changed: bool,
    /// Why it is not as it should be.
    pub error: Option<Error>,
}

impl Outcome {
    /// Nothing is known of `owner` yet.
    pub fn open(owner: &Name) -> Self {
        Outcome {
            owner: owner.clone(),
            plan: None,
            added: SshfpSet::new(),
            removed: SshfpSet::new(),
            changed: false,
            error: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.error.is_none() && self.plan.as_ref().is_some_and(|plan| !plan.is_empty())
    }

    /// It has to be sent: something is to be done, or what was seen there is `doubted`.
    pub(super) fn waits(&self, doubted: bool) -> bool {
        self.is_open() || (doubted && self.error.is_none())
    }

    /// One that cannot be read holds up those that go with it.
    pub(super) fn all_or_none(outcomes: &mut [Self]) {
        let Some(error) = outcomes.iter().find_map(|outcome| outcome.error.clone()) else { return };
        for outcome in outcomes {
            outcome.error.get_or_insert_with(|| error.clone());
        }
    }

    /// No round has brought it to where it should be.
    pub(super) fn is_left(&mut self) {
        let message = format!("the records at {} are not as the update left them", self.owner);
        self.error = Some(Error::failure("not-converged", message).hint(
            "the server acknowledges updates and does not show them, or somebody else keeps undoing them",
        ));
    }

    /// What became of it could not be written down, for this `error`.
    pub(super) fn is_not_noted(&mut self, error: &Error) {
        let (owner, changed) = (&self.owner, self.changed);
        self.error.get_or_insert_with(|| {
            let mut error = error.clone();
            if changed {
                error.message =
                    format!("{}; the records at {owner} were changed, as it was planned", error.message);
            }
            error
        });
    }

    pub(super) fn took(&mut self, plan: &Plan) {
        if !plan.is_empty() {
            self.added.extend(plan.add.iter().cloned());
            self.removed.extend(plan.remove.iter().cloned());
            self.changed = true;
        }
    }
}

/// An error, and how the records stand after it: seen, not supposed. `changed`: the server has said before
/// that it did something.
pub(super) fn with_whereabouts(
    mut error: Error,
    plan: &Plan,
    found: Result<Present, Error>,
    changed: bool,
) -> Error {
    let owner = &plan.owner;
    let stand = match found {
        Ok(found) if found == plan.present => {
            if error.reason == "lost-race" {
                error.hint = Some(match plan.present.records.is_empty() {
                    true => format!(
                        "the server shows no records at {owner} and says that there are some: look for them in its zone files"
                    ),
                    // A signed zone shows which answers a wildcard made up; an unsigned one does not.
                    false => format!(
                        "the server shows records at {owner} and denies that they stand there: does a wildcard above make them up?"
                    ),
                });
            }
            match changed {
                true => {
                    format!("an update before was acknowledged, and nothing of it is to be seen at {owner}")
                }
                false => format!("the records at {owner} are as they were"),
            }
        }
        Ok(found) if found.records == plan.outcome() => {
            format!("the records at {owner} are nevertheless as wanted now")
        }
        Ok(_) => format!("the records at {owner} have changed meanwhile"),
        Err(_) => format!("how the records at {owner} stand now is unknown"),
    };
    error.message = format!("{}; {stand}", error.message);
    error
}
