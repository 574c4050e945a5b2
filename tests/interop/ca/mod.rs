//! CA sets and revoked sets in DNS: `ca publish`, `ca withdraw`, `ca revoke`, `ca roll`, `export krl`.

mod contrib;
mod fleet;
mod krl;
mod publish;
mod revoke;
mod roll;
mod roll_refusals;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::primary::{LIMIT, Primary};
use crate::support::{Finished, run};

pub const CA: &str = "_ca._ssh.example.test";
pub const REVOKED: &str = "_revoked._ssh.example.test";
pub const SENTINEL: &str = "1 2 0000000000000000000000000000000000000000000000000000000000000000";

/// `sshanchor ca COMMAND` at the primary with a TSIG key.
pub fn command(primary: &Primary, command: &str, tsig: &str) -> Command {
    command_of("state", primary, command, tsig)
}

/// The same with another state folder: another machine.
pub fn command_of(state: &str, primary: &Primary, command: &str, tsig: &str) -> Command {
    let mut sshanchor = primary.sandbox().sshanchor();
    let addr = primary.addr().to_string();
    sshanchor.args(["ca", command, "--server", &addr, "--check-server", &addr, "--key-file"]);
    sshanchor.arg(primary.tsig(tsig)).arg("--state").arg(primary.sandbox().join(state));
    sshanchor
}

/// `ca COMMAND --json --at example.test` with CA keys; a line a set.
pub fn ca(
    primary: &Primary,
    name: &str,
    tsig: &str,
    keys: &[&Path],
    more: &[&str],
) -> (Finished, Vec<Value>) {
    let mut made = command(primary, name, tsig);
    made.args(["--json", "--at", "example.test"]).args(more);
    for key in keys {
        made.arg("--ca-key").arg(key);
    }
    let finished = run(&mut made, LIMIT);
    let lines = if finished.stdout.trim().is_empty() { Vec::new() } else { finished.json_lines() };
    (finished, lines)
}
