use super::*;
use crate::proto::chain::paper::MARGIN;

/// A tree in which each host's set is signed for so many days, since so many.
fn signed(hosts: &[&str], since: u64, left: u64, ttl: u32) -> Paper {
    let mut paper = Paper::tree(&[".", "test", ZONE]);
    for host in hosts {
        let records = paper.zone(ZONE).sign_as(host, RrType::SSHFP, &[&record(&key(1))], |rrsig| {
            rrsig.inception = (NOW - since) as u32;
            rrsig.expiration = (NOW + left) as u32;
            rrsig.original_ttl = ttl;
        });
        paper.put(host, RrType::SSHFP, records);
    }
    paper
}

/// What is found of hosts, and of the fleet.
fn of(since: u64, left: u64, ttl: u32) -> (Vec<String>, Vec<String>, Report) {
    let hosts = [WEB1, "web2.example.test"];
    let paper = signed(&hosts, since, left, ttl);
    let all: Vec<HostFacts> = hosts
        .iter()
        .map(|host| {
            let mut facts = facts(&paper, host, &[key(1)]);
            facts.live.as_mut().unwrap().address = Some([192, 0, 2, 1].into());
            facts
        })
        .collect();
    let mut report = report(&all);
    report.hosts[0].findings.retain(|finding| finding.code != "same-machine");
    (codes(&report.hosts[0].findings), codes(&report.findings), report)
}

#[test]
fn a_long_replay_window_is_told_once_a_zone() {
    let day = u64::from(MARGIN);
    let none = || Vec::<String>::new();
    let (host, fleet, _) = of(day, day, 3600);
    assert_eq!((host, fleet), (none(), none()));
    let (host, fleet, report) = of(day, 14 * day, 3600);
    assert_eq!((host, fleet), (none(), vec!["warning replay-window".to_owned()]));
    let finding = &report.findings[0];
    assert_eq!((report.findings.len(), finding.subject.as_str()), (1, ZONE));
    assert!(finding.message.contains("14 days") && finding.message.ends_with("(2 hosts)"), "{finding:?}");
}

#[test]
fn what_ends_soon_and_what_is_kept_for_long_is_told_of_the_host() {
    let day = u64::from(MARGIN);
    assert_eq!(of(6 * day, day / 2, 3600).0, ["warning signature-end"]);
    assert_eq!(of(day, day, 86_400).0, Vec::<String>::new());
    assert_eq!(of(day, day, 86_401).0, ["warning ttl"]);
}

#[test]
fn a_ca_set_without_a_revoked_set_is_told_once() {
    let mut paper = signed(&[WEB1], DAY, DAY, 3600);
    assert_eq!(codes(&report(&[facts(&paper, WEB1, &[key(1)])]).findings), Vec::<String>::new());
    paper.publish(ZONE, "_ca._ssh.example.test", RrType::SSHFP, &[&record(&key(9))]);
    let found = report(&[facts(&paper, WEB1, &[key(1)])]);
    assert_eq!(codes(&found.findings), ["info ca-unused", "warning revoked-set"]);
}
