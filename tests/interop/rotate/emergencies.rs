//! Keys that have leaked: while another change is under way, where there is no place for a drop-in, and killed anywhere.

use std::fs;

use serde_json::json;

use super::place::Place;
use crate::interop::primary::{HOST, LIMIT};
use crate::support::process::run;

/// None of these keys is in DNS, on disk, or beside.
#[track_caller]
fn are_gone(place: &Place, olds: &[String], types: &[&str]) {
    place.dns_is_as_disk();
    assert!(place.in_dns().iter().all(|record| !olds.contains(record)), "{olds:?}");
    assert_eq!((place.offered().len(), place.left_over()), (types.len(), Vec::new()));
}

fn records(place: &Place, types: &[&str]) -> Vec<String> {
    types.iter().map(|name| place.record(name)).collect()
}

#[test]
fn more_keys_that_leak_are_not_held_up_by_those_before() {
    let types = ["ed25519", "ecdsa256"];
    let place = Place::new(&types, 60);
    // An emergency of one key that waits for caches; and one that was planned.
    for first in [&["--compromised", "--type", "ed25519"][..], &["--type", "ecdsa"]] {
        let olds = records(&place, &types);
        place.rotates_until(first, 5, if first.len() > 2 { "caches" } else { "settle" });
        if first.len() == 2 {
            place.rotates_until(&["--resume"], 5, "caches");
        }
        let finished = place.rotate(&["--compromised"]);
        let told = finished.json_lines().pop().unwrap();
        assert_eq!((finished.code, &told["status"]), (Some(0), &json!("done")), "{finished:#?}");
        assert_eq!(told["steps"], json!(["prepare", "replace", "show", "publish", "finish"]));
        assert!(finished.stderr.contains("goes on with"), "{finished:#?}");
        are_gone(&place, &olds, &types);
    }
    // Its twin: no more of them, and nothing is hurried.
    place.rotates(&["--compromised", "--type", "ed25519"], 5, "caches");
    let again = place.rotate(&["--compromised", "--type", "ed25519"]);
    assert_eq!((again.code, again.json_lines().pop().unwrap()["steps"].clone()), (Some(5), json!([])));
    assert!(!again.stderr.contains("goes on with"), "{again:#?}");
}

