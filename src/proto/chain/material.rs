//! What has been fetched so far: unproven data, by question.

use std::collections::{HashMap, VecDeque};

use super::entry::stands_at;
use super::prover::Halt;
use super::{ChainError, MAX_ALIASES};
use crate::proto::message::{NOERROR, NXDOMAIN, Question, Response, rcode_name};
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};

/// RRsets of an authority section that are kept: what takes part in denials, and more than any needs.
const MAX_AUTHORITY: usize = 20;

/// Questions whose data is kept; the oldest goes first, and is asked for again if anybody still needs it. Keys and
/// DS sets of zones stay. More than any number of lookups at the same time has in hand.
const MAX_DATA: usize = 4096;

/// What came for one question. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The RRset.
    Set(RrSet),
    /// Another name to ask: a CNAME, and the DNAME that it may be made from (RFC 6672). Where the CNAME
    /// itself was asked for, it is here if it may be made so.
    Alias {
        /// The CNAME at the name, without signatures if it is made from a DNAME.
        cname: RrSet,
        /// A DNAME above the name, if the reply held one.
        dname: Option<RrSet>,
    },
    /// No such data.
    Nothing {
        /// NOERROR or NXDOMAIN.
        rcode: u16,
        /// The SOA, NSEC and NSEC3 sets of the authority section.
        authority: Vec<RrSet>,
    },
    /// Nothing usable came, for this reason.
    Failed(String),
}

/// Everything fetched for one or more lookups.
#[derive(Debug, Clone, Default)]
pub struct Material {
    fetched: HashMap<Question, Fetched>,
    /// NSEC and NSEC3 sets that came beside data expanded from a wildcard.
    beside: HashMap<Question, Vec<RrSet>>,
    /// What replies that end at an alias deny of its target, or say of it without a signature. Whoever needs
    /// the target asks for it; this is heard only where nobody answers, or the answer proves nothing.
    aside: HashMap<Question, Fetched>,
    /// Of each reply only what was asked for is taken.
    piecemeal: bool,
    /// Questions that are not about zones, in the order in which their data came.
    order: VecDeque<Question>,
}

impl Material {
    /// For replies of which only what was asked for is to be taken: what an alias leads to is asked for by
    /// itself, since some resolvers leave out signatures or denials beyond the first alias.
    pub fn piecemeal() -> Self {
        Material { piecemeal: true, ..Material::default() }
    }

    /// What came for `question`, if it has been asked.
    pub fn get(&self, question: &Question) -> Option<&Fetched> {
        self.fetched.get(question)
    }

    /// The NSEC and NSEC3 sets that came beside the data for `question`, if that is expanded from a
    /// wildcard: they may show that it may be.
    pub fn beside(&self, question: &Question) -> &[RrSet] {
        self.beside.get(question).map_or(&[], Vec::as_slice)
    }

    /// The same, or the unsigned set that a reply gave beside an alias that leads to `question`. For addresses,
    /// which nothing rests on.
    pub fn heard(&self, question: &Question) -> Option<&Fetched> {
        let aside = || self.aside.get(question).filter(|said| matches!(said, Fetched::Set(_)));
        self.get(question).or_else(aside)
    }

    /// The NSEC and NSEC3 sets that came beside an alias that leads to `question`.
    pub fn aside(&self, question: &Question) -> impl Iterator<Item = &RrSet> {
        let sets = match self.aside.get(question) {
            Some(Fetched::Nothing { authority, .. }) => authority.as_slice(),
            _ => &[],
        };
        sets.iter().filter(|set| set.rtype() != RrType::SOA)
    }

    /// Takes in a set that was stored as the answer to `question`: data, or an alias. One that cannot stand
    /// there is left aside.
    pub fn restore(&mut self, question: &Question, set: RrSet) {
        if !stands_at(&set, question) {
            return;
        }
        let found = if *set.owner() == question.name && set.rtype() == question.rtype {
            Fetched::Set(set)
        } else if set.rtype() == RrType::DNAME {
            let Some(cname) = synthesised(&question.name, &set) else { return };
            Fetched::Alias { cname, dname: Some(set) }
        } else {
            Fetched::Alias { cname: set, dname: None }
        };
        self.keep(question.clone(), found);
    }

