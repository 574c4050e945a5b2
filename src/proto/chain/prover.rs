//! Following signatures upwards.

use std::collections::HashMap;
use std::sync::Arc;

use super::anchors::Anchors;
use super::error::ChainError;
use super::key::{Dnskey, Ds};
use super::material::{Fetched, Material, fetched_set};
use super::signature::{self, Budget, Lifetime, Tries, verify};
use super::{MAX_KEYS, MAX_SIGNATURES, MAX_ZONES};
use crate::proto::message::Question;
use crate::proto::name::Name;
use crate::proto::rr::{RrSet, RrType, Rrsig};

/// Sets that are remembered as proven, besides zones: of many names the latest ones are asked for again.
const MAX_REMEMBERED: usize = 4096;

/// Why there is no proof yet, or will be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// Fetch these and ask again.
    Need(Vec<Question>),
    /// The chain does not hold.
    Failed(ChainError),
}

impl From<ChainError> for Halt {
    fn from(error: ChainError) -> Self {
        Halt::Failed(error)
    }
}

/// A zone whose keys are proven.
#[derive(Debug, PartialEq, Eq)]
pub struct Zone {
    name: Name,
    keys: Vec<Dnskey>,
    set: RrSet,
    rrsig: Rrsig,
    ds: Option<Proven>,
    lifetime: Lifetime,
    depth: usize,
}

impl Zone {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its DNSKEY set and the signature that proves it.
    pub fn keys(&self) -> (&RrSet, &Rrsig) {
        (&self.set, &self.rrsig)
    }

    /// The DS set that vouches for its keys; none where a trust anchor does.
    pub fn ds(&self) -> Option<&Proven> {
        self.ds.as_ref()
    }
}

/// An RRset that is proven from a trust anchor, with the chain that proves it. Private fields, made
/// by [`Prover::prove`] alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    set: Arc<RrSet>,
    rrsig: Rrsig,
    zone: Arc<Zone>,
    lifetime: Lifetime,
}

impl Proven {
    /// The records.
    pub fn set(&self) -> &RrSet {
        &self.set
    }

    /// The signature that proves them.
    pub fn rrsig(&self) -> &Rrsig {
        &self.rrsig
    }

    /// The zone that signed.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// The last second, since 1970, for which it may be kept: TTLs and signatures of every link.
    pub fn valid_until(&self) -> u64 {
        self.lifetime.valid_until
    }

    /// The last second, since 1970, at which every signature still holds, whatever the TTLs say.
    pub fn expires(&self) -> u64 {
        self.lifetime.expires
    }

    /// The zones from the signer up to the one with the trust anchor.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        std::iter::successors(Some(self.zone()), |zone| zone.ds().map(Proven::zone))
    }
}

/// Proves RRsets at one moment. What is proven is remembered, so that asking again costs no signature.
#[derive(Debug)]
pub struct Prover {
    anchors: Anchors,
    now: u64,
    sets: HashMap<(Name, RrType), Proven>,
    zones: HashMap<Name, Result<Arc<Zone>, ChainError>>,
}

impl Prover {
    /// From `anchors`, at `now` in seconds since 1970.
    pub fn new(anchors: Anchors, now: u64) -> Self {
        Prover { anchors, now, sets: HashMap::new(), zones: HashMap::new() }
    }

    /// The trust anchors.
    pub fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// Takes over the zones that `other` has proven, in place of what is known of them here: keys change. Only for
    /// the same anchors and the same moment: else nothing is taken.
    pub fn adopt(&mut self, other: &Prover) {
        if self.anchors != other.anchors || self.now != other.now {
            return;
        }
        for (name, zone) in &other.zones {
            if let Ok(zone) = zone {
                self.zones.insert(name.clone(), Ok(zone.clone()));
            }
        }
    }

    /// Forgets which zones could not be proven.
    pub fn forget_failures(&mut self) {
        self.zones.retain(|_, zone| zone.is_ok());
    }

    /// Forgets which zones could not be proven for want of an answer: it may come yet.
    pub fn forget_unanswered(&mut self) {
        self.zones.retain(|_, zone| !matches!(zone, Err(ChainError::Unanswered { .. })));
    }

    /// Proves `set`, or says what it needs or why it cannot.
    pub fn prove(&mut self, set: &RrSet, material: &Material, budget: &mut Budget) -> Result<Proven, Halt> {
        let (owner, rtype) = (set.owner().clone(), set.rtype());
        let place = (owner.clone(), rtype);
        if let Some(known) = self.sets.get(&place).filter(|known| *known.set == *set) {
            return Ok(known.clone());
        }
        // A DS set belongs to the zone above the cut.
        let base = if rtype == RrType::DS { owner.parent() } else { Some(owner.clone()) };
        let proven = self.prove_for(set, base, material, budget)?;
        if self.sets.len() >= MAX_REMEMBERED {
            self.sets.clear();
        }
        self.sets.insert(place, proven.clone());
        Ok(proven)
    }

