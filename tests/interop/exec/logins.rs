//! Who logs in on many hosts, where, and with which keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::LIMIT;
use super::fleet::{Fleet, address};
use crate::support::agent::Agent;
use crate::support::peer::command;
use crate::support::terminal::at_a_terminal;
use crate::support::{run, run_ok};

/// Hosts of most of these tests.
const COUNT: usize = 20;

#[test]
fn keys_serve_many_hosts_and_a_passphrase_is_asked_for_once() {
    let fleet = Fleet::new(COUNT);
    let sandbox = &fleet.tree.sandbox;
    let locked = sandbox.join("locked");
    run_ok(command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "open sesame", "-f"]).arg(&locked));
    for sshd in &fleet.servers.sshds {
        let mut authorized = fs::read_to_string(sshd.sandbox.join("authorized_keys")).unwrap();
        authorized += &fs::read_to_string(sandbox.join("locked.pub")).unwrap();
        fs::write(sshd.sandbox.join("authorized_keys"), authorized).unwrap();
    }
    let set = format!("h[1-{COUNT}].example.test");
    let keyless = || {
        let mut exec = fleet.tree.sshanchor(fleet.tree.addr());
        exec.args(["exec", "-H", &set, "-p", &fleet.servers.port.number().to_string()]);
        exec.args(["--timeout", "60"]).env_remove("SSH_AUTH_SOCK");
        exec
    };
    let mut exec = keyless();
    exec.arg("-i").arg(&locked).args(["--", "echo", "hello"]);
    let (shown, code) = at_a_terminal(&exec, sandbox, &[("Passphrase for", "open sesame")]);
    assert_eq!((code, shown.matches("Passphrase for").count()), (Some(0), 1), "{shown}");
    assert_eq!(shown.matches(": hello").count(), COUNT, "{shown}");
    // A wrong one is asked for as often as for one host, and not by each.
    let wrong = [("Passphrase for", "no"); 3];
    let (shown, code) = at_a_terminal(&exec, sandbox, &wrong);
    assert_eq!((code, shown.matches("Passphrase for").count()), (Some(1), 3), "{shown}");
    assert!(shown.contains("denied: 20 hosts: h[1-20].example.test"), "{shown}");
    // So is one that ssh looks for by itself.
    let home = sandbox.join(".ssh");
    fs::create_dir(&home).unwrap();
    fs::copy(&locked, home.join("id_ed25519")).unwrap();
    fs::set_permissions(home.join("id_ed25519"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut exec = keyless();
    exec.args(["--", "echo", "hello"]);
    let (shown, code) = at_a_terminal(&exec, sandbox, &[("Passphrase for", "open sesame")]);
    assert_eq!((code, shown.matches("Passphrase for").count()), (Some(0), 1), "{shown}");
    fs::remove_dir_all(&home).unwrap();

    // The agent is asked by all of them at the same time.
    let agent = Agent::start();
    agent.add(&fleet.servers.user());
    let mut exec = keyless();
    exec.env("SSH_AUTH_SOCK", agent.socket()).args(["--", "echo", "hello"]);
    let finished = run(&mut exec, LIMIT);
    assert_eq!((finished.code, finished.stdout.lines().count()), (Some(0), COUNT), "{finished:#?}");
    agent.remove_all();
    let mut exec = keyless();
    exec.env("SSH_AUTH_SOCK", agent.socket()).args(["--", "echo", "hello"]);
    let finished = run(&mut exec, LIMIT);
    assert!(finished.code == Some(1) && finished.stderr.contains("denied: 20 hosts"), "{finished:#?}");
}

#[test]
fn ssh_s_configuration_says_who_logs_in_where_and_with_what() {
    let fleet = Fleet::new(2);
    let sandbox = &fleet.tree.sandbox;
    let stranger = sandbox.join("stranger");
    run_ok(command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&stranger));
    let agent = Agent::start();
    agent.add(&fleet.servers.user());
    let (port, user) = (fleet.servers.port.number(), fleet.servers.user());
    let runs = |lines: &str, options: &[&str]| {
        let config = sandbox.write("ssh_config", &format!("Host h1.* h2.*\n{lines}\nHost *\nPort 1\n"));
        let mut exec = fleet.tree.sshanchor(fleet.tree.addr());
        exec.args(["exec", "-H", "h[1-2].example.test", "--timeout", "60"])
            .env("SSH_AUTH_SOCK", agent.socket());
        let finished =
            run(exec.arg("--ssh-config").arg(&config).args(options).args(["-b", "--", "echo hello"]), LIMIT);
        (finished.code, finished.stdout.contains("h[1-2].example.test (2)"), finished.stderr)
    };
    let port = format!("Port {port}");
    let file = format!("IdentityFile {}", user.display());
    let other =
        format!("IdentityFile {}\nIdentityFile {}", stranger.display(), sandbox.join("absent").display());
    for (lines, works, told) in [
        (format!("{port}\n{file}\nIdentityAgent none"), true, ""),
        (format!("{port}\n{file}\nProxyJump gate"), true, "2 hosts connected to directly"),
        (format!("{port}\n{file}\nProxyJump gate"), true, "(ProxyJump gate): h[1-2].example.test"),
        (format!("{port}\n{file}\nProxyCommand sshanchor proxy %h %p"), true, ""),
        (format!("{port}\n{other}\nIdentityAgent none"), false, "denied"),
        (format!("{port}\n{other}"), true, ""),
        (format!("{port}\n{other}\nIdentitiesOnly yes"), false, "denied"),
        (format!("{port}\n{file}\nUser nobody-is-called-so"), false, "nobody-is-called-so"),
        (file.clone(), false, "unreachable"),
    ] {
        let (code, same, err) = runs(&lines, &[]);
        assert_eq!((code, same), if works { (Some(0), true) } else { (Some(1), false) }, "{lines}: {err}");
        assert!(err.contains(told), "{lines}: {err}");
        assert_eq!(
            err.contains("connected to directly"),
            told.contains("ProxyJump") || told.contains("directly"),
            "{err}"
        );
    }
    // The command line comes first.
    let (typed, key) = (fleet.servers.port.number().to_string(), user.display().to_string());
    let wrong = format!("Port 2\n{other}\nIdentityAgent none");
    assert_eq!(runs(&wrong, &["-p", &typed, "-i", &key]).0, Some(0));
    assert_eq!(runs(&wrong, &["-p", &typed]).0, Some(1));
}

