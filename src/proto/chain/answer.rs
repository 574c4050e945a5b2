//! From the name asked for, over proven aliases, to a proven RRset.

use super::MAX_ALIASES;
use super::error::ChainError;
use super::material::{Fetched, Material};
use super::prover::{Halt, Proven, Prover, Zone};
use super::signature::Budget;
use crate::proto::message::Question;
use crate::proto::moment;
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};

/// A proven answer: every alias on the way and the data at its end. Made by [`Prover::answer`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    asked: Question,
    aliases: Vec<Proven>,
    data: Proven,
}

impl Answer {
    /// What was asked.
    pub fn asked(&self) -> &Question {
        &self.asked
    }

    /// The CNAME and DNAME sets on the way, in order.
    pub fn aliases(&self) -> &[Proven] {
        &self.aliases
    }

    /// The data.
    pub fn data(&self) -> &Proven {
        &self.data
    }

    /// The last second, since 1970, for which it may be kept: TTLs and signatures of every part.
    pub fn valid_until(&self) -> u64 {
        self.aliases.iter().map(Proven::valid_until).fold(self.data.valid_until(), u64::min)
    }

    /// The last second, since 1970, at which every signature of every part still holds.
    pub fn expires(&self) -> u64 {
        self.aliases.iter().map(Proven::expires).fold(self.data.expires(), u64::min)
    }

    /// What is proven by whom and for how long, in a line: each zone with the tag of the key that signs its keys, and at
    /// the end that of the key that signs the data.
    pub fn told(&self) -> String {
        let zone = |zone: &Zone| format!("{} (key {})", zone.name(), zone.keys().1.key_tag);
        let mut chain: Vec<String> = self.data.zones().map(zone).collect();
        chain.reverse();
        let (set, owner) = (self.data.set(), self.data.set().owner());
        let aliases = if owner == &self.asked.name { String::new() } else { format!(" at {owner}") };
        let count = match set.rdatas().len() {
            1 => "1 record".to_owned(),
            count => format!("{count} records"),
        };
        format!(
            "{} {}: secure, from {}: {count}{aliases}, signed by key {}, chain {}; good until {}, signatures until {}",
            self.asked.name,
            self.asked.rtype,
            set.origin().code(),
            self.data.rrsig().key_tag,
            chain.join(" -> "),
            moment::text(self.valid_until()),
            moment::text(self.expires()),
        )
    }
}

impl Prover {
    /// Proves the CNAME at `here` or the DNAME above it. A DNAME from above the closest trust anchor of
    /// `here` has no say over it, as little as any other record from there.
    pub(in crate::proto) fn prove_alias(
        &mut self,
        here: &Name,
        set: &RrSet,
        material: &Material,
        budget: &mut Budget,
    ) -> Result<Proven, Halt> {
        match self.anchors().closest(here) {
            Some(anchor) if !set.owner().is_at_or_below(anchor) => {
                let (owner, rtype, anchor) = (set.owner().clone(), set.rtype(), anchor.clone());
                let signer = set.signatures().first().map_or_else(|| owner.clone(), |r| r.signer.clone());
                Err(ChainError::AboveAnchor { owner, rtype, signer, anchor }.into())
            }
            _ => self.prove(set, material, budget),
        }
    }

    /// Proves what was asked, alias by alias. All that is missing along the way is asked for at once.
    pub fn answer(
        &mut self,
        asked: &Question,
        material: &Material,
        budget: &mut Budget,
    ) -> Result<Answer, Halt> {
        let mut here = asked.clone();
        let mut aliases = Vec::new();
        let mut needs: Vec<Question> = Vec::new();
        let mut note = |outcome: Result<Proven, Halt>| match outcome {
            Ok(proven) => Ok(Some(proven)),
            Err(Halt::Need(questions)) => {
                needs.extend(questions);
                Ok(None)
            }
            Err(failed) => Err(failed),
        };
        let mut data = None;
        let mut ended = false;
        for _ in 0..=MAX_ALIASES {
            match material.get(&here) {
                None => {
                    note(Err(Halt::Need(vec![here.clone()])))?;
                    ended = true;
                }
                Some(Fetched::Set(set)) => {
                    data = note(self.prove(set, material, budget))?;
                    ended = true;
                }
                Some(Fetched::Alias { cname, .. }) => {
                    let bad = || ChainError::BadAlias { owner: cname.owner().clone(), rtype: cname.rtype() };
                    let (set, target) = material.alias_at(&here).ok_or_else(bad)?;
                    let proven = note(self.prove_alias(&here.name, set, material, budget))?;
                    if asked.rtype == RrType::CNAME {
                        if proven.is_some() {
                            return Err(ChainError::Synthesised {
                                owner: here.name,
                                dname: set.owner().clone(),
                            }
                            .into());
                        }
                        ended = true;
                    }
                    aliases.extend(proven);
                    here = Question::new(target, asked.rtype);
                }
                Some(Fetched::Nothing { rcode, .. }) => {
                    return Err(ChainError::Denied { question: here, rcode: *rcode }.into());
                }
                Some(Fetched::Failed(why)) => {
                    return Err(ChainError::Unanswered { question: here, why: why.clone() }.into());
                }
            }
            if ended {
                break;
            }
        }
        if !ended {
            return Err(ChainError::AliasLoop { name: asked.name.clone() }.into());
        }
        match data {
            Some(data) if needs.is_empty() => Ok(Answer { asked: asked.clone(), aliases, data }),
            _ => {
                needs.sort();
                needs.dedup();
                Err(Halt::Need(needs))
            }
        }
    }
}
