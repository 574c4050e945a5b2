use super::node::Node;
use super::range::{expand, host_and_port};
use super::tree::Hosts;
use super::*;

fn of_ini(text: &str) -> Result<Inventory, InventoryError> {
    let mut inventory = Inventory::default();
    inventory.add_ini(text).map(|()| inventory)
}

fn of_yaml(text: &str) -> Result<Inventory, InventoryError> {
    let mut inventory = Inventory::default();
    inventory.add_tree(&Node::from_yaml(text)?).map(|_| inventory)
}

/// `NAME HOST PORT USER KEY` a host.
fn lines(inventory: &Inventory, limit: &[&str]) -> Result<Vec<String>, InventoryError> {
    let limit: Vec<String> = limit.iter().map(|word| (*word).to_owned()).collect();
    let entries = inventory.entries(&inventory.limited(&limit)?)?;
    let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let line = |e: Entry| {
        format!(
            "{} {} {} {} {}",
            e.name,
            or(e.host),
            or(e.port.map(|p| p.to_string())),
            or(e.user),
            or(e.key)
        )
    };
    Ok(entries.into_iter().map(line).collect())
}

const INI: &str = r#"
lone.example.com:2201 ; no comment
# nothing
"#;

#[test]
fn hosts_of_an_ini_file_have_what_their_groups_say() {
    assert!(of_ini(INI).unwrap_err().to_string().contains("line 2"));
    let inventory = of_ini(
        "lone:2201\n[web]  # them\nw[01:02].x ansible_user=deploy # x\n\
         w9 ansible_host=10.0.0.9 ansible_ssh_private_key_file=\"~/my key\"\n[db]\nd-[a:c:2]\n[all:vars]\nansible_user = every\n\
         [prod:children]\nweb\ndb # both\n[prod:vars]\nansible_port=22022\nansible_user='prod'\n[db:vars]\nansible_ssh_user=dba\n",
    )
    .unwrap();
    let all = [
        "lone - 2201 every -",
        "w01.x - 22022 deploy -",
        "w02.x - 22022 deploy -",
        "w9 10.0.0.9 22022 prod ~/my key",
        "d-a - 22022 dba -",
        "d-c - 22022 dba -",
    ];
    assert_eq!(lines(&inventory, &[]).unwrap(), all);
    for bad in ["[web:hosts]\n", "w1 x\n", "w[1:\n", "[a:vars]\nx\n", "w1 'x=1\n", "[a b]\n[x]y]\n"] {
        assert!(of_ini(bad).is_err(), "{bad}");
    }
}

#[test]
fn limits_are_those_of_ansible() {
    let inventory = of_ini("lone\n[web]\nw[1:3].x\n[db]\nd[1:2]\nw1.x\n[prod:children]\nweb\n").unwrap();
    let names = |limit: &[&str]| -> Result<Vec<String>, InventoryError> {
        let lines = lines(&inventory, limit)?;
        Ok(lines.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect())
    };
    for (limit, hosts) in [
        (&["web"][..], "w1.x w2.x w3.x"),
        (&["prod:&db"], "w1.x"),
        (&["web:!w2.x", "db"], "w1.x w3.x d1 d2"),
        (&["!db"], "lone w2.x w3.x"),
        (&["w*:!w?.x"], ""),
        (&["ungrouped"], "lone"),
        (&["all,!prod"], "lone d1 d2"),
        (&["web[0]"], "w1.x"),
        (&["web[-1]"], "w3.x"),
        (&["web[1:]"], "w2.x w3.x"),
        (&["d*"], "w1.x d1 d2"),
        (&["*.x"], "w1.x w2.x w3.x"),
        (&["a*"], "lone w1.x w2.x w3.x d1 d2"),
        // Regular expressions mean groups and hosts, from the beginning of the name.
        (&["~w"], "w1.x w2.x w3.x"),
        (&["~w[12]"], "w1.x w2.x"),
        (&["~(lone|d\\d)$"], "lone d1 d2"),
        (&["all:!~.*[.]x"], "lone d1 d2"),
        (&["web:&~w1"], "w1.x"),
    ] {
        assert_eq!(names(limit).unwrap().join(" "), hosts, "{limit:?}");
    }
    for bad in ["wed", "~x", "~w(", "~a)|(b", "~(w{1000}){1000}", "w[ab]", "@file", "web:wed"] {
        assert!(matches!(names(&[bad]), Err(InventoryError::Limit(_))), "{bad}");
    }
}

#[test]
fn ways_through_other_hosts_are_known() {
    let inventory = of_ini(
        "[web]\nw1\nw2 ansible_ssh_extra_args='-J other'\nw3 ansible_ssh_common_args=\nw4 ansible_ssh_args='-o ProxyCommand=none'\n\
         [web:vars]\nansible_ssh_common_args='-o ProxyCommand=\"ssh -W %h:%p -q gate\"'\n[db]\nd1 ansible_ssh_args='-C'\n",
    )
    .unwrap();
    let entries = inventory.entries(&inventory.limited(&[]).unwrap()).unwrap();
    let jumps: Vec<_> = entries.into_iter().map(|entry| entry.jump.map(|jump| jump.by)).collect();
    let gate = || Some("ProxyCommand ssh -W %h:%p -q gate".to_owned());
    // ssh gets common arguments before extra ones, and takes the first.
    assert_eq!(jumps, [gate(), gate(), None, None, None]);
    let template = of_ini("w1 ansible_ssh_common_args='{{ gate }}'\n").unwrap();
    let entries = template.entries(&template.limited(&[]).unwrap()).unwrap();
    assert!(entries[0].jump.as_ref().is_some_and(|jump| !jump.is_sure));
}

