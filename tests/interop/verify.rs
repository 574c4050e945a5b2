//! `verify` against real servers: evidence, handshake, verdict.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::support::dropbear::Dropbear;
use crate::support::peer::command;
use crate::support::port::Port;
use crate::support::sshd::{KEY_TYPES, Sshd, sshfp_lines};
use crate::support::tree::Plan;
use crate::support::unbound::Unbound;
use crate::support::{Finished, Tree, run, run_ok};

const HOST: &str = "web1.example.test.";
const LIMIT: Duration = Duration::from_secs(30);

/// A plan in which `sshd`'s keys are published at `owner`.
fn published(plan: Plan, sshd: &Sshd, owner: &str) -> Plan {
    sshd.sshfp(owner).iter().fold(plan, |plan, line| plan.record(line))
}

fn verify(tree: &Tree, targets: &[&str]) -> Finished {
    let mut command = tree.sshanchor(tree.addr());
    run(command.arg("verify").args(targets).args(["--json", "--timeout", "5"]), LIMIT)
}

/// The verdict and the reason on one server.
fn verdict(tree: &Tree, host: &str, port: u16) -> (Value, Finished) {
    let finished = verify(tree, &[&format!("{}:{port}", host.trim_end_matches('.'))]);
    (finished.json(), finished)
}

#[track_caller]
fn expect(tree: &Tree, host: &str, port: u16, want: &str, reason: &str, code: i32) {
    let (json, finished) = verdict(tree, host, port);
    assert_eq!(json["verdict"].as_str().unwrap_or_default(), want, "{finished:#?}");
    assert_eq!(json["reason"].as_str().unwrap_or_default(), reason, "{finished:#?}");
    assert_eq!(finished.code, Some(code), "{finished:#?}");
}

#[test]
fn a_published_key_of_every_type_is_accepted_and_named() {
    for (name, _) in KEY_TYPES {
        let sshd = Sshd::start(&[name]);
        let tree = published(Tree::plan(), &sshd, HOST).start();
        let (json, finished) = verdict(&tree, HOST, sshd.port());
        assert_eq!(json["verdict"], "accept", "{name}: {finished:#?}");
        assert_eq!(finished.code, Some(0));
        assert_eq!(json["host"], "web1.example.test");
        assert_eq!(json["port"], sshd.port());
        assert_eq!(json["source"], "dns");
        assert!(json["valid_until"].as_str().unwrap().ends_with('Z'), "{json}");
        let line = sshd.sshfp(HOST).remove(0);
        let digest = line.rsplit(' ').next().unwrap();
        assert_eq!(json["key"]["sha256"], digest, "{name}: {json}");
        let blob = std::fs::read_to_string(sshd.host_key(name)).unwrap();
        assert_eq!(json["key"]["type"], blob.split(' ').next().unwrap(), "{json}");
    }
}

#[test]
fn a_published_key_on_another_curve_is_found() {
    // All three curves are one algorithm in SSHFP; a probe meets P-256 first.
    let sshd = Sshd::start(&["ecdsa256", "ecdsa384"]);
    let line = sshfp_lines(&sshd.host_key("ecdsa384"), HOST).remove(0);
    let tree = Tree::plan().record(&line).start();
    let (json, finished) = verdict(&tree, HOST, sshd.port());
    assert_eq!(json["verdict"], "accept", "{finished:#?}");
    assert_eq!(json["key"]["type"], "ecdsa-sha2-nistp384");
    let impostor = Sshd::start(&["ecdsa256", "ecdsa384"]);
    let (json, finished) = verdict(&tree, HOST, impostor.port());
    assert_eq!(json["reason"], "key-mismatch", "{finished:#?}");
    assert_eq!((json["verdict"].as_str(), finished.code), (Some("reject"), Some(3)));
}

