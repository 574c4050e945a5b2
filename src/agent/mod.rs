//! This machine's part: which records are its own, and how they get where they belong.

pub mod readback;
pub mod reconcile;
pub mod state;

use std::future::Future;

use tokio::task::JoinSet;

/// Runs `work` on every item, at most `width` at a time; results in the order of the items. A task that
/// dies leaves `None`.
pub(crate) async fn fan_out<I, R, W, F>(items: Vec<I>, width: usize, work: W) -> Vec<Option<R>>
where
    W: Fn(I) -> F,
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let mut tasks = JoinSet::new();
    let mut items = items.into_iter().enumerate();
    loop {
        while tasks.len() < width.max(1) {
            let Some((at, item)) = items.next() else { break };
            let future = work(item);
            tasks.spawn(async move { (at, future.await) });
        }
        match tasks.join_next().await {
            None => return results,
            Some(Ok((at, result))) => {
                if let Some(place) = results.get_mut(at) {
                    *place = Some(result);
                }
            }
            Some(Err(_)) => {}
        }
    }
}
