//! `ca roll` against BIND and Knot: from its beginning to its end, ended by kill -9 wherever it writes something down,
//! given up, in an emergency.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::{CA, REVOKED, SENTINEL, command};
use crate::interop::primary::{LIMIT, Primary, key, on_bind_and_knot, record, sorted};
use crate::support::process::wait_until;
use crate::support::{Finished, run, run_ok};

on_bind_and_knot! {
    a_roll_from_its_beginning_to_its_end
    killed_wherever_it_writes_something_down_it_goes_on
    given_up_and_killed_meanwhile_the_old_key_stays
    in_an_emergency_the_old_key_is_revoked_at_once
}

const DOCS: &str = include_str!("../../../docs/ca.md");

#[test]
fn the_lines_of_the_docs_run_as_they_stand() {
    let primary = Primary::bind();
    let world = World::new(&primary);
    world.sign("web7");
    let lines: Vec<&str> =
        DOCS.lines().filter_map(|line| line.strip_prefix("    sshanchor ca roll ")).collect();
    let codes = [5, 5, 5, 0, 0];
    assert_eq!(lines.len(), codes.len(), "{lines:#?}");
    for (line, code) in lines.into_iter().zip(codes) {
        let typed = line.split('#').next().unwrap().replace("example.com", "example.test");
        let typed = typed.replace("192.0.2.53", &primary.addr().to_string());
        let typed = typed.replace(" ca.key", &format!(" {}", primary.tsig("ca").display()));
        let mut made = primary.sandbox().sshanchor();
        made.env("SSHANCHOR_STATE", primary.sandbox().join("state")).args(["ca", "roll"]);
        // Its NS record leads to port 53.
        made.args(typed.split_ascii_whitespace()).args(["--check-server", &primary.addr().to_string()]);
        let finished = run(&mut made, LIMIT);
        assert_eq!(finished.code, Some(code), "{line}: {finished:#?}");
        if line.starts_with("--status") {
            world.rolls_until(&[], 5, "hosts");
        }
    }
    assert_eq!(world.in_dns(), world.records_of(&["current"]));
}

/// A CA whose key is published with a TTL of a second.
pub struct World<'a> {
    pub primary: &'a Primary,
}

impl<'a> World<'a> {
    pub fn new(primary: &'a Primary) -> Self {
        let world = World { primary };
        run_ok(world.local("init").args(["--domain", "example.test"]));
        run_ok(world.dns("publish").args(["--ttl", "1"]));
        world
    }

    pub fn folder(&self) -> PathBuf {
        self.primary.sandbox().join("state/ca")
    }

    /// `ca COMMAND` that asks no DNS.
    pub fn local(&self, name: &str) -> Command {
        let mut made = self.primary.sandbox().sshanchor();
        made.args(["ca", name]).env("SSHANCHOR_CA", self.folder()).env_remove("SSH_AUTH_SOCK");
        made
    }

    /// `ca COMMAND` at the primary.
    pub fn dns(&self, name: &str) -> Command {
        let mut made = command(self.primary, name, "ca");
        made.env_remove("SSH_AUTH_SOCK");
        made
    }

    /// `ca roll --json` with these arguments; hosts need no time to load certificates.
    pub fn roll(&self, arguments: &[&str]) -> Finished {
        let settle: &[&str] = if arguments.contains(&"--settle") { &[] } else { &["--settle", "0"] };
        run(self.dns("roll").arg("--json").args(settle).args(arguments), LIMIT)
    }

    /// The same, and its last line.
    #[track_caller]
    pub fn rolls(&self, arguments: &[&str], code: i32, status: &str) -> Value {
        let finished = self.roll(arguments);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        let told = finished.json_lines().pop().unwrap();
        assert_eq!(told["status"], status, "{finished:#?}");
        told
    }

