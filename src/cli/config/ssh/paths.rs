//! Where the file goes, and what makes ssh read it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::proto::ssh_config::change::Change;
use crate::proto::ssh_config::hosts::Hosts;
use crate::proto::ssh_config::include::{self, Included};
use crate::proto::ssh_config::installed::Installed;
use crate::proto::ssh_config::quote::in_include;
use crate::ssh::config::files::{self, ConfigFileError};
use crate::ssh::config::{self, AskSshError};

/// The system's configuration of the ssh client.
const SYSTEM: &str = "/etc/ssh/ssh_config";

/// Files of one user, or of all.
#[derive(Debug)]
pub(super) struct Paths {
    /// ssh's configuration, which includes the other.
    pub(super) config: PathBuf,
    /// This program's own file.
    pub(super) own: PathBuf,
    /// For `ssh -F`, where ssh would not find the configuration by itself.
    pub(super) asked_with: Option<PathBuf>,
    system: bool,
}

impl Paths {
    /// Of this user or the system; `named` is another configuration in place of theirs.
    pub(super) async fn find(system: bool, named: Option<&Path>, patience: Duration) -> Result<Self, Error> {
        let named = named
            .map(std::path::absolute)
            .transpose()
            .map_err(|e| Error::usage("ssh-config", format!("no path for --ssh-config: {e}")))?;
        let usual = match (system, &named) {
            (true, _) => PathBuf::from(SYSTEM),
            (false, Some(file)) => file.clone(),
            (false, None) => one_home(config::user_file(patience).await.map_err(no_home)?)?,
        };
        let config = named.clone().unwrap_or_else(|| usual.clone());
        let folder = config.parent().unwrap_or(Path::new("/"));
        let own = match system {
            true => folder.join("ssh_config.d/00-sshanchor.conf"),
            false => folder.join("sshanchor.conf"),
        };
        Ok(Paths { own, asked_with: named, config, system })
    }

    /// The private known_hosts file for an ssh that has no KnownHostsCommand, of this user or of each.
    pub(super) fn known_hosts(&self) -> String {
        let folder = self.config.parent().unwrap_or(Path::new("/"));
        match self.system {
            true => "~/.ssh/sshanchor/known_hosts".to_owned(),
            false => folder.join("sshanchor/known_hosts").display().to_string(),
        }
    }

    /// The mode of new files: others may read the system's.
    pub(super) fn mode(&self) -> u32 {
        if self.system { 0o644 } else { 0o600 }
    }

    /// What changes where the own file is to hold `text`, in the order in which it is to be done: ssh's
    /// configuration never names a file that is not there.
    pub(super) fn install(&self, text: &str) -> Result<Vec<Change>, Error> {
        let own = Change { after: Some(text.as_bytes().to_vec()), ..self.own()? };
        if self.system {
            return Ok(vec![own]);
        }
        let before = read(&self.config)?;
        let after = Some(include::with(before.as_deref(), &self.line()?));
        Ok(vec![own, Change { path: self.config.clone(), before, after }])
    }

    /// What changes where nothing is to be left.
    pub(super) fn remove(&self) -> Result<Vec<Change>, Error> {
        let own = Change { after: None, ..self.own()? };
        if self.system {
            return Ok(vec![own]);
        }
        let before = read(&self.config)?;
        let line = self.line()?;
        let after = before.as_deref().and_then(|text| include::without(text, &line));
        Ok(vec![Change { path: self.config.clone(), before, after }, own])
    }

    /// What keeps the system's file from being read, or from being read first.
    pub(super) fn shortcoming(&self) -> Result<Option<String>, Error> {
        if !self.system {
            return Ok(None);
        }
        let text = read(&self.config)?.unwrap_or_default();
        let folder = self.config.parent().unwrap_or(Path::new("/")).display().to_string();
        let (config, line) = (self.config.display(), format!("Include {folder}/ssh_config.d/*.conf"));
        Ok(match include::included(&text, &folder) {
            Included::First => None,
            Included::Later(at) => Some(format!(
                "{config} includes the folder in line {at}, behind what comes first; put at its top: {line}"
            )),
            Included::No => Some(format!(
                "{config} does not include the folder, so nothing is in force; put at its top: {line}"
            )),
        })
    }

