//! CA sets, the host's zone, and revoked sets: which of them are to be asked for, and which count.
//!
//! Nothing in here rests on an absence. A CA set counts if the host's own zone says so, and the revoked sets that go
//! with it have to be proven to exist, so that whoever withholds or replays data can but take accepts away.

use super::Evidence;
use crate::proto::chain::{Answer, ChainError, Proven};
use crate::proto::denial::Unproven;
use crate::proto::hostkey::HostKey;
use crate::proto::message::Question;
use crate::proto::name::{Name, NameError};
use crate::proto::policy::{Policy, Require, Revocation, Shortfall};
use crate::proto::revocation::{self, NoSentinel, RevokedSet};
use crate::proto::rr::RrType;
use crate::proto::sshfp::Sshfp;

/// Most places at which CA sets of one host are looked for: those nearest to the zone's apex.
const MAX_PLACES: usize = 8;

/// How much is to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// What speaks for and against plain keys.
    Keys,
    /// Which CAs may vouch as well.
    Cas,
}

/// A CA set that counts.
#[derive(Debug, Clone)]
pub struct CaSet<'a> {
    /// The proof.
    pub answer: &'a Answer,
    /// Records that can vouch.
    pub keys: Vec<Sshfp>,
}

/// Why a revoked set that has to be there cannot be relied upon.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// It is not proven.
    #[error("{0}")]
    Unproven(Unproven),
    /// Its sentinel is not there.
    #[error("{0}")]
    NoSentinel(#[from] NoSentinel),
    /// Another zone than that of the CA set says so.
    #[error("it is signed by {0}")]
    OtherZone(Name),
    /// It holds, and policy asks for more.
    #[error("{0}")]
    Shortfall(Shortfall),
    /// A signature has run out since.
    #[error("a signature over it has expired")]
    Expired,
    /// Nobody has asked for it: there is no name to ask for.
    #[error("there is no zone to look for it in")]
    NoPlace,
}

/// `_ca._ssh.X`, `_revoked._ssh.X`.
type Owner = fn(&Name) -> Result<Name, NameError>;

impl Evidence {
    /// The same, with what came of another question.
    pub fn add(&mut self, asked: Question, outcome: Result<Answer, Unproven>) {
        self.others.insert(asked, outcome);
    }

    /// The zone that the host is in: that of the signer of a set at exactly its name, which may be the CNAME there.
    /// Where a CNAME leads never decides it, nor do port labels. None also if two proofs say different things.
    pub fn host_zone(&self, now: u64) -> Option<&Name> {
        let own =
            std::iter::once(&self.host_keys).chain(self.host_questions().filter_map(|q| self.others.get(&q)));
        let mut zones = own.filter_map(|answer| {
            let answer = answer.as_ref().ok().filter(|answer| now <= answer.expires())?;
            let first = answer.aliases().first().unwrap_or(answer.data());
            let is_here = answer.asked().name == *self.host.name() && first.set().owner() == self.host.name();
            (is_here && first.set().rtype() != RrType::DNAME).then(|| first.zone().name())
        });
        let zone = zones.next()?;
        zones.all(|other| other == zone).then_some(zone)
    }

    /// The zones that signed the first link to the host's keys, behind a DNAME say, and to those under the port label. They
    /// never count as the host's.
    fn key_zones(&self) -> impl Iterator<Item = &Name> {
        let answers = [&self.host_keys, &self.port_keys].into_iter().filter_map(|keys| keys.as_ref().ok());
        answers.map(|answer| answer.aliases().first().unwrap_or(answer.data()).zone().name())
    }

    /// What may tell the host's zone where its SSHFP set does not.
    fn host_questions(&self) -> impl Iterator<Item = Question> {
        [RrType::A, RrType::AAAA, RrType::CNAME]
            .map(|t| Question::new(self.host.name().clone(), t))
            .into_iter()
    }

    /// The questions that are open still, to be asked at the same time; none once nothing more can be learnt.
    pub fn needs(&self, policy: &Policy, scope: Scope, now: u64) -> Vec<Question> {
        let sshfp = |name: Result<Name, NameError>| name.ok().map(|name| Question::new(name, RrType::SSHFP));
        let mut needs: Vec<Question> = match self.host_zone(now) {
            None => {
                let is_zone_needed = scope == Scope::Cas || policy.revocation == Revocation::Always;
                // Whoever signs for the keys may revoke them all the same: a hit takes an accept away.
                let revoked = self.key_zones().filter_map(|zone| sshfp(revocation::owner(zone)));
                self.host_questions().filter(|_| is_zone_needed).chain(revoked).collect()
            }
            Some(zone) if scope == Scope::Keys => sshfp(revocation::owner(zone)).into_iter().collect(),
            Some(zone) => {
                let places = self.places_in(policy, zone);
                let beside = self.ca_sets(policy, now).filter_map(|set| place_of(set.answer.data()));
                let revoked =
                    std::iter::once(zone.clone()).chain(beside).map(|at| sshfp(revocation::owner(&at)));
                places.iter().map(|at| sshfp(revocation::ca_owner(at))).chain(revoked).flatten().collect()
            }
        };
        needs.retain(|question| !self.others.contains_key(question));
        needs.sort();
        needs.dedup();
        needs
    }

