//! `export`, held against the programs that read what it writes.

mod keys;
mod records;
mod tools;

use std::time::Duration;

use crate::support::sshd::Sshd;
use crate::support::tree::Plan;
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const OWNER: &str = "web1.example.test.";
const LIMIT: Duration = Duration::from_secs(30);

/// A plan in which `sshd`'s keys are published at `owner`.
fn published(plan: Plan, sshd: &Sshd, owner: &str) -> Plan {
    sshd.sshfp(owner).iter().fold(plan, |plan, line| plan.record(line))
}

fn export(tree: &Tree, arguments: &[&str]) -> Finished {
    run(tree.sshanchor(tree.addr()).arg("export").args(arguments).args(["--timeout", "5"]), LIMIT)
}

/// Lines, sorted.
fn sorted<T: AsRef<str>>(lines: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut lines: Vec<String> = lines.into_iter().map(|line| line.as_ref().to_owned()).collect();
    lines.sort();
    lines
}
