//! What is noted as own, before it is sent and once it is known what became of it: after a crash in the middle it is known
//! as own, whether it got there or not. Of many owners the rest is noted while the first are on their way.

use tokio::task::{JoinHandle, spawn_blocking};

use super::{Outcome, Wish};
use crate::agent::state::{Opened, State, StateError};
use crate::backend::Capabilities;
use crate::error::Error;

/// So many owners take longer to be noted than an update takes.
const MANY: usize = 1000;
/// One in so many is among the first: as many as keep a server busy until the rest is noted.
const FIRST: usize = 8;

/// Noting that goes on while the first are sent.
#[derive(Debug)]
pub(super) struct Rest {
    /// The place of the first owner that is not noted yet.
    from: usize,
    noting: JoinHandle<Result<bool, StateError>>,
}

/// Notes what the `wishes` whose outcomes know of no error make own. Gives whether that is what is own in the end, as far
/// as it is noted, and the rest that is not.
pub(super) fn begin(
    state: &State,
    wishes: &[impl AsRef<Wish>],
    outcomes: &[Outcome],
    limits: &Capabilities,
    together: bool,
) -> Result<(bool, Option<Rest>), StateError> {
    let planned: Vec<(usize, &Wish)> = wishes
        .iter()
        .map(AsRef::as_ref)
        .zip(outcomes)
        .enumerate()
        .filter_map(|(at, (wish, outcome))| outcome.error.is_none().then_some((at, wish)))
        .collect();
    // Where one change is made of all, nothing can be sent before all is noted.
    let goes_in_parts = !together && limits.changes > 1 && planned.len() >= MANY;
    let first = if goes_in_parts { planned.len() / FIRST } else { planned.len() };
    let (first, rest) = planned.split_at_checked(first).unwrap_or((&planned, &[]));
    let mut state = state.open()?;
    let is_settled = note(&mut state, first.iter().map(|(_, wish)| *wish))?;
    let rest = rest.first().map(|&(from, _)| {
        let wishes: Vec<Wish> = rest.iter().map(|&(_, wish)| wish.clone()).collect();
        Rest { from, noting: spawn_blocking(move || note(&mut state, &wishes)) }
    });
    Ok((is_settled, rest))
}

impl Rest {
    /// Which of the `chosen` owners are noted already, and which are not.
    pub(super) fn split(&self, chosen: &[bool]) -> (Vec<bool>, Vec<bool>) {
        let choose = |is_among: fn(usize, usize) -> bool| {
            chosen.iter().enumerate().map(|(at, chosen)| *chosen && is_among(at, self.from)).collect()
        };
        (choose(|at, from| at < from), choose(|at, from| at >= from))
    }

    /// Waits until the rest is noted, and gives the same of it. What could not be noted is not to be sent: its outcomes are
    /// errors then.
    pub(super) async fn noted(self, outcomes: &mut [Outcome]) -> bool {
        let error = match self.noting.await {
            Ok(Ok(is_settled)) => return is_settled,
            Ok(Err(error)) => error.into(),
            Err(error) => Error::failure("internal", error),
        };
        for outcome in outcomes.iter_mut().skip(self.from) {
            let owner = &outcome.owner;
            outcome.error.get_or_insert_with(|| {
                let message = format!("{}; the records at {owner} were left as they were", error.message);
                Error { message, ..error.clone() }
            });
        }
        true
    }
}

/// Notes what these make own; whether that is what is own in the end.
fn note<'a>(state: &mut Opened, wishes: impl IntoIterator<Item = &'a Wish>) -> Result<bool, StateError> {
    let mut is_settled = true;
    for Wish { owner, wanted, intent } in wishes {
        let mut records = state.records(owner);
        if intent.publishes() {
            records.extend(wanted.iter().cloned());
            state.publish(owner, &records);
        }
        is_settled &= intent.is_settled(&records, wanted);
    }
    state.write()?;
    Ok(is_settled)
}

/// Notes what is own after a run: what its intent says where it succeeded; more where it is not known.
pub(super) fn settle(state: &State, wishes: &[impl AsRef<Wish>], outcomes: &mut [Outcome]) {
    let settled = state.update(|own| {
        let done = wishes.iter().map(AsRef::as_ref).zip(&*outcomes).filter(|(_, o)| o.error.is_none());
        for (Wish { owner, wanted, intent }, _) in done {
            own.set(owner, &intent.settled(&own.records(owner), wanted));
        }
    });
    if let Err(error) = settled {
        // What was done was done, and more counts as own than is.
        let error = Error::from(error);
        outcomes.iter_mut().for_each(|outcome| outcome.is_not_noted(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::name::Name;

    fn outcomes() -> Vec<Outcome> {
        (0..4).map(|at| Outcome::open(&Name::from_text(&format!("web{at}.example")).unwrap())).collect()
    }

    #[tokio::test]
    async fn what_could_not_be_noted_is_an_error_of_those_that_were_not_sent() {
        let rest = |noted: Result<bool, StateError>| Rest { from: 3, noting: spawn_blocking(|| noted) };
        let mut outcomes = outcomes();
        assert!(!rest(Ok(false)).noted(&mut outcomes).await);
        assert!(rest(Ok(true)).noted(&mut outcomes).await);
        assert!(outcomes.iter().all(|outcome| outcome.error.is_none()));
        rest(Err(StateError::NoFolder)).noted(&mut outcomes).await;
        let failed: Vec<bool> = outcomes.iter().map(|outcome| outcome.error.is_some()).collect();
        assert_eq!(failed, [false, false, false, true]);
        let rest = rest(Ok(true));
        assert_eq!(
            rest.split(&[true, false, true, true]),
            (vec![true, false, true, false], vec![false, false, false, true])
        );
    }
}
