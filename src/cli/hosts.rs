//! Which hosts a command is for: `-H HOSTS`, and what leaves some of them out.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::Context;
use super::jumps::{self, through, warn_of_jumps};
use super::publish::primary::zone;
use super::target::{ONE_A_LINE, checked, each, host_and_port, no_host};
use crate::dns::dns_server;
use crate::dns::resolver::Resolver;
use crate::dns::servers;
use crate::dns::tsig::{Key, LoadError};
use crate::error::{Error, Kind};
use crate::files::pipe;
use crate::fleet::inventory::{Found, ansible, ssh_hosts, zone};
use crate::fleet::{Host, Target};
use crate::proto::inventory::MAX_HOSTS;
use crate::proto::name::Name;
use crate::proto::text::cut;
use crate::ssh::config::tree::Which;
use crate::verifier::now;

/// The port of ssh.
const SSH: u16 = 22;
/// What to do where no host is named at all.
const NAME_THEM: &str = "name them: -H HOSTS, such as -H 'web[1-20].example.com' or -H @FILE; or by -I INVENTORY, --ssh-hosts, --zone ZONE";
/// How much of a name that is none is shown, in characters.
const SHOWN: usize = 255;

/// `-H HOSTS` and its kin, of the commands for many hosts.
#[derive(Debug, Default, clap::Args)]
pub(super) struct HostArgs {
    /// The hosts (repeatable): a comma list with ranges, web[1-20].example.com,db[01-04],r[1-3]n[0-8/2]; @FILE stands
    /// for those in a file, a line each, - for those on standard input; [HOST]:PORT is understood too
    #[arg(
        short = 'H',
        long = "hosts",
        value_name = "[USER@]HOST[:PORT]|@FILE|-",
        help_heading = "Which hosts"
    )]
    hosts: Vec<String>,
    /// But not these: written as behind -H (repeatable)
    #[arg(short = 'x', long, value_name = "HOSTS", help_heading = "Which hosts")]
    exclude: Vec<String>,
    /// The port of hosts that name none [default: 22]
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Which hosts")]
    port: Option<u16>,
    /// The hosts of an inventory of Ansible's (repeatable): INI, YAML, JSON, a program that prints JSON for --list, or -
    /// for such JSON on standard input
    #[arg(short = 'I', long, value_name = "FILE|-", help_heading = "Which hosts")]
    inventory: Vec<PathBuf>,
    /// Of the inventory only these, as in Ansible: web:&prod:!web7 (repeatable)
    #[arg(long, value_name = "PATTERN", requires = "inventory", help_heading = "Which hosts")]
    limit: Vec<String>,
    /// The hosts that Host lines of ssh's configuration name, or of this file [default: those that ssh reads]
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, help_heading = "Which hosts")]
    ssh_hosts: Option<Option<PathBuf>>,
    /// Go by this configuration of ssh's, or none, instead of the user's and the system's: it tells which hosts ssh reaches
    /// through something else, and exec takes users, ports and keys from it that nobody names
    #[arg(long, value_name = "FILE|none", help_heading = "Which hosts")]
    ssh_config: Option<PathBuf>,
    /// Connect to every host from here, with no regard to ProxyJump and ProxyCommand in ssh's configuration or an inventory
    #[arg(long, help_heading = "Which hosts")]
    direct: bool,
    /// The names in this zone that have SSHFP records, by a zone transfer: on the default port, or on N of _N._ssh.HOST
    #[arg(long, value_name = "ZONE", value_parser = zone, help_heading = "Which hosts")]
    zone: Option<Name>,
    /// The server to transfer the zone from [default: those that its NS records name]
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = dns_server, requires = "zone", help_heading = "Which hosts")]
    zone_server: Option<SocketAddr>,
    /// The TSIG key that the server wants for that
    #[arg(long, value_name = "FILE", requires = "zone", help_heading = "Which hosts")]
    zone_key: Option<PathBuf>,
}

impl HostArgs {
    /// Standard input is a list of hosts, and nobody else's.
    pub(super) fn reads_stdin(&self) -> bool {
        let is_input = |text: &String| text.split(',').any(|word| word.trim() == "-");
        self.hosts.iter().chain(&self.exclude).any(is_input)
            || self.inventory.iter().any(|source| source.as_os_str() == "-")
    }

