//! The hosts of ssh's configuration: names on Host lines that are no patterns, and not negated.

use std::collections::HashSet;
use std::time::Duration;

use super::Found;
use crate::error::Error;
use crate::fleet::login::{Logins, Typed};
use crate::proto::destination::Destination;
use crate::proto::inventory::MAX_HOSTS;
use crate::proto::ssh_config::tree::Directive;
use crate::ssh::config::tree::Which;

/// What the configuration says of each host that it names. What is proven goes by the name by which ssh looks
/// known_hosts up, as for `config ssh`: HostKeyAlias, else the host after HostName; where is connected to is the host after
/// HostName in either case. `patience` is how long `ssh -G` may
/// take for one host, where it has to be asked.
pub async fn read(which: Which, patience: Duration) -> Result<Vec<Found>, Error> {
    let logins = Logins::load(Typed::default(), which, patience)?;
    let mut names = Vec::new();
    logins.config().files.iter().for_each(|file| collect(file, &mut names));
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    if names.len() > MAX_HOSTS {
        return Err(Error::usage("hosts", format!("these are more than {MAX_HOSTS} hosts")));
    }
    let mut hosts = Vec::new();
    for name in names {
        let known = logins.of_name(&name).await?;
        let connect = known.host_name.filter(|host| *host != name);
        let mut found = Found {
            port: known.named_port,
            user: known.named_user,
            jump: known.login.jump,
            identities: known.login.identities,
            ..Found::new(name.clone(), connect.clone())
        };
        // Of an address ssh has no other name; with an alias it has.
        match (known.alias, connect) {
            (Some(alias), connect) => {
                let there = connect.unwrap_or(name);
                (found.name, found.address) = match Destination::parse(&there) {
                    _ if there.eq_ignore_ascii_case(&alias) => (alias, None),
                    Ok(place) => (alias, Some(place)),
                    // What is no host name is told as such, and connected to by nobody.
                    Err(_) => (there, None),
                };
            }
            (None, Some(host)) => {
                found.name = host;
                found.address = None;
            }
            (None, None) => {}
        }
        hosts.push(found);
    }
    Ok(hosts)
}

fn collect(file: &[Directive], names: &mut Vec<String>) {
    for directive in file {
        match directive {
            Directive::Host(patterns) => {
                let plain = patterns.iter().filter(|pattern| !pattern.contains(['*', '?', '!']));
                names.extend(plain.cloned());
            }
            Directive::Include(files) => files.iter().for_each(|file| collect(file, names)),
            Directive::Match(_) | Directive::Option(..) | Directive::Unread => {}
        }
    }
}
