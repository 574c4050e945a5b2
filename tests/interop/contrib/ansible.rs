//! The role of contrib/ansible, run by the real ansible-playbook on this machine into a folder, with a systemctl that
//! keeps its units in files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::contrib;
use crate::interop::primary::{HOST, LIMIT, Primary, key, private, record};
use crate::support::{Finished, run, venv};

/// As much of systemctl as the module asks for; what is enabled and active are files.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "${0%/*}/units" || exit 1
while :; do case $1 in --*) shift ;; *) break ;; esac; done
verb=$1 unit=$2
echo "$verb $unit" >>../calls
case $verb in
    show)
        active=inactive; [ -e "$unit.active" ] && active=active
        printf 'Id=%s\nLoadState=loaded\nActiveState=%s\nUnitFileState=enabled\n' "$unit" "$active" ;;
    is-enabled) if [ -e "$unit.enabled" ]; then echo enabled; else echo disabled; exit 1; fi ;;
    is-active) if [ -e "$unit.active" ]; then echo active; else echo inactive; exit 3; fi ;;
    enable) : >"$unit.enabled" ;;
    disable) rm -f "$unit.enabled" ;;
    start | restart) : >"$unit.active" ;;
    stop) rm -f "$unit.active" ;;
esac
exit 0
"#;

struct Host {
    primary: Primary,
}

