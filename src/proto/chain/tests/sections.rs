//! How a reply is laid out says nothing: what answers is found wherever it stands, and the rest is left.

use super::*;
use crate::proto::chain::paper::Key;
use crate::proto::message::Response;

const TARGET: &str = "real.other.test";

/// [`HOST`] is an alias of a host that a DNAME moves; everything in one reply, in order.
fn whole() -> (Paper, Vec<Record>) {
    let mut paper = Paper::tree(&[".", "test", "example.test", "other.test"]);
    let zone = paper.zone("example.test");
    let mut answer = zone.sign(HOST, RrType::CNAME, &[name("real.moved.example.test").wire()]);
    answer.extend(zone.sign("moved.example.test", RrType::DNAME, &[name("other.test").wire()]));
    answer.push(record("real.moved.example.test", RrType::CNAME, name(TARGET).wire()));
    answer.extend(paper.zone("other.test").sign(TARGET, RrType::SSHFP, &[ONE, TWO]));
    paper.put(HOST, RrType::SSHFP, answer.clone());
    (paper, answer)
}

fn steps(answer: Vec<Record>) -> Result<usize, &'static str> {
    let (mut paper, _) = whole();
    paper.put(HOST, RrType::SSHFP, answer);
    paper.prove(HOST, RrType::SSHFP).map(|answer| answer.aliases().len()).map_err(|error| error.code())
}

#[test]
fn the_order_of_an_answer_and_what_stands_in_it_twice_do_not_matter() {
    let (_, answer) = whole();
    assert_eq!(steps(answer.clone()), Ok(2));
    let mut turned = answer.clone();
    for _ in 0..answer.len() {
        turned.rotate_left(1);
        assert_eq!(steps(turned.clone()), Ok(2));
        let backwards: Vec<Record> = turned.iter().rev().cloned().collect();
        assert_eq!(steps(backwards.clone()), Ok(2));
        assert_eq!(steps([backwards, turned.clone()].concat()), Ok(2));
    }
}

#[test]
fn records_beside_the_way_are_left_aside() {
    let (paper, answer) = whole();
    let stray = Zone { key: Key::ed25519("stray"), ..Zone::new("stray.test") };
    let extras = [
        stray.sign("stray.test", RrType::SSHFP, &[TWO]),
        stray.sign("stray.test", RrType::CNAME, &[name(HOST).wire()]),
        paper.zone("example.test").sign(HOST, RrType::TXT, &[b"\x01x"]),
        vec![record("test", RrType::DNAME, name("evil.test").wire())],
        vec![Record { class: 3, ..record(TARGET, RrType::SSHFP, TWO) }],
        vec![record(TARGET, RrType::RRSIG, b"no signature")],
        vec![record(TARGET, RrType::A, &[192, 0, 2, 1])],
    ];
    for extra in extras {
        assert_eq!(steps([&extra[..], &answer].concat()), Ok(2), "{extra:?}");
        assert_eq!(steps([&answer[..], &extra].concat()), Ok(2), "{extra:?}");
    }
    // What is added to a set itself is not beside the way.
    let added = record(TARGET, RrType::SSHFP, b"\x04\x02three");
    assert_eq!(steps([&answer[..], &[added]].concat()), Err("bad-signature"));
}

#[test]
fn a_ttl_of_nothing_is_good_for_now() {
    let (mut paper, mut answer) = whole();
    answer.iter_mut().for_each(|record| record.ttl = 0);
    paper.put(HOST, RrType::SSHFP, answer);
    let answer = paper.prove(HOST, RrType::SSHFP).unwrap();
    assert_eq!((answer.valid_until(), answer.expires()), (NOW, NOW + u64::from(MARGIN)));
}

#[test]
fn a_dname_at_the_apex_moves_all_but_the_apex() {
    let mut paper = Paper::tree(&[".", "test", "old.test", "other.test"]);
    let dname = paper.zone("old.test").sign("old.test", RrType::DNAME, &[name("other.test").wire()]);
    paper.put("real.old.test", RrType::SSHFP, dname.clone());
    paper.put("old.test", RrType::SSHFP, paper.zone("old.test").sign("old.test", RrType::SSHFP, &[TWO]));
    paper.publish("other.test", TARGET, RrType::SSHFP, &[ONE]);
    let owner = |asked: &str| paper.prove(asked, RrType::SSHFP).unwrap().data().set().owner().clone();
    assert_eq!(owner("real.old.test"), name(TARGET));
    // Beside the apex' own data it is nothing.
    assert_eq!(owner("old.test"), name("old.test"));
    let mut at_apex = paper.zone("old.test").sign("old.test", RrType::SSHFP, &[TWO]);
    at_apex.extend(dname);
    paper.put("old.test", RrType::SSHFP, at_apex);
    assert_eq!(paper.prove("old.test", RrType::SSHFP).unwrap().aliases().len(), 0);
}

#[test]
fn while_algorithms_roll_either_is_enough() {
    const ZONE: &str = "example.test";
    let (old, new) = (Zone::new(ZONE), Zone { key: Key::ecdsa(13), ..Zone::new(ZONE) });
    let case = |ds: &[&Zone], keys_by: &Zone, data_by: &Zone| {
        let mut paper = paper();
        let ds: Vec<Vec<u8>> = ds.iter().map(|zone| zone.key.ds(&zone.name, 2)).collect();
        paper.publish("test", ZONE, RrType::DS, &ds.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let other = if std::ptr::eq(keys_by, &old) { &new } else { &old };
        paper.put(ZONE, RrType::DNSKEY, keys_by.keys_and(&[&other.key]));
        paper.put(HOST, RrType::SSHFP, data_by.sign(HOST, RrType::SSHFP, &[ONE]));
        proven(&paper)
    };
    for keys_by in [&old, &new] {
        for data_by in [&old, &new] {
            assert_eq!(case(&[&old, &new], keys_by, data_by), Ok(()));
            assert_eq!(case(&[keys_by], keys_by, data_by), Ok(()));
        }
    }
    assert_eq!(case(&[&old], &new, &new), Err("no-such-key"), "the DS of the other one");
}

#[test]
fn what_another_resolver_gave_takes_the_place_of_zones_and_leaves_other_data() {
    let answer = |text: &str, rtype, rdata: &[u8]| {
        let answer = vec![record(text, rtype, rdata)];
        (question(text, rtype), Response { answer, ..Response::default() })
    };
    let material = |replies: &[(Question, Response)]| {
        let mut material = Material::default();
        replies.iter().for_each(|(asked, reply)| material.add(asked, reply));
        material
    };
    let (host, other) =
        (answer("a.test", RrType::SSHFP, b"\x04\x02one"), answer("b.test", RrType::SSHFP, b"\x04\x02two"));
    let (keys, better) =
        (answer("test", RrType::DNSKEY, b"bad"), answer("a.test", RrType::SSHFP, b"\x04\x02best"));
    let mut ours = material(&[host.clone(), other.clone(), keys.clone()]);
    ours.prefer(material(std::slice::from_ref(&better)));
    assert_eq!(ours.get(&keys.0), None);
    assert_eq!(
        ours.get(&other.0),
        material(std::slice::from_ref(&other)).get(&other.0),
        "somebody may be looking into it"
    );
    assert_eq!(ours.get(&host.0), material(&[better]).get(&host.0));
}