    /// Proves an NSEC or NSEC3 set that `zone` gave as a denial. At a cut the NSEC of the zone above is
    /// that zone's, so a trust anchor for the child takes nothing from it. Not remembered: where the child
    /// is asked for its NSEC, the anchor decides.
    pub(in crate::proto) fn prove_denial(
        &mut self,
        set: &RrSet,
        zone: &Name,
        material: &Material,
        budget: &mut Budget,
    ) -> Result<Proven, Halt> {
        if set.rtype() == RrType::NSEC && set.owner() != zone && self.anchors.has(set.owner()) {
            return self.prove_for(set, set.owner().parent(), material, budget);
        }
        self.prove(set, material, budget)
    }

    /// Proves `set` as data of the zone that holds `base`.
    fn prove_for(
        &mut self,
        set: &RrSet,
        base: Option<Name>,
        material: &Material,
        budget: &mut Budget,
    ) -> Result<Proven, Halt> {
        let (owner, rtype) = (set.owner().clone(), set.rtype());
        let anchor = base
            .as_ref()
            .and_then(|base| self.anchors.closest(base))
            .ok_or_else(|| ChainError::NoAnchor { name: owner.clone() })?
            .clone();
        match set.signatures().len() {
            0 => return Err(ChainError::Unsigned { owner, rtype }.into()),
            count if count > MAX_SIGNATURES => {
                return Err(ChainError::TooManySignatures { owner, rtype, count }.into());
            }
            _ => {}
        }
        let mut rrsigs: Vec<&Rrsig> = set.signatures().iter().collect();
        rrsigs.sort_by_key(|r| std::cmp::Reverse(r.signer.label_count()));
        let mut worst: Option<ChainError> = None;
        let mut tries = Tries::new(budget);
        for rrsig in rrsigs {
            let outcome = self.prove_by(set, rrsig, base.as_ref(), &anchor, material, &mut tries);
            match outcome {
                Ok(proven) => return Ok(proven),
                Err(Halt::Need(questions)) => return Err(Halt::Need(questions)),
                // Whoever goes on without means goes on at every link of every branch: with zones that
                // many others sign for, the work would double with each label.
                Err(Halt::Failed(error @ ChainError::Budget { .. })) => return Err(error.into()),
                Err(Halt::Failed(error)) => {
                    if worst.as_ref().is_none_or(|w| error.weight() > w.weight()) {
                        worst = Some(error);
                    }
                }
            }
        }
        Err(worst.unwrap_or(ChainError::Unsigned { owner, rtype }).into())
    }

    fn prove_by(
        &mut self,
        set: &RrSet,
        rrsig: &Rrsig,
        base: Option<&Name>,
        anchor: &Name,
        material: &Material,
        tries: &mut Tries<'_>,
    ) -> Result<Proven, Halt> {
        let (owner, rtype, signer) = (set.owner().clone(), set.rtype(), rrsig.signer.clone());
        if !base.is_some_and(|base| base.is_at_or_below(&signer)) {
            return Err(ChainError::ForeignSigner { owner, rtype, signer }.into());
        }
        if !signer.is_at_or_below(anchor) {
            return Err(ChainError::AboveAnchor { owner, rtype, signer, anchor: anchor.clone() }.into());
        }
        signature::check_form(set, rrsig, self.now)?;
        let zone = self.zone(&signer, material, tries.budget)?;
        verify(set, rrsig, &zone.keys, tries)?;
        let lifetime = Lifetime::of(set, rrsig, self.now).and(zone.lifetime);
        Ok(Proven { set: Arc::new(set.clone()), rrsig: rrsig.clone(), zone, lifetime })
    }

    /// The proven keys of `name`.
    pub(in crate::proto) fn zone(
        &mut self,
        name: &Name,
        material: &Material,
        budget: &mut Budget,
    ) -> Result<Arc<Zone>, Halt> {
        if let Some(known) = self.zones.get(name) {
            return known.clone().map_err(Halt::Failed);
        }
        let outcome = self.prove_zone(name, material, budget);
        match &outcome {
            Ok(zone) => {
                self.zones.insert(name.clone(), Ok(zone.clone()));
            }
            // What one lookup could not afford, another may.
            Err(Halt::Need(_) | Halt::Failed(ChainError::Budget { .. })) => {}
            Err(Halt::Failed(error)) => {
                self.zones.insert(name.clone(), Err(error.clone()));
            }
        }
        outcome
    }

