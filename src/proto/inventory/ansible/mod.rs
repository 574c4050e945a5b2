//! Ansible's inventories: hosts, the groups they are in, and what variables say of how to get there.
//!
//! | file | decides |
//! |---|---|
//! | this one | hosts, groups, and which variable counts |
//! | [`entry`] | what variables say of one host |
//! | [`ini`] | the INI form |
//! | [`node`], [`yaml`] | a tree of texts, from JSON and from YAML |
//! | [`tree`] | groups in such a tree: the static form, and what a dynamic inventory prints |
//! | [`range`] | `www[01:50].example.com`, `db-[a:f]` |
//! | [`limit`] | `--limit web:&prod:!web7` |
//!
//! Only what says how ssh gets to a host is kept; `ansible-inventory` is the oracle in tests/interop/inventory.

pub mod entry;
pub mod ini;
pub mod limit;
pub mod node;
pub mod range;
pub mod tree;
pub mod yaml;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use self::entry::Entry;
use self::entry::{Variable, Variables, check_length, entry};
use super::MAX_HOSTS;

/// Most groups, and most memberships of hosts in groups.
const MAX_GROUPS: usize = 100_000;
/// See [`MAX_GROUPS`].
const MAX_MEMBERSHIPS: usize = 4 * MAX_HOSTS;
/// The group of every host.
pub const ALL: &str = "all";
/// The group of those that are in no other.
pub const UNGROUPED: &str = "ungrouped";

/// Hosts and groups, of one source or of several.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    hosts: Vec<String>,
    places: HashMap<String, usize>,
    variables: HashMap<String, Variables>,
    groups: BTreeMap<String, Group>,
    memberships: usize,
}

#[derive(Debug, Clone, Default)]
struct Group {
    hosts: BTreeSet<usize>,
    children: BTreeSet<String>,
    variables: Variables,
}

/// Why a text is no inventory, or one that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// A line that makes no sense.
    #[error("line {0}: {1}")]
    Line(usize, String),
    /// Something that makes no sense.
    #[error("{0}")]
    Form(String),
    /// More than anybody has.
    #[error("more than {MAX_HOSTS} hosts, or {MAX_GROUPS} groups")]
    TooMany,
    /// Groups that are their own children.
    #[error("group {0} is a child of itself")]
    Loop(String),
    /// A template, which Ansible alone can fill in.
    #[error("{variable} of {host} is a template: {value}")]
    Template {
        /// Whose it is.
        host: String,
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// No port.
    #[error("ansible_port of {0} is no port: {1:?}")]
    Port(String, String),
    /// A source for one of Ansible's plugins.
    #[error("it configures the plugin {0}, which only Ansible has")]
    Plugin(String),
    /// Patterns that mean nobody.
    #[error("{0}")]
    Limit(String),
}

impl InventoryError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Template { .. } => {
                "write the value itself; of templates only {{ inventory_hostname }} and {{ inventory_hostname_short }} are filled in"
                    .to_owned()
            }
            Self::Plugin(_) => LET_ANSIBLE.to_owned(),
            Self::Limit(_) => {
                "as in Ansible: --limit 'web:&prod:!web7', with names, globs and (~REGEX) regular expressions of groups and hosts"
                    .to_owned()
            }
            _ => "ansible-inventory -i SOURCE --list tells what Ansible makes of it; its output can be piped: --inventory -"
                .to_owned(),
        }
    }
}

/// The way out where Ansible alone can tell.
pub const LET_ANSIBLE: &str =
    "let Ansible read it: ansible-inventory -i SOURCE --list | sshanchor ... --inventory -";

impl Inventory {
    /// How many hosts.
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The hosts, in the order in which they came.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    fn add_group(&mut self, name: &str) -> Result<&mut Group, InventoryError> {
        check_length("a group", name)?;
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(name) {
            return Err(InventoryError::TooMany);
        }
        Ok(self.groups.entry(name.to_owned()).or_default())
    }