    /// Keeps what came first for a question, within bounds; false if something was there.
    fn keep(&mut self, question: Question, found: Fetched) -> bool {
        if self.fetched.contains_key(&question) {
            return false;
        }
        if !is_of_zone(&question) {
            self.order.push_back(question.clone());
        }
        self.fetched.insert(question, found);
        while self.order.len() > MAX_DATA {
            let Some(oldest) = self.order.pop_front() else { break };
            self.fetched.remove(&oldest);
            self.beside.remove(&oldest);
        }
        if self.aside.len() > MAX_DATA {
            self.aside.clear();
        }
        true
    }

    /// Follows the aliases from `asked`, proven or not, as far as they are known. For display, and for
    /// addresses, which nothing rests on.
    pub fn end_of_aliases(&self, asked: &Question) -> Question {
        let mut here = asked.clone();
        for _ in 0..=MAX_ALIASES {
            match self.alias_at(&here) {
                Some((_, target)) if asked.rtype != RrType::CNAME => here.name = target,
                _ => break,
            }
        }
        here
    }

    /// Notes that `question` could not be answered.
    pub fn fail(&mut self, question: &Question, why: String) {
        let denied = self.aside.remove(question);
        self.keep(question.clone(), denied.unwrap_or(Fetched::Failed(why)));
    }

    /// Takes what came for `other` in place of what is here, and forgets all keys and DS sets of zones besides.
    pub fn prefer(&mut self, other: Material) {
        self.fetched.retain(|question, _| !is_of_zone(question));
        for (question, found) in other.fetched {
            self.fetched.remove(&question);
            self.keep(question, found);
        }
        self.beside.extend(other.beside);
        self.aside.extend(other.aside);
    }

    /// Forgets that `question` could not be answered.
    pub fn forget_failure(&mut self, question: &Question) {
        if matches!(self.get(question), Some(Fetched::Failed(_))) {
            self.fetched.remove(question);
        }
    }

    /// Which set is to be proven for the alias at `question`, and where it leads; none if there is no
    /// alias or it is out of form. A CNAME without signatures that came with a DNAME above it is the
    /// resolver's own work: the DNAME is to be proven, and the target is made from it. A CNAME that
    /// leads elsewhere was not made so, and is out of form (RFC 6672 section 5.3.1).
    pub fn alias_at(&self, question: &Question) -> Option<(&RrSet, Name)> {
        let Fetched::Alias { cname, dname } = self.get(question)? else { return None };
        match dname {
            Some(dname) if cname.signatures().is_empty() => {
                let target = leads_to(dname, &question.name)?;
                (single_name(cname)? == target).then_some((dname, target))
            }
            _ => Some((cname, leads_to(cname, &question.name)?)),
        }
    }

