//! Ansible's inventories, held against `ansible-inventory --list` and `ansible --list-hosts`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sshanchor::error::Error;
use sshanchor::fleet::inventory::Found;
use sshanchor::fleet::inventory::ansible::{Inventories, read};

use crate::support::sandbox::Sandbox;
use crate::support::{run, venv};

const INI: &str = "lone.example.com:2201\nbare # comment\n[web]\nweb[01:03].example.com ansible_user=deploy  # x\n\
    web9 ansible_host=10.0.0.9 ansible_port=2222 ansible_ssh_private_key_file=\"/home/me/my key\"\n\
    [db]\ndb-[a:c].example.com:2022\ndb-[1:5:2]x ansible_ssh_user='dba'\n[all:vars]\nansible_user=everybody\n\
    [prod:children]\nweb\ndb\n[prod:vars]\nansible_port=22022\n\
    [special]\nweb02.example.com\nbare\n[special:vars]\nansible_user = \"special\"\nansible_port=1022\n\
    [above:children]\nspecial\n[above:vars]\nansible_user=above\nansible_ssh_private_key_file=/above\n";

const YAML: &str = "---\nall:\n  vars: &all\n    ansible_user: everybody\n  hosts:\n    lone.example.com:\n    \
    \"bare:2201\":\n  children:\n    web:\n      hosts:\n        web[1:3].example.com: {ansible_port: 2222}\n        \
    web9: {<<: *all, ansible_host: 192.0.2.9, ansible_private_key_file: \"/k\"}\n      vars:\n        ansible_port: 22022\n    \
    prod:\n      children:\n        web:\n        db: {hosts: {db1: , 'db2': {ansible_host: db2.example.com}}}\n      \
    vars: {ansible_user: prod}\nother:\n  hosts:\n    lone.example.com: {ansible_ssh_host: other.example.com}\n";

const JSON: &str = r#"{"all": {"children": {"web": {"hosts": {"web1": {"ansible_host": "web1.example.com"}, "web2": null},
    "vars": {"ansible_user": "deploy", "ansible_port": 2022}}}}}"#;

const DYNAMIC: &str = r#"{"_meta": {"hostvars": {"d1": {"ansible_host": "192.0.2.1"}}}, "web": {"hosts": ["d1", "d2"],
    "vars": {"ansible_user": "dyn"}}, "db": ["d3"], "prod": {"children": ["web"], "vars": {"ansible_port": 2022}}}"#;

/// Who is found: `LABEL NAME ADDRESS PORT USER KEYS` a host.
fn lines(hosts: &[Found]) -> BTreeSet<String> {
    let line = |found: &Found| {
        let Found { label, name, address, port, user, identities, .. } = found;
        format!("{label} {name} {address:?} {port:?} {user:?} {identities:?}")
    };
    hosts.iter().map(line).collect()
}

async fn found(source: &Path, limit: &[&str]) -> Result<Inventories, Error> {
    let limit: Vec<String> = limit.iter().map(|word| (*word).to_owned()).collect();
    read(&[source.to_owned()], &limit, Duration::from_secs(20)).await
}

fn ansible(program: &str, sandbox: &Sandbox, source: &Path) -> Command {
    let mut command = venv::command(program);
    command.env("HOME", sandbox.path()).env("ANSIBLE_NOCOLOR", "1").arg("-i").arg(source);
    command
}

