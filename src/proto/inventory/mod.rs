//! Which hosts are meant, read from texts: what is typed behind `-H`, and what inventories say.
//!
//! | file | reads |
//! |---|---|
//! | [`hostset`] | `web[1-20].example.com,db1.example.com`, `@FILE`, `-` |

pub mod hostset;

/// Most hosts that one run is for. It is counted before anything is expanded.
pub const MAX_HOSTS: usize = 1_000_000;
