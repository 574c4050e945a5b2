//! A file whose change was cut short, and a file that is not ours.

use std::fs;

use super::places::{Place, ZONE};
use super::{Keys, PUBLISH, attempt};
use crate::support::run;

const OWNER: &str = "r1.example.test";

#[test]
fn a_change_that_was_cut_short_is_put_back_and_done_again() {
    let place = Place::zone_file();
    let Place::ZoneFile(inline) = &place else { panic!("not a zone file") };
    let keys = Keys::new(&place);
    let (finished, _) = attempt(&place, OWNER, PUBLISH, &[keys.key('a')], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    // Killed after the file was in place, and before the server was told.
    let (part, before) = (inline.part(), inline.tree.sandbox.join("inline/part.before"));
    let old = fs::read_to_string(&part).unwrap();
    fs::write(&before, &old).unwrap();
    fs::write(&part, old.replace(&keys.records("a")[0], &keys.records("b")[0])).unwrap();
    // A look tells what is in effect, and mends nothing.
    let (look, json) = attempt(&place, OWNER, PUBLISH, &[keys.key('b')], &["--check"]);
    assert_eq!((look.code, &json["pending"]), (Some(5), &true.into()), "{look:#?}");
    assert!(before.exists());
    let (finished, json) = attempt(&place, OWNER, PUBLISH, &[keys.key('b')], &[]);
    assert_eq!((finished.code, &json["changed"]), (Some(0), &true.into()), "{finished:#?}");
    assert_eq!(place.shows(OWNER, &keys.records("b")).0, keys.records("b"));
    assert!(!before.exists());

    // Cut short once more, and nothing is to be done: it is loaded all the same.
    fs::write(&before, fs::read_to_string(&part).unwrap()).unwrap();
    fs::write(&part, &old).unwrap();
    let (finished, json) = attempt(&place, OWNER, PUBLISH, &[keys.key('b')], &[]);
    assert_eq!((finished.code, &json["changed"]), (Some(0), &false.into()), "{finished:#?}");
    assert!(!before.exists() && fs::read_to_string(&part).unwrap().contains(&keys.records("b")[0]));
}

#[test]
fn the_operators_own_file_is_never_written() {
    let place = Place::zone_file();
    let Place::ZoneFile(inline) = &place else { panic!("not a zone file") };
    let keys = Keys::new(&place);
    let zone = inline.tree.sandbox.join("inline/example.test.zone");
    let before = fs::read_to_string(&zone).unwrap();
    let mut command = place.sandbox().sshanchor();
    command.args(["publish", "--name", OWNER, "--zone", ZONE, "--reload", "true", "--zone-file"]).arg(&zone);
    command.arg("--state").arg(place.sandbox().join("state"));
    let refused = run(command.arg("--host-key").arg(keys.key('a')), super::LIMIT);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("$INCLUDE"), "{refused:#?}");
    assert_eq!(fs::read_to_string(&zone).unwrap(), before);
    // A link instead of the file: whoever can change it would decide what is written.
    let link = inline.tree.sandbox.join("inline/link");
    std::os::unix::fs::symlink(&zone, &link).unwrap();
    let mut command = place.sandbox().sshanchor();
    command.args(["publish", "--name", OWNER, "--zone", ZONE, "--reload", "true", "--zone-file"]).arg(&link);
    command.arg("--state").arg(place.sandbox().join("state"));
    let refused = run(command.arg("--host-key").arg(keys.key('a')), super::LIMIT);
    assert!(refused.code == Some(1) && refused.stderr.contains("symbolic link"), "{refused:#?}");
}

#[test]
fn exactly_one_place_is_named() {
    let sandbox = crate::support::Sandbox::new();
    let attempt = |arguments: &[&str]| {
        let finished =
            run(sandbox.sshanchor().args(["publish", "--name", OWNER]).args(arguments), super::LIMIT);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
        finished.stderr
    };
    for place in ["--server", "--powerdns", "--zone-file", "--exec"] {
        assert!(attempt(&[]).contains(place));
    }
    for wrong in [
        &["--server", "127.0.0.1", "--exec", "x", "--zone", ZONE][..],
        &["--powerdns", "http://127.0.0.1"],
        &["--powerdns", "ftp://127.0.0.1", "--api-key-file", "/x"],
        &["--zone-file", "/x", "--zone", ZONE],
        &["--zone-file", "/x", "--reload", "true"],
        &["--exec", "x"],
        &["--exec", "'", "--zone", ZONE],
        &["--exec", "x", "--zone", ZONE, "--key-file", "/x"],
        &["--server", "127.0.0.1", "--api-key-file", "/x"],
    ] {
        attempt(wrong);
    }
    let state = sandbox.join("state").display().to_string();
    // A roll waits for what name servers show.
    // Root's own folders would be the system's.
    let ca = |arguments: &[&str]| {
        let mut command = sandbox.sshanchor();
        command.arg("ca").args(arguments).arg("--ca").arg(sandbox.join("ca"));
        run(&mut command, super::LIMIT)
    };
    assert_eq!(ca(&["init", "--domain", ZONE]).code, Some(0));
    let rolled = ca(&["roll", "--start", "--exec", "false", "--zone", ZONE, "--state", &state]);
    assert!(rolled.code == Some(2) && rolled.stderr.contains("--server"), "{rolled:#?}");
    assert!(!ca(&["list"]).stdout.contains("next"));
}
