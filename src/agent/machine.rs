//! This machine: its names, its host keys, and the sets of records that they make.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use super::pass::Target;
use crate::config::publishing::Publishing;
use crate::error::Error;
use crate::proto::hostkey::HostKey;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::Intent;
use crate::proto::sshfp::{self, Sshfp};
use crate::run::run;
use crate::ssh::hostkeys;

/// How long `sshd -T` may take.
const SSHD_PATIENCE: Duration = Duration::from_secs(5);
/// How long `hostname -f` may take, which may ask a resolver.
const HOSTNAME_PATIENCE: Duration = Duration::from_secs(10);
/// Most that it may print, in octets.
const MAX_NAME: usize = 1024;

/// The host keys in force, and what is to be said of others.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// The keys.
    pub keys: Vec<HostKey>,
    /// Keys that were passed over.
    pub warnings: Vec<String>,
}

impl Keys {
    /// Their records.
    pub fn records(&self) -> BTreeSet<Sshfp> {
        self.keys.iter().map(Sshfp::of_key).collect()
    }
}

/// The keys of these files, or those that this machine's sshd offers.
pub async fn keys(files: &[PathBuf]) -> Result<Keys, Error> {
    if !files.is_empty() {
        return Ok(Keys { keys: hostkeys::of_own_files(files)?, warnings: Vec::new() });
    }
    let found = hostkeys::of_this_machine(SSHD_PATIENCE).await?;
    Ok(Keys { warnings: found.skipped.iter().map(ToString::to_string).collect(), keys: found.keys })
}

/// The names of a `[publish]` table: those it has, else this machine's own.
pub async fn names(publishing: &Publishing) -> Result<Vec<HostName>, Error> {
    match publishing.names.is_empty() {
        true => Ok(vec![own_name().await?]),
        false => Ok(publishing.names.clone()),
    }
}

/// The owners of all these tables: where this machine has records by its configuration.
pub async fn owners(tables: &[Publishing]) -> Result<BTreeSet<Name>, Error> {
    let mut owners = BTreeSet::new();
    for table in tables {
        for name in names(table).await? {
            owners.extend(sshfp::owner(&name, table.port).ok());
        }
    }
    Ok(owners)
}

/// This machine's fully qualified name: its host name if that has a dot, else what `hostname -f` makes of it. Nothing
/// rests on it but where the records go, which the key to the zone limits.
async fn own_name() -> Result<HostName, Error> {
    let unknown = |why: String| {
        Error::usage("host-name", format!("this machine's fully qualified name is not known: {why}"))
            .hint("give it: --name HOST, or name = \"web1.example.com\" in [publish]")
    };
    let system = rustix::system::uname();
    let mut name = system.nodename().to_string_lossy().into_owned();
    if !name.contains('.') {
        let asked = run(OsStr::new("hostname"), &["-f"], b"", MAX_NAME, HOSTNAME_PATIENCE).await;
        let ran = asked.map_err(|e| unknown(e.to_string()))?;
        if let Some(why) = ran.failure() {
            return Err(unknown(format!("hostname -f {why}")));
        }
        name = String::from_utf8_lossy(&ran.output).trim().to_owned();
    }
    let parsed = HostName::parse(&name).map_err(|e| unknown(format!("{name:?}: {e}")))?;
    match name.trim_end_matches('.').contains('.') {
        true => Ok(parsed),
        false => Err(unknown(format!("its host name is {name:?}, without a domain"))),
    }
}

/// The sets of records at these names.
pub fn targets(
    names: &[HostName],
    port: Option<u16>,
    wanted: &BTreeSet<Sshfp>,
    intent: Intent,
) -> Result<Vec<Target>, Error> {
    names.iter().map(|name| Target::host(name, port, wanted.clone(), intent)).collect()
}
