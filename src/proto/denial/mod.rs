//! Telling failures apart: absent, insecure, bogus, or nobody knows. Needs proofs of absence
//! (NSEC, NSEC3), which take part in nothing else: nothing here can make a [`Proven`] or an accept.
//!
//! The way is walked from the trust anchor downwards: for each label below it the DS set is proven, or
//! its absence. Only a proven absence at a cut makes insecure; all that is unexplained is bogus.

mod nsec;
mod nsec3;
mod types;

use std::fmt;

use self::types::Denies;
use super::chain::{Budget, ChainError, Fetched, Halt, MAX_ALIASES, Material, Proven, Prover};
use super::message::Question;
use super::name::Name;
use super::rr::{RrSet, RrType};

/// NSEC and NSEC3 sets that are looked at in one answer.
const MAX_DENIALS: usize = 16;

/// What is known about an answer (RFC 4033 section 5, with absence told apart).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Proven from a trust anchor.
    Secure,
    /// Proven to be in an unsigned zone.
    Insecure,
    /// It should be signed, and the signatures do not hold.
    Bogus,
    /// Proven not to exist.
    Absent,
    /// Nothing can be said: no answer, no anchor.
    Indeterminate,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secure => "secure",
            Self::Insecure => "insecure",
            Self::Bogus => "bogus",
            Self::Absent => "absent",
            Self::Indeterminate => "indeterminate",
        })
    }
}

/// Why there is no proof: what kind of failure, and the link that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Unproven {
    /// Never [`Status::Secure`].
    pub status: Status,
    /// The link and how it failed.
    pub error: ChainError,
}

impl Unproven {
    fn new(status: Status, error: ChainError) -> Self {
        Unproven { status, error }
    }

    /// Nothing came, so nothing can be said.
    pub fn unanswered(question: Question, why: impl Into<String>) -> Self {
        Self::new(Status::Indeterminate, ChainError::Unanswered { question, why: why.into() })
    }
}

/// What a walk from the anchor finds about the zone that a name is in.
enum Way {
    /// The zone is signed, and this is it.
    Secure(Name),
    /// It is not secure: insecure, bogus or unknown.
    Ends(Unproven),
}

/// Classifies why `asked` could not be proven ([`Prover::answer`] failed with `error`).
pub fn classify(
    prover: &mut Prover,
    asked: &Question,
    error: &ChainError,
    material: &Material,
    budget: &mut Budget,
) -> Result<Unproven, Halt> {
    let told = |status| Ok(Unproven::new(status, error.clone()));
    match error {
        ChainError::Unanswered { .. } | ChainError::NoAnchor { .. } | ChainError::AliasLoop { .. } => {
            return told(Status::Indeterminate);
        }
        // Whether the wildcard may stand in for this name is not looked into: it vouches for nobody.
        ChainError::Wildcard { .. } => return told(Status::Indeterminate),
        ChainError::Budget { .. } | ChainError::TooManySignatures { .. } | ChainError::TooLong { .. } => {
            return told(Status::Bogus);
        }
        _ => {}
    }
    let here = failing_hop(prover, asked, material, budget)?;
    let zone = match walk(prover, &here, material, budget)? {
        Way::Ends(unproven) => return Ok(unproven),
        Way::Secure(zone) => zone,
    };
    let Some(Fetched::Nothing { authority, .. }) = material.get(&here) else {
        return told(Status::Bogus);
    };
    match denies(prover, &zone, &here, authority, material, budget)? {
        Denies::NoData | Denies::Name => told(Status::Absent),
        // The DS set itself was asked for, and there is none at the cut.
        Denies::InsecureCut => told(Status::Absent),
        Denies::OptOut | Denies::TooManyIterations => told(Status::Insecure),
        _ => Ok(unproven_denial(&here, &zone)),
    }
}

/// The alias step at which the proof of `asked` stops.
fn failing_hop(
    prover: &mut Prover,
    asked: &Question,
    material: &Material,
    budget: &mut Budget,
) -> Result<Question, Halt> {
    let mut here = asked.clone();
    for _ in 0..MAX_ALIASES {
        let Some((set, target)) = material.alias_at(&here) else { break };
        match prover.prove(set, material, budget) {
            Ok(_) => here.name = target,
            Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
            Err(Halt::Failed(_)) => break,
        }
    }
    Ok(here)
}

