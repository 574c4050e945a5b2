//! Killed before, in and after every step, what sshd shows stands in DNS; and the next run goes on.

use std::thread::sleep;
use std::time::Duration;

use super::place::Place;
use crate::interop::primary::LIMIT;
use crate::support::process::{run, wait_until};

/// Runs `rotate` until it is killed at `at`.
#[track_caller]
pub fn is_killed(place: &Place, at: &str, arguments: &[&str]) {
    let mut last = None;
    let is_killed = wait_until(Duration::from_secs(30), || {
        let finished = run(place.rotate_command(arguments).env("SSHANCHOR_CRASH_AT", at), LIMIT);
        let is_killed = finished.code.is_none();
        if !is_killed {
            sleep(Duration::from_millis(100));
        }
        last = Some(finished);
        is_killed
    });
    assert!(is_killed, "{at} was never come to: {last:#?}");
    place.every_client_accepts(at);
}

#[test]
fn killed_wherever_it_does_something_it_goes_on() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let old = place.record("ed25519");
    let first =
        run(place.rotate_command(&["--type", "ed25519"]).env("SSHANCHOR_CRASH_AT", "prepare:before"), LIMIT);
    assert_eq!(first.code, None, "{first:#?}");
    for step in ["prepare", "hide", "replace", "publish", "spread", "prove", "show", "finish"] {
        for part in ["before", "between", "after"] {
            // What is seen on disk or in DNS to be done is not done again.
            let is_seen = part == "after" && ["replace", "publish", "finish"].contains(&step);
            if is_seen || (step, part) == ("prepare", "before") {
                continue;
            }
            is_killed(&place, &format!("{step}:{part}"), &["--resume"]);
        }
    }
    let told = place.rotates(&["--resume"], 0, "done");
    assert!(told["queue"].as_array().unwrap().is_empty());
    assert_ne!(place.record("ed25519"), old);
    assert_eq!(place.left_over(), [""; 0]);
    place.dns_is_as_disk();
    assert_eq!(place.verdict()["verdict"], "accept");
}

#[test]
fn killed_on_the_way_back_it_goes_back() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let old = place.record("ed25519");
    place.rotates(&["--type", "ed25519"], 5, "settle");
    place.rotates_until(&["--resume"], 5, "caches");
    assert_ne!(place.record("ed25519"), old);
    is_killed(&place, "replace:before", &["--abort"]);
    for at in [
        "replace:between",
        "publish:before",
        "publish:between",
        "spread:between",
        "show:between",
        "finish:between",
    ] {
        is_killed(&place, at, &["--resume"]);
    }
    place.rotates(&["--resume"], 0, "done");
    assert_eq!(place.record("ed25519"), old);
    place.dns_is_as_disk();
    assert_eq!((place.left_over(), place.offered().len()), (Vec::new(), 2));
}
