//! Killed at whatever step, a run leaves a server that works, and the next run ends the work.

use std::fs;
use std::time::Duration;

use super::LATE;
use super::place::{NAME, Place};
use crate::support::peer::peer;
use crate::support::process::{Finished, run};

/// Kills the one that started it, as a loss of power would.
const KILL: &str = "kill -9 $PPID; sleep 1";

/// The run was killed; sshd serves `old`, and what is on disk is a whole certificate that ssh-keygen reads.
fn killed(place: &Place, old: &str, finished: &Finished) -> String {
    assert_eq!(finished.code, None, "{finished:#?}");
    assert_eq!(place.served(), [old]);
    assert_eq!(place.ssh_by("ca").stdout, "in\n");
    let mut look = crate::support::peer::command("ssh-keygen");
    let text = crate::support::process::run_ok(look.arg("-L").arg("-f").arg(place.certificate("ed25519")));
    assert!(text.contains("host certificate") && text.contains(NAME), "{text}");
    place.on_disk("ed25519")
}

/// The next run does what was left to do.
fn ends_well(place: &Place, status: &str) {
    let next = place.renew(&["--json"]);
    assert_eq!((next.code, next.json()["status"].as_str()), (Some(0), Some(status)), "{next:#?}");
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
    assert_eq!(place.left_over(), [""; 0]);
    assert_eq!(place.ssh_by("ca").stdout, "in\n");
    assert_eq!(place.renew(&["--json"]).json()["status"], "current");
}

#[test]
fn killed_while_the_signer_works() {
    let place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    let signer = place.script("kills", KILL).display().to_string();
    let on_disk = killed(&place, &old, &place.renew_by(&signer, &[]));
    assert_eq!(on_disk, old);
    ends_well(&place, "renewed");
}

#[test]
fn killed_before_the_new_one_is_tested() {
    let place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    let count = place.home.join("count").display().to_string();
    let folder = place.home.join("sbin");
    fs::create_dir(&folder).unwrap();
    let text = format!(
        "case $1 in -t) test -e {count} && {{ {KILL}; }}; touch {count};; esac\nexec {} \"$@\"",
        peer("sshd").display()
    );
    fs::rename(place.script("sshd", &text), folder.join("sshd")).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = place.command(&place.signer("ca"));
    let on_disk = killed(&place, &old, &run(command.env("PATH", path), Duration::from_secs(30)));
    assert_ne!(on_disk, old);
    // sshd started anew meanwhile, by whoever, has the new one.
    ends_well(&place, "reloaded");
}

#[test]
fn killed_before_sshd_is_told() {
    let place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    let reload = place.script("kills", KILL).display().to_string();
    let on_disk = killed(&place, &old, &place.renew(&["--reload", &reload]));
    assert_ne!(on_disk, old);
    ends_well(&place, "reloaded");
}

#[test]
fn killed_after_sshd_was_told() {
    let mut place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    let text = format!("{}; kill -HUP {}", KILL.replace("; sleep 1", ""), place.sshd.process.id());
    let reload = place.script("kills", &text).display().to_string();
    let finished = place.renew(&["--reload", &reload]);
    assert_eq!(finished.code, None, "{finished:#?}");
    let new = place.on_disk("ed25519");
    assert_ne!(new, old);
    let shows = || place.served() == [new.clone()];
    assert!(crate::support::process::wait_until(Duration::from_secs(10), shows));
    // Nothing but the copy of the old one is left to be done away with.
    assert_eq!(place.left_over().len(), 1);
    ends_well(&place, "current");
    // And a start from nothing.
    place.sshd.restart();
    assert_eq!(place.served(), [new]);
}