/// Every form, as Ansible reads it and prints it again.
#[tokio::test]
async fn every_form_says_what_ansible_makes_of_it() {
    let sandbox = Sandbox::new();
    let program = |name: &str, script: &str| {
        let path = sandbox.write(name, script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let with_meta = format!("#!/bin/sh\n[ \"$1\" = --list ] || exit 3\ncat <<'EOF'\n{DYNAMIC}\nEOF\n");
    let without = "#!/bin/sh\ncase $1$2 in\n--list) echo '{\"web\": [\"h1\", \"h2\"], \"all\": {\"vars\": {\"ansible_user\": \"u\"}}}';;\n\
                   --hosth1) echo '{\"ansible_port\": 2022}';;\n*) echo '{}';;\nesac\n";
    let sources: [(PathBuf, usize); 8] = [
        (sandbox.write("hosts.ini", INI), 12),
        (sandbox.write("hosts", INI), 12),
        (sandbox.write("hosts.yml", YAML), 8),
        (sandbox.write("plain", YAML), 8),
        (sandbox.write("static.json", JSON), 2),
        (program("dynamic", &with_meta), 3),
        (program("dynamic.py", &with_meta), 3),
        (program("asked", without), 2),
    ];
    for (source, count) in sources {
        let printed =
            run(ansible("ansible-inventory", &sandbox, &source).arg("--list"), Duration::from_secs(60));
        assert_eq!(printed.code, Some(0), "{printed:#?}");
        let theirs = sandbox.write("printed.json", &printed.stdout);
        let (ours, theirs) = (found(&source, &[]).await.unwrap(), found(&theirs, &[]).await.unwrap());
        assert_eq!(lines(&ours.hosts), lines(&theirs.hosts), "{}: {}", source.display(), printed.stdout);
        assert_eq!(ours.hosts.len(), count, "{}", source.display());
        // And by Ansible's own account of each host, without our reading of it.
        let hostvars: Value = serde_json::from_str(&printed.stdout).unwrap();
        for host in &ours.hosts {
            let says = |names: [&str; 2]| {
                let vars = &hostvars["_meta"]["hostvars"][&host.label];
                names.iter().map(|name| &vars[*name]).find(|value| !value.is_null()).map(
                    |value| match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    },
                )
            };
            assert_eq!(host.port.map(|port| port.to_string()), says(["ansible_ssh_port", "ansible_port"]));
            assert_eq!(host.user, says(["ansible_ssh_user", "ansible_user"]), "{}", host.label);
            let goes_to =
                host.address.as_ref().map(|address| address.to_string()).unwrap_or(host.name.clone());
            let theirs = says(["ansible_ssh_host", "ansible_host"]).unwrap_or(host.label.clone());
            assert_eq!(goes_to, theirs, "{}", host.label);
        }
    }
}

#[tokio::test]
async fn limits_leave_whom_ansible_leaves() {
    let sandbox = Sandbox::new();
    let source = sandbox.write("hosts.ini", INI);
    for limit in [
        "web",
        "all",
        "*",
        "ungrouped",
        "web:&special",
        "web:!web9",
        "!db",
        "&prod",
        "web*",
        "*.example.com",
        "db-?x",
        "web,bare",
        "lone*:db",
        "web[0]",
        "web[1:2]",
        "web[-1]",
        "prod:&special:!bare",
        "special:above",
        "w*:!web0?.*",
        "web01.example.com",
        "above:!web",
        "a*",
        "~web0[12]",
        "~(lone|db-.x)",
        "all:!~web",
        "web:&~.*[13]\\.example",
        "~special$",
    ] {
        let mut command = ansible("ansible", &sandbox, &source);
        let listed = run(command.args([limit, "--list-hosts"]), Duration::from_secs(60));
        assert_eq!(listed.code, Some(0), "{listed:#?}");
        let theirs: BTreeSet<String> =
            listed.stdout.lines().skip(1).map(|line| line.trim().to_owned()).collect();
        let ours = found(&source, &[limit]).await.unwrap().hosts;
        let ours: BTreeSet<String> = ours.into_iter().map(|found| found.label).collect();
        assert_eq!(ours, theirs, "{limit}");
    }
    assert_eq!(found(&source, &["wed"]).await.unwrap_err().kind.exit_code(), 2);
}

#[tokio::test]
async fn what_only_ansible_can_read_is_told_with_the_way_out() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.join("folder")).unwrap();
    let failing = sandbox.write("failing", "#!/bin/sh\necho 'no cloud today' >&2\nexit 1\n");
    let endless = sandbox.write("endless", "#!/bin/sh\nyes\n");
    for program in [&failing, &endless] {
        std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for (source, told, hint) in [
        (sandbox.join("folder"), "is a folder", "ansible-inventory -i"),
        (
            sandbox.write("aws.yml", "plugin: amazon.aws.aws_ec2\n"),
            "the plugin amazon.aws.aws_ec2",
            "ansible-inventory -i",
        ),
        (sandbox.write("t.ini", "w1 ansible_host=\"{{ x }}\"\n"), "is a template", "write the value"),
        (
            sandbox.write("v.yml", "all: {hosts: {w1: {ansible_user: !vault x}}}\n"),
            "!vault",
            "ansible-inventory",
        ),
        (sandbox.join("nowhere"), "cannot read", "INI, YAML, JSON"),
        (failing, "no cloud today", "run it by hand"),
        (endless, "more than", "run it by hand"),
    ] {
        let error = found(&source, &[]).await.unwrap_err();
        assert!(error.message.contains(told), "{error}");
        assert!(error.hint.as_deref().unwrap_or_default().contains(hint), "{error:?}");
    }
    let source = sandbox.write("hosts.ini", INI);
    assert!(found(&source, &[]).await.unwrap().warnings.is_empty());
    std::fs::create_dir(sandbox.join("group_vars")).unwrap();
    let warnings = found(&source, &[]).await.unwrap().warnings;
    assert!(warnings[0].contains("group_vars says of hosts is not looked at"), "{warnings:?}");
}
