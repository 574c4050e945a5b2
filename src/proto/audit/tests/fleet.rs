use std::net::IpAddr;

use super::*;
use crate::proto::audit::facts::OwnRecords;

/// A host with the key of `seed` at an address.
fn host(name: &str, seed: u8, address: Option<[u8; 4]>) -> HostFacts {
    let mut facts = facts(&paper(&[(name, &[record(&key(seed))])]), name, &[key(seed)]);
    facts.live.as_mut().unwrap().address = address.map(IpAddr::from);
    facts
}

fn of(all: &[HostFacts]) -> Vec<Vec<String>> {
    report(all).hosts.iter().map(|host| codes(&host.findings)).collect()
}

#[test]
fn one_key_on_several_machines_is_told_of_each() {
    let [a, b, c] = ["web1.example.test", "web2.example.test", "web3.example.test"];
    let (one, two) = (Some([192, 0, 2, 1]), Some([192, 0, 2, 2]));
    let (shared, same, none): (&[&str], &[&str], &[&str]) =
        (&["warning shared-key"], &["info same-machine"], &[]);
    assert_eq!(of(&[host(a, 1, one), host(b, 2, two)]), [none, none]);
    assert_eq!(of(&[host(a, 1, one), host(b, 1, two), host(c, 3, None)]), [shared, shared, none]);
    assert_eq!(of(&[host(a, 1, one), host(b, 1, one)]), [same, same]);
    // Two names of one machine, and another one: all three hold what the other machine holds.
    assert_eq!(of(&[host(a, 1, one), host(b, 1, one), host(c, 1, two)]), [shared, shared, shared]);
    // Nobody knows where the second is.
    assert_eq!(of(&[host(a, 1, one), host(b, 1, None)]), [shared, shared]);
    // One name at two ports is one host.
    let other_port = HostFacts { port: 2222, ..host(a, 1, one) };
    assert_eq!(of(&[host(a, 1, one), other_port]), [none, none]);
}

#[test]
fn an_alias_is_the_same_machine() {
    let mut paper = paper(&[(WEB1, &[record(&key(1))])]);
    let alias = "alias.example.test";
    let records = paper.zone(ZONE).sign(alias, RrType::CNAME, &[name(WEB1).wire()]);
    paper.put(alias, RrType::SSHFP, records);
    let found = of(&[facts(&paper, WEB1, &[key(1)]), facts(&paper, alias, &[key(1)])]);
    assert_eq!(found, [["info same-machine"], ["info same-machine"]]);
}

#[test]
fn many_clones_are_told_in_few_words() {
    let names: Vec<String> = (0..50).map(|n| format!("web{n}.example.test")).collect();
    let all: Vec<HostFacts> =
        names.iter().enumerate().map(|(n, name)| host(name, 1, Some([192, 0, 2, n as u8]))).collect();
    let report = report(&all);
    assert!(report.hosts[0].findings[0].message.contains(" and 45 more"), "{:?}", report.hosts[0].findings);
}

#[test]
fn own_records_of_nobody_are_orphans() {
    let own = |records: &[HostKey], message: Option<&str>| OwnRecords {
        owner: name("old.example.test"),
        records: records.iter().map(Sshfp::of_key).collect(),
        message: message.map(str::to_owned),
    };
    let found = |own: OwnRecords| super::super::fleet(NOW, vec![], &[], &[own]).findings;
    assert_eq!(found(own(&[], None)), []);
    let orphan = found(own(&[key(1)], None));
    assert_eq!(codes(&orphan), ["warning orphan"]);
    assert!(orphan[0].message.contains("1 record at old.example.test"), "{orphan:?}");
    let told = found(own(&[key(1)], Some("it is no name of this machine any more")));
    assert!(told[0].hint.as_ref().unwrap().contains("withdraw --orphans"), "{told:?}");
}