    fn prove_zone(
        &mut self,
        name: &Name,
        material: &Material,
        budget: &mut Budget,
    ) -> Result<Arc<Zone>, Halt> {
        let anchored = self.anchors.has(name);
        let dnskey = Question::new(name.clone(), RrType::DNSKEY);
        let ds = Question::new(name.clone(), RrType::DS);
        let wanted = if anchored { vec![&dnskey] } else { vec![&dnskey, &ds] };
        let missing: Vec<Question> =
            wanted.into_iter().filter(|q| material.get(q).is_none()).cloned().collect();
        if !missing.is_empty() {
            return Err(Halt::Need(missing));
        }
        let via = if anchored { None } else { Some(self.prove_ds(&ds, material, budget)?) };
        let depth = via.as_ref().map_or(1, |ds| ds.zone.depth + 1);
        let set = fetched_set(&dnskey, material)?;
        let keys: Vec<Dnskey> = set.rdatas().filter_map(Dnskey::from_rdata).collect();
        if keys.len() > MAX_KEYS || depth > MAX_ZONES {
            return Err(ChainError::TooLong { zone: name.clone() }.into());
        }
        let entry = self.entry_keys(name, &keys, via.as_ref(), budget)?;
        let (rrsig, own) = self.self_signed(set, name, &entry, budget)?;
        let lifetime = via.as_ref().map_or(own, |ds| own.and(ds.lifetime));
        let zone = Zone { name: name.clone(), keys, set: set.clone(), rrsig, ds: via, lifetime, depth };
        Ok(Arc::new(zone))
    }

    fn prove_ds(
        &mut self,
        question: &Question,
        material: &Material,
        budget: &mut Budget,
    ) -> Result<Proven, Halt> {
        let set = match material.get(question) {
            Some(Fetched::Nothing { authority, .. }) => {
                let soa = authority.iter().find(|s| s.rtype() == RrType::SOA).map(|s| s.owner().clone());
                let zone = question.name.clone();
                let parent = soa.or_else(|| zone.parent()).unwrap_or_else(Name::root);
                return Err(ChainError::NoDs { zone, parent }.into());
            }
            _ => fetched_set(question, material)?,
        };
        if set.rdatas().len() > MAX_KEYS {
            return Err(ChainError::TooLong { zone: question.name.clone() }.into());
        }
        self.prove(set, material, budget)
    }

    /// The keys that the anchor or the DS set vouches for.
    fn entry_keys(
        &self,
        zone: &Name,
        keys: &[Dnskey],
        ds: Option<&Proven>,
        budget: &mut Budget,
    ) -> Result<Vec<Dnskey>, ChainError> {
        let zone_keys = keys.iter().filter(|k| k.is_zone_key());
        let Some(proven) = ds else {
            let trusted: Vec<_> = zone_keys.filter(|k| self.anchors.trusts(zone, k)).cloned().collect();
            return match trusted.is_empty() {
                true => Err(ChainError::AnchorMismatch { zone: zone.clone() }),
                false => Ok(trusted),
            };
        };
        let records: Vec<Ds> = proven.set().rdatas().filter_map(Ds::from_rdata).collect();
        let supported: Vec<&Ds> = records.iter().filter(|ds| ds.is_supported()).collect();
        if supported.is_empty() {
            return Err(ChainError::UnsupportedDs { zone: zone.clone() });
        }
        // Tags collide for whoever wants them to: as many digests as there may be keys, and no more.
        let pairs = zone_keys.flat_map(|k| supported.iter().filter(|ds| ds.names(k)).map(move |ds| (ds, k)));
        let mut trusted: Vec<_> = pairs
            .take(MAX_KEYS)
            .inspect(|_| budget.count_digest())
            .filter(|(ds, key)| ds.covers(zone, key))
            .map(|(_, key)| key.clone())
            .collect();
        trusted.dedup();
        if trusted.is_empty() {
            let tags = supported.iter().map(|ds| ds.tag).collect();
            return Err(ChainError::DsMismatch { zone: zone.clone(), tags });
        }
        Ok(trusted)
    }

    /// The DNSKEY set is signed by one of its own entry keys; gives that signature and its end.
    fn self_signed(
        &self,
        set: &RrSet,
        zone: &Name,
        entry: &[Dnskey],
        budget: &mut Budget,
    ) -> Result<(Rrsig, Lifetime), ChainError> {
        let (owner, rtype) = (set.owner().clone(), set.rtype());
        let count = set.signatures().len();
        if count > MAX_SIGNATURES {
            return Err(ChainError::TooManySignatures { owner, rtype, count });
        }
        let mut worst = ChainError::Unsigned { owner, rtype };
        let mut tries = Tries::new(budget);
        for rrsig in set.signatures().iter().filter(|r| r.signer == *zone) {
            let outcome = signature::check_form(set, rrsig, self.now)
                .and_then(|()| verify(set, rrsig, entry, &mut tries))
                .map_err(|error| match error {
                    ChainError::NoKey { signer: zone, tag, algorithm, .. } => {
                        ChainError::NoEntry { zone, tag, algorithm }
                    }
                    other => other,
                });
            match outcome {
                Ok(()) => return Ok((rrsig.clone(), Lifetime::of(set, rrsig, self.now))),
                // A zone signing key's signature is no failure of the entry key's.
                Err(error) if error.weight() > worst.weight() => worst = error,
                Err(_) => {}
            }
        }
        Err(worst)
    }
}
