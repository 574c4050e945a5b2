//! `lookup`: what it proves, what it does not, and how it tells one from the other.

mod ways;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::knot::KnotTree;
use crate::support::peer::command;
use crate::support::unbound::{Unbound, stubs};
use crate::support::zone::Parent;
use crate::support::{Finished, Tree, Zone, run, run_ok};

const LIMIT: Duration = Duration::from_secs(30);
const DIGEST: &str = "aa00000000000000000000000000000000000000000000000000000000000055";

fn sshfp(owner: &str) -> String {
    format!("{owner} SSHFP 4 2 {DIGEST}")
}

/// `lookup NAME --type TYPE --json` with further arguments, and what it said.
fn lookup(tree: &Tree, resolver: SocketAddr, name: &str, rtype: &str, more: &[&str]) -> (Finished, Value) {
    let mut command = tree.sshanchor(resolver);
    let finished = run(command.args(["lookup", name, "--type", rtype, "--json"]).args(more), LIMIT);
    let json = finished.json_lines().pop().unwrap_or_else(|| panic!("no JSON: {finished:#?}"));
    (finished, json)
}

/// The status of SSHFP at `name`; checks that the exit status goes with it.
fn status(tree: &Tree, resolver: SocketAddr, name: &str) -> String {
    let (finished, json) = lookup(tree, resolver, name, "SSHFP", &[]);
    let status = json["status"].as_str().unwrap_or_else(|| panic!("{finished:#?}")).to_owned();
    assert_eq!(finished.code == Some(0), status == "secure", "{finished:#?}");
    status
}