#[test]
fn only_published_types_are_offered() {
    // sshd would prefer Ed25519; its RSA key alone is published.
    let sshd = Sshd::start(&["ed25519", "rsa"]);
    let line = sshfp_lines(&sshd.host_key("rsa"), HOST).remove(0);
    let tree = Tree::plan().record(&line).start();
    let (json, finished) = verdict(&tree, HOST, sshd.port());
    assert_eq!(json["verdict"], "accept", "{finished:#?}");
    assert_eq!(json["key"]["type"], "ssh-rsa", "{finished:#?}");
    // A server without a key of a published type is rejected.
    let other = Sshd::start(&["ed25519"]);
    let (json, finished) = verdict(&tree, HOST, other.port());
    assert_eq!((&json["verdict"], finished.code), (&Value::from("reject"), Some(3)), "{finished:#?}");
}

#[test]
fn verifying_never_authenticates() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = published(Tree::plan(), &sshd, HOST).start();
    let mark = sshd.mark();
    expect(&tree, HOST, sshd.port(), "accept", "", 0);
    sshd.wait_closed(mark);
    assert!(sshd.saw_newkeys(mark), "the signature is checked to the end of the key exchange");
    assert!(!sshd.saw_userauth(mark));
}

#[test]
fn a_changed_key_is_rejected_until_it_is_published() {
    let mut sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let tree = published(Tree::plan(), &sshd, HOST).start();
    expect(&tree, HOST, sshd.port(), "accept", "", 0);
    sshd.rotate_host_keys();
    expect(&tree, HOST, sshd.port(), "reject", "key-mismatch", 3);
    tree.update(&sshd.sshfp_update(HOST));
    expect(&tree, HOST, sshd.port(), "accept", "", 0);
}

#[test]
fn where_nothing_vouches_the_verdict_is_unproven_and_says_why() {
    let sshd = Sshd::start(&["ed25519"]);
    let mut plan = published(Tree::plan(), &sshd, "web1.plain.test.");
    plan = published(plan, &sshd, "web1.broken.test.");
    let sha1 =
        run_ok(command("ssh-keygen").args(["-r", "web3.example.test.", "-f"]).arg(sshd.host_key("ed25519")));
    let sha1 = sha1.lines().find(|line| line.contains("SSHFP 4 1 ")).unwrap().to_owned();
    let tree = plan.record(&sha1).start();
    let mark = sshd.mark();
    for (host, reason) in [
        ("web2.example.test", "no-record"),
        ("web1.plain.test", "insecure"),
        ("web3.example.test", "sha1-only"),
    ] {
        expect(&tree, host, sshd.port(), "unproven", reason, 4);
    }
    let (json, finished) = verdict(&tree, "web1.broken.test", sshd.port());
    assert_eq!((&json["verdict"], finished.code), (&Value::from("unproven"), Some(4)), "{finished:#?}");
    let (json, finished) = verdict(&tree, "nobody.example.test", sshd.port());
    assert_eq!((&json["verdict"], finished.code), (&Value::from("unproven"), Some(4)), "{finished:#?}");
    let (json, finished) = verdict(&tree, "127.0.0.1", sshd.port());
    assert_eq!((&json["verdict"], finished.code), (&Value::from("unproven"), Some(4)), "{finished:#?}");
    assert!(!sshd.process.log()[mark..].contains("userauth"), "nobody was to authenticate");
}

#[test]
fn a_key_under_a_port_label_counts_on_that_port_alone() {
    let sshd = Sshd::start(&["ed25519"]);
    let other = Sshd::start(&["ecdsa256"]);
    let label = |port: u16| format!("_{port}._ssh.{HOST}");
    let tree = published(Tree::plan(), &sshd, &label(sshd.port())).start();
    // The host itself has no SSHFP at all.
    expect(&tree, HOST, sshd.port(), "accept", "", 0);
    expect(&tree, HOST, other.port(), "unproven", "no-record", 4);
    // The label adds to what the host's own set says.
    tree.update(&other.sshfp_update(HOST));
    expect(&tree, HOST, sshd.port(), "accept", "", 0);
    expect(&tree, HOST, other.port(), "accept", "", 0);
    let moved = format!(
        "{}\n{}",
        sshd.sshfp_update(&label(22)),
        format_args!("update delete {} SSHFP", label(sshd.port()))
    );
    tree.update(&moved);
    expect(&tree, HOST, sshd.port(), "reject", "key-type-not-published", 3);
}

