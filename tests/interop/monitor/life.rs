//! A running agent: its status, its metrics, its log.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::check_metrics;
use crate::interop::agent::{Machine, SOON, record, shows};
use crate::interop::primary::{FOREIGN, HOST};
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::process::wait_until;
use crate::support::{Finished, Process, Sandbox, Tree, run};

const LIMIT: Duration = Duration::from_secs(30);

fn status(machine: &Machine, arguments: &[&str]) -> Finished {
    run(machine.sshanchor(&["agent", "status"]).args(arguments), LIMIT)
}

/// Waits for a status of which `is_it` says yes.
#[track_caller]
fn awaited(machine: &Machine, is_it: impl Fn(&Finished, &Value) -> bool) -> Value {
    let mut last = None;
    let came = wait_until(SOON, || {
        let finished = status(machine, &["--json"]);
        let json = finished.json();
        let came = is_it(&finished, &json);
        last = Some((finished, json));
        came
    });
    let (finished, json) = last.unwrap();
    assert!(came, "{finished:#?}");
    json
}

#[test]
fn its_status_says_what_is_right_what_is_not_and_that_it_is_gone() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let finished = status(&machine, &[]);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("no agent answers") && finished.stdout.is_empty(), "{finished:#?}");

    let mut agent = machine.start();
    let json = awaited(&machine, |finished, _| finished.code == Some(0));
    assert_eq!((&json["version"], &json["phase"]), (&1.into(), &"idle".into()));
    assert_eq!(json["pid"], agent.0.id());
    let owner = &json["owners"][0];
    assert_eq!((&owner["owner"], &owner["proof"]), (&HOST.into(), &"secure".into()));
    assert_eq!(owner["published"], serde_json::json!([record(&machine.key())]));
    assert!(owner["since"].is_string() && owner["signatures_expire"].is_string(), "{owner}");
    let text = status(&machine, &[]);
    assert_eq!(text.code, Some(0), "{text:#?}");
    assert!(text.stdout.starts_with("agent: all is well ("), "{text:#?}");
    assert!(text.stdout.contains(&format!("\n{HOST}: 1 record")), "{text:#?}");

    // Somebody else's record is a finding.
    tree.update(&format!("zone example.test\nupdate add {HOST} 300 SSHFP {FOREIGN}"));
    let json = awaited(&machine, |finished, _| finished.code == Some(5));
    assert_eq!(json["owners"][0]["foreign"], serde_json::json!([FOREIGN]));
    tree.update(&format!("zone example.test\nupdate delete {HOST} SSHFP {FOREIGN}"));
    awaited(&machine, |finished, _| finished.code == Some(0));

    // Killed, it is known as it was last; the next one takes its socket over.
    agent.0.kill();
    let finished = status(&machine, &[]);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stdout.starts_with("OLD: no agent runs."), "{finished:#?}");
    assert!(finished.stdout.contains(&format!("{HOST}: 1 records at {}", tree.addr())), "{finished:#?}");
    let json = status(&machine, &["--json"]).json();
    assert_eq!((&json["reason"], &json["last_known"][0]["owner"]), (&"no-agent".into(), &HOST.into()));
    let agent = machine.start();
    awaited(&machine, |finished, json| finished.code == Some(0) && json["pid"] == agent.0.id());
    // A second one at the same socket does not.
    let other = Machine::at(HOST, &tree);
    let socket = machine.join("state/agent.sock");
    let configuration = other.configuration(HOST, &tree) + &format!("socket = \"{}\"\n", socket.display());
    other.configure(&configuration);
    let finished = run(&mut other.sshanchor(&["agent"]), LIMIT);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("another agent answers at"), "{finished:#?}");
    awaited(&machine, |finished, json| finished.code == Some(0) && json["pid"] == agent.0.id());
    agent.signal(rustix::process::Signal::TERM);
    assert!(wait_until(SOON, || !socket.exists()), "the socket goes with it");
}

