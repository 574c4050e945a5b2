//! `doctor` against real resolvers, zones and ssh: each finding where it shows, and its twin where it does not.

mod host;
mod path;
mod publish;
mod ssh;
mod trust;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use crate::support::tree::Plan;
use crate::support::{Finished, Tree, run};

const LIMIT: Duration = Duration::from_secs(60);
const HOST: &str = "web1.example.test";
const DIGEST: &str = "aa00000000000000000000000000000000000000000000000000000000000055";

/// What one run found.
struct Found {
    finished: Finished,
    findings: Vec<Value>,
}

/// A tree that doctor has nothing to say against: signatures for three days everywhere.
fn plan() -> Plan {
    [".", "test."]
        .into_iter()
        .fold(Tree::plan(), |plan, zone| plan.with(zone, |zone| zone.valid("now-3600", "now+259200")))
        .with("example.test.", |zone| {
            let zone = zone.valid("now-3600", "now+259200");
            zone.record(&format!("{HOST}. SSHFP 4 2 {DIGEST}"))
        })
}

/// `doctor --json` with these arguments.
fn doctor(tree: &Tree, resolver: SocketAddr, arguments: &[&str]) -> Found {
    let mut command = tree.sshanchor(resolver);
    let config = tree.sandbox.join("ssh_config");
    if !config.exists() {
        tree.sandbox.write("ssh_config", "Host *\n  UserKnownHostsFile none\n  GlobalKnownHostsFile none\n");
    }
    let finished =
        run(command.arg("doctor").args(arguments).arg("--json").arg("--ssh-config").arg(config), LIMIT);
    let findings = finished.json_lines();
    let found = Found { finished, findings };
    for finding in &found.findings {
        assert!(finding["check"].is_string() && finding["about"].is_string(), "{finding}");
        let grave = matches!(finding["severity"].as_str(), Some("warning" | "error"));
        assert!(!grave || finding["remedy"].is_string(), "no remedy: {finding}");
    }
    let gravest = |severity: &str| found.findings.iter().any(|finding| finding["severity"] == severity);
    let code = if gravest("error") {
        1
    } else if gravest("warning") {
        5
    } else {
        0
    };
    assert_eq!(found.finished.code, Some(code), "{found:#?}", found = found.finished);
    found
}

impl Found {
    /// The severities of a check.
    fn all(&self, check: &str) -> Vec<&str> {
        let of = self.findings.iter().filter(|finding| finding["check"] == check);
        of.map(|finding| finding["severity"].as_str().unwrap()).collect()
    }

    /// The severity of a check that was made once.
    #[track_caller]
    fn severity(&self, check: &str) -> &str {
        let all = self.all(check);
        assert_eq!(all.len(), 1, "{check}: {:#?}", self.finished);
        all[0]
    }

    #[track_caller]
    fn message(&self, check: &str) -> &str {
        let finding = self.findings.iter().find(|finding| finding["check"] == check);
        finding.unwrap_or_else(|| panic!("{check}: {:#?}", self.finished))["message"].as_str().unwrap()
    }

    /// The checks that found something worth a warning.
    fn complaints(&self) -> Vec<&str> {
        let grave = |finding: &&Value| matches!(finding["severity"].as_str(), Some("warning" | "error"));
        self.findings.iter().filter(grave).map(|finding| finding["check"].as_str().unwrap()).collect()
    }
}
