//! Handshakes between real peers (OpenSSH 9.2 and 10.2, dropbear 2022.83), recorded one for each layout of
//! messages: what comes of them does not depend on how their octets are split.
//!
//! A recording is a sequence of turns: two octets of length, an octet that says whose it is (1: the client's), what
//! that side sent, up to a few octets behind its NEWKEYS.

use super::*;

const RECORDED: [(&str, &[u8]); 8] = [
    ("curve25519", include_bytes!("recorded/curve25519")),
    ("ecdh-nistp256", include_bytes!("recorded/ecdh-nistp256")),
    ("group14", include_bytes!("recorded/group14")),
    ("group-exchange", include_bytes!("recorded/group-exchange")),
    ("sntrup761", include_bytes!("recorded/sntrup761")),
    ("mlkem768-certificate", include_bytes!("recorded/mlkem768-certificate")),
    // The guess is right, and is the init; and wrong, and counts for nothing.
    ("dbclient-guess", include_bytes!("recorded/dbclient-guess")),
    ("dbclient-to-openssh", include_bytes!("recorded/dbclient-to-openssh")),
];

type Turns = Vec<(bool, Vec<u8>)>;

fn turns(mut octets: &[u8]) -> Turns {
    let mut turns = Turns::new();
    while let Some((length, rest)) = octets.split_first_chunk::<2>() {
        let (turn, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        turns.push((turn[0] == 1, turn[1..].to_vec()));
        octets = rest;
    }
    turns
}

/// Plays it, each turn in the portions that `split` makes of it. What is presented is let go, if `release`.
fn play<'a>(turns: &'a Turns, release: bool, split: impl Fn(usize, &'a [u8]) -> Vec<&'a [u8]>) -> Out {
    let mut talk = Talk::default();
    for (at, (is_client, octets)) in turns.iter().enumerate() {
        for portion in split(at, octets) {
            if *is_client {
                talk.client(portion)
            } else {
                talk.server(portion)
            };
            if release && matches!(talk.gate.exchange, Exchange::Held { .. }) && talk.out.end.is_none() {
                let key = talk.out.decide[0].0.key().clone();
                let actions = talk.gate.release(&Anchored::for_tests("web1.example.com", 22, &key));
                talk.take(actions);
            }
        }
    }
    talk.out
}

fn whole(turns: &Turns, release: bool) -> Out {
    play(turns, release, |_, octets| vec![octets])
}

/// Every split of every `step`th octet of each turn in two, and octet by octet.
#[track_caller]
fn assert_splits_do_not_matter(name: &str, turns: &Turns, release: bool, step: usize) {
    let expected = whole(turns, release);
    assert_eq!(
        play(turns, release, |_, octets| octets.chunks(1).collect()),
        expected,
        "{name} octet by octet"
    );
    for (at, (_, octets)) in turns.iter().enumerate() {
        for cut in (1..octets.len()).step_by(step) {
            let out = play(turns, release, |turn, octets| {
                if turn == at { vec![&octets[..cut], &octets[cut..]] } else { vec![octets] }
            });
            assert_eq!(out, expected, "{name}, turn {at} split at {cut}");
        }
    }
}

/// What one side sent, all together: its packets in clear, behind the version.
fn payloads(octets: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &octets[octets.iter().position(|octet| *octet == b'\n').unwrap() + 1..];
    let mut payloads = Vec::new();
    while payloads.last().is_none_or(|payload: &Vec<u8>| payload[0] != message::NEWKEYS) {
        let packet = packet::parse(rest).unwrap().unwrap();
        payloads.push(packet.payload.to_vec());
        rest = &rest[packet.framed.len()..];
    }
    payloads.push(rest.to_vec());
    payloads
}

#[test]
fn recorded_handshakes_pass_however_they_are_split() {
    for (name, recorded) in RECORDED {
        let turns = turns(recorded);
        let out = whole(&turns, true);
        assert_eq!((out.decide.len(), out.opaque, &out.end), (1, 1, &None), "{name}");
        let sent = |by: bool| {
            turns.iter().filter(|(client, _)| *client == by).flat_map(|(_, o)| o.clone()).collect::<Vec<u8>>()
        };
        // One packet for one packet, the payloads as they were, and all that is behind NEWKEYS.
        assert_eq!(out.server, sent(true), "{name}");
        assert_eq!(payloads(&out.client), payloads(&sent(false)), "{name}");
        assert_splits_do_not_matter(name, &turns, true, 3);
    }
}

#[test]
fn recorded_replies_are_held_however_they_are_split() {
    for (name, recorded) in RECORDED {
        let turns = turns(recorded);
        let out = whole(&turns, false);
        let key = out.decide[0].0.key().blob();
        assert!(!out.client.windows(key.len()).any(|window| window == key), "{name}");
        assert_eq!((out.decide.len(), out.opaque), (1, 0), "{name}");
        assert_splits_do_not_matter(name, &turns, false, 11);
    }
}

#[test]
fn damaged_handshakes_end_alike_however_they_are_split() {
    for (name, recorded) in RECORDED {
        let good = turns(recorded);
        for (at, (_, octets)) in good.iter().enumerate() {
            // Prime numbers, so that every kind of field is hit in one recording or another.
            for (damaged, bits) in
                (0..octets.len()).step_by(71).zip([0x01, 0x80, 0xff, 0x20].into_iter().cycle())
            {
                let mut bad = good.clone();
                bad[at].1[damaged] ^= bits;
                assert_splits_do_not_matter(&format!("{name} damaged at {at}, {damaged}"), &bad, true, 991);
            }
        }
    }
}