#[test]
fn a_dead_primary_shows_with_what_to_do() {
    let mut tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    let _agent = machine.start();
    awaited(&machine, |finished, _| finished.code == Some(0));
    tree.named.process.kill();
    let json = awaited(&machine, |_, json| json["phase"] == "retrying");
    let trouble = if json["error"].is_null() { &json["owners"][0]["error"] } else { &json["error"] };
    assert!(trouble["hint"].is_string() && trouble["since"].is_string(), "{json:#}");
    assert_eq!(trouble["hard"], false, "{json:#}");
    assert!(json["failures"].as_object().unwrap().values().any(|count| count.as_u64() > Some(0)), "{json:#}");
    let text = status(&machine, &[]);
    assert_eq!(text.code, Some(5), "{text:#?}");
    assert!(text.stdout.contains("failing for ") && text.stdout.contains("  do: "), "{text:#?}");
}

fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply.split_once("\r\n\r\n")?.1.to_owned())
}

/// A series's value, without the moments of passes.
fn value(text: &str, series: &str) -> Option<String> {
    text.lines().find_map(|line| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned()))
}

#[test]
fn prometheus_itself_scrapes_it_and_the_textfile_says_the_same() {
    let (tree, port, web) = (Tree::start(), Port::free(), Port::free());
    let machine = Machine::at(HOST, &tree);
    let file = machine.join("sshanchor.prom");
    let settings = format!("metrics_file = \"{}\"\nmetrics_listen = \"{}\"\n", file.display(), port.addr());
    machine.configure(&(machine.configuration(HOST, &tree) + &settings));
    let _agent = machine.start();
    let series = format!("sshanchor_published_records{{owner=\"{HOST}\"}}");
    let is_one = |text: &str| value(text, &series).as_deref() == Some("1");
    assert!(wait_until(SOON, || fs::read_to_string(&file).is_ok_and(|text| is_one(&text))));
    let served = get(port.addr(), "/metrics").unwrap();
    assert!(is_one(&served), "{served}");
    let sandbox = Sandbox::new();
    check_metrics(&sandbox, &served);
    check_metrics(&sandbox, &fs::read_to_string(&file).unwrap());

    sandbox.write(
        "prometheus.yml",
        &format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: sshanchor\n    static_configs: [{{targets: [\"{}\"]}}]\n", port.addr()),
    );
    let mut prometheus = command("prometheus");
    prometheus.arg(format!("--config.file={}", sandbox.join("prometheus.yml").display()));
    prometheus.arg(format!("--storage.tsdb.path={}", sandbox.join("data").display()));
    prometheus.arg(format!("--web.listen-address={}", web.addr()));
    let query = "/api/v1/query?query=sshanchor_published_records";
    let has_it = || {
        let reply = get(web.addr(), query).unwrap_or_default();
        let json: Value = serde_json::from_str(&reply).unwrap_or_default();
        json["data"]["result"][0]["value"][1] == "1" && json["data"]["result"][0]["metric"]["owner"] == HOST
    };
    let _prometheus = Process::start("prometheus", prometheus, sandbox.path(), has_it);
}

#[test]
fn its_log_is_json_a_line_for_each_change_and_none_for_each_look() {
    let tree = Tree::start();
    let machine = Machine::at(HOST, &tree);
    machine.configure(&(machine.configuration(HOST, &tree) + "log = \"json\"\n"));
    let agent = machine.run(machine.sshanchor(&["agent"]));
    shows(tree.addr(), HOST, &[&record(&machine.key())]);
    let passes = |more: u64| {
        awaited(&machine, |finished, json| finished.code == Some(0) && json["passes"].as_u64() > Some(more))
    };
    let first = passes(0)["passes"].as_u64().unwrap();
    let lines = agent.0.log().lines().count();
    passes(first + 1);
    assert_eq!(agent.0.log().lines().count(), lines, "{}", agent.0.log());
    for line in agent.0.log().lines() {
        let said: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(
            said["time"].is_string() && said["level"].is_string() && said["message"].is_string(),
            "{line}"
        );
    }
    let changed = agent.0.log().lines().any(|line| {
        let said: Value = serde_json::from_str(line).unwrap();
        said["owner"] == HOST && said["added"] == "1" && said["level"] == "notice"
    });
    assert!(changed, "{}", agent.0.log());
}
