//! DNS I/O: sending questions and updates, fetching what proofs ask for.

pub mod addresses;
pub mod anchors;
pub mod authority;
pub mod bundles;
pub mod cache;
pub mod classify;
pub mod lookup;
pub mod resolver;
pub mod stored;
pub mod transport;
pub mod tsig;
pub mod update;