#[test]
fn an_alias_is_followed_through_secure_zones_alone() {
    let sshd = Sshd::start(&["ed25519"]);
    let mut plan = published(Tree::plan(), &sshd, "web1.other.test.");
    plan = published(plan, &sshd, "web1.plain.test.");
    let tree = plan
        .record("far.example.test. CNAME web1.other.test.")
        .record("unsigned.example.test. CNAME web1.plain.test.")
        .start();
    // A recursor, which finds the addresses behind an alias into another zone.
    let unbound = Unbound::validating(&tree);
    for (host, code) in [("far.example.test", 0), ("unsigned.example.test", 4)] {
        let mut command = tree.sshanchor(unbound.addr());
        let target = format!("{host}:{}", sshd.port());
        let finished = run(command.args(["verify", &target, "--json"]), LIMIT);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        let (verdict, reason) =
            if code == 0 { ("accept", Value::Null) } else { ("unproven", "insecure".into()) };
        assert_eq!((&finished.json()["verdict"], &finished.json()["reason"]), (&verdict.into(), &reason));
    }
}

#[test]
fn of_several_hosts_each_has_its_line_and_the_gravest_decides() {
    let (good, bad) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519"]));
    let tree = published(Tree::plan(), &good, HOST).start();
    let nobody = Port::free();
    let target = |host: &str, port: u16| format!("{host}.example.test:{port}");
    let accepted = target("web1", good.port());
    let (rejected, unproven) = (target("web1", bad.port()), target("web2", good.port()));
    let unreachable = target("web1", nobody.number());
    for (targets, code) in [
        (vec![&accepted, &accepted], 0),
        (vec![&accepted, &unreachable], 1),
        (vec![&unreachable, &unproven, &accepted], 4),
        (vec![&unproven, &rejected, &unreachable, &accepted], 3),
    ] {
        let names: Vec<&str> = targets.iter().map(|t| t.as_str()).collect();
        let finished = verify(&tree, &names);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        let lines = finished.json_lines();
        assert_eq!(lines.len(), targets.len(), "{finished:#?}");
        for target in targets {
            let (host, port) = target.split_once(':').unwrap();
            let line = |l: &&Value| l["host"] == host && l["port"].as_u64() == port.parse().ok();
            assert!(lines.iter().any(|l| line(&l)), "{target}: {finished:#?}");
        }
    }
}

#[test]
fn a_server_that_says_nothing_or_nonsense_ends_at_the_deadline() {
    let sshd = Sshd::start(&["ed25519"]);
    let tree = published(Tree::plan(), &sshd, HOST).start();
    // It accepts connections into its backlog and never reads.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("web1.example.test:{}", mute.local_addr().unwrap().port());
    let mut command = tree.sshanchor(tree.addr());
    let finished = run(command.args(["verify", &target, "--json", "--timeout", "2"]), LIMIT);
    assert!(![Some(0), None].contains(&finished.code), "{finished:#?}");
    assert!(finished.elapsed < Duration::from_secs(6), "{finished:#?}");
    assert_ne!(finished.json()["verdict"], "accept");
    // A DNS server is no SSH server.
    let target = format!("web1.example.test:{}", tree.addr().port());
    let mut command = tree.sshanchor(tree.addr());
    let finished = run(command.args(["verify", &target, "--json", "--timeout", "2"]), LIMIT);
    assert!(![Some(0), None].contains(&finished.code), "{finished:#?}");
    assert_ne!(finished.json()["verdict"], "accept");
}

#[test]
fn dropbear_is_verified_as_well() {
    let dropbear = Dropbear::start();
    let plan = dropbear.sshfp(HOST).iter().fold(Tree::plan(), |plan, line| plan.record(line));
    let tree = plan.start();
    expect(&tree, HOST, dropbear.port(), "accept", "", 0);
}