    /// Again and again, until it is there.
    #[track_caller]
    pub fn rolls_until(&self, arguments: &[&str], code: i32, status: &str) -> Value {
        let mut last = self.roll(arguments);
        wait_until(Duration::from_secs(30), || {
            let told = last.json_lines().pop().unwrap();
            let is_there = told["status"] == status;
            if !is_there {
                sleep(Duration::from_millis(200));
                last = self.roll(arguments);
            }
            is_there
        });
        assert_eq!(last.code, Some(code), "{last:#?}");
        last.json_lines().pop().unwrap()
    }

    /// The CA's keys as `ca show` has them.
    pub fn keys(&self) -> Vec<Value> {
        let shown: Value = serde_json::from_str(&run_ok(self.local("show").arg("--json"))).unwrap();
        shown["keys"].as_array().unwrap().clone()
    }

    /// The records of the CA's keys in these states.
    pub fn records_of(&self, states: &[&str]) -> Vec<String> {
        let keys = self.keys();
        let of = |key: &&Value| states.contains(&key["state"].as_str().unwrap());
        let mut records: Vec<String> =
            keys.iter().filter(of).map(|key| format!("4 2 {}", key["sha256"].as_str().unwrap())).collect();
        records.sort();
        records
    }

    /// Signs for `name` a key of its own; gives its public file.
    pub fn sign(&self, name: &str) -> PathBuf {
        let file = self.primary.sandbox().join(&format!("{name}.pub"));
        if !file.exists() {
            key(self.primary.sandbox(), name);
        }
        run_ok(self.local("sign").args(["--name", &format!("{name}.example.test"), "--host-key"]).arg(&file));
        file
    }

    /// The journal's events, and of `roll` the steps.
    pub fn journal(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder().join("journal.jsonl")).unwrap();
        let word = |line: &str| {
            let event: Value = serde_json::from_str(line).unwrap();
            let step = event["step"].as_str().map(|step| format!(":{step}")).unwrap_or_default();
            format!("{}{step}", event["event"].as_str().unwrap())
        };
        text.lines().map(word).collect()
    }

    pub fn in_dns(&self) -> Vec<String> {
        self.primary.records(CA).0
    }
}

fn hosts(told: &Value) -> Vec<String> {
    let names = told["hosts"].as_array().unwrap().iter().map(|host| host["names"][0].as_str().unwrap());
    names.map(str::to_owned).collect()
}

