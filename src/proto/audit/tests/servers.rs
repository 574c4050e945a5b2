use super::*;
use crate::proto::audit::facts::{ServerFact, ZoneFacts, ZoneServer};

fn server(address: &str, serial: u32, shows: Option<&[HostKey]>) -> ServerFact {
    let shows = shows.map(|keys| keys.iter().map(Sshfp::of_key).collect());
    ServerFact { name: None, address: address.into(), serial: Some(serial), shows: vec![shows] }
}

fn with(mut facts: HostFacts, servers: Vec<ServerFact>) -> HostFacts {
    facts.servers = servers;
    facts
}

#[test]
fn a_server_with_other_records_is_told() {
    let host = || web1(&[record(&key(1))], &[key(1)]);
    let right = server("192.0.2.1:53", 7, Some(&[key(1)]));
    assert_eq!(found(&with(host(), vec![right.clone(), right.clone()])), Vec::<String>::new());
    for wrong in [&[][..], &[key(2)], &[key(1), key(2)]] {
        let facts = with(host(), vec![right.clone(), server("192.0.2.2:53", 6, Some(wrong))]);
        assert_eq!(found(&facts), ["warning server-differs"]);
        let report = judged(&facts);
        let agrees: Vec<_> = report.report().servers.iter().map(|server| server.agrees).collect();
        assert_eq!(agrees, [Some(true), Some(false)]);
    }
    // Who does not answer says nothing of the host.
    assert_eq!(found(&with(host(), vec![right, server("192.0.2.2:53", 6, None)])), Vec::<String>::new());
    // Records that one server has and DNS denies.
    let mut absent = web1(&[], &[]);
    absent.proof.as_mut().unwrap().sets[0].status = Status::Absent;
    let facts =
        with(absent, vec![server("192.0.2.1:53", 7, Some(&[])), server("192.0.2.2:53", 6, Some(&[key(1)]))]);
    assert_eq!(found(&facts), ["warning server-differs"]);
}

#[test]
fn where_nothing_is_proven_the_newest_serial_is_the_measure() {
    let with_serials = |old, new| {
        let mut facts = web1(&[], &[]);
        facts.proof.as_mut().unwrap().sets[0].status = Status::Insecure;
        let facts = with(facts, vec![server("a", old, Some(&[key(1)])), server("b", new, Some(&[key(2)]))]);
        judged(&facts).report().servers.iter().map(|server| server.agrees).collect::<Vec<_>>()
    };
    assert_eq!(with_serials(1, 2), [Some(false), Some(true)]);
    // Serial numbers go round (RFC 1982).
    assert_eq!(with_serials(u32::MAX, 3), [Some(false), Some(true)]);
}

#[test]
fn servers_of_a_zone_are_told_once() {
    let zone = |serials: &[Result<u32, &str>]| {
        let server = |(at, serial): (usize, &Result<u32, &str>)| ZoneServer {
            name: Some(format!("ns{at}.example.test")),
            address: Some(format!("192.0.2.{at}:53")),
            serial: serial.map_err(str::to_owned),
        };
        ZoneFacts { zone: name(ZONE), servers: serials.iter().enumerate().map(server).collect() }
    };
    let hosts = || (0..3).map(|_| judged(&web1(&[record(&key(1))], &[key(1)]))).collect();
    let of = |serials: &[Result<u32, &str>]| super::super::fleet(NOW, hosts(), &[zone(serials)], &[]);
    let well = of(&[Ok(7), Ok(7)]);
    assert_eq!((codes(&well.findings), well.zones[0].hosts, well.zones[0].servers.len()), (vec![], 3, 2));
    assert_eq!(codes(&of(&[Ok(7), Ok(6)]).findings), ["info serial-differs"]);
    let dead = of(&[Ok(7), Err("no answer in time")]);
    assert_eq!(codes(&dead.findings), ["warning dead-server"]);
    assert_eq!(dead.findings.len(), 1);
    assert!(dead.findings[0].message.contains("ns1.example.test (192.0.2.1:53)"), "{:?}", dead.findings);
}
