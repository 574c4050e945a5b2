//! What is refused before anything is done, and what is put back where it fails.

use std::fs;
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::json;

use super::place::Place;
use crate::interop::primary::{FOREIGN, HOST, LIMIT, Primary, SHA1};
use crate::support::forger::{Exchange, Forged, Forger};
use crate::support::peer::peer;
use crate::support::process::{run, wait_until};
use crate::support::wire::{Dns, SSHFP};

/// Refused with this reason; nothing is under way, nothing has changed.
#[track_caller]
fn refused(place: &Place, arguments: &[&str], code: i32, reason: &str) -> String {
    let before = (place.in_dns(), place.record("ed25519"), place.offered());
    let refused = place.rotate(arguments);
    assert_eq!((refused.code, refused.json()["reason"].as_str()), (Some(code), Some(reason)), "{refused:#?}");
    assert_eq!((place.in_dns(), place.record("ed25519"), place.offered()), before);
    let tried = place.rotate(&[arguments, &["--dry-run"]].concat());
    assert_eq!((tried.code, tried.json()["reason"].as_str()), (Some(code), Some(reason)), "{tried:#?}");
    place.rotates(&["--resume"], 0, "done");
    refused.json()["hint"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_cannot_go_well_is_not_begun() {
    let mut place = Place::new(&["ed25519", "ecdsa256"], 1);
    let hint = refused(&place, &["--type", "rsa"], 2, "no-such-key");
    assert!(hint.contains("ssh-ed25519"), "{hint}");
    place.primary.update(&format!("update add {HOST} 1 SSHFP {SHA1}"));
    refused(&place, &[], 2, "sha1-records");
    place.primary.update(&format!("update delete {HOST} SSHFP"));
    refused(&place, &[], 2, "not-published");
    place.publish(&["--ttl", "1"]);
    // No place for the drop-in; and one behind a line that comes first.
    let conf = place.sshd.sandbox.join("sshd_config");
    let text = fs::read_to_string(&conf).unwrap();
    let folder = place.sshd.sandbox.path().display().to_string();
    fs::write(&conf, text.replace(&format!("Include {folder}/d/*.conf\n"), "")).unwrap();
    let hint = refused(&place, &[], 2, "no-include");
    assert!(hint.contains("Include /etc/ssh/sshd_config.d/*.conf"), "{hint}");
    fs::write(&conf, &text).unwrap();
    // Its twin; whoever has foreign records at his name is not held up.
    place.primary.update(&format!("update add {HOST} 1 SSHFP {FOREIGN}"));
    let told = place.rotates(&["--dry-run"], 0, "next");
    assert_eq!((&told["next"], &told["mode"]), (&"begin".into(), &"hide".into()), "{told:#}");
    // The key that it would begin with is named, and not made.
    let first = &told["changes"][0];
    assert!(fs::exists(first["path"].as_str().unwrap()).unwrap(), "{told:#}");
    assert!(
        first["type"] == told["queue"][0] && first["old"].is_string() && first["new"].is_null(),
        "{told:#}"
    );
    assert_eq!(place.rotates(&["--status"], 0, "done")["queue"], json!([]));
    place.rotates(&[], 5, "settle");
    place.rotates(&["--abort"], 0, "done");
    place.sshd.restart();
}

#[test]
fn records_that_nobody_can_prove_are_not_built_upon() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let other = place.primary.tree().anchor_of("other.test.");
    let unproven = run(place.rotate_command(&[]).env("SSHANCHOR_TRUST_ANCHOR", other), LIMIT);
    assert_eq!((unproven.code, &unproven.json()["reason"]), (Some(4), &json!("not-proven")), "{unproven:#?}");
    assert_eq!(place.left_over(), [""; 0]);
    // In the middle of it is another matter: it waits.
    place.rotates(&["--type", "ed25519"], 5, "settle");
    place.rotates_until(&["--resume"], 5, "caches");
    let blind = || {
        let other = place.primary.tree().anchor_of("other.test.");
        let told = run(place.rotate_command(&["--resume"]).env("SSHANCHOR_TRUST_ANCHOR", other), LIMIT);
        assert_eq!(told.code, Some(5), "{told:#?}");
        told.json_lines().pop().unwrap()["status"] == "proof"
    };
    assert!(crate::support::process::wait_until(LIMIT, blind));
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256"]);
    place.rotates_until(&["--resume"], 0, "done");
}

#[test]
fn a_drop_in_that_does_not_come_into_force_is_taken_back() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let conf = place.sshd.sandbox.join("sshd_config");
    let text = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, format!("HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256\n{text}")).unwrap();
    let told = place.rotate(&["--type", "ed25519"]);
    assert_eq!((told.code, &told.json()["reason"]), (Some(2), &json!("not-in-force")), "{told:#?}");
    assert!(!place.left_over().contains(&"00-sshanchor.conf".to_owned()));
    assert_eq!(place.offered().len(), 2);
    // Its twin: the same line behind the Include.
    fs::write(&conf, format!("{text}\nHostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256\n")).unwrap();
    place.rotates(&["--resume"], 5, "settle");
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256"]);
    place.rotates_until(&["--resume"], 0, "done");
}

