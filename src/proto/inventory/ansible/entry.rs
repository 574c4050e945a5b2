//! What the variables of an inventory say of one host: how ssh gets there.

use std::collections::BTreeMap;

use super::InventoryError;
use crate::proto::ssh_config::jump::Jump;
use crate::proto::text::cut;

/// Longest name of a host, a group or a user, in octets: no host's is as long.
const MAX_NAME: usize = 1024;
/// How much of a text of the inventory an error shows, in characters.
const SHOWN: usize = 120;

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
    pub(super) fn parse(name: &str) -> Option<(Self, bool)> {
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

/// What is said, by variable; and whether by the name with `ssh` in it.
pub(super) type Variables = BTreeMap<(Variable, bool), String>;

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

/// None if ssh does not go there.
pub(super) fn entry(name: &str, variables: &Variables) -> Result<Option<Entry>, InventoryError> {
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

/// No name of this kind is as long.
pub(super) fn check_length(what: &str, name: &str) -> Result<(), InventoryError> {
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
