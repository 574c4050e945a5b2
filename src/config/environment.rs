//! What the environment says, for programs that have no command line of ours.

use std::ffi::OsString;

use super::{Cache, Files, Source, Sourced, Typed};
use crate::dns::dns_server;
use crate::error::Error;

/// What `SSHANCHOR_CONFIG`, `SSHANCHOR_RESOLVER`, `SSHANCHOR_TRUST_ANCHOR` and `SSHANCHOR_CACHE` say, as commands
/// understand them. One that is set to nothing is as good as none.
pub fn from_environment() -> Result<Typed, Error> {
    read(|name| std::env::var_os(name))
}

fn read(get: impl Fn(&str) -> Option<OsString>) -> Result<Typed, Error> {
    let set = |name: &'static str| get(name).filter(|value| !value.is_empty());
    fn sourced<T>(name: &'static str, value: T) -> Sourced<T> {
        Sourced { value, source: Source::Environment(name) }
    }
    fn parsed<T>(
        name: &'static str,
        value: OsString,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Sourced<T>, Error> {
        let text = value.into_string().map_err(|_| "it is no text".to_owned());
        let value = text.and_then(|text| read(&text));
        value
            .map(|value| sourced(name, value))
            .map_err(|why| Error::usage("config", format!("{name}: {why}")))
    }
    let parse_servers = |text: &str| text.split(',').map(dns_server).collect();
    let (config, resolver, cache) = ("SSHANCHOR_CONFIG", "SSHANCHOR_RESOLVER", "SSHANCHOR_CACHE");
    let anchor = "SSHANCHOR_TRUST_ANCHOR";
    let files = set(config).map(|value| parsed(config, value, Files::read)).transpose()?;
    Ok(Typed {
        files: files.map(|files| files.value).unwrap_or_default(),
        resolver: set(resolver).map(|value| parsed(resolver, value, parse_servers)).transpose()?,
        trust_anchor: set(anchor).map(|value| sourced(anchor, value.into())),
        cache: set(cache)
            .map(|value| parsed(cache, value, |text| Cache::read(text, |folder| Ok(folder.into()))))
            .transpose()?,
        timeout: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_count_as_they_do_for_commands() {
        let read = |pairs: &[(&str, &str)]| {
            read(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let typed = read(&[("SSHANCHOR_RESOLVER", ""), ("SSHANCHOR_CONFIG", "")]).unwrap();
        assert!(typed.resolver.is_none() && typed.files == Files::Usual);
        let typed = read(&[
            ("SSHANCHOR_RESOLVER", "192.0.2.1,[::1]:5353"),
            ("SSHANCHOR_CONFIG", "none"),
            ("SSHANCHOR_CACHE", "off"),
            ("SSHANCHOR_TRUST_ANCHOR", "/a"),
        ])
        .unwrap();
        let resolver = typed.resolver.unwrap();
        assert_eq!(resolver.value, ["192.0.2.1:53".parse().unwrap(), "[::1]:5353".parse().unwrap()]);
        assert_eq!(resolver.source, Source::Environment("SSHANCHOR_RESOLVER"));
        assert_eq!((typed.files, typed.cache.unwrap().value), (Files::None, Cache::Off));
        assert_eq!(typed.trust_anchor.unwrap().value, std::path::Path::new("/a"));
        for bad in [("SSHANCHOR_RESOLVER", "dns.example"), ("SSHANCHOR_CACHE", "none")] {
            let error = read(&[bad]).unwrap_err();
            assert!(error.message.starts_with(bad.0), "{error}");
        }
    }
}
