//! Nothing is published when it must not be: a zone that nobody signs, a clock that is off, a name that would lose its
//! address. Each beside its twin that is published.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::primary::{HOST, LIMIT, Primary, key, list, on_bind_and_knot, private, record, records_at};
use crate::support::clock::shift;
use crate::support::pdns::PdnsTree;
use crate::support::port::Port;
use crate::support::zone::{Parent, Zone};
use crate::support::{Finished, Sandbox, Tree, run, run_ok};

/// `publish --json` at the primary of `tree`.
fn publish(tree: &Tree, more: &[&str]) -> Command {
    let mut command = tree.sandbox.sshanchor();
    let addr = tree.addr().to_string();
    command.args(["publish", "--json", "--server", &addr, "--check-server", &addr, "--key-file"]);
    command.arg(private(tree.tsig("zone"))).arg("--state").arg(tree.sandbox.join("state")).args(more);
    command
}

fn asking(mut command: Command, resolver: &str, anchor: &Path) -> Finished {
    command.env("SSHANCHOR_RESOLVER", resolver).env("SSHANCHOR_TRUST_ANCHOR", anchor);
    run(command.env("SSHANCHOR_CACHE", "off"), LIMIT)
}

fn batch(sandbox: &Sandbox, hosts: &[&str], key: &Path) -> PathBuf {
    let lines: String = hosts.iter().map(|host| format!("{host} {}\n", key.display())).collect();
    sandbox.write(&format!("batch-{:08x}", rand::random::<u32>()), &lines)
}

#[test]
fn an_unsigned_zone_is_warned_of_once_and_refused_where_that_is_asked_for() {
    let tree = Tree::start();
    let a = key(&tree.sandbox, "a");
    let (anchor, resolver) = (tree.anchor(), tree.addr().to_string());
    let hosts = batch(&tree.sandbox, &["web1.plain.test", "web2.plain.test"], &a);
    let hosts = hosts.to_str().unwrap();
    let shown = |host: &str| records_at(tree.addr(), host).0;

    let refused = asking(publish(&tree, &["--require-signed", "--batch", hosts]), &resolver, &anchor);
    assert_eq!(refused.code, Some(4), "{refused:#?}");
    for line in refused.json_lines() {
        assert_eq!((&line["reason"], &line["changed"]), (&"insecure".into(), &false.into()), "{line}");
        assert!(line["error"].as_str().unwrap().ends_with("nothing was sent, the records are as they were"));
        assert!(line["hint"].as_str().unwrap().contains("DS record put into test"), "{line}");
    }
    assert!(shown("web1.plain.test").is_empty() && shown("web2.plain.test").is_empty());
    assert!(!tree.sandbox.join("state").exists(), "nothing is noted as own either");
    // Looking tells the same.
    let looked =
        asking(publish(&tree, &["--require-signed", "--check", "--batch", hosts]), &resolver, &anchor);
    assert_eq!(looked.code, Some(4), "{looked:#?}");

    // Without it: done, and said once. Nobody is asked but the primary.
    let warned = run(&mut publish(&tree, &["--batch", hosts]), LIMIT);
    assert_eq!(warned.code, Some(0), "{warned:#?}");
    assert_eq!(warned.stderr.matches("is not signed at").count(), 1, "{warned:#?}");
    assert!(warned.json_lines().iter().all(|line| line["zone_signing"] == "unsigned"), "{warned:#?}");
    assert_eq!(shown("web2.plain.test"), [record(&a)]);
    // Where it is tried to prove the records, that says it.
    let b = key(&tree.sandbox, "b");
    let other = ["--name", "web3.plain.test", "--host-key", b.to_str().unwrap()];
    let proven = asking(publish(&tree, &other), &resolver, &anchor);
    assert_eq!(proven.code, Some(4), "published, and clients cannot prove it: {proven:#?}");
    assert!(!proven.stderr.contains("is not signed at") && proven.stderr.contains("cannot prove"));

    // The twins: a signed zone.
    let arguments = ["--require-signed", "--name", HOST, "--host-key", a.to_str().unwrap()];
    let good = asking(publish(&tree, &arguments), &resolver, &anchor);
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""), "{good:#?}");
    assert_eq!(good.json()["zone_signing"], "proven");
    let good = run(&mut publish(&tree, &arguments[1..]), LIMIT);
    assert_eq!((good.code, &good.json()["zone_signing"]), (Some(0), &"signed".into()), "{good:#?}");
    // What takes records away asks for nothing of the kind.
    let mut withdraw = tree.sandbox.sshanchor();
    withdraw.args(["withdraw", "--json", "--name", "web1.plain.test", "--server", &tree.addr().to_string()]);
    withdraw.arg("--key-file").arg(tree.tsig("zone")).arg("--state").arg(tree.sandbox.join("state"));
    let gone = run(withdraw.args(["--check-server", &tree.addr().to_string()]), LIMIT);
    assert_eq!((gone.code, gone.stderr.as_str()), (Some(0), ""), "{gone:#?}");
    assert!(gone.json()["zone_signing"].is_null(), "{gone:#?}");
}

