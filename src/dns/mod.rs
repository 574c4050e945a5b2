//! DNS I/O: sending questions and updates, fetching what proofs ask for.

pub mod transport;
