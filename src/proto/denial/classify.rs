//! From a failed proof to its status: follows the aliases to where the proof stops, then looks there.

use super::absence::{denial, denies, expansion};
use super::types::Denies;
use super::walk::{Way, cuts_below, data_side, deepest_signer, unanswered, unproven_denial, walk};
use super::{Status, Unproven};
use crate::proto::chain::{Budget, ChainError, Fetched, Halt, MAX_ALIASES, Material, Prover};
use crate::proto::message::Question;
use crate::proto::rr::{RrSet, RrType};

/// Classifies why `asked` could not be proven ([`Prover::answer`] failed with `error`). An insecure alias,
/// or one that no anchor encloses, is not the end: what it leads to may still be bogus, and then so is the
/// answer.
pub fn classify(
    prover: &mut Prover,
    asked: &Question,
    error: &ChainError,
    material: &Material,
    budget: &mut Budget,
) -> Result<Unproven, Halt> {
    let (mut here, mut error) = (asked.clone(), error.clone());
    let mut insecure: Option<Unproven> = None;
    // Who is led out of an island of trust has left signed data for data that nobody expects to be signed.
    let enclosed = prover.anchors().closest(&asked.name).is_some();
    for _ in 0..=MAX_ALIASES {
        let (stopped, mut unproven) = first_failure(prover, &here, &error, material, budget)?;
        match unproven.status {
            Status::Insecure => {}
            Status::Indeterminate if matches!(unproven.error, ChainError::NoAnchor { .. }) => {
                if enclosed {
                    unproven.status = Status::Insecure;
                }
            }
            Status::Bogus | Status::Indeterminate => return Ok(unproven),
            Status::Secure | Status::Absent => return Ok(insecure.unwrap_or(unproven)),
        }
        let first = insecure.get_or_insert(unproven).clone();
        let Some((_, target)) = material.alias_at(&stopped) else { return Ok(first) };
        here = Question::new(target, asked.rtype);
        match prover.answer(&here, material, budget) {
            Ok(_) => return Ok(first),
            Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
            Err(Halt::Failed(failed)) => error = failed,
        }
    }
    Ok(Unproven::new(Status::Indeterminate, ChainError::AliasLoop { name: asked.name.clone() }))
}

/// The first link from `asked` on that does not prove, and why.
fn first_failure(
    prover: &mut Prover,
    asked: &Question,
    error: &ChainError,
    material: &Material,
    budget: &mut Budget,
) -> Result<(Question, Unproven), Halt> {
    if let Some(status) = by_itself(asked, error) {
        return Ok((asked.clone(), Unproven::new(status, error.clone())));
    }
    let (here, error) = match last_hop(prover, asked, error, material, budget)? {
        Hop::Fails(here, error) => (here, error),
        Hop::Told(here, unproven) => return Ok((here, unproven)),
    };
    let unproven = look_into(prover, &here, error.clone(), material, budget)?;
    let open = match &unproven.error {
        ChainError::UnprovenDenial { question, .. } => *question == here,
        ChainError::Unanswered { .. } => unproven.status == Status::Indeterminate,
        _ => false,
    };
    let told = if open { told_aside(prover, &here, error, material, budget)? } else { None };
    Ok((here, told.unwrap_or(unproven)))
}

/// What came beside an alias that leads to `here`, together with what came for `here` itself, may prove what
/// the latter does not: that there is no such data, or that the name is below a cut into an unsigned zone.
fn told_aside(
    prover: &mut Prover,
    here: &Question,
    error: ChainError,
    material: &Material,
    budget: &mut Budget,
) -> Result<Option<Unproven>, Halt> {
    let Some(Fetched::Nothing { rcode, authority }) = material.get(here) else { return Ok(None) };
    let sets: Vec<RrSet> = material.aside(here).chain(authority).cloned().collect();
    let target = data_side(here);
    let Some(anchor) = prover.anchors().closest(&target).cloned() else { return Ok(None) };
    if sets.len() == authority.len() {
        return Ok(None);
    }
    let Some(zone) = deepest_signer(prover, &target, &anchor, &sets, material, budget)? else {
        return Ok(None);
    };
    if denial(prover, &zone, here, *rcode, &sets, material, budget)? == Some(Status::Absent) {
        return Ok(Some(Unproven::new(Status::Absent, error)));
    }
    for cut in cuts_below(&zone, &target) {
        let signed = matches!(material.get(&cut), Some(Fetched::Set(_)));
        if !signed && denies(prover, &zone, &cut, &sets, material, budget)? == Denies::InsecureCut {
            let error = ChainError::NoDs { zone: cut.name, parent: zone };
            return Ok(Some(Unproven::new(Status::Insecure, error)));
        }
    }
    Ok(None)
}

