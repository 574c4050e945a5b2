//! Telling failures apart: absent, insecure, bogus, or nobody knows. Needs proofs of absence
//! (NSEC, NSEC3), which take part in nothing else: nothing here can make a [`Proven`] or an accept.
//!
//! An answer that a secure zone signed is judged by that zone. Else the way is walked from the trust
//! anchor downwards: for each label the DS set is proven, or its absence. Only a proven absence at a cut
//! makes insecure; all that is unexplained is bogus.

mod nsec;
mod nsec3;
#[cfg(test)]
mod tests;
mod types;

use std::fmt;

use self::types::Denies;
use super::chain::{Budget, ChainError, Fetched, Halt, MAX_ALIASES, Material, Proven, Prover};
use super::message::{NOERROR, Question};
use super::name::Name;
use super::rr::{RrSet, RrType};

/// NSEC and NSEC3 sets that are looked at in one answer.
const MAX_DENIALS: usize = 16;
/// Signers of one answer whose keys are sought.
const MAX_SIGNERS: usize = 3;
/// DS sets that are asked for at once on the way down.
const CUTS_AT_ONCE: usize = 8;

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
    if let Some(status) = by_itself(error) {
        return Ok(Unproven::new(status, error.clone()));
    }
    let (here, alias_error) = failing_hop(prover, asked, material, budget)?;
    let error = alias_error.as_ref().unwrap_or(error);
    let told = |status| Ok(Unproven::new(status, error.clone()));
    if let Some(status) = by_itself(error) {
        return told(status);
    }
    let target = data_side(&here);
    let Some(anchor) = prover.anchors().closest(&target).cloned() else {
        return Ok(Unproven::new(Status::Indeterminate, ChainError::NoAnchor { name: target }));
    };
    // Where the signatures that came along lead to a secure zone, there is no walk: either that zone
    // proves the denial, or the answer is one that it would not have given.
    let sets = match material.get(&here) {
        Some(Fetched::Set(set)) => std::slice::from_ref(set),
        Some(Fetched::Alias { .. }) => {
            material.alias_at(&here).map_or(&[][..], |(s, _)| std::slice::from_ref(s))
        }
        Some(Fetched::Nothing { authority, .. }) => authority.as_slice(),
        _ => &[],
    };
    let signer = deepest_signer(prover, &target, &anchor, sets, material, budget)?;
    let zone = match signer {
        Some(zone) => zone,
        None => match walk(prover, &anchor, &target, material, budget)? {
            Way::Ends(unproven) => return Ok(unproven),
            Way::Secure(zone) => zone,
        },
    };
    let Some(Fetched::Nothing { rcode, authority }) = material.get(&here) else {
        return told(Status::Bogus);
    };
    match denial(prover, &zone, &here, *rcode, authority, material, budget)? {
        Some(status) => told(status),
        None => Ok(unproven_denial(&here, &zone)),
    }
}

/// The status of failures that need no looking into.
fn by_itself(error: &ChainError) -> Option<Status> {
    match error {
        ChainError::Unanswered { .. } | ChainError::NoAnchor { .. } | ChainError::AliasLoop { .. } => {
            Some(Status::Indeterminate)
        }
        // Whether the wildcard may stand in for this name is not looked into: it vouches for nobody.
        ChainError::Wildcard { .. } => Some(Status::Indeterminate),
        ChainError::Budget { .. } | ChainError::TooManySignatures { .. } | ChainError::TooLong { .. } => {
            Some(Status::Bogus)
        }
        _ => None,
    }
}

/// The alias step at which the proof of `asked` stops, and why if it is the alias itself that fails.
fn failing_hop(
    prover: &mut Prover,
    asked: &Question,
    material: &Material,
    budget: &mut Budget,
) -> Result<(Question, Option<ChainError>), Halt> {
    let mut here = asked.clone();
    for _ in 0..MAX_ALIASES {
        let Some((set, target)) = material.alias_at(&here) else { break };
        match prover.prove_alias(&here.name, set, material, budget) {
            Ok(_) => here.name = target,
            Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
            Err(Halt::Failed(error)) => return Ok((here, Some(error))),
        }
    }
    Ok((here, None))
}

/// The name whose zone holds the data: for DS the one above.
fn data_side(question: &Question) -> Name {
    match question.rtype {
        RrType::DS => question.name.parent().unwrap_or_else(Name::root),
        _ => question.name.clone(),
    }
}

/// The deepest of the zones that signed `sets`, if it is secure, encloses `target` and is not above
/// `anchor`.
fn deepest_signer(
    prover: &mut Prover,
    target: &Name,
    anchor: &Name,
    sets: &[RrSet],
    material: &Material,
    budget: &mut Budget,
) -> Result<Option<Name>, Halt> {
    let mut signers: Vec<&Name> = sets
        .iter()
        .flat_map(|set| set.signatures())
        .map(|rrsig| &rrsig.signer)
        .filter(|signer| target.is_at_or_below(signer) && signer.is_at_or_below(anchor))
        .collect();
    signers.sort_by_key(|signer| std::cmp::Reverse(signer.label_count()));
    signers.dedup();
    for signer in signers.into_iter().take(MAX_SIGNERS) {
        if settle(prover.zone(signer, material, budget))?.is_ok() {
            return Ok(Some(signer.clone()));
        }
    }
    Ok(None)
}

