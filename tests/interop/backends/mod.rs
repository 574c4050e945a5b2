//! One table of transitions, and every backend goes down it: BIND and Knot by dynamic updates, PowerDNS by its API,
//! BIND and NSD by an included file and a reload command, Route 53's program by an aws in front of BIND.

mod agent;
mod clock;
mod crashes;
mod crooks;
mod places;
mod races;
mod tls;

use std::path::{Path, PathBuf};

use serde_json::Value;

use self::places::{Place, ZONE};
use super::primary::{FOREIGN, LIMIT, key, list, record, sorted};
use crate::support::unbound::Unbound;
use crate::support::{Finished, run};

/// Each test once with each backend.
macro_rules! on_each {
    ($($test:ident)*) => {
        mod bind { $(#[test] fn $test() { super::$test(crate::interop::backends::places::Place::bind()); })* }
        mod knot { $(#[test] fn $test() { super::$test(crate::interop::backends::places::Place::knot()); })* }
        mod powerdns { $(#[test] fn $test() { super::$test(crate::interop::backends::places::Place::powerdns()); })* }
        mod zone_file { $(#[test] fn $test() { super::$test(crate::interop::backends::places::Place::zone_file()); })* }
        mod zone_file_of_nsd { $(#[test] fn $test() { super::$test(crate::interop::backends::places::Place::nsd()); })* }
        mod exec { $(#[test] fn $test() { super::$test(crate::interop::backends::places::Place::exec()); })* }
    };
}
pub(crate) use on_each;

on_each! {
    every_transition_of_the_table
    what_is_refused_or_spoilt_leaves_the_records
    a_server_that_is_down_is_told_of
    what_is_published_is_proven_as_clients_prove_it
    a_ca_and_what_it_revokes
    port_labels_and_batches
}

/// The three keys of a machine, by letter.
struct Keys(Vec<PathBuf>);

impl Keys {
    fn new(place: &Place) -> Keys {
        Keys(["a", "b", "c"].map(|name| key(place.sandbox(), name)).to_vec())
    }

    fn key(&self, letter: char) -> &Path {
        &self.0[letter as usize - 'a' as usize]
    }

    /// Records by letters; x is somebody else's.
    fn records(&self, letters: &str) -> Vec<String> {
        let one = |letter| if letter == 'x' { FOREIGN.to_owned() } else { record(self.key(letter)) };
        let records: Vec<String> = letters.chars().map(one).collect();
        sorted(&records.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

const PUBLISH: &str = "publish";
const WITHDRAW: &str = "withdraw";

/// Letters of what stands there by others, what this machine has published, and the run: its keys and options; then
/// exit status, letters of what was added and removed, whether something changed, what stands afterwards, and its TTL.
type Row =
    (&'static str, &'static str, &'static str, &'static str, &'static str, &'static [&'static str], Told);
type Told = (i32, &'static str, &'static str, bool, &'static str, Option<u32>);

const TABLE: &[Row] = &[
    ("publish new", "", "", PUBLISH, "ab", &[], (0, "ab", "", true, "ab", Some(3600))),
    ("publish new with a TTL", "", "", PUBLISH, "a", &["--ttl", "120"], (0, "a", "", true, "a", Some(120))),
    ("nothing to do", "", "ab", PUBLISH, "ab", &[], (0, "", "", false, "ab", Some(3600))),
    ("add a key", "", "a", PUBLISH, "ab", &[], (0, "b", "", true, "ab", Some(3600))),
    ("replace a key", "", "a", PUBLISH, "b", &[], (0, "b", "a", true, "b", Some(3600))),
    ("drop a key", "", "abc", PUBLISH, "b", &[], (0, "", "ac", true, "b", Some(3600))),
    ("another TTL", "", "ab", PUBLISH, "ab", &["--ttl", "60"], (0, "", "", true, "ab", Some(60))),
    ("foreign left", "x", "", PUBLISH, "a", &[], (0, "a", "", true, "ax", Some(300))),
    ("foreign left, nothing to do", "x", "a", PUBLISH, "a", &[], (0, "", "", false, "ax", Some(300))),
    ("foreign pruned", "x", "", PUBLISH, "a", &["--prune"], (0, "a", "x", true, "a", Some(300))),
    ("only look", "x", "a", PUBLISH, "b", &["--check"], (5, "b", "a", false, "ax", Some(300))),
    ("only look, and change nothing", "", "", PUBLISH, "a", &["--dry-run"], (0, "a", "", false, "", None)),
    ("withdraw", "", "ab", WITHDRAW, "", &[], (0, "", "ab", true, "", None)),
    ("withdraw from a shared name", "x", "a", WITHDRAW, "", &[], (0, "", "a", true, "x", Some(300))),
    ("withdraw without state", "x", "", WITHDRAW, "a", &[], (0, "", "", false, "x", Some(300))),
];

/// `command` with these keys and options, and a state of its own.
fn attempt(place: &Place, owner: &str, command: &str, keys: &[&Path], more: &[&str]) -> (Finished, Value) {
    attempt_at(place, owner, command, keys, more, &place.options(), "zone")
}

fn attempt_at(
    place: &Place,
    owner: &str,
    command: &str,
    keys: &[&Path],
    more: &[&str],
    options: &[String],
    tsig: &str,
) -> (Finished, Value) {
    let mut command = place.command(command, options, tsig);
    command.args(["--json", "--name", owner]).args(more);
    // Programs take their time on a machine that does much else.
    if !more.contains(&"--timeout") {
        command.args(["--timeout", "40"]);
    }
    command.arg("--state").arg(place.sandbox().join(&format!("state-{owner}")));
    for key in keys {
        command.arg("--host-key").arg(key);
    }
    let finished = run(&mut command, LIMIT);
    let json = if finished.stdout.is_empty() { Value::Null } else { finished.json() };
    (finished, json)
}

fn every_transition_of_the_table(place: Place) {
    let keys = Keys::new(&place);
    let of = |letters: &str| letters.chars().map(|letter| keys.key(letter)).collect::<Vec<_>>();
    for (at, (case, there, published, command, wanted, more, told)) in TABLE.iter().enumerate() {
        let owner = format!("r{at}.{ZONE}");
        let (code, added, removed, changed, after, ttl) = *told;
        if !there.is_empty() {
            place.add(&owner, 300, FOREIGN);
            place.shows(&owner, &keys.records(there));
        }
        if !published.is_empty() {
            let (finished, _) = attempt(&place, &owner, PUBLISH, &of(published), &[]);
            assert_eq!(finished.code, Some(0), "{case}: {finished:#?}");
        }
        let (finished, json) = attempt(&place, &owner, command, &of(wanted), more);
        assert_eq!(finished.code, Some(code), "{case}: {finished:#?}");
        assert_eq!((&json["backend"], &json["zone"]), (&place.kind().into(), &ZONE.into()), "{case}");
        assert_eq!(list(&json["added"]), keys.records(added), "{case}: {finished:#?}");
        assert_eq!(list(&json["removed"]), keys.records(removed), "{case}: {finished:#?}");
        assert_eq!(json["changed"], changed, "{case}: {finished:#?}");
        assert_eq!(place.shows(&owner, &keys.records(after)), (keys.records(after), ttl), "{case}");
        if code == 0 && !more.contains(&"--dry-run") {
            let read_back = json["read_back"].as_array().unwrap();
            assert!(read_back.iter().all(|seen| seen["status"] == "current"), "{case}: {json}");
            let (finished, json) = attempt(&place, &owner, command, &of(wanted), more);
            assert_eq!(
                (finished.code, &json["changed"]),
                (Some(0), &false.into()),
                "{case}, again: {finished:#?}"
            );
        }
    }
}

fn what_is_refused_or_spoilt_leaves_the_records(place: Place) {
    let (keys, owner) = (Keys::new(&place), "r1.example.test");
    let (finished, _) = attempt(&place, owner, PUBLISH, &[keys.key('a')], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let before = place.shows(owner, &keys.records("a"));
    let check = |options: &[String], tsig: &str, reasons: &[&str], seconds: &str| {
        let more = ["--timeout", seconds];
        let (finished, json) = attempt_at(&place, owner, PUBLISH, &[keys.key('b')], &more, options, tsig);
        assert!(matches!(finished.code, Some(1 | 2)), "{options:?}: {finished:#?}");
        assert!(
            reasons.iter().any(|reason| json["reason"] == *reason),
            "{reasons:?} of {options:?}: {finished:#?}"
        );
        // What was acknowledged and is not seen is told as changed, and as pending.
        let acknowledged = reasons.contains(&"not-converged");
        assert!(!json["hint"].is_null(), "{options:?}: {finished:#?}");
        assert!(
            json["changed"] != true || (acknowledged && json["pending"] == true),
            "{options:?}: {finished:#?}"
        );
        assert!(!finished.stderr.contains('\u{1b}'), "{finished:#?}");
        assert_eq!(place.shows(owner, &before.0), before, "{options:?}: {finished:#?}");
    };
    for (options, tsig, reason) in place.refused() {
        check(&options, tsig, &[reason], "40");
    }
    for (options, reasons) in place.spoilt() {
        check(&options, "zone", reasons, "3");
    }
    // The good twin.
    let (finished, _) = attempt(&place, owner, PUBLISH, &[keys.key('b')], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(place.shows(owner, &keys.records("b")).0, keys.records("b"));
}

fn a_server_that_is_down_is_told_of(mut place: Place) {
    let (keys, owner) = (Keys::new(&place), "r1.example.test");
    let (finished, _) = attempt(&place, owner, PUBLISH, &[keys.key('a')], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    place.kill();
    let (finished, json) = attempt(&place, owner, PUBLISH, &[keys.key('b')], &["--timeout", "20"]);
    assert_eq!((finished.code, &json["reason"]), (Some(1), &place.down().into()), "{finished:#?}");
    assert_ne!(json["changed"], true, "{finished:#?}");
    if let Place::ZoneFile(inline) = &place {
        let text = std::fs::read_to_string(inline.part()).unwrap();
        assert!(text.contains(&keys.records("a")[0]) && !text.contains(&keys.records("b")[0]), "{text}");
        assert!(!inline.part().with_extension("before").exists());
    }
}

fn what_is_published_is_proven_as_clients_prove_it(place: Place) {
    let own = place.unbound().is_none().then(|| Unbound::validating(place.tree()));
    let unbound = place.unbound().or(own.as_ref()).unwrap();
    let (keys, owner) = (Keys::new(&place), "r1.example.test");
    let publish = |letter, anchor: PathBuf| {
        let mut command = place.command(PUBLISH, &place.options(), "zone");
        command.env("SSHANCHOR_RESOLVER", unbound.addr().to_string()).env("SSHANCHOR_TRUST_ANCHOR", anchor);
        command.args(["--json", "--name", owner, "--host-key"]).arg(keys.key(letter));
        run(command.arg("--state").arg(place.sandbox().join("state")), LIMIT)
    };
    let finished = publish('a', place.tree().anchor());
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.json()["proof"]["status"], "secure", "{finished:#?}");
    assert!(finished.json()["proof"]["reason"].is_null(), "{finished:#?}");
    let wrong = publish('a', place.tree().anchor_of("other.test."));
    assert_eq!(wrong.code, Some(4), "{wrong:#?}");
    let mut lookup = place.tree().sshanchor(unbound.addr());
    let lookup = run(lookup.args(["lookup", "--json", "--type", "SSHFP", owner]), LIMIT);
    assert_eq!((lookup.code, &lookup.json()["status"]), (Some(0), &"secure".into()), "{lookup:#?}");
    assert_eq!(list(&lookup.json()["records"]), keys.records("a"));
}

/// The options of `ca` are the same group, and its two sets change together.
fn a_ca_and_what_it_revokes(place: Place) {
    let keys = Keys::new(&place);
    let sentinel = format!("1 2 {}", "0".repeat(64));
    let ca = |arguments: &[&str]| {
        let mut options = vec![arguments[0].to_owned()];
        options.extend(place.options());
        let mut command = place.command("ca", &options, "zone");
        command.args(&arguments[1..]).args(["--json", "--timeout", "40", "--at", ZONE]);
        run(command.arg("--state").arg(place.sandbox().join("ca-state")), LIMIT)
    };
    let key = keys.key('c').display().to_string();
    let finished = ca(&["publish", "--ca-key", &key]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let at = |set: &str, records: &[String]| place.shows(&format!("{set}._ssh.{ZONE}"), records).0;
    assert_eq!(at("_ca", &keys.records("c")), keys.records("c"));
    assert_eq!(at("_revoked", std::slice::from_ref(&sentinel)), std::slice::from_ref(&sentinel));

    let finished = ca(&["revoke", "--key", &keys.key('a').display().to_string()]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.json_lines()[1]["window"]["seconds"].is_u64(), "{finished:#?}");
    let revoked = sorted(&[&keys.records("a")[0], &sentinel]);
    assert_eq!(at("_revoked", &revoked), revoked);

    let finished = ca(&["withdraw", "--ca-key", &key]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(at("_ca", &[]).is_empty() && at("_revoked", &revoked) == revoked);
}

fn port_labels_and_batches(place: Place) {
    let keys = Keys::new(&place);
    let owner = format!("_2222._ssh.r1.{ZONE}");
    let (finished, _) = attempt(&place, "r1.example.test", PUBLISH, &[keys.key('a')], &["--port", "2222"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(place.shows(&owner, &keys.records("a")).0, keys.records("a"));
    let lines: String = (0..30).map(|n| format!("h{n}.{ZONE} {}\n", keys.key('b').display())).collect();
    let file = place.sandbox().write("batch", &lines);
    let publish = || {
        let mut command = place.command(PUBLISH, &place.options(), "zone");
        command.args(["--json", "--timeout", "40", "--batch"]).arg(&file);
        run(command.arg("--state").arg(place.sandbox().join("state")), LIMIT)
    };
    let finished = publish();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.json_lines().len(), 30);
    for n in [0, 17, 29] {
        assert_eq!(place.shows(&format!("h{n}.{ZONE}"), &keys.records("b")).0, keys.records("b"));
    }
    let again = publish();
    assert!(again.json_lines().iter().all(|line| line["changed"] == false), "{again:#?}");
    // One that lies elsewhere: told, and the others are done all the same, or nothing is if the zone was given.
    let (wrong, _) = attempt(&place, "web1.elsewhere.invalid", PUBLISH, &[keys.key('a')], &[]);
    assert!(matches!(wrong.code, Some(1 | 2)), "{wrong:#?}");
    assert!(
        wrong.stderr.contains("nothing was sent") || wrong.stderr.contains("does not lie in"),
        "{wrong:#?}"
    );
}
