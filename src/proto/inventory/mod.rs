//! Which hosts are meant, read from texts: what is typed behind `-H`, and what inventories say.
//!
//! | file | reads |
//! |---|---|
//! | [`ansible`] | inventories of Ansible: INI, YAML, JSON, what a program prints; `--limit` |
//! | [`hostset`] | `web[1-20].example.com,db1.example.com`, `@FILE`, `-` |
//! | [`zone`] | owners of SSHFP records in a zone |

pub mod ansible;
pub mod hostset;
pub mod zone;

/// Most hosts that one run is for. It is counted before anything is expanded.
pub const MAX_HOSTS: usize = 1_000_000;