#[test]
fn a_third_type_serves_while_two_change_and_the_rest_of_a_plan_is_no_emergency() {
    let types = ["ed25519", "ecdsa256", "rsa"];
    let place = Place::new(&types, 30);
    let olds = records(&place, &types);
    place.rotates(&["--type", "ed25519", "--type", "rsa"], 5, "settle");
    place.rotates_until(&["--resume"], 5, "caches");
    let finished = place.rotate(&["--compromised", "--type", "ecdsa"]);
    let told = finished.json_lines().pop().unwrap();
    assert_eq!((finished.code, &told["status"]), (Some(5), &json!("caches")), "{finished:#?}");
    assert_eq!(told["steps"], json!(["prepare", "hide", "replace", "publish", "spread"]));
    assert!(
        finished.stderr.contains("the rotation of ssh-rsa that was under way is given up"),
        "{finished:#?}"
    );
    assert_eq!(told["queue"], json!(["ssh-ed25519", "ecdsa-sha2-nistp256"]));
    assert_eq!(place.offered(), ["ssh-rsa"]);
    assert!(!place.in_dns().contains(&olds[0]) && !place.in_dns().contains(&olds[1]));
    place.every_client_accepts("hidden");
    let finished = place.rotate(&["--resume", "--wait"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    are_gone(&place, &olds[..2], &types);
    assert_eq!(place.record("rsa"), olds[2]);
}

#[test]
fn an_overlap_ends_at_once() {
    let types = ["ed25519", "ecdsa256"];
    let place = Place::new(&types, 1);
    let old = place.record("ed25519");
    place.rotates(&["--overlap", "--type", "ed25519"], 5, "caches");
    place.rotates_until(&["--resume"], 5, "settle");
    let told = place.rotates(&["--compromised", "--type", "ed25519"], 0, "done");
    assert_eq!(told["steps"], json!(["publish", "finish"]));
    are_gone(&place, &[old], &types);
}

#[test]
fn without_a_place_for_a_drop_in_the_new_key_is_shown_at_once() {
    let types = ["ed25519", "ecdsa256"];
    let place = Place::new(&types, 60);
    let old = place.record("ed25519");
    let conf = place.sshd.sandbox.join("sshd_config");
    let text = fs::read_to_string(&conf).unwrap();
    let include = format!("Include {}/d/*.conf\n", place.sshd.sandbox.path().display());
    fs::write(&conf, text.replace(&include, "")).unwrap();
    let finished = place.rotate(&["--compromised", "--type", "ed25519"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(finished.stderr.contains("the new keys are shown at once"), "{finished:#?}");
    are_gone(&place, &[old], &types);
}

/// Killed at each place where it does something or writes something down, and run again each time.
fn killed_everywhere(place: &Place, first: &[&str], steps: &[&str], olds: &[String], is_hiding: bool) {
    let killed = |at: &str, arguments: &[&str]| {
        let finished = run(place.rotate_command(arguments).env("SSHANCHOR_CRASH_AT", at), LIMIT);
        assert_eq!(finished.code, None, "{at}: {finished:#?}");
    };
    killed("begin:before", first);
    killed("begin:after", first);
    let (mut is_replaced, mut is_published) = (false, false);
    for step in steps {
        for part in ["before", "between", "after"] {
            // What is seen on disk or in DNS to be done is not done again.
            if part == "after" && ["replace", "publish", "finish"].contains(step) {
                continue;
            }
            // Caches are waited for.
            if part == "before" && ["prove", "show"].contains(step) && is_hiding {
                super::crashes::is_killed(place, &format!("{step}:{part}"), &["--resume"]);
            } else {
                killed(&format!("{step}:{part}"), &["--resume"]);
            }
            is_replaced |= (*step, part) == ("replace", "between");
            is_published |= (*step, part) == ("publish", "between");
            let at = format!("{step}:{part}");
            if is_hiding {
                place.every_client_accepts(&at);
            }
            let is_old = |record: &String| olds.contains(record);
            assert_eq!(place.in_dns().iter().any(is_old), !is_published, "{at}");
            assert_eq!(records(place, &["ed25519"]).iter().any(is_old), !is_replaced, "{at}");
        }
    }
    place.rotates(&["--resume"], 0, "done");
}

const HIDING: [&str; 8] = ["prepare", "hide", "replace", "publish", "spread", "prove", "show", "finish"];
const AT_ONCE: [&str; 5] = ["prepare", "replace", "show", "publish", "finish"];

#[test]
fn killed_anywhere_an_emergency_behind_another_type_goes_on() {
    let types = ["ed25519", "ecdsa256"];
    let place = Place::new(&types, 1);
    let olds = records(&place, &["ed25519"]);
    killed_everywhere(&place, &["--compromised", "--type", "ed25519"], &HIDING, &olds, true);
    are_gone(&place, &olds, &types);
    assert_eq!(place.verdict()["verdict"], "accept");
}

#[test]
fn killed_anywhere_an_emergency_of_all_keys_goes_on() {
    let types = ["ed25519", "ecdsa256"];
    let place = Place::new(&types, 1);
    let olds = records(&place, &types);
    // Begun in the middle of a rotation, which gives way.
    place.rotates(&["--type", "ed25519"], 5, "settle");
    killed_everywhere(&place, &["--compromised"], &AT_ONCE, &olds, false);
    are_gone(&place, &olds, &types);
    assert_eq!(place.verdict()["verdict"], "accept");
}

#[test]
fn killed_anywhere_an_emergency_that_reaches_further_goes_on() {
    let types = ["ed25519", "ecdsa256"];
    let place = Place::new(&types, 60);
    let olds = records(&place, &types);
    place.rotates(&["--compromised", "--type", "ecdsa"], 5, "caches");
    killed_everywhere(&place, &["--compromised"], &AT_ONCE, &olds[..1], false);
    are_gone(&place, &olds, &types);
}

#[test]
fn a_type_that_serves_meanwhile_is_not_one_that_others_have_records_of() {
    const NIST: &str = "3 2 aa00000000000000000000000000000000000000000000000000000000000055";
    const RSA: &str = "1 2 aa00000000000000000000000000000000000000000000000000000000000055";
    let place = Place::new(&["ed25519"], 1);
    let old = place.record("ed25519");
    place.primary.update(&format!("update add {HOST} 1 SSHFP {NIST}"));
    let told = place.rotates(&[], 5, "settle");
    assert_eq!((&told["changes"][0]["type"], &told["changes"][0]["old"]), (&json!("ssh-rsa"), &json!(null)));
    place.rotates(&["--abort"], 0, "done");
    // Where each has some, nothing is begun that OpenSSH would refuse.
    place.primary.update(&format!("update add {HOST} 1 SSHFP {RSA}"));
    let refused = place.rotate(&[]);
    assert_eq!(
        (refused.code, &refused.json()["reason"]),
        (Some(2), &json!("foreign-records")),
        "{refused:#?}"
    );
    assert!(refused.json()["hint"].as_str().unwrap().contains("publish --prune"), "{refused:#?}");
    place.rotates(&["--resume"], 0, "done");
    assert_eq!((place.record("ed25519"), place.offered()), (old, vec!["ssh-ed25519".to_owned()]));
    // Its twins: none is added to, and none is there.
    place.rotates(&["--overlap"], 5, "caches");
    place.rotates(&["--abort"], 0, "done");
    place.publish(&["--prune"]);
    let told = place.rotates(&[], 5, "settle");
    assert_eq!(told["changes"][0]["type"], json!("ecdsa-sha2-nistp256"));
}
