//! The agent and a rotation of a host key at each of the places.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::places::Place;
use super::{LIMIT, on_each, record};
use crate::interop::agent::{Machine, SOON};
use crate::interop::primary::HOST;
use crate::interop::rotate::place::offered_at;
use crate::support::process::{run_ok, wait_until};
use crate::support::run;
use crate::support::sshd::Sshd;

on_each! {
    an_agent_looks_after_the_records
    a_host_key_is_replaced
}

/// What the agent of `machine` needs to publish the key `host_key` at this place.
fn configuration(place: &Place, host_key: &str) -> String {
    let anchor = place.tree().anchor();
    let [resolver, server] = [place.resolver(), place.addr()].map(|addr: SocketAddr| addr.to_string());
    format!(
        "version = 1\nresolver = \"{resolver}\"\ntrust_anchor = \"{}\"\ntimeout = \"8s\"\n\
         [publish]\nname = \"{HOST}\"\nhost_keys = \"{host_key}\"\ncheck_servers = \"{server}\"\nttl = 600\n{}\
         [agent]\ninterval = \"1s\"\n",
        anchor.display(),
        place.configuration(),
    )
}

fn an_agent_looks_after_the_records(place: Place) {
    let machine = Machine::new();
    let first = record(&machine.new_key());
    machine.configure(&configuration(&place, &machine.key().display().to_string()));
    let mut command = machine.sshanchor(&["-v", "agent"]);
    place.equip(&mut command, "zone");
    let mut agent = machine.run(command);
    let shows = |records: &[&String]| {
        let records: Vec<String> = records.iter().map(|record| (*record).clone()).collect();
        let shown = || place.shows(HOST, &records).0;
        assert!(wait_until(SOON, || shown() == records), "{:?}\n{}", shown(), agent.0.log());
    };
    shows(&[&first]);
    agent.says("is proven as clients will prove it");

    place.remove(HOST);
    agent.says("putting them back");
    shows(&[&first]);
    let second = record(&machine.new_key());
    shows(&[&second]);
    agent.says_again("is as it should be");
    // A resolver with the old records in its cache is no trouble until they have expired.
    let status = || run(&mut machine.sshanchor(&["agent", "status", "--json"]), LIMIT);
    let is_new = |status: &Value| status["owners"][0]["published"] == serde_json::json!([second]);
    assert!(wait_until(SOON, || is_new(&status().json())), "{:#?}", status());
    let finished = status();
    let owner = &finished.json()["owners"][0];
    match owner["proof"].as_str() {
        Some("secure") => assert!(owner["caches_until"].is_null(), "{owner}"),
        other => assert!(other == Some("old-records") && owner["caches_until"].is_string(), "{owner}"),
    }
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let short = agent.ends(rustix::process::Signal::TERM);
    assert!(short < Duration::from_secs(10), "{short:?}");
    assert_eq!(place.shows(HOST, std::slice::from_ref(&second)).0, [second]);
}

fn a_host_key_is_replaced(place: Place) {
    let mut sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    fs::create_dir(sshd.sandbox.join("d")).unwrap();
    let folder = sshd.sandbox.path().display().to_string();
    sshd.configure(&format!("Include {folder}/d/*.conf\nPidFile {folder}/pid\nLoginGraceTime 2\n"));
    let pid = || fs::read_to_string(sshd.sandbox.join("pid")).is_ok_and(|text| text.ends_with('\n'));
    assert!(wait_until(SOON, pid));
    let at_hand = |command: &str| {
        let mut made = place.command(command, &place.options(), "zone");
        made.args(["--name", HOST, "--state"]).arg(place.sandbox().join("state"));
        made.args(["--resolver", &place.resolver().to_string(), "--trust-anchor"]).arg(place.tree().anchor());
        made
    };
    let mut publish = at_hand("publish");
    for key in sshd.host_keys() {
        publish.arg("--host-key").arg(key);
    }
    run_ok(publish.args(["--ttl", "1"]));
    let records = || {
        let mut records = sshd.host_keys().iter().map(|key| record(key)).collect::<Vec<_>>();
        records.sort();
        records
    };
    let before = records();
    assert_eq!(place.shows(HOST, &before).0, before);

    let mut rotate = at_hand("rotate");
    rotate
        .args(["--json", "--type", "ed25519", "--wait", "--sshd-config"])
        .arg(sshd.sandbox.join("sshd_config"));
    let rotated = run(&mut rotate, LIMIT);
    assert_eq!(rotated.code, Some(0), "{rotated:#?}");
    assert_eq!(rotated.json_lines().pop().unwrap()["status"], "done", "{rotated:#?}");
    let after = records();
    assert_eq!(after.iter().filter(|record| before.contains(record)).count(), 1);
    assert_eq!(place.shows(HOST, &after).0, after);
    assert_eq!(offered_at(sshd.addr()), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
}
