//! Host certificates, and the CA sets that vouch for them: what `sshanchor` makes of them, and what ssh does.

pub(crate) mod consumers;
mod lasting;
mod table;
mod zones;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::certificate::sshfp;
use crate::support::sandbox::clean;
use crate::support::tree::Plan;

const LIMIT: Duration = Duration::from_secs(30);
const HOST: &str = "web1.example.test";
/// RDATA of the sentinel.
const SENTINEL: &str = "1 2 0000000000000000000000000000000000000000000000000000000000000000";

/// The name of a key's type, and SSHFP's number for it.
fn algorithm_of(blob: &[u8]) -> u8 {
    let length = usize::from(blob[3]);
    match std::str::from_utf8(&blob[4..4 + length]).unwrap() {
        "ssh-rsa" => 1,
        "ssh-ed25519" => 4,
        name if name.starts_with("ecdsa-") => 3,
        // There is none. That of Ed25519 matches at least the digest.
        _ => 4,
    }
}

/// The RDATA of the SSHFP record of a key.
fn record_of(blob: &[u8]) -> String {
    sshfp(algorithm_of(blob), blob)
}

/// A plan with the CA set of `at` (absolute) and an empty revoked set beside it.
pub(crate) fn with_ca(plan: Plan, at: &str, cas: &[&[u8]]) -> Plan {
    let plan = plan.record(&format!("_revoked._ssh.{at} SSHFP {SENTINEL}"));
    cas.iter().fold(plan, |plan, ca| plan.record(&format!("_ca._ssh.{at} SSHFP {}", record_of(ca))))
}
