//! Which hosts the owners of SSHFP records in a zone are.

use std::collections::{BTreeMap, BTreeSet};

use crate::proto::name::{HostName, Name};

/// Hosts in the order of the zone, each with the ports of its records: `_2222._ssh.HOST` is that port alone, HOST itself
/// whatever port is the usual one (none). Revoked keys, CAs, wildcards and what is no host name are no hosts.
pub fn places(owners: &BTreeSet<Name>) -> Vec<(HostName, Option<u16>)> {
    let mut hosts: BTreeMap<HostName, BTreeSet<Option<u16>>> = BTreeMap::new();
    for owner in owners {
        if let Some((host, port)) = place(owner) {
            hosts.entry(host).or_default().insert(port);
        }
    }
    hosts
        .into_iter()
        .flat_map(|(host, ports)| ports.into_iter().map(move |port| (host.clone(), port)))
        .collect()
}

fn place(owner: &Name) -> Option<(HostName, Option<u16>)> {
    let labels: Vec<&[u8]> = owner.labels().collect();
    let (port, host) = match labels.as_slice() {
        [port, b"_ssh", ..] => {
            let digits = std::str::from_utf8(port.strip_prefix(b"_")?).ok()?;
            let is_plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
            let port = digits.parse().ok().filter(|port: &u16| is_plain && *port > 0)?;
            (Some(port), owner.parent()?.parent()?)
        }
        _ => (None, owner.clone()),
    };
    Some((HostName::parse(&host.to_string()).ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_hosts_and_their_ports() {
        let owners = [
            "web1.example.com",
            "_2222._ssh.web1.example.com",
            "_2022._ssh.web1.example.com",
            "_22._ssh.web2.example.com",
            "example.com",
            "_ca._ssh.example.com",
            "_revoked._ssh.example.com",
            "*.example.com",
            "_0._ssh.web3.example.com",
            "_022._ssh.web3.example.com",
            "_65536._ssh.web3.example.com",
            "_x.web4.example.com",
            "_22._ssh._22._ssh.web5.example.com",
        ];
        let owners = owners.iter().map(|name| Name::from_text(name).unwrap()).collect();
        let found: Vec<String> = places(&owners)
            .into_iter()
            .map(|(host, port)| format!("{host} {}", port.map_or("-".to_owned(), |port| port.to_string())))
            .collect();
        let wanted = [
            "example.com -",
            "web1.example.com -",
            "web1.example.com 2022",
            "web1.example.com 2222",
            "web2.example.com 22",
        ];
        assert_eq!(found, wanted);
    }
}