    /// Where CA sets that count may stand, the apex of the host's zone first; none while its zone is not known.
    pub fn places(&self, policy: &Policy, now: u64) -> Vec<Name> {
        self.host_zone(now).map(|zone| self.places_in(policy, zone)).unwrap_or_default()
    }

    /// Where CA sets for the host may stand: at its zone's apex and below, down to the name above its own; its own only
    /// where that is the apex.
    fn places_in(&self, policy: &Policy, zone: &Name) -> Vec<Name> {
        let host = self.host.name();
        let first = if host == zone { Some(host.clone()) } else { host.parent() };
        let mut places: Vec<Name> = std::iter::successors(first, Name::parent)
            .take_while(|at| at.is_at_or_below(zone))
            .filter(|at| policy.ca_at.as_ref().is_none_or(|pinned| pinned.contains(at)))
            .collect();
        places.reverse();
        places.truncate(MAX_PLACES);
        places
    }

    /// The CA sets that count for the host at `now`, in seconds since 1970. None if policy takes no CA.
    pub fn ca_sets(&self, policy: &Policy, now: u64) -> impl Iterator<Item = CaSet<'_>> {
        self.holding_ca_sets(policy, now).filter(move |set| policy.suffices(set.answer, now).is_ok())
    }

    /// The CA sets that suffice for an accept, with the revoked sets that have to be proven beside them; or of sets that
    /// count, none of which suffices, what the first of them lacks. Empty if there are none.
    pub fn sufficient_ca_sets(&self, policy: &Policy, now: u64) -> Result<Vec<CaSet<'_>>, (Name, Gap)> {
        let (mut sufficient, mut lacking) = (Vec::new(), None);
        for set in self.ca_sets(policy, now) {
            let revoked =
                self.revoked_of_zone(policy, now).and_then(|_| self.revoked_beside(&set, policy, now));
            match revoked {
                Ok(_) => sufficient.push(set),
                Err(gap) => lacking = lacking.or(Some(gap)),
            }
        }
        match lacking {
            Some(gap) if sufficient.is_empty() => Err(gap),
            _ => Ok(sufficient),
        }
    }

    /// Why a CA set that holds at `now` and may speak for the host does not count.
    pub(in crate::proto) fn ca_shortfall(&self, policy: &Policy, now: u64) -> Option<Shortfall> {
        self.holding_ca_sets(policy, now).find_map(|set| policy.suffices(set.answer, now).err())
    }

    /// The CA sets that hold at `now` and may speak for the host, whether or not they suffice by policy.
    fn holding_ca_sets(&self, policy: &Policy, now: u64) -> impl Iterator<Item = CaSet<'_>> {
        let zone = self.host_zone(now).filter(|_| policy.require != Require::Hostkey);
        let places = zone.map(|zone| (zone.clone(), self.places_in(policy, zone)));
        let places = places
            .into_iter()
            .flat_map(|(zone, places)| places.into_iter().map(move |at| (zone.clone(), at)));
        places.filter_map(move |(zone, at)| {
            let answer = self.answer_at(&at, revocation::ca_owner)?.as_ref().ok()?;
            let counts = now <= answer.expires() && speaks_for(answer, &at, &zone, revocation::ca_owner);
            let records = answer.data().set().rdatas().filter_map(|rdata| Sshfp::from_rdata(rdata).ok());
            let keys: Vec<Sshfp> = records.filter(Sshfp::is_usable).collect();
            (counts && !keys.is_empty()).then_some(CaSet { answer, keys })
        })
    }

    /// Why no CA set counts, of the first place that was asked.
    pub(in crate::proto) fn ca_failure(&self, policy: &Policy, now: u64) -> Option<&Unproven> {
        let places = self.places_in(policy, self.host_zone(now)?);
        places.iter().find_map(|at| self.answer_at(at, revocation::ca_owner)?.as_ref().err())
    }

    /// Why nothing says which zone the host is in.
    pub fn zone_failure(&self) -> Option<&Unproven> {
        let asked = self.host_questions().filter_map(|question| self.others.get(&question)?.as_ref().err());
        asked.chain(self.host_keys.as_ref().err()).next()
    }

    /// What stands at the host's name is made from a wildcard, which tells no zone.
    pub(in crate::proto) fn wildcard(&self, now: u64) -> Option<&Unproven> {
        let is_wildcard = |cause: &&Unproven| matches!(cause.error, ChainError::Wildcard { .. });
        let asked =
            || self.host_questions().filter_map(|question| self.others.get(&question)?.as_ref().err());
        self.host_zone(now).is_none().then(|| asked().find(is_wildcard)).flatten()
    }

    /// The proven record that revokes this key, in whichever revoked set that was asked for.
    pub(in crate::proto) fn revoked_at(&self, key: &HostKey, now: u64) -> Option<&Name> {
        let digest = key.sha256();
        let sets = self.others.iter().filter(|(question, _)| {
            question.name.labels().take(2).eq([&b"_revoked"[..], b"_ssh"]) && question.rtype == RrType::SSHFP
        });
        // Whoever signed it, and sentinel or not: a hit takes an accept away.
        let proven =
            sets.filter_map(|(_, answer)| answer.as_ref().ok()).filter(|answer| now <= answer.expires());
        let mut hits = proven.map(|answer| answer.data().set()).filter(|set| {
            set.rdatas().any(|rdata| rdata.get(2..).is_some_and(|fingerprint| *fingerprint == digest))
        });
        hits.next().map(|set| set.owner())
    }

    /// The revoked set of the host's zone: of its apex, signed by it, with its sentinel.
    pub(in crate::proto) fn revoked_of_zone(
        &self,
        policy: &Policy,
        now: u64,
    ) -> Result<&Answer, (Name, Gap)> {
        let Some(zone) = self.host_zone(now) else { return Err((self.host.name().clone(), Gap::NoPlace)) };
        self.revoked_of(zone, zone, policy, now)
    }

    /// The revoked set beside a CA set, signed as that is, with its sentinel.
    pub(in crate::proto) fn revoked_beside(
        &self,
        set: &CaSet<'_>,
        policy: &Policy,
        now: u64,
    ) -> Result<&Answer, (Name, Gap)> {
        let data = set.answer.data();
        let at = place_of(data).ok_or_else(|| (data.set().owner().clone(), Gap::NoPlace))?;
        self.revoked_of(&at, data.zone().name(), policy, now)
    }

    fn revoked_of(&self, at: &Name, zone: &Name, policy: &Policy, now: u64) -> Result<&Answer, (Name, Gap)> {
        let owner = revocation::owner(at).map_err(|_| (at.clone(), Gap::NoPlace))?;
        let gap = |gap: Gap| (owner.clone(), gap);
        let answer = match self.answer_at(at, revocation::owner) {
            Some(Ok(answer)) => answer,
            Some(Err(unproven)) => return Err(gap(Gap::Unproven(unproven.clone()))),
            None => return Err(gap(Gap::NoPlace)),
        };
        if !speaks_for(answer, at, zone, revocation::owner) {
            return Err(gap(Gap::OtherZone(answer.data().zone().name().clone())));
        }
        if now > answer.expires() {
            return Err(gap(Gap::Expired));
        }
        policy.suffices(answer, now).map_err(|shortfall| gap(Gap::Shortfall(shortfall)))?;
        RevokedSet::from_rdatas(answer.data().set().rdatas()).map_err(|none| gap(none.into()))?;
        Ok(answer)
    }

    /// What came of the question for `owner` of this place; an answer to another question is none.
    fn answer_at(&self, at: &Name, owner: Owner) -> Option<&Result<Answer, Unproven>> {
        let question = Question::new(owner(at).ok()?, RrType::SSHFP);
        let answer = self.others.get(&question)?;
        answer.as_ref().map_or(true, |answer| *answer.asked() == question).then_some(answer)
    }
}