/// Walks from the closest anchor down to the zone that holds `here`.
fn walk(prover: &mut Prover, here: &Question, material: &Material, budget: &mut Budget) -> Result<Way, Halt> {
    // DS data belongs to the zone above the name.
    let target = match here.rtype {
        RrType::DS => here.name.parent().unwrap_or_else(Name::root),
        _ => here.name.clone(),
    };
    let Some(anchor) = prover.anchors().closest(&target).cloned() else {
        let error = ChainError::NoAnchor { name: target };
        return Ok(Way::Ends(Unproven::new(Status::Indeterminate, error)));
    };
    let cuts: Vec<Question> = (anchor.label_count() + 1..=target.label_count())
        .map(|count| Question::new(target.last_labels(count), RrType::DS))
        .collect();
    let missing: Vec<Question> = cuts.iter().filter(|q| material.get(q).is_none()).cloned().collect();
    if !missing.is_empty() {
        return Err(Halt::Need(missing));
    }
    let mut zone = match settle(prover.zone(&anchor, material, budget))? {
        Ok(zone) => zone.name().clone(),
        Err(ends) => return Ok(ends),
    };
    for cut in cuts {
        match material.get(&cut) {
            Some(Fetched::Set(ds)) => {
                if let Err(ends) = settle(prover.prove(ds, material, budget))? {
                    return Ok(ends);
                }
                match settle(prover.zone(&cut.name, material, budget))? {
                    Ok(_) => zone = cut.name,
                    Err(ends) => return Ok(ends),
                }
            }
            Some(Fetched::Alias { .. }) => {
                // A name with a CNAME is no cut, if the CNAME is its zone's.
                let Some((set, _)) = material.alias_at(&cut) else {
                    return Ok(Way::Ends(unproven_denial(&cut, &zone)));
                };
                if let Err(ends) = settle(prover.prove(set, material, budget))? {
                    return Ok(ends);
                }
            }
            Some(Fetched::Nothing { authority, .. }) => {
                match denies(prover, &zone, &cut, authority, material, budget)? {
                    Denies::NoData | Denies::Name | Denies::NameButWildcard => {}
                    Denies::InsecureCut | Denies::OptOut | Denies::TooManyIterations => {
                        let error = ChainError::NoDs { zone: cut.name, parent: zone };
                        return Ok(Way::Ends(Unproven::new(Status::Insecure, error)));
                    }
                    Denies::Nothing | Denies::Contradicted => {
                        return Ok(Way::Ends(unproven_denial(&cut, &zone)));
                    }
                }
            }
            Some(Fetched::Failed(why)) => {
                let why = why.clone();
                return Ok(Way::Ends(Unproven::unanswered(cut, why)));
            }
            None => return Err(Halt::Need(vec![cut])),
        }
    }
    Ok(Way::Secure(zone))
}

/// A failed proof on the way ends it: without data nothing can be said; a zone whose DS records mean
/// nothing here counts as unsigned (RFC 4035 section 5.2); all else is bogus.
fn settle<T>(outcome: Result<T, Halt>) -> Result<Result<T, Way>, Halt> {
    match outcome {
        Ok(proven) => Ok(Ok(proven)),
        Err(Halt::Need(questions)) => Err(Halt::Need(questions)),
        Err(Halt::Failed(error)) => {
            let status = match error {
                ChainError::Unanswered { .. } => Status::Indeterminate,
                ChainError::UnsupportedDs { .. } => Status::Insecure,
                _ => Status::Bogus,
            };
            Ok(Err(Way::Ends(Unproven::new(status, error))))
        }
    }
}

fn unproven_denial(question: &Question, zone: &Name) -> Unproven {
    let error = ChainError::UnprovenDenial { question: question.clone(), zone: zone.clone() };
    Unproven::new(Status::Bogus, error)
}

/// What the NSEC and NSEC3 sets that `zone` signed prove about `question`.
fn denies(
    prover: &mut Prover,
    zone: &Name,
    question: &Question,
    authority: &[RrSet],
    material: &Material,
    budget: &mut Budget,
) -> Result<Denies, Halt> {
    let mut proven: Vec<Proven> = Vec::new();
    let denials = |set: &&RrSet| matches!(set.rtype(), RrType::NSEC | RrType::NSEC3);
    for set in authority.iter().filter(denials).take(MAX_DENIALS) {
        match prover.prove(set, material, budget) {
            Ok(p) if p.zone().name() == zone => proven.push(p),
            Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
            _ => {}
        }
    }
    let of = |rtype: RrType| proven.iter().map(Proven::set).filter(move |s| s.rtype() == rtype);
    let plain: Vec<_> = of(RrType::NSEC).filter_map(|s| nsec::Nsec::from_set(s, zone)).collect();
    let hashed: Vec<_> = of(RrType::NSEC3).filter_map(|s| nsec3::Nsec3::from_set(s, zone)).collect();
    Ok(match nsec::denies(&plain, zone, &question.name, question.rtype) {
        Denies::Nothing => nsec3::denies(&hashed, zone, &question.name, question.rtype),
        told => told,
    })
}
