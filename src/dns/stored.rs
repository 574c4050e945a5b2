//! Proofs that need no DNS: from a bundle that the user named, and from the cache. Each is made anew from the
//! trust anchors, out of one of the two alone.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::cache::Cache;
use crate::proto::bundle::{Bundle, prove_stored};
use crate::proto::chain::{Anchors, Answer, Entry, Prover};
use crate::proto::message::Question;
use crate::proto::rr::{Origin, RrSet, RrType};

/// What is stored for this run.
#[derive(Debug, Clone)]
pub struct Stored(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bundle: Option<Arc<Bundle>>,
    cache: Option<Cache>,
    anchors: Anchors,
    /// Seconds since 1970.
    now: u64,
    /// Zones that are proven from the bundle, and from the cache, need no second proof.
    provers: [Mutex<Prover>; 2],
    /// Keys and DS sets of zones that this run has stored: once is enough.
    saved: Mutex<HashSet<Question>>,
}

impl Stored {
    /// For proofs from `anchors` at `now` (seconds since 1970).
    pub fn new(bundle: Option<Arc<Bundle>>, cache: Option<Cache>, anchors: Anchors, now: u64) -> Self {
        let provers = [(); 2].map(|()| Mutex::new(Prover::new(anchors.clone(), now)));
        Stored(Arc::new(Inner { bundle, cache, anchors, now, provers, saved: Mutex::default() }))
    }

    /// The same things at another moment (seconds since 1970): what was proven before is proven anew.
    pub fn at(&self, now: u64) -> Self {
        let Inner { bundle, cache, anchors, .. } = &*self.0;
        Self::new(bundle.clone(), cache.clone(), anchors.clone(), now)
    }

    /// The cache.
    pub fn cache(&self) -> Option<&Cache> {
        self.0.cache.as_ref()
    }

    /// The proof for `asked`: by the bundle, else by the cache within its TTLs.
    pub fn prove(&self, asked: &Question) -> Option<Answer> {
        let Inner { bundle, cache, now, provers: [of_bundle, of_cache], .. } = &*self.0;
        let prove = |prover: &Mutex<Prover>, get: &dyn Fn(&Question) -> Option<RrSet>| {
            // A panic elsewhere cannot leave a prover half-written in a way that proves anything.
            let mut prover = prover.lock().unwrap_or_else(PoisonError::into_inner);
            prove_stored(asked, &mut prover, get).ok()
        };
        let bundled = bundle.as_ref().and_then(|b| prove(of_bundle, &|q| b.get(q).map(Entry::bundled)));
        let answer = bundled.or_else(|| {
            let cache = cache.as_ref()?;
            prove(of_cache, &|q| cache.get(q).and_then(|entry| entry.kept(*now, 0)))
        });
        answer.inspect(|answer| self.note_inception(answer))
    }

    /// Something is there that may serve in grace.
    pub fn has_grace(&self, asked: &Question, grace: u64) -> bool {
        let cache = self.cache().filter(|_| grace > 0);
        cache.and_then(|cache| cache.get(asked)?.kept(self.0.now, grace)).is_some()
    }

    /// The proof for `asked` out of the cache, up to `grace` seconds after its TTLs.
    pub fn prove_in_grace(&self, asked: &Question, grace: u64) -> Option<Answer> {
        let cache = self.cache().filter(|_| grace > 0)?;
        let mut prover = Prover::new(self.0.anchors.clone(), self.0.now);
        prove_stored(asked, &mut prover, |q| cache.get(q)?.kept(self.0.now, grace)).ok()
    }

    /// A set of the cache within its TTL, to be proven with data from DNS.
    pub fn set(&self, question: &Question) -> Option<RrSet> {
        self.cache()?.get(question)?.kept(self.0.now, 0)
    }

    /// Stores what DNS gave of a proof.
    pub fn save(&self, answer: &Answer) {
        self.note_inception(answer);
        if let Some(cache) = self.cache() {
            let mut entries = answer.entries(self.0.now);
            let mut saved = self.0.saved.lock().unwrap_or_else(PoisonError::into_inner);
            entries.retain(|entry| {
                let of_a_zone = matches!(entry.question().rtype, RrType::DNSKEY | RrType::DS);
                entry.set().origin() == Origin::Dns && (!of_a_zone || saved.insert(entry.question().clone()))
            });
            cache.put(&entries);
        }
    }

    /// DNS proves that there is no such set any more: no grace brings it back, nor what rests on it.
    pub fn forget(&self, question: &Question) {
        if let Some(cache) = self.cache() {
            cache.forget(question);
        }
    }

    fn note_inception(&self, answer: &Answer) {
        if let Some(cache) = self.cache() {
            cache.note_inception(answer.newest_inception(self.0.now));
        }
    }
}
