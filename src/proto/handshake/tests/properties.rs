//! What holds for any octets, and for any portions of them.

use proptest::prelude::*;

use super::*;

/// A whole handshake: who sends what, in an order that causality allows.
fn script(gex: bool) -> Vec<(bool, Vec<u8>)> {
    let kex = if gex { "diffie-hellman-group-exchange-sha256" } else { "curve25519-sha256" };
    let offer = frame(&samples::kexinit(&Offer { kex, ..Offer::default() }));
    let mut script =
        vec![(false, [b"hello\r\n", SERVER, &offer].concat()), (true, [CLIENT, &offer].concat())];
    if gex {
        script.push((true, frame(&samples::group_request())));
        script.push((false, frame(&samples::group())));
    }
    script.push((true, frame(&samples::init(if gex { 32 } else { 30 }))));
    script.push((false, [reply(if gex { 33 } else { 31 }), newkeys(), b"from the server".to_vec()].concat()));
    script.push((true, [newkeys(), b"from the client".to_vec()].concat()));
    script
}

/// Plays it in portions of these sizes; the decision falls once it is asked for.
fn play(script: &[(bool, Vec<u8>)], sizes: &[usize], release: bool) -> Out {
    let mut talk = Talk::default();
    let mut sizes = sizes.iter().copied().cycle();
    for (client, octets) in script {
        let mut rest = &octets[..];
        while !rest.is_empty() {
            let (portion, after) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
            rest = after;
            if *client {
                talk.client(portion)
            } else {
                talk.server(portion)
            };
        }
        if release && !talk.gate.wants_server() && talk.out.end.is_none() {
            talk.release(9);
        }
        let kept = talk.gate.client.buffer.len() + talk.gate.server.buffer.len();
        assert!(kept <= 2 * (MAX_PACKET + 4));
    }
    talk.out
}

fn reply_is_out(out: &Out) -> bool {
    let key = samples::ed25519(9);
    out.client.windows(key.len()).any(|window| window == key)
}

type Changes = Vec<(prop::sample::Index, prop::sample::Index, u8, u8)>;

fn changes() -> impl Strategy<Value = Changes> {
    let index = any::<prop::sample::Index>;
    proptest::collection::vec((index(), index(), 0u8..5, any::<u8>()), 0..6)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1usize..200, 1..20)
}

/// Octets changed, added and taken away; turns swapped and doubled.
fn mutated(mut script: Vec<(bool, Vec<u8>)>, changes: Changes) -> Vec<(bool, Vec<u8>)> {
    for (turn, at, how, to) in changes {
        let turn = turn.index(script.len());
        let octets = &mut script[turn].1;
        match (how, at.index(octets.len().max(1))) {
            (0, at) if !octets.is_empty() => octets[at] = to,
            (1, at) => octets.insert(at, to),
            (2, at) if !octets.is_empty() => drop(octets.remove(at)),
            (3, _) => script.swap(turn, usize::from(to) % 4),
            _ => script.insert(turn, script[turn].clone()),
        }
    }
    script
}

proptest! {
    #[test]
    fn portions_do_not_matter(gex: bool, sizes in sizes()) {
        let whole = play(&script(gex), &[usize::MAX], true);
        prop_assert_eq!((whole.opaque, &whole.end), (1, &None));
        prop_assert!(whole.client.ends_with(b"from the server") && whole.server.ends_with(b"from the client"));
        prop_assert_eq!(play(&script(gex), &sizes, true), whole);
    }

    #[test]
    fn portions_do_not_matter_to_refusals(
        gex: bool, at: prop::sample::Index, to: u8, sizes in sizes(),
    ) {
        let mut script = script(gex);
        let turn = at.index(script.len());
        let octet = at.index(script[turn].1.len());
        script[turn].1[octet] = to;
        let whole = play(&script, &[usize::MAX], true);
        prop_assert_eq!(play(&script, &sizes, true), whole);
    }

    #[test]
    fn no_mutation_releases_what_is_held(gex: bool, changes in changes(), sizes in sizes()) {
        let script = mutated(script(gex), changes);
        let out = play(&script, &sizes, false);
        prop_assert!(!reply_is_out(&out));
        prop_assert_eq!(out.opaque, 0);
        let newkeys = newkeys();
        prop_assert!(!out.server.windows(newkeys.len()).any(|window| window == newkeys));
    }

    #[test]
    fn no_mutation_gets_another_key_through(gex: bool, changes in changes(), sizes in sizes()) {
        let out = play(&mutated(script(gex), changes), &sizes, true);
        let mut rest = &out.client[out.client.iter().position(|o| *o == b'\n').map_or(0, |end| end + 1)..];
        let expected = if gex { 33 } else { 31 };
        // All of it up to NEWKEYS is whole packets, and the only key among them is the decided one.
        while let Ok(Some(packet)) = packet::parse(rest) {
            if packet.message == expected {
                prop_assert_eq!(reply::Reply::parse(packet.payload).unwrap().host_key, &samples::ed25519(9)[..]);
            }
            if packet.message == message::NEWKEYS {
                prop_assert!(reply_is_out(&out));
                break;
            }
            prop_assert!([1, 20, 31, 33].contains(&packet.message));
            rest = &rest[packet.framed.len()..];
        }
    }

    #[test]
    fn any_octets_end_or_wait(
        turns in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..12),
        begun: bool,
    ) {
        let mut script = if begun { script(false)[..2].to_vec() } else { Vec::new() };
        script.extend(turns);
        let out = play(&script, &[64], false);
        prop_assert_eq!(out.opaque, 0);
    }
}
