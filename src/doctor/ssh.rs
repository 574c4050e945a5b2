//! The ssh client: its version, and what `sshanchor config ssh` has written for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Doctor;
use crate::proto::doctor::Finding;
use crate::proto::doctor::ssh::{self as judge, Config};
use crate::proto::ssh_config::Version;
use crate::proto::ssh_config::installed::Installed;
use crate::ssh::config::{self, files};

/// The system's file.
const SYSTEM: &str = "/etc/ssh/ssh_config.d/00-sshanchor.conf";

/// What is known of the client.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// Its version, if it is OpenSSH.
    pub(super) version: Option<Version>,
    /// The files that ssh may read, in the order in which it does.
    installed: Vec<(PathBuf, Installed)>,
}

impl Client {
    /// What ssh reads first of it.
    pub(super) fn installed(&self) -> Option<&Installed> {
        self.installed.first().map(|(_, installed)| installed)
    }
}

impl Doctor {
    /// Found out once.
    pub(super) async fn ssh(&self) -> &Client {
        let find = || async {
            let said = config::version(self.timeout / 4).await.ok();
            let user = match &self.ssh_config {
                Some(file) => Some(file.clone()),
                None => config::user_file(self.timeout / 4).await.ok(),
            };
            let own = user.as_deref().and_then(Path::parent).map(|folder| folder.join("sshanchor.conf"));
            // With another configuration ssh does not read the system's.
            let system = self.ssh_config.is_none().then(|| PathBuf::from(SYSTEM));
            Client {
                version: said.as_deref().and_then(Version::parse),
                installed: [own, system].into_iter().flatten().filter_map(read).collect(),
            }
        };
        self.client.get_or_init(find).await
    }

    /// Whether the files were written by this version.
    pub(super) async fn files(&self) -> Vec<Finding> {
        let judge = |(path, installed): &(PathBuf, Installed)| {
            judge::of_this_version(&path.display().to_string(), installed, env!("CARGO_PKG_VERSION"))
        };
        self.ssh().await.installed.iter().map(judge).collect()
    }

    /// What is in force for a host, by the name that was typed.
    pub(super) async fn in_force(&self, typed: &str, config: &Config) -> Vec<Finding> {
        let asked = self.asked(typed);
        let programs = config.programs().into_iter().filter(|(_, program)| !can_be_run(Path::new(program)));
        let mut findings: Vec<Finding> =
            programs.map(|(option, program)| judge::gone(&asked, option, &program)).collect();
        let found = self.ssh().await.installed.iter().find(|(_, installed)| installed.hosts.matches(typed));
        findings.extend(found.map(|(path, installed)| {
            judge::in_force(&asked, &path.display().to_string(), installed, config)
        }));
        findings
    }
}

fn read(path: PathBuf) -> Option<(PathBuf, Installed)> {
    let octets = files::read(&path).ok()??;
    Installed::parse(&String::from_utf8_lossy(&octets)).map(|installed| (path, installed))
}

fn can_be_run(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