#[test]
fn where_sshd_refuses_the_drop_in_it_is_never_told_of_it() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let folder = place.primary.sandbox().join("sbin");
    fs::create_dir(&folder).unwrap();
    let (drop_in, sshd) = (place.sshd.sandbox.join("d/00-sshanchor.conf"), peer("sshd"));
    let text = format!(
        "#!/bin/sh\n[ $1 = -t ] && [ -e {} ] && {{ echo 'no such luck' >&2; exit 255; }}\nexec {} \"$@\"\n",
        drop_in.display(),
        sshd.display()
    );
    let script = folder.join("sshd");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let told = run(place.rotate_command(&["--type", "ed25519"]).env("PATH", path), LIMIT);
    assert_eq!((told.code, &told.json()["reason"]), (Some(1), &json!("sshd")), "{told:#?}");
    assert!(
        told.json()["error"].as_str().unwrap().contains("no such luck; sshd's configuration is as it was"),
        "{told:#?}"
    );
    assert!(!drop_in.exists());
    assert_eq!(place.offered().len(), 2);
    place.rotates(&["--resume"], 5, "settle");
    place.rotates_until(&["--resume"], 0, "done");
}

#[test]
fn where_sshd_does_not_do_it_the_drop_in_is_taken_back() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let old = place.record("ed25519");
    let idle = ["--reload-sshd", "true", "--timeout", "2"];
    let told = place.rotate(&[&["--type", "ed25519"], &idle[..]].concat());
    assert_eq!((told.code, &told.json()["reason"]), (Some(1), &json!("not-seen")), "{told:#?}");
    assert!(told.json()["error"].as_str().unwrap().contains("it offers ssh-ed25519"), "{told:#?}");
    assert!(!place.left_over().contains(&"00-sshanchor.conf".to_owned()));
    assert_eq!((place.record("ed25519"), place.offered().len()), (old.clone(), 2));
    let told = place.rotate(&["--resume", "--reload-sshd", "false"]);
    assert_eq!((told.code, &told.json()["reason"]), (Some(1), &json!("not-reloaded")), "{told:#?}");
    // At the other end: what does not show the new key is hidden again.
    place.rotates(&["--resume"], 5, "settle");
    place.rotates_until(&["--resume"], 5, "caches");
    let shows = || {
        let told = place.rotate(&[&["--resume"], &idle[..]].concat());
        told.code == Some(1) && told.json()["reason"] == "not-seen"
    };
    assert!(crate::support::process::wait_until(LIMIT, shows));
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256"]);
    assert!(place.left_over().contains(&"00-sshanchor.conf".to_owned()));
    place.rotates_until(&["--resume"], 0, "done");
    assert_ne!(place.record("ed25519"), old);
    place.dns_is_as_disk();
}

#[test]
fn two_at_once_do_not_get_into_each_others_way() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..4).map(|_| scope.spawn(|| place.rotate(&["--type", "ed25519", "--wait"]))).collect();
        let codes: Vec<_> = runs.into_iter().map(|run| run.join().unwrap().code).collect();
        assert!(codes.contains(&Some(0)), "{codes:?}");
    });
    place.rotates_until(&["--resume"], 0, "done");
    place.dns_is_as_disk();
    assert_eq!(place.left_over(), [""; 0]);
}

