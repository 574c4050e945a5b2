//! Ansible's inventories: files as they stand, programs as they answer, standard input. A file is taken for what Ansible
//! would take it: a program if it may be run, YAML or JSON by its name or where it has none, INI else.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Found;
use crate::error::Error;
use crate::fan_out::in_order;
use crate::files::pipe;
use crate::output::hosts;
use crate::proto::inventory::ansible::node::Node;
use crate::proto::inventory::ansible::tree::Hosts;
use crate::proto::inventory::ansible::{Entry, Inventory, InventoryError, LET_ANSIBLE};
use crate::proto::text::cut;
use crate::run::{Ran, run};

/// Largest inventory, in octets.
const MAX_SOURCE: usize = 64 * 1024 * 1024;
/// Most that a program may say of one host.
const MAX_HOST: usize = 1024 * 1024;
/// How much of an error of an inventory is shown, in characters: it may repeat what stands there.
const SHOWN: usize = 400;
/// How much of one host's name is.
const NAME: usize = 255;
/// Most hosts that are named in a warning.
const MOST_NAMED: usize = 10;
/// How many hosts a program is asked about at the same time.
const WIDTH: usize = 8;
/// Folders beside an inventory from which Ansible reads more.
const BESIDE: [&str; 2] = ["group_vars", "host_vars"];

/// What the inventories say.
#[derive(Debug, Default)]
pub struct Inventories {
    /// The hosts.
    pub hosts: Vec<Found>,
    /// What is not looked at, and yet no error.
    pub warnings: Vec<String>,
}

/// Hosts to which Ansible goes by another way than ssh.
fn left_out(inventory: &Inventory, wanted: &BTreeSet<usize>, entries: &[Entry]) -> Option<String> {
    let kept: HashSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let names =
        inventory.hosts().enumerate().filter(|(place, _)| wanted.contains(place)).map(|(_, name)| name);
    let left: Vec<&str> = names.filter(|name| !kept.contains(name)).collect();
    let shown = left.iter().take(MOST_NAMED).map(|name| cut(name, NAME)).collect::<Vec<_>>().join(", ");
    let more = if left.len() > MOST_NAMED { ", ..." } else { "" };
    (!left.is_empty()).then(|| {
        format!(
            "{} of the inventory left out (ansible_connection is not ssh): {shown}{more}",
            hosts(left.len())
        )
    })
}

/// Reads `sources`: paths, or `-` for JSON on standard input. `limit` leaves hosts out as Ansible's `--limit` does;
/// `patience` is how long a program may take for one answer, and a pipe until it is at its end.
pub async fn read(sources: &[PathBuf], limit: &[String], patience: Duration) -> Result<Inventories, Error> {
    let (mut inventory, mut warnings) = (Inventory::default(), Vec::new());
    for source in sources {
        let path = source.display().to_string();
        if path == "-" {
            let octets = bounded(io::stdin()).map_err(|e| cannot_read("standard input", &e))?;
            let tree = Node::from_json(&octets);
            let added = tree.and_then(|tree| inventory.add_tree(&tree));
            added.map_err(|error| wrong("standard input", &error))?;
            continue;
        }
        let metadata = fs::metadata(source).map_err(|e| cannot_read(&path, &e))?;
        if metadata.is_dir() {
            return Err(Error::usage(
                "inventory",
                format!("{path} is a folder: only Ansible reads a folder of inventories"),
            )
            .hint(LET_ANSIBLE));
        }
        let octets = pipe::open(source, patience).and_then(bounded).map_err(|e| cannot_read(&path, &e))?;
        let is_program = octets.starts_with(b"#!") || octets.starts_with(b"\x7fELF");
        if is_program && metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            ask(&mut inventory, source, patience).await?;
        } else {
            let text = String::from_utf8(octets)
                .map_err(|_| wrong(&path, &InventoryError::Form("it is no text in UTF-8".to_owned())))?;
            inventory = add_file(inventory, source, &text).map_err(|error| wrong(&path, &error))?;
        }
        warnings.extend(BESIDE.iter().filter_map(|name| {
            let beside = source.parent().unwrap_or(Path::new("")).join(name);
            beside
                .is_dir()
                .then(|| format!("what {} says of hosts is not looked at ({LET_ANSIBLE})", beside.display()))
        }));
    }
    let told = |error: InventoryError| wrong("the inventory", &error);
    let wanted = inventory.limited(limit).map_err(told)?;
    let entries = inventory.entries(&wanted).map_err(told)?;
    warnings.extend(left_out(&inventory, &wanted, &entries));
    let hosts = entries.into_iter().map(|entry| Found {
        port: entry.port,
        user: entry.user,
        identities: entry.key.iter().map(|key| at_home(key)).collect(),
        jump: entry.jump,
        ..Found::new(entry.name, entry.host)
    });
    Ok(Inventories { hosts: hosts.collect(), warnings })
}

