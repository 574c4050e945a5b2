//! Whom a command line means: `HOST`, `HOST:PORT`; many of them: `@FILE`, `-`.

use std::collections::HashSet;
use std::fs::File;

use super::host_name;
use crate::error::{Error, Kind};
use crate::fleet::Target;
use crate::proto::name::HostName;
use crate::ssh::hostkeys::read_whole;
use crate::verifier::owners;

/// Largest file of host names, in octets.
const MAX_HOSTS_FILE: u64 = 64 * 1024 * 1024;

/// `HOST`, `HOST:PORT` or `[HOST]:PORT`; an IPv6 address is an address, not a host and a port.
pub(super) fn target(text: &str, port: u16) -> Result<(Target, u16), Error> {
    let (host, digits) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None if text.matches(':').count() == 1 => {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        }
        None => (text, None),
    };
    let port = match digits {
        None => port,
        Some(digits) => digits.parse().ok().filter(|p| *p > 0).ok_or_else(|| {
            Error::usage("port", format!("{text:?}: want HOST or HOST:PORT, with a port from 1 to 65535"))
        })?,
    };
    let target = match host_name(host) {
        Ok(name) => {
            owners(&name, port)?;
            Target::Host(name)
        }
        Err(error) if error.kind == Kind::Unproven => Target::Address(host.to_owned(), error),
        Err(error) => return Err(error),
    };
    Ok((target, port))
}

/// What to type in the place of something that is no host name.
pub(super) fn hint_for(text: &str) -> Option<String> {
    let (_, host) = text.rsplit_once('@').unwrap_or(("", text));
    let is_name = |text: &str| HostName::parse(text).is_ok();
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if is_port(text) {
        return Some("a port stands behind its host: HOST:PORT".to_owned());
    }
    if text.starts_with('@') {
        return Some("no file of hosts is read here: give their names".to_owned());
    }
    if text.contains(',') && text.split(',').all(is_name) {
        return Some(
            "one name at a time: give each in a word of its own, an option that takes names once for each"
                .to_owned(),
        );
    }
    if text.contains("://") {
        return Some("give the host alone, HOST or HOST:PORT, and not a URL".to_owned());
    }
    if host != text && (is_name(host) || host.rsplit_once(':').is_some_and(|(name, _)| is_name(name))) {
        return Some(format!("no user is asked for here: {host}"));
    }
    match text.rsplit_once(':') {
        Some((name, port)) if is_name(name) && is_port(port) => Some(format!("without the port: {name}")),
        _ if text.contains(['*', '?']) => Some("give whole names: no host answers to a pattern".to_owned()),
        _ if !text.is_ascii() => {
            Some("names in other scripts have an ASCII form, which begins with xn--".to_owned())
        }
        _ => None,
    }
}

/// The hosts that were named, each one as often as it was: `HOST`, `HOST:PORT`, `@FILE` for those in a file, a line
/// each, `-` for those on standard input. `port` is that of hosts that name none.
pub(super) fn targets(texts: &[String], port: u16) -> Result<Vec<(Target, u16)>, Error> {
    let mut targets = Vec::new();
    each(texts, |text| {
        targets.push(target(text, port)?);
        Ok(())
    })?;
    match targets.is_empty() {
        true => Err(Error::usage("host-name", "no host was named")),
        false => Ok(targets),
    }
}

/// The hosts that were named, each once, in that order: `HOST`, `HOST:PORT`, `@FILE` for those in a file, a line each,
/// `-` for those on standard input. `port` is that of hosts that name none. An address is an error: nothing vouches
/// for it.
pub(super) fn hosts(texts: &[String], port: u16) -> Result<Vec<(HostName, u16)>, Error> {
    let mut hosts = Vec::new();
    each(texts, |text| match target(text, port)? {
        (Target::Host(name), port) => {
            hosts.push((name, port));
            Ok(())
        }
        (Target::Address(_, error), _) => Err(error),
    })?;
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    match hosts.is_empty() {
        true => Err(Error::usage("host-name", "no host was named")),
        false => Ok(hosts),
    }
}

/// Calls `add` for each host that `texts` name, also by `@FILE` and `-`; its errors say where.
fn each(texts: &[String], mut add: impl FnMut(&str) -> Result<(), Error>) -> Result<(), Error> {
    for text in texts {
        let (source, content) = match text.strip_prefix('@') {
            Some(file) => (file, File::open(file).and_then(|file| read_whole(file, MAX_HOSTS_FILE))),
            None if text == "-" => ("standard input", read_whole(std::io::stdin(), MAX_HOSTS_FILE)),
            None => {
                add(text)?;
                continue;
            }
        };
        let content = content.map_err(|e| {
            Error::usage("hosts-file", format!("cannot read {source}: {e}"))
                .hint("want a file of host names, a line each")
        })?;
        let lines = content.lines().map(str::trim).enumerate();
        for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
            add(line).map_err(|error| Error {
                message: format!("{source} line {}: {}", at + 1, error.message),
                ..error
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_room_for_their_port_label_are_told_at_once() {
        let long = ["a".repeat(63), "a".repeat(63), "a".repeat(63), "a".repeat(53)].join(".");
        assert_eq!(target(&long, 22).unwrap_err().reason, "host-name");
        assert!(target(&long["aaaaaaaaa".len()..], 22).is_ok());
    }

    #[test]
    fn hosts_may_carry_a_port() {
        let read = |text| match target(text, 22).ok()? {
            (Target::Host(name), port) => Some((name.to_string(), port)),
            (Target::Address(address, _), port) => Some((address, port)),
        };
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(read("web1.example.com"), is("web1.example.com", 22));
        assert_eq!(read("web1.example.com:2222"), is("web1.example.com", 2222));
        assert_eq!(read("[web1.example.com]:2222"), is("web1.example.com", 2222));
        assert_eq!(read("::1"), is("::1", 22));
        assert_eq!(read("[::1]:2222"), is("::1", 2222));
        for bad in ["web1:0", "web1:65536", "web1:ssh", "web1:", "[web1]x", "web_1", "web1:22:22", ""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_no_name_is_told_with_what_to_type() {
        for (text, hint) in [
            ("23248", Some("HOST:PORT")),
            ("ssh://web1.example.com:22", Some("not a URL")),
            ("root@web1.example.com", Some(": web1.example.com")),
            ("root@web1.example.com:22", Some(": web1.example.com:22")),
            ("web1.example.com:22", Some("without the port: web1.example.com")),
            ("*.example.com", Some("whole names")),
            ("w\u{e9}b.example.com", Some("xn--")),
            ("@fleet", Some("no file of hosts")),
            ("web_1", None),
            ("", None),
        ] {
            let told = hint_for(text);
            assert_eq!(told.is_some(), hint.is_some(), "{text}: {told:?}");
            assert!(told.unwrap_or_default().contains(hint.unwrap_or_default()), "{text}");
        }
    }
}