#[test]
fn what_cannot_be_proven_is_not_published_where_that_is_configured() {
    let tree = Tree::plan()
        .with("broken.test.", |_| Zone::dynamic("broken.test.").parent(Parent::WrongDs).hosts())
        .zone(Zone::dynamic("island.test.").parent(Parent::NoDs).hosts())
        .start();
    let a = key(&tree.sandbox, "a");
    let (anchor, resolver, nobody) = (tree.anchor(), tree.addr().to_string(), Port::free());
    let attempt = |host: &str, resolver: &str, anchor: &Path| {
        let config = tree.sandbox.write(
            "config.toml",
            &format!(
                "version = 1\n[publish]\nname = \"{host}\"\nserver = \"{}\"\nkey_file = \"{}\"\nhost_keys = [\"{}\"]\n\
                 check_servers = [\"{0}\"]\nrequire_signed = true\n",
                tree.addr(),
                private(tree.tsig("zone")).display(),
                a.display()
            ),
        );
        let mut command = tree.sandbox.sshanchor();
        command.args(["publish", "--json", "--timeout", "6", "--config"]).arg(private(config));
        asking(command, resolver, anchor)
    };
    for (host, resolver, anchor, reason) in [
        ("web1.broken.test", &*resolver, &anchor, "ds-mismatch"),
        ("web1.island.test", &resolver, &anchor, "insecure"),
        (HOST, &resolver, &tree.anchor_of("other.test."), "no-anchor"),
        (HOST, &nobody.addr().to_string(), &anchor, "no-answer"),
    ] {
        let refused = attempt(host, resolver, anchor);
        let json = refused.json();
        assert_eq!((refused.code, &json["reason"]), (Some(4), &reason.into()), "{host}: {refused:#?}");
        assert!(json["error"].as_str().unwrap().contains("nothing was sent"), "{refused:#?}");
        assert!(!json["hint"].is_null() && json["zone_signing"].is_null(), "{refused:#?}");
        assert!(records_at(tree.addr(), host).0.is_empty(), "{host}");
    }
    for (host, anchor) in [(HOST, &anchor), ("web1.island.test", &tree.anchor_of("island.test."))] {
        let good = attempt(host, &resolver, anchor);
        assert_eq!((good.code, &good.json()["zone_signing"]), (Some(0), &"proven".into()), "{good:#?}");
        assert_eq!(records_at(tree.addr(), host).0, [record(&a)]);
    }
}

#[test]
fn a_hidden_primary_without_signatures_is_fine_behind_a_signer() {
    let hidden = Tree::plan().with("example.test.", |_| Zone::unsigned("example.test.").hosts()).start();
    let a = key(&hidden.sandbox, "a");
    let signer = Tree::plan().record(&format!("{HOST}. SSHFP {}", record(&a))).start();
    let (anchor, resolver) = (signer.anchor(), signer.addr().to_string());
    let arguments = ["--require-signed", "--name", HOST, "--host-key", a.to_str().unwrap()];
    let good = asking(publish(&hidden, &arguments), &resolver, &anchor);
    assert_eq!((good.code, good.stderr.as_str()), (Some(0), ""), "{good:#?}");
    assert_eq!((&good.json()["zone_signing"], &good.json()["changed"]), (&"proven".into(), &true.into()));
    // Nobody says that there is a signer.
    let warned = run(&mut publish(&hidden, &arguments[1..]), LIMIT);
    assert!(warned.code == Some(0) && warned.stderr.contains("is not signed at"), "{warned:#?}");
}

on_bind_and_knot! {
    the_clock_is_held_to_what_was_verified_here
    a_name_that_lives_off_a_wildcard_keeps_its_address
    an_alias_and_a_cut_are_told_of
}

