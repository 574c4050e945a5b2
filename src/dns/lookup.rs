//! Fetches what proofs ask for, and hands it back, until there is a proof or a reason.

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::classify::classify;
use super::resolver::Resolver;
use super::stored::Stored;
use crate::log::Telling;
use crate::proto::chain::{Anchors, Answer, Budget, ChainError, Fetched, Halt, Material, Prover};
use crate::proto::denial::{Status, Unproven};
use crate::proto::message::{NOERROR, Question};
use crate::proto::rr::{RrSet, RrType};

/// Questions that one lookup may ask, aliases and classification included: all in all, and before another
/// resolver gets what is left.
const MAX_QUESTIONS: usize = 48;
const MAX_AT_FIRST: usize = 32;
/// How long a question that got no answer is left alone, at least, before a later lookup asks it again.
const PAUSE: Duration = Duration::from_secs(2);

/// The lookups of one run: zone material is fetched once and proven once, however many names need it.
#[derive(Debug, Clone)]
pub struct Lookups {
    resolver: Resolver,
    anchors: Anchors,
    /// Seconds since 1970.
    now: u64,
    /// The end of all questions, which several lookups may wait for; and of waiting for them.
    deadline: Instant,
    patience: Instant,
    state: Arc<Mutex<State>>,
    /// What needs no question.
    stored: Option<Stored>,
    /// CD: with it, a validating resolver hands out what it could not validate.
    checking_disabled: bool,
    /// Who hears what is proven, and what is not.
    telling: Telling,
}

#[derive(Debug)]
struct State {
    prover: Prover,
    material: Material,
    /// One cell a question, so that two lookups that need the same thing ask once.
    under_way: HashMap<Question, Arc<OnceCell<()>>>,
    /// The questions that got no answer, and when: oldest first.
    failed: VecDeque<(Instant, Question)>,
}

impl State {
    fn fail(&mut self, question: &Question, why: String) {
        self.material.fail(question, why);
        self.failed.push_back((Instant::now(), question.clone()));
    }

    /// After a good second opinion: what came of zones before is in doubt, and goes. Data stays, for lookups that are
    /// looking into why it does not hold.
    fn prefer(&mut self, other: &mut State) {
        self.prover.adopt(&other.prover);
        self.prover.forget_failures();
        self.material.prefer(std::mem::take(&mut other.material));
        self.under_way.retain(|question, _| self.material.get(question).is_some());
    }

    /// Many hosts hang on one zone's keys: that they did not come once is not to be the end of all.
    fn forget_old_failures(&mut self) {
        let old = self.failed.iter().take_while(|(when, _)| when.elapsed() >= PAUSE).count();
        for (_, question) in self.failed.drain(..old) {
            self.material.forget_failure(&question);
            self.under_way.remove(&question);
        }
        if old > 0 {
            self.prover.forget_unanswered();
        }
    }
}

impl Lookups {
    /// Proofs from `anchors` at `now` (seconds since 1970), with data from `resolver` until `deadline`.
    pub fn new(resolver: Resolver, anchors: Anchors, now: u64, deadline: Instant) -> Self {
        let prover = Prover::new(anchors.clone(), now);
        let state = State {
            prover,
            material: Material::default(),
            under_way: HashMap::new(),
            failed: VecDeque::new(),
        };
        Lookups {
            resolver,
            anchors,
            now,
            deadline,
            patience: deadline,
            state: Arc::new(Mutex::new(state)),
            stored: None,
            checking_disabled: true,
            telling: Telling::default(),
        }
    }

    /// The same lookups, with these stored proofs: they are used, and what DNS proves is added to them.
    pub fn with(self, stored: Stored) -> Self {
        Lookups { stored: Some(stored), ..self }
    }

    /// The same lookups, telling what is proven, and why what is not.
    pub fn telling(self, telling: Telling) -> Self {
        Lookups { telling, ..self }
    }

    /// The same lookups with another deadline: what has been fetched and proven is shared.
    pub fn until(&self, deadline: Instant) -> Self {
        Lookups { deadline, patience: deadline, ..self.clone() }
    }