/// `~/` is this user's home, as the password database has it.
fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), crate::ssh::config::tree::home()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

fn bounded(from: impl io::Read) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    from.take(MAX_SOURCE as u64 + 1).read_to_end(&mut octets)?;
    match octets.len() > MAX_SOURCE {
        true => Err(io::Error::other(format!("more than {MAX_SOURCE} octets"))),
        false => Ok(octets),
    }
}

fn cannot_read(source: &str, error: &io::Error) -> Error {
    Error::usage("inventory", format!("cannot read {source}: {error}")).hint(
        pipe::hint(error)
            .unwrap_or("want an inventory as Ansible has it: INI, YAML, JSON, or a program that prints one"),
    )
}

fn wrong(source: &str, error: &InventoryError) -> Error {
    Error::usage("inventory", format!("{source}: {}", cut(&error.to_string(), SHOWN))).hint(error.hint())
}

/// A file in one of the static forms. Without a name that tells, it is YAML if it can be.
fn add_file(inventory: Inventory, path: &Path, text: &str) -> Result<Inventory, InventoryError> {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let tree = |text: &str| match extension.as_str() {
        "json" => Node::from_json(text.as_bytes()).or_else(|_| Node::from_yaml(text)),
        _ => Node::from_yaml(text),
    };
    let is_tree = ["yaml", "yml", "json"].contains(&extension.as_str());
    if is_tree || extension.is_empty() {
        let mut with = inventory.clone();
        match tree(text).and_then(|tree| with.add_tree(&tree)) {
            Ok(_) => return Ok(with),
            Err(error @ InventoryError::Plugin(_)) => return Err(error),
            Err(error) if is_tree => return Err(error),
            Err(_) => {}
        }
    }
    let mut with = inventory;
    with.add_ini(text).map(|()| with)
}

/// A dynamic inventory: `--list`, and `--host` for each host of which it has said nothing.
async fn ask(inventory: &mut Inventory, source: &Path, patience: Duration) -> Result<(), Error> {
    // Without a slash it would be looked for in PATH.
    let program = match source.components().count() {
        1 => Path::new(".").join(source),
        _ => source.to_owned(),
    };
    let path = source.display().to_string();
    let listed = asked(&program, &["--list"], MAX_SOURCE, patience).await?;
    // Those who are known already are none of its matter.
    let mut own = Inventory::default();
    let tree = Node::from_json(&listed.output).map_err(|error| wrong(&path, &error))?;
    let hosts = own.add_tree(&tree).map_err(|error| wrong(&path, &error))?;
    inventory.add_tree(&tree).map_err(|error| wrong(&path, &error))?;
    if hosts == Hosts::Known {
        return Ok(());
    }
    let names: Vec<String> = own.hosts().map(str::to_owned).collect();
    let answers = in_order(names.clone(), WIDTH, |name: String| {
        let program = program.clone();
        async move { asked(&program, &["--host", &name], MAX_HOST, patience).await }
    });
    for (name, answer) in names.iter().zip(answers.await?) {
        let answer = answer?;
        if answer.output.trim_ascii().is_empty() {
            continue;
        }
        let variables = Node::from_json(&answer.output);
        let added = variables.and_then(|variables| inventory.add_variables(name, &variables));
        added.map_err(|error| wrong(&format!("{path} --host {name}"), &error))?;
    }
    Ok(())
}

async fn asked(program: &Path, arguments: &[&str], limit: usize, patience: Duration) -> Result<Ran, Error> {
    let failed = |why: String| {
        Error::failure("inventory", why)
            .hint("run it by hand: an inventory prints JSON for --list, and ends with status 0")
    };
    let ran = run(program.as_os_str(), arguments, b"", limit, patience).await;
    let ran = ran.map_err(|error| failed(error.to_string()))?;
    match ran.failure() {
        Some(how) => Err(failed(format!("{} {} {how}", program.display(), arguments.join(" ")))),
        None => Ok(ran),
    }
}
