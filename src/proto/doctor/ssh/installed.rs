//! The file that `sshanchor config ssh` wrote, and whether ssh goes by it.

use super::{Config, Finding};
use crate::proto::ssh_config::installed::{Installed, differences};

/// Judges for a host whether `file`, which `sshanchor config ssh` wrote, is in force.
pub fn in_force(asks: &str, file: &str, installed: &Installed, config: &Config) -> Finding {
    let check = "ssh-config-file";
    let differences = differences(&installed.options, config);
    if differences.is_empty() {
        return Finding::ok(check, file, format!("{file} is in force"));
    }
    let found = differences.iter().map(|d| {
        let found = d.found.as_deref().unwrap_or("none");
        format!("{} is {found}", d.option)
    });
    let message = format!(
        "{file} is for this host, and is not all in force by {asks}: {}",
        found.collect::<Vec<_>>().join(", ")
    );
    Finding::warning(check, file, message)
        .remedy(format!("put it first again: {}; what ssh reads first counts", installed.again))
}

/// A host that `file` is for by the name that ssh makes of `typed`, and not by that: ssh compares patterns with what is typed,
/// for the file is read before any HostName.
pub fn by_another_name(typed: &str, file: &str, installed: &Installed, config: &Config) -> Option<Finding> {
    let host =
        config.host().filter(|host| installed.hosts.matches(host) && !installed.hosts.matches(typed))?;
    (!config.asks_us()).then(|| {
        let message = format!(
            "{file} is for {host}, and ssh does not look there for it by the name {typed}: its key is not proven"
        );
        Finding::warning("ssh-config-file", file, message)
            .remedy(format!("name it too: {} {typed}", installed.again))
    })
}

/// Judges whether `file` was written by this `version` of the program.
pub fn of_this_version(file: &str, installed: &Installed, version: &str) -> Finding {
    let check = "ssh-config-file";
    match installed.version == version {
        true => Finding::ok(check, file, format!("{file} was written by this version")),
        false => {
            let message =
                format!("{file} was written by version {}, and this is {version}", installed.version);
            Finding::info(check, file, message).remedy(format!("write it again: {}", installed.again))
        }
    }
}

/// A program that ssh is to start for `option` and that is not there.
pub fn gone(asks: &str, option: &str, program: &str) -> Finding {
    let message = format!("{option} names {program}, which cannot be run: no connection succeeds");
    Finding::error("ssh-program", asks, message)
        .remedy("install it there, or write it anew: sshanchor config ssh --install PATTERN...")
}