fn the_clock_is_held_to_what_was_verified_here(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    let tree = primary.tree();
    let cache = primary.sandbox().join("cache");
    let at = |mut command: Command, offset: &str| {
        shift(&mut command, offset);
        command.env("SSHANCHOR_CACHE", &cache).env("SSHANCHOR_TRUST_ANCHOR", tree.anchor());
        run(&mut command, LIMIT)
    };
    let publish = |offset: &str| {
        let mut command = primary.command("publish", "web1");
        command.args(["--json", "--name", HOST, "--host-key"]).arg(&a);
        at(command, offset)
    };
    // So much is left to the signed update itself, whose server tells its own time.
    let late = publish("-20m");
    assert_eq!((late.code, &late.json()["reason"]), (Some(1), &"badtime".into()), "{late:#?}");
    // What is verified here now has signatures that began an hour ago.
    let mut lookup = tree.sandbox.sshanchor();
    lookup.args(["lookup", "--resolver", &tree.addr().to_string(), "web1.other.test", "--type", "A"]);
    let proven = at(lookup, "+0");
    assert_eq!(proven.code, Some(0), "{proven:#?}");
    let early = publish("-2h");
    assert_eq!((early.code, &early.json()["reason"]), (Some(1), &"clock".into()), "{early:#?}");
    assert!(early.json()["error"].as_str().unwrap().contains("verified here earlier"), "{early:#?}");
    assert!(primary.records(HOST).0.is_empty());
    assert_eq!(publish("+0").code, Some(0));
    assert_eq!(primary.records(HOST).0, [record(&a)]);
}

fn a_name_that_lives_off_a_wildcard_keeps_its_address(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    primary.update("update add *.example.test 60 A 127.0.0.9\nupdate add *.cloud.example.test 60 CNAME web1");
    let hosts = ["new.example.test", "deep.down.example.test", "vm7.cloud.example.test", HOST];
    let file = batch(primary.sandbox(), &hosts, &a);
    let publish = || {
        let mut command = primary.command("publish", "zone");
        run(command.args(["--json", "--batch"]).arg(&file), LIMIT)
    };
    let refused = publish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let lines = refused.json_lines();
    let wildcards = ["*.example.test", "*.example.test", "*.cloud.example.test"];
    for ((line, host), wildcard) in lines.iter().zip(hosts).zip(wildcards) {
        assert_eq!((&line["name"], &line["reason"]), (&host.into(), &"wildcard".into()), "{line}");
        assert!(line["error"].as_str().unwrap().contains(wildcard), "{line}");
        assert!(primary.records(host).0.is_empty(), "{host}");
    }
    // One with an address of its own is no concern of theirs.
    assert_eq!((&lines[3]["error"], &lines[3]["changed"]), (&serde_json::Value::Null, &true.into()));
    assert_eq!(primary.records(HOST).0, [record(&a)]);
    // The twins: with an address of their own.
    for host in &hosts[..3] {
        primary.update(&format!("update add {host} 60 AAAA ::9"));
    }
    let good = publish();
    assert_eq!(good.code, Some(0), "{good:#?}");
    for host in hosts {
        assert_eq!(primary.records(host).0, [record(&a)], "{host}");
    }
}

fn an_alias_and_a_cut_are_told_of(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    let attempt = |host: &str, more: &[&str]| {
        let mut command = primary.command("publish", "zone");
        run(command.args(["--json", "--name", host, "--host-key"]).arg(&a).args(more), LIMIT)
    };
    primary.update(
        "update add alias.example.test 60 CNAME web2.example.test.\nupdate add away.example.test 60 NS ns.elsewhere.invalid.",
    );
    let alias = attempt("alias.example.test", &[]);
    assert_eq!((alias.code, &alias.json()["reason"]), (Some(1), &"alias".into()), "{alias:#?}");
    assert!(alias.json()["error"].as_str().unwrap().contains("(CNAME to web2.example.test)"), "{alias:#?}");
    assert!(alias.json()["hint"].as_str().unwrap().contains("publish at web2.example.test"), "{alias:#?}");
    let good = attempt("web2.example.test", &[]);
    assert_eq!(good.code, Some(0), "{good:#?}");
    let serial = primary.serial();
    for zone in [&[][..], &["--zone", "example.test"]] {
        let cut = attempt("web1.away.example.test", zone);
        assert_eq!(cut.code, Some(1), "{zone:?}: {cut:#?}");
        assert!(cut.stderr.contains("hands web1.away.example.test on to another zone"), "{cut:#?}");
        assert_eq!(primary.serial(), serial, "{zone:?}");
    }
}

