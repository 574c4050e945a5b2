//! `tidy`: known_hosts files before and after, as ssh-keygen finds hosts in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::forger::Forger;
use crate::support::peer::command;
use crate::support::sshd::{keygen, sshfp_lines};
use crate::support::tree::Plan;
use crate::support::{Finished, Tree, run, run_ok};

const LIMIT: Duration = Duration::from_secs(60);

/// A tree, and keys of which some are published.
struct World {
    tree: Tree,
    keys: tempfile::TempDir,
}

impl World {
    /// `published`: a host and the key that is published for it, by the name that the key has here.
    fn new(published: &[(&str, &str)]) -> World {
        let keys = tempfile::tempdir().unwrap();
        for (name, key_type) in [("ed", "ed25519"), ("ed2", "ed25519"), ("ec", "ecdsa")] {
            keygen(&["-t", key_type], &keys.path().join(name));
        }
        let record = |plan: Plan, (host, key): &(&str, &str)| {
            let public = keys.path().join(format!("{key}.pub"));
            let lines = crate::support::sshd::sshfp_lines(&public, &format!("{host}."));
            lines.iter().fold(plan, |plan, line| plan.record(line))
        };
        let tree = published.iter().fold(Tree::plan(), record).start();
        World { tree, keys }
    }

    /// A known_hosts line.
    fn line(&self, names: &str, key: &str) -> String {
        let public = fs::read_to_string(self.keys.path().join(format!("{key}.pub"))).unwrap();
        format!("{names} {public}")
    }

    fn file(&self, text: &str) -> PathBuf {
        self.tree.sandbox.write("known_hosts", text)
    }

    /// Entries that ssh-keygen finds by this name.
    fn found(&self, name: &str) -> usize {
        let file = self.tree.sandbox.join("known_hosts");
        let found = run(command("ssh-keygen").args(["-F", name, "-f"]).arg(file), LIMIT);
        found.stdout.lines().filter(|line| !line.starts_with('#')).count()
    }

    fn tidy(&self, arguments: &[&str]) -> Finished {
        let mut command = self.tree.sshanchor(self.tree.addr());
        command.args(["tidy", "--timeout", "5", "--ssh-config", self.ssh_config().to_str().unwrap()]);
        run(command.args(arguments), LIMIT)
    }

    /// Tidies the one file.
    fn tidy_file(&self, arguments: &[&str]) -> Finished {
        let file = self.tree.sandbox.join("known_hosts");
        self.tidy(&[&["--file", file.to_str().unwrap(), "--json"], arguments].concat())
    }

    /// A configuration whose known_hosts file is in the sandbox.
    fn ssh_config(&self) -> PathBuf {
        self.ssh_config_with("KnownHostsCommand /usr/bin/sshanchor known-hosts %I %H %t %K\n")
    }

    fn ssh_config_with(&self, line: &str) -> PathBuf {
        let file = self.tree.sandbox.join("known_hosts");
        let text = format!("{line}UserKnownHostsFile {} /nonexistent/known_hosts\n", file.display());
        self.tree.sandbox.write("ssh_config", &text)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.tree.sandbox.join("known_hosts")).unwrap()
    }

    fn copies(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.tree.sandbox.path()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_str().unwrap().contains("known_hosts.sshanchor-")).collect()
    }
}

/// The entries of the report, and the summary.
fn report(finished: &Finished) -> (Vec<(u64, String, String)>, Value) {
    let mut lines = finished.json_lines();
    let summary = lines.pop().unwrap();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry =
        |line: &Value| (line["line"].as_u64().unwrap(), word(&line["standing"]), word(&line["reason"]));
    (lines.iter().map(entry).collect(), summary)
}