    fn add_host(&mut self, name: &str) -> Result<usize, InventoryError> {
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        check_length("a host", name)?;
        if self.hosts.len() >= MAX_HOSTS {
            return Err(InventoryError::TooMany);
        }
        let place = self.hosts.len();
        self.hosts.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    /// A host in a group.
    fn put(&mut self, group: &str, host: &str) -> Result<(), InventoryError> {
        let place = self.add_host(host)?;
        self.memberships += usize::from(self.add_group(group)?.hosts.insert(place));
        match self.memberships > MAX_MEMBERSHIPS {
            true => Err(InventoryError::TooMany),
            false => Ok(()),
        }
    }

    fn put_child(&mut self, group: &str, child: &str) -> Result<(), InventoryError> {
        self.add_group(child)?;
        self.add_group(group)?.children.insert(child.to_owned());
        Ok(())
    }

    /// Sets a variable of a host, if it is one that counts.
    fn set(&mut self, host: &str, variable: &str, value: &str) {
        if let Some(variable) = Variable::parse(variable) {
            self.variables.entry(host.to_owned()).or_default().insert(variable, value.to_owned());
        }
    }

    fn set_of_group(&mut self, group: &str, variable: &str, value: &str) -> Result<(), InventoryError> {
        if let Some(variable) = Variable::parse(variable) {
            self.add_group(group)?.variables.insert(variable, value.to_owned());
        }
        Ok(())
    }

    /// The groups above each: how deep they are below `all`, and who they are.
    fn depths(&self) -> Result<Ancestry<'_>, InventoryError> {
        let mut parents: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, group) in &self.groups {
            for child in &group.children {
                parents.entry(child).or_default().push(name);
            }
        }
        let mut ancestry = Ancestry { parents, depths: HashMap::new() };
        for name in self.groups.keys() {
            ancestry.depth(name)?;
        }
        Ok(ancestry)
    }

    /// What is said of each host whose place is in `wanted`; those that ssh does not go to are left out.
    pub fn entries(&self, wanted: &BTreeSet<usize>) -> Result<Vec<Entry>, InventoryError> {
        let ancestry = self.depths()?;
        let mut of_hosts: HashMap<usize, Vec<&str>> = HashMap::new();
        for (name, group) in self.groups.iter().filter(|(name, _)| *name != ALL) {
            for host in &group.hosts {
                of_hosts.entry(*host).or_default().push(name);
            }
        }
        // Hosts of the same groups are many.
        let mut known: HashMap<Vec<&str>, Variables> = HashMap::new();
        let mut entries = Vec::new();
        for place in wanted {
            let Some(host) = self.hosts.get(*place) else { continue };
            let groups = match of_hosts.remove(place) {
                Some(mut groups) if groups.len() > 1 => {
                    groups.retain(|group| *group != UNGROUPED);
                    groups
                }
                Some(groups) => groups,
                None => vec![UNGROUPED],
            };
            let mut variables = match known.get(&groups) {
                Some(variables) => variables.clone(),
                None => {
                    let variables = self.of_groups(&groups, &ancestry);
                    known.insert(groups, variables.clone());
                    variables
                }
            };
            variables.extend(self.variables.get(host).cloned().unwrap_or_default());
            entries.extend(entry(host, &variables)?);
        }
        Ok(entries)
    }

    /// The variables of groups and of those above them: deeper ones, then those with priority, then those whose names
    /// come later have the last word.
    fn of_groups(&self, groups: &[&str], ancestry: &Ancestry<'_>) -> Variables {
        let mut all: BTreeSet<&str> = BTreeSet::from([ALL]);
        let mut waiting: Vec<&str> = groups.to_vec();
        while let Some(group) = waiting.pop() {
            if all.insert(group) {
                waiting.extend(ancestry.parents.get(group).into_iter().flatten());
            }
        }
        let priority = |group: &Group| -> i64 {
            let value = group.variables.get(&(Variable::Priority, false));
            value.and_then(|value| value.trim().parse().ok()).unwrap_or(1)
        };
        let mut sorted: Vec<(usize, i64, &str, &Group)> = all
            .into_iter()
            .filter_map(|name| self.groups.get(name).map(|group| (name, group)))
            .map(|(name, group)| {
                (ancestry.depths.get(name).copied().unwrap_or(0), priority(group), name, group)
            })
            .collect();
        sorted.sort_by_key(|(depth, priority, name, _)| (*depth, *priority, *name));
        let mut variables = Variables::new();
        for (_, _, _, group) in sorted {
            variables.extend(group.variables.clone());
        }
        variables
    }
}

struct Ancestry<'a> {
    parents: HashMap<&'a str, Vec<&'a str>>,
    depths: HashMap<&'a str, usize>,
}

impl<'a> Ancestry<'a> {
    /// The longest way from `all`. Without recursion: groups may be many, one below the other.
    fn depth(&mut self, name: &'a str) -> Result<(), InventoryError> {
        let mut way: Vec<&'a str> = vec![name];
        let mut on_way: BTreeSet<&'a str> = BTreeSet::from([name]);
        while let Some(at) = way.last().copied() {
            if self.depths.contains_key(at) {
                on_way.remove(at);
                way.pop();
                continue;
            }
            let above = self.parents.get(at).cloned().unwrap_or_default();
            match above.iter().find(|parent| !self.depths.contains_key(*parent)) {
                Some(parent) if !on_way.insert(parent) => {
                    return Err(InventoryError::Loop((*parent).to_owned()));
                }
                Some(parent) => way.push(parent),
                None => {
                    let deepest = above.iter().filter_map(|parent| self.depths.get(parent)).max();
                    let depth = match (at, deepest) {
                        (ALL, _) => 0,
                        (_, None) => 1,
                        (_, Some(depth)) => depth + 1,
                    };
                    self.depths.insert(at, depth);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
