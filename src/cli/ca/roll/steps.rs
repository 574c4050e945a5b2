//! The steps of a roll. Each may be done again after a crash.

use serde_json::{Map, json};

use super::Run;
use super::situation::{Situation, signatures};
use crate::agent::pass::Target;
use crate::cli::ca::ca_error;
use crate::cli::ca::publish::put;
use crate::cli::ca::set::{ca_set, revoked_set, zone_of};
use crate::cli::publish::primary;
use crate::crash::may_crash;
use crate::error::{Error, Kind};
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::journal::{Entry, Event};
use crate::proto::issuance::{Authority, AuthorityError, KeyDigest, KeyState};
use crate::proto::moment;
use crate::proto::name::Name;
use crate::proto::plan::Intent;
use crate::proto::revocation::{self, Window};
use crate::proto::rollover::{Mark, Step};
use crate::proto::sshfp::Sshfp;
use crate::ssh::ca::Ca;
use crate::verifier;

impl Run<'_> {
    /// Does one step; the kind of what went wrong, if that was told already.
    pub(super) async fn perform(&self, step: &Step, situation: &Situation) -> Result<Option<Kind>, Error> {
        let word = super::told::word(step);
        may_crash(word, "before");
        let ttl = situation.ttl();
        match step {
            Step::Begin => situation.mark(&Mark::Start { at: situation.at.clone(), ttl })?,
            Step::Spread => situation.mark(&Mark::Spread { ttl })?,
            Step::Lost => {
                self.cx.out.warn("a server shows the new key no more: the wait for caches begins anew");
                situation.mark(&Mark::Lost { ttl })?;
            }
            Step::Publish { old } => {
                let old = old.then(|| situation.old().clone());
                let keys: Vec<HostKey> = old.into_iter().chain([situation.new_key().clone()]).collect();
                for at in &situation.at {
                    let kind = put(at, &keys, (None, false), &self.args.primary, self.cx).await?;
                    if kind.is_some() {
                        return Ok(kind);
                    }
                }
            }
            Step::Switch => self.switch(situation).await?,
            Step::Withdraw | Step::Unpublish => {
                let gone = if *step == Step::Withdraw { situation.old() } else { situation.new_key() };
                for at in &situation.at {
                    let kind = self.carry_out(vec![without(at, gone)?]).await?;
                    if kind.is_some() {
                        return Ok(kind);
                    }
                }
                may_crash(word, "between");
                if *step == Step::Withdraw {
                    situation.mark(&Mark::Withdraw)?;
                }
            }
            Step::Revoke => return self.revoke(situation).await,
            Step::Forget => {
                // The journal first: afterwards nobody could tell which roll this was.
                situation.mark(&Mark::Done)?;
                may_crash(word, "between");
                let (key, state) = match situation.is_switched() {
                    true => (situation.old(), KeyState::Retired),
                    false => (situation.new_key(), KeyState::Next),
                };
                self.update(|authority| authority.without(key, state))?;
            }
            Step::Idle | Step::Wait(_) => {}
        }
        may_crash(word, "after");
        Ok(None)
    }

    async fn switch(&self, situation: &Situation) -> Result<(), Error> {
        let new = situation.new_key();
        // A CA whose key nobody finds signs nothing.
        situation.ca.look_for(new, self.keys.access(self.cx)).await.map_err(ca_error)?;
        self.update(|authority| authority.promoted(new))?;
        may_crash("switch", "between");
        // As it is called now that it signs.
        let event = Mark::Switch.event(KeyDigest::from(situation.old()), KeyDigest::from(new));
        situation.ca.journal().append(&Entry { time: verifier::now(), event }).map_err(ca_error)
    }

    /// In the journal first, by which `ca sign` goes; then in DNS, both sets in one update.
    async fn revoke(&self, situation: &Situation) -> Result<Option<Kind>, Error> {
        let old = situation.old();
        if !situation.is_old_revoked {
            let more = Map::from_iter([("by".to_owned(), json!("ca roll --emergency"))]);
            let event = Event::Revoke { key: KeyDigest::from(old).into(), more };
            situation.ca.journal().append(&Entry { time: verifier::now(), event }).map_err(ca_error)?;
        }
        may_crash("revoke", "between");
        for at in &situation.at {
            let authority = self.args.primary.authority(self.cx, 2)?;
            let before = signatures(at, &authority).await?;
            let beside = revoked(at, old)?;
            let site = self.args.primary.site_to_read(self.cx, 2)?;
            let apex = zone_of(&self.args.primary, &site, &beside.wish.owner).await?;
            let mut targets = vec![beside];
            if apex != *at && at.is_at_or_below(&apex) {
                targets.push(revoked(&apex, old)?);
            }
            targets.push(without(at, old)?);
            let kind = self.carry_out(targets).await?;
            if kind.is_some() {
                return Ok(kind);
            }
            let now = verifier::now();
            if let Some(window) = Window::of(now, &before, &self.cx.policies.of(&at.to_string())) {
                self.cx.out.note(&format!(
                    "a client may still accept certificates of the old key for up to {}, until {} (somebody replays the \
                     old sets), else until {} (caches)",
                    moment::span(window.length(now)),
                    moment::text(window.replayed_until),
                    moment::text(window.cached_until)
                ));
            }
        }
        situation.mark(&Mark::Revoked)?;
        may_crash("revoke", "after");
        Ok(None)
    }

    async fn carry_out(&self, targets: Vec<Target>) -> Result<Option<Kind>, Error> {
        let together = targets.len() > 1;
        let run = primary::Run { primary: &self.args.primary, batch: false, together };
        run.carry_out(targets, self.cx).await
    }

    fn update(
        &self,
        change: impl FnOnce(Authority) -> Result<Authority, AuthorityError>,
    ) -> Result<(), Error> {
        let mut ca: Ca = self.open()?;
        ca.update(change).map_err(ca_error)
    }
}

fn without(at: &Name, key: &HostKey) -> Result<Target, Error> {
    ca_set(at, std::slice::from_ref(key), Intent::Remove { foreign: true })
}

fn revoked(at: &Name, key: &HostKey) -> Result<Target, Error> {
    revoked_set(at, [Sshfp::of_key(key), revocation::sentinel()], Intent::Add { ttl: None })
}