/// The status of what came for `here` and failed with `error`: its zone decides.
fn look_into(
    prover: &mut Prover,
    here: &Question,
    error: ChainError,
    material: &Material,
    budget: &mut Budget,
) -> Result<Unproven, Halt> {
    let told = |status| Ok(Unproven::new(status, error.clone()));
    if let Some(status) = by_itself(here, &error) {
        return told(status);
    }
    let target = data_side(here);
    let Some(anchor) = prover.anchors().closest(&target).cloned() else {
        return Ok(Unproven::new(Status::Indeterminate, ChainError::NoAnchor { name: target }));
    };
    // Where the signatures that came along lead to a secure zone, there is no walk: either that zone
    // proves the denial, or the answer is one that it would not have given.
    let sets = match material.get(here) {
        Some(Fetched::Set(set)) => std::slice::from_ref(set),
        Some(Fetched::Alias { dname: Some(dname), cname }) if cname.signatures().is_empty() => {
            std::slice::from_ref(dname)
        }
        Some(Fetched::Alias { cname, .. }) => std::slice::from_ref(cname),
        Some(Fetched::Nothing { authority, .. }) => authority.as_slice(),
        _ => &[],
    };
    let signer = deepest_signer(prover, &target, &anchor, sets, material, budget)?;
    let walked = signer.is_none();
    let zone = match signer {
        Some(zone) => zone,
        None => match walk(prover, &anchor, &target, material, budget)? {
            Way::Ends(unproven) => return Ok(unproven),
            Way::Secure(zone) => zone,
        },
    };
    let Some(Fetched::Nothing { rcode, authority }) = material.get(here) else {
        return told(Status::Bogus);
    };
    match denial(prover, &zone, here, *rcode, authority, material, budget)? {
        // A zone above may leave room for unsigned zones where there is a signed one by now.
        Some(Status::Insecure) if !walked => match walk(prover, &anchor, &target, material, budget)? {
            Way::Ends(unproven) if unproven.status != Status::Indeterminate => Ok(unproven),
            Way::Secure(holder) if holder != zone => Ok(unproven_denial(here, &zone)),
            _ => told(Status::Insecure),
        },
        Some(status) => told(status),
        None => Ok(unproven_denial(here, &zone)),
    }
}

/// The status of failures that need no looking into.
fn by_itself(asked: &Question, error: &ChainError) -> Option<Status> {
    match error {
        ChainError::Unanswered { question, .. } if question.rtype != asked.rtype => {
            Some(unanswered(question))
        }
        ChainError::Unanswered { .. } | ChainError::AliasLoop { .. } => Some(Status::Indeterminate),
        ChainError::Budget { .. } | ChainError::TooManySignatures { .. } | ChainError::TooLong { .. } => {
            Some(Status::Bogus)
        }
        _ => None,
    }
}

/// Where the way from the name asked for stops.
enum Hop {
    /// At this question, for this reason; its zone has to be looked into.
    Fails(Question, ChainError),
    /// At this question, and all is known already.
    Told(Question, Unproven),
}

/// Follows the aliases from `asked` to where the proof stops. An expansion from a wildcard does not stop
/// it, if the zone proves that it may be made.
fn last_hop(
    prover: &mut Prover,
    asked: &Question,
    error: &ChainError,
    material: &Material,
    budget: &mut Budget,
) -> Result<Hop, Halt> {
    let mut here = asked.clone();
    let mut expanded: Option<ChainError> = None;
    for _ in 0..=MAX_ALIASES {
        let (set, target) = match material.get(&here) {
            None => return Err(Halt::Need(vec![here])),
            Some(Fetched::Set(set)) => (set, None),
            Some(Fetched::Alias { cname, .. }) => match material.alias_at(&here) {
                Some((set, target)) => (set, Some(target)),
                None => {
                    let bad = ChainError::BadAlias { owner: cname.owner().clone(), rtype: cname.rtype() };
                    return Ok(Hop::Fails(here, bad));
                }
            },
            Some(Fetched::Nothing { rcode, .. }) => {
                let denied = ChainError::Denied { question: here.clone(), rcode: *rcode };
                return Ok(Hop::Fails(here, denied));
            }
            Some(Fetched::Failed(why)) => {
                let why = why.clone();
                return Ok(Hop::Told(here.clone(), Unproven::unanswered(here, why)));
            }
        };
        match prover.prove_alias(&here.name, set, material, budget) {
            Ok(_) if here.rtype == RrType::CNAME && target.is_some() => {
                let synthesised =
                    ChainError::Synthesised { owner: here.name.clone(), dname: set.owner().clone() };
                return Ok(Hop::Told(here, Unproven::new(Status::Secure, synthesised)));
            }
            Ok(_) => {}
            Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
            Err(Halt::Failed(wildcard @ ChainError::Wildcard { .. })) => {
                match expansion(prover, &here, set, material, budget)? {
                    Ok(Status::Secure) => expanded = Some(wildcard),
                    Ok(status) => return Ok(Hop::Told(here, Unproven::new(status, wildcard))),
                    Err(error) => return Ok(Hop::Fails(here, error)),
                }
            }
            Err(Halt::Failed(error)) => return Ok(Hop::Fails(here, error)),
        }
        match (target, expanded) {
            (Some(target), still) => {
                here.name = target;
                expanded = still;
            }
            (None, Some(wildcard)) => {
                return Ok(Hop::Told(here, Unproven::new(expanded_status(asked), wildcard)));
            }
            // Proven after all, which it was not a moment ago.
            (None, None) => {
                return Ok(Hop::Told(here, Unproven::new(Status::Indeterminate, error.clone())));
            }
        }
    }
    let loops = ChainError::AliasLoop { name: asked.name.clone() };
    Ok(Hop::Told(here, Unproven::new(Status::Indeterminate, loops)))
}

/// The status of a proven expansion. SSHFP records speak for one host: whoever asks for them asks what
/// vouches, and an expansion does not, however well it is signed.
fn expanded_status(asked: &Question) -> Status {
    if asked.rtype == RrType::SSHFP { Status::Indeterminate } else { Status::Secure }
}
