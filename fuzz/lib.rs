//! What the fuzz targets call; `tests/offline/fuzz.rs` compiles the same bodies on stable.

pub use sshanchor::proto;

pub mod bodies;
