//! `--wait`: a command that goes as far as that is safe stays, and goes on as soon as it may.

use std::time::Duration;

use tokio::time::sleep;

use super::Context;
use crate::error::{Error, Kind};
use crate::verifier::now;

/// How soon it is looked again, at the latest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same where no moment is known.
const PAUSE: Duration = Duration::from_secs(5);

/// How far it came.
pub(super) struct Leg<R> {
    /// What is told of it.
    pub(super) report: R,
    /// The word for where it is.
    pub(super) status: &'static str,
    /// Something was done.
    pub(super) has_steps: bool,
    /// What comes now.
    pub(super) next: Next,
}

/// What comes after a leg.
pub(super) enum Next {
    /// Nothing: the outcome.
    End(Option<Kind>),
    /// Another one, for who stays.
    Wait {
        /// Until when at the least, if that is known: seconds since 1970.
        until: Option<u64>,
        /// The outcome for who does not stay.
        outcome: Option<Kind>,
    },
}

/// Leg after leg to the end, or one for who does not stay: `again` is what to type then.
pub(super) async fn go_on<R>(
    stays: bool,
    again: &str,
    cx: &Context,
    leg: impl AsyncFn() -> Result<Leg<R>, Error>,
    tell: impl Fn(&R) -> Result<(), Error>,
) -> Result<Option<Kind>, Error> {
    let (mut told, mut failure) = (None, None);
    loop {
        let Leg { report, status, has_steps, next } = match leg().await {
            Ok(leg) => leg,
            // Who stays is there when a server comes back.
            Err(error) if stays && error.kind == Kind::Failure => {
                if failure.as_ref() != Some(&error.message) {
                    cx.out.error_text(&error);
                    failure = Some(error.message);
                }
                sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        failure = None;
        // While it stays, only news are told.
        if has_steps || told != Some(status) {
            told = Some(status);
            tell(&report)?;
        }
        match next {
            Next::End(outcome) => return Ok(outcome),
            Next::Wait { outcome, .. } if !stays => {
                if outcome.is_some() {
                    cx.out.note(&format!(
                        "to go on, by hand or by a timer: {again}, where and as before; to stay: --wait"
                    ));
                }
                return Ok(outcome);
            }
            Next::Wait { until, .. } => sleep(pause(until)).await,
        }
    }
}

fn pause(until: Option<u64>) -> Duration {
    match until {
        Some(until) => Duration::from_secs(until.saturating_sub(now()).max(1)).min(LONGEST_PAUSE),
        None => PAUSE,
    }
}