#[test]
fn what_a_lost_rotation_has_left_is_told_of() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    place.rotates(&["--type", "ed25519"], 5, "settle");
    let resumed = place.rotate(&["--status"]);
    assert!(!resumed.stderr.contains("has left"), "{resumed:#?}");
    fs::remove_file(place.primary.sandbox().join("state/rotation.json")).unwrap();
    let lost = place.rotate(&["--status"]);
    assert_eq!(lost.code, Some(0), "{lost:#?}");
    assert!(lost.stderr.contains("has left") && lost.stderr.contains("00-sshanchor.conf"), "{lost:#?}");
    // Begun anew, it comes to its end and leaves nothing.
    place.rotates(&["--type", "ed25519"], 5, "settle");
    place.rotates_until(&["--resume"], 0, "done");
    assert_eq!(place.left_over(), [""; 0]);
    assert!(!place.rotate(&["--status"]).stderr.contains("has left"));
}

#[test]
fn a_wall_clock_that_jumps_does_not_end_the_wait_for_caches() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    place.rotates(&["--type", "ed25519", "--margin", "3m"], 5, "settle");
    let until = |told: &serde_json::Value| told["until"].as_str().unwrap().to_owned();
    let before = until(&place.rotates_until(&["--resume"], 5, "caches"));
    let (hidden, shifted) = (place.offered(), |offset: &str| {
        let mut command = place.rotate_command(&["--resume"]);
        // No more than TSIG puts up with.
        crate::support::clock::shift(&mut command, offset);
        let told = run(&mut command, LIMIT);
        assert_eq!((told.code, &told.json()["status"]), (Some(5), &json!("caches")), "{told:#?}");
        until(&told.json())
    });
    // The moment moves along with the clock, and back.
    let jumped = shifted("+4m");
    assert!(jumped > before, "{before} {jumped}");
    assert_eq!(shifted("+4m"), jumped);
    assert!(shifted("+0m") < jumped);
    assert_eq!(place.offered(), hidden);
    place.rotates_until(&["--abort"], 5, "caches");
}

#[test]
fn whoever_undoes_what_a_rotation_publishes_is_told_of() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let old = place.record("ed25519");
    place.rotates(&["--type", "ed25519"], 5, "settle");
    place.rotates_until(&["--resume"], 5, "caches");
    let hidden = place.offered();
    let add = || place.primary.update(&format!("update add {HOST} 1 SSHFP {old}"));
    for _ in 0..2 {
        add();
        place.rotates_until(&["--resume"], 5, "caches");
    }
    add();
    let told = place.rotate(&["--resume"]);
    assert_eq!((told.code, &told.json()["reason"]), (Some(1), &json!("undone")), "{told:#?}");
    assert!(told.json()["hint"].as_str().unwrap().contains("find out who"), "{told:#?}");
    assert_eq!(place.offered(), hidden);
    // Its twin: nobody does any more.
    place.rotates_until(&["--resume"], 0, "done");
    assert_ne!(place.record("ed25519"), old);
    place.dns_is_as_disk();
}