impl Host {
    fn new() -> Host {
        let primary = Primary::bind();
        let sandbox = primary.sandbox();
        fs::create_dir_all(sandbox.join("bin/units")).unwrap();
        let systemctl = sandbox.write("bin/systemctl", SYSTEMCTL);
        fs::set_permissions(systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["root/usr/local/bin", "controller"] {
            fs::create_dir_all(sandbox.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(
            env!("CARGO_BIN_EXE_sshanchor"),
            sandbox.join("root/usr/local/bin/sshanchor"),
        )
        .unwrap();
        fs::copy(primary.tsig("web1"), sandbox.join("controller/web1.key")).unwrap();
        private(sandbox.join("controller/web1.key"));
        key(sandbox, "host_key");
        Host { primary }
    }

    fn join(&self, name: &str) -> std::path::PathBuf {
        self.primary.sandbox().join(name)
    }

    /// The role with these variables besides, as lines of YAML.
    fn play(&self, more: &str, arguments: &[&str]) -> Finished {
        let (sandbox, addr) = (self.primary.sandbox(), self.primary.addr());
        let folder = sandbox.path().display();
        let play = format!(
            "- hosts: all\n  gather_facts: false\n  roles: [sshanchor]\n  vars:\n\
             \x20   sshanchor_root: {folder}/root\n\
             \x20   sshanchor_start: true\n\
             \x20   sshanchor_publish: true\n\
             \x20   sshanchor_name: {HOST}\n\
             \x20   sshanchor_server: {addr}\n\
             \x20   sshanchor_key: \"{{{{ lookup('file', '{folder}/controller/web1.key') }}}}\"\n\
             \x20   sshanchor_publish_options: {{check_servers: ['{addr}'], host_keys: ['{folder}/host_key.pub']}}\n\
             {more}"
        );
        let play = sandbox.write("play.yml", &play);
        let mut ansible: Command = venv::command("ansible-playbook");
        ansible.args(["-i", "localhost,", "-c", "local", "--diff"]).args(arguments).arg(play);
        ansible.env("HOME", sandbox.path()).env("ANSIBLE_ROLES_PATH", contrib("ansible/roles"));
        ansible
            .env("ANSIBLE_CONFIG", sandbox.write("ansible.cfg", ""))
            .env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3");
        ansible
            .env("ANSIBLE_LOCAL_TEMP", sandbox.join("tmp"))
            .env("ANSIBLE_REMOTE_TEMP", sandbox.join("tmp"));
        ansible.env("PATH", format!("{}:/usr/bin:/bin", sandbox.join("bin").display()));
        run(&mut ansible, LIMIT * 4)
    }

    fn units(&self) -> Vec<String> {
        let mut units: Vec<String> = fs::read_dir(self.join("bin/units"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        units.sort();
        units
    }
}

/// How many tasks of the play changed something, and how many failed.
fn recap(finished: &Finished) -> (u32, u32) {
    let line = finished.stdout.lines().find(|line| line.starts_with("localhost ")).unwrap_or_default();
    let count = |word: &str| {
        let found = line.split_whitespace().find_map(|field| field.strip_prefix(word));
        found.unwrap_or_else(|| panic!("{finished:#?}")).parse().unwrap()
    };
    (count("changed="), count("failed="))
}

#[test]
fn the_role_installs_publishes_and_starts_and_the_second_run_changes_nothing() {
    let host = Host::new();
    let secret = host.primary.tree().tsig.iter().find(|key| key.name == "web1").unwrap().secret.clone();
    let first = host.play("", &["-vvv"]);
    assert!(first.code == Some(0) && recap(&first).0 > 0, "{first:#?}");
    assert!(!first.stdout.contains(&secret) && !first.stderr.contains(&secret), "the secret shows");
    let mode = |name: &str| fs::metadata(host.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("root/etc/sshanchor/tsig.key"), 0o600);
    assert_eq!(mode("root/usr/local/libexec/sshanchor-goodbye"), 0o755);
    assert_eq!(host.primary.records(HOST).0, [record(&host.join("host_key.pub"))]);
    assert_eq!(host.units(), ["sshanchor-agent.service.active", "sshanchor-agent.service.enabled"]);

    let second = host.play("", &[]);
    assert_eq!((second.code, recap(&second)), (Some(0), (0, 0)), "{second:#?}");

    // Another unit, the goodbye, and rotation.
    let drop_in = host.join("root/etc/systemd/system/sshanchor-agent.service.d/rotate.conf");
    assert!(!drop_in.exists());
    let more = "    sshanchor_unit: publish\n    sshanchor_goodbye: true\n    sshanchor_rotate: true\n";
    let changed = host.play(more, &[]);
    assert!(changed.code == Some(0) && recap(&changed).0 > 0, "{changed:#?}");
    assert!(drop_in.exists());
    let wanted = [
        "sshanchor-goodbye.service.active",
        "sshanchor-goodbye.service.enabled",
        "sshanchor-publish.service.enabled",
        "sshanchor-publish.timer.active",
        "sshanchor-publish.timer.enabled",
    ];
    assert_eq!(host.units(), wanted);
    let calls = fs::read_to_string(host.join("bin/calls")).unwrap();
    assert!(calls.contains("restart sshanchor-agent.service") && calls.contains("daemon-reload"), "{calls}");
}

#[test]
fn the_role_refuses_what_is_wrong_and_a_dry_run_changes_nothing() {
    let host = Host::new();
    let root = host.join("root");
    let none = host.play("    sshanchor_server: ''\n", &[]);
    assert!(none.code == Some(2) && none.stdout.contains("sshanchor_server and sshanchor_key"), "{none:#?}");
    let looked = host.play("", &["--check"]);
    assert_eq!(looked.code, Some(0), "{looked:#?}");
    assert!(!root.join("etc").exists() && host.units().is_empty());
    assert!(host.primary.records(HOST).0.is_empty());

    // A configuration with mistakes takes nobody's place.
    let bad = host.play("    sshanchor_config: '[agnet]'\n", &[]);
    assert_eq!((bad.code, recap(&bad).1), (Some(2), 1), "{bad:#?}");
    assert!(!root.join("etc/sshanchor/config.toml").exists());

    // A key that may not: the play fails, and says why.
    fs::copy(host.primary.tsig("web2"), host.join("controller/web1.key")).unwrap();
    key(host.primary.sandbox(), "other");
    let refused = host.play(
        &format!(
            "    sshanchor_start: false\n    sshanchor_publish_options: {{host_keys: ['{}']}}\n",
            host.join("other.pub").display()
        ),
        &[],
    );
    assert_eq!((refused.code, recap(&refused).1), (Some(2), 1), "{refused:#?}");
    assert!(refused.stdout.contains("allow key web2 to change SSHFP"), "{refused:#?}");
}
