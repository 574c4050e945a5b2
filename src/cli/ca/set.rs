//! Which CA, and at which name: what `publish`, `withdraw` and `revoke` share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CaFolder, Key, ca_error};
use crate::agent::pass::Target;
use crate::agent::published::Role;
use crate::agent::reconcile::Wish;
use crate::backend::site::Site;
use crate::cli::Context;
use crate::cli::publish::primary::{Primary, zone};
use crate::error::Error;
use crate::files::{self, pipe};
use crate::proto::ca_keys;
use crate::proto::hostkey::HostKey;
use crate::proto::issuance::journal::{Entry, Event};
use crate::proto::name::Name;
use crate::proto::plan::Intent;
use crate::proto::revocation;
use crate::proto::sshfp::Sshfp;
use crate::ssh::ca::{Ca, CaError};
use crate::ssh::hostkeys;

#[derive(Debug, clap::Args)]
pub(super) struct Which {
    #[command(flatten)]
    ca: CaFolder,
    /// The name at or below which the hosts are (repeatable) [default: the CA's domains, else --zone]
    #[arg(long, value_name = "NAME", value_parser = zone)]
    at: Vec<Name>,
}

impl Which {
    /// The CA of one's own, if there is one. One that was named has to be there.
    pub(super) fn folder(&self, primary: &Primary) -> Result<Option<Ca>, Error> {
        match Ca::open(&self.path(primary)?) {
            Err(CaError::Absent(_)) if self.ca.ca.is_none() => Ok(None),
            ca => ca.map(Some).map_err(ca_error),
        }
    }

    /// Where the CA's folder is, if there is one.
    pub(super) fn path(&self, primary: &Primary) -> Result<PathBuf, Error> {
        match &self.ca.ca {
            Some(path) => Ok(path.clone()),
            None => Ok(primary.state()?.folder().join("ca")),
        }
    }

    /// Names were given.
    pub(super) fn names_any(&self) -> bool {
        !self.at.is_empty()
    }

    /// The names whose sets are meant.
    pub(super) fn names(&self, folder: Option<&Ca>, primary: &Primary) -> Result<Vec<Name>, Error> {
        let of_folder = || {
            folder.map(|folder| {
                folder.authority().domains().iter().map(|domain| domain.name().clone()).collect()
            })
        };
        let mut names: Vec<Name> = match self.at.is_empty() {
            false => self.at.clone(),
            true => of_folder().or_else(|| primary.zone.clone().map(|zone| vec![zone])).ok_or_else(|| {
                Error::usage("no-name", "for which hosts?").hint("name it: --at example.com")
            })?,
        };
        names.sort();
        names.dedup();
        let is_label = |label: &[u8]| matches!(label, b"_ca" | b"_revoked" | b"_ssh");
        if let Some(name) = names.iter().find(|name| name.labels().any(is_label)) {
            let message = format!("{name} is the name of a set, and not one that hosts are below");
            return Err(Error::usage("ca-name", message).hint("give the domain alone: --at example.com"));
        }
        Ok(names)
    }
}

/// The CA keys of these files; `-` is standard input. `patience` is for one that is a pipe.
pub(super) fn keys_of(files: &[PathBuf], patience: Duration) -> Result<Vec<HostKey>, Error> {
    let mut keys = Vec::new();
    for file in files {
        let text = read(file, patience)?;
        let found = ca_keys::of_text(&text).map_err(|(line, error)| {
            Error::usage("ca-key", format!("{} line {line}: {error}", file.display()))
        })?;
        if found.is_empty() {
            let error = Error::usage("ca-key", format!("{} holds no public key", file.display()));
            return Err(error.hint("a line is TYPE BASE64 [COMMENT], as in ca_key.pub"));
        }
        for key in found {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
    }
    Ok(keys)
}

/// The text of a file; `-` is standard input. `patience` is for one that is a pipe.
pub(super) fn read(file: &Path, patience: Duration) -> Result<String, Error> {
    let text = match file.as_os_str() == "-" {
        true => files::read_whole(std::io::stdin(), hostkeys::MAX_FILE),
        false => pipe::read(file, hostkeys::MAX_FILE, patience),
    };
    text.map_err(|e| {
        Error::failure("ca-key", format!("cannot read {}: {e}", file.display()))
            .hint(pipe::hint(&e).unwrap_or("give a public key file: ca_key.pub and its like"))
    })
}

/// The CA set of `at`.
pub(super) fn ca_set(at: &Name, keys: &[HostKey], intent: Intent) -> Result<Target, Error> {
    let owner = revocation::ca_owner(at).map_err(|e| too_long(at, &e))?;
    let wanted = keys.iter().map(Sshfp::of_key).collect();
    Ok(Target { name: at.clone(), role: Role::Ca, wish: Wish { owner, wanted, intent } })
}

/// The revoked set of `at`.
pub(super) fn revoked_set(
    at: &Name,
    wanted: impl IntoIterator<Item = Sshfp>,
    intent: Intent,
) -> Result<Target, Error> {
    let owner = revocation::owner(at).map_err(|e| too_long(at, &e))?;
    let wish = Wish { owner, wanted: wanted.into_iter().collect(), intent };
    Ok(Target { name: at.clone(), role: Role::Revoked, wish })
}

fn too_long(at: &Name, why: &dyn std::fmt::Display) -> Error {
    Error::usage("ca-name", format!("{at} leaves no room for _revoked._ssh: {why}"))
}

/// The zone that holds `owner`: the one that was given, or else the one that the place of the records names.
pub(super) async fn zone_of(primary: &Primary, site: &Site, owner: &Name) -> Result<Name, Error> {
    match &primary.zone {
        Some(zone) => Ok(zone.clone()),
        None => site.zone_of(owner, None).await,
    }
}

/// What stands at `owner` where the records are kept.
pub(super) async fn present(primary: &Primary, site: &Site, owner: &Name) -> Result<Vec<Sshfp>, Error> {
    let zone = zone_of(primary, site, owner).await?;
    Ok(site.read(&zone, owner).await?.records.into_iter().collect())
}

/// Adds a line about a finished command to the CA's journal. Records in DNS are there whether or not it can be
/// written: that is told, and no more.
pub(super) fn note(folder: Option<&Ca>, cx: &Context, event: Event) {
    let Some(folder) = folder else { return };
    if let Err(error) = folder.journal().append(&Entry { time: crate::verifier::now(), event }) {
        cx.out.warn(&ca_error(error).message);
    }
}

/// What the journal tells of keys that were published or withdrawn.
pub(super) fn told(owner: &Name, keys: &[HostKey]) -> serde_json::Value {
    let keys: Vec<Key> = keys.iter().map(Key::from).collect();
    serde_json::json!({ "owner": owner.to_string(), "keys": keys })
}
