//! Resource records as DNSSEC sees them: canonical RDATA (RFC 4034 section 6.2), RRsets with the
//! signatures over them, RRSIG fields.

mod presentation;
mod types;

use std::collections::HashMap;

pub use presentation::presentation;
pub use types::RrType;

use super::name::Name;
use super::wire::Reader;

/// Class IN, the only one there is here.
pub const CLASS_IN: u16 = 1;

/// One record out of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its owner.
    pub owner: Name,
    /// Its type.
    pub rtype: RrType,
    /// Its class.
    pub class: u16,
    /// Its time to live on the wire, in seconds.
    pub ttl: u32,
    /// Canonical RDATA.
    pub rdata: Box<[u8]>,
}

/// Where data came from. It says how long a proof made with it may be kept, and takes no part in whether it
/// holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Origin {
    /// A resolver, in this run.
    #[default]
    Dns,
    /// An earlier run, within its TTL, which counts from then.
    Cache,
    /// A file of proofs that the user named: good as long as its signatures are.
    Bundle,
    /// An earlier run; the TTL is over, and policy lets it serve while DNS does not answer.
    Grace {
        /// When DNS gave it, in seconds since 1970.
        fetched: u64,
        /// The last second of grace, since 1970.
        until: u64,
    },
}

impl Origin {
    /// The word for scripts: `dns`, `cache`, `bundle`, `grace`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Cache => "cache",
            Self::Bundle => "bundle",
            Self::Grace { .. } => "grace",
        }
    }

    /// How old what serves in grace is at `now`, both in seconds (since 1970).
    pub fn age(self, now: u64) -> Option<u64> {
        match self {
            Self::Grace { fetched, .. } => Some(now.saturating_sub(fetched)),
            Self::Dns | Self::Cache | Self::Bundle => None,
        }
    }

    /// Of two parts of one proof the origin that is to be told of: grace before all else, and of that the
    /// older.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let rank = |origin: &Self| match origin {
            Self::Dns => (0, 0),
            Self::Cache => (1, 0),
            Self::Bundle => (2, 0),
            Self::Grace { fetched, .. } => (3, u64::MAX - fetched),
        };
        std::cmp::max_by_key(self, other, rank)
    }
}

/// All records of one owner and type that came together, and the signatures over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RrSet {
    owner: Name,
    rtype: RrType,
    ttl: u32,
    rdatas: Vec<Box<[u8]>>,
    signatures: Vec<Rrsig>,
    origin: Origin,
}

impl RrSet {
    /// The RRsets of class IN among `records`, in the order of their first record. Duplicates fall
    /// out, RDATA is sorted as RFC 4034 section 6.3 wants it, the least TTL counts.
    pub fn collect(records: &[Record]) -> Vec<RrSet> {
        let mut sets: Vec<RrSet> = Vec::new();
        // A message may hold thousands of owners, so the place of each set is looked up.
        let mut places: HashMap<(&Name, RrType), usize> = HashMap::new();
        let usable = |r: &&Record| r.class == CLASS_IN && r.rtype != RrType::OPT;
        for record in records.iter().filter(usable).filter(|r| r.rtype != RrType::RRSIG) {
            let place = *places.entry((&record.owner, record.rtype)).or_insert(sets.len());
            match sets.get_mut(place) {
                Some(set) => {
                    set.ttl = set.ttl.min(record.ttl);
                    if let Err(at) = set.rdatas.binary_search(&record.rdata) {
                        set.rdatas.insert(at, record.rdata.clone());
                    }
                }
                None => sets.push(RrSet {
                    owner: record.owner.clone(),
                    rtype: record.rtype,
                    ttl: record.ttl,
                    rdatas: vec![record.rdata.clone()],
                    signatures: Vec::new(),
                    origin: Origin::Dns,
                }),
            }
        }
        for record in records.iter().filter(usable).filter(|r| r.rtype == RrType::RRSIG) {
            let Some(rrsig) = Rrsig::from_rdata(&record.rdata) else { continue };
            let place = places.get(&(&record.owner, rrsig.covered));
            if let Some(set) = place.and_then(|place| sets.get_mut(*place)) {
                set.ttl = set.ttl.min(record.ttl);
                if !set.signatures.contains(&rrsig) {
                    set.signatures.push(rrsig);
                }
            }
        }
        sets
    }

    /// A set that was stored: canonical RDATA in any order, `ttl` in seconds.
    pub fn stored(
        owner: Name,
        rtype: RrType,
        ttl: u32,
        mut rdatas: Vec<Box<[u8]>>,
        signatures: Vec<Rrsig>,
    ) -> Self {
        rdatas.sort();
        rdatas.dedup();
        RrSet { owner, rtype, ttl, rdatas, signatures, origin: Origin::Dns }
    }