#[test]
fn what_is_proven_goes_and_everything_else_stays() {
    let world = World::new(&[
        ("web1.example.test", "ed"),
        ("_2222._ssh.web2.example.test", "ed"),
        ("web3.example.test", "ed"),
        ("web4.plain.test", "ed"),
        ("web5.example.test", "ed"),
    ]);
    let before = [
        "# hosts of mine\r\n".to_owned(),
        world.line("web1.example.test", "ed"),
        world.line("web1.example.test,192.0.2.1", "ed"),
        world.line("[web2.example.test]:2222", "ed"),
        world.line("[web2.example.test]:2223", "ed"),
        "\n".to_owned(),
        world.line("web3.example.test", "ed2"),
        world.line("web3.example.test", "ec"),
        world.line("web4.plain.test", "ed"),
        world.line("@cert-authority *.example.test", "ed"),
        world.line("@revoked web1.example.test", "ed"),
        world.line("web?.example.test", "ed"),
        "web5.example.test ssh-dss AAAAB3NzaC1kc3MAAAAA\n".to_owned(),
        "not a line\n".to_owned(),
        world.line("web5.example.test", "ed").trim_end().to_owned(),
    ];
    let file = world.file(&before.concat());
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();

    let finished = world.tidy_file(&[]);
    assert_eq!(finished.code, Some(5), "entries can go: {finished:#?}");
    assert_eq!((world.text(), world.copies().len()), (before.concat(), 0));
    let (entries, summary) = report(&finished);
    let wanted = [
        (2, "proven", ""),
        (3, "proven", ""),
        (3, "kept", "address"),
        (4, "proven", ""),
        (5, "unproven", "no-record"),
        (7, "contradicted", "key-mismatch"),
        (8, "other-types", "key-type-not-published"),
        (9, "unproven", "insecure"),
        (10, "kept", "marker"),
        (11, "kept", "marker"),
        (12, "kept", "pattern"),
        (13, "kept", "key"),
        (14, "kept", "form"),
        (15, "proven", ""),
    ];
    let entries: Vec<_> = entries.iter().map(|(line, a, b)| (*line, a.as_str(), b.as_str())).collect();
    assert_eq!(entries, wanted);
    assert_eq!(
        (&summary["proven"], &summary["removable"], &summary["written"]),
        (&4.into(), &4.into(), &false.into())
    );

    let names = [
        "web1.example.test",
        "[web2.example.test]:2222",
        "[web2.example.test]:2223",
        "web3.example.test",
        "192.0.2.1",
    ];
    // By the pattern too, and those with markers are not counted.
    assert_eq!(names.map(|name| world.found(name)), [5, 1, 1, 4, 1]);
    let finished = world.tidy_file(&["--write"]);
    assert_eq!(finished.code, Some(5), "one entry contradicts DNSSEC: {finished:#?}");
    assert!(finished.stderr.contains("contradict"), "{finished:#?}");
    assert_eq!(names.map(|name| world.found(name)), [3, 0, 1, 4, 1]);
    let mut after = before.clone();
    for gone in [1, 3, 14] {
        after[gone].clear();
    }
    after[2] = world.line("192.0.2.1", "ed");
    assert_eq!(world.text(), after.concat());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    let copies = world.copies();
    let (_, summary) = report(&finished);
    assert_eq!(summary["backup"], copies[0].to_str().unwrap());
    assert_eq!(fs::read_to_string(&copies[0]).unwrap(), before.concat());

    // Nothing more to do, but that one entry; which goes when it is asked for.
    let finished = world.tidy_file(&["--write"]);
    assert_eq!((finished.code, world.copies().len()), (Some(5), 1), "{finished:#?}");
    let finished = world.tidy_file(&["--contradicted"]);
    assert_eq!(report(&finished).1["removable"], 2, "{finished:#?}");
    let finished = world.tidy_file(&["--contradicted", "--write"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(world.found("web3.example.test"), 2, "the pattern and its marker alone");
    let finished = world.tidy_file(&["--write"]);
    assert_eq!((finished.code, world.copies().len()), (Some(0), 2), "{finished:#?}");
}

#[test]
fn hashed_entries_are_found_by_names_that_are_given_or_stand_beside_them() {
    let world = World::new(&[("web1.example.test", "ed"), ("web2.example.test", "ed")]);
    let hash = |text: &str| {
        let file = world.file(text);
        run_ok(command("ssh-keygen").arg("-H").arg("-f").arg(&file));
        let _ = fs::remove_file(file.with_extension("old"));
        world.text()
    };
    let hashed =
        hash(&(world.line("web1.example.test", "ed") + &world.line("[web1.example.test]:2222", "ed")));
    assert!(!hashed.contains("web1"));
    let finished = world.tidy_file(&["--write"]);
    assert_eq!((finished.code, world.text()), (Some(0), hashed.clone()), "{finished:#?}");
    assert_eq!(report(&finished).0[0].2, "hashed");
    let finished = world.tidy_file(&["--write", "web2.example.test"]);
    assert_eq!((finished.code, world.text()), (Some(0), hashed.clone()), "{finished:#?}");
    let finished = world.tidy_file(&["--write", "web1.example.test"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert_eq!(["web1.example.test", "[web1.example.test]:2222"].map(|name| world.found(name)), [0, 1]);

    // A plain entry tells the name; of named hosts alone entries go.
    let text = world.line("web1.example.test", "ed2") + &world.line("web2.example.test", "ed") + &hashed;
    world.file(&text);
    let finished = world.tidy_file(&["--write", "web1.example.test"]);
    assert_eq!(finished.code, Some(5), "the plain one contradicts: {finished:#?}");
    assert_eq!(["web1.example.test", "web2.example.test"].map(|name| world.found(name)), [1, 1]);
    world.file(&text);
    assert_eq!(world.tidy_file(&["--write"]).code, Some(5));
    assert_eq!(["web1.example.test", "web2.example.test"].map(|name| world.found(name)), [1, 0]);
}

#[test]
fn no_host_becomes_new_to_ssh_unless_it_is_forced() {
    let world = World::new(&[("web1.example.test", "ed"), ("web2.example.test", "ed")]);
    let both = [world.line("web1.example.test", "ed"), world.line("web2.example.test", "ed")].concat();
    let file = world.file(&both);
    let tidy = |config: &str, arguments: &[&str]| {
        let config = world.ssh_config_with(config);
        let mut command = world.tree.sshanchor(world.tree.addr());
        command.args(["tidy", "--ssh-config"]).arg(config).arg("--file").arg(&file);
        run(command.args(arguments), LIMIT)
    };
    let told = "ssh does not ask sshanchor about web1.example.test and another host";
    let finished = tidy("", &[]);
    assert_eq!((finished.code, finished.stderr.contains(told)), (Some(5), true), "{finished:#?}");
    let finished = tidy("", &["--write"]);
    assert_eq!((finished.code, finished.stderr.contains(told)), (Some(2), true), "{finished:#?}");
    assert_eq!(world.text(), both);
    // Of one host ssh has the proxy: that one may go.
    let proxied = "Host web1.example.test\n ProxyCommand /usr/bin/sshanchor proxy %h %p\nHost *\n";
    assert_eq!(tidy(proxied, &["--write"]).code, Some(2));
    let finished = tidy(proxied, &["--write", "web1.example.test"]);
    assert_eq!((finished.code, world.found("web1.example.test")), (Some(0), 0), "{finished:#?}");
    let finished = tidy("", &["--write", "--force"]);
    assert_eq!((finished.code, world.text().as_str()), (Some(0), ""), "{finished:#?}");
}

#[test]
fn the_files_are_those_of_ssh_and_a_link_stays() {
    let world = World::new(&[("web1.example.test", "ed")]);
    let real = world.tree.sandbox.write("real", &world.line("web1.example.test", "ed"));
    symlink(&real, world.tree.sandbox.join("known_hosts")).unwrap();
    let finished = world.tidy(&[]);
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    let finished = world.tidy(&["--write"]);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    assert!(world.tree.sandbox.join("known_hosts").symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), "");
    // Where ssh does not know, those in this user's home count; here there are none.
    let wrong = world.tree.sandbox.write("wrong", "UserKnownHostsFile none none\n");
    let mut command = world.tree.sshanchor(world.tree.addr());
    let finished = run(command.args(["tidy", "--ssh-config"]).arg(wrong), LIMIT);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:#?}");
    assert!(
        finished.stderr.contains("ssh said") && finished.stderr.contains("no known_hosts file"),
        "{finished:#?}"
    );
    let missing = world.tree.sandbox.join("missing");
    for wrong in [missing.as_path(), Path::new("/dev/null"), world.tree.sandbox.path()] {
        let finished = world.tidy(&["--file", wrong.to_str().unwrap()]);
        assert_eq!(finished.code, Some(2), "{finished:#?}");
    }
}

#[test]
fn without_answers_nothing_goes() {
    let world = World::new(&[("web1.example.test", "ed")]);
    let file = world.file(&world.line("web1.example.test", "ed"));
    let resolver = Forger::start(world.tree.addr());
    let config = world
        .tree
        .sandbox
        .write("config.toml", "version = 1\n[[host]]\nmatch = \"*\"\noutage_grace = \"1d\"\n");
    let cache = world.tree.sandbox.join("cache");
    let tidy = |arguments: &[&str]| {
        let mut command = world.tree.sshanchor(resolver.addr());
        command.env("SSHANCHOR_CONFIG", &config).env("SSHANCHOR_CACHE", &cache);
        command.args(["tidy", "--json", "--timeout", "3", "--file"]).arg(&file);
        run(command.arg("--ssh-config").arg(world.ssh_config()).args(arguments), LIMIT)
    };
    let bundle = world.tree.sandbox.join("fleet.bundle");
    let bundle = bundle.to_str().unwrap();
    let exported = run(
        world.tree.sshanchor(world.tree.addr()).args(["bundle", "export", "web1.example.test", "-o", bundle]),
        LIMIT,
    );
    assert_eq!(exported.code, Some(0), "{exported:#?}");
    resolver.rule(|_| Vec::new());
    let finished = tidy(&["--write"]);
    assert_eq!((finished.code, world.found("web1.example.test")), (Some(1), 1), "{finished:#?}");
    assert_eq!(finished.json()["reason"], "no-answer");
    // A bundle is named by the user, and serves.
    let finished = tidy(&["--bundle", bundle]);
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    assert_eq!(report(&finished).1["removable"], 1, "{finished:#?}");

    // What policy does not let count makes no entry needless.
    fs::write(&config, "version = 1\n[[host]]\nmatch = \"*\"\nmode = \"pass\"\n").unwrap();
    let finished = tidy(&["--bundle", bundle, "--write"]);
    assert_eq!((finished.code, world.found("web1.example.test")), (Some(0), 1), "{finished:#?}");
    assert_eq!(report(&finished).0[0].2, "pass");
}

#[test]
fn what_dns_has_withdrawn_is_not_proven_by_a_bundle() {
    let world = World::new(&[("web1.example.test", "ed")]);
    let bundle = world.tree.sandbox.join("fleet.bundle");
    let bundle = bundle.to_str().unwrap();
    let mut export = world.tree.sshanchor(world.tree.addr());
    run_ok(export.args(["bundle", "export", "web1.example.test", "-o", bundle]));
    let line = sshfp_lines(&world.keys.path().join("ec.pub"), "web1.example.test.").remove(0);
    let data = line.split_once("SSHFP").unwrap().1;
    let replace =
        format!("update delete web1.example.test. SSHFP\nupdate add web1.example.test. 60 SSHFP{data}");
    let standings = |text: &str| {
        world.file(text);
        let (entries, _) = report(&world.tidy_file(&["--bundle", bundle]));
        entries.into_iter().map(|entry| entry.1).collect::<Vec<_>>()
    };
    // DNS is asked for the one key, whichever comes first, and is right about the other.
    let (ed, ec) = (world.line("web1.example.test", "ed"), world.line("web1.example.test", "ec"));
    assert_eq!(standings(&ed), ["proven"]);
    world.tree.update(&replace);
    assert_eq!(standings(&ed), ["proven"], "nothing asked DNS");
    for _ in 0..4 {
        assert_eq!(standings(&format!("{ed}{ec}")), ["other-types", "proven"]);
    }
}
