//! What is known after a pass: shown, said as far as it is new, and kept.

use std::collections::BTreeSet;

use super::work::Done;
use super::{Daemon, news};
use crate::error::Error;
use crate::log::Level;
use crate::proto::name::Name;
use crate::proto::schedule::{Ended, Event};
use crate::proto::status::{Certificate, Moment, Owner, Phase};
use crate::verifier;

impl Daemon {
    /// What is known after a pass: shown, said as far as it is new, and kept.
    pub(super) fn learn(
        &mut self,
        results: &[Done],
        failed: Option<&Error>,
        warnings: Vec<String>,
        certificates: Vec<Certificate>,
    ) {
        let (now, before) = (verifier::now(), self.status.borrow().clone());
        let mut known: BTreeSet<(Name, String)> = BTreeSet::new();
        let mut owners: Vec<Owner> = Vec::new();
        for done in results {
            let key = (done.target.wish.owner.clone(), done.published.server.to_string());
            let owner = news::owner(done, self.store.sets.entry(key.clone()).or_default(), now);
            news::tell(self.log.as_ref(), Some(done), find(&before.owners, &owner), &owner);
            known.insert(key);
            owners.push(owner);
        }
        match failed {
            Some(failed) => {
                let is_old = before.error.as_ref().is_some_and(|before| before.reason == failed.reason);
                let level = if is_old { Level::Debug } else { Level::Error };
                let hint = failed.hint.as_deref().unwrap_or_default();
                self.say(level, &failed.message, &[("reason", failed.reason), ("hint", hint)]);
                // What could not be looked at is as it was.
                let others = before.owners.iter().filter(|old| find(&owners, old).is_none());
                owners.extend(others.cloned().collect::<Vec<_>>());
            }
            None => self.store.retain(&known),
        }
        let error = self.not_reloaded.as_ref().or(failed);
        let error = error.map(|error| news::trouble(error, before.error.as_ref(), now));
        warnings
            .iter()
            .filter(|w| !before.warnings.contains(w))
            .for_each(|w| self.say(Level::Warning, w, &[]));
        if let Err(error) = self.store.save(false) {
            self.say(Level::Error, &Error::from(error).message, &[("reason", "state")]);
        }
        let of_error = error.as_ref().map(|e| if e.hard { Ended::Hard } else { Ended::Soft });
        let ended = owners.iter().map(news::ended).chain(of_error).max().unwrap_or(Ended::Right);
        self.on(Event::Ended(ended));
        let next = self.schedule.due().saturating_sub(self.began.elapsed());
        let is_stuck = error.iter().chain(owners.iter().filter_map(|o| o.error.as_ref())).any(|t| t.hard);
        let is_well = matches!(ended, Ended::Right | Ended::Pending);
        let reasons: BTreeSet<String> = error
            .iter()
            .chain(owners.iter().filter_map(|owner| owner.error.as_ref()))
            .map(|trouble| trouble.reason.clone())
            .collect();
        self.show(|status| {
            status.phase = match (is_stuck, is_well) {
                (true, _) => Phase::Stuck,
                (false, true) => Phase::Idle,
                (false, false) => Phase::Retrying,
            };
            status.last_pass = Some(Moment(now));
            status.last_success = if is_well { Some(Moment(now)) } else { status.last_success };
            status.next_pass = Some(Moment(now + next.as_secs()));
            status.passes += 1;
            status.changes += u64::from(results.iter().any(|done| done.published.changed));
            status.failed_in_a_row = if is_well { 0 } else { status.failed_in_a_row.saturating_add(1) };
            for reason in reasons {
                *status.failures.entry(reason).or_default() += 1;
            }
            (status.error, status.warnings) = (error, warnings);
            (status.owners, status.certificates) = (owners, certificates);
        });
    }
}

fn find<'a>(owners: &'a [Owner], like: &Owner) -> Option<&'a Owner> {
    owners.iter().find(|owner| owner.owner == like.owner && owner.server == like.server)
}