    /// The same set, from `origin` and with `ttl` seconds left.
    #[must_use]
    pub fn from_origin(self, origin: Origin, ttl: u32) -> Self {
        RrSet { origin, ttl, ..self }
    }

    /// The same set with this signature alone.
    pub fn signed_by(&self, rrsig: &Rrsig) -> Self {
        RrSet { signatures: vec![rrsig.clone()], ..self.clone() }
    }

    /// Its owner.
    pub fn owner(&self) -> &Name {
        &self.owner
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Its type.
    pub fn rtype(&self) -> RrType {
        self.rtype
    }

    /// The least TTL of its records and signatures on the wire, in seconds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Canonical RDATA, sorted, each once.
    pub fn rdatas(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.rdatas.iter().map(|r| &**r)
    }

    /// The signatures that came with it.
    pub fn signatures(&self) -> &[Rrsig] {
        &self.signatures
    }

    /// Undoes the expansion from a wildcard: the same records at the wildcard that the signatures tell of,
    /// with those signatures (RFC 4035 section 5.3.2). None if no signature counts fewer labels than the
    /// owner has.
    pub fn unexpanded(&self) -> Option<RrSet> {
        let labels = self.signatures.iter().map(|s| s.labels).min()?;
        if usize::from(labels) >= self.owner.label_count() {
            return None;
        }
        let owner = self.owner.last_labels(usize::from(labels)).child(b"*").ok()?;
        let mut set = RrSet { owner, ..self.clone() };
        set.signatures.retain(|s| s.labels == labels);
        Some(set)
    }

    /// The RDATA in presentation form, a record each.
    pub fn presentation(&self) -> Vec<String> {
        self.rdatas().map(|rdata| presentation(self.rtype, rdata)).collect()
    }
}

/// The fields of an RRSIG record (RFC 4034 section 3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rrsig {
    /// The type it covers.
    pub covered: RrType,
    /// DNSSEC algorithm number.
    pub algorithm: u8,
    /// Labels of the owner as signed; fewer than the owner has means a wildcard was expanded.
    pub labels: u8,
    /// TTL of the RRset as signed, in seconds.
    pub original_ttl: u32,
    /// Last moment of validity, seconds since 1970 modulo 2^32.
    pub expiration: u32,
    /// First moment of validity, seconds since 1970 modulo 2^32.
    pub inception: u32,
    /// Tag of the key that signed.
    pub key_tag: u16,
    /// The zone whose key signed.
    pub signer: Name,
    /// The signature itself.
    pub signature: Box<[u8]>,
}

impl Rrsig {
    /// From canonical RDATA.
    pub fn from_rdata(rdata: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(rdata);
        let (covered, algorithm, labels) = (RrType(reader.u16()?), reader.u8()?, reader.u8()?);
        let (original_ttl, expiration, inception) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let key_tag = reader.u16()?;
        let (signer, used) = Name::read_wire(reader.rest()).ok()?;
        reader.take(used)?;
        let signature = reader.rest().into();
        Some(Rrsig {
            covered,
            algorithm,
            labels,
            original_ttl,
            expiration,
            inception,
            key_tag,
            signer,
            signature,
        })
    }

    /// The whole RDATA.
    pub fn rdata(&self) -> Vec<u8> {
        [self.signed_prefix(), self.signature.to_vec()].concat()
    }

    /// The RDATA without the signature: the first part of what is signed (RFC 4034 section 3.1.8.1).
    pub fn signed_prefix(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(18 + self.signer.wire().len());
        out.extend(self.covered.0.to_be_bytes());
        out.extend([self.algorithm, self.labels]);
        out.extend(self.original_ttl.to_be_bytes());
        out.extend(self.expiration.to_be_bytes());
        out.extend(self.inception.to_be_bytes());
        out.extend(self.key_tag.to_be_bytes());
        out.extend(self.signer.wire());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(rtype: u16, ttl: u32, rdata: &[u8]) -> Record {
        let owner = Name::from_text("h.example").unwrap();
        Record { owner, rtype: RrType(rtype), class: CLASS_IN, ttl, rdata: rdata.into() }
    }

    #[test]
    fn records_become_sorted_sets_without_duplicates() {
        let records =
            [record(1, 60, &[2, 0, 0, 1]), record(1, 50, &[1, 0, 0, 1]), record(1, 60, &[2, 0, 0, 1])];
        let sets = RrSet::collect(&records);
        assert_eq!(sets.len(), 1);
        assert_eq!(sets[0].rdatas().collect::<Vec<_>>(), [&[1, 0, 0, 1][..], &[2, 0, 0, 1]]);
        assert_eq!(sets[0].ttl(), 50);
        let other_class = Record { class: 3, ..record(1, 60, &[9, 9, 9, 9]) };
        assert!(RrSet::collect(&[other_class]).is_empty());
    }
}
