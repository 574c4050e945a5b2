//! Proofs that travel: exported, inspected, checked, and used where no DNS is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::forger::Forger;
use crate::support::peer::command;
use crate::support::sandbox::clean;
use crate::support::sshd::Sshd;
use crate::support::tree::Plan;
use crate::support::{Finished, Tree, run};

const HOST: &str = "web1.example.test";
const OWNER: &str = "web1.example.test.";
const LIMIT: Duration = Duration::from_secs(30);

struct World {
    sshd: Sshd,
    tree: Tree,
    resolver: Forger,
}

fn world_with(plan: Plan) -> World {
    let sshd = Sshd::start(&["ed25519"]);
    let plan = sshd.sshfp(OWNER).iter().fold(plan, |plan, line| plan.record(line));
    let tree = plan.start();
    let resolver = Forger::start(tree.addr());
    World { sshd, tree, resolver }
}

fn world() -> World {
    world_with(Tree::plan())
}

impl World {
    fn file(&self) -> PathBuf {
        self.tree.sandbox.join("fleet.bundle")
    }

    fn sshanchor(&self) -> Command {
        self.tree.sshanchor(self.resolver.addr())
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        run(self.sshanchor().args(arguments).args(["--json", "--timeout", "5"]), LIMIT)
    }

    fn bundle(&self, command: &str, arguments: &[&str]) -> Finished {
        let mut all = vec!["bundle", command];
        all.extend(arguments);
        self.run(&all)
    }

    /// Exports these hosts with their addresses, so that they can be reached without DNS.
    fn export(&self, hosts: &[&str]) -> Finished {
        let file = self.file();
        let mut all = hosts.to_vec();
        all.extend(["--addresses", "-o", file.to_str().unwrap()]);
        self.bundle("export", &all)
    }

    fn verify(&self) -> Finished {
        let target = format!("{HOST}:{}", self.sshd.port());
        self.run(&["verify", &target, "--bundle", self.file().to_str().unwrap()])
    }
}

