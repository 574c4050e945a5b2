//! What the real ssh says of its configuration.

use std::path::Path;

use crate::support::process::wait_until;

use super::*;

/// What is found with this ssh_config.
fn with(tree: &Tree, config: &str, arguments: &[&str]) -> Found {
    tree.sandbox.write(
        "ssh_config",
        &format!("{config}\nHost *\n  UserKnownHostsFile none\n  GlobalKnownHostsFile none\n"),
    );
    doctor(tree, tree.addr(), arguments)
}

const GUARDED: &str = "Host *.example.test\n  ProxyCommand sshanchor proxy %h %p\n";

#[test]
fn settings_that_weaken_ssh_are_told_for_the_host_they_are_for() {
    let tree = plan().start();
    let guarded = with(&tree, GUARDED, &[HOST]);
    assert_eq!(guarded.complaints(), Vec::<&str>::new(), "{:#?}", guarded.finished);
    assert_eq!(guarded.severity("ssh-proxy"), "ok");
    assert_eq!(with(&tree, "", &[HOST]).severity("ssh-proxy"), "info");

    for (setting, check, want) in [
        ("StrictHostKeyChecking no", "ssh-strict", "warning"),
        ("StrictHostKeyChecking accept-new", "ssh-strict", "info"),
        ("StrictHostKeyChecking yes", "known-hosts-wanted", "info"),
        ("VerifyHostKeyDNS yes", "ssh-verify-host-key-dns", "warning"),
        ("VerifyHostKeyDNS ask", "ssh-verify-host-key-dns", "warning"),
        ("ControlMaster auto\n  ControlPersist 10m\n  ControlPath ~/.ssh/%C", "ssh-multiplexing", "warning"),
        ("ControlMaster auto\n  ControlPath ~/.ssh/%C", "ssh-multiplexing", "info"),
        ("HostKeyAlias web", "ssh-host-key-alias", "info"),
        ("UpdateHostKeys yes", "ssh-update-host-keys", "info"),
        ("ProxyUseFdpass yes", "ssh-proxy-fdpass", "error"),
    ] {
        let found = with(&tree, &format!("{GUARDED}  {setting}\n"), &[HOST]);
        assert_eq!(found.severity(check), want, "{setting}: {:#?}", found.finished);
        let other = with(&tree, &format!("Host another\n  {setting}\n{GUARDED}"), &[HOST]);
        assert_eq!(other.complaints(), Vec::<&str>::new(), "{setting}: {:#?}", other.finished);
        assert!(!other.all(check).contains(&want), "{setting}");
    }
    let found = with(
        &tree,
        &format!("{GUARDED}  ControlMaster auto\n  ControlPersist 10m\n  ControlPath /x/%C\n"),
        &[HOST],
    );
    assert!(found.message("ssh-multiplexing").contains("10 minutes"), "{:#?}", found.finished);
}

#[test]
fn without_a_host_the_defaults_are_judged() {
    let tree = plan().start();
    let found = with(&tree, "Host *\n  StrictHostKeyChecking no\n", &[]);
    assert_eq!(found.severity("ssh-strict"), "warning");
    assert_eq!(with(&tree, GUARDED, &[]).severity("ssh-strict"), "ok");
    assert!(found.findings.iter().all(|finding| finding["host"].is_null()));
}

#[test]
fn the_name_that_ssh_connects_to_is_the_one_that_is_proven() {
    let tree = plan().start();
    let short = with(&tree, &format!("Host web\n  HostName {HOST}\n"), &["web"]);
    assert_eq!(short.severity("chain"), "ok", "{:#?}", short.finished);
    assert!(short.findings.iter().any(|finding| finding["host"] == HOST));
    let address = with(&tree, &format!("Host {HOST}\n  HostName 127.0.0.1\n"), &[HOST]);
    assert_eq!((address.severity("ssh-host-name"), address.finished.code), ("error", Some(1)));
}

