//! The one seam where failed lookups are told apart: absent, insecure, bogus or indeterminate. It
//! rests on `proto::denial`, our own proofs of absence, and can make no accept.

pub use crate::proto::denial::classify;
