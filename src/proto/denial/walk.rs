//! The way from a trust anchor down to the zone that holds a name.

use super::absence::{denies, expansion};
use super::types::Denies;
use super::{Status, Unproven};
use crate::proto::chain::{Budget, ChainError, Fetched, Halt, Material, Prover};
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};

/// Signers of one answer whose keys are sought.
const MAX_SIGNERS: usize = 3;
/// DS sets that are asked for at once on the way down.
const CUTS_AT_ONCE: usize = 8;

/// What a walk from the anchor finds about the zone that a name is in.
pub(super) enum Way {
    /// The zone is signed, and this is it.
    Secure(Name),
    /// It is not secure: insecure, bogus or unknown.
    Ends(Unproven),
}

/// The name whose zone holds the data: for DS the one above.
pub(super) fn data_side(question: &Question) -> Name {
    match question.rtype {
        RrType::DS => question.name.parent().unwrap_or_else(Name::root),
        _ => question.name.clone(),
    }
}

/// The DS sets of the names from below `zone` down to `target`: where another zone may begin.
pub(super) fn cuts_below(zone: &Name, target: &Name) -> Vec<Question> {
    let counts = zone.label_count() + 1..=target.label_count();
    counts.map(|count| Question::new(target.last_labels(count), RrType::DS)).collect()
}

/// The deepest of the zones that signed `sets`, if it is secure, encloses `target` and is not above
/// `anchor`.
pub(super) fn deepest_signer(
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

/// Walks from `anchor` down to the zone that holds `target`.
pub(super) fn walk(
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
    let cuts = cuts_below(anchor, target);
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
                match prover.prove_alias(&cut.name, set, material, budget) {
                    Err(Halt::Failed(ChainError::Wildcard { .. })) => {
                        match expansion(prover, cut, set, material, budget)? {
                            Ok(Status::Secure) => {}
                            Ok(Status::Insecure) => return Ok(no_ds(cut, zone)),
                            _ => return Ok(Way::Ends(unproven_denial(cut, &zone))),
                        }
                    }
                    outcome => {
                        if let Err(ends) = settle(outcome)? {
                            return Ok(ends);
                        }
                    }
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
                    | Denies::TooManyIterations => return Ok(no_ds(cut, zone)),
                    Denies::Nothing | Denies::Contradicted | Denies::TooManyHashes => {
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

/// An unsigned zone begins at `cut`, or may.
fn no_ds(cut: &Question, parent: Name) -> Way {
    let error = ChainError::NoDs { zone: cut.name.clone(), parent };
    Way::Ends(Unproven::new(Status::Insecure, error))
}

/// A failed proof on the way ends it: without data, or with a wildcard's, nothing can be said; a zone whose DS records mean
/// nothing here counts as unsigned (RFC 4035 section 5.2); all else is bogus.
fn settle<T>(outcome: Result<T, Halt>) -> Result<Result<T, Way>, Halt> {
    match outcome {
        Ok(proven) => Ok(Ok(proven)),
        Err(Halt::Need(questions)) => Err(Halt::Need(questions)),
        Err(Halt::Failed(error)) => {
            let status = match &error {
                ChainError::Unanswered { question, .. } => unanswered(question),
                ChainError::Wildcard { .. } => Status::Indeterminate,
                ChainError::UnsupportedDs { .. } => Status::Insecure,
                _ => Status::Bogus,
            };
            Ok(Err(Way::Ends(Unproven::new(status, error))))
        }
    }
}

/// What it means that zone material cannot be had. Keys are sought only of a zone that an anchor or a
/// proven DS set says is signed: without them its data does not hold. Without its DS set a zone may be
/// signed or not.
pub(super) fn unanswered(question: &Question) -> Status {
    if question.rtype == RrType::DNSKEY { Status::Bogus } else { Status::Indeterminate }
}

pub(super) fn unproven_denial(question: &Question, zone: &Name) -> Unproven {
    let error = ChainError::UnprovenDenial { question: question.clone(), zone: zone.clone() };
    Unproven::new(Status::Bogus, error)
}
