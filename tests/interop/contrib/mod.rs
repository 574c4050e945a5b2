//! What people copy from contrib/ to run sshanchor on a host, tried with what it is for.

mod ansible;
mod audit;
mod boot;
mod cloud_init;
mod credentials;
mod grants;
mod octodns;
mod powerdns;
mod units;

use std::path::{Path, PathBuf};

/// A file of contrib/.
pub fn contrib(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(path)
}

/// Its text, for the zone example.test.
pub fn text(path: &str) -> String {
    std::fs::read_to_string(contrib(path)).unwrap().replace("example.com", "example.test")
}
