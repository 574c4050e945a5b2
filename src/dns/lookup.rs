//! Fetches what proofs ask for, and hands it back, until there is a proof or a reason.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::classify::classify;
use super::resolver::Resolver;
use crate::proto::chain::{Anchors, Answer, Budget, Fetched, Halt, Material, Prover};
use crate::proto::denial::{Status, Unproven};
use crate::proto::message::{NOERROR, Question};
use crate::proto::rr::{RrSet, RrType};

/// Questions that one answer may take: aliases, classification and a second attempt included.
const MAX_QUESTIONS: usize = 48;

/// The lookups of one run: zone material is fetched once and proven once, however many names need it.
#[derive(Debug, Clone)]
pub struct Lookups {
    resolver: Resolver,
    anchors: Anchors,
    /// Seconds since 1970.
    now: u64,
    deadline: Instant,
    state: Arc<Mutex<State>>,
    /// CD: with it, a validating resolver hands out what it could not validate.
    checking_disabled: bool,
}

#[derive(Debug)]
struct State {
    prover: Prover,
    material: Material,
    /// One cell a question, so that two lookups that need the same thing ask once.
    under_way: HashMap<Question, Arc<OnceCell<()>>>,
}

impl Lookups {
    /// Proofs from `anchors` at `now` (seconds since 1970), with data from `resolver` until `deadline`.
    pub fn new(resolver: Resolver, anchors: Anchors, now: u64, deadline: Instant) -> Self {
        let prover = Prover::new(anchors.clone(), now);
        let state = State { prover, material: Material::default(), under_way: HashMap::new() };
        Lookups {
            resolver,
            anchors,
            now,
            deadline,
            state: Arc::new(Mutex::new(state)),
            checking_disabled: true,
        }
    }

    /// The same lookups with another deadline: what has been fetched and proven is shared.
    pub fn until(&self, deadline: Instant) -> Self {
        Lookups { deadline, ..self.clone() }
    }

    /// The moment that proofs are made for, in seconds since 1970.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Proves what was asked. On bogus data the resolver is asked once more to validate for itself
    /// (CD=0): it may hold a poisoned entry that it then replaces. Its word is not taken for anything.
    pub async fn prove(&self, asked: &Question) -> Result<Answer, Unproven> {
        let mut questions = 0;
        let first = self.attempt(asked, &mut questions).await;
        match first {
            Err(unproven) if unproven.status == Status::Bogus && self.checking_disabled => {
                let mut again =
                    Self::new(self.resolver.clone(), self.anchors.clone(), self.now, self.deadline);
                again.checking_disabled = false;
                again.attempt(asked, &mut questions).await.map_err(|_| unproven)
            }
            other => other,
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

    /// `questions`: how many have been sent for this answer.
    async fn attempt(&self, asked: &Question, questions: &mut usize) -> Result<Answer, Unproven> {
        let mut budget = Budget::default();
        let error = loop {
            let step = {
                let State { prover, material, .. } = &mut *self.lock();
                prover.answer(asked, material, &mut budget)
            };
            match step {
                Ok(answer) => return Ok(answer),
                Err(Halt::Need(needs)) => self.fetch(asked, needs, questions).await?,
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
                Err(Halt::Need(needs)) => self.fetch(asked, needs, questions).await?,
                Err(Halt::Failed(error)) => return Err(Unproven { status: Status::Bogus, error }),
            }
        }
    }

    /// Asks everything in `needs` at once; afterwards the material has an entry for each.
    async fn fetch(
        &self,
        asked: &Question,
        needs: Vec<Question>,
        questions: &mut usize,
    ) -> Result<(), Unproven> {
        *questions += needs.len();
        if *questions > MAX_QUESTIONS {
            let why = format!("it took more than {MAX_QUESTIONS} questions");
            return Err(Unproven::unanswered(asked.clone(), why));
        }
        let mut tasks = JoinSet::new();
        for question in needs.clone() {
            let cell = self.lock().under_way.entry(question.clone()).or_default().clone();
            let lookups = self.clone();
            tasks.spawn(async move {
                cell.get_or_init(|| lookups.fetch_one(&question)).await;
            });
        }
        while tasks.join_next().await.is_some() {}
        // Whatever became of a task: nothing is asked for ever.
        let material = &mut self.lock().material;
        needs.iter().for_each(|question| material.fail(question, "the question was given up".to_owned()));
        Ok(())
    }

    async fn fetch_one(&self, question: &Question) {
        let reply = self.resolver.ask(question, self.checking_disabled, self.deadline).await;
        let material = &mut self.lock().material;
        match reply {
            Ok(response) => material.add(question, &response),
            Err(why) => material.fail(question, why),
        }
    }

    /// A panic elsewhere cannot leave this state half-written in a way that proves anything.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
