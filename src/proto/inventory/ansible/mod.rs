//! Ansible's inventories: hosts, the groups they are in, and what variables say of how to get there.
//!
//! | file | decides |
//! |---|---|
//! | this one | hosts, groups, and which variable counts |
//! | [`ini`] | the INI form |
//! | [`node`], [`yaml`] | a tree of texts, from JSON and from YAML |
//! | [`tree`] | groups in such a tree: the static form, and what a dynamic inventory prints |
//! | [`range`] | `www[01:50].example.com`, `db-[a:f]` |
//! | [`limit`] | `--limit web:&prod:!web7` |
//!
//! Only what says how ssh gets to a host is kept; `ansible-inventory` is the oracle in tests/interop/inventory.

pub mod ini;
pub mod limit;
pub mod node;
pub mod range;
pub mod tree;
pub mod yaml;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::MAX_HOSTS;
use crate::proto::cut::cut;
use crate::proto::ssh_config::jump::Jump;

/// Most groups, and most memberships of hosts in groups.
const MAX_GROUPS: usize = 100_000;
/// See [`MAX_GROUPS`].
const MAX_MEMBERSHIPS: usize = 4 * MAX_HOSTS;
/// Longest name of a host, a group or a user, in octets: no host's is as long.
const MAX_NAME: usize = 1024;
/// How much of a text of the inventory an error shows, in characters.
const SHOWN: usize = 120;
/// The group of every host.
pub const ALL: &str = "all";
/// The group of those that are in no other.
pub const UNGROUPED: &str = "ungrouped";

/// A variable that says how to get to a host. Of two names of one thing Ansible takes the one with `ssh` in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    /// `ansible_host`, `ansible_ssh_host`.
    Host,
    /// `ansible_port`, `ansible_ssh_port`.
    Port,
    /// `ansible_user`, `ansible_ssh_user`.
    User,
    /// `ansible_private_key_file`, `ansible_ssh_private_key_file`.
    Key,
    /// `ansible_connection`.
    Connection,
    /// `ansible_group_priority`, of groups.
    Priority,
    /// `ansible_ssh_args`, with which ssh is started; these and the two that follow in the order in which it gets them.
    SshArgs,
    /// `ansible_ssh_common_args`.
    CommonArgs,
    /// `ansible_ssh_extra_args`.
    ExtraArgs,
}

impl Variable {
    /// By its name, and whether that has `ssh` in it.
    fn parse(name: &str) -> Option<(Self, bool)> {
        Some(match name {
            "ansible_host" => (Self::Host, false),
            "ansible_ssh_host" => (Self::Host, true),
            "ansible_port" => (Self::Port, false),
            "ansible_ssh_port" => (Self::Port, true),
            "ansible_user" => (Self::User, false),
            "ansible_ssh_user" => (Self::User, true),
            "ansible_private_key_file" => (Self::Key, false),
            "ansible_ssh_private_key_file" => (Self::Key, true),
            "ansible_connection" => (Self::Connection, false),
            "ansible_group_priority" => (Self::Priority, false),
            "ansible_ssh_args" => (Self::SshArgs, true),
            "ansible_ssh_common_args" => (Self::CommonArgs, true),
            "ansible_ssh_extra_args" => (Self::ExtraArgs, true),
            _ => return None,
        })
    }

    /// Its usual name.
    fn name(self) -> &'static str {
        match self {
            Self::Host => "ansible_host",
            Self::Port => "ansible_port",
            Self::User => "ansible_user",
            Self::Key => "ansible_ssh_private_key_file",
            Self::Connection => "ansible_connection",
            Self::Priority => "ansible_group_priority",
            Self::SshArgs => "ansible_ssh_args",
            Self::CommonArgs => "ansible_ssh_common_args",
            Self::ExtraArgs => "ansible_ssh_extra_args",
        }
    }
}

type Variables = BTreeMap<(Variable, bool), String>;

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

/// One host of an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the inventory calls it.
    pub name: String,
    /// Where ssh is to go, if that is not its name.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// Who logs in there.
    pub user: Option<String>,
    /// The file of the key to log in with.
    pub key: Option<String>,
    /// Ansible has ssh go there through something else.
    pub jump: Option<Jump>,
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

/// None if ssh does not go there.
fn entry(name: &str, variables: &Variables) -> Result<Option<Entry>, InventoryError> {
    let value = |variable: Variable| -> Result<Option<String>, InventoryError> {
        let found = variables.get(&(variable, true)).or_else(|| variables.get(&(variable, false)));
        found.map(|value| filled_in(value, name, variable)).transpose()
    };
    if value(Variable::Connection)?.is_some_and(|way| !is_ssh(&way)) {
        return Ok(None);
    }
    let port = value(Variable::Port)?.filter(|port| !port.trim().is_empty());
    let port = port.map(|port| match port.trim().parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(InventoryError::Port(name.to_owned(), cut(&port, SHOWN).into_owned())),
    });
    let text = |variable| value(variable).map(|value| value.filter(|value| !value.is_empty()));
    let user = text(Variable::User)?;
    user.as_deref().map_or(Ok(()), |user| check_length("a user", user))?;
    let arguments = [Variable::SshArgs, Variable::CommonArgs, Variable::ExtraArgs];
    let arguments = arguments.iter().filter_map(|variable| variables.get(&(*variable, true)));
    Ok(Some(Entry {
        name: name.to_owned(),
        host: text(Variable::Host)?.filter(|host| host != name),
        port: port.transpose()?,
        user,
        key: text(Variable::Key)?,
        jump: Jump::arguments(arguments.map(String::as_str)),
    }))
}

fn check_length(what: &str, name: &str) -> Result<(), InventoryError> {
    match name.len() > MAX_NAME {
        true => {
            Err(InventoryError::Form(format!("{what} of more than {MAX_NAME} octets: {}", cut(name, SHOWN))))
        }
        false => Ok(()),
    }
}

fn is_ssh(connection: &str) -> bool {
    let last = connection.rsplit('.').next().unwrap_or(connection);
    ["ssh", "smart", "paramiko", "paramiko_ssh"].contains(&last)
}

/// A value in which nothing but the host's own name is to be filled in.
fn filled_in(value: &str, host: &str, variable: Variable) -> Result<String, InventoryError> {
    let template = || InventoryError::Template {
        host: host.to_owned(),
        variable: variable.name(),
        value: cut(value, SHOWN).into_owned(),
    };
    let mut out = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, behind) = after.split_once("}}").ok_or_else(template)?;
        out += before;
        out += match inside.trim() {
            "inventory_hostname" => host,
            "inventory_hostname_short" => host.split('.').next().unwrap_or_default(),
            _ => return Err(template()),
        };
        rest = behind;
    }
    if value.contains("{%") || value.contains("{#") {
        return Err(template());
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests;
