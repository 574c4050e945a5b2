//! Where hosts are written down: Ansible's inventories, ssh's configuration, a zone. What is found is names and ways,
//! and nothing of it vouches for anything.
//!
//! | file | reads |
//! |---|---|
//! | [`ansible`] | files, programs and standard input in Ansible's forms |
//! | [`ssh_hosts`] | the Host lines of ssh's configuration |
//! | [`zone`] | the names in a zone that have host keys, by a transfer |

pub mod ansible;
pub mod ssh_hosts;
pub mod zone;

use std::path::PathBuf;

use crate::proto::destination::Destination;
use crate::proto::ssh_config::jump::Jump;

/// A host that is written down somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is called there.
    pub label: String,
    /// The name that is proven, or an address, as it stands there.
    pub name: String,
    /// Where to connect, if not to the addresses of that name.
    pub address: Option<Destination>,
    /// The port, if one is named.
    pub port: Option<u16>,
    /// The records are good on that port alone: no option names another.
    pub is_port_fixed: bool,
    /// Who logs in there.
    pub user: Option<String>,
    /// Files of keys.
    pub identities: Vec<PathBuf>,
    /// ssh, or Ansible, goes there through something else.
    pub jump: Option<Jump>,
}

impl Found {
    /// The name that is proven, and where to connect: `host` is what ssh is told to go to, which is the identity too
    /// unless it is an address. Of an address nothing is proven, so that the host goes by its `label` then.
    pub fn new(label: String, host: Option<String>) -> Self {
        let place = host.as_deref().and_then(|host| Destination::parse(host).ok());
        let address = place.filter(|place| matches!(place, Destination::Address { .. }));
        let name = match (host, &address) {
            (Some(host), None) => host,
            (_, Some(_)) | (None, _) => label.clone(),
        };
        Found {
            label,
            name,
            address,
            port: None,
            is_port_fixed: false,
            user: None,
            identities: Vec::new(),
            jump: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_the_name_that_ssh_goes_to() {
        let found = |host: Option<&str>| {
            let found = Found::new("web1".to_owned(), host.map(str::to_owned));
            (found.name, found.address.map(|address| address.to_string()))
        };
        let is = |name: &str, address: Option<&str>| (name.to_owned(), address.map(str::to_owned));
        assert_eq!(found(None), is("web1", None));
        assert_eq!(found(Some("web1.example.com")), is("web1.example.com", None));
        assert_eq!(found(Some("192.0.2.1")), is("web1", Some("192.0.2.1")));
        assert_eq!(found(Some("2001:db8::1")), is("web1", Some("2001:db8::1")));
    }
}
