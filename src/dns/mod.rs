//! DNS I/O: sending questions and updates, fetching what proofs ask for.

pub mod addresses;
pub mod anchors;
pub mod authority;
pub mod bundles;
pub mod cache;
pub mod classify;
pub mod lookup;
pub mod resolver;
pub mod servers;
pub mod stored;
pub mod transfer;
pub mod transport;
pub mod tsig;
pub mod update;

use std::net::{IpAddr, SocketAddr};

/// `ADDR`, `ADDR:PORT`, `[V6]:PORT`; the port is 53 unless given.
pub fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| text.parse()).map_err(|_| {
        "want an address, with a port if it is not 53 (192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:53)".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_addresses_with_an_optional_port() {
        let read = |text| dns_server(text).map(|a| a.to_string());
        assert_eq!(read("192.0.2.1").unwrap(), "192.0.2.1:53");
        assert_eq!(read("192.0.2.1:5353").unwrap(), "192.0.2.1:5353");
        assert_eq!(read("2001:db8::1").unwrap(), "[2001:db8::1]:53");
        assert_eq!(read("[2001:db8::1]").unwrap(), "[2001:db8::1]:53");
        assert_eq!(read("[2001:db8::1]:5353").unwrap(), "[2001:db8::1]:5353");
        assert!(read("ns1.example.com").is_err());
    }
}
