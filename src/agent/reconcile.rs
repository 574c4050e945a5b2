//! The one reconciliation: what is wanted, what is there, a plan, an update, and a second look that has
//! to find nothing left to do.

mod applying;
mod noting;
mod outcome;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::applying::{Applying, Undone};
pub use self::outcome::{Outcome, Wish};
use super::state::{Own, State, StateError};
use crate::backend::{Backend, Capabilities};
use crate::error::Error;
use crate::fan_out::{in_order, in_parallel};
use crate::proto::name::Name;
use crate::proto::plan::{DEFAULT_TTL, Intent, Plan, Present};
use crate::proto::sshfp::SshfpSet;

/// How often a lost race is run again.
const ROUNDS: u32 = 12;
/// The pause between two rounds is random, up to this times the number of the round: of many who start
/// together one wins each round.
const PAUSE: Duration = Duration::from_millis(120);
/// Where the pauses stop growing: the number of a round.
const LONGEST: u32 = 5;
/// Without compare-and-swap another publisher may undo a change that was seen to be there. That happens between its own
/// look and its own change, milliseconds apart: after this long it is looked at again.
const SETTLE: Duration = Duration::from_millis(400);
/// So many owners are worth a thread that plans.
const OWNERS_A_THREAD: usize = 1000;

/// Is told how far a run has come.
pub type Watch<'a> = dyn Fn(usize) + Sync + 'a;

/// One run for several owners at one backend.
pub struct Reconciliation<B> {
    /// Where the records live.
    pub backend: Arc<B>,
    /// Which of them are own.
    pub state: State,
    /// All owners in one update or none of them, each held to what was read, those that need no change too.
    pub together: bool,
}

impl<B: Backend> Reconciliation<B> {
    /// Reads and plans, and changes nothing.
    pub async fn plan(&self, wishes: &[impl AsRef<Wish> + Sync]) -> Result<Vec<Outcome>, StateError> {
        Ok(self.first_look(wishes, &self.state.read()?).await)
    }