    /// The hosts that are meant, each once, in the order in which they were named; the same host for two users is two.
    pub(super) async fn hosts(&self, cx: &Context) -> Result<Vec<Host>, Error> {
        if self.hosts.is_empty() && !self.has_inventory() {
            return Err(no_host(
                "-H is missing: name the hosts before the command: sshanchor exec -H HOST -- uptime",
            ));
        }
        self.all(&[], cx).await.map(|hosts| once(hosts, |host| host.user.clone()))
    }

    /// The same with those of `more`, for a command that logs in nowhere: users do not tell hosts apart.
    pub(super) async fn places(&self, more: &[String], cx: &Context) -> Result<Vec<Host>, Error> {
        self.by_ssh_config(more, cx).await.map(|hosts| once(hosts, |_| None))
    }

    /// The same; but where there are no others than `more`, each is meant as often as it was typed: a script counts the
    /// lines.
    pub(super) async fn places_as_typed(&self, more: &[String], cx: &Context) -> Result<Vec<Host>, Error> {
        match self.hosts.is_empty() && !self.has_inventory() {
            true => self.by_ssh_config(more, cx).await,
            false => self.places(more, cx).await,
        }
    }

    /// Which configuration of ssh's is read.
    pub(super) fn ssh_config(&self) -> Which {
        match &self.ssh_config {
            None => Which::Usual,
            Some(file) if file.as_os_str() == "none" => Which::None,
            Some(file) => Which::File(file.clone()),
        }
    }

    /// Ways through something else do not count.
    pub(super) fn is_direct(&self) -> bool {
        self.direct
    }

    /// The hosts, with what ssh's configuration says of the way there.
    async fn by_ssh_config(&self, more: &[String], cx: &Context) -> Result<Vec<Host>, Error> {
        let hosts = self.all(more, cx).await?;
        match self.direct {
            true => Ok(hosts),
            false => jumps::by_ssh_config(hosts, self.ssh_config(), cx),
        }
    }

    async fn all(&self, more: &[String], cx: &Context) -> Result<Vec<Host>, Error> {
        let mut hosts = self.typed(more, cx.timeout)?;
        if hosts.is_empty() && !self.has_inventory() {
            return Err(no_host(if more.is_empty() && self.hosts.is_empty() {
                NAME_THEM
            } else {
                ONE_A_LINE
            }));
        }
        let written: Vec<Host> = self.written(cx).await?.into_iter().map(|found| self.found(found)).collect();
        warn_of_jumps(written.iter().filter_map(|host| Some((&host.target, host.jump.as_ref()?))), cx);
        hosts.extend(written);
        if hosts.is_empty() {
            return Err(Error::usage("hosts", "no host was found there").hint(
                "do the inventories name hosts that ssh goes to? and what does --limit leave of them?",
            ));
        }
        if hosts.len() > MAX_HOSTS {
            return Err(Error::usage("hosts", format!("these are more than {MAX_HOSTS} hosts")));
        }
        self.without_excluded(hosts, cx.timeout)
    }

    fn has_inventory(&self) -> bool {
        !self.inventory.is_empty() || self.ssh_hosts.is_some() || self.zone.is_some()
    }

