//! Many hosts of one zone: what `verify` asks for each of them, what it asks once, and under which limits.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use crate::support::forger::Forger;
use crate::support::handmade::{Lies, blob, keypair, start_for_many};
use crate::support::wire::{A, AAAA, DNSKEY, DS, SSHFP, WireName};
use crate::support::{Finished, Tree, run};
use sshanchor::proto::hostkey::HostKey;

const HOSTS: usize = 30;
const LIMIT: Duration = Duration::from_secs(60);

fn name(number: usize) -> String {
    format!("h{number}.example.test")
}

fn digest(seed: u8) -> String {
    let digest = HostKey::from_blob(&blob(&keypair(seed))).unwrap().sha256();
    digest.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// A zone with many hosts, all of which have the key of `seed`; and a resolver that counts the questions.
fn world(seed: u8) -> (Tree, Forger) {
    let plan = (0..HOSTS).fold(Tree::plan(), |plan, number| {
        let owner = format!("{}.", name(number));
        plan.record(&format!("{owner} A 127.0.0.1")).record(&format!("{owner} SSHFP 4 2 {}", digest(seed)))
    });
    let tree = plan.start();
    let forger = Forger::start(tree.addr());
    (tree, forger)
}

fn arguments(port: u16) -> Vec<String> {
    let all = (0..HOSTS).map(|number| format!("{}:{port}", name(number)));
    ["verify", "--json", "--fanout", "60"].map(str::to_owned).into_iter().chain(all).collect()
}

fn all_are(finished: &Finished, verdict: &str, code: i32) {
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    let lines = finished.json_lines();
    assert_eq!(lines.len(), HOSTS, "{finished:#?}");
    for line in lines {
        assert_eq!(line["verdict"], verdict, "{line}");
    }
}

/// How often each question was asked; a datagram that was sent again counts once.
fn asked(forger: &Forger) -> BTreeMap<(WireName, u16), usize> {
    let all: BTreeSet<_> = forger.asked().into_iter().map(|(_, dns)| (dns.name, dns.rtype, dns.id)).collect();
    let mut count = BTreeMap::new();
    for (name, rtype, _) in all {
        *count.entry((name, rtype)).or_default() += 1;
    }
    count
}

/// The labels of these hosts for `port`.
fn of_ports(asked: &BTreeMap<(WireName, u16), usize>, port: u16) -> usize {
    let labels = (0..HOSTS).map(|number| WireName::new(&format!("_{port}._ssh.{}", name(number))));
    labels.filter_map(|label| asked.get(&(label, SSHFP))).sum()
}

#[test]
fn many_hosts_of_a_zone_cost_one_zone_chain_even_if_all_begin_at_once() {
    let (tree, forger) = world(1);
    let port = start_for_many(Lies::default()).port();
    all_are(&run(tree.sshanchor(forger.addr()).args(arguments(port)), LIMIT), "accept", 0);
    let asked = asked(&forger);
    let times =
        |name: &str, rtype: u16| asked.get(&(WireName::new(name), rtype)).copied().unwrap_or_default();
    for zone in ["test.", "example.test."] {
        assert_eq!((times(zone, DNSKEY), times(zone, DS)), (1, 1), "{zone}: {asked:?}");
    }
    assert_eq!((times(".", DNSKEY), times("_revoked._ssh.example.test.", SSHFP)), (1, 1), "{asked:?}");
    for number in 0..HOSTS {
        let host = name(number);
        assert_eq!([SSHFP, A, AAAA].map(|rtype| times(&host, rtype)), [1; 3], "{host}: {asked:?}");
    }
    // What is under the port label is not sought where the host's own records do.
    assert_eq!(of_ports(&asked, port), 0, "{asked:?}");
    assert_eq!(asked.values().sum::<usize>(), 5 + 1 + 3 * HOSTS, "{asked:?}");
}

#[test]
fn before_a_host_is_rejected_its_port_label_is_asked_for() {
    let (tree, forger) = world(2);
    let port = start_for_many(Lies::default()).port();
    all_are(&run(tree.sshanchor(forger.addr()).args(arguments(port)), LIMIT), "reject", 3);
    assert_eq!(of_ports(&asked(&forger), port), HOSTS);
    // What is proven there speaks for the key that the first handshake showed.
    let update = (0..HOSTS)
        .map(|number| format!("update add _{port}._ssh.{}. 60 SSHFP 4 2 {}\n", name(number), digest(1)));
    tree.update(&update.collect::<String>());
    all_are(&run(tree.sshanchor(forger.addr()).args(arguments(port)), LIMIT), "accept", 0);
}

#[test]
fn many_hosts_take_no_more_files_than_there_may_be() {
    let (tree, forger) = world(1);
    let port = start_for_many(Lies::default()).port();
    for limit in [32, 64] {
        let ours = tree.sshanchor(forger.addr());
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {limit} && exec \"$@\""), "sh"]).arg(ours.get_program());
        limited.args(arguments(port)).env_clear();
        limited.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        all_are(&run(&mut limited, LIMIT), "accept", 0);
    }
}
