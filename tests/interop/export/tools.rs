//! octoDNS and Ansible read what is exported for them.

use serde_json::Value;

use super::*;
use crate::support::peer::command;
use crate::support::{run_ok, venv};

const HOSTS: [&str; 6] =
    ["example.test", "1.example.test", "web2.example.test", "web10.example.test", "02.example.test", HOST];

#[test]
fn octodns_reads_the_zone_as_it_is_meant() {
    let sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let tree = Tree::start();
    let keys = sshd.host_keys().iter().map(|key| key.display().to_string()).collect::<Vec<_>>().join(" ");
    let batch: String = HOSTS.iter().map(|host| format!("{host} {keys}\n")).collect();
    let batch = tree.sandbox.write("batch", &batch);
    let folder = tree.sandbox.join("zones");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("example.test.yaml");
    let finished = export(
        &tree,
        &[
            "octodns",
            "--zone",
            "example.test",
            "--batch",
            batch.to_str().unwrap(),
            "-o",
            file.to_str().unwrap(),
        ],
    );
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    // Its loader is strict: it refuses keys out of its order.
    let script = "import json, sys\n\
        from octodns.provider.yaml import YamlProvider\n\
        from octodns.zone import Zone\n\
        zone = Zone('example.test.', [])\n\
        YamlProvider('sshfp', sys.argv[1]).populate(zone)\n\
        print(json.dumps({r.fqdn: [r._type, r.ttl] + [f'{v.algorithm} {v.fingerprint_type} {v.fingerprint}' for v in r.values] for r in zone.records}))\n";
    let read = run_ok(venv::command("python").args(["-c", script]).arg(&folder));
    let read: Value = serde_json::from_str(&read).unwrap();
    let records = sorted(sshd.sshfp(OWNER).iter().map(|line| line.split_once(" SSHFP ").unwrap().1));
    for host in HOSTS {
        let set = read[format!("{host}.")].as_array().unwrap();
        assert_eq!((&set[0], &set[1]), (&"SSHFP".into(), &3600.into()), "{host}");
        assert_eq!(sorted(set[2..].iter().map(|record| record.as_str().unwrap())), records, "{host}");
    }
    assert_eq!(read.as_object().unwrap().len(), HOSTS.len());
}

#[test]
fn ansible_fills_known_hosts_as_the_help_has_it() {
    let sshd = Sshd::start(&["ed25519", "ecdsa256"]);
    let plan = published(published(Tree::plan(), &sshd, OWNER), &sshd, "web2.example.test.");
    let tree = plan.start();
    let file = tree.sandbox.join("sshanchor.json");
    let port = sshd.port().to_string();
    let arguments = ["ansible", HOST, "web2.example.test", "-p", &port, "-o", file.to_str().unwrap()];
    let finished = export(&tree, &arguments);
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let help = run_ok(tree.sandbox.sshanchor().args(["export", "ansible", "--help"]));
    let (_, tasks) = help.split_once("In a playbook:\n").unwrap();
    let known_hosts = tree.sandbox.join("filled");
    let tasks = tasks.replace("known_hosts: {", &format!("known_hosts: {{path: {}, ", known_hosts.display()));
    let playbook =
        format!("- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n{tasks}");
    let playbook = tree.sandbox.write("playbook.yml", &playbook);
    let mut ansible = venv::command("ansible-playbook");
    ansible.env("HOME", tree.sandbox.path()).env("ANSIBLE_LOCALHOST_WARNING", "false");
    ansible.env("ANSIBLE_PYTHON_INTERPRETER", venv::program("python"));
    run_ok(ansible.args(["-i", "localhost,"]).arg(playbook).current_dir(tree.sandbox.path()));
    for host in [HOST, "web2.example.test"] {
        let name = format!("[{host}]:{port}");
        let found = run_ok(command("ssh-keygen").args(["-F", &name, "-f"]).arg(&known_hosts));
        assert_eq!(found.lines().filter(|line| !line.starts_with('#')).count(), 2, "{found}");
    }
}