#[test]
fn a_configuration_that_ssh_does_not_take_is_told_and_so_is_one_that_hangs() {
    let tree = plan().start();
    let broken = with(&tree, "NoSuchOption yes\n", &[HOST]);
    assert_eq!(broken.severity("ssh-config"), "warning");
    assert!(
        broken.message("ssh-config").contains("NoSuchOption")
            || broken.message("ssh-config").contains("nosuchoption"),
        "{:#?}",
        broken.finished
    );
    let told = broken.findings.iter().find(|finding| finding["check"] == "ssh-config").unwrap();
    assert!(told["remedy"].as_str().unwrap().starts_with("ssh -F /"), "{told}");
    assert_eq!(broken.severity("chain"), "ok", "the proof does not depend on it");
    // ssh looks through those that it has for each that it reads, so few long ones are quicker than many.
    let name = vec!["a".repeat(60); 4].join(".");
    let long: String = (1..1500).map(|port| format!("  LocalForward {port} {name}:{port}\n")).collect();
    let long = with(&tree, &format!("Host *\n{long}"), &[HOST]);
    assert!(long.message("ssh-config").contains("more than"), "{:#?}", long.finished);
    let pid = tree.sandbox.join("pid");
    let exec = format!("Match exec \"echo $$ > {} && exec sleep 30\"\n  User nobody\n", pid.display());
    let slow = with(&tree, &exec, &["--timeout", "6", HOST]);
    assert!(slow.message("ssh-config").contains("in time"), "{:#?}", slow.finished);
    assert!(slow.finished.elapsed < Duration::from_secs(25), "{:#?}", slow.finished);
    let pid = std::fs::read_to_string(pid).unwrap();
    let is_gone = || !Path::new("/proc").join(pid.trim()).join("exe").exists();
    assert!(wait_until(Duration::from_secs(5), is_gone), "what it started goes on");
}

#[test]
fn without_ssh_there_is_still_everything_else() {
    let tree = plan().start();
    let mut command = tree.sshanchor(tree.addr());
    command.env("PATH", "/nonexistent");
    let finished = run(command.args(["doctor", HOST, "--json"]), LIMIT);
    let found = Found { findings: finished.json_lines(), finished };
    assert_eq!((found.severity("ssh-client"), found.severity("chain")), ("info", "ok"));
    let with_ssh = with(&tree, "", &[HOST]);
    assert_eq!(with_ssh.severity("ssh-client"), "ok");
    assert!(Path::new("/nonexistent").metadata().is_err());
}

#[test]
fn a_name_is_never_taken_for_an_option_nor_a_shell_line() {
    let tree = plan().start();
    let marker = tree.sandbox.join("marker");
    for name in ["-oProxyCommand=x", "--", "-V", "$(touch marker)", "web1;touch marker", "a b", "web1\nweb2"]
    {
        let mut command = tree.sshanchor(tree.addr());
        let finished = run(command.args(["doctor", "--json", "--", name]), LIMIT);
        assert_eq!(finished.code, Some(2), "{name}: {finished:#?}");
    }
    assert!(!marker.exists());
    let mut command = tree.sshanchor(tree.addr());
    let finished = run(command.args(["doctor", "--json", "127.0.0.1"]), LIMIT);
    assert_eq!(finished.code, Some(4), "{finished:#?}");
}

#[test]
fn people_read_groups_with_remedies() {
    let tree = plan().start();
    tree.sandbox.write(
        "ssh_config",
        "Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile none\n  GlobalKnownHostsFile none\n",
    );
    let mut command = tree.sshanchor(tree.addr());
    let config = tree.sandbox.join("ssh_config");
    let finished = run(command.args(["doctor", HOST, "--ssh-config"]).arg(config), LIMIT);
    assert_eq!(finished.code, Some(5), "{finished:#?}");
    for line in ["resolver 127.0.0.1:", "clock:", "trust anchors:", "ssh:", "web1.example.test:"] {
        assert!(finished.stdout.lines().any(|l| l.starts_with(line)), "{line}: {finished:#?}");
    }
    assert!(finished.stdout.contains("warning  ssh-strict"), "{finished:#?}");
    assert!(finished.stdout.contains("remedy: set StrictHostKeyChecking yes"), "{finished:#?}");
    assert!(finished.stdout.is_ascii() && finished.stderr.is_empty(), "{finished:#?}");
}
