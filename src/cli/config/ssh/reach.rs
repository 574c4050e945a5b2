//! Whom the patterns reach, and whom not as it may be meant.

use std::time::Duration;

use serde::Serialize;

use super::bad_word;
use super::paths::Paths;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::proto::policy::{Mode, Setting};
use crate::proto::ssh_config::Wanted;
use crate::proto::ssh_config::hosts::Hosts;
use crate::proto::ssh_config::quote::shell_line;
use crate::ssh::config;

/// A name that is typed, and where ssh's configuration leads it.
#[derive(Debug, Serialize)]
pub(super) struct Alias {
    typed: String,
    host: String,
}

/// What will not work as it may be meant; `has_proxy`: ssh will connect by the proxy.
pub(super) fn warn_of(hosts: &Hosts, config: &Config, has_proxy: bool, out: Output) {
    let addresses = hosts.addresses();
    if !addresses.is_empty() {
        out.warn(&format!(
            "no key of an address can be proven: ssh will refuse every host that {} matches",
            addresses.join(" ")
        ));
    }
    for rule in config.policies.rules() {
        let is_passed = rule.settings.iter().any(|(setting, _)| *setting == Setting::Mode(Mode::Pass));
        if is_passed && rule.hosts.meets(hosts.list()) {
            out.warn(&format!(
                "the configuration passes {} (mode = \"pass\"), and ssh will refuse these hosts, for it is told of proven \
                 keys alone; leave them out with ! before their patterns",
                rule.hosts
            ));
        }
        let asks = rule.settings.iter().find(|(setting, _)| setting.is_of_handshake());
        if let Some((setting, _)) = asks.filter(|_| !has_proxy && rule.hosts.meets(hosts.list())) {
            out.warn(&format!(
                "the configuration asks something of handshakes with {} ({}), and ssh will refuse these hosts, for \
                 known-hosts sees no handshake (hint: --mode proxy)",
                rule.hosts,
                setting.key()
            ));
        }
    }
}

/// Tells of the patterns that the file is no longer for, and of the names that lead past the new ones.
pub(super) async fn tell(
    place: &Paths,
    wanted: &Wanted,
    is_ssh_there: bool,
    patience: Duration,
    out: Output,
) -> Result<(Vec<String>, Vec<Alias>), Error> {
    let hosts = &wanted.hosts;
    let more = |others: &[&str]| {
        let words = wanted.again.iter().cloned().chain(others.iter().map(|word| (*word).to_owned()));
        shell_line(&words.collect::<Vec<_>>()).map_err(bad_word)
    };
    let former = place.former()?;
    let left_out = former.as_ref().map(|former| hosts.left_out(former)).unwrap_or_default();
    if !left_out.is_empty() {
        out.warn(&format!(
            "ssh no longer asks about {}, which {} was for: these patterns take the place of those (hint: to keep both: {})",
            left_out.join(" "),
            place.own.display(),
            more(&left_out)?
        ));
    }
    let aliases = match is_ssh_there {
        true => aliases(place, hosts, patience).await?,
        false => Vec::new(),
    };
    if !aliases.is_empty() {
        let leads = |alias: &Alias| format!("{} (HostName {})", alias.typed, alias.host);
        let typed: Vec<&str> = aliases.iter().map(|alias| alias.typed.as_str()).collect();
        out.warn(&format!(
            "ssh will not ask about {}: it compares the patterns with the name that is typed (hint: name them too: {})",
            aliases.iter().map(leads).collect::<Vec<_>>().join(", "),
            more(&typed)?
        ));
    }
    Ok((left_out.into_iter().map(str::to_owned).collect(), aliases))
}

/// Names in ssh's configuration that no pattern matches, and that lead to names that one does.
async fn aliases(place: &Paths, hosts: &Hosts, patience: Duration) -> Result<Vec<Alias>, Error> {
    let mut aliases = Vec::new();
    for typed in place.names()?.into_iter().filter(|typed| !hosts.list().matches(typed)) {
        // What ssh does not understand is not for here to tell.
        let Ok(config) = config::of_host(&typed, place.asked_with.as_deref(), patience).await else {
            continue;
        };
        if let Some(name) = config.host().filter(|name| hosts.list().matches(name)) {
            aliases.push(Alias { host: name.to_owned(), typed });
        }
    }
    Ok(aliases)
}