    fn line(&self) -> Result<String, Error> {
        let path = in_include(&self.own.display().to_string()).map_err(|e| {
            Error::usage("ssh-config", e)
                .hint("print the file, and include it yourself from where you put it")
        })?;
        Ok(format!("Include {path}"))
    }

    fn own(&self) -> Result<Change, Error> {
        let before = read(&self.own)?;
        let is_ours =
            before.as_deref().is_none_or(|text| Installed::parse(&String::from_utf8_lossy(text)).is_some());
        match is_ours {
            true => Ok(Change { path: self.own.clone(), before, after: None }),
            false => Err(Error::usage(
                "ssh-config",
                format!("{} was not written by sshanchor config ssh", self.own.display()),
            )
            .hint("look at it, and move it away if nobody needs it")),
        }
    }

    /// For whom the own file is now.
    pub(super) fn former(&self) -> Result<Option<Hosts>, Error> {
        let text = self.own()?.before.unwrap_or_default();
        let installed = Installed::parse(&String::from_utf8_lossy(&text));
        Ok(installed.and_then(|installed| Hosts::parse(&[installed.hosts.to_string()]).ok()))
    }

    /// Names that users have options for in ssh's configuration, and may type.
    pub(super) fn names(&self) -> Result<Vec<String>, Error> {
        Ok(include::names(&read(&self.config)?.unwrap_or_default()))
    }

    /// Writes a change.
    pub(super) fn apply(&self, change: &Change) -> Result<(), Error> {
        files::apply(change, self.mode()).map_err(|e| failed(e, &self.own))
    }
}

/// The file in the home by which ssh goes, unless HOME is another one: which of the two is meant is the user's to say.
fn one_home(usual: PathBuf) -> Result<PathBuf, Error> {
    let other = std::env::var_os("HOME").map(|home| Path::new(&home).join(".ssh/config"));
    let is_same = |other: &PathBuf| {
        let folder =
            |file: &Path| file.parent().and_then(Path::parent).and_then(|home| home.canonicalize().ok());
        *other == usual || folder(other).is_some_and(|home| Some(home) == folder(&usual))
    };
    match other.filter(|other| other.is_absolute() && !is_same(other)) {
        None => Ok(usual),
        Some(other) => {
            let message = format!("ssh reads {}, for it does not go by HOME", usual.display());
            Err(Error::usage("ssh-config", message).hint(format!(
                "say which one is meant: --ssh-config {}, or --ssh-config {} for ssh -F",
                usual.display(),
                other.display()
            )))
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    files::read(path).map_err(|e| failed(e, path))
}

fn failed(error: ConfigFileError, own: &Path) -> Error {
    if let ConfigFileError::Io(_, io) = &error
        && let Some(remedy) = crate::files::remedy(io)
    {
        return Error::failure("io", error).hint(remedy);
    }
    let hint = match &error {
        ConfigFileError::Changed(_) => "try again".to_owned(),
        ConfigFileError::Dangling(path) => {
            format!("make what {} leads to, or take the link away", path.display())
        }
        ConfigFileError::Owner { uid, .. } => format!("run it as user {uid}"),
        _ => format!(
            "where the file belongs to another program, print this one's (without --install) to {}, and have that \
             program put at the top of ssh's configuration: Include {0}",
            own.display()
        ),
    };
    Error::failure("io", error).hint(hint)
}

pub(super) fn no_home(error: AskSshError) -> Error {
    Error::usage("ssh-config", format!("ssh does not tell where its configuration is: {error}"))
        .hint("name it: --ssh-config FILE")
}