    /// Those that are written down somewhere.
    async fn written(&self, cx: &Context) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        if !self.inventory.is_empty() {
            let read = ansible::read(&self.inventory, &self.limit, cx.timeout).await?;
            read.warnings.iter().for_each(|warning| cx.out.warn(warning));
            found.extend(read.hosts);
        }
        if let Some(file) = &self.ssh_hosts {
            let which = file.clone().map_or(Which::Usual, Which::File);
            found.extend(ssh_hosts::read(which, cx.timeout).await?);
        }
        if let Some(zone) = &self.zone {
            let servers = match self.zone_server {
                Some(server) => vec![server],
                None => servers(zone, cx).await,
            };
            let key = self.zone_key.as_deref().map(|path| key(path, cx)).transpose()?;
            found.extend(zone::read(zone, &servers, key.as_ref(), cx.timeout, now()).await?);
        }
        Ok(found)
    }

    /// One that is written down. What is no host name can be written down too: nothing vouches for it.
    fn found(&self, found: Found) -> Host {
        let named = if found.is_port_fixed { found.port } else { self.port.or(found.port) };
        let port = named.unwrap_or(SSH);
        let target = checked(&found.name, port).unwrap_or_else(|error| {
            let error = Error { kind: Kind::Unproven, hint: None, ..error };
            let hint = "in an inventory, ansible_host (in ssh's configuration, HostName) tells the name that has records";
            Target::Address(cut(&found.label, SHOWN).into_owned(), error.hint(hint))
        });
        let Found { address, user, identities, jump, .. } = found;
        let host =
            Host { address, user, identities, has_named_port: named.is_some(), ..Host::new(target, port) };
        through(host, jump.filter(|_| !self.direct))
    }

    /// Those that are named by host sets, in these and in `more`, which come first. `patience` is for files that are pipes.
    fn typed(&self, more: &[String], patience: Duration) -> Result<Vec<Host>, Error> {
        let texts: Vec<String> = more.iter().chain(&self.hosts).cloned().collect();
        let mut hosts = Vec::new();
        each(&texts, patience, |text| {
            hosts.push(self.host(text)?);
            Ok(())
        })?;
        Ok(hosts)
    }

    fn without_excluded(&self, mut hosts: Vec<Host>, patience: Duration) -> Result<Vec<Host>, Error> {
        let excluded = self.excluded(patience)?;
        hosts.retain(|host| {
            let ports = excluded.get(&name(&host.target));
            !ports.is_some_and(|ports| ports.iter().any(|port| port.is_none_or(|port| port == host.port)))
        });
        match hosts.is_empty() {
            true => Err(Error::usage("hosts", "no host is left: all that were named are excluded")),
            false => Ok(hosts),
        }
    }

    /// `[USER@]HOST[:PORT]`.
    fn host(&self, text: &str) -> Result<Host, Error> {
        let (user, host) = user_and_host(text);
        let (host, named) = host_and_port(host)?;
        let named = named.or(self.port);
        let port = named.unwrap_or(SSH);
        let target = checked(host, port)?;
        let user = user.map(str::to_owned);
        Ok(Host { user, has_named_port: named.is_some(), ..Host::new(target, port) })
    }

    /// Names that are not meant, and at which port; none is every port.
    fn excluded(&self, patience: Duration) -> Result<HashMap<String, Vec<Option<u16>>>, Error> {
        let mut excluded: HashMap<String, Vec<Option<u16>>> = HashMap::new();
        each(&self.exclude, patience, |text| {
            let (host, port) = host_and_port(user_and_host(text).1)?;
            let target = checked(host, port.unwrap_or(SSH))?;
            excluded.entry(name(&target)).or_default().push(port);
            Ok(())
        })?;
        Ok(excluded)
    }
}

/// Where the servers are that the zone's NS records name, as the resolver tells it.
async fn servers(zone: &Name, cx: &Context) -> Vec<SocketAddr> {
    let resolver = Resolver::new(cx.resolver.clone()).ok();
    let until = Instant::now() + cx.timeout;
    let servers = servers::by_resolver(zone, resolver.as_ref(), until).await;
    servers.into_iter().flat_map(|server| server.addresses).collect()
}

fn key(path: &Path, cx: &Context) -> Result<Key, Error> {
    let (key, weaknesses) = Key::load(path, cx.timeout).map_err(|e| {
        let usual = "want a TSIG key file: BIND's, Knot's, or a line algorithm:name:secret";
        let hint = if let LoadError::Io(error) = &e { pipe::hint(error) } else { None };
        Error::usage("zone-key", format!("{}: {e}", path.display())).hint(hint.unwrap_or(usual))
    })?;
    for weakness in weaknesses {
        cx.out.warn(&format!("{} {weakness}", path.display()));
    }
    Ok(key)
}

/// `USER@HOST`; a user may have an `@` of their own. No user is called as the beginning of a URL is.
fn user_and_host(text: &str) -> (Option<&str>, &str) {
    match text.rsplit_once('@') {
        Some((user, host)) if !user.is_empty() && !user.contains("://") => (Some(user), host),
        _ => (None, text),
    }
}

/// Each once: hosts differ by name, port, address and whatever `more` says of them.
fn once(mut hosts: Vec<Host>, more: impl Fn(&Host) -> Option<String>) -> Vec<Host> {
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert((name(&host.target), host.port, host.address.clone(), more(host))));
    hosts
}

