//! One link of a chain as it is stored: what a cache keeps and a bundle holds. It proves nothing until a
//! [`Prover`](super::Prover) has been over it again.

use super::answer::Answer;
use super::material::leads_to;
use super::prover::{Proven, Zone};
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::rr::{Origin, RrSet, RrType};

/// The set that answers a question, with the one signature that proves it; or the CNAME or DNAME set that
/// leads to another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    question: Question,
    set: RrSet,
    fetched: u64,
}

impl Entry {
    /// `set` came for `question` at `fetched`, in seconds since 1970. None if it does not answer it.
    pub fn new(question: Question, set: RrSet, fetched: u64) -> Option<Self> {
        stands_at(&set, &question).then_some(Entry { question, set, fetched })
    }

    fn of(question: Question, proven: &Proven, now: u64) -> Self {
        Entry { question, set: proven.set().signed_by(proven.rrsig()), fetched: now }
    }

    /// The question that it answers.
    pub fn question(&self) -> &Question {
        &self.question
    }

    /// The set. Its TTL counts from [`Entry::fetched`].
    pub fn set(&self) -> &RrSet {
        &self.set
    }

    /// When DNS gave it, in seconds since 1970.
    pub fn fetched(&self) -> u64 {
        self.fetched
    }

    /// The last second of its TTL, since 1970: the least of what came and what was signed (RFC 4035 section
    /// 5.3.3).
    pub fn until(&self) -> u64 {
        let signed = self.set.signatures().iter().map(|rrsig| rrsig.original_ttl).min().unwrap_or(0);
        self.fetched.saturating_add(u64::from(self.set.ttl().min(signed)))
    }

    /// The set as it may be used at `now` (seconds since 1970): within its TTL, or up to `grace` seconds after
    /// it. None for one from the future: a clock that went backwards must not make it live longer.
    pub fn kept(&self, now: u64, grace: u64) -> Option<RrSet> {
        let until = self.until();
        if now < self.fetched {
            return None;
        }
        if now <= until {
            let left = u32::try_from(until - now).unwrap_or(u32::MAX);
            return Some(self.set.clone().from_origin(Origin::Cache, left));
        }
        let until = until.saturating_add(grace);
        let origin = Origin::Grace { fetched: self.fetched, until };
        (now <= until).then(|| self.set.clone().from_origin(origin, 0))
    }

    /// The set as a bundle gives it, whatever its TTL.
    pub fn bundled(&self) -> RrSet {
        self.set.clone().from_origin(Origin::Bundle, self.set.ttl())
    }
}

/// `set` is the data asked for by `question`, or an alias there.
pub(super) fn stands_at(set: &RrSet, question: &Question) -> bool {
    let (owner, name) = (set.owner(), &question.name);
    match set.rtype() {
        RrType::DNAME if owner != name => name.is_at_or_below(owner),
        rtype => owner == name && (rtype == question.rtype || rtype == RrType::CNAME),
    }
}

impl Answer {
    /// Everything that proves this answer, `now` being when it was fetched (seconds since 1970). The zones'
    /// part is the same for all answers of a zone.
    pub fn entries(&self, now: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut here: Name = self.asked().name.clone();
        for alias in self.aliases() {
            entries.push(Entry::of(Question::new(here.clone(), self.asked().rtype), alias, now));
            entries.extend(alias.zones().flat_map(|zone| zone.entries(now)));
            // A proven alias leads somewhere.
            here = leads_to(alias.set(), &here).unwrap_or(here);
        }
        entries.push(Entry::of(Question::new(here, self.asked().rtype), self.data(), now));
        entries.extend(self.data().zones().flat_map(|zone| zone.entries(now)));
        entries
    }

    /// The latest moment at which one of its signatures began, in seconds since 1970; `now` is when it was proven.
    pub fn newest_inception(&self, now: u64) -> u64 {
        let newest = |proven: &Proven| {
            let zones = proven.zones().map(|zone| zone.keys().1.inception);
            let sets = proven.zones().filter_map(|zone| zone.ds()).map(|ds| ds.rrsig().inception);
            // Serial number arithmetic (RFC 4034 section 3.1.5): none began after now.
            let age = |inception: u32| (now as u32).wrapping_sub(inception);
            zones.chain(sets).chain([proven.rrsig().inception]).map(age).min()
        };
        let youngest = self.aliases().iter().chain([self.data()]).filter_map(newest).min();
        now.saturating_sub(u64::from(youngest.unwrap_or(u32::MAX)))
    }

    /// Where the proof came from, of several parts the one to be told of. Keys of zones do not count,
    /// unless they are in grace.
    pub fn origin(&self) -> Origin {
        let own = self.aliases().iter().fold(self.data().set().origin(), |o, a| o.and(a.set().origin()));
        let zones = self.aliases().iter().chain([self.data()]).flat_map(Proven::zones);
        let origins = zones.flat_map(|zone| {
            let ds = zone.ds().map(|ds| ds.set().origin());
            ds.into_iter().chain([zone.keys().0.origin()])
        });
        origins.filter(|origin| matches!(origin, Origin::Grace { .. })).fold(own, Origin::and)
    }
}

impl Zone {
    fn entries(&self, now: u64) -> impl Iterator<Item = Entry> {
        let (keys, rrsig) = self.keys();
        let question = |rtype| Question::new(self.name().clone(), rtype);
        let dnskey = Entry { question: question(RrType::DNSKEY), set: keys.signed_by(rrsig), fetched: now };
        let ds = self.ds().map(|ds| Entry::of(question(RrType::DS), ds, now));
        [dnskey].into_iter().chain(ds)
    }
}