    async fn first_look(&self, wishes: &[impl AsRef<Wish> + Sync], own: &Own) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> =
            wishes.iter().map(|wish| Outcome::open(&wish.as_ref().owner)).collect();
        self.look(wishes, own, &mut outcomes, |_| true).await;
        outcomes
    }

    /// Reads, plans, applies, and looks again until nothing is left to do; a lost race is run again a few
    /// times. An owner that fails does not hold up the others.
    pub async fn run(&self, wishes: &[impl AsRef<Wish> + Sync]) -> Result<Vec<Outcome>, StateError> {
        self.run_watched(wishes, &|_| {}).await
    }

    /// The same; `watch` is told of how many owners more nothing is left to do, as far as the backend says so.
    pub async fn run_watched(
        &self,
        wishes: &[impl AsRef<Wish> + Sync],
        watch: &Watch<'_>,
    ) -> Result<Vec<Outcome>, StateError> {
        if let Err(error) = self.backend.prepare().await {
            let failed = |wish: &Wish| Outcome { error: Some(error.clone()), ..Outcome::open(&wish.owner) };
            return Ok(wishes.iter().map(AsRef::as_ref).map(failed).collect());
        }
        let own = self.state.read()?;
        let mut outcomes = self.first_look(wishes, &own).await;
        if self.together {
            Outcome::all_or_none(&mut outcomes);
        }
        let limits = self.backend.capabilities();
        let (mut is_settled, mut rest) =
            noting::begin(&self.state, wishes, &outcomes, &limits, self.together)?;
        watch(outcomes.iter().filter(|outcome| !outcome.is_open()).count());
        let mut next = Instant::now();
        // What was read is nobody's word; the reply to a change is. What is own is forgotten on that word alone.
        let is_doubted =
            |wish: &Wish| limits.vouches && wish.intent == Intent::Withdraw && own.contains_key(&wish.owner);
        let mut doubted: Vec<bool> = wishes.iter().map(AsRef::as_ref).map(is_doubted).collect();
        for round in 0..ROUNDS {
            let mut open: Vec<bool> =
                outcomes.iter().zip(&doubted).map(|(o, doubted)| o.waits(*doubted)).collect();
            if !open.contains(&true) {
                break;
            }
            if self.together {
                open.fill(true);
            }
            if round > 0 {
                let most = f64::from(round.min(LONGEST));
                tokio::time::sleep(PAUSE.mul_f64(most * rand::random_range(0.1..1.0))).await;
            }
            let (mut undone, mut sent) = (Undone::default(), open.clone());
            if let Some(rest) = rest.take() {
                let first;
                (first, sent) = rest.split(&open);
                undone = Applying::begin(self, &mut outcomes, &first, false).all(&mut next, watch).await;
                is_settled &= rest.noted(&mut outcomes).await;
            }
            let is_last = round + 1 == ROUNDS;
            let applying = Applying::begin(self, &mut outcomes, &sent, is_last);
            undone.extend(applying.all(&mut next, watch).await);
            let Undone { lost, unknown } = undone;
            for (at, doubted) in doubted.iter_mut().enumerate() {
                *doubted &= lost.contains(&at) || unknown.iter().any(|(unknown, _)| *unknown == at);
            }
            let again = |at: usize| open.get(at) == Some(&true) && !lost.contains(&at);
            self.look(wishes, &own, &mut outcomes, again).await;
            self.look(wishes, &own, &mut outcomes, |at| lost.contains(&at)).await;
            for (at, plan) in unknown {
                // Nothing is left to do: it was done.
                if let Some(outcome) = outcomes.get_mut(at).filter(|o| o.error.is_none() && !o.is_open()) {
                    watch(usize::from(!outcome.changed));
                    outcome.took(&plan);
                }
            }
            if !limits.compare_and_swap {
                tokio::time::sleep(SETTLE).await;
                self.look(wishes, &own, &mut outcomes, again).await;
            }
        }
        if let Some(rest) = rest {
            is_settled &= rest.noted(&mut outcomes).await;
        }
        for (outcome, _) in
            outcomes.iter_mut().zip(doubted).filter(|(outcome, doubted)| outcome.waits(*doubted))
        {
            outcome.is_left();
        }
        // As a rule what was noted first is what stays.
        if !is_settled {
            noting::settle(&self.state, wishes, &mut outcomes);
        }
        Ok(outcomes)
    }

    /// Reads the chosen owners that have no error yet and plans anew.
    async fn look(
        &self,
        wishes: &[impl AsRef<Wish> + Sync],
        own: &Own,
        outcomes: &mut [Outcome],
        chosen: impl Fn(usize) -> bool,
    ) {
        let chosen: Vec<usize> = (0..wishes.len())
            .filter(|at| chosen(*at) && outcomes.get(*at).is_some_and(|o| o.error.is_none()))
            .collect();
        let owners =
            chosen.iter().filter_map(|at| wishes.get(*at)).map(|w| w.as_ref().owner.clone()).collect();
        let limits = self.backend.capabilities();
        let found = self.read(owners).await;
        let none = SshfpSet::new();
        let plan = |(at, present): (usize, Result<Present, Error>)| {
            let wish = wishes.get(at)?.as_ref();
            let own = own.get(&wish.owner).unwrap_or(&none);
            let planned = present.and_then(|present| {
                let intent = within(wish.intent, &present, &limits)?;
                Plan::of(&wish.owner, present, &wish.wanted, own, intent)
                    .map_err(|e| Error::usage("no-keys", e))
            });
            Some((at, planned))
        };
        let failed = |error: Error| chosen.iter().map(|at| Some((*at, Err(error.clone())))).collect();
        let found: Vec<_> = chosen.iter().copied().zip(found).collect();
        let planned = in_parallel(found, OWNERS_A_THREAD, plan).unwrap_or_else(failed);
        for (at, planned) in planned.into_iter().flatten() {
            let Some(outcome) = outcomes.get_mut(at) else { continue };
            match planned {
                Ok(plan) => outcome.plan = Some(plan),
                Err(mut error) if outcome.changed => {
                    error.message = format!("updated, but not seen again: {}", error.message);
                    outcome.error = Some(error);
                }
                Err(error) => outcome.error = Some(error),
            }
        }
    }

    /// All of them at one go if that is possible, the others one by one.
    async fn read(&self, owners: Vec<Name>) -> Vec<Result<Present, Error>> {
        let at_once = self.backend.read_many(&owners).await;
        let all = owners.len();
        let open = owners.into_iter().zip(&at_once).filter(|(_, found)| found.is_none());
        let asked = in_order(open, self.backend.capabilities().reads, |(owner, _)| {
            let backend = self.backend.clone();
            async move { backend.read(&owner).await }
        });
        let mut asked = match asked.await {
            Ok(asked) => asked.into_iter(),
            Err(unfinished) => return vec![Err(unfinished.into()); all],
        };
        at_once.into_iter().filter_map(|found| found.map(Ok).or_else(|| asked.next())).collect()
    }
}

/// The same intent with a TTL that the backend takes: one that was asked for is right or an error.
fn within(intent: Intent, present: &Present, limits: &Capabilities) -> Result<Intent, Error> {
    let (min, max) = (limits.min_ttl, limits.max_ttl);
    let fit = |ttl: Option<u32>| match ttl {
        Some(ttl) if ttl < min || ttl > max => {
            let message = format!("a TTL of {ttl} is not possible there: it takes {min} to {max} seconds");
            Err(Error::usage("ttl", message).hint(format!("give another: --ttl {}", ttl.clamp(min, max))))
        }
        // One that stands there is left as it is.
        None if present.ttl.is_none() && DEFAULT_TTL.clamp(min, max) != DEFAULT_TTL => {
            Ok(Some(DEFAULT_TTL.clamp(min, max)))
        }
        asked => Ok(asked),
    };
    Ok(match intent {
        Intent::Publish { ttl, prune } => Intent::Publish { ttl: fit(ttl)?, prune },
        Intent::Add { ttl } => Intent::Add { ttl: fit(ttl)? },
        other => other,
    })
}

#[cfg(test)]
mod tests;
