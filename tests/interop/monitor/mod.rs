//! What an agent tells of itself, as those read it who are meant to: Prometheus, systemd, people.

mod life;
mod systemd;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use sshanchor::fleet::report::prometheus;
use sshanchor::proto::metrics;
use sshanchor::proto::status::Status;

use crate::support::peer::command;
use crate::support::{Sandbox, run_ok};

const STATUS: &[u8] = include_bytes!("status.json");

fn contrib(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/prometheus").join(file)
}

/// What `promtool check metrics` says of these; it checks the form and the names.
pub(super) fn check_metrics(sandbox: &Sandbox, text: &str) {
    let file = File::open(sandbox.write("metrics.prom", text)).unwrap();
    let mut promtool = command("promtool");
    let output =
        promtool.args(["check", "metrics"]).stdin(Stdio::from(file)).output().expect("promtool runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty() && output.stdout.is_empty(), "{said}\n{text}");
}

#[test]
fn prometheus_reads_the_metrics_and_finds_nothing_to_say_against_them() {
    let sandbox = Sandbox::new();
    let status = Status::from_json(STATUS).unwrap();
    let text = metrics::text(&status);
    check_metrics(&sandbox, &text);
    for name in metrics::names() {
        assert!(text.contains(&format!("\n{name}")), "{name} is not among them");
    }
}

#[test]
fn the_alerts_are_about_metrics_that_there_are() {
    run_ok(command("promtool").args(["check", "rules"]).arg(contrib("alerts.yml")));
    run_ok(command("promtool").args(["check", "config"]).arg(contrib("prometheus.yml")));
    let known: BTreeSet<&str> = metrics::names().chain(prometheus::names()).collect();
    let text = fs::read_to_string(contrib("alerts.yml")).unwrap();
    let expressions = text.lines().filter(|line| {
        let line = line.trim_start();
        line.starts_with("expr:") || line.starts_with("time()") || line.starts_with("or ")
    });
    let mut used = BTreeSet::new();
    for line in expressions {
        let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        used.extend(words.filter(|word| word.starts_with("sshanchor_")));
    }
    assert!(used.len() >= 15, "{used:?}");
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn each_alert_comes_when_it_should_and_not_before() {
    let sandbox = Sandbox::new();
    fs::copy(contrib("alerts.yml"), sandbox.join("alerts.yml")).unwrap();
    sandbox.write("test.yml", include_str!("alerts_test.yml"));
    run_ok(command("promtool").args(["test", "rules", "test.yml"]).current_dir(sandbox.path()));
}
