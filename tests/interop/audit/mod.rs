//! `audit` on real zones, name servers and sshd: each finding where it shows, and a fleet without any.

mod certificates;
mod comparing;
mod here;
mod hosts;
mod readme;
mod servers;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use sshanchor::proto::audit::RULES;

use crate::support::sshd::Sshd;
use crate::support::tree::Plan;
use crate::support::{Finished, Tree, run};

const LIMIT: Duration = Duration::from_secs(90);

/// What one audit told.
struct Audit {
    finished: Finished,
    report: Value,
}

/// A tree of which there is nothing to be said: signatures for three days everywhere.
fn plan() -> Plan {
    let zones = [".", "test.", "example.test.", "sub.example.test."];
    zones
        .into_iter()
        .fold(Tree::plan(), |plan, zone| plan.with(zone, |zone| zone.valid("now-3600", "now+259200")))
}

/// A plan in which `sshd`'s keys are published for `host`.
fn published(plan: Plan, sshd: &Sshd, host: &str) -> Plan {
    sshd.sshfp(&format!("{host}.")).iter().fold(plan, |plan, line| plan.record(line))
}

/// A host and the port of its server.
fn at(host: &str, sshd: &Sshd) -> String {
    format!("{host}:{}", sshd.port())
}

/// `audit` of these hosts with these arguments; the tree's server is the only one of every zone.
fn audit(tree: &Tree, hosts: &[String], arguments: &[&str]) -> Audit {
    let server = tree.addr().to_string();
    audit_at(tree, hosts, &[&["--check-server", &server], arguments].concat())
}

/// The same without a word about servers.
fn audit_at(tree: &Tree, hosts: &[String], arguments: &[&str]) -> Audit {
    let mut command = tree.sshanchor(tree.addr());
    command.args(["audit", "--json", "-H", &hosts.join(",")]).args(arguments);
    let finished = run(&mut command, LIMIT);
    let report = finished.json();
    let audit = Audit { finished, report };
    if audit.report["error"].is_string() {
        return audit;
    }
    for finding in audit.all() {
        assert!(finding["code"].is_string() && finding["subject"].is_string(), "{finding}");
        assert!(["error", "warning", "info"].contains(&finding["severity"].as_str().unwrap()), "{finding}");
        let is_told = finding["severity"] == "info" || finding["hint"].is_string();
        assert!(is_told, "no hint: {finding}");
    }
    for host in audit.report["hosts"].as_array().unwrap() {
        for finding in host["findings"].as_array().unwrap() {
            let is_listed = RULES.iter().any(|(code, ..)| finding["code"] == *code);
            assert!(is_listed || finding["code"] == host["reason"], "{finding}");
        }
    }
    assert!(audit.report["time"].as_str().unwrap().ends_with('Z'), "{}", audit.report["time"]);
    audit
}

impl Audit {
    /// Every finding, of hosts and of the fleet.
    fn all(&self) -> Vec<&Value> {
        let hosts =
            self.report["hosts"].as_array().unwrap().iter().flat_map(|h| h["findings"].as_array().unwrap());
        self.report["findings"].as_array().unwrap().iter().chain(hosts).collect()
    }

    /// What is said of a host.
    fn host(&self, name: &str) -> &Value {
        let hosts = self.report["hosts"].as_array().unwrap();
        hosts
            .iter()
            .find(|host| host["host"] == name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.report))
    }

    /// Severity and code of what is found at a host, each once.
    fn found(&self, name: &str) -> BTreeSet<String> {
        codes(&self.host(name)["findings"])
    }

    /// The same of what is about no single host.
    fn of_fleet(&self) -> BTreeSet<String> {
        codes(&self.report["findings"])
    }

    /// The message of the finding of this code.
    fn message(&self, code: &str) -> String {
        let all = self.all();
        let found = all.iter().find(|finding| finding["code"] == code);
        found.unwrap_or_else(|| panic!("no {code} in {all:#?}"))["message"].as_str().unwrap().to_owned()
    }
}

fn codes(findings: &Value) -> BTreeSet<String> {
    let code = |f: &Value| format!("{} {}", f["severity"].as_str().unwrap(), f["code"].as_str().unwrap());
    findings.as_array().unwrap().iter().map(code).collect()
}

fn set(codes: &[&str]) -> BTreeSet<String> {
    codes.iter().map(|&code| code.to_owned()).collect()
}
