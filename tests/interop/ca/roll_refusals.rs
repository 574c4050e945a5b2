//! What `ca roll` does not do, whom it waits for; each with the twin that works.

use std::fs;

use serde_json::Value;

use super::roll::World;
use super::{CA, command};
use crate::interop::primary::{LIMIT, Primary, key, record, sorted};
use crate::support::agent::Agent;
use crate::support::named::Secondary;
use crate::support::port::Port;
use crate::support::{run, run_ok};

fn servers(told: &Value) -> Vec<&str> {
    told["servers"].as_array().unwrap().iter().map(|server| server["server"].as_str().unwrap()).collect()
}

#[test]
fn a_secondary_that_lags_is_waited_for_by_name() {
    let primary = Primary::bind();
    let world = World::new(&primary);
    world.sign("web1");
    let mut second = Secondary::start(primary.addr(), "example.test");
    let addr = second.addr().to_string();
    let more = ["--check-server", &addr, "--timeout", "2"];
    let told = world.rolls(&[&["--start"], &more[..]].concat(), 5, "servers");
    assert_eq!(servers(&told), [addr.as_str()]);
    assert_eq!(told["steps"], serde_json::json!(["publish"]), "every server shows it is not written down");
    // However long: the wait for caches has not even begun.
    std::thread::sleep(std::time::Duration::from_secs(4));
    world.rolls(&more, 5, "servers");
    assert_eq!(world.records_of(&["next"]).len(), 1, "the old key signs");
    second.refresh();
    let told = world.rolls(&more, 5, "caches");
    assert_eq!(told["steps"], serde_json::json!(["spread"]));
    let told = world.rolls_until(&more, 5, "hosts");
    assert_eq!(told["switched"], true);
    // The withdrawal is done once it is seen there too.
    world.sign("web1");
    let told = world.rolls(&more, 5, "withdrawal");
    assert_eq!(servers(&told), [addr.as_str()]);
    assert_eq!(world.in_dns(), world.records_of(&["current"]));
    world.rolls(&more, 5, "withdrawal");
    second.refresh();
    let told = world.rolls(&more, 0, "done");
    assert_eq!(told["steps"], serde_json::json!(["forget"]));
}

#[test]
fn a_server_that_falls_back_begins_the_wait_anew() {
    let primary = Primary::bind();
    let world = World::new(&primary);
    let told = world.rolls(&["--start"], 5, "caches");
    let until = told["until"].as_str().unwrap().to_owned();
    // As if an old copy of the zone had been put back.
    primary.update(&format!("update delete {CA} SSHFP {}", world.records_of(&["next"])[0]));
    std::thread::sleep(std::time::Duration::from_secs(4));
    let told = world.rolls(&[], 5, "caches");
    assert_eq!(told["steps"], serde_json::json!(["lost", "publish", "spread"]));
    assert!(told["until"].as_str().unwrap() > until.as_str(), "{told}");
    assert_eq!(told["switched"], false);
    let told = world.rolls_until(&[], 0, "done");
    assert_eq!(
        told["steps"],
        serde_json::json!(["switch", "withdraw", "forget"]),
        "no host needs the old key"
    );
}

#[test]
fn a_dead_server_is_told_and_nothing_goes_on_without_it() {
    let primary = Primary::bind();
    let world = World::new(&primary);
    let dead = Port::free().addr().to_string();
    let more = ["--check-server", &dead, "--timeout", "2"];
    let told = world.rolls(&[&["--start"], &more[..]].concat(), 5, "servers");
    assert_eq!(servers(&told), [dead.as_str()]);
    assert!(told["servers"][0]["detail"].is_string(), "{told}");
    let finished = run(world.dns("roll").args(more), LIMIT);
    assert!(
        finished.stdout.contains("waiting for these servers") && finished.stdout.contains(&dead),
        "{finished:#?}"
    );
    assert!(finished.stderr.contains("--check-server"), "{finished:#?}");
    // Its twin: those that there are are named.
    world.rolls(&[], 5, "caches");

    // Without the primary nothing is known, and nothing done.
    let before = fs::read(world.folder().join("ca.json")).unwrap();
    let mut made = primary.sandbox().sshanchor();
    made.args(["ca", "roll", "--json", "--timeout", "2", "--server", &dead, "--check-server", &dead]);
    made.arg("--key-file").arg(primary.tsig("ca")).arg("--state").arg(primary.sandbox().join("state"));
    let finished = run(&mut made, LIMIT);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let finished = run(made.args(["--zone", "example.test"]), LIMIT);
    assert_eq!((finished.code, &finished.json()["status"]), (Some(1), &"servers".into()), "{finished:#?}");
    assert_eq!(fs::read(world.folder().join("ca.json")).unwrap(), before);
    // Nor are the zone's servers guessed, where nobody says which they are.
    let mut made = primary.sandbox().sshanchor();
    made.args([
        "ca",
        "roll",
        "--json",
        "--timeout",
        "2",
        "--server",
        &primary.addr().to_string(),
        "--key-file",
    ]);
    made.arg(primary.tsig("ca")).arg("--state").arg(primary.sandbox().join("state"));
    let finished = run(&mut made, LIMIT);
    assert_eq!((finished.code, &finished.json()["status"]), (Some(5), &"servers".into()), "{finished:#?}");
    assert_eq!(servers(&finished.json()), ["ns.example.test"]);
}