#[test]
fn powerdns_shows_what_is_a_wildcards() {
    let pdns = PdnsTree::start();
    let a = key(&pdns.tree.sandbox, "a");
    run_ok(pdns.util().args(["add-record", "example.test", "*", "A", "60", "127.0.0.9"]));
    let attempt = || {
        let mut command = pdns.tree.sandbox.sshanchor();
        command.args([
            "publish",
            "--json",
            "--name",
            "new.example.test",
            "--powerdns",
            &pdns.url(),
            "--api-key-file",
        ]);
        command.arg(pdns.key_file()).args(["--check-server", &pdns.addr().to_string(), "--host-key"]).arg(&a);
        run(&mut command, LIMIT)
    };
    let refused = attempt();
    assert_eq!((refused.code, &refused.json()["reason"]), (Some(1), &"wildcard".into()), "{refused:#?}");
    assert!(records_at(pdns.addr(), "new.example.test").0.is_empty());
    run_ok(pdns.util().args(["add-record", "example.test", "new", "A", "60", "127.0.0.8"]));
    let good = attempt();
    assert_eq!((good.code, &good.json()["zone_signing"]), (Some(0), &"signed".into()), "{good:#?}");
    assert_eq!(records_at(pdns.addr(), "new.example.test").0, [record(&a)]);
}

#[test]
fn what_a_wildcard_makes_up_is_seen_without_signatures_too() {
    let tree = Tree::start();
    let a = key(&tree.sandbox, "a");
    tree.update("zone plain.test\nupdate add *.plain.test 60 A 127.0.0.9\nupdate add x.plain.test 60 TXT x");
    let attempt = |host: &str| run(publish(&tree, &["--name", host, "--host-key"]).arg(&a), LIMIT);
    for (host, code) in [("new.plain.test", 1), ("web1.plain.test", 0), ("x.plain.test", 0)] {
        let finished = attempt(host);
        assert_eq!(finished.code, Some(code), "{finished:#?}");
        let reason = if code == 1 { "wildcard".into() } else { serde_json::Value::Null };
        assert_eq!(finished.json()["reason"], reason);
    }
    assert!(list(&attempt("x.plain.test").json()["kept"]).contains(&record(&a)));
}

/// Of many the first are on their way while the rest is noted: here the file for all of them is larger than it may be.
#[test]
fn what_cannot_be_noted_as_own_is_not_sent() {
    const HOSTS: usize = 2000;
    const OCTETS: usize = 256 * 1024;
    let tree = Tree::start();
    let a = key(&tree.sandbox, "a");
    let names: Vec<String> = (0..HOSTS).map(|at| format!("host{at}.example.test")).collect();
    let hosts = batch(&tree.sandbox, &names.iter().map(String::as_str).collect::<Vec<_>>(), &a);
    let publish = || publish(&tree, &["--batch", hosts.to_str().unwrap()]);
    let stand = || names.iter().map(|name| records_at(tree.addr(), name).0.len()).collect::<Vec<_>>();

    let ours = publish();
    let mut limited = Command::new("sh");
    // What is printed is larger still, and the file that gathers it in here has the same limit.
    let status = tree.sandbox.join("status");
    let script = format!(
        "trap '' XFSZ; (prlimit --fsize={OCTETS} -- \"$@\" 2>/dev/null; echo $? >{}) | cat",
        status.display()
    );
    limited.args(["-c", &script, "sh"]).arg(ours.get_program()).args(ours.get_args());
    limited.env_clear().envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let finished = run(limited.env("PATH", std::env::var_os("PATH").unwrap()), LIMIT);
    let lines = finished.json_lines();
    assert_eq!((std::fs::read_to_string(&status).unwrap().trim(), lines.len()), ("1", HOSTS));
    let noted = std::fs::read_to_string(tree.sandbox.join("state/published.json")).unwrap();
    let shown = stand();
    for ((line, name), shown) in lines.iter().zip(&names).zip(&shown) {
        let is_noted = noted.contains(&format!("\"{name}\""));
        assert_eq!(line["changed"], is_noted, "{line}");
        assert_eq!(*shown, usize::from(is_noted), "{line}");
        assert_eq!(line["reason"] == "state", !is_noted, "{line}");
    }
    let done = shown.iter().sum::<usize>();
    assert!(done > 0 && done < HOSTS, "{done}");

    let finished = run(&mut publish(), LIMIT);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(finished.json_lines().iter().filter(|line| line["changed"] == true).count(), HOSTS - done);
    assert_eq!(stand().iter().sum::<usize>(), HOSTS);
}