/// X of `_ca._ssh.X`.
fn place_of(set: &Proven) -> Option<Name> {
    set.set().owner().parent()?.parent()
}

/// The answer is the word of `zone`, in which `owner(at)` lies: signed by it, or by a zone `_ssh.AT` whose DS it has
/// signed. Another zone speaks for it where a CNAME that `zone` signed says so, and leads to a set of the same kind.
fn speaks_for(answer: &Answer, at: &Name, zone: &Name, owner: Owner) -> bool {
    let (Ok(here), Ok(below)) = (owner(at), at.child(b"_ssh")) else { return false };
    let kind: Vec<&[u8]> = here.labels().take(2).collect();
    let is_of_zone = |set: &Proven| set.zone().name() == zone;
    let is_delegated = |set: &Proven| {
        *set.zone().name() == below && set.zone().ds().is_some_and(|ds| ds.zone().name() == zone)
    };
    let links: Vec<&Proven> = answer.aliases().iter().chain([answer.data()]).collect();
    let starts_here = links
        .first()
        .is_some_and(|first| *first.set().owner() == here && (is_of_zone(first) || is_delegated(first)));
    let is_kind = |set: &Proven| set.set().owner().labels().take(2).eq(kind.iter().copied());
    let leads_on = |pair: &[&Proven]| match pair {
        [alias, next] => {
            alias.set().rtype() == RrType::CNAME
                && is_kind(next)
                && (alias.zone().name() == next.zone().name() || is_of_zone(alias))
        }
        _ => false,
    };
    starts_here && answer.data().set().rtype() == RrType::SSHFP && links.windows(2).all(leads_on)
}