fn a_roll_from_its_beginning_to_its_end(primary: &Primary) {
    let world = World::new(primary);
    let first = world.records_of(&["current"]);
    for name in ["web1", "web2", "web3"] {
        world.sign(name);
    }
    let idle = world.rolls(&[], 0, "done");
    assert_eq!((&idle["old"], &idle["steps"]), (&Value::Null, &serde_json::json!([])));
    world.rolls(&["--status"], 0, "done");

    let told = world.rolls(&["--start"], 5, "caches");
    assert_eq!(told["steps"], serde_json::json!(["publish", "spread"]));
    assert_eq!((&told["switched"], &told["at"][0]), (&false.into(), &"example.test".into()));
    assert!(told["until"].is_string() && told["old"]["sha256"] == first[0][4..], "{told}");
    assert_eq!(world.in_dns(), world.records_of(&["current", "next"]));
    assert_eq!(primary.records(REVOKED).0, [SENTINEL]);
    assert_eq!(world.records_of(&["current"]), first, "the old key signs");
    let web4 = world.sign("web4");

    let told = world.rolls_until(&[], 5, "hosts");
    assert_eq!(told["switched"], true);
    assert_eq!(hosts(&told), ["web1", "web2", "web3", "web4"].map(|name| format!("{name}.example.test")));
    assert_eq!(world.records_of(&["retired"]), first);
    assert_eq!(world.in_dns(), world.records_of(&["current", "retired"]), "both stand there");
    // One renews, as hosts do: due because the CA has changed. Others are signed anew, revoked, gone.
    let renew = run(world.local("renew").args(["--json", "--no-reload", "--host-key"]).arg(&web4), LIMIT);
    assert_eq!((renew.code, &renew.json()["status"]), (Some(0), &"written".into()), "{renew:#?}");
    world.sign("web1");
    let told = world.rolls(&[], 5, "hosts");
    assert_eq!(hosts(&told), ["web2.example.test", "web3.example.test"]);
    let finished = run(world.dns("revoke").args(["--host", "web2.example.test"]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let status = world.rolls(&["--status"], 5, "hosts");
    assert_eq!(hosts(&status), ["web3.example.test"]);
    assert_eq!(world.roll(&["--skip", "web9.example.test"]).code, Some(2), "nobody is called so");
    assert_eq!(world.in_dns(), world.records_of(&["current", "retired"]));

    // Looked at, and not done.
    let new = world.records_of(&["current"]);
    let told = world.rolls(&["--skip", "web3.example.test"], 0, "done");
    assert_eq!(told["steps"], serde_json::json!(["withdraw", "forget"]));
    assert_eq!(world.in_dns(), new);
    assert_eq!(world.keys().len(), 1);
    world.rolls(&[], 0, "done");
    let rolled: Vec<String> = world.journal().into_iter().filter(|event| event.starts_with("roll")).collect();
    let steps = ["start", "spread", "switch", "skip", "withdraw", "done"].map(|step| format!("roll:{step}"));
    assert_eq!(rolled, steps);
    // The next one begins where this one has ended; text is for people.
    let finished = run(world.dns("roll").arg("--start"), LIMIT);
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    assert!(
        finished.stdout.contains("done: the new key is published beside the old one; every server shows it")
    );
    assert!(finished.stdout.contains("caches may hold the CA set without the new key"), "{finished:#?}");
    let finished = run(
        world.dns("roll").args([
            "--wait",
            "--settle",
            "0",
            "--skip",
            "web1.example.test",
            "--skip",
            "web4.example.test",
        ]),
        LIMIT,
    );
    assert_eq!(finished.code, Some(0), "--wait stays until all is done: {finished:#?}");
    assert!(finished.stdout.contains("only the new key signs"), "{finished:#?}");
    assert_eq!(world.in_dns(), world.records_of(&["current"]));
}

/// Whatever has happened: what is signed now is accepted, for its key stands in DNS.
#[track_caller]
fn what_signs_stands_in_dns(world: &World<'_>, place: &str) {
    let current = world.records_of(&["current"]);
    assert!(world.in_dns().contains(&current[0]), "{place}: {:?}", world.in_dns());
    world.sign("probe");
    assert_eq!(world.primary.records(REVOKED).0, [SENTINEL], "{place}");
}

/// Runs `ca roll` until it is killed at `place`.
#[track_caller]
fn is_killed(world: &World<'_>, place: &str, arguments: &[&str]) {
    let mut is_killed = false;
    let mut last = None;
    wait_until(Duration::from_secs(30), || {
        let mut made = world.dns("roll");
        made.args(["--json", "--settle", "0"]).args(arguments).env("SSHANCHOR_CRASH_AT", place);
        let finished = run(&mut made, LIMIT);
        is_killed = finished.code.is_none();
        if !is_killed {
            sleep(Duration::from_millis(200));
        }
        last = Some(finished);
        is_killed
    });
    assert!(is_killed, "{place} was never come to: {last:#?}");
}

fn killed_wherever_it_writes_something_down_it_goes_on(primary: &Primary) {
    let world = World::new(primary);
    let first = world.records_of(&["current"]);
    world.sign("web1");
    is_killed(&world, "start:between", &["--start"]);
    what_signs_stands_in_dns(&world, "start:between");
    assert_eq!(world.roll(&["--start"]).code, Some(2), "one is under way");
    for place in [
        "begin:before",
        "begin:after",
        "publish:before",
        "publish:after",
        "spread:before",
        "spread:after",
        "switch:before",
        "switch:between",
    ] {
        is_killed(&world, place, &[]);
        what_signs_stands_in_dns(&world, place);
        assert!(world.in_dns().contains(&first[0]), "{place}: hosts show certificates of the old key");
    }
    assert_eq!(world.records_of(&["retired"]), first);
    world.sign("probe");
    let told = world.rolls(&[], 5, "hosts");
    assert_eq!(hosts(&told), ["web1.example.test"]);
    world.sign("web1");
    for place in ["withdraw:before", "withdraw:between", "forget:before", "forget:between", "forget:after"] {
        is_killed(&world, place, &[]);
        what_signs_stands_in_dns(&world, place);
    }
    world.rolls(&[], 0, "done");
    assert_eq!(world.in_dns(), world.records_of(&["current"]));
    assert_ne!(world.in_dns(), first);
    assert_eq!(world.keys().len(), 1);
}

fn given_up_and_killed_meanwhile_the_old_key_stays(primary: &Primary) {
    let world = World::new(primary);
    let first = world.records_of(&["current"]);
    world.sign("web1");
    assert_eq!(world.roll(&["--abort"]).code, Some(2), "there is none");
    world.rolls(&["--start"], 5, "caches");
    assert_eq!(world.in_dns().len(), 2);
    is_killed(&world, "unpublish:before", &["--abort"]);
    // Once it is given up, it is: by a timer that knows of nothing, too.
    for place in ["unpublish:between", "forget:before", "forget:between"] {
        is_killed(&world, place, &[]);
        what_signs_stands_in_dns(&world, place);
        assert_eq!(world.records_of(&["current"]), first, "{place}");
    }
    let told = world.rolls(&[], 0, "done");
    assert_eq!(told["steps"], serde_json::json!(["forget"]));
    assert_eq!((world.in_dns(), world.keys().len()), (first.clone(), 1));
    // In one go, and after the switch not any more.
    world.rolls(&["--start"], 5, "caches");
    world.rolls(&["--abort"], 0, "done");
    assert_eq!((world.in_dns(), world.keys().len()), (first, 1));
    world.rolls(&["--start"], 5, "caches");
    world.rolls_until(&[], 5, "hosts");
    let refused = world.roll(&["--abort"]);
    assert_eq!((refused.code, &refused.json()["reason"]), (Some(2), &"too-late".into()), "{refused:#?}");
    assert_eq!(world.in_dns().len(), 2);
}

fn in_an_emergency_the_old_key_is_revoked_at_once(primary: &Primary) {
    let world = World::new(primary);
    let first = world.records_of(&["current"]);
    world.sign("web1");
    let web2 = world.sign("web2");
    // Killed on the way, it goes on as an emergency.
    for place in ["switch:before", "revoke:before", "revoke:between"] {
        is_killed(&world, place, &["--emergency"]);
    }
    assert_eq!(world.in_dns(), world.records_of(&["current", "retired"]));
    assert!(world.journal().contains(&"revoke".to_owned()), "{:?}", world.journal());
    let finished = run(world.dns("roll").args(["--settle", "0"]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(
        finished.stdout.contains("2 hosts are refused until they have a certificate of the new key"),
        "{finished:#?}"
    );
    assert!(
        finished.stderr.contains("a client may still accept certificates of the old key"),
        "{finished:#?}"
    );
    assert_eq!(world.in_dns(), world.records_of(&["current"]));
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &first[0]]));
    assert_eq!(world.journal().iter().filter(|event| *event == "revoke").count(), 1);
    // All at once, from nothing under way; and what the hosts have of the old key is over.
    run_ok(world.local("renew").args(["--no-reload", "--host-key"]).arg(&web2));
    let second = world.records_of(&["current"]);
    let told = world.rolls(&["--emergency"], 0, "done");
    assert_eq!(told["steps"], serde_json::json!(["publish", "switch", "revoke", "forget"]));
    assert_eq!(hosts(&told), ["web2.example.test"]);
    assert_eq!(primary.records(REVOKED).0, sorted(&[SENTINEL, &first[0], &second[0]]));
    assert_eq!((world.in_dns(), world.keys().len()), (world.records_of(&["current"]), 1));
    assert_ne!(record(&world.folder().join("ca_key.pub")), world.in_dns()[0]);
}