fn lines(finished: &Finished) -> Vec<Value> {
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_bundle_verifies_where_no_resolver_answers() {
    let world = world();
    let finished = world.export(&[HOST]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!((&finished.json()["hosts"], &finished.json()["unproven"]), (&1.into(), &Value::Array(vec![])));
    let until = finished.json()["valid_until"].clone();
    world.resolver.rule(|_| Vec::new());
    let asked = world.resolver.asked().len();
    let finished = world.verify();
    assert_eq!(
        (finished.code, finished.json()["source"].as_str()),
        (Some(0), Some("bundle")),
        "{finished:#?}"
    );
    // Until the signatures end, not the TTL.
    assert_eq!(finished.json()["valid_until"], until);
    // The address was sought; nothing that a proof needs.
    let sought = world.resolver.asked().split_off(asked);
    assert!(sought.iter().all(|(_, dns)| matches!(dns.rtype, 1 | 28)), "{sought:?}");
}

#[test]
fn a_resolver_that_knows_no_address_stands_in_nobodys_way() {
    let world = world();
    assert_eq!(world.export(&[HOST]).code, Some(0));
    // Split DNS: out here the name has none.
    world.resolver.change(|message| {
        *message = message.answered(Vec::new());
    });
    let finished = world.verify();
    assert_eq!((finished.code, &finished.json()["source"]), (Some(0), &"bundle".into()), "{finished:#?}");
    // Where nobody knows one, that is said.
    let text = fs::read_to_string(world.file()).unwrap();
    let (without, gone) =
        (text.lines().filter(|line| !line.contains(r#""type":"A""#)), text.matches(r#""type":"A""#).count());
    assert_eq!(gone, 1);
    let count = text.lines().count() - 1;
    let without: String = without.map(|line| format!("{line}\n")).collect();
    fs::write(
        world.file(),
        without.replacen(&format!("\"entries\":{count}"), &format!("\"entries\":{}", count - 1), 1),
    )
    .unwrap();
    let finished = world.verify();
    assert_eq!(
        (finished.code, &finished.json()["reason"]),
        (Some(1), &"unreachable".into()),
        "{finished:#?}"
    );
}

#[test]
fn ssh_gets_through_the_proxy_with_a_bundle_and_an_impostor_does_not() {
    let mut world = world();
    assert_eq!(world.export(&[HOST]).code, Some(0));
    world.resolver.rule(|_| Vec::new());
    let ssh = |world: &World| {
        let (program, file) = (env!("CARGO_BIN_EXE_sshanchor"), world.file());
        let proxy = format!("{program} --timeout 5 proxy --bundle {} %h %p", file.display());
        let mut ssh = world.sshd.ssh();
        for (name, value) in world.sshanchor().get_envs() {
            value.map(|value| ssh.env(name, value));
        }
        run(
            ssh.args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                &format!("ProxyCommand={proxy}"),
                HOST,
                "true",
            ]),
            LIMIT,
        )
    };
    let finished = ssh(&world);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    world.sshd.rotate_host_keys();
    let mark = world.sshd.mark();
    let finished = ssh(&world);
    assert_eq!(finished.code, Some(255), "{finished:#?}");
    assert!(finished.stderr.contains("DNSSEC proves other keys"), "{finished:#?}");
    assert!(!world.sshd.saw_userauth(mark));
}

#[test]
fn dns_is_asked_where_a_bundle_does_not_accept() {
    let mut world = world();
    assert_eq!(world.export(&[HOST]).code, Some(0));
    world.sshd.rotate_host_keys();
    let finished = world.verify();
    assert_eq!((finished.code, finished.json()["source"].as_str()), (Some(3), Some("dns")), "{finished:#?}");
    world.tree.update(&world.sshd.sshfp_update(OWNER));
    let finished = world.verify();
    assert_eq!((finished.code, finished.json()["source"].as_str()), (Some(0), Some("dns")), "{finished:#?}");
}

#[test]
fn nothing_is_written_unless_all_is_proven() {
    let world = world();
    fs::write(world.file(), "an older bundle").unwrap();
    let finished = world.export(&[HOST, "web9.example.test"]);
    assert_eq!(
        (finished.code, finished.json()["reason"].as_str()),
        (Some(4), Some("not-proven")),
        "{finished:#?}"
    );
    assert!(finished.stderr.contains("web9.example.test:22 is not proven"), "{finished:#?}");
    assert_eq!(fs::read_to_string(world.file()).unwrap(), "an older bundle");
    let finished = world.export(&[HOST, "web9.example.test", "--partial"]);
    assert_eq!(finished.code, Some(4), "{finished:#?}");
    assert_eq!(finished.json()["unproven"][0]["reason"], "no-record");
    assert_eq!(world.verify().json()["source"], "bundle");
    // None of them: an outage leaves the file alone even so.
    world.resolver.rule(|_| Vec::new());
    let before = fs::read_to_string(world.file()).unwrap();
    let finished = world.bundle("export", &[HOST, "--partial", "-o", world.file().to_str().unwrap()]);
    assert_eq!(finished.code, Some(4), "{finished:#?}");
    assert_eq!(fs::read_to_string(world.file()).unwrap(), before);
}

#[test]
fn hosts_come_from_a_file_too_and_aliases_come_along() {
    let plan = Tree::plan()
        .record("www.other.test. CNAME web1.example.test.")
        .record("moved.other.test. DNAME example.test.");
    let world = world_with(plan);
    let list = world.tree.sandbox.write("hosts", "# the fleet\nweb1.example.test\n\n www.other.test:2222 \n");
    let list = format!("@{}", list.display());
    let finished = world.export(&[&list, "web1.moved.other.test", HOST]);
    assert_eq!((finished.code, &finished.json()["hosts"]), (Some(0), &3.into()), "{finished:#?}");
    let finished = world.bundle("check", &[world.file().to_str().unwrap()]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let mut names: Vec<_> = lines(&finished)
        .iter()
        .filter(|l| l["type"] == "SSHFP")
        .map(|l| l["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["web1.example.test", "web1.moved.other.test", "www.other.test"]);
    let list = world.tree.sandbox.write("hosts", "web1.example.test\n\nnot a host\n");
    let finished = world.export(&[&format!("@{}", list.display())]);
    assert_eq!(
        (finished.code, finished.json()["reason"].as_str()),
        (Some(2), Some("host-name")),
        "{finished:#?}"
    );
    assert!(finished.json()["error"].as_str().unwrap().contains("hosts line 3: "), "{finished:#?}");
}

#[test]
fn inspect_shows_and_check_proves_at_any_time() {
    let world = world();
    assert_eq!(world.export(&[HOST]).code, Some(0));
    let file = world.file();
    let file = file.to_str().unwrap();
    let finished = world.bundle("inspect", &[file]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let contents = finished.json();
    assert_eq!(contents["zones"], serde_json::json!([".", "test", "example.test"]));
    let held = contents["answers"].as_array().unwrap().iter().find(|a| a["type"] == "SSHFP").unwrap();
    assert_eq!(held["name"], HOST);
    assert_eq!(
        format!("{OWNER} IN SSHFP {}", held["records"][0].as_str().unwrap()),
        world.sshd.sshfp(OWNER)[0]
    );
    let finished = world.bundle("check", &[file]);
    let checked = lines(&finished).into_iter().find(|l| l["type"] == "SSHFP").unwrap();
    assert_eq!((finished.code, checked["status"].as_str()), (Some(0), Some("secure")), "{finished:#?}");
    assert_eq!(checked["valid_until"], held["signed_until"]);
    for (at, reason, hint) in [
        ("2040-01-01T00:00:00Z", "signature-expired", "export it anew"),
        ("1000000000", "signature-not-yet-valid", "clock"),
    ] {
        let finished = world.bundle("check", &[file, "--at", at]);
        assert_eq!(finished.code, Some(4), "{finished:#?}");
        assert!(
            lines(&finished).iter().all(|l| l["reason"] == reason && l["status"] == "bogus"),
            "{finished:#?}"
        );
        assert!(lines(&finished).iter().all(|l| l["hint"].as_str().unwrap().contains(hint)), "{finished:#?}");
    }
    // Another root's bundle proves nothing here.
    let other = Tree::start();
    let finished = run(other.sshanchor(other.addr()).args(["--json", "bundle", "check", file]), LIMIT);
    assert_eq!(finished.code, Some(4), "{finished:#?}");
    assert!(lines(&finished).iter().all(|l| l["reason"] == "anchor-mismatch"), "{finished:#?}");
}

#[test]
fn a_file_that_is_no_bundle_stops_the_command() {
    let world = world();
    assert_eq!(world.export(&[HOST]).code, Some(0));
    let good = fs::read_to_string(world.file()).unwrap();
    for bad in
        [String::new(), good.replacen("\"version\":1", "\"version\":2", 1), good[..good.len() / 2].to_owned()]
    {
        fs::write(world.file(), bad).unwrap();
        let finished = world.verify();
        assert_eq!(
            (finished.code, finished.json()["reason"].as_str()),
            (Some(2), Some("bundle")),
            "{finished:#?}"
        );
    }
    fs::write(world.file(), good).unwrap();
    assert_eq!(world.verify().code, Some(0));
}

#[test]
fn long_work_shows_its_progress_on_a_terminal_and_only_there() {
    let w = world();
    let hosts: Vec<String> = (1..=20).map(|port| format!("{HOST}:{port}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let piped = w.export(&hosts);
    assert_eq!((piped.code, piped.stderr.as_str()), (Some(0), ""), "{piped:#?}");
    let file = w.file();
    let arguments =
        [&["bundle", "export", "-o", file.to_str().unwrap()], hosts.as_slice()].concat().join(" ");
    let line = format!("'{}' {arguments} --config none --cache off", env!("CARGO_BIN_EXE_sshanchor"));
    let mut script = command("script");
    clean(&mut script, w.tree.sandbox.path());
    script.env("SSHANCHOR_RESOLVER", w.tree.addr().to_string());
    script.env("SSHANCHOR_TRUST_ANCHOR", w.tree.anchor());
    let shown = run(script.args(["-qec", &line, "/dev/null"]), LIMIT);
    assert_eq!(shown.code, Some(0), "{shown:#?}");
    for done in 0..=20 {
        assert!(shown.stdout.contains(&format!("\rproven {done} of 20")), "{done}: {shown:#?}");
    }
    let last = format!("\rproven 20 of 20\r{:15}\r{}: 20 hosts, ", "", file.display());
    assert!(shown.stdout.contains(&last), "the line is gone before the result: {shown:#?}");
    assert!(!shown.stdout.contains('\x1b'), "{shown:#?}");
}

#[test]
fn a_folder_that_is_not_there_is_told_of_as_it_was_typed() {
    let world = world();
    let file = world.tree.sandbox.join("no/such/folder.bundle");
    let finished = world.bundle("export", &[HOST, "-o", file.to_str().unwrap()]);
    assert_eq!((finished.code, finished.json()["reason"].as_str()), (Some(1), Some("io")), "{finished:#?}");
    let told = finished.json()["error"].as_str().unwrap().to_owned();
    assert!(told.contains("folder.bundle") && !told.contains(".tmp"), "{told}");
}

#[test]
fn a_bundle_about_no_host_is_not_all_right() {
    let world = world();
    assert_eq!(world.export(&[HOST]).code, Some(0));
    let file = world.file();
    let check = || world.bundle("check", &[file.to_str().unwrap()]);
    assert_eq!(check().code, Some(0));
    let header = r#"{"format":"sshanchor-bundle","version":1,"made":1,"entries":"#;
    let text = fs::read_to_string(&file).unwrap();
    let keys = text.lines().find(|line| line.contains(r#""type":"DNSKEY""#)).unwrap();
    for nothing in [format!("{header}0}}\n"), format!("{header}1}}\n{keys}\n")] {
        fs::write(&file, nothing).unwrap();
        let finished = check();
        assert_eq!(
            (finished.code, &finished.json()["reason"]),
            (Some(4), &"not-proven".into()),
            "{finished:#?}"
        );
    }
}
