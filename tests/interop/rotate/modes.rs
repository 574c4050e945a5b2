//! One type alone, every type, an overlap, keys that have leaked, a rotation that is given up, servers that lag or are
//! dead, known_hosts users who learn of the next key.

use std::fs;

use serde_json::json;

use super::place::Place;
use crate::interop::primary::{LIMIT, sorted};
use crate::support::named::Secondary;
use crate::support::port::Port;
use crate::support::process::run;

#[test]
fn a_host_with_one_type_gets_another_first_and_keeps_it() {
    let place = Place::new(&["ed25519"], 1);
    let old = place.record("ed25519");
    let told = place.rotates(&[], 5, "settle");
    assert_eq!(
        (&told["changes"][0]["type"], &told["changes"][0]["old"]),
        (&json!("ecdsa-sha2-nistp256"), &json!(null))
    );
    assert_eq!(place.offered(), ["ssh-ed25519"], "the new type is not offered before it is in every cache");
    let finished = place.rotate(&["--wait"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    assert_ne!(place.record("ed25519"), old);
    // sshd_config names its HostKeys, so that a line for the new one stays.
    assert_eq!(place.left_over(), ["01-sshanchor-keys.conf"]);
    let added = crate::interop::primary::record(&place.sshd.sandbox.join("ssh_host_ecdsa_key.pub"));
    assert_eq!(place.in_dns(), sorted(&[&place.record("ed25519"), &added]));
    assert_eq!(place.verdict()["verdict"], "accept");
    // The next time there are two.
    let told = place.rotates(&["--type", "ecdsa"], 5, "settle");
    assert_eq!(told["changes"][0]["old"], added[4..]);
    place.rotates(&["--abort"], 0, "done");
}

#[test]
fn keys_of_every_type_and_size_are_replaced_by_their_like() {
    let types = ["rsa", "ecdsa384", "ecdsa521", "ed25519"];
    let place = Place::new(&types, 1);
    let olds: Vec<String> = types.iter().map(|name| place.record(name)).collect();
    fs::write(
        place.sshd.host_key("rsa"),
        fs::read_to_string(place.sshd.host_key("rsa")).unwrap().replace("test", "a comment"),
    )
    .unwrap();
    let finished = place.rotate(&["--wait"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    for (name, old) in types.iter().zip(&olds) {
        assert_ne!(place.record(name), *old, "{name}");
    }
    let text = fs::read_to_string(place.sshd.host_key("rsa")).unwrap();
    assert!(text.ends_with(" a comment\n"), "{text}");
    let mut look = crate::support::peer::command("ssh-keygen");
    let size = run(look.arg("-l").arg("-f").arg(place.sshd.host_key("rsa")), LIMIT).stdout;
    assert!(size.starts_with("2048 "), "{size}");
    place.dns_is_as_disk();
    assert_eq!(place.left_over(), [""; 0]);
    let notes = finished.json_lines().pop().unwrap()["notes"].to_string();
    assert!(notes.contains("the old private key is removed"), "{notes}");
}

#[test]
fn in_an_overlap_sshd_never_hides_anything() {
    let place = Place::new(&["ed25519"], 1);
    let old = place.record("ed25519");
    let told = place.rotates(&["--overlap"], 5, "caches");
    assert_eq!((&told["mode"], place.in_dns().len()), (&json!("overlap"), 2));
    // The ordinary publisher goes by it too, if it publishes this machine's keys: here they are named.
    assert_eq!(place.offered(), ["ssh-ed25519"]);
    let told = place.rotates_until(&["--resume"], 5, "settle");
    assert_eq!(told["steps"], json!(["prove", "replace", "show"]));
    assert!(place.in_dns().contains(&old) && place.in_dns().contains(&place.record("ed25519")));
    assert_eq!(place.verdict()["verdict"], "accept");
    place.rotates_until(&["--resume"], 0, "done");
    place.dns_is_as_disk();
    assert_ne!(place.record("ed25519"), old);
    assert_eq!(place.left_over(), [""; 0]);
    // Given up before the switch.
    let new = place.record("ed25519");
    place.rotates(&["--overlap"], 5, "caches");
    place.rotates(&["--abort"], 0, "done");
    assert_eq!(
        (place.record("ed25519"), place.in_dns(), place.left_over()),
        (new.clone(), vec![new], Vec::new())
    );
    place.rotates(&["--overlap"], 5, "caches");
    place.rotates_until(&["--resume"], 5, "settle");
    let refused = place.rotate(&["--abort"]);
    assert_eq!((refused.code, &refused.json()["reason"]), (Some(2), &json!("too-late")), "{refused:#?}");
}

#[test]
fn a_key_that_has_leaked_leaves_dns_at_once() {
    let place = Place::new(&["ed25519", "ecdsa256"], 60);
    let (old, other) = (place.record("ed25519"), place.record("ecdsa256"));
    // One of two: nobody is refused, for the other serves meanwhile.
    let finished = place.rotate(&["--compromised", "--type", "ed25519"]);
    let told = finished.json_lines().pop().unwrap();
    assert_eq!((finished.code, &told["status"]), (Some(5), &json!("caches")), "{finished:#?}");
    assert_eq!(told["steps"], json!(["begin", "prepare", "hide", "replace", "publish", "spread"]));
    assert!(!place.in_dns().contains(&old));
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256"]);
    let notes = told["notes"].to_string();
    assert!(notes.contains("whoever has the old key can pass for web1.example.test for up to"), "{notes}");
    assert!(notes.contains("sshanchor ca revoke "), "{notes}");
    assert_eq!(place.rotate(&["--abort"]).code, Some(2), "nobody goes back to it");
    assert_eq!(place.record("ecdsa256"), other);
}

#[test]
fn keys_that_have_all_leaked_are_all_replaced_at_once() {
    let place = Place::new(&["ed25519", "ecdsa256"], 60);
    let olds = [place.record("ed25519"), place.record("ecdsa256")];
    // Even in the middle of a rotation.
    place.rotates(&["--type", "ed25519"], 5, "settle");
    let told = place.rotates(&["--compromised"], 0, "done");
    assert_eq!(told["steps"], json!(["begin", "prepare", "replace", "show", "publish", "finish"]));
    assert_eq!(told["changes"].as_array().unwrap().len(), 2);
    assert!(place.in_dns().iter().all(|record| !olds.contains(record)));
    place.dns_is_as_disk();
    assert_eq!((place.offered().len(), place.left_over()), (2, Vec::new()));
}

#[test]
fn given_up_the_old_key_is_what_stays() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    let old = place.record("ed25519");
    assert_eq!(place.rotate(&["--abort"]).code, Some(2), "there is none");
    place.rotates(&["--type", "ed25519"], 5, "settle");
    let told = place.rotates(&["--abort"], 0, "done");
    assert_eq!((&told["steps"], &told["aborted"]), (&json!(["show", "finish"]), &json!(true)));
    assert_eq!((place.record("ed25519"), place.left_over()), (old.clone(), Vec::new()));
    // Later it takes the same way back.
    place.rotates(&["--type", "ed25519"], 5, "settle");
    place.rotates_until(&["--resume"], 5, "caches");
    assert!(!place.in_dns().contains(&old));
    place.rotates(&["--abort"], 5, "caches");
    assert_eq!(place.offered(), ["ecdsa-sha2-nistp256"]);
    place.rotates_until(&["--resume"], 0, "done");
    assert_eq!((place.record("ed25519"), place.left_over()), (old, Vec::new()));
    place.dns_is_as_disk();
    assert_eq!(place.verdict()["verdict"], "accept");
}

#[test]
fn a_secondary_that_lags_is_waited_for_and_a_dead_one_not_for_ever() {
    let mut place = Place::new(&["ed25519", "ecdsa256"], 1);
    let mut secondary = Secondary::start(place.primary.addr(), "example.test");
    place.check_servers.push(secondary.addr().to_string());
    place.rotates(&["--type", "ed25519"], 5, "settle");
    let told = place.rotates_until(&["--resume"], 5, "servers");
    assert_eq!(told["servers"][0]["server"], secondary.addr().to_string());
    assert_eq!(told["servers"][0]["detail"], json!(null));
    place.rotates(&["--resume"], 5, "servers");
    secondary.refresh();
    place.rotates_until(&["--resume"], 0, "done");
    place.dns_is_as_disk();
    // One that is dead: it holds up until the time in the configuration has passed.
    let nobody = Port::free();
    place.check_servers[1] = nobody.addr().to_string();
    place.rotates(&["--type", "ecdsa"], 5, "servers");
    let config = place.primary.sandbox().write("config.toml", "version = 1\n[rotate]\ndead_after = \"1s\"\n");
    let resume = || {
        let mut made = place.rotate_command(&["--resume"]);
        run(made.env("SSHANCHOR_CONFIG", &config), LIMIT)
    };
    let ends = || resume().code == Some(0);
    assert!(crate::support::process::wait_until(LIMIT, ends), "{:#?}", resume());
    place.dns_is_as_disk();
}

#[test]
fn known_hosts_users_learn_of_the_next_key_before_it_is_used() {
    let place = Place::new(&["ed25519", "ecdsa256"], 1);
    place.rotates(&["--type", "ed25519", "--announce", "1h"], 5, "announce");
    let known = place.primary.sandbox().join("known_hosts");
    let key = fs::read_to_string(place.sshd.host_key("ecdsa256")).unwrap();
    let host = format!("[127.0.0.1]:{}", place.sshd.port());
    fs::write(&known, format!("{host} {key}")).unwrap();
    let mut ssh = place.sshd.ssh();
    let file = format!("UserKnownHostsFile={}", known.display());
    // The first value that ssh meets is the one: in front.
    let mut learn = crate::support::peer::command("ssh");
    learn.args([
        "-o",
        &file,
        "-o",
        "UpdateHostKeys=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "HashKnownHosts=no",
    ]);
    ssh.args(["127.0.0.1", "true"]);
    learn.args(ssh.get_args());
    let finished = run(&mut learn, LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let next = fs::read_to_string(place.sshd.sandbox.join("host_ed25519.sshanchor-next.pub")).unwrap();
    let next = next.split(' ').nth(1).unwrap();
    let learned = fs::read_to_string(&known).unwrap();
    assert!(learned.contains(next), "{learned}\n{finished:#?}");
    assert!(
        learned
            .contains(fs::read_to_string(place.sshd.host_key("ed25519")).unwrap().split(' ').nth(1).unwrap())
    );
    place.rotates(&["--abort"], 0, "done");
    assert_eq!(place.left_over(), [""; 0]);
}