#[test]
fn what_is_no_roll_is_refused() {
    let primary = Primary::bind();
    let sandbox = primary.sandbox();
    run_ok(
        sandbox
            .sshanchor()
            .args(["ca", "init", "--domain", "example.test"])
            .env("SSHANCHOR_CA", sandbox.join("state/ca")),
    );
    let world = World { primary: &primary };
    let reason = |arguments: &[&str]| {
        let finished = world.roll(arguments);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        finished.json()["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&["--start"]), "not-published");
    assert_eq!(world.keys().len(), 1);
    run_ok(world.dns("publish").args(["--ttl", "1"]));
    assert_eq!(reason(&["--skip", "web1.example.test"]), "no-roll");
    assert_eq!(reason(&["--passphrase-file", "/dev/null"]), "usage");
    world.rolls(&["--start"], 5, "caches");
    assert_eq!(reason(&["--start"]), "roll-under-way");
    assert_eq!(reason(&["--at", "lab.example.test"]), "ca-name");
    world.rolls(&["--at", "example.test"], 5, "caches");
    assert_eq!(world.keys().len(), 2);
    let finished = run(command(&primary, "roll", "ca").args(["--ca", "/nowhere"]), LIMIT);
    assert!(finished.code == Some(2) && finished.stderr.contains("there is no CA in"), "{finished:#?}");
}

#[test]
fn while_hosts_need_the_old_key_nothing_else_takes_it_away() {
    let primary = Primary::knot();
    let world = World::new(&primary);
    world.sign("web1");
    let old = world.folder().join("ca_key.pub");
    world.rolls(&["--start"], 5, "caches");
    world.rolls_until(&[], 5, "hosts");
    let both = world.in_dns();
    let mut withdraw = world.dns("withdraw");
    let withdraw = withdraw.arg("--json").arg("--ca-key").arg(&old);
    let refused = run(withdraw, LIMIT);
    assert_eq!((refused.code, &refused.json()["reason"]), (Some(2), &"in-use".into()), "{refused:#?}");
    let refused = run(world.dns("withdraw").arg("--json"), LIMIT);
    assert_eq!((refused.code, &refused.json()["reason"]), (Some(2), &"in-use".into()), "{refused:#?}");
    let refused = run(world.dns("publish").args(["--json", "--prune"]), LIMIT);
    assert_eq!(
        (refused.code, &refused.json()["reason"]),
        (Some(2), &"roll-under-way".into()),
        "{refused:#?}"
    );
    assert_eq!(world.in_dns(), both);
    // Others' hosts are not known: what the roll finds it does not undo. Once the host has another, it may go.
    world.sign("web1");
    let finished = run(withdraw, LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let told = world.rolls(&[], 0, "done");
    assert_eq!(told["steps"], serde_json::json!(["forget"]));
    assert_eq!(run(world.dns("publish").arg("--prune"), LIMIT).code, Some(0), "no roll, no refusal");
}

#[test]
fn a_key_that_the_agent_holds_takes_over_once_the_agent_has_it() {
    let primary = Primary::bind();
    let world = World::new(&primary);
    let sandbox = primary.sandbox();
    let agent = Agent::start();
    let token = key(sandbox, "token");
    let with_agent = |arguments: &[&str]| {
        let mut made = world.dns("roll");
        made.args(["--json", "--settle", "0"]).args(arguments).env("SSH_AUTH_SOCK", agent.socket());
        run(&mut made, LIMIT)
    };
    let start = ["--start", "--agent", "--public-key", token.to_str().unwrap()];
    let refused = with_agent(&start);
    assert_eq!(refused.code, Some(1), "the agent does not hold it: {refused:#?}");
    agent.add(&sandbox.join("token"));
    // The old key as the new one.
    let own = world.folder().join("ca_key");
    agent.add(&own);
    let refused =
        with_agent(&["--start", "--agent", "--public-key", own.with_extension("pub").to_str().unwrap()]);
    assert!(refused.code == Some(2) && refused.stderr.contains("is there already"), "{refused:#?}");
    assert_eq!(world.keys().len(), 1);
    let finished = with_agent(&start);
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    fs::remove_file(sandbox.join("token")).unwrap();
    assert_eq!(world.in_dns(), sorted(&[&record(&token), &world.records_of(&["current"])[0]]));
    // Without the token the CA would sign nothing any more: the old key stays.
    agent.remove_all();
    std::thread::sleep(std::time::Duration::from_secs(4));
    let refused = with_agent(&[]);
    assert!(refused.code == Some(1) || refused.code == Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("does not hold the key"), "{refused:#?}");
    assert_eq!(world.records_of(&["current"]), [record(&own.with_extension("pub"))]);
    assert_eq!(with_agent(&["--abort"]).code, Some(0));
    assert_eq!(world.in_dns(), world.records_of(&["current"]));
    // And with another one it goes through.
    let token = key(sandbox, "token2");
    agent.add(&sandbox.join("token2"));
    fs::remove_file(sandbox.join("token2")).unwrap();
    assert_eq!(with_agent(&["--start", "--agent", "--public-key", token.to_str().unwrap()]).code, Some(5));
    let finished = with_agent(&["--wait"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(world.in_dns(), [record(&token)]);
    assert_eq!(world.keys()[0]["agent"], true);
}
