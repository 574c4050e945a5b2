//! Groups in a tree of texts: the static form (YAML, JSON), and what a dynamic inventory prints for `--list`.

use super::node::Node;
use super::range::{expand, host_and_port};
use super::{ALL, Inventory, InventoryError};

/// What has to be asked for still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Nothing: the variables of hosts came along.
    Known,
    /// Each host's variables, by `--host`.
    Unknown,
}

fn form(what: &str, wanted: &str) -> InventoryError {
    InventoryError::Form(format!("{what} is no {wanted}"))
}

impl Inventory {
    /// Adds a tree in whatever form it has: a dynamic inventory's prints `_meta`, or hosts in lists.
    pub fn add_tree(&mut self, tree: &Node) -> Result<Hosts, InventoryError> {
        let Node::Map(groups) = tree else {
            return match tree {
                Node::Null => Ok(Hosts::Known),
                _ => Err(form("the whole", "mapping of groups")),
            };
        };
        if let Some(Node::Text(plugin)) = tree.get("plugin") {
            return Err(InventoryError::Plugin(plugin.clone()));
        }
        let in_lists = |(_, group): &(String, Node)| match group {
            Node::List(_) => true,
            group => {
                matches!(group.get("hosts"), Some(Node::List(_)))
                    || matches!(group.get("children"), Some(Node::List(_)))
            }
        };
        if tree.get("_meta").is_some() || groups.iter().any(in_lists) {
            return self.add_dynamic(tree, groups);
        }
        for (name, group) in groups {
            self.add_static(name, group)?;
        }
        Ok(Hosts::Known)
    }

    /// One group of the static form: `hosts`, `vars` and `children` are mappings. How deep they lie is bounded by those
    /// who read the tree.
    fn add_static(&mut self, name: &str, group: &Node) -> Result<(), InventoryError> {
        self.add_group(name)?;
        let entries = match group {
            Node::Null => return Ok(()),
            Node::Map(entries) => entries,
            _ => return Err(form(&format!("group {name}"), "mapping")),
        };
        for (key, value) in entries {
            let members: &[(String, Node)] = match value {
                Node::Null => &[],
                Node::Map(members) => members,
                Node::Text(text) if key == "hosts" => &[(text.clone(), Node::Null)],
                _ if ["hosts", "vars", "children"].contains(&key.as_str()) => {
                    return Err(form(&format!("{key} of group {name}"), "mapping"));
                }
                _ => continue,
            };
            match key.as_str() {
                "hosts" => self.add_static_hosts(name, members)?,
                "vars" => {
                    for (variable, value) in members {
                        if let Node::Text(value) = value {
                            self.set_of_group(name, variable, value)?;
                        }
                    }
                }
                "children" => {
                    for (child, group) in members {
                        self.put_child(name, child)?;
                        self.add_static(child, group)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_static_hosts(&mut self, group: &str, hosts: &[(String, Node)]) -> Result<(), InventoryError> {
        for (pattern, variables) in hosts {
            let (names, port) = host_and_port(pattern);
            for host in expand(names)? {
                self.put(group, &host)?;
                if let Some(port) = port {
                    self.set(&host, "ansible_port", &port.to_string());
                }
                self.add_variables(&host, variables)?;
            }
        }
        Ok(())
    }

    /// What a dynamic inventory prints for `--host`, or has in `_meta`.
    pub fn add_variables(&mut self, host: &str, variables: &Node) -> Result<(), InventoryError> {
        match variables {
            Node::Null => {}
            Node::Map(variables) => {
                for (name, value) in variables {
                    if let Node::Text(value) = value {
                        self.set(host, name, value);
                    }
                }
            }
            _ => return Err(form(&format!("what is said of host {host}"), "mapping")),
        }
        Ok(())
    }

    fn add_dynamic(&mut self, tree: &Node, groups: &[(String, Node)]) -> Result<Hosts, InventoryError> {
        for (name, group) in groups.iter().filter(|(name, _)| name != "_meta") {
            self.add_dynamic_group(name, group)?;
        }
        match tree.get("_meta").map(|meta| meta.get("hostvars")) {
            None => return Ok(Hosts::Unknown),
            Some(None | Some(Node::Null)) => {}
            Some(Some(Node::Map(hosts))) => {
                for (host, variables) in hosts {
                    // Of hosts in no group nothing is said: Ansible does not know them.
                    if self.places.contains_key(host) {
                        self.add_variables(host, variables)?;
                    }
                }
            }
            Some(Some(_)) => return Err(form("hostvars", "mapping")),
        }
        Ok(Hosts::Known)
    }

    fn add_dynamic_group(&mut self, name: &str, group: &Node) -> Result<(), InventoryError> {
        self.add_group(name)?;
        let texts = |node: &Node, what: &str| -> Result<Vec<String>, InventoryError> {
            let Node::List(nodes) = node else { return Err(form(what, "list")) };
            let text = |node: &Node| match node {
                Node::Text(text) => Ok(text.clone()),
                _ => Err(form(what, "list of names")),
            };
            nodes.iter().map(text).collect()
        };
        let entries = match group {
            Node::Null => return Ok(()),
            Node::List(_) => {
                for host in texts(group, name)? {
                    self.put(name, &host)?;
                }
                return Ok(());
            }
            Node::Map(entries) => entries,
            Node::Text(_) => return Err(form(&format!("group {name}"), "mapping")),
        };
        let is_group = entries.iter().any(|(key, _)| ["hosts", "vars", "children"].contains(&key.as_str()));
        if !is_group && !entries.is_empty() && name != ALL {
            // A host by itself, and its variables.
            self.put(name, name)?;
            for (variable, value) in entries {
                if let Node::Text(value) = value {
                    self.set_of_group(name, variable, value)?;
                }
            }
        }
        for (key, value) in entries {
            match (key.as_str(), value) {
                (_, Node::Null) => {}
                ("hosts", value) => {
                    for host in texts(value, &format!("hosts of group {name}"))? {
                        self.put(name, &host)?;
                    }
                }
                ("children", value) => {
                    for child in texts(value, &format!("children of group {name}"))? {
                        self.put_child(name, &child)?;
                    }
                }
                ("vars", Node::Map(variables)) => {
                    for (variable, value) in variables {
                        if let Node::Text(value) = value {
                            self.set_of_group(name, variable, value)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
