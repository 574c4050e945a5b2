//! `doctor` tells what does not hold, and is content with what does.

use std::fs;

use serde_json::Value;

use super::*;

/// What doctor finds of ssh for the host, with this ssh first in PATH if there is one.
fn found(world: &World, path: Option<&str>) -> Vec<Value> {
    let mut command = world.sshanchor();
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.args(["doctor", HOST, "--json", "--ssh-config"]).arg(world.config());
    let findings = run(&mut command, LIMIT).json_lines();
    findings.into_iter().filter(|finding| finding["check"].as_str().unwrap().starts_with("ssh-")).collect()
}

/// Checks with something to tell, with how grave it is.
fn told(findings: &[Value]) -> Vec<String> {
    let tells = |finding: &&Value| finding["severity"] != "ok";
    let text = |finding: &Value| {
        format!("{} {}", finding["severity"].as_str().unwrap(), finding["check"].as_str().unwrap())
    };
    findings.iter().filter(tells).map(text).collect()
}

#[test]
fn doctor_tells_of_a_host_that_ssh_knows_by_another_name() {
    let world = world();
    world.write(&format!("Host web\n  HostName {HOST}\n  StrictHostKeyChecking yes\n  UpdateHostKeys no"));
    let doctor = |name: &str| {
        let mut command = world.sshanchor();
        command.args(["doctor", name, "--json", "--ssh-config"]).arg(world.config());
        let findings = run(&mut command, LIMIT).json_lines();
        let of_file =
            |finding: &&Value| finding["check"] == "ssh-config-file" && finding["severity"] == "warning";
        findings.iter().filter(of_file).map(Value::to_string).collect::<Vec<_>>()
    };
    // Nobody but the configuration's own lines asks sshanchor here.
    let text = fs::read_to_string(world.config()).unwrap();
    let lines: String =
        text.lines().filter(|line| !line.contains("ProxyCommand")).map(|line| format!("{line}\n")).collect();
    world.sandbox().write("ssh_config", &lines);
    world.install(&[]);
    let found = doctor("web");
    assert!(matches!(found.as_slice(), [one] if one.contains("its key is not proven")), "{found:?}");
    assert_eq!(doctor(HOST), Vec::<String>::new());
    world.install(&["web"]);
    assert_eq!(doctor("web"), Vec::<String>::new());
}

#[test]
fn doctor_is_content_with_what_was_installed_and_tells_what_overrules_it() {
    let world = world();
    world.write("");
    assert!(found(&world, None).iter().all(|finding| finding["check"] != "ssh-config-file"));
    for mode in ["known-hosts", "proxy"] {
        world.write("");
        world.install(&["--mode", mode]);
        let findings = found(&world, None);
        assert_eq!(told(&findings), Vec::<String>::new(), "{mode}: {findings:#?}");
        let file = |finding: &&Value| finding["check"] == "ssh-config-file" && finding["host"] == HOST;
        assert_eq!(findings.iter().find(file).unwrap()["severity"], "ok");

        // Whatever comes before it.
        let text = fs::read_to_string(world.config()).unwrap();
        for (line, check) in [
            ("StrictHostKeyChecking no", "warning ssh-strict"),
            ("StrictHostKeyChecking accept-new", "ssh-strict"),
            ("VerifyHostKeyDNS yes", "warning ssh-verify-host-key-dns"),
            ("NoHostAuthenticationForLocalhost yes", "ssh-localhost"),
            ("UserKnownHostsFile /tmp/x", "ssh-known-hosts-files"),
            ("KnownHostsCommand /bin/true", "info ssh-known-hosts-command"),
            ("UpdateHostKeys yes", "info ssh-update-host-keys"),
            ("ProxyJump web2.example.test", "ssh-config-file"),
        ] {
            world.sandbox().write("ssh_config", &format!("Host *\n  {line}\n{text}"));
            let told = told(&found(&world, None));
            if line.starts_with("ProxyJump") && mode == "known-hosts" {
                assert_eq!(told, Vec::<String>::new(), "a jump is nothing to an ssh that asks for keys");
                continue;
            }
            assert!(told.iter().any(|told| told.contains(check)), "{mode} {line}: {told:?}");
            assert!(told.contains(&"warning ssh-config-file".to_owned()), "{mode} {line}: {told:?}");
        }
        // What it leaves to the user.
        world.sandbox().write(
            "ssh_config",
            &format!("{text}\nHost *\n  ControlMaster auto\n  ControlPersist 1h\n  ControlPath /x/%C\n"),
        );
        assert_eq!(told(&found(&world, None)), ["warning ssh-multiplexing"]);
    }
}

#[test]
fn doctor_tells_of_an_old_file_a_program_that_is_gone_and_an_old_ssh() {
    let world = world();
    world.write("");
    world.install(&[]);
    let own = world.sandbox().join("sshanchor.conf");
    let text = fs::read_to_string(&own).unwrap();
    let with = |from: &str, to: &str| {
        fs::write(&own, text.replace(from, to)).unwrap();
        told(&found(&world, None))
    };
    let version = format!("sshanchor {}:", env!("CARGO_PKG_VERSION"));
    assert_eq!(with(&version, "sshanchor 0.0.1:"), ["info ssh-config-file"]);
    let program = env!("CARGO_BIN_EXE_sshanchor");
    assert!(with(program, "/nonexistent/sshanchor").contains(&"error ssh-program".to_owned()));
    assert_eq!(with(program, program), Vec::<String>::new());

    world.config_ssh(&["--remove"]);
    world.install_for_old_ssh();
    let old = format!("{}:/usr/bin:/bin", world.sandbox().join("old").display());
    assert_eq!(told(&found(&world, Some(&old))), ["info ssh-client"]);
    world.write("Host *\n  UserKnownHostsFile none\n");
    let none = told(&found(&world, Some(&old)));
    assert!(none.contains(&"warning ssh-none-file".to_owned()), "{none:?}");
}

#[test]
fn install_tells_whom_it_leaves_out_and_which_names_lead_past_it() {
    let world = world();
    world.write(&format!("Host web1\n  HostName {HOST}\nHost other\n  HostName other.example.org\n"));
    let finished = world.install(&["--json"]);
    assert!(
        finished.stderr.contains(&format!("ssh will not ask about web1 (HostName {HOST})")),
        "{finished:#?}"
    );
    let done = finished.json();
    assert_eq!(done["aliases"], serde_json::json!([{"typed": "web1", "host": HOST}]), "{done}");
    assert_eq!(done["left_out"], serde_json::json!([]), "{done}");
    // It is as it says, and named too the short name is proven by the whole one.
    let asks = |host: &str| {
        let told = run(world.ssh(&["-G"]).arg(host), LIMIT).stdout;
        told.lines().any(|line| line.starts_with("knownhostscommand "))
    };
    assert_eq!((asks("web1"), asks(HOST)), (false, true));
    let finished = world.install(&["web1"]);
    assert!(!finished.stderr.contains("warning"), "{finished:#?}");
    assert!(asks("web1"));
    world.works(&[], "web1");
    world.tree.update("update delete web1.example.test. SSHFP");
    world.is_stopped(&[], "web1");

    // Fewer hosts than before.
    let finished = world.config_ssh(&["--install", "web1", "--dry-run"]);
    let hint = "web1 '*.example.test')\n";
    assert!(finished.stderr.contains("no longer asks about *.example.test"), "{finished:#?}");
    assert!(finished.stderr.ends_with(hint), "{finished:#?}");
}
