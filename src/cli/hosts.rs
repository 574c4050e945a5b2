//! Which hosts a command is for: `-H HOSTS`, and what leaves some of them out.

use std::collections::{HashMap, HashSet};

use super::Context;
use super::target::{checked, each, host_and_port};
use crate::error::Error;
use crate::fleet::{Host, Target};

/// The port of ssh.
const SSH: u16 = 22;

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
}

impl HostArgs {
    /// The options that name hosts.
    pub(super) const SOURCES: [&str; 1] = ["hosts"];

    /// The hosts that are meant, each once, in the order in which they were named; the same host for two users is two.
    #[allow(dead_code, reason = "exec is about to use it")]
    pub(super) async fn hosts(&self, _cx: &Context) -> Result<Vec<Host>, Error> {
        self.typed(&[]).map(|hosts| once(hosts, |host| host.user.clone()))
    }

    /// The same with those of `more`, for a command that logs in nowhere: users do not tell hosts apart.
    pub(super) async fn places(&self, more: &[String], _cx: &Context) -> Result<Vec<Host>, Error> {
        self.typed(more).map(|hosts| once(hosts, |_| None))
    }

    /// Those that are named by host sets, in these and in `more`, which come first.
    fn typed(&self, more: &[String]) -> Result<Vec<Host>, Error> {
        let texts: Vec<String> = more.iter().chain(&self.hosts).cloned().collect();
        if texts.is_empty() {
            return Err(Error::usage("hosts", "no host was named: -H is missing")
                .hint("name the hosts: -H web1.example.com,db[1-3].example.com"));
        }
        let mut hosts = Vec::new();
        each(&texts, |text| {
            hosts.push(self.host(text)?);
            Ok(())
        })?;
        if hosts.is_empty() {
            return Err(Error::usage("hosts", "no host was named")
                .hint("a file of hosts has one a line, or a list like that behind -H"));
        }
        let excluded = self.excluded()?;
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
    fn excluded(&self) -> Result<HashMap<String, Vec<Option<u16>>>, Error> {
        let mut excluded: HashMap<String, Vec<Option<u16>>> = HashMap::new();
        each(&self.exclude, |text| {
            let (host, port) = host_and_port(user_and_host(text).1)?;
            let target = checked(host, port.unwrap_or(SSH))?;
            excluded.entry(name(&target)).or_default().push(port);
            Ok(())
        })?;
        Ok(excluded)
    }
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
    hosts.retain(|host| seen.insert((name(&host.target), host.port, host.address, more(host))));
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

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        hosts: HostArgs,
    }

    /// Each host as `USER@HOST:PORT`, or the error's message.
    fn read(arguments: &[&str]) -> Result<Vec<String>, String> {
        let line = Line::parse_from([&["x"], arguments].concat());
        let hosts = line.hosts.typed(&[]).map_err(|error| error.message)?;
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
        assert!(read(&[]).unwrap_err().contains("-H is missing"));
    }

    #[test]
    fn too_many_are_told_before_they_are_made() {
        let told = read(&["-H", "a[0-999999]x[0-999999],b"]).unwrap_err();
        assert!(told.contains("more than 1000000 hosts"), "{told}");
        let told = read(&["-H", "a", "-x", "a[0-9999999]"]).unwrap_err();
        assert!(told.contains("more than 1000000 hosts"), "{told}");
    }
}