    /// Sorts in a reply to `question`: data at the name, or the aliases from it as far as the reply
    /// has them. Records that do not lie on that way are left aside.
    pub fn add(&mut self, question: &Question, response: &Response) {
        let mut sets = RrSet::collect(&response.answer);
        let take = |sets: &mut Vec<RrSet>, name: &Name, rtype: RrType| {
            let at = sets.iter().position(|s| s.owner() == name && s.rtype() == rtype)?;
            Some(sets.swap_remove(at))
        };
        let (mut name, mut wild) = (question.name.clone(), false);
        for step in 0..=MAX_ALIASES {
            let here = Question::new(name.clone(), question.rtype);
            if step > 0 && self.piecemeal {
                return;
            }
            // It stays in its place: one DNAME may serve several steps.
            let above = |s: &&RrSet| {
                s.rtype() == RrType::DNAME && s.owner() != &name && name.is_at_or_below(s.owner())
            };
            let dname = sets.iter().filter(above).max_by_key(|s| s.owner().label_count()).cloned();
            let made = dname.as_ref().and_then(|dname| synthesised(&name, dname));
            let found = if let Some(set) = take(&mut sets, &name, question.rtype) {
                if step > 0 && set.signatures().is_empty() {
                    // The server of the alias may have filled it in; its own may have signed what it is.
                    self.aside.insert(here, Fetched::Set(set));
                    return;
                }
                match (question.rtype, dname) {
                    (RrType::CNAME, dname @ Some(_)) if set.signatures().is_empty() => {
                        Fetched::Alias { cname: set, dname }
                    }
                    _ => Fetched::Set(set),
                }
            } else if let Some(cname) = take(&mut sets, &name, RrType::CNAME).or(made) {
                Fetched::Alias { cname, dname }
            } else if step > 0 {
                // What stands beside an expansion speaks of that.
                let authority = if wild { Vec::new() } else { denials(response) };
                if matches!(response.rcode, NOERROR | NXDOMAIN) && !authority.is_empty() {
                    self.aside.insert(here, Fetched::Nothing { rcode: response.rcode, authority });
                }
                return;
            } else if matches!(response.rcode, NOERROR | NXDOMAIN) {
                Fetched::Nothing { rcode: response.rcode, authority: denials(response) }
            } else {
                Fetched::Failed(format!("the resolver answered {}", rcode_name(response.rcode)))
            };
            let expanded = match &found {
                Fetched::Set(set) | Fetched::Alias { cname: set, .. } => set.unexpanded().is_some(),
                Fetched::Nothing { .. } | Fetched::Failed(_) => false,
            };
            wild |= expanded;
            if self.keep(here.clone(), found) && expanded {
                self.beside.insert(here.clone(), denials(response));
            }
            match self.alias_at(&here) {
                Some((_, target)) if question.rtype != RrType::CNAME => name = target,
                _ => return,
            }
        }
    }
}

/// What all names of a zone need.
fn is_of_zone(question: &Question) -> bool {
    matches!(question.rtype, RrType::DNSKEY | RrType::DS)
}

/// The CNAME at `name` that `dname` stands for, which may be left out (RFC 6672 section 5.3.1).
fn synthesised(name: &Name, dname: &RrSet) -> Option<RrSet> {
    let rdata = leads_to(dname, name)?.wire().into();
    Some(RrSet::stored(name.clone(), RrType::CNAME, dname.ttl(), vec![rdata], Vec::new()))
}

/// The sets of the authority section that take part in denials.
fn denials(response: &Response) -> Vec<RrSet> {
    let mut authority = RrSet::collect(&response.authority);
    authority.retain(|s| matches!(s.rtype(), RrType::SOA | RrType::NSEC | RrType::NSEC3));
    authority.truncate(MAX_AUTHORITY);
    authority
}

/// Where the CNAME at `name`, or the DNAME above it, leads (RFC 6672 section 2.2); none if that makes too long
/// a name.
pub(super) fn leads_to(alias: &RrSet, name: &Name) -> Option<Name> {
    let target = single_name(alias)?;
    if alias.rtype() != RrType::DNAME {
        return Some(target);
    }
    let kept = name.label_count().checked_sub(alias.owner().label_count())?;
    Name::from_labels(name.labels().take(kept).chain(target.labels())).ok()
}

/// The one name in the RDATA of a CNAME or DNAME set; none if there are several.
fn single_name(set: &RrSet) -> Option<Name> {
    let mut rdatas = set.rdatas();
    match (rdatas.next(), rdatas.next()) {
        (Some(rdata), None) => Name::from_wire(rdata).ok(),
        _ => None,
    }
}

/// The set that came for `question`, or why there is none.
pub(super) fn fetched_set<'m>(question: &Question, material: &'m Material) -> Result<&'m RrSet, Halt> {
    match material.get(question) {
        Some(Fetched::Set(set)) => Ok(set),
        Some(Fetched::Nothing { rcode, .. }) => {
            Err(ChainError::Denied { question: question.clone(), rcode: *rcode }.into())
        }
        Some(Fetched::Alias { cname, .. }) => {
            // Zone material never hides behind an alias.
            Err(ChainError::BadAlias { owner: cname.owner().clone(), rtype: cname.rtype() }.into())
        }
        Some(Fetched::Failed(why)) => {
            Err(ChainError::Unanswered { question: question.clone(), why: why.clone() }.into())
        }
        None => Err(Halt::Need(vec![question.clone()])),
    }
}
