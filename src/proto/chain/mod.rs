//! The proof: from trust anchors down to an RRset, by positive evidence alone.
//!
//! The signer named in an RRSIG shows the zone; its DNSKEY set is proven by a trust anchor or by a DS
//! set, which the zone above signed; and so on up to an anchor. No NSEC, no AD bit, no absence takes
//! part, so nothing that a resolver leaves out or makes up can turn into a proof.
//!
//! [`Prover`] does no I/O. It is given [`Material`] (what has been fetched) and either proves, fails
//! with a [`ChainError`], or says what else it needs. [`Proven`] is made here and nowhere else.

mod anchors;
mod answer;
mod entry;
mod error;
mod key;
mod material;
#[cfg(test)]
pub(crate) mod paper;
mod prover;
mod signature;
#[cfg(test)]
mod tests;

pub use anchors::{Anchor, AnchorError, Anchors, ROOT, RootKey};
pub use answer::Answer;
pub use entry::Entry;
pub use error::ChainError;
pub use key::{Algorithm, Dnskey, Ds};
pub use material::{Fetched, Material};
pub use prover::{Halt, Proven, Prover, Zone};
pub use signature::Budget;
pub(in crate::proto) use signature::Nsec3Hash;

/// Signatures that are tried over one RRset.
pub const MAX_TRIED_PER_SET: u32 = 8;
/// Signatures that are tried for one lookup.
pub const MAX_TRIED: u32 = 64;
/// Rounds of SHA-1 that one lookup spends on names that NSEC3 hides (CVE-2023-50868): three names of a
/// hundred labels each at 150 iterations.
pub const MAX_HASHED: u32 = 48 * 1024;
/// RRSIGs that may come with one RRset; with more it is not looked at. Those that fit no key of the
/// zone cost nothing, so only forgeries made for its very keys can use up [`MAX_TRIED_PER_SET`].
pub const MAX_SIGNATURES: usize = 16;
/// DNSKEY or DS records that a zone may have.
pub const MAX_KEYS: usize = 64;
/// Zones from the anchor to the answer.
pub const MAX_ZONES: usize = 16;
/// CNAME and DNAME steps from the name asked for to its data: as many as Unbound and BIND take.
pub const MAX_ALIASES: usize = 11;
