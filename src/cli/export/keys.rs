//! Formats for SSH clients: keys that are proven.

use super::outcome::{Destination, Exported};
use super::source::{Hosts, Proven, Source, of_dns, of_handshakes};
use crate::cli::Context;
use crate::error::{Error, Kind};
use crate::proto::export::keys::{self, Known};
use crate::proto::known_hosts::{HASH, hashed, lookup_name};
use crate::proto::name::HostName;
use crate::proto::sshfp::Sshfp;
use crate::proto::verdict::Reason;
use crate::verifier::{NoKeys, Verifier};

/// known_hosts lines of proven keys, after live handshakes.
///
/// Shakes hands with each host once for every type that its records speak of, and prints the keys that DNSSEC proves
/// and that the host signed with. Nothing comes from a key scan. If a host shows any key that is not proven, none of
/// its keys are printed. Unlike DNS, the lines do not age: export again when keys are rotated.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: sshanchor export known-hosts web1.example.com db1.example.com:2222 -o fleet.known_hosts\n\
    Use it: ssh -o UserKnownHostsFile=fleet.known_hosts -o StrictHostKeyChecking=yes web1.example.com"
)]
pub(super) struct KnownHosts {
    #[command(flatten)]
    hosts: Hosts,
    /// Hash the names, as ssh-keygen -H does
    #[arg(long)]
    hash: bool,
    #[command(flatten)]
    destination: Destination,
}

/// plink's -hostkey arguments, from proven records.
///
/// Prints -hostkey SHA256:... for each proven key of a host, for plink, pscp and psftp, which take a connection if the
/// host's key is one of these. They compare the key themselves: nothing is sent to the host.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: plink -batch $(sshanchor export plink web1.example.com) web1.example.com uptime\n\
    Of several hosts with --json: each has its line in `text`, in their order in `hosts`."
)]
pub(super) struct Plink {
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    destination: Destination,
}

/// Variables or facts for Ansible: host keys and records.
///
/// Prints JSON: `hosts`, by the name that known_hosts has for each (HOST, or [HOST]:PORT), with host_keys (type, key,
/// sha256, and the line for known_hosts) and sshfp (owner, ttl, record and its parts). Of HOST... the keys are proven,
/// as known-hosts does it. Of --name they are this machine's own: as /etc/ansible/facts.d/sshanchor.fact they are
/// ansible_local.sshanchor.hosts on the controller.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples: sshanchor export ansible @fleet -o sshanchor.json\n          \
    sshanchor export ansible --name web1.example.com -o /etc/ansible/facts.d/sshanchor.fact\n\
    In a playbook:\n  \
    - ansible.builtin.include_vars: {file: sshanchor.json, name: sshanchor}\n  \
    - ansible.builtin.known_hosts: {name: \"{{ item.0.key }}\", key: \"{{ item.1.known_hosts }}\"}\n    \
    loop: \"{{ sshanchor.hosts | dict2items | subelements('value.host_keys') }}\"")]
pub(super) struct Ansible {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    destination: Destination,
}

pub(super) async fn known_hosts(args: KnownHosts, cx: &Context) -> Result<Option<Kind>, Error> {
    let outcome = args.hosts.prove(cx, args.hosts.named(cx)?, of_handshakes).await?;
    args.destination.write(cx, "known-hosts", &outcome, |exported| {
        let mut text = String::new();
        for Exported { host, port, keys, .. } in exported {
            let name = lookup_name(&host.to_string(), *port);
            for key in keys {
                // A salt of its own for each line: equal names look different.
                let salt: [u8; HASH] = rand::random();
                let name = if args.hash { hashed(&name, &salt) } else { name.clone() };
                text += &keys::known_hosts_line(&name, key);
                text.push('\n');
            }
        }
        Ok(text)
    })
}

pub(super) async fn plink(args: Plink, cx: &Context) -> Result<Option<Kind>, Error> {
    let named = args.hosts.named(cx)?;
    if named.len() > 1 && !cx.out.json {
        return Err(Error::usage("usage", "plink's arguments are for one host, and several were named")
            .hint("a run for each host, or --json for all of them"));
    }
    let outcome = args.hosts.prove(cx, named, of_allowed_types).await?;
    args.destination.write(cx, "plink", &outcome, |exported| {
        let line = |exported: &Exported| {
            let records = exported.sets.iter().flat_map(|set| set.records());
            keys::plink(records.collect::<std::collections::BTreeSet<&Sshfp>>()) + "\n"
        };
        Ok(exported.iter().map(line).collect())
    })
}

/// The proven records of a host of which none can be of a key that policy does not allow: plink compares digests and
/// nothing else.
async fn of_allowed_types(verifier: Verifier, host: HostName, port: u16) -> Result<Proven, Error> {
    let policy = verifier.policy(&host);
    let (keys, mut sets, evidence) = match of_dns(verifier, host.clone(), port).await? {
        Ok(proven) => proven,
        Err(why) => return Ok(Err(why)),
    };
    for set in &mut sets {
        set.records.retain(|record| policy.allows_all_of(record.algorithm()));
    }
    sets.retain(|set| !set.records.is_empty());
    if sets.is_empty() {
        let reason = Reason::NoAllowedType { host, allowed: policy.algorithms };
        return Ok(Err(NoKeys::from(reason)));
    }
    Ok(Ok((keys, sets, evidence)))
}

pub(super) async fn ansible(args: Ansible, cx: &Context) -> Result<Option<Kind>, Error> {
    let outcome = args.source.gather(cx, of_handshakes).await?;
    args.destination.write(cx, "ansible", &outcome, |exported| {
        let known = |exported: &Exported| Known {
            host: exported.host.to_string(),
            port: exported.port,
            keys: exported.keys.clone(),
            sets: exported.sets.clone(),
        };
        Ok(keys::ansible(&exported.iter().map(known).collect::<Vec<_>>()))
    })
}
