//! This machine: its names, its host keys, and the sets of records that they make.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pass::Target;
use crate::config::publishing::Publishing;
use crate::error::Error;
use crate::proto::hostkey::HostKey;
use crate::proto::name::{HostName, Name};
use crate::proto::plan::Intent;
use crate::proto::sshfp::{self, Sshfp, SshfpSet};
use crate::run::run;
use crate::ssh::hostkeys::{self, HostKeysError};

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

/// The files that say which keys are in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// Key files, and the public halves beside private ones.
    pub keys: Vec<PathBuf>,
    /// Certificates, whether they exist or not.
    pub certificates: Vec<PathBuf>,
    /// Folders of which any file may count: sshd's configuration.
    pub folders: Vec<PathBuf>,
}

impl Keys {
    /// Their records.
    pub fn records(&self) -> SshfpSet {
        self.keys.iter().map(Sshfp::of_key).collect()
    }
}

/// The keys of these files, or those that this machine's sshd offers, with `sshd_config` if that is not the usual one.
pub async fn keys(files: &[PathBuf], sshd_config: Option<&Path>) -> Result<Keys, Error> {
    keys_and_sources(files, sshd_config).await.0
}

/// The same, and the files on which that rests, whether there are keys in them or not.
pub async fn keys_and_sources(
    files: &[PathBuf],
    sshd_config: Option<&Path>,
) -> (Result<Keys, Error>, Sources) {
    if !files.is_empty() {
        let keys = hostkeys::of_own_files(files).map(|keys| Keys { keys, warnings: Vec::new() });
        // As ssh-keygen(1) names them: key.pub, key-cert.pub.
        let stem = |path: &PathBuf| path.to_str().and_then(|p| p.strip_suffix(".pub")).map(str::to_owned);
        let certificates =
            files.iter().filter_map(stem).map(|stem| format!("{stem}-cert.pub").into()).collect();
        let sources = Sources { keys: files.to_vec(), certificates, folders: Vec::new() };
        return (keys.map_err(Error::from), sources);
    }
    let effective = hostkeys::ask_sshd(sshd_config, SSHD_PATIENCE).await;
    let keys = match (&effective, sshd_config) {
        // Those of the usual configuration are others.
        (None, Some(_)) => Err(HostKeysError::None),
        (effective, _) => hostkeys::of_sshd(effective.as_ref()),
    };
    let keys = keys.map_err(Error::from).map(|found| Keys {
        warnings: found.skipped.iter().map(ToString::to_string).collect(),
        keys: found.keys,
    });
    let folder = sshd_config.map_or(Path::new(hostkeys::FOLDER), crate::files::folder);
    let folders = vec![folder.join("sshd_config.d"), folder.to_owned()];
    let mut sources = Sources { folders, ..Sources::default() };
    for path in effective.iter().flat_map(|effective| &effective.host_keys) {
        let mut public = path.clone().into_os_string();
        public.push(".pub");
        sources.keys.extend([path.clone(), public.into()]);
    }
    sources.certificates = effective.map(|effective| effective.host_certificates).unwrap_or_default();
    (keys, sources)
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
    wanted: &SshfpSet,
    intent: Intent,
) -> Result<Vec<Target>, Error> {
    names.iter().map(|name| Target::host(name, port, wanted.clone(), intent)).collect()
}