#[test]
fn a_signed_record_is_secure_and_shown_in_presentation_form() {
    let tree = Tree::plan().record(&sshfp("web1.example.test.")).start();
    let unbound = Unbound::validating(&tree);
    let (finished, json) = lookup(&tree, unbound.addr(), "web1.example.test", "SSHFP", &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(json["status"], "secure");
    assert_eq!(json["type"], "SSHFP");
    assert_eq!(json["rcode"], "NOERROR");
    assert!(json["name"].as_str().unwrap().starts_with("web1.example.test"));
    assert!(json["reason"].is_null(), "{json}");
    assert!(json["valid_until"].as_str().unwrap().ends_with('Z'), "{json}");
    let record = json["records"][0].as_str().unwrap().to_lowercase();
    assert_eq!(record, format!("4 2 {DIGEST}"));

    let mut command = tree.sshanchor(unbound.addr());
    let text = run(command.args(["lookup", "web1.example.test", "--type", "SSHFP"]), LIMIT);
    assert_eq!(text.code, Some(0), "{text:#?}");
    assert!(text.stdout.to_lowercase().contains(DIGEST), "{text:#?}");
}

#[test]
fn other_types_are_proven_as_well() {
    let tree = Tree::plan().record("web1.example.test. TXT \"hello there\"").start();
    for (name, rtype, want) in [
        ("web1.example.test", "A", "127.0.0.1"),
        ("example.test", "NS", "ns.example.test."),
        ("web1.example.test", "TXT", "\"hello there\""),
    ] {
        let (finished, json) = lookup(&tree, tree.addr(), name, rtype, &[]);
        assert_eq!(json["status"], "secure", "{finished:#?}");
        assert_eq!(json["records"], serde_json::json!([want]));
    }
    for rtype in ["SOA", "DNSKEY", "DS"] {
        let (finished, json) = lookup(&tree, tree.addr(), "example.test", rtype, &[]);
        assert_eq!(json["status"], "secure", "{finished:#?}");
    }
}

#[test]
fn unsigned_absent_and_broken_are_three_statuses_with_hints_of_their_own() {
    let tree = Tree::plan().record(&sshfp("web1.plain.test.")).record(&sshfp("web1.broken.test.")).start();
    let unbound = Unbound::validating(&tree);
    let mut said = Vec::new();
    for (name, want) in
        [("web1.plain.test", "insecure"), ("web1.example.test", "absent"), ("web1.broken.test", "bogus")]
    {
        let (finished, json) = lookup(&tree, unbound.addr(), name, "SSHFP", &[]);
        assert_eq!(json["status"], want, "{finished:#?}");
        assert_eq!(finished.code, Some(4), "{finished:#?}");
        let reason = json["reason"].as_str().unwrap_or_default().to_owned();
        assert!(!reason.is_empty(), "{finished:#?}");
        let mut command = tree.sshanchor(unbound.addr());
        let text = run(command.args(["lookup", name, "--type", "SSHFP"]), LIMIT);
        assert_eq!(text.code, Some(4), "{text:#?}");
        let hint = text.stdout.lines().chain(text.stderr.lines()).find(|line| line.contains("hint:"));
        let hint = hint.unwrap_or_else(|| panic!("no hint: {text:#?}")).to_owned();
        said.push((reason, hint));
    }
    for (i, (reason, hint)) in said.iter().enumerate() {
        assert!(said[..i].iter().all(|(r, h)| r != reason && h != hint), "{said:#?}");
    }
}

#[test]
fn absence_is_proven_by_nsec_and_by_nsec3_and_told_by_its_rcode() {
    let tree = Tree::plan().with("sub.example.test.", |zone| zone.nsec3()).start();
    for zone in ["example.test", "other.test", "sub.example.test"] {
        for (name, rcode) in [(format!("web1.{zone}"), "NOERROR"), (format!("nobody.{zone}"), "NXDOMAIN")] {
            let (finished, json) = lookup(&tree, tree.addr(), &name, "SSHFP", &[]);
            assert_eq!(json["status"], "absent", "{name}: {finished:#?}");
            assert_eq!(json["rcode"], rcode, "{name}: {finished:#?}");
            assert_eq!(json["records"], serde_json::json!([]), "{name}");
        }
    }
}

#[test]
fn trust_starts_at_a_dnskey_a_ds_or_the_key_of_an_island() {
    let island = Zone::signed("island.test.").parent(Parent::NoDs).hosts();
    let tree = Tree::plan()
        .zone(island)
        .record(&sshfp("web1.example.test."))
        .record(&sshfp("web1.island.test."))
        .start();
    let under = |anchor: &std::path::Path, name: &str| {
        let (_, json) =
            lookup(&tree, tree.addr(), name, "SSHFP", &["--trust-anchor", anchor.to_str().unwrap()]);
        json["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(under(&tree.anchor(), "web1.example.test"), "secure");
    assert_eq!(under(&tree.anchor_ds(), "web1.example.test"), "secure");
    assert_eq!(under(&tree.anchor_of("test."), "web1.example.test"), "secure");
    assert_eq!(under(&tree.anchor_of("example.test."), "web1.example.test"), "secure");

    assert_eq!(under(&tree.anchor(), "web1.island.test"), "insecure");
    assert_eq!(under(&tree.anchor_of("island.test."), "web1.island.test"), "secure");
    // What is not below the only anchor has nothing to rest on.
    assert_ne!(under(&tree.anchor_of("island.test."), "web1.example.test"), "secure");
    // Of several anchors the closest alone counts: a wrong one is not made good by the root's.
    let root = std::fs::read_to_string(tree.anchor()).unwrap();
    let wrong = tree.keys("other.test.").dnskey_line().replace("other.test.", "example.test.");
    let both = tree.sandbox.write("both.key", &format!("{root}{wrong}"));
    assert_ne!(under(&both, "web1.example.test"), "secure");
    let both = tree.sandbox.write("both.key", &format!("{root}{}", tree.keys("example.test.").dnskey_line()));
    assert_eq!(under(&both, "web1.example.test"), "secure");
}

#[test]
fn without_the_private_root_among_the_anchors_nothing_is_secure() {
    let tree = Tree::plan().record(&sshfp("web1.example.test.")).start();
    let mut command = tree.sshanchor(tree.addr());
    command.env_remove("SSHANCHOR_TRUST_ANCHOR");
    let finished = run(command.args(["lookup", "web1.example.test", "--type", "SSHFP", "--json"]), LIMIT);
    assert_eq!(finished.json()["status"], "bogus", "{finished:#?}");
    assert_eq!(finished.code, Some(4), "{finished:#?}");
}

#[test]
fn strong_algorithms_prove_and_sha1_does_not() {
    let mut plan = Tree::plan();
    let strong = ["RSASHA256", "RSASHA512", "ECDSAP384SHA384", "ED25519"];
    for algorithm in strong.iter().chain(&["RSASHA1", "NSEC3RSASHA1"]) {
        let name = format!("{}.test.", algorithm.to_lowercase());
        let mut zone = Zone::signed(&name).algorithm(algorithm).hosts();
        zone.nsec3 = algorithm.contains("NSEC3");
        plan = plan.zone(zone).record(&sshfp(&format!("web1.{name}")));
    }
    // named signs with them as well.
    for algorithm in strong {
        let name = format!("live-{}.test.", algorithm.to_lowercase());
        plan = plan.zone(Zone::dynamic(&name).algorithm(algorithm)).record(&sshfp(&format!("web1.{name}")));
    }
    let tree = plan.start();
    for algorithm in strong.map(str::to_lowercase) {
        assert_eq!(status(&tree, tree.addr(), &format!("web1.{algorithm}.test")), "secure", "{algorithm}");
        assert_eq!(
            status(&tree, tree.addr(), &format!("web1.live-{algorithm}.test")),
            "secure",
            "{algorithm}"
        );
    }
    // A zone whose DS records are all of an unsupported algorithm is as good as unsigned (RFC 4035
    // section 5.2).
    for algorithm in ["rsasha1", "nsec3rsasha1"] {
        assert_eq!(status(&tree, tree.addr(), &format!("web1.{algorithm}.test")), "insecure", "{algorithm}");
    }
}

#[test]
fn what_knot_signs_is_judged_alike() {
    let knot = KnotTree::start();
    knot.update(&format!("update add web1.example.test. 60 SSHFP 4 2 {DIGEST}"));
    let resolver = knot.unbound.addr();
    assert_eq!(status(&knot.tree, resolver, "web1.example.test"), "secure");
    assert_eq!(status(&knot.tree, resolver, "web2.example.test"), "absent");
    assert_eq!(status(&knot.tree, resolver, "nobody.example.test"), "absent");
}

#[test]
fn a_ds_of_sha1_alone_proves_nothing() {
    let tree = Tree::plan()
        .zone(Zone::signed("weak.test.").parent(Parent::Sha1Ds))
        .record(&sshfp("web1.weak.test."))
        .start();
    assert_eq!(status(&tree, tree.addr(), "web1.weak.test"), "insecure");
    // The key itself is sound: an anchor for it proves.
    let anchor = tree.anchor_of("weak.test.");
    let more = ["--trust-anchor", anchor.to_str().unwrap()];
    let (finished, json) = lookup(&tree, tree.addr(), "web1.weak.test", "SSHFP", &more);
    assert_eq!(json["status"], "secure", "{finished:#?}");
}

#[test]
fn an_alias_is_secure_only_if_every_hop_is() {
    let tree = Tree::plan()
        .record(&sshfp("web1.example.test."))
        .record(&sshfp("web1.other.test."))
        .record(&sshfp("web1.plain.test."))
        .record(&sshfp("web1.broken.test."))
        .record("same.example.test. CNAME web1.example.test.")
        .record("far.example.test. CNAME web1.other.test.")
        .record("twice.sub.example.test. CNAME far.example.test.")
        .record("unsigned.example.test. CNAME web1.plain.test.")
        .record("bad.example.test. CNAME web1.broken.test.")
        .record("gone.example.test. CNAME nobody.other.test.")
        .record("none.example.test. CNAME web2.other.test.")
        .record("loop.example.test. CNAME pool.example.test.")
        .record("pool.example.test. CNAME loop.example.test.")
        .record("back.plain.test. CNAME web1.example.test.")
        .record("moved.example.test. DNAME other.test.")
        .start();
    let unbound = Unbound::validating(&tree);
    for resolver in [tree.addr(), unbound.addr()] {
        for (name, want) in [
            ("same.example.test", "secure"),
            ("far.example.test", "secure"),
            ("twice.sub.example.test", "secure"),
            ("unsigned.example.test", "insecure"),
            ("bad.example.test", "bogus"),
            ("gone.example.test", "absent"),
            ("none.example.test", "absent"),
            ("back.plain.test", "insecure"),
            ("web1.moved.example.test", "secure"),
        ] {
            assert_eq!(status(&tree, resolver, name), want, "{name} at {resolver}");
        }
        assert_ne!(status(&tree, resolver, "loop.example.test"), "secure");
    }
}

#[test]
fn a_wildcard_vouches_for_nobody_but_a_name_beside_it_stands_for_itself() {
    let tree = Tree::plan()
        .record(&sshfp("*.wild.example.test."))
        .record(&sshfp("web1.wild.example.test."))
        .record("*.alias.example.test. CNAME web1.wild.example.test.")
        .start();
    assert_eq!(status(&tree, tree.addr(), "web1.wild.example.test"), "secure");
    assert_ne!(status(&tree, tree.addr(), "web2.wild.example.test"), "secure");
    assert_ne!(status(&tree, tree.addr(), "any.alias.example.test"), "secure");
}

#[test]
fn signatures_count_only_in_their_time() {
    let tree = Tree::plan()
        .zone(Zone::signed("expired.test.").valid("20260101000000", "20260201000000").hosts())
        .zone(Zone::signed("early.test.").valid("now+864000", "now+1728000").hosts())
        .record(&sshfp("web1.expired.test."))
        .record(&sshfp("web1.early.test."))
        .start();
    for (name, word) in [("web1.expired.test", "expired"), ("web1.early.test", "valid")] {
        let (finished, json) = lookup(&tree, tree.addr(), name, "SSHFP", &[]);
        assert_eq!(json["status"], "bogus", "{finished:#?}");
        let told = format!("{}{}", finished.stdout, finished.stderr);
        assert!(told.contains(word), "{finished:#?}");
    }
}

/// unbound-host's word for a name, in ours.
fn second_opinion(conf: &std::path::Path, name: &str) -> String {
    let mut host = command("unbound-host");
    let text = run_ok(host.arg("-C").arg(conf).args(["-v", "-t", "SSHFP", name]));
    let nothing = text.contains(" has no ") || text.contains(" not found");
    match text.lines().all(|line| line.contains("(secure)")) {
        _ if text.contains("(BOGUS") => "bogus",
        true if nothing => "absent",
        true => "secure",
        false => "insecure",
    }
    .to_owned()
}

/// delv's word: whether every record of the answer is fully validated.
fn delv(tree: &Tree, anchors: &std::path::Path, name: &str) -> bool {
    let mut delv: Command = command("delv");
    delv.arg(format!("@{}", tree.addr().ip())).args(["-p", &tree.addr().port().to_string()]);
    let finished = run(delv.arg("-a").arg(anchors).args(["+root=.", name, "SSHFP"]), LIMIT);
    let text = &finished.stdout;
    let answered = text.lines().any(|line| line.contains("\tSSHFP\t"));
    answered && text.contains("; fully validated") && !text.contains("; unsigned")
}

#[test]
fn unbound_and_delv_are_of_the_same_opinion() {
    let mut plan = Tree::plan()
        .record("far.example.test. CNAME web1.other.test.")
        .record("unsigned.example.test. CNAME web1.plain.test.")
        .record("gone.example.test. CNAME nobody.other.test.")
        .record("_22._ssh.web1.example.test. TXT below")
        .record("_22._ssh.web1.other.test. TXT below")
        .record("*.wild.example.test. TXT any")
        .record("*.wild.other.test. TXT any")
        .zone(Zone::signed("p384.test.").algorithm("ECDSAP384SHA384").combined().nsec3());
    for zone in ["example", "sub.example", "other", "plain", "broken", "p384"] {
        plan = plan.record(&sshfp(&format!("web1.{zone}.test.")));
    }
    let tree = plan.start();
    let unbound = Unbound::start(&stubs(&tree), Some(&tree.anchor()));
    let key = tree.keys(".").dnskey_line();
    let key = key.trim_end().split_once(" DNSKEY 257 3 13 ").unwrap().1;
    let anchors = format!("trust-anchors {{ . static-key 257 3 13 \"{key}\"; }};\n");
    let anchors = tree.sandbox.write("delv.keys", &anchors);
    let cases = [
        ("web1.example.test", "secure"),
        ("web1.sub.example.test", "secure"),
        ("web1.other.test", "secure"),
        ("web1.plain.test", "insecure"),
        ("web1.broken.test", "bogus"),
        ("web1.p384.test", "secure"),
        ("web2.example.test", "absent"),
        ("web2.other.test", "absent"),
        ("nobody.other.test", "absent"),
        ("far.example.test", "secure"),
        ("unsigned.example.test", "insecure"),
        ("gone.example.test", "absent"),
        // Between names that exist, and below a wildcard that has other types.
        ("_ssh.web1.example.test", "absent"),
        ("_ssh.web1.other.test", "absent"),
        ("any.wild.example.test", "absent"),
        ("any.wild.other.test", "absent"),
        ("a.b.c.nobody.example.test", "absent"),
        ("a.b.c.nobody.other.test", "absent"),
        ("example.test", "absent"),
        ("nobody.plain.test", "insecure"),
    ];
    for (name, want) in cases {
        assert_eq!(second_opinion(unbound.conf(), name), want, "{name}: unbound-host");
        assert_eq!(delv(&tree, &anchors, name), want == "secure", "{name}: delv");
    }
    for (name, want) in cases {
        assert_eq!(status(&tree, unbound.addr(), name), want, "{name}");
    }
}
