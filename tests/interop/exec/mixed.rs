//! A fleet in which not everything is as it should be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::LIMIT;
use super::fleet::{Servers, address, deaf_after_the_handshake, mute};
use crate::support::blackhole::Blackhole;
use crate::support::forger::Forger;
use crate::support::wire::{DNSKEY, DS, SSHFP};
use crate::support::{Tree, run};

/// What is wrong with a host of the fleet; its place in the fleet says what.
const KINDS: [(&str, std::ops::Range<usize>, &[&str]); 7] = [
    ("good", 0..77, &["accept", ""]),
    ("impostor", 77..82, &["reject", "key-mismatch"]),
    ("refused", 82..85, &["", "unreachable"]),
    ("blackhole", 85..87, &["", "unreachable"]),
    ("no-records", 87..92, &["unproven", "no-record"]),
    ("unsigned", 92..97, &["unproven", "insecure"]),
    ("hanging", 97..100, &["", ""]),
];

#[test]
fn of_a_hundred_hosts_those_that_are_as_they_should_be_run_and_each_other_one_has_its_reason() {
    let servers = Servers::new(82, "");
    let port = servers.port.number();
    let mut names = Vec::new();
    let mut plan = Tree::plan();
    for (kind, places, _) in KINDS {
        for place in places {
            let zone = if kind == "unsigned" { "plain.test" } else { "example.test" };
            let name = format!("{kind}{place}.{zone}");
            let owner = format!("{name}.");
            let (at, keys) = match kind {
                "good" => (address(place), servers.of(place).sshfp(&owner)),
                // The server there has another key than the one that is published.
                "impostor" => (address(place), servers.of(0).sshfp(&owner)),
                "no-records" => (address(0), Vec::new()),
                "unsigned" => (address(0), servers.of(0).sshfp(&owner)),
                _ => (address(place + 100), servers.of(0).sshfp(&owner)),
            };
            plan = keys.iter().fold(plan.record(&format!("{owner} A {at}")), |plan, line| plan.record(line));
            names.push(name);
        }
    }
    let holes: Vec<Blackhole> = (85..87).map(|place| Blackhole::at(servers.at(place + 100))).collect();
    mute(servers.at(197));
    mute(servers.at(198));
    deaf_after_the_handshake(servers.at(199), servers.of(0).addr());

    let tree = plan.start();
    let forger = Forger::start(tree.addr());
    let fleet = tree.sandbox.write("fleet", &(names.join("\n") + "\n"));
    let exec = || {
        let mut exec = tree.sshanchor(forger.addr());
        exec.args(["exec", "-H", &format!("@{}", fleet.display()), "-p", &port.to_string()]);
        exec.args(["--fanout", "16", "--timeout", "15", "-i"])
            .arg(servers.user())
            .env_remove("SSH_AUTH_SOCK");
        exec
    };
    let finished = run(exec().args(["--json", "--", "echo", "hello"]), 2 * LIMIT);
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    let outcomes = finished.json_lines();
    assert_eq!(outcomes.len(), 100);
    let by_host: BTreeMap<&str, &Value> =
        outcomes.iter().map(|outcome| (outcome["host"].as_str().unwrap(), outcome)).collect();
    assert_eq!(by_host.len(), 100);
    for (kind, places, told) in KINDS {
        for place in places {
            let zone = if kind == "unsigned" { "plain.test" } else { "example.test" };
            let outcome = by_host[format!("{kind}{place}.{zone}").as_str()];
            let text = |field: &str| outcome[field].as_str().unwrap_or_default();
            let want = match (kind, place) {
                ("hanging", 97 | 98) => ["", "handshake"],
                ("hanging", _) => ["accept", "timeout"],
                _ => [told[0], told[1]],
            };
            assert_eq!([text("verdict"), text("reason")], want, "{outcome}");
            let output = if kind == "good" { "hello\n" } else { "" };
            assert_eq!((text("stdout"), outcome["status"].as_i64()), (output, (kind == "good").then_some(0)));
            assert_eq!(text("hint").is_empty(), kind == "good", "{outcome}");
        }
    }
    assert_eq!(servers.logins(), 77, "nobody logs in where the key is not accepted");
    // One after the other the five that do not answer would take longer.
    assert!(finished.elapsed < Duration::from_secs(100), "{:?}", finished.elapsed);

    // Of the zone, and of those above, keys and DS were asked for once; of each host its own records.
    let asked = forger.asked();
    let count = |rtype: u16| asked.iter().filter(|(_, question)| question.rtype == rtype).count();
    let all: Vec<String> =
        asked.iter().map(|(_, question)| format!("{:?} {}", question.name, question.rtype)).collect();
    let chain = count(DNSKEY) + count(DS);
    assert!((3..=20).contains(&chain), "{chain} questions about zones: {all:?}");
    assert!((100..=260).contains(&count(SSHFP)), "{}", count(SSHFP));

    // For people: each line with its host, and the reasons at the end.
    let finished = run(exec().args(["--", "echo", "hello"]), 2 * LIMIT);
    assert_eq!(finished.code, Some(3), "{finished:#?}");
    let mut lines: Vec<&str> = finished.stdout.lines().collect();
    lines.sort();
    let mut want: Vec<String> = (0..77).map(|place| format!("good{place}.example.test: hello")).collect();
    want.sort();
    assert_eq!(lines, want);
    for told in [
        "sshanchor: 23 of 100 hosts failed\n",
        "  rejected, key-mismatch: 5 hosts: impostor[77-81].example.test\n",
        "  unproven, no-record: 5 hosts: no-records[87-91].example.test\n",
        "  unproven, insecure: 5 hosts: unsigned[92-96].plain.test\n",
        "  unreachable: 5 hosts: blackhole[85-86].example.test,refused[82-84].example.test\n",
        "  handshake: 2 hosts: hanging[97-98].example.test\n",
        "  timeout: 1 host: hanging99.example.test\n",
    ] {
        assert!(finished.stderr.contains(told), "{told}{}", finished.stderr);
    }
    assert!(finished.stderr.contains("impostor77.example.test: sshanchor: "), "{}", finished.stderr);
    drop(holes);
}