/// The zone of a host behind a DNAME is not known; whoever signs the way to its keys may revoke them all the same.
#[test]
fn behind_a_dname_keys_are_revoked_as_well() {
    let (own, labelled) = (Sshd::start(&["ed25519"]), Sshd::start(&["ed25519"]));
    let (host, target, revoked) =
        ("web1.old.example.test", "web1.new.example.test.", "_revoked._ssh.example.test.");
    let start = |revokes: Option<&Sshd>| {
        let mut plan = Tree::plan()
            .record("old.example.test. DNAME new.example.test.")
            .record(&format!("{target} A 127.0.0.1"))
            .record(&format!("{revoked} SSHFP 1 2 {}", "0".repeat(64)));
        plan = published(plan, &own, target);
        for port in [own.port(), labelled.port()] {
            plan = published(plan, &labelled, &format!("_{port}._ssh.{target}"));
        }
        revokes.into_iter().fold(plan, |plan, sshd| published(plan, sshd, revoked)).start()
    };
    let tree = start(None);
    expect(&tree, host, own.port(), "accept", "", 0);
    expect(&tree, host, labelled.port(), "accept", "", 0);
    let tree = start(Some(&labelled));
    expect(&tree, host, own.port(), "accept", "", 0);
    expect(&tree, host, labelled.port(), "reject", "revoked", 3);
    let tree = start(Some(&own));
    expect(&tree, host, own.port(), "reject", "revoked", 3);
    expect(&tree, host, labelled.port(), "accept", "", 0);
}

#[test]
fn how_it_came_to_its_verdict_is_told_by_whoever_asks() {
    let (sshd, dead) = (Sshd::start(&["ed25519"]), TcpListener::bind("127.0.0.1:0").unwrap());
    let tree = published(Tree::plan(), &sshd, HOST).start();
    // A resolver that does not answer, in front of the one that does.
    let dead = dead.local_addr().unwrap();
    let told = |options: &[&str]| {
        let mut command = tree.sshanchor(dead);
        command.args(["--resolver", &dead.to_string(), "--resolver", &tree.addr().to_string(), "verify"]);
        run(command.args(options).arg(format!("web1.example.test:{}", sshd.port())), LIMIT)
    };
    assert_eq!(told(&[]).stderr, "");
    let (one, two) = (told(&["-v"]), told(&["-vv"]));
    let chain = |text: &str| text.contains("chain . (key ") && text.contains(") -> test (key ");
    for Finished { code, stdout, stderr, .. } in [&one, &two] {
        assert_eq!(*code, Some(0), "{stderr}");
        assert!(stdout.lines().count() == 1 && stdout.contains(" accept: "), "{stdout}");
        let has = |words: &[&str]| stderr.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(has(&["resolvers (named)", &dead.to_string(), &tree.addr().to_string()]), "{stderr}");
        assert!(has(&[&format!("{dead}, asked for web1.example.test"), "SSHFP"]), "{stderr}");
        assert!(has(&["web1.example.test SSHFP: secure, from dns: 1 record"]), "{stderr}");
        assert!(stderr.lines().any(chain), "{stderr}");
        assert!(has(&["connected to", &format!(":{}", sshd.port())]), "{stderr}");
        assert!(has(&[" shows ssh-ed25519 SHA256:", "SSH-2.0-OpenSSH_"]), "{stderr}");
        assert!(stderr.lines().all(|line| line.starts_with("sshanchor: ")), "{stderr}");
    }
    let question = format!("{}, asked for test DNSKEY: NOERROR, ", tree.addr());
    assert!(!one.stderr.contains(&question) && two.stderr.contains(&question), "{two:#?}");
    // What is not proven is told as well.
    let mut command = tree.sshanchor(tree.addr());
    let none = run(command.args(["-v", "verify", "db1.example.test"]), LIMIT);
    assert!(none.stderr.contains("db1.example.test SSHFP: "), "{none:#?}");
    // Before a verdict standard error is the client's own, for asyncssh takes it for the server's.
    let mut proxy = tree.sshanchor(tree.addr());
    let silent = run(proxy.args(["-v", "proxy", "db1.example.test", "22"]), LIMIT);
    assert!(!silent.stderr.contains("resolvers ("), "{silent:#?}");
}
