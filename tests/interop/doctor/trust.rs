//! The clock and the trust anchors, by zones that real tools have signed.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Zone;
use crate::support::zone::Parent;

use super::*;

/// What is found where the root is signed for these times.
fn root_signed(start: &str, end: &str) -> Found {
    let tree = plan().with(".", |zone| zone.valid(start, end)).start();
    doctor(&tree, tree.addr(), &[])
}

#[test]
fn a_clock_that_fits_no_signature_is_told_with_its_direction() {
    let fits = root_signed("now-3600", "now+259200");
    assert_eq!(fits.severity("clock"), "ok");
    let ahead = root_signed("now-864000", "now-432000");
    assert_eq!((ahead.severity("clock"), ahead.severity("anchor-proof")), ("error", "error"));
    assert!(ahead.message("clock").contains("ahead") && ahead.message("clock").contains("5 days"));
    let behind = root_signed("now+432000", "now+864000");
    assert_eq!(behind.severity("clock"), "error");
    assert!(behind.message("clock").contains("behind"), "{:#?}", behind.finished);
}

#[test]
fn anchors_are_compared_with_the_keys_that_the_zone_has() {
    // A second key signing key stands by, as in a rollover.
    let tree = plan().with(".", |zone| zone.key(&["-f", "KSK"])).start();
    let keys = tree.keys(".");
    let look =
        |anchor: &std::path::Path| doctor(&tree, tree.addr(), &["--trust-anchor", anchor.to_str().unwrap()]);
    let one = look(&tree.anchor());
    assert_eq!((one.severity("anchor-proof"), one.severity("anchor-rollover")), ("ok", "warning"));
    assert!(one.all("anchor-stale").is_empty());
    let next = fs::read_to_string(format!("{}.key", keys.more[0].display())).unwrap();
    let both = look(&tree.sandbox.write("both.anchor", &(keys.dnskey_line() + &next)));
    assert_eq!((both.severity("anchor-proof"), both.severity("anchor-rollover")), ("ok", "ok"));
    assert_eq!(both.complaints(), Vec::<&str>::new(), "{:#?}", both.finished);

    // A key of another zone, beside the right one and alone.
    let other = tree.keys("other.test.").dnskey_line().replace("other.test.", ".");
    let stale = look(&tree.sandbox.write("stale.anchor", &(keys.dnskey_line() + &next + &other)));
    assert_eq!((stale.severity("anchor-proof"), stale.severity("anchor-stale")), ("ok", "warning"));
    let wrong = look(&tree.sandbox.write("wrong.anchor", &other));
    assert_eq!(wrong.severity("anchor-proof"), "error");
    let broken = look(&tree.sandbox.write("broken.anchor", "no anchor"));
    assert_eq!((broken.severity("anchor-file"), broken.finished.code), ("error", Some(1)));
}

#[test]
fn anchors_of_a_zone_below_are_compared_with_its_own_keys() {
    let island = Zone::signed("island.test.").parent(Parent::NoDs).valid("now-3600", "now+259200").hosts();
    let record = format!("web1.island.test. SSHFP 4 2 {DIGEST}");
    let tree = plan().zone(island).record(&record).start();
    let anchor = tree.anchor_of("island.test.");
    let anchor = anchor.to_str().unwrap();
    let found = doctor(&tree, tree.addr(), &["--trust-anchor", anchor, "web1.island.test"]);
    assert_eq!(found.complaints(), Vec::<&str>::new(), "{:#?}", found.finished);
    assert_eq!(found.severity("chain"), "ok");
    assert!(found.message("resolver-dnssec").contains("island.test"));
    let beside = doctor(&tree, tree.addr(), &["--trust-anchor", anchor, HOST]);
    assert_eq!(beside.severity("chain"), "error", "nothing encloses it");
}

#[test]
fn an_anchor_file_that_others_may_write_is_told() {
    let tree = plan().start();
    // The tree's own is written anew by each run.
    let anchor = tree.sandbox.join("own.anchor");
    fs::copy(tree.anchor(), &anchor).unwrap();
    let look = |mode| {
        fs::set_permissions(&anchor, fs::Permissions::from_mode(mode)).unwrap();
        doctor(&tree, tree.addr(), &["--trust-anchor", anchor.to_str().unwrap()])
    };
    assert!(look(0o644).all("file-mode").is_empty());
    let exposed = look(0o666);
    assert_eq!((exposed.severity("file-mode"), exposed.finished.code), ("warning", Some(5)));
}

#[test]
fn built_in_anchors_do_not_fit_a_private_root() {
    let tree = plan().start();
    let mut command = tree.sandbox.sshanchor();
    let resolver = tree.addr().to_string();
    let finished = run(command.args(["doctor", "--json", "--resolver", &resolver]), LIMIT);
    let found = Found { findings: finished.json_lines(), finished };
    assert_eq!((found.severity("anchor-proof"), found.severity("anchor-age")), ("error", "ok"));
    assert_eq!(found.severity("clock"), "info", "signatures of strangers say nothing");
    assert_eq!(found.finished.code, Some(1));
}
