//! `ca renew` with a real sshd, ssh-keygen as the CA, and ssh as the judge.

mod crashes;
mod failures;
mod place;
mod signers;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use place::{NAME, Place};

use crate::support::process::run;

/// Old enough to be due, and valid.
const LATE: &str = "-20d:+5d";
/// As good as new.
const FRESH: &str = "-1d:+29d";

#[test]
fn a_certificate_is_renewed_when_it_is_due_and_shown_afterwards() {
    let place = Place::new(&["ed25519"], LATE);
    let old = place.on_disk("ed25519");
    assert_eq!(place.served(), [old.as_str()]);

    let looked = place.renew(&["--check", "--json"]);
    assert_eq!((looked.code, looked.json()["status"].as_str()), (Some(5), Some("due")), "{looked:#?}");
    let looked = place.renew(&["--dry-run"]);
    assert_eq!(looked.code, Some(0));
    assert!(looked.stdout.contains("days of its life are left, no more than a third"), "{looked:#?}");
    assert_eq!(place.on_disk("ed25519"), old);

    let renewed = place.renew(&["--json"]);
    let json = renewed.json();
    assert_eq!((renewed.code, json["status"].as_str()), (Some(0), Some("renewed")), "{renewed:#?}");
    assert_eq!(json["principals"][0], NAME);
    assert_eq!(json["served_at"], place.sshd.addr().to_string());
    assert!(json["error"].is_null() && json["valid_before"].is_string() && json["due_at"].is_string());
    let new = place.on_disk("ed25519");
    assert_ne!(new, old);
    assert_eq!(place.served(), [new.as_str()]);
    assert_eq!(place.left_over(), [""; 0]);
    let mode = fs::metadata(place.certificate("ed25519")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
    assert_eq!(place.ssh_by("ca").stdout, "in\n");
    assert_eq!(place.ssh_by("other-ca").code, Some(255));

    // And that is that, until it is asked for.
    assert_eq!(place.renew(&["--check"]).code, Some(0));
    let again = place.renew(&["--json"]);
    assert_eq!((again.code, again.json()["status"].as_str()), (Some(0), Some("current")), "{again:#?}");
    assert_eq!(place.on_disk("ed25519"), new);
    let forced = place.renew(&["--force"]);
    assert!(forced.stdout.contains("renewed, good until"), "{forced:#?}");
    assert_ne!(place.on_disk("ed25519"), new);
}

#[test]
fn an_sshd_that_reads_certificates_for_each_client_needs_no_signal() {
    let mut place = Place::new(&["ed25519"], LATE);
    place.sshd.reads_keys_for_each_client();
    let without = place.lines().replace(&place.pid_file(), "");
    place.sshd.configure(&without);
    assert_eq!(place.renew(&[]).code, Some(0));
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
}

#[test]
fn every_type_of_key_is_renewed_in_one_run() {
    let types = ["rsa", "ecdsa256", "ecdsa384", "ecdsa521", "ed25519"];
    let place = Place::new(&types, LATE);
    let renewed = place.renew(&["--json"]);
    assert_eq!(renewed.code, Some(0), "{renewed:#?}");
    assert_eq!(renewed.json_lines().len(), types.len());
    assert!(renewed.json_lines().iter().all(|line| line["status"] == "renewed"));
    // The scanner asks for one curve alone.
    let on_disk: Vec<String> = types.iter().map(|name| place.on_disk(name)).collect();
    let served = place.served();
    assert!(served.len() >= 3 && served.iter().all(|line| on_disk.contains(line)), "{served:#?}");
}

#[test]
fn other_names_another_ca_and_another_key_make_it_due() {
    let place = Place::new(&["ed25519"], FRESH);
    let ca = place.home.join("ca.pub").display().to_string();
    let other = place.home.join("other-ca.pub").display().to_string();
    let check = |arguments: &[&str]| place.renew(&[&["--check", "--json"], arguments].concat());
    for good in [&[][..], &["--name", NAME], &["--ca-key", &ca], &["--ca-key", &ca, "--ca-key", &other]] {
        assert_eq!(check(good).code, Some(0), "{good:?}");
    }
    let due = |arguments: &[&str], why: &str| {
        let due = check(arguments);
        assert_eq!(due.code, Some(5), "{due:#?}");
        assert!(due.json()["why"].as_str().unwrap().contains(why), "{due:#?}");
    };
    due(&["--name", NAME, "--name", "web.example.com"], "its principals are web1.example.com, wanted are");
    due(&["--ca-key", &other], "signed by another CA");

    // After a roll: by the new CA, and the old one is not taken any more.
    let refused = place.renew(&["--ca-key", &other]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("signed by another CA"), "{refused:#?}");
    let renewed = place.renew_by(&place.signer("other-ca"), &["--ca-key", &other]);
    assert_eq!(renewed.code, Some(0), "{renewed:#?}");
    assert_eq!(place.ssh_by("other-ca").stdout, "in\n");
    let both = ["--name", "web.example.com", "--name", NAME];
    let renewed = place.renew_by(&place.signer("other-ca"), &[&both[..], &["--json"]].concat());
    assert_eq!(renewed.json()["principals"], serde_json::json!(["web.example.com", NAME]), "{renewed:#?}");

    // A certificate of a key that the host had before.
    place.sign("ed25519", "ca", &["-h", "-n", NAME, "-V", FRESH]);
    let of_old_key = fs::read(place.certificate("ed25519")).unwrap();
    let mut place = place;
    place.sshd.rotate_host_keys();
    fs::write(place.certificate("ed25519"), of_old_key).unwrap();
    let due = place.renew(&["--check", "--json"]);
    assert!(due.json()["why"].as_str().unwrap().contains("about another key"), "{due:#?}");
    assert_eq!(place.renew(&[]).code, Some(0));
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
}

#[test]
fn what_is_unreadable_or_absent_needs_names_and_gets_a_certificate() {
    let place = Place::new(&["ed25519"], FRESH);
    for text in [None, Some("garbage\n"), Some("")] {
        match text {
            None => fs::remove_file(place.certificate("ed25519")).unwrap(),
            Some(text) => fs::write(place.certificate("ed25519"), text).unwrap(),
        }
        let nameless = place.renew(&[]);
        assert_eq!(nameless.code, Some(2), "{nameless:#?}");
        assert!(nameless.stderr.contains("--name HOST"), "{nameless:#?}");
        let renewed = place.renew(&["--name", NAME]);
        assert_eq!(renewed.code, Some(0), "{text:?}: {renewed:#?}");
        assert_eq!(place.served(), [place.on_disk("ed25519")]);
    }
    // Names go to the signer: no option is one.
    place.sign("ed25519", "ca", &["-h", "-n", "-oProxyCommand=x", "-V", LATE]);
    let odd = place.renew(&[]);
    assert!(odd.code == Some(2) && odd.stderr.contains("which is no host name"), "{odd:#?}");
}

#[test]
fn one_without_end_is_never_due_by_its_age_and_told_of() {
    let place = Place::new(&["ed25519"], "always:forever");
    let kept = place.renew(&["--json"]);
    assert_eq!((kept.code, kept.json()["status"].as_str()), (Some(0), Some("current")), "{kept:#?}");
    assert!(kept.stderr.contains("has no end") && kept.json()["valid_before"].is_null(), "{kept:#?}");
}

#[test]
fn a_certificate_that_sshd_does_not_know_of_comes_with_the_line_to_add() {
    let mut place = Place::new(&["ed25519"], LATE);
    fs::remove_file(place.certificate("ed25519")).unwrap();
    let pid_file = place.pid_file();
    place.sshd.configure(&pid_file);
    place.has_left_its_pid();
    let told = place.renew(&["--name", NAME, "--json"]);
    assert_eq!((told.code, told.json()["status"].as_str()), (Some(5), Some("written")), "{told:#?}");
    let line = format!("HostCertificate {}", place.certificate("ed25519").display());
    assert!(told.json()["hint"].as_str().unwrap().ends_with(&line), "{told:#?}");
    let written = place.on_disk("ed25519");
    // Nothing is signed anew until the line is there; then sshd is made to read it.
    assert_eq!(place.renew(&[]).code, Some(5));
    let conf = place.sshd.sandbox.join("sshd_config");
    fs::write(&conf, format!("{line}\n{}", fs::read_to_string(&conf).unwrap())).unwrap();
    let renewed = place.renew(&["--json"]);
    assert_eq!(
        (renewed.code, renewed.json()["status"].as_str()),
        (Some(0), Some("reloaded")),
        "{renewed:#?}"
    );
    assert_eq!((place.on_disk("ed25519"), place.served()), (written.clone(), vec![written]));
}

#[test]
fn without_a_server_the_certificate_is_written() {
    let place = Place::new(&["ed25519"], LATE);
    let key = place.sshd.host_key("ed25519");
    let before = place.served();
    let mut command = place.home.sshanchor();
    command.args(["ca", "renew", "--no-reload", "--signer", &place.signer("ca"), "--json", "--host-key"]);
    let written = run(command.arg(&key).env("PATH", "/usr/bin:/bin"), std::time::Duration::from_secs(60));
    assert_eq!((written.code, written.json()["status"].as_str()), (Some(0), Some("written")), "{written:#?}");
    assert_eq!(place.served(), before);
    assert_ne!([place.on_disk("ed25519")], *before);
    assert_eq!(place.left_over(), [""; 0]);
    // The next run that may talk to sshd finds what is left to do.
    assert_eq!(place.renew(&["--json"]).json()["status"], "reloaded");
    assert_eq!(place.served(), [place.on_disk("ed25519")]);
}

#[test]
fn what_others_can_write_is_not_signed() {
    let place = Place::new(&["ed25519"], LATE);
    let key = place.sshd.host_key("ed25519");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = place.renew(&[]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    assert!(refused.stderr.contains("chmod go-w"), "{refused:#?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(place.renew(&[]).code, Some(0));
}