    /// Lookups of the same resolvers at another moment (seconds since 1970): they share what is stored, and nothing else.
    pub fn at(&self, now: u64, deadline: Instant) -> Self {
        let fresh = Self::new(self.resolver.clone(), self.anchors.clone(), now, deadline);
        Lookups { stored: self.stored.as_ref().map(|stored| stored.at(now)), ..fresh }
    }

    /// The same lookups with other resolvers: what has been fetched and proven is shared.
    pub fn by(self, resolver: Resolver) -> Self {
        Lookups { resolver, ..self }
    }

    /// The same lookups, which wait no longer than `patience`: whoever else needs the same answers waits on.
    pub fn with_patience(&self, patience: Instant) -> Self {
        Lookups { patience: patience.min(self.deadline), ..self.clone() }
    }

    /// Whom they ask.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The moment that proofs are made for, in seconds since 1970.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Proves what was asked: from what is stored, else by DNS.
    pub async fn prove(&self, asked: &Question) -> Result<Answer, Unproven> {
        match self.stored(asked) {
            Some(answer) => Ok(answer),
            None => self.prove_live(asked).await,
        }
    }

    /// The proof for `asked` from what is stored, without a question.
    pub fn stored(&self, asked: &Question) -> Option<Answer> {
        let answer = self.stored.as_ref()?.prove(asked)?;
        self.telling.info(|| answer.told());
        Some(answer)
    }