#[test]
fn a_dry_run_says_that_the_primary_is_silent_and_does_not_stay() {
    let mut place = Place::new(&["ed25519", "ecdsa256"], 60);
    let stop = |place: &mut Place, signal| {
        let Primary::Bind(tree) = &mut place.primary else { panic!("it is named") };
        tree.named.process.signal(signal);
    };
    let silent = |place: &Place, arguments: &[&str]| {
        let told = place.rotate(&[arguments, &["--wait", "--dry-run", "--timeout", "2"]].concat());
        assert_eq!(told.code, Some(1), "{told:#?}");
        assert!(told.elapsed < LIMIT / 2, "{told:#?}");
        told.json_lines().pop().unwrap()
    };
    // Nothing is begun that could not be.
    stop(&mut place, Signal::STOP);
    let told = silent(&place, &["--type", "ed25519"]);
    assert!(told["reason"] == "no-answer" && !told["hint"].is_null(), "{told}");
    stop(&mut place, Signal::CONT);
    assert_eq!(place.rotates(&["--type", "ed25519", "--wait", "--dry-run"], 0, "next")["next"], "begin");
    // In the middle it is what is waited for.
    place.rotates(&["--type", "ed25519"], 5, "settle");
    place.rotates_until(&["--resume"], 5, "caches");
    let offered = place.offered();
    stop(&mut place, Signal::STOP);
    let told = silent(&place, &["--resume"]);
    assert_eq!((&told["status"], &told["steps"]), (&json!("servers"), &json!([])), "{told}");
    assert!(told["servers"][0]["detail"].as_str().unwrap().contains("no answer"), "{told}");
    stop(&mut place, Signal::CONT);
    place.rotates(&["--resume", "--wait", "--dry-run"], 0, "caches");
    assert_eq!(place.offered(), offered);
}

/// What comes back in place of a reply, if anything, for whoever was told `first` what stands there.
type Lie = fn(&Exchange, &[u8]) -> Option<Vec<Forged>>;

fn is_update(exchange: &Exchange) -> bool {
    (exchange.question[2] >> 3) & 0xf == 5
}

fn is_sshfp(exchange: &Exchange) -> bool {
    !is_update(exchange) && Dns::read(&exchange.question).rtype == SSHFP
}

#[test]
fn a_primary_that_lies_or_dawdles_is_waited_for_and_the_key_stays_hidden() {
    let mut place = Place::new(&["ed25519", "ecdsa256"], 1);
    let relay = Forger::start(place.primary.addr());
    place.relay = Some(relay.addr());
    let lies: [(&str, &str, Lie); 4] = [
        // The update is done, and nobody vouches for it.
        ("unsigned", "error", |exchange, _| {
            let mut message = exchange.message();
            message.additional.clear();
            is_update(exchange).then(|| vec![Forged::Send(message.write())])
        }),
        ("closed", "error", |exchange, _| is_update(exchange).then(|| vec![Forged::Close])),
        // What stands there is not told, or as it was at first for ever.
        ("silent", "servers", |exchange, _| is_sshfp(exchange).then(Vec::new)),
        ("stale", "error", |exchange, first| {
            is_sshfp(exchange).then(|| vec![Forged::Send([&exchange.question[..2], &first[2..]].concat())])
        }),
    ];
    for (name, (lie, status, forge)) in ["ed25519", "ecdsa256"].iter().cycle().zip(lies) {
        let (old, family) = (place.record(name), name.trim_end_matches("256"));
        place.rotates(&["--type", family], 5, "settle");
        let first = Mutex::new(Vec::new());
        relay.rule(move |exchange| {
            let mut first = first.lock().unwrap();
            if first.is_empty() && is_sshfp(exchange) {
                first.clone_from(&exchange.reply);
            }
            forge(exchange, &first).unwrap_or_else(|| vec![Forged::Send(exchange.reply.clone())])
        });
        // Up to where it is lied to.
        let mut last = None;
        let is_there = wait_until(LIMIT, || {
            let finished = place.rotate(&["--resume", "--timeout", "3"]);
            let told = finished.json_lines().pop().unwrap();
            let is_there = match status {
                "error" => !told["reason"].is_null(),
                status => told["status"] == status && place.record(name) != old,
            };
            assert!(finished.code != Some(0), "{lie}: {finished:#?}");
            last = Some(finished);
            is_there
        });
        assert!(is_there, "{lie}: {last:#?}");
        let (last, others) = (last.unwrap(), place.offered());
        assert_eq!((last.code, others.len()), (Some(1), 1), "{lie}: {last:#?}");
        assert!(!others[0].contains(family), "{lie}: {others:?}");
        // The twin.
        relay.honest();
        place.rotates_until(&["--resume"], 0, "done");
        assert_ne!(place.record(name), old, "{lie}");
        place.dns_is_as_disk();
        assert_eq!((place.left_over(), place.offered().len()), (Vec::new(), 2), "{lie}");
    }
}
