//! `sshanchor ca show`: what a CA is.

use serde::Serialize;

use super::{CaFolder, Key};
use crate::cli::Context;
use crate::error::{Error, Kind};
use crate::output::Report;
use crate::proto::duration;
use crate::proto::issuance::{Holder, KeyState};
use crate::proto::name::HostName;
use crate::proto::sshfp::Sshfp;
use crate::ssh::ca::Ca;

/// Show what a CA is: its keys, for whom it signs, its records.
///
/// Shows the CA's public keys, the hosts that it is for, and the SSHFP records that have clients accept its certificates,
/// as a zone file has them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: sshanchor ca show --ca /var/lib/sshanchor/ca\n\
    sshanchor ca publish puts the records into DNS. Where the zone is kept in files, the set of revoked keys has to stand \
    beside them:\n  _revoked._ssh.example.com. IN SSHFP 1 2 (64 zeros)")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    folder: CaFolder,
}

pub(super) fn run(args: &Args, cx: &Context) -> Result<Option<Kind>, Error> {
    cx.out.result(&Shown::new(&args.folder.open()?)?)?;
    Ok(None)
}

/// A CA, for people and for scripts.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    folder: String,
    domains: Vec<String>,
    /// In seconds.
    validity: u64,
    /// In seconds.
    max_validity: u64,
    keys: Vec<ShownKey>,
    /// Lines of a zone file.
    records: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ShownKey {
    state: KeyState,
    #[serde(flatten)]
    key: Key,
    /// A line as in a .pub file.
    public_key: String,
    /// Null where ssh-agent holds the private key.
    key_file: Option<String>,
    agent: bool,
    /// As OpenSSH prints it.
    #[serde(skip)]
    fingerprint: String,
}

impl Shown {
    pub(super) fn new(ca: &Ca) -> Result<Self, Error> {
        let authority = ca.authority();
        let owners = authority.owners().map_err(|e| Error::usage("domain", e))?;
        let keys = authority.keys().iter().map(|key| ShownKey {
            state: key.state,
            key: Key::from(&key.key),
            public_key: key.key.line(),
            key_file: key.holder.file(ca.folder()).map(|path| path.display().to_string()),
            agent: key.holder == Holder::Agent,
            fingerprint: key.key.to_string(),
        });
        let records = owners.iter().flat_map(|owner| {
            let owner = owner.to_string();
            authority.keys().iter().map(move |key| Sshfp::of_key(&key.key).line(&format!("{owner}.")))
        });
        Ok(Shown {
            folder: ca.folder().display().to_string(),
            domains: authority.domains().iter().map(HostName::to_string).collect(),
            validity: authority.validity().as_secs(),
            max_validity: authority.max_validity().as_secs(),
            keys: keys.collect(),
            records: records.collect(),
        })
    }
}

/// What is no record is a comment of a zone file.
impl Report for Shown {
    fn text(&self) -> String {
        let spans =
            [self.validity, self.max_validity].map(|s| duration::text(std::time::Duration::from_secs(s)));
        let mut lines = vec![
            format!("; CA for {}, in {}", self.domains.join(", "), self.folder),
            format!("; certificates are good for {}, at most {}", spans[0], spans[1]),
        ];
        for key in &self.keys {
            let state = match key.state {
                KeyState::Next => "next key",
                KeyState::Current => "key",
                KeyState::Retired => "retired key",
            };
            let holder = key.key_file.as_deref().unwrap_or("held by ssh-agent");
            lines.push(format!("; {state} {}, {holder}", key.fingerprint));
        }
        lines.extend(self.records.iter().cloned());
        lines.join("\n")
    }
}