    /// Something is stored that may serve as an answer to `asked`, up to `grace` seconds after its TTL. It is
    /// proven by nobody.
    pub fn has_grace(&self, asked: &Question, grace: u64) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.has_grace(asked, grace))
    }

    /// The proof for `asked` from the cache, up to `grace` seconds after its TTLs: for when DNS does not answer.
    pub fn in_grace(&self, asked: &Question, grace: u64) -> Option<Answer> {
        let answer = self.stored.as_ref()?.prove_in_grace(asked, grace)?;
        self.telling.info(|| answer.told());
        Some(answer)
    }

    /// Proves what was asked by DNS; of what is stored only keys of zones are used.
    ///
    /// On bogus data, and where one resolver led nowhere, another, if there is one, is asked once more for all of
    /// it, alias by alias, and to validate for itself (CD=0): the first may be at fault, or hold a poisoned entry
    /// that it then replaces, or the keys that are stored may be those of yesterday. Its word is not taken for
    /// anything; what it proves is, be it that there is no such record. Once it is of use, it is the first to be
    /// asked, and the zones proven by it stay proven.
    pub async fn prove_live(&self, asked: &Question) -> Result<Answer, Unproven> {
        let (mut left, began) = (MAX_AT_FIRST, self.resolver.place());
        let outcome = match self.attempt(asked, &mut left).await {
            Err(unproven) if self.checking_disabled && self.may_be_elsewhere(&unproven) => {
                let mut again =
                    Self::new(self.resolver.another(began), self.anchors.clone(), self.now, self.deadline);
                (again.checking_disabled, again.patience) = (false, self.patience);
                self.telling.info(|| {
                    format!("{} {}: asked once more, without CD: {unproven}", asked.name, asked.rtype)
                });
                again.lock().material = Material::piecemeal();
                left += MAX_QUESTIONS - MAX_AT_FIRST;
                let second = again.attempt(asked, &mut left).await;
                // What is proven counts, be it that there is nothing.
                if second.as_ref().is_err_and(|second| !second.is_proven()) {
                    Err(unproven)
                } else {
                    self.resolver.prefer(&again.resolver);
                    self.lock().prefer(&mut again.lock());
                    second
                }
            }
            other => other,
        };
        self.telling.info(|| match &outcome {
            Ok(answer) => answer.told(),
            Err(unproven) => format!("{} {}: {}: {unproven}", asked.name, asked.rtype, unproven.status),
        });
        if let Some(stored) = &self.stored {
            match &outcome {
                Ok(answer) => stored.save(answer),
                Err(unproven) if unproven.is_proven() => {
                    stored.forget(asked);
                    unproven.error.denied().iter().for_each(|denied| stored.forget(denied));
                }
                Err(_) => {}
            }
        }
        outcome
    }

    /// Another resolver may do better, or this one if it validates.
    fn may_be_elsewhere(&self, unproven: &Unproven) -> bool {
        let several = self.resolver.servers().len() > 1;
        match (&unproven.error, unproven.status) {
            // What has just not come is not asked for again at once.
            (ChainError::Unanswered { .. }, _) => several,
            (_, Status::Bogus) => true,
            (ChainError::AliasLoop { .. }, _) => several,
            _ => false,
        }
    }

    /// What came for `asked`, proven or not: its response code and records. For display only.
    pub fn seen(&self, asked: &Question) -> (Option<u16>, Option<RrSet>) {
        let material = &self.lock().material;
        match material.get(&material.end_of_aliases(asked)) {
            Some(Fetched::Set(set)) => (Some(NOERROR), Some(set.clone())),
            Some(Fetched::Alias { cname, .. }) if asked.rtype == RrType::CNAME => {
                (Some(NOERROR), Some(cname.clone()))
            }
            Some(Fetched::Nothing { rcode, .. }) => (Some(*rcode), None),
            _ => (None, None),
        }
    }

    /// One way to an answer, with at most `left` questions.
    async fn attempt(&self, asked: &Question, left: &mut usize) -> Result<Answer, Unproven> {
        let mut budget = Budget::default();
        self.lock().forget_old_failures();
        let error = loop {
            let step = {
                let State { prover, material, .. } = &mut *self.lock();
                prover.answer(asked, material, &mut budget)
            };
            match step {
                Ok(answer) => return Ok(answer),
                Err(Halt::Need(needs)) => self.fetch(asked, needs, left).await?,
                Err(Halt::Failed(error)) => break error,
            }
        };
        loop {
            let step = {
                let State { prover, material, .. } = &mut *self.lock();
                classify(prover, asked, &error, material, &mut budget)
            };
            match step {
                Ok(unproven) => return Err(unproven),
                Err(Halt::Need(needs)) => self.fetch(asked, needs, left).await?,
                Err(Halt::Failed(error)) => return Err(Unproven { status: Status::Bogus, error }),
            }
        }
    }

    /// Asks everything in `needs` at once; afterwards the material has an entry for each. The error: not in time.
    async fn fetch(&self, asked: &Question, needs: Vec<Question>, left: &mut usize) -> Result<(), Unproven> {
        let Some(rest) = left.checked_sub(needs.len()) else {
            let why = "it took too many questions".to_owned();
            return Err(Unproven::unanswered(asked.clone(), why));
        };
        *left = rest;
        let mut asking: Vec<_> = needs
            .iter()
            .map(|question| {
                let cell = self.cell(question);
                Box::pin(async move { *cell.get_or_init(|| self.fetch_one(question)).await })
            })
            .collect();
        let answered = poll_fn(|cx| {
            asking.retain_mut(|one| one.as_mut().poll(cx).is_pending());
            if asking.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        if self.patience == self.deadline {
            // They end by then, and know whom they have waited for.
            answered.await;
            let state = &mut *self.lock();
            needs
                .iter()
                .filter(|q| state.material.get(q).is_some())
                .for_each(|q| drop(state.under_way.remove(q)));
            return Ok(());
        }
        let outcome = timeout_at(self.patience, answered).await;
        outcome.map_err(|_| Unproven::unanswered(asked.clone(), "no answer in time"))
    }

    /// Where those meet who need the same question. One that is through, and whose outcome is no longer kept, begins
    /// again.
    fn cell(&self, question: &Question) -> Arc<OnceCell<()>> {
        let State { material, under_way, .. } = &mut *self.lock();
        let cell = under_way.entry(question.clone()).or_default();
        if cell.initialized() && material.get(question).is_none() {
            *cell = Arc::default();
        }
        cell.clone()
    }

    async fn fetch_one(&self, question: &Question) {
        if matches!(question.rtype, RrType::DNSKEY | RrType::DS)
            && let Some(set) = self.stored.as_ref().and_then(|stored| stored.set(question))
        {
            self.lock().material.restore(question, set);
            return;
        }
        let reply = self.resolver.ask(question, self.checking_disabled, self.deadline).await;
        let mut state = self.lock();
        match reply {
            Ok(response) => state.material.add(question, &response),
            Err(why) => state.fail(question, why),
        }
    }

    /// A panic elsewhere cannot leave this state half-written in a way that proves anything.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