/// What `zone` proves about the absence of `question` by itself, if anything. Its NSEC and NSEC3 records
/// show no less that no cut lies between it and the name: at a cut, and at names below one, they are
/// not heard ([`denies`]). A SOA that came along has to be the zone's as well, since it says how long the
/// denial may be kept (RFC 4035 section 3.2.3 asks for the whole section to be authentic).
fn denial(
    prover: &mut Prover,
    zone: &Name,
    question: &Question,
    rcode: u16,
    authority: &[RrSet],
    material: &Material,
    budget: &mut Budget,
) -> Result<Option<Status>, Halt> {
    let status = match denies(prover, zone, question, authority, material, budget)? {
        // At an insecure cut the DS set is what is absent.
        Denies::NoData | Denies::Name | Denies::InsecureCut => Status::Absent,
        Denies::OptOut | Denies::TooManyIterations => Status::Insecure,
        // Names that only lead to unsigned delegations have no data and are not in the chain.
        Denies::OptOutButWildcard if rcode == NOERROR => Status::Insecure,
        Denies::OptOutButWildcard | Denies::NameButWildcard => return Ok(None),
        Denies::Nothing | Denies::Contradicted => return Ok(None),
    };
    for soa in authority.iter().filter(|s| s.rtype() == RrType::SOA) {
        match prover.prove(soa, material, budget) {
            Ok(proven) if soa.owner() == zone && proven.zone().name() == zone => {}
            Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
            _ => return Ok(None),
        }
    }
    Ok(Some(status))
}

/// Walks from `anchor` down to the zone that holds `target`.
fn walk(
    prover: &mut Prover,
    anchor: &Name,
    target: &Name,
    material: &Material,
    budget: &mut Budget,
) -> Result<Way, Halt> {
    let mut zone = match settle(prover.zone(anchor, material, budget))? {
        Ok(zone) => zone.name().clone(),
        Err(ends) => return Ok(ends),
    };
    let cuts: Vec<Question> = (anchor.label_count() + 1..=target.label_count())
        .map(|count| Question::new(target.last_labels(count), RrType::DS))
        .collect();
    let unasked = |cuts: &[Question]| -> Vec<Question> {
        cuts.iter().take(CUTS_AT_ONCE).filter(|q| material.get(q).is_none()).cloned().collect()
    };
    for (at, cut) in cuts.iter().enumerate() {
        match material.get(cut) {
            Some(Fetched::Set(ds)) => {
                if let Err(ends) = settle(prover.prove(ds, material, budget))? {
                    return Ok(ends);
                }
                match settle(prover.zone(&cut.name, material, budget))? {
                    Ok(_) => zone = cut.name.clone(),
                    Err(ends) => return Ok(ends),
                }
            }
            Some(Fetched::Alias { .. }) => {
                // A name with a CNAME is no cut, if the CNAME is its zone's.
                let Some((set, _)) = material.alias_at(cut) else {
                    return Ok(Way::Ends(unproven_denial(cut, &zone)));
                };
                if let Err(ends) = settle(prover.prove_alias(&cut.name, set, material, budget))? {
                    return Ok(ends);
                }
            }
            Some(Fetched::Nothing { authority, .. }) => {
                match denies(prover, &zone, cut, authority, material, budget)? {
                    Denies::NoData => {}
                    // Where there is no name, there is none below.
                    Denies::Name | Denies::NameButWildcard => break,
                    Denies::InsecureCut
                    | Denies::OptOut
                    | Denies::OptOutButWildcard
                    | Denies::TooManyIterations => {
                        let error = ChainError::NoDs { zone: cut.name.clone(), parent: zone };
                        return Ok(Way::Ends(Unproven::new(Status::Insecure, error)));
                    }
                    Denies::Nothing | Denies::Contradicted => {
                        return Ok(Way::Ends(unproven_denial(cut, &zone)));
                    }
                }
            }
            Some(Fetched::Failed(why)) => {
                return Ok(Way::Ends(Unproven::unanswered(cut.clone(), why.clone())));
            }
            None => return Err(Halt::Need(unasked(cuts.get(at..).unwrap_or_default()))),
        }
    }
    Ok(Way::Secure(zone))
}

/// A failed proof on the way ends it: without data, or with a wildcard's, nothing can be said; a zone whose DS records mean
/// nothing here counts as unsigned (RFC 4035 section 5.2); all else is bogus.
fn settle<T>(outcome: Result<T, Halt>) -> Result<Result<T, Way>, Halt> {
    match outcome {
        Ok(proven) => Ok(Ok(proven)),
        Err(Halt::Need(questions)) => Err(Halt::Need(questions)),
        Err(Halt::Failed(error)) => {
            let status = match error {
                ChainError::Unanswered { .. } | ChainError::Wildcard { .. } => Status::Indeterminate,
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
