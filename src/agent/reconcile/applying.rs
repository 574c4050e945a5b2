//! One round of changes: all open plans, as many at once as fit, and several updates under way at a time.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::outcome::with_whereabouts;
use super::{Outcome, Reconciliation, Watch};
use crate::backend::{ApplyError, Backend, Capabilities};
use crate::error::Error;
use crate::proto::plan::Plan;

/// After that many refusals of single owners and no success, the rest of a batch is not tried one by one.
const REFUSALS: usize = 64;

/// What has to be looked at and planned anew.
#[derive(Debug, Default)]
pub(super) struct Undone {
    /// The places of those that lost a race, or of which it is not known whether they did.
    pub(super) lost: BTreeSet<usize>,
    /// The plans of the latter.
    pub(super) unknown: Vec<(usize, Plan)>,
}

impl Undone {
    pub(super) fn extend(&mut self, more: Self) {
        self.lost.extend(more.lost);
        self.unknown.extend(more.unknown);
    }
}

/// Open plans on their way to the backend.
pub(super) struct Applying<'a, B> {
    run: &'a Reconciliation<B>,
    outcomes: &'a mut [Outcome],
    /// The plans, which the outcomes have back in the end, and the places of their outcomes.
    plans: Arc<Vec<Plan>>,
    places: Vec<usize>,
    /// Parts still to do, the next one last. A part that is refused, or in the last round lost, is halved, so that one owner
    /// does not hold up the others.
    parts: Vec<Range<usize>>,
    /// A lost race is an error.
    is_last: bool,
    refusals: usize,
    successes: usize,
    undone: Undone,
}

impl<'a, B: Backend> Applying<'a, B> {
    /// The plans of the `open` outcomes.
    pub(super) fn begin(
        run: &'a Reconciliation<B>,
        outcomes: &'a mut [Outcome],
        open: &[bool],
        is_last: bool,
    ) -> Self {
        let (places, plans): (Vec<usize>, Vec<Plan>) = outcomes
            .iter_mut()
            .enumerate()
            .filter(|(at, o)| open.get(*at) == Some(&true) && o.error.is_none())
            .filter_map(|(at, o)| Some((at, o.plan.take()?)))
            .unzip();
        let parts = std::iter::once(0..plans.len()).collect();
        let (plans, undone) = (Arc::new(plans), Undone::default());
        Applying { run, outcomes, plans, places, parts, is_last, refusals: 0, successes: 0, undone }
    }

    /// Applies them all; gives those that have to be planned anew. `next` is when the backend may be asked to change
    /// something again.
    pub(super) async fn all(mut self, next: &mut Instant, watch: &Watch<'_>) -> Undone {
        let Capabilities { pace, changes, .. } = self.run.backend.capabilities();
        let width = if pace.is_zero() { changes.max(1) } else { 1 };
        let mut running = JoinSet::new();
        loop {
            while running.len() < width
                && let Some(part) = self.next()
            {
                // A timer waits up to a millisecond for a moment that has come: as long as a server takes for an update.
                if !pace.is_zero() {
                    sleep_until(*next).await;
                }
                let (backend, plans) = (self.run.backend.clone(), self.plans.clone());
                running.spawn(async move {
                    let outcome = backend.apply(plans.get(part.clone()).unwrap_or_default()).await;
                    (part, outcome)
                });
            }
            let Some(ended) = running.join_next().await else { break };
            *next = Instant::now() + pace;
            // Whatever was under way with it shows in the next look.
            let Ok((part, outcome)) = ended else { continue };
            match outcome {
                Ok(()) => watch(self.done(part)),
                Err(error) => self.failed(part, error).await,
            }
        }
        for (at, plan) in self.places.into_iter().zip(Arc::unwrap_or_clone(self.plans)) {
            if let Some(outcome) = self.outcomes.get_mut(at) {
                outcome.plan = Some(plan);
            }
        }
        self.undone
    }

    /// The next part, as large as fits into one update.
    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let part = self.parts.pop().filter(|part| !part.is_empty())?;
            let plans = self.plans.get(part.clone()).unwrap_or_default();
            // One is sent in any case: the backend says what is wrong with it.
            let fits = self.run.backend.fitting(plans).max(1);
            if fits >= part.len() || self.run.together {
                return Some(part);
            }
            self.parts.push(part.start + fits..part.end);
            self.parts.push(part.start..part.start + fits);
        }
    }

    /// A part took effect; gives how many of its outcomes had not changed before.
    fn done(&mut self, part: Range<usize>) -> usize {
        self.successes += 1;
        let places = self.places.get(part.clone()).unwrap_or_default();
        let mut news = 0;
        for (at, plan) in places.iter().zip(self.plans.get(part).unwrap_or_default()) {
            if let Some(outcome) = self.outcomes.get_mut(*at) {
                news += usize::from(!outcome.changed);
                outcome.took(plan);
            }
        }
        news
    }

    /// A part came to nothing, as far as is known.
    async fn failed(&mut self, part: Range<usize>, error: ApplyError) {
        let (places, plans) = (self.places.get(part.clone()), self.plans.get(part.clone()));
        let (places, plans) = (places.unwrap_or_default(), plans.unwrap_or_default());
        let is_worth_halving = self.successes > 0 || self.refusals < REFUSALS;
        match error {
            ApplyError::LostRace(_) if !self.is_last => self.undone.lost.extend(places),
            ApplyError::Unknown(_) if !self.is_last => {
                self.undone.lost.extend(places);
                self.undone.unknown.extend(places.iter().copied().zip(plans.iter().cloned()));
            }
            ApplyError::LostRace(_) | ApplyError::Refused(_)
                if part.len() > 1 && !self.run.together && is_worth_halving =>
            {
                let half = part.start + part.len() / 2;
                self.parts.push(half..part.end);
                self.parts.push(part.start..half);
            }
            error => {
                self.refusals += 1;
                let error: Error = error.into_error();
                let found = self.run.read(plans.iter().map(|p| p.owner.clone()).collect()).await;
                for ((at, plan), found) in places.iter().zip(plans).zip(found) {
                    if let Some(outcome) = self.outcomes.get_mut(*at) {
                        outcome.error = Some(with_whereabouts(error.clone(), plan, found, outcome.changed));
                    }
                }
            }
        }
    }
}
