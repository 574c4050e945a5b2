//! Whatever fails after the certificate was written: the old one is back, and served.

use std::fs;
use std::path::PathBuf;

use super::LATE;
use super::place::{NAME, Place};
use crate::support::peer::peer;
use crate::support::process::Finished;

/// The run failed, said `why`, and left all as it was.
fn all_as_before(place: &Place, old: &str, failed: &Finished, whys: &[&str]) {
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    for why in whys {
        assert!(failed.stderr.contains(why), "{why}: {failed:#?}");
    }
    assert!(failed.stderr.contains("hint:"), "{failed:#?}");
    assert_eq!(place.on_disk("ed25519"), old);
    assert_eq!(place.left_over(), [""; 0]);
    assert_eq!(place.served(), [old]);
    assert_eq!(place.ssh_by("ca").stdout, "in\n");
}

#[test]
fn nothing_is_signed_where_the_configuration_is_bad_already() {
    let place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    let wrapper = sshd_that(&place, "exit 1; echo broken");
    let signed = place.home.join("signed");
    let signer = format!("{} {}", place.script("touch", "touch $1; exit 1").display(), signed.display());
    let mut command = place.command(&signer);
    let failed =
        crate::support::process::run(command.env("PATH", &wrapper), std::time::Duration::from_secs(30));
    assert!(failed.stderr.contains("nothing was changed"), "{failed:#?}");
    all_as_before(&place, &old, &failed, &["sshd -t ended with status 1"]);
    assert!(!signed.exists());
    // A configuration that sshd cannot even print.
    let conf = place.sshd.sandbox.join("sshd_config");
    let good = fs::read_to_string(&conf).unwrap();
    fs::write(&conf, format!("{good}\nNoSuchThing yes\n")).unwrap();
    let failed = place.renew_by(&signer, &[]);
    assert!(!signed.exists());
    all_as_before(&place, &old, &failed, &["sshd -T ended with status 255"]);
    fs::write(&conf, good).unwrap();
    assert_eq!(place.renew(&[]).code, Some(0));
}

/// A PATH with an sshd that is the real one, but for `-t`, where it runs `body`.
fn sshd_that(place: &Place, body: &str) -> String {
    let folder = place.home.join("sbin");
    fs::create_dir(&folder).unwrap();
    let text = format!("case $1 in -t) {body};; esac\nexec {} \"$@\"", peer("sshd").display());
    let script: PathBuf = place.script("sshd", &text);
    fs::rename(script, folder.join("sshd")).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_configuration_that_turns_out_bad_afterwards_brings_the_old_one_back() {
    let place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    // The second time.
    let count = place.home.join("count").display().to_string();
    let path =
        sshd_that(&place, &format!("test -e {count} && {{ echo 'no way' >&2; exit 255; }}; touch {count}"));
    let mut command = place.command(&place.signer("ca"));
    let failed = crate::support::process::run(command.env("PATH", path), std::time::Duration::from_secs(30));
    let whys = ["sshd -t ended with status 255: no way", "the old certificate is in its place again"];
    all_as_before(&place, &old, &failed, &whys);
    assert_eq!(place.renew(&[]).code, Some(0));
    assert_ne!(place.on_disk("ed25519"), old);
}

#[test]
fn a_reload_that_fails_brings_the_old_one_back() {
    let mut place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    let back = "the old certificate is in its place again, and served";
    let fails = place.script("fails", "echo 'Unit not found' >&2; exit 5").display().to_string();
    let failed = place.renew(&["--reload", &fails]);
    all_as_before(&place, &old, &failed, &["ended with status 5: Unit not found", back, "--reload"]);
    let failed = place.renew(&["--reload", "sleep 100", "--timeout", "1"]);
    all_as_before(&place, &old, &failed, &["did not end in 1 s", back]);
    // It says that it did, and did not.
    let failed = place.renew(&["--reload", "true", "--timeout", "2"]);
    all_as_before(
        &place,
        &old,
        &failed,
        &["does not show the new certificate", "it shows another certificate", back],
    );

    // No pid file, and one of another process.
    let without = place.lines().replace(&place.pid_file(), "");
    place.sshd.configure(&without);
    let failed = place.renew(&["--timeout", "2"]);
    all_as_before(&place, &old, &failed, &["sshd has left no pid file", "--reload 'systemctl reload ssh'"]);
    let lines = place.lines();
    place.sshd.configure(&lines);
    place.has_left_its_pid();
    let pid_file = place.home.join("sshd.pid");
    fs::write(&pid_file, std::process::id().to_string()).unwrap();
    let failed = place.renew(&["--timeout", "2"]);
    all_as_before(&place, &old, &failed, &["not sshd", back]);

    let reload = format!("kill -HUP {}", place.sshd.process.id());
    let renewed = place.renew(&["--reload", &reload]);
    assert_eq!(renewed.code, Some(0), "{renewed:#?}");
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
}

#[test]
fn a_certificate_that_is_not_shown_is_taken_back() {
    let place = Place::new(&["ed25519"], LATE);
    let other = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    // Another server listens there; nobody does.
    let there = other.sshd.addr().to_string();
    let failed = place.renew(&["--connect", &there, "--timeout", "2"]);
    let whys =
        ["it shows another certificate", "the old certificate is in its place again, but", "--connect"];
    all_as_before(&place, &old, &failed, &whys);
    let nobody = crate::support::port::Port::free();
    let failed = place.renew(&["--connect", &nobody.addr().to_string(), "--timeout", "2"]);
    all_as_before(&place, &old, &failed, &["cannot connect: Connection refused"]);
    let here = place.sshd.addr().to_string();
    assert_eq!(place.renew(&["--connect", &here]).code, Some(0));
    // The first certificate of all is removed again.
    fs::remove_file(place.certificate("ed25519")).unwrap();
    let failed = place.renew(&["--name", NAME, "--connect", &there, "--timeout", "2"]);
    assert!(failed.stderr.contains("the new certificate was removed again"), "{failed:#?}");
    assert!(!place.certificate("ed25519").exists());
}

#[test]
fn two_runs_do_not_meet() {
    let place = Place::new(&["ed25519"], LATE);
    let (up, go) = (place.home.join("up"), place.home.join("go"));
    let body = format!(
        "touch {}; while ! test -e {}; do sleep 0.05; done; exec {}",
        up.display(),
        go.display(),
        place.signer("ca").replace("%n", NAME).replace("%v", "30d")
    );
    let slow = place.script("slow", &body).display().to_string();
    let mut first = place.command(&slow);
    let mut first = first.stdout(std::process::Stdio::null()).spawn().unwrap();
    assert!(crate::support::process::wait_until(std::time::Duration::from_secs(20), || up.exists()));
    let second = place.renew(&["--json"]);
    assert_eq!((second.code, second.json()["reason"].as_str()), (Some(1), Some("locked")), "{second:#?}");
    fs::write(go, "").unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(place.renew(&["--json"]).json()["status"], "current");
}
