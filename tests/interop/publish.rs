//! `publish` and `withdraw` against BIND and Knot: what they do when all goes well, and what they tell of
//! servers that lag. Plain questions are the second opinion on what a server holds.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::op::Message;

use super::primary::{FOREIGN, HOST, LIMIT, Primary, SHA1, key, list, on_bind_and_knot, record, sorted};
use crate::support::port::Port;
use crate::support::sshd::sshfp_lines;
use crate::support::{Tree, run};

on_bind_and_knot! {
    a_machines_life
    others_records_are_left_alone
    the_ttl_is_set_when_asked
    one_option_takes_several_files_of_keys
    port_labels_are_owners_of_their_own
    looking_changes_nothing
    many_hosts_at_once
    enough_hosts_for_a_transfer
    updates_of_the_size_that_is_asked_for
}

fn a_machines_life(primary: &Primary) {
    let (a, b, c) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"), key(primary.sandbox(), "c"));
    let (finished, json) = primary.publish(&[&a, &b], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.stderr, "", "nothing to warn of");
    assert_eq!((&json["name"], &json["owner"]), (&HOST.into(), &HOST.into()));
    assert_eq!((&json["zone"], &json["changed"]), (&"example.test".into(), &true.into()));
    assert_eq!(json["server"], primary.addr().to_string());
    assert_eq!(list(&json["added"]), sorted(&[&record(&a), &record(&b)]));
    assert_eq!(json["read_back"][0]["status"], "current");
    assert_eq!(json["ttl"], 3600);
    assert_eq!(primary.records(HOST), (sorted(&[&record(&a), &record(&b)]), Some(3600)));

    // A repeat sends nothing.
    let serial = primary.serial();
    let (finished, json) = primary.publish(&[&a, &b], &[]);
    assert_eq!((finished.code, &json["changed"]), (Some(0), &false.into()), "{finished:#?}");
    assert_eq!(list(&json["kept"]), sorted(&[&record(&a), &record(&b)]));
    assert_eq!(primary.serial(), serial);

    // A key swapped: its record goes as the new one comes.
    let (finished, json) = primary.publish(&[&a, &c], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!((list(&json["added"]), list(&json["removed"])), (vec![record(&c)], vec![record(&b)]));
    assert_eq!(primary.records(HOST).0, sorted(&[&record(&a), &record(&c)]));

    // Withdrawn from what the state knows, without a key of this machine at hand.
    let mut withdraw = primary.command("withdraw", "web1");
    let finished = run(withdraw.args(["--json", "--name", HOST]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(list(&finished.json()["removed"]), sorted(&[&record(&a), &record(&c)]));
    assert_eq!(primary.records(HOST), (vec![], None));
}

fn others_records_are_left_alone(primary: &Primary) {
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    primary.update(&format!("update add {HOST} 300 SSHFP {FOREIGN}\nupdate add {HOST} 300 SSHFP {SHA1}"));
    let (finished, json) = primary.publish(&[&a], &[]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(list(&json["foreign"]), sorted(&[FOREIGN, SHA1]));
    assert!(
        finished.stderr.contains("not this machine's") && finished.stderr.contains("SHA-1"),
        "{finished:#?}"
    );
    assert_eq!(primary.records(HOST), (sorted(&[FOREIGN, SHA1, &record(&a)]), Some(300)));

    let withdraw = || run(primary.command("withdraw", "web1").args(["--json", "--name", HOST]), LIMIT);
    assert_eq!(withdraw().code, Some(0));
    assert_eq!(primary.records(HOST).0, sorted(&[FOREIGN, SHA1]));

    let (finished, json) = primary.publish(&[&b], &["--prune"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(list(&json["removed"]), sorted(&[FOREIGN, SHA1]));
    assert_eq!(primary.records(HOST).0, [record(&b)]);
}

fn the_ttl_is_set_when_asked(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    primary.update(&format!("update add {HOST} 300 SSHFP {FOREIGN}"));
    let both = sorted(&[FOREIGN, &record(&a)]);
    primary.publish(&[&a], &[]);
    assert_eq!(primary.records(HOST), (both.clone(), Some(300)));
    let (finished, json) = primary.publish(&[&a], &["--ttl", "120"]);
    assert_eq!((finished.code, &json["changed"], &json["ttl"]), (Some(0), &true.into(), &120.into()));
    assert_eq!(primary.records(HOST), (both.clone(), Some(120)));
    let (_, json) = primary.publish(&[&a], &[]);
    assert_eq!(json["changed"], false);
    assert_eq!(primary.records(HOST), (both.clone(), Some(120)));
    // Beyond a week nobody waits for it gladly.
    for (ttl, is_told) in [("604800", false), ("604801", true)] {
        let (finished, _) = primary.publish(&[&a], &["--ttl", ttl, "--check"]);
        assert_eq!(
            (finished.code, finished.stderr.contains("a TTL of 7 days")),
            (Some(5), is_told),
            "{finished:#?}"
        );
    }
    assert_eq!(primary.records(HOST), (both, Some(120)));
}

/// As a shell makes words of `ssh_host_*_key.pub`.
fn one_option_takes_several_files_of_keys(primary: &Primary) {
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    let mut publish = primary.command("publish", "web1");
    let finished = run(publish.args(["--name", HOST, "--host-key"]).args([&a, &b]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(primary.records(HOST).0, sorted(&[&record(&a), &record(&b)]));
}

fn port_labels_are_owners_of_their_own(primary: &Primary) {
    let (a, b) = (key(primary.sandbox(), "a"), key(primary.sandbox(), "b"));
    let at_port = format!("_2222._ssh.{HOST}");
    primary.publish(&[&a], &[]);
    let (finished, json) = primary.publish(&[&b], &["--port", "2222"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!((&json["name"], &json["owner"]), (&HOST.into(), &at_port.as_str().into()));
    assert_eq!(primary.records(&at_port).0, [record(&b)]);
    assert_eq!(primary.records(HOST).0, [record(&a)]);
    let mut withdraw = primary.command("withdraw", "web1");
    let finished = run(withdraw.args(["--name", HOST, "--port", "2222"]), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(primary.records(&at_port).0.is_empty());
    assert_eq!(primary.records(HOST).0, [record(&a)]);
}

fn looking_changes_nothing(primary: &Primary) {
    let a = key(primary.sandbox(), "a");
    let look = |mode: &str, json: bool| {
        // Without a TSIG key: looking needs none.
        let mut command = primary.sandbox().sshanchor();
        command.args([
            "publish",
            "--name",
            HOST,
            mode,
            "--server",
            &primary.addr().to_string(),
            "--host-key",
        ]);
        command.arg(&a).arg("--state").arg(primary.sandbox().join("state"));
        if json {
            command.arg("--json");
        }
        run(&mut command, LIMIT)
    };
    let dry = look("--dry-run", false);
    assert_eq!(dry.code, Some(0), "{dry:#?}");
    assert!(dry.stdout.contains(&format!("+ {}", sshfp_lines(&a, HOST)[0])), "{dry:#?}");
    let check = look("--check", true);
    assert_eq!((check.code, &check.json()["pending"]), (Some(5), &true.into()), "{check:#?}");
    assert_eq!(list(&check.json()["added"]), [record(&a)]);
    assert!(primary.records(HOST).0.is_empty());
    assert!(!primary.sandbox().join("state").exists(), "looking leaves no state");

    primary.publish(&[&a], &[]);
    let check = look("--check", true);
    assert_eq!((check.code, &check.json()["pending"]), (Some(0), &false.into()), "{check:#?}");
    primary.update(&format!("update delete {HOST} SSHFP"));
    assert_eq!(look("--check", false).code, Some(5));
    primary.publish(&[&a], &[]);
    primary.update(&format!("update add {HOST} 60 SSHFP {FOREIGN}"));
    assert_eq!(look("--check", false).code, Some(0), "others' records are no change that is pending");
}

fn many_hosts_at_once(primary: &Primary) {
    let keys: Vec<PathBuf> = (0..3).map(|n| key(primary.sandbox(), &format!("k{n}"))).collect();
    let paths: Vec<&str> = keys.iter().map(|k| k.to_str().unwrap()).collect();
    let mut batch = String::from("# host files\n\n");
    for at in 0..50 {
        batch += &format!("host{at}.example.test {} {}\n", paths[at % 3], paths[(at + 1) % 3]);
    }
    let file = primary.sandbox().write("batch", &batch);
    let publish = |key: &str| {
        let mut command = primary.command("publish", key);
        run(command.arg("--json").arg("--batch").arg(&file), LIMIT)
    };
    let serial = primary.serial();
    let finished = publish("zone");
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.json_lines().len(), 50);
    for (at, line) in finished.json_lines().iter().enumerate() {
        assert_eq!(
            (&line["name"], &line["changed"]),
            (&format!("host{at}.example.test").into(), &true.into())
        );
        let wanted = sorted(&[&record(&keys[at % 3]), &record(&keys[(at + 1) % 3])]);
        assert_eq!(primary.records(&format!("host{at}.example.test")).0, wanted);
    }
    assert!(primary.serial() - serial < 10, "many hosts share an update");
    let again = publish("zone");
    assert!(again.json_lines().iter().all(|line| line["changed"] == false), "{again:#?}");

    // A key for one of them: that one is done, the others are told of, each.
    batch += &format!("web1.example.test {}\n", paths[0]);
    let file = primary.sandbox().write("batch", &batch.replace(paths[2], paths[0]));
    let finished = run(primary.command("publish", "web1").arg("--json").arg("--batch").arg(&file), LIMIT);
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    for line in finished.json_lines() {
        let refused = line["reason"] == "refused" || line["reason"] == "badkey";
        assert_eq!(line["changed"] == true, line["name"] == HOST, "{line}");
        assert!(refused || line["name"] == HOST || line["pending"] == false, "{line}");
    }
    assert_eq!(primary.records(HOST).0, [record(&keys[0])]);
}

/// BIND transfers its zone to whoever publishes, Knot does not: what comes out is the same.
fn enough_hosts_for_a_transfer(primary: &Primary) {
    const HOSTS: usize = 300;
    let keys: Vec<PathBuf> = (0..2).map(|n| key(primary.sandbox(), &format!("k{n}"))).collect();
    let path = |at: usize| keys[at % 2].to_str().unwrap();
    primary.update(
        "update add alias.example.test 300 CNAME host0.example.test\n\
         update add cut.example.test 300 NS ns.elsewhere.test",
    );
    let mut batch: String = (0..HOSTS).map(|at| format!("host{at}.example.test {}\n", path(at))).collect();
    batch += &format!("alias.example.test {0}\nhost.cut.example.test {0}\n", path(0));
    let file = primary.sandbox().write("batch", &batch);
    let publish = || {
        let mut command = primary.command("publish", "zone");
        let finished = run(command.arg("--json").arg("--batch").arg(&file), LIMIT);
        let lines = finished.json_lines();
        assert_eq!((finished.code, lines.len()), (Some(1), HOSTS + 2), "{finished:#?}");
        let changed = lines.iter().filter(|line| line["changed"] == true);
        let mut changed: Vec<String> = changed.map(|l| l["name"].as_str().unwrap().to_owned()).collect();
        let failed = lines.iter().filter(|line| !line["error"].is_null());
        let mut failed: Vec<String> = failed.map(|l| l["name"].as_str().unwrap().to_owned()).collect();
        changed.sort();
        failed.sort();
        assert_eq!(failed, ["alias.example.test", "host.cut.example.test"], "{finished:#?}");
        changed
    };
    assert_eq!(publish().len(), HOSTS);
    for at in [0, 1, HOSTS - 1] {
        assert_eq!(primary.records(&format!("host{at}.example.test")).0, [record(&keys[at % 2])]);
    }
    assert!(publish().is_empty());
    primary.update("update delete host7.example.test SSHFP");
    assert_eq!(publish(), ["host7.example.test"]);
}

/// Small ones are many, and several are under way on a connection.
fn updates_of_the_size_that_is_asked_for(primary: &Primary) {
    const HOSTS: usize = 120;
    let keys: Vec<PathBuf> = (0..2).map(|n| key(primary.sandbox(), &format!("k{n}"))).collect();
    let batch = |shift: usize| {
        let line =
            |at: usize| format!("host{at}.example.test {}\n", keys[(at + shift) % 2].to_str().unwrap());
        primary.sandbox().write("batch", &(0..HOSTS).map(line).collect::<String>())
    };
    let publish = |size: &str, shift: usize| {
        let mut command = primary.command("publish", "zone");
        command.args(["--json", "--batch-size", size, "--batch"]);
        run(command.arg(batch(shift)), LIMIT)
    };
    for (shift, size) in ["1", "7", "400"].into_iter().enumerate() {
        let finished = publish(size, shift);
        assert_eq!(finished.code, Some(0), "{size}: {finished:#?}");
        assert!(finished.json_lines().iter().all(|line| line["changed"] == true), "{size}: {finished:#?}");
        for at in 0..HOSTS {
            let shown = primary.records(&format!("host{at}.example.test")).0;
            assert_eq!(shown, [record(&keys[(at + shift) % 2])], "{size}");
        }
    }
    for wrong in ["0", "401", "many"] {
        assert_eq!(publish(wrong, 0).code, Some(2), "{wrong}");
    }
}

#[test]
fn servers_that_lag_or_are_dead_are_pending_and_hold_up_nobody() {
    let primary = Primary::bind();
    let a = key(primary.sandbox(), "a");
    let dead = Port::free();
    // Answers with authority that there is nothing.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lagging = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let mut message = Message::from_vec(&buffer[..length]).unwrap().into_response();
            message.metadata.authoritative = true;
            socket.send_to(&message.to_vec().unwrap(), from).unwrap();
        }
    });
    let (dead, late) = (dead.addr().to_string(), lagging.to_string());
    let more = ["--check-server", dead.as_str(), "--check-server", late.as_str(), "--timeout", "3"];
    let (finished, json) = primary.publish(&[&a], &more);
    assert_eq!((finished.code, &json["changed"]), (Some(0), &true.into()), "{finished:#?}");
    assert!(finished.elapsed < Duration::from_secs(6), "{finished:#?}");
    let status = |server: &str| {
        let seen = json["read_back"].as_array().unwrap().iter().find(|s| s["server"] == server);
        seen.unwrap_or_else(|| panic!("{server} in {json}"))["status"].clone()
    };
    assert_eq!(status(&primary.addr().to_string()), "current");
    assert_eq!(status(&dead), "unreachable");
    assert_eq!(status(&late), "pending");
    assert_eq!(finished.stderr.matches("pending at").count(), 2, "{finished:#?}");
}

#[test]
fn published_records_are_proven_through_the_clients_own_path() {
    let primary = Primary::knot();
    let a = key(primary.sandbox(), "a");
    let Primary::Knot(knot) = &primary else { panic!("not Knot") };
    let publish = |anchor: PathBuf| {
        let mut command = primary.command("publish", "zone");
        command.env("SSHANCHOR_RESOLVER", knot.unbound.addr().to_string());
        command.env("SSHANCHOR_TRUST_ANCHOR", anchor);
        let arguments = ["--json", "--timeout", "3", "--name", HOST, "--host-key"];
        run(command.args(arguments).arg(&a), LIMIT)
    };
    let finished = publish(knot.tree.anchor());
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(finished.json()["proof"]["status"], "secure", "{finished:#?}");
    assert!(finished.json()["proof"]["reason"].is_null(), "{finished:#?}");
    assert_eq!(finished.stderr, "", "{finished:#?}");
    // Published all the same, but nobody who trusts another root can prove it.
    let finished = publish(knot.tree.anchor_of("other.test."));
    assert_eq!(finished.code, Some(4), "{finished:#?}");
    assert_ne!(finished.json()["proof"]["status"], "secure", "{finished:#?}");
    assert!(finished.stderr.contains("clients cannot prove web1.example.test"), "{finished:#?}");
}

#[test]
fn what_a_wildcard_makes_up_is_no_record_of_the_name() {
    let tree = Tree::plan().record(&format!("*.wild.example.test. SSHFP {FOREIGN}")).start();
    let primary = Primary::Bind(Box::new(tree));
    let a = key(primary.sandbox(), "a");
    let owner = "h1.wild.example.test";
    assert_eq!(primary.records(owner).0, [FOREIGN]);
    let mut command = primary.command("publish", "zone");
    let finished = run(command.args(["--json", "--name", owner, "--host-key"]).arg(&a), LIMIT);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(list(&finished.json()["foreign"]), Vec::<String>::new());
    assert_eq!(primary.records(owner).0, [record(&a)]);
}
