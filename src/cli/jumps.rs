//! Hosts that ssh reaches through something else (ProxyJump, ProxyCommand). Nothing here goes there: they are connected to
//! directly, and the user is told.

use nix::unistd::{User, getuid};

use super::Context;
use crate::error::{Error, Kind};
use crate::fleet::{Host, Target};
use crate::output;
use crate::proto::fold::fold;
use crate::proto::ssh_config::evaluate::{self, Asked};
use crate::proto::ssh_config::jump::Jump;
use crate::ssh::config::tree::{self, Which};

/// Most words that hosts are named in, and most ways, in a warning.
const NAMED: usize = 10;
/// What to do where ssh goes through something else.
const HINT: &str = "run sshanchor on the host between, or ssh with ProxyCommand sshanchor proxy --via 'ssh -W [%%h]:%%p BETWEEN' %h %p; \
     or --direct, if from here too that is the host";

/// A host to which ssh goes through something else: it is connected to directly. Where the address to connect to is one that
/// whatever stands between knows, it may be another machine's from here, whose keys would be called those of an impostor:
/// such a host is left alone.
pub(super) fn through(host: Host, jump: Option<Jump>) -> Host {
    let Some(jump) = jump else { return host };
    match (&host.target, &host.address) {
        (Target::Host(name), Some(address)) if jump.is_sure => {
            let message = format!(
                "ssh goes to {name} at {address} through something else ({}), and that address may be another machine's from here: \
                 not connected to",
                jump.by
            );
            let error = Error::new(Kind::Unproven, "jump", message).hint(HINT);
            Host { target: Target::Address(name.to_string(), error), jump: None, ..host }
        }
        _ => Host { jump: Some(jump), ..host },
    }
}

/// The hosts to which ssh's configuration has ways through something else that nobody was told of yet.
#[derive(Debug, Default)]
pub(super) struct Ways(Vec<(Target, Jump)>);

impl Ways {
    /// A host, with the way that ssh's configuration has there; an inventory may have had one before.
    pub(super) fn add(&mut self, host: Host, jump: Option<&Jump>) -> Host {
        let Some(jump) = jump.filter(|_| host.jump.is_none()) else { return host };
        let host = through(host, Some(jump.clone()));
        if host.jump.is_some() {
            self.0.push((host.target.clone(), jump.clone()));
        }
        host
    }

    /// Tells of them.
    pub(super) fn warn(&self, cx: &Context) {
        warn_of_jumps(self.0.iter().map(|(target, jump)| (target, jump)), cx);
    }
}

/// Reads ssh's configuration for the ways to `hosts`. ssh itself is never asked: what it alone can tell is passed over, for
/// what is at stake here is a warning. One that cannot be read is one too, for nothing else is taken from it.
pub(super) fn by_ssh_config(hosts: Vec<Host>, which: Which, cx: &Context) -> Result<Vec<Host>, Error> {
    let is_named = matches!(which, Which::File(_));
    let config = match tree::load(which) {
        Ok(config) => config,
        Err(error) if is_named => {
            let hint = error.hint();
            return Err(Error::usage("ssh-config", error).hint(hint));
        }
        Err(error) => {
            cx.out.warn(&format!(
                "{error}: whether ssh goes to these hosts through something else is not known"
            ));
            return Ok(hosts);
        }
    };
    let me = User::from_uid(getuid()).ok().flatten().map(|user| user.name).unwrap_or_default();
    let mut ways = Ways::default();
    let by_config = |host: Host| {
        let name = host.target.to_string();
        let asked = Asked { host: &name, user: host.user.as_deref(), local_user: &me };
        let jump = evaluate::jump(&config.files, &asked);
        ways.add(host, jump.as_ref())
    };
    let hosts = hosts.into_iter().map(by_config).collect();
    ways.warn(cx);
    Ok(hosts)
}

/// Tells which hosts are connected to directly, though ssh would not.
pub(super) fn warn_of_jumps<'a>(hosts: impl Iterator<Item = (&'a Target, &'a Jump)>, cx: &Context) {
    let (mut names, mut ways) = (Vec::new(), Vec::new());
    for (target, jump) in hosts.filter(|(target, _)| matches!(target, Target::Host(_))) {
        names.push(target.to_string());
        if ways.len() <= NAMED && !ways.contains(&jump.by) {
            ways.push(jump.by.clone());
        }
    }
    if names.is_empty() {
        return;
    }
    let several = |mut words: Vec<String>, between: &str| {
        let more = if words.len() > NAMED { " and more" } else { "" };
        words.truncate(NAMED);
        format!("{}{more}", words.join(between))
    };
    let hosts = output::hosts(names.len());
    let (ways, names) = (several(ways, "; "), several(fold(names.iter().map(String::as_str)), ","));
    cx.out.warn(&format!(
        "{hosts} connected to directly, though ssh goes there through something else ({ways}): {names} ({HINT})"
    ));
}
