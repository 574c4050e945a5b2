//! What is remembered, spoilt on disk: nothing is taken for empty, nothing is changed, and it is said what to do. Put back,
//! all goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use super::place::Place;
use crate::interop::primary::LIMIT;
use crate::support::namespace::after;
use crate::support::process::{run, run_ok};

/// How a file is spoilt.
type Spoil = fn(&Path, &str);

const SPOILT: [(&str, Spoil); 12] = [
    ("empty", |path, _| fs::write(path, "").unwrap()),
    ("garbage", |path, _| fs::write(path, [0xff, 0, 27, b'[', b'2', b'J']).unwrap()),
    ("cut", |path, text| fs::write(path, &text[..text.len() * 2 / 3]).unwrap()),
    ("another kind of JSON", |path, _| fs::write(path, "{\"version\":1}").unwrap()),
    ("without end", |path, _| drop(fs::File::options().write(true).open(path).unwrap().set_len(80 << 20))),
    ("newer", |path, text| {
        let newer = text.replacen("\"version\": 1", "\"version\": 99", 1).replacen(
            "\"version\":2",
            "\"version\":99",
            1,
        );
        fs::write(path, newer).unwrap();
    }),
    ("for others to write", |path, _| fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap()),
    ("of another user", |path, _| chown(path, Some(12_345), None).unwrap()),
    ("a folder", |path, _| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a pipe", |path, _| {
        fs::remove_file(path).unwrap();
        run_ok(Command::new("mkfifo").arg("-m").arg("600").arg(path));
    }),
    ("a link to nowhere", |path, _| {
        fs::remove_file(path).unwrap();
        symlink("/nowhere/at/all", path).unwrap();
    }),
    ("a link to a file of others", |path, text| {
        let other = path.with_extension("other");
        fs::write(&other, text).unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o666)).unwrap();
        fs::remove_file(path).unwrap();
        symlink(other, path).unwrap();
    }),
];

fn remove(path: &Path) {
    let _ = fs::remove_dir(path).or_else(|_| fs::remove_file(path));
}

#[test]
fn what_is_spoilt_is_told_and_nothing_is_done_by_it() {
    let place = Place::new(&["ed25519", "ecdsa256"], 60);
    place.rotates(&["--compromised", "--type", "ed25519"], 5, "caches");
    let state = place.primary.sandbox().join("state");
    let look = || {
        (
            place.in_dns(),
            place.record("ed25519"),
            place.record("ecdsa256"),
            place.offered(),
            place.left_over(),
        )
    };
    let before = look();
    let key = place.sshd.host_key("ecdsa256").display().to_string();
    for (file, commands) in [
        (
            "published.json",
            &[
                &["publish", "--json", "--host-key", &key][..],
                &["agent", "--once", "--json", "--host-key", &key],
                &["withdraw", "--json"],
            ][..],
        ),
        (
            "rotation.json",
            &[
                &["rotate", "--json", "--status"],
                &["rotate", "--json", "--resume"],
                &["rotate", "--json", "--abort"],
                &["rotate", "--json", "--compromised"],
            ],
        ),
    ] {
        let path = state.join(file);
        let text = fs::read_to_string(&path).unwrap();
        for (how, spoil) in SPOILT {
            spoil(&path, &text);
            for arguments in commands {
                let mut command = place.command(arguments[0]);
                if arguments[0] == "rotate" {
                    command.arg("--sshd-config").arg(place.sshd.sandbox.join("sshd_config"));
                }
                let at = format!("{file} is {how}: {arguments:?}");
                let finished = run(command.args(&arguments[1..]), LIMIT);
                assert_eq!(finished.code, Some(1), "{at}: {finished:#?}");
                let told = finished.json_lines().pop().unwrap();
                assert_eq!(told["reason"], "state", "{at}: {finished:#?}");
                assert!(!told["hint"].is_null(), "{at}: {finished:#?}");
                let error = told["error"].as_str().unwrap();
                assert!(
                    error.contains(state.to_str().unwrap()) && !error.contains('\u{1b}'),
                    "{at}: {finished:#?}"
                );
                assert_eq!(look(), before, "{at}");
            }
            remove(&path);
            fs::write(&path, &text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        }
    }
    // The twin: all is as it was.
    let told = place.rotates(&["--status"], 5, "caches");
    assert_eq!(told["changes"][0]["type"], "ssh-ed25519");
    place.rotates(&["--compromised"], 0, "done");
    place.dns_is_as_disk();
}

#[test]
fn where_nothing_can_be_written_nothing_is_begun() {
    let place = Place::new(&["ed25519", "ecdsa256"], 60);
    let state = place.primary.sandbox().join("state");
    let look = || (place.in_dns(), place.record("ed25519"), place.offered(), place.left_over());
    let before = look();
    let (whole, new) =
        (fs::read_to_string(state.join("published.json")).unwrap(), place.sshd.host_key("ecdsa256"));
    // What is on the disk beside: none is left for a word of ours.
    let full = "mount -t tmpfs -o size=16k tmpfs \"$0\" && cp -a \"$1\"/. \"$0\" && chmod 700 \"$0\" && ! head -c 20000 /dev/zero 2>&- > \"$0\"/filler";
    let read_only = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"";
    let copy = state.with_extension("copy");
    run_ok(Command::new("cp").arg("-a").arg(&state).arg(&copy));
    for (how, prepare, hint) in
        [("full", full, "make room on that disk"), ("read-only", read_only, "mount it read-write")]
    {
        for arguments in [
            &["rotate", "--compromised"][..],
            &["rotate", "--type", "ed25519"],
            &["publish", "--prune"],
            &["withdraw"],
        ] {
            let mut command = place.command(arguments[0]);
            match arguments[0] {
                "rotate" => drop(command.arg("--sshd-config").arg(place.sshd.sandbox.join("sshd_config"))),
                // One key alone: the other's record would go.
                "publish" => drop(command.arg("--host-key").arg(&new)),
                _ => {}
            }
            command.arg("--json").args(&arguments[1..]);
            let at = format!("{how}: {arguments:?}");
            let finished = run(&mut after(&command, prepare, &[&state, &copy]), LIMIT);
            assert_eq!(finished.code, Some(1), "{at}: {finished:#?}");
            let told = finished.json_lines().pop().unwrap();
            assert_eq!(told["reason"], "state", "{at}: {finished:#?}");
            assert!(told["hint"].as_str().unwrap().contains(hint), "{at}: {finished:#?}");
            assert_eq!(fs::read_to_string(state.join("published.json")).unwrap(), whole, "{at}");
            // What has been done is told: that a record has gone is noted last.
            let is_changed = look() != before;
            assert_eq!(told["changed"] == true, is_changed, "{at}: {finished:#?}");
            if is_changed {
                assert!(
                    told["error"].as_str().unwrap().ends_with("were changed, as it was planned"),
                    "{at}: {told}"
                );
                assert!(how == "full" && arguments[0] != "rotate", "{at}");
                place.publish(&[]);
            }
        }
    }
    place.rotates(&["--compromised"], 0, "done");
    assert!(place.in_dns().iter().all(|record| !before.0.contains(record)));
}
