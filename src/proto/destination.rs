//! Where to connect: a host by its name, or an address. It vouches for nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::name::{HostName, HostNameError};
use crate::proto::text::cut;

/// Longest name of an interface (IFNAMSIZ less its NUL).
const MAX_ZONE: usize = 15;

/// A host's name or address, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A name, whose addresses are to be found.
    Name(HostName),
    /// An address.
    Address {
        /// The address.
        ip: IpAddr,
        /// The interface of a link-local one (RFC 4007 section 11): letters, digits, `.`, `_` and `-` alone.
        zone: Option<String>,
    },
}

impl Destination {
    /// A strict host name, or an address, with brackets or without.
    pub fn parse(text: &str) -> Result<Self, HostNameError> {
        let error = match HostName::parse(text) {
            Ok(name) => return Ok(Destination::Name(name)),
            Err(error) => error,
        };
        let HostNameError::Address(bare) = &error else { return Err(error) };
        let (address, zone) = match bare.split_once('%') {
            Some((address, zone)) => (address, Some(zone)),
            None => (bare.as_str(), None),
        };
        let good = |zone: &&str| {
            let is_good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            (1..=MAX_ZONE).contains(&zone.len()) && zone.bytes().all(is_good)
        };
        let grammar = || HostNameError::Grammar(cut(text, 80).into_owned());
        match (address.parse(), zone) {
            (Ok(ip), None) => Ok(Destination::Address { ip, zone: None }),
            (Ok(ip @ IpAddr::V6(_)), Some(zone)) => {
                let zone = Some(zone).filter(good).ok_or_else(grammar)?;
                Ok(Destination::Address { ip, zone: Some(zone.to_owned()) })
            }
            _ => Err(grammar()),
        }
    }

    /// With `port`, if it is an address whose octets alone say where it is.
    pub fn socket_address(&self, port: u16) -> Option<SocketAddr> {
        match self {
            Destination::Address { ip, zone: None } => Some(SocketAddr::new(*ip, port)),
            _ => None,
        }
    }
}

/// Without brackets.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Name(name) => name.fmt(f),
            Destination::Address { ip, zone: None } => ip.fmt(f),
            Destination::Address { ip, zone: Some(zone) } => write!(f, "{ip}%{zone}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_places_and_nothing_else_is() {
        for (text, shown) in [
            ("WEB1.example.com.", "web1.example.com"),
            ("192.0.2.1", "192.0.2.1"),
            ("[192.0.2.1]", "192.0.2.1"),
            ("::1", "::1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("[fe80::1%wlan-0.2_x]", "fe80::1%wlan-0.2_x"),
        ] {
            assert_eq!(Destination::parse(text).unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "-oProxyCommand=x",
            "web_1",
            "a b",
            "[::1",
            "::1]",
            "192.0.2.1%eth0",
            "fe80::1%",
            "fe80::1%a b",
            "fe80::1%$(x)",
            "fe80::1%%",
            "fe80::1%0123456789abcdef",
            "1.2.3",
            "web1:22",
            "[::1]:22",
            "%h",
        ] {
            assert!(matches!(Destination::parse(bad), Err(HostNameError::Grammar(_))), "{bad:?}");
        }
        assert_eq!(Destination::parse("::1").unwrap().socket_address(22), Some("[::1]:22".parse().unwrap()));
        assert_eq!(Destination::parse("fe80::1%lo").unwrap().socket_address(22), None);
    }
}