/// In lower case.
fn name(target: &Target) -> String {
    target.to_string().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::proto::destination::Destination;
    use crate::proto::ssh_config::jump::Jump;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        hosts: HostArgs,
    }

    /// Each host as `USER@HOST:PORT`, or the error's message.
    fn read(arguments: &[&str]) -> Result<Vec<String>, String> {
        let line = Line::parse_from([&["x"], arguments].concat());
        let patience = Duration::from_secs(1);
        let hosts = line.hosts.typed(&[], patience);
        let hosts = hosts.and_then(|hosts| line.hosts.without_excluded(hosts, patience));
        let hosts = hosts.map_err(|error| error.message)?;
        let hosts = once(hosts, |host| host.user.clone());
        let shown = |host: &Host| {
            let user = host.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            format!("{user}{}:{}", host.target, host.port)
        };
        Ok(hosts.iter().map(shown).collect())
    }

    #[test]
    fn hosts_come_once_and_in_their_order() {
        let hosts = read(&["-H", "b[2-1]", "-H", "x"]).unwrap_err();
        assert!(hosts.contains("[2-1] is no range"), "{hosts}");
        let hosts = read(&["-H", "b,a[1-3],B.", "-H", "me@a1:2222,a2,[a3]:22", "-p", "22"]).unwrap();
        assert_eq!(hosts, ["b:22", "a1:22", "a2:22", "a3:22", "me@a1:2222"]);
        let hosts = read(&["-H", "[::1]:2222,me@::1,192.0.2.1"]).unwrap();
        assert_eq!(hosts, ["::1:2222", "me@::1:22", "192.0.2.1:22"]);
        assert_eq!(read(&["-H", "you@a,me@a,a,me@a", "-p", "5"]).unwrap(), ["you@a:5", "me@a:5", "a:5"]);
    }

    #[test]
    fn some_are_left_out() {
        assert_eq!(read(&["-H", "a[1-9]", "-x", "a[2-8/2],a[1,3]", "-x", "a9"]).unwrap(), ["a5:22", "a7:22"]);
        assert_eq!(read(&["-H", "a:[1-3],b", "-x", "a:2,B"]).unwrap(), ["a:1", "a:3"]);
        assert_eq!(read(&["-H", "a:[1-3],b", "-x", "a:[1-2]"]).unwrap(), ["a:3", "b:22"]);
        assert_eq!(read(&["-H", "a:[1-3],b", "-x", "a:1,a"]).unwrap(), ["b:22"]);
        assert!(read(&["-H", "a,b", "-x", "a,b,c"]).unwrap_err().contains("no host is left"));
    }

    #[test]
    fn hosts_behind_others_are_connected_to_by_their_names_alone() {
        let way = |is_sure| Jump::host("gate", is_sure);
        let host = |address: Option<&str>| {
            let target = Target::Host("web1.example.com".parse().unwrap());
            let address = address.map(|address| Destination::parse(address).unwrap());
            Host { address, ..Host::new(target, 22) }
        };
        for (address, jump, is_left_alone) in [
            (None, None, false),
            (None, way(true), false),
            (Some("10.0.0.1"), None, false),
            (Some("10.0.0.1"), way(false), false),
            (Some("10.0.0.1"), way(true), true),
            (Some("inner.example.com"), way(true), true),
        ] {
            let is_known = jump.is_some();
            let host = through(host(address), jump);
            match &host.target {
                Target::Address(name, error) => {
                    assert!(is_left_alone && name == "web1.example.com" && error.reason == "jump");
                    assert!(error.message.contains("ProxyJump gate"), "{error}");
                }
                Target::Host(_) => assert!(!is_left_alone && host.jump.is_some() == is_known),
            }
        }
    }

    #[test]
    fn too_many_are_told_before_they_are_made() {
        let told = read(&["-H", "a[0-999999]x[0-999999],b"]).unwrap_err();
        assert!(told.contains("more than 1000000 hosts"), "{told}");
        let told = read(&["-H", "a", "-x", "a[0-9999999]"]).unwrap_err();
        assert!(told.contains("more than 1000000 hosts"), "{told}");
    }
}
