//! Whom a command line means: `HOST`, `HOST:PORT`; many of them: host sets, `@FILE`, `-`.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::host_name;
use crate::error::{Error, Kind};
use crate::files::{pipe, read_whole};
use crate::fleet::Target;
use crate::proto::inventory::MAX_HOSTS;
use crate::proto::inventory::hostset::{self, HostSetError, Pattern, Word};
use crate::proto::name::HostName;
use crate::verifier::owners;

/// Largest file of host names, in octets.
const MAX_HOSTS_FILE: u64 = 64 * 1024 * 1024;

/// `HOST`, `HOST:PORT` or `[HOST]:PORT`; an IPv6 address is an address, not a host and a port.
pub(super) fn target(text: &str, port: u16) -> Result<(Target, u16), Error> {
    let (host, named) = host_and_port(text)?;
    let port = named.unwrap_or(port);
    Ok((checked(host, port)?, port))
}

/// The host, and the port if one is named: `HOST`, `HOST:PORT` or `[HOST]:PORT`.
pub(super) fn host_and_port(text: &str) -> Result<(&str, Option<u16>), Error> {
    let (host, digits) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or(rest))),
        None if text.matches(':').count() == 1 => {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        }
        None => (text, None),
    };
    let Some(digits) = digits else { return Ok((host, None)) };
    match digits.parse().ok().filter(|port| *port > 0) {
        Some(port) => Ok((host, Some(port))),
        None => {
            let message = format!("{text:?}: want HOST or HOST:PORT, with a port from 1 to 65535");
            Err(Error::usage("port", message))
        }
    }
}

/// The host, in strict grammar and with room for its port label; or an address, which nothing vouches for.
pub(super) fn checked(host: &str, port: u16) -> Result<Target, Error> {
    match host_name(host) {
        Ok(name) => {
            owners(&name, port)?;
            Ok(Target::Host(name))
        }
        Err(error) if error.kind == Kind::Unproven => Ok(Target::Address(host.to_owned(), error)),
        Err(error) => Err(error),
    }
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

/// The hosts that were named, each once, in that order: host sets ([`hostset`]). `port` is that of hosts that name none.
/// An address is an error: nothing vouches for it. `patience` is how long a file that is a pipe is waited for.
pub(super) fn host_names(
    texts: &[String],
    port: u16,
    patience: Duration,
) -> Result<Vec<(HostName, u16)>, Error> {
    let mut hosts = Vec::new();
    each(texts, patience, |text| match target(text, port)? {
        (Target::Host(name), port) => {
            hosts.push((name, port));
            Ok(())
        }
        (Target::Address(_, error), _) => Err(error),
    })?;
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    match hosts.is_empty() {
        true => Err(no_host(ONE_A_LINE)),
        false => Ok(hosts),
    }
}

/// What to do where a file of hosts names none.
pub(super) const ONE_A_LINE: &str = "a file of hosts has one a line, or a list like that behind -H";

/// Nobody is meant.
pub(super) fn no_host(hint: &str) -> Error {
    Error::usage("hosts", "no host was named").hint(hint)
}

/// Calls `add` for each host of the host sets in `texts`, also by `@FILE` and `-`; its errors say where. `patience` is how
/// long a file that is a pipe is waited for.
pub(super) fn each(
    texts: &[String],
    patience: Duration,
    mut add: impl FnMut(&str) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut count = 0;
    for text in texts {
        for word in hostset::parse(text).map_err(not_a_set)? {
            let (source, content) = match &word {
                Word::Hosts(pattern) => {
                    expand(pattern, &mut count, &mut add)?;
                    continue;
                }
                Word::File(file) => (file.as_str(), pipe::read(Path::new(file), MAX_HOSTS_FILE, patience)),
                Word::Input => ("standard input", read_whole(io::stdin(), MAX_HOSTS_FILE)),
            };
            let content = content.map_err(|e| {
                Error::usage("hosts-file", format!("cannot read {source}: {e}"))
                    .hint(pipe::hint(&e).unwrap_or("want a file of host names, a line each"))
            })?;
            for (at, line) in content.lines().enumerate() {
                let Some(line) = hostset::line(line) else { continue };
                each_of_line(line, &mut count, &mut add).map_err(|error| Error {
                    message: format!("{source} line {}: {}", at + 1, error.message),
                    ..error
                })?;
            }
        }
    }
    Ok(())
}

fn each_of_line(
    line: &str,
    count: &mut u64,
    add: &mut impl FnMut(&str) -> Result<(), Error>,
) -> Result<(), Error> {
    // To some this is two hosts (clush), to others a host and its user (parallel-ssh).
    let words = hostset::parse(line).map_err(|error| match error {
        HostSetError::Space(_) => not_a_set(error)
            .hint("a host a line, or commas between them: web1,web2; who logs in stands before: deploy@web1"),
        error => not_a_set(error),
    });
    for word in words? {
        match word {
            Word::Hosts(pattern) => expand(&pattern, count, add)?,
            Word::File(_) | Word::Input => {
                return Err(Error::usage("hosts-file", "a file of hosts names no other files")
                    .hint("name each file by itself: @FILE,@FILE"));
            }
        }
    }
    Ok(())
}

/// Counts first: what is too much is never made.
fn expand(
    pattern: &Pattern,
    count: &mut u64,
    add: &mut impl FnMut(&str) -> Result<(), Error>,
) -> Result<(), Error> {
    *count = count.saturating_add(pattern.count());
    if *count > MAX_HOSTS as u64 {
        return Err(Error::usage("hosts", format!("these are more than {MAX_HOSTS} hosts"))
            .hint("are there too many digits in a range? several brackets multiply"));
    }
    pattern.names().try_for_each(|name| add(&name))
}

fn not_a_set(error: HostSetError) -> Error {
    let hint = error.hint();
    let reason = match error {
        HostSetError::Empty(_) | HostSetError::Space(_) | HostSetError::Long(_) => "host-name",
        HostSetError::Bracket(_)
        | HostSetError::Range(..)
        | HostSetError::Operator(..)
        | HostSetError::Brace(_) => "hosts",
    };
    Error::usage(reason, error).hint(hint)
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
