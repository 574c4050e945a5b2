//! What a zone's own NSEC and NSEC3 records prove to be missing, and so which expansions may stand.

use super::types::Denies;
use super::{Status, nsec, nsec3};
use crate::proto::chain::{Budget, ChainError, Halt, Material, Prover};
use crate::proto::message::{NOERROR, Question};
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType};

/// NSEC and NSEC3 sets that are looked at in one answer.
const MAX_DENIALS: usize = 16;

/// What `zone` proves about the absence of `question` by itself, if anything. Its NSEC and NSEC3 records
/// show no less that no cut lies between it and the name: at a cut, and at names below one, they are
/// not heard ([`denies`]). A SOA that came along has to be the zone's as well, since it says how long the
/// denial may be kept (RFC 4035 section 3.2.3 asks for the whole section to be authentic).
pub(super) fn denial(
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
        Denies::Nothing | Denies::Contradicted | Denies::TooManyHashes => return Ok(None),
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

/// What the NSEC and NSEC3 sets that `zone` signed prove about `question`.
pub(super) fn denies(
    prover: &mut Prover,
    zone: &Name,
    question: &Question,
    authority: &[RrSet],
    material: &Material,
    budget: &mut Budget,
) -> Result<Denies, Halt> {
    let (plain, hashed) = denials(prover, zone, authority, material, budget)?;
    Ok(match nsec::denies(&plain, zone, &question.name, question.rtype) {
        Denies::Nothing => nsec3::denies(&hashed, zone, &question.name, question.rtype, budget),
        told => told,
    })
}

/// The NSEC and NSEC3 records among `sets` that `zone` signed.
fn denials(
    prover: &mut Prover,
    zone: &Name,
    sets: &[RrSet],
    material: &Material,
    budget: &mut Budget,
) -> Result<(Vec<nsec::Nsec>, Vec<nsec3::Nsec3>), Halt> {
    let (mut plain, mut hashed) = (Vec::new(), Vec::new());
    let wanted = |set: &&RrSet| matches!(set.rtype(), RrType::NSEC | RrType::NSEC3);
    for set in sets.iter().filter(wanted).take(MAX_DENIALS) {
        match prover.prove_denial(set, zone, material, budget) {
            Ok(proven) if proven.zone().name() == zone => {
                plain.extend(nsec::Nsec::from_set(set, zone).filter(|_| set.rtype() == RrType::NSEC));
                hashed.extend(nsec3::Nsec3::from_set(set, zone).filter(|_| set.rtype() == RrType::NSEC3));
            }
            Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
            _ => {}
        }
    }
    Ok((plain, hashed))
}

/// Whether `set` may stand at `here` by expansion from a wildcard (RFC 4035 section 5.3.4): the wildcard's
/// own set is proven, and its zone proves that nothing closer to the name exists. The error is the
/// wildcard's own failure.
pub(super) fn expansion(
    prover: &mut Prover,
    here: &Question,
    set: &RrSet,
    material: &Material,
    budget: &mut Budget,
) -> Result<Result<Status, ChainError>, Halt> {
    let Some(source) = set.unexpanded().filter(|_| *set.owner() == here.name) else {
        return Ok(Ok(Status::Bogus));
    };
    let proven = match prover.prove(&source, material, budget) {
        Ok(proven) => proven,
        Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
        Err(Halt::Failed(error)) => return Ok(Err(error)),
    };
    let zone = proven.zone().name();
    let Some(encloser) = source.owner().parent() else { return Ok(Ok(Status::Bogus)) };
    let (plain, hashed) = denials(prover, zone, material.beside(here), material, budget)?;
    let closer = match nsec::denies_closer(&plain, zone, &here.name, &encloser) {
        true => Denies::Name,
        false => nsec3::denies_closer(&hashed, &here.name, &encloser, budget),
    };
    Ok(Ok(match closer {
        Denies::Name => Status::Secure,
        Denies::OptOut | Denies::TooManyIterations => Status::Insecure,
        _ => Status::Bogus,
    }))
}
