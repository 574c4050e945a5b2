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

use crate::proto::name::HostName;

/// `ADDR`, `ADDR:PORT`, `[V6]:PORT`; the port is 53 unless given.
pub fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| text.parse()).map_err(|_| {
        let wanted =
            "want an address, with a port if it is not 53 (192.0.2.1, 192.0.2.1:5353, [2001:db8::1]:53)";
        // Names would come from a DNS that may be the one that is to be mended.
        match HostName::parse(text.split_once(':').map_or(text, |(name, _)| name)) {
            Ok(name) => format!("{wanted}, and no name: dig +short {name} tells its addresses"),
            Err(_) => wanted.to_owned(),
        }
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
        for name in ["ns1.example.com", "ns1.example.com:53"] {
            assert!(
                read(name)
                    .unwrap_err()
                    .ends_with("and no name: dig +short ns1.example.com tells its addresses")
            );
        }
        assert!(read("192.0.2.1:x").unwrap_err().ends_with("[2001:db8::1]:53)"));
    }
}