#[test]
fn names_that_nobody_has_are_refused_without_being_repeated() {
    let long = "n".repeat(1025);
    for text in [
        format!("{long}\n"),
        format!("[{long}]\nw1\n"),
        format!("[a:children]\n{long}\n"),
        format!("w1 ansible_user={long}\n"),
        format!("w1 ansible_port={long}\n"),
        format!("w1 ansible_host='{{{{ {long} }}}}'\n"),
    ] {
        let inventory = of_ini(&text);
        let told = inventory.and_then(|inventory| lines(&inventory, &[])).unwrap_err().to_string();
        assert!(told.len() < 300, "{told}");
    }
    assert_eq!(of_ini(&format!("{}\n", "n".repeat(1024))).unwrap().len(), 1);
}

#[test]
fn yaml_has_groups_within_groups() {
    let inventory = of_yaml(
        "# fleet\nall:\n  vars: &defaults {ansible_user: every, ansible_port: 2022}\n  hosts:\n    lone:\n  children:\n    \
         web:\n      hosts:\n        w[1:2].x: {<<: *defaults, ansible_user: \"deploy\"}\n    prod:\n      children: {web: }\n      \
         vars:\n        ansible_host: '{{ inventory_hostname_short }}.y'\ndb:\n  hosts: {'d1:23': null}\n",
    )
    .unwrap();
    let all =
        ["lone - 2022 every -", "w1.x w1.y 2022 deploy -", "w2.x w2.y 2022 deploy -", "d1 - 23 every -"];
    assert_eq!(lines(&inventory, &[]).unwrap(), all);
    assert!(matches!(of_yaml("plugin: aws_ec2\n"), Err(InventoryError::Plugin(_))));
    for bad in
        ["- a\n", "all: [", "all:\n  hosts: [{}]\n", "a: !vault |\n  x\n", "a: 1\n---\nb: 2\n", "web: text\n"]
    {
        assert!(of_yaml(bad).is_err(), "{bad}");
    }
}

#[test]
fn aliases_do_not_multiply_without_an_end() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{before}]\n");
    }
    assert!(Node::from_yaml(&bomb).unwrap_err().to_string().contains("without an end"));
    let deep = "[".repeat(100_000);
    assert!(Node::from_yaml(&deep).is_err());
    assert!(Node::from_json(deep.as_bytes()).is_err());
}

#[test]
fn a_dynamic_inventory_brings_its_variables_or_is_asked_for_them() {
    let read = |text: &str| {
        let mut inventory = Inventory::default();
        inventory.add_tree(&Node::from_json(text.as_bytes())?).map(|hosts| (inventory, hosts))
    };
    let (inventory, hosts) = read(
        r#"{"_meta": {"hostvars": {"w1": {"ansible_port": 2022, "x": [1]}, "nobody": {}}},
            "all": {"children": ["web", "ungrouped"]}, "web": {"hosts": ["w1", "w2"], "vars": {"ansible_user": "d"}},
            "list": ["l1"], "empty": {}}"#,
    )
    .unwrap();
    assert_eq!(hosts, Hosts::Known);
    assert_eq!(lines(&inventory, &[]).unwrap(), ["w1 - 2022 d -", "w2 - - d -", "l1 - - - -"]);
    assert_eq!(read(r#"{"web": ["w1"]}"#).unwrap().1, Hosts::Unknown);
    for bad in [
        "[]",
        "{",
        r#"{"web": ["w1"], "b": 3}"#,
        r#"{"_meta": {"hostvars": []}}"#,
        r#"{"a": {"hosts": [[]]}}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_only_ansible_can_tell_is_told() {
    let told = |text: &str| lines(&of_ini(text).unwrap(), &[]).unwrap_err();
    let error = told("w1 ansible_host=\"{{ lookup('env', 'X') }}\"\n");
    assert!(error.to_string().starts_with("ansible_host of w1 is a template"), "{error}");
    assert!(error.hint().contains("inventory_hostname"));
    assert!(matches!(told("w1 ansible_port=ssh\n"), InventoryError::Port(..)));
    assert!(matches!(told("[a:children]\nb\n[b:children]\na\n[b]\nw1\n"), InventoryError::Loop(_)));
    // Hosts that ssh does not go to are none here.
    assert_eq!(
        lines(
            &of_ini("w1 ansible_connection=local\nw2 ansible_connection=ansible.builtin.ssh\n").unwrap(),
            &[]
        )
        .unwrap(),
        ["w2 - - - -"]
    );
}

#[test]
fn ranges_are_those_of_ansible() {
    for (text, names) in [
        ("w[1:3]", "w1 w2 w3"),
        ("w[01:03].x", "w01.x w02.x w03.x"),
        ("w[:2]", "w0 w1 w2"),
        ("w[1:9:4]", "w1 w5 w9"),
        ("[a:c]-[1:2]", "a-1 a-2 b-1 b-2 c-1 c-2"),
        ("w[8:10]", "w8 w9 w10"),
    ] {
        assert_eq!(expand(text).unwrap().join(" "), names, "{text}");
    }
    for bad in
        ["w[1-3]", "w[3:1]", "w[01:100]", "w[c:a]", "w[1:", "w[1:2:0]", "w[1:9999999]", "w[0:999][0:9999]"]
    {
        assert!(expand(bad).is_err(), "{bad}");
    }
    for (text, host, port) in [
        ("a", "a", None),
        ("a:22", "a", Some(22)),
        ("w[1:3]:22", "w[1:3]", Some(22)),
        ("w[1:3]", "w[1:3]", None),
        ("[::1]:22", "::1", Some(22)),
        ("::1", "::1", None),
    ] {
        assert_eq!(host_and_port(text), (host, port), "{text}");
    }
}
