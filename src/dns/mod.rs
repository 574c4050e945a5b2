//! DNS I/O: sending questions and updates, fetching what proofs ask for.

pub mod anchors;
pub mod classify;
pub mod lookup;
pub mod resolver;
pub mod transport;