#[test]
fn an_inventory_says_where_hosts_are_and_vouches_for_nothing() {
    let fleet = Fleet::with(1, "", |plan| {
        // Nothing listens at the address that DNS has.
        plan.record("far.example.test. A 127.80.9.9").record("other.example.test. A 127.80.9.9")
    });
    for line in fleet.servers.sshds[0].sshfp("far.example.test.") {
        let data = line.split_once(" IN ").unwrap().1;
        fleet.tree.update(&format!("update add far.example.test. 60 {data}"));
    }
    let runs = |lines: &str| {
        let inventory = fleet.tree.sandbox.write("inventory", lines);
        let mut exec = fleet.tree.sshanchor(fleet.tree.addr());
        exec.args(["exec", "--timeout", "60", "--prefix", "-I"]).arg(inventory).env_remove("SSH_AUTH_SOCK");
        run(exec.args(["--", "echo hello"]), LIMIT)
    };
    let vars = |address: &str| {
        let (port, key) = (fleet.servers.port.number(), fleet.servers.user());
        format!("{address} ansible_port={port} ansible_ssh_private_key_file={}\n", key.display())
    };
    let here = format!("ansible_host={}", address(0));
    let there = runs(&format!("far.example.test {}", vars(&here)));
    assert_eq!((there.code, there.stdout.as_str()), (Some(0), "far.example.test: hello\n"), "{there:#?}");
    let nowhere = runs(&format!("far.example.test {}", vars("")));
    assert!(nowhere.code == Some(1) && nowhere.stderr.contains("unreachable"), "{nowhere:#?}");
    // Whatever is there, its key has to be the one that is proven for the name.
    let unproven = runs(&format!("other.example.test {}", vars(&here)));
    assert!(unproven.code == Some(4) && unproven.stderr.contains("no-record"), "{unproven:#?}");
}
