//! Many works of one kind, some at the same time.

use std::iter::Enumerate;
use std::num::NonZero;
use std::thread;

use tokio::task::{JoinError, JoinSet};

use crate::error::Error;

/// Most threads of [`in_parallel`].
const MAX_THREADS: usize = 8;

/// Works that have begun and did not end: one of them panicked.
#[derive(Debug, thiserror::Error)]
#[error("a task did not finish: {0}")]
pub struct Unfinished(JoinError);

impl From<Unfinished> for Error {
    fn from(unfinished: Unfinished) -> Self {
        Error::failure("internal", unfinished)
    }
}

/// Does `work` with every item, at most `width` at a time. Each outcome is handed to `done` as it comes, with the
/// place of its item; an error of `done` ends everything.
pub async fn fan_out<I, R, E, W, F>(
    items: impl IntoIterator<Item = I>,
    width: usize,
    work: W,
    done: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E>
where
    W: Fn(I) -> F,
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
    E: From<Unfinished>,
{
    fan_out_while(items, width, || true, work, done).await.map(drop)
}

/// The same while `may_begin`: once it says no, no other work begins, and what was begun goes on to its end. Gives the
/// items that are left.
pub async fn fan_out_while<I, R, E, W, F, T>(
    items: T,
    width: usize,
    may_begin: impl Fn() -> bool,
    work: W,
    mut done: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<Enumerate<T::IntoIter>, E>
where
    T: IntoIterator<Item = I>,
    W: Fn(I) -> F,
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
    E: From<Unfinished>,
{
    let (mut waiting, mut running) = (items.into_iter().enumerate(), JoinSet::new());
    loop {
        while running.len() < width.max(1) && may_begin() {
            let Some((place, item)) = waiting.next() else { break };
            let work = work(item);
            running.spawn(async move { (place, work.await) });
        }
        match running.join_next().await {
            None => return Ok(waiting),
            Some(Ok((place, outcome))) => done(place, outcome)?,
            Some(Err(e)) => return Err(Unfinished(e).into()),
        }
    }
}

/// The same, with the outcomes in the order of the items.
pub async fn in_order<I, R, W, F>(
    items: impl IntoIterator<Item = I>,
    width: usize,
    work: W,
) -> Result<Vec<R>, Unfinished>
where
    W: Fn(I) -> F,
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let mut outcomes = Vec::new();
    fan_out(items, width, work, |place, outcome| {
        outcomes.push((place, outcome));
        Ok::<_, Unfinished>(())
    })
    .await?;
    outcomes.sort_by_key(|(place, _)| *place);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// Does `work` with every item, in threads if there are so many that each has `worth` of them; the outcomes are in the
/// order of the items. For what costs time to compute, and for files.
pub fn in_parallel<I: Send, R: Send>(
    mut items: Vec<I>,
    worth: usize,
    work: impl Fn(I) -> R + Sync,
) -> Result<Vec<R>, Error> {
    let each = items.len().div_ceil(threads()).max(worth).max(1);
    let mut outcomes = Vec::with_capacity(items.len());
    // The last part first; this thread does the first.
    let mut parts = Vec::new();
    while items.len() > each {
        parts.push(items.split_off((items.len() - 1) / each * each));
    }
    thread::scope(|scope| {
        let in_thread = |part: Vec<I>| scope.spawn(|| part.into_iter().map(&work).collect::<Vec<R>>());
        let others: Vec<_> = parts.into_iter().rev().map(in_thread).collect();
        outcomes.extend(items.into_iter().map(&work));
        for other in others {
            let ended = other.join();
            outcomes.extend(ended.map_err(|_| Error::failure("internal", "a thread failed"))?);
        }
        Ok(outcomes)
    })
}

/// Does `work` with parts of the items in threads, `portion` items at a time and at least `worth` of them in each part, and
/// `done` with one part after the other and its outcome while the next portion is at work. An error of `done` ends
/// everything.
pub fn in_portions<I: Send + Sync, R: Send>(
    items: &mut [I],
    portion: usize,
    worth: usize,
    work: impl Fn(&[I]) -> R + Sync,
    mut done: impl FnMut(&mut [I], R) -> Result<(), Error>,
) -> Result<(), Error> {
    let part = portion.div_ceil(threads()).max(worth).max(1);
    let with_outcomes = |items: &mut [I]| in_parallel(items.chunks(part).collect(), 1, &work);
    let mut portions = items.chunks_mut(portion.max(1));
    let mut ready = portions.next().map(|items| (with_outcomes(items), items));
    while let Some((outcomes, items)) = ready.take() {
        let outcomes = outcomes?;
        ready = thread::scope(|scope| {
            let ahead = portions.next().map(|next| scope.spawn(|| (with_outcomes(next), next)));
            items.chunks_mut(part).zip(outcomes).try_for_each(|(items, outcome)| done(items, outcome))?;
            let ended = ahead.map(|ahead| ahead.join()).transpose();
            ended.map_err(|_| Error::failure("internal", "a thread failed"))
        })?;
    }
    Ok(())
}

/// How many threads are of use.
fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn outcomes_keep_their_order_and_no_more_run_at_once_than_may() {
        const WIDTH: usize = 16;
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let work = |place: usize| {
            let (running, most) = (running.clone(), most.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Those that begin first end last.
                for _ in 0..(100 - place) {
                    tokio::task::yield_now().await;
                }
                running.fetch_sub(1, Ordering::SeqCst);
                place
            }
        };
        assert_eq!(in_order(0..50, WIDTH, work).await.unwrap(), (0..50).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), WIDTH);
    }

    #[test]
    fn what_threads_do_comes_in_order() {
        let items: Vec<usize> = (0..1000).collect();
        for worth in [0, 1, 7, 10_000] {
            assert_eq!(in_parallel(items.clone(), worth, |item| item).unwrap(), items, "{worth}");
        }
        assert!(in_parallel(Vec::new(), 1, |item: usize| item).unwrap().is_empty());
    }

    #[test]
    fn what_goes_in_portions_comes_in_order() {
        for (portion, worth) in [(1, 1), (7, 2), (300, 100), (2000, 1), (0, 0)] {
            let mut items: Vec<usize> = (0..1000).collect();
            let mut seen = Vec::new();
            let done = |items: &mut [usize], outcomes: Vec<usize>| {
                assert_eq!(items.len(), outcomes.len());
                items.iter_mut().for_each(|item| *item += 1);
                seen.extend(outcomes);
                Ok(())
            };
            let twice = |items: &[usize]| items.iter().map(|item| item * 2).collect();
            in_portions(&mut items, portion, worth, twice, done).unwrap();
            assert_eq!(seen, (0..1000).map(|item| item * 2).collect::<Vec<_>>(), "{portion} {worth}");
            assert_eq!(items, (1..=1000).collect::<Vec<_>>());
        }
        let mut seen = Vec::new();
        let done = |_: &mut [usize], outcome: usize| {
            seen.push(outcome);
            if outcome == 20 { Err(Error::failure("io", "full")) } else { Ok(()) }
        };
        let failed = in_portions(&mut [0, 10, 20, 30], 2, 0, |items| items.iter().sum(), done);
        let reason = failed.map_err(|error| error.reason);
        // By the machine's processors a portion is one part or two.
        assert!(
            seen == [0, 10, 20] && reason == Err("io") || seen == [10, 50] && reason == Ok(()),
            "{seen:?}"
        );
        in_portions(&mut [], 2, 1, |items: &[usize]| items.len(), |_, _| Ok(())).unwrap();
    }

    #[tokio::test]
    async fn what_was_begun_goes_on_to_its_end_and_the_rest_is_given_back() {
        let begun = Arc::new(AtomicUsize::new(0));
        let work = |place: usize| {
            begun.fetch_add(1, Ordering::SeqCst);
            async move { place }
        };
        let mut ended = Vec::new();
        let note = |place, _| {
            ended.push(place);
            Ok::<_, Unfinished>(())
        };
        let left = fan_out_while(0..10, 2, || begun.load(Ordering::SeqCst) < 4, work, note).await.unwrap();
        assert_eq!(left.collect::<Vec<_>>(), (4..10).map(|i| (i, i)).collect::<Vec<_>>());
        ended.sort();
        assert_eq!(ended, [0, 1, 2, 3]);
    }

    #[tokio::test]
    async fn nothing_goes_missing_without_a_word() {
        let work = |place: usize| async move { assert_ne!(place, 3) };
        assert!(in_order(0..5, 2, work).await.is_err());
        let mut seen = 0;
        let each = |_, ()| {
            seen += 1;
            if seen == 2 { Err(Error::failure("io", "full")) } else { Ok(()) }
        };
        assert_eq!(fan_out(0..5, 1, |_: usize| async {}, each).await.unwrap_err().reason, "io");
        assert_eq!(seen, 2);
    }
}
