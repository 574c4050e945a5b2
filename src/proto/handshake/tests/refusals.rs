//! What the gate refuses.

use super::*;

#[test]
fn a_witness_of_another_key_releases_nothing() {
    let mut talk = Talk::held();
    let before = talk.out.client.clone();
    talk.release(8);
    assert_eq!((talk.out.end, talk.out.client), (Some(End::WrongWitness), before));
}

#[test]
fn nothing_is_released_twice_or_before_it_is_there() {
    assert_eq!(Talk::default().release(9).out.end, Some(End::WrongWitness));
    let mut talk = Talk::held();
    talk.release(9);
    let before = talk.out.client.clone();
    talk.release(9);
    assert_eq!((talk.out.end, talk.out.client), (Some(End::WrongWitness), before));
}

#[test]
fn after_the_end_nothing_passes() {
    let mut talk = Talk::held();
    talk.gate.farewell("no");
    assert_eq!(talk.gate.release(&witness(9)), []);
    assert_eq!(talk.gate.from_client(&newkeys()), []);
    assert_eq!(talk.gate.from_server(&newkeys()), []);
    assert_eq!(talk.gate.server_closed(), []);
    assert!(!talk.gate.wants_server());
}

#[test]
fn a_bad_version_ends_it_and_is_not_forwarded() {
    for line in ["SSH-1.5-x\r\n", "SSH-2.0-\x1b\r\n", &format!("SSH-2.0-{}\n", "a".repeat(250))] {
        let mut talk = Talk::default();
        talk.server(line.as_bytes());
        assert!(matches!(talk.out.end, Some(End::ServerVersion(_))), "{line:?}");
        assert_eq!(talk.out.client, b"");
        let mut talk = Talk::default();
        talk.client(line.as_bytes());
        assert!(matches!(talk.out.end, Some(End::ClientVersion(_))), "{line:?}");
        assert_eq!(talk.out.server, b"");
    }
}

#[test]
fn broken_framing_ends_it() {
    for bad in [&[0, 0, 0, 13][..], &[0, 4, 0, 4], &[0, 0, 0, 12, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        let mut talk = Talk::default();
        talk.server(SERVER).server(bad);
        assert!(matches!(talk.out.end, Some(End::ServerFrame(_))), "{bad:?}");
        let mut talk = Talk::default();
        talk.client(CLIENT).client(bad);
        assert!(matches!(talk.out.end, Some(End::ClientFrame(_))), "{bad:?}");
        assert_eq!(talk.out.server, CLIENT);
    }
}

#[test]
fn the_first_packet_of_the_server_is_its_kexinit() {
    for kind in [2u8, 3, 4, 7, 21, 30, 31, 52] {
        let mut talk = Talk::default();
        talk.server(SERVER).server(&frame(&[kind, 0, 0, 0, 0]));
        assert!(matches!(talk.out.end, Some(End::Server { message, .. }) if message == kind), "{kind}");
        assert_eq!(talk.out.client, SERVER);
    }
}

#[test]
fn no_other_message_of_the_server_comes_in_mid_exchange() {
    for kind in [2u8, 3, 4, 5, 6, 7, 20, 21, 30, 32, 33, 52, 80, 192] {
        let payload = if kind == 20 { samples::kexinit(&Offer::default()) } else { vec![kind; 9] };
        let mut talk = Talk::offers(&Offer::default(), &Offer::default());
        talk.client(&frame(&samples::init(30)));
        let before = talk.out.client.clone();
        talk.server(&frame(&payload));
        assert!(matches!(talk.out.end, Some(End::Server { message, .. }) if message == kind), "{kind}");
        assert_eq!(talk.out.client, before);
    }
}

#[test]
fn a_reply_before_the_init_is_refused() {
    let mut talk = Talk::offers(&Offer::default(), &Offer::default());
    talk.server(&reply(31));
    assert!(matches!(talk.out.end, Some(End::Server { message: 31, .. })));
    let mut talk = Talk::default();
    talk.server(SERVER).server(&frame(&samples::kexinit(&Offer::default()))).server(&reply(31));
    assert!(matches!(talk.out.end, Some(End::Server { message: 31, .. })));
}

#[test]
fn a_guess_of_the_server_is_refused() {
    let mut talk = Talk::default();
    talk.server(SERVER).server(&frame(&samples::kexinit(&Offer { guess: true, ..Offer::default() })));
    assert_eq!((talk.out.end, talk.out.client), (Some(End::ServerGuess), SERVER.to_vec()));
}

#[test]
fn what_is_not_supported_is_refused_before_the_clients_init() {
    for offer in [
        Offer { kex: "gss-group14-sha256-toWM5Slw5Ew8Mqkay+al2g==", ..Offer::default() },
        Offer { kex: "rsa2048-sha256", ..Offer::default() },
        Offer { cipher: "none", ..Offer::default() },
        Offer { mac: "none", ..Offer::default() },
    ] {
        let talk = Talk::offers(&offer, &offer);
        assert!(matches!(talk.out.end, Some(End::Disagreement(_))), "{offer:?}");
    }
}

#[test]
fn group_exchange_is_refused_out_of_order() {
    let gex = Offer { kex: "diffie-hellman-group-exchange-sha256", ..Offer::default() };
    let asked = || {
        let mut talk = Talk::offers(&gex, &gex);
        talk.client(&frame(&samples::group_request()));
        talk
    };
    // A reply where the group belongs, as 31 and as 33.
    assert!(matches!(asked().server(&reply(31)).out.end, Some(End::Reply(_))));
    assert!(matches!(asked().server(&reply(33)).out.end, Some(End::Server { message: 33, .. })));
    // The reply before the client's init, a second group, a reply with the number of the others.
    let mut talk = asked();
    talk.server(&frame(&samples::group())).server(&reply(33));
    assert!(matches!(talk.out.end, Some(End::Server { message: 33, .. })));
    for second in [frame(&samples::group()), reply(31)] {
        let mut talk = asked();
        talk.server(&frame(&samples::group())).client(&frame(&samples::init(32))).server(&second);
        assert!(matches!(talk.out.end, Some(End::Server { message: 31, .. })));
        assert!(talk.out.decide.is_empty());
    }
    // The client, too: its init before the group, a wrong request.
    assert!(matches!(asked().client(&frame(&samples::init(32))).out.end, Some(End::Client { .. })));
    let mut talk = Talk::offers(&gex, &gex);
    assert!(matches!(talk.client(&frame(&samples::init(32))).out.end, Some(End::Client { .. })));
}

#[test]
fn a_key_of_another_type_or_form_is_refused() {
    let ours = |host_key| Offer { host_key, ..Offer::default() };
    let case = |algorithm, blob: &[u8]| {
        let mut talk = Talk::offers(&ours(algorithm), &ours(algorithm));
        talk.client(&frame(&samples::init(30)));
        let before = talk.out.client.len();
        talk.server(&frame(&samples::reply(31, blob)));
        assert_eq!((talk.out.client.len(), talk.out.decide.len()), (before, 0), "{algorithm}");
        talk.out.end
    };
    let good = samples::ed25519(9);
    for algorithm in ["rsa-sha2-512", "ecdsa-sha2-nistp256", "ssh-rsa", "ssh-ed25519-cert-v01@openssh.com"] {
        assert!(matches!(case(algorithm, &good), Some(End::HostKey(_))), "{algorithm}");
    }
    let long = [good.clone(), vec![0]].concat();
    assert!(matches!(case("ssh-ed25519", &long), Some(End::HostKey(_))));
    assert!(matches!(case("ssh-ed25519", &good[..40]), Some(End::HostKey(_))));
    let mut talk = Talk::offers(&ours("ssh-ed25519"), &ours("ssh-ed25519"));
    let long = [samples::reply(31, &good), vec![0; 4]].concat();
    talk.client(&frame(&samples::init(30))).server(&frame(&long));
    assert!(matches!(talk.out.end, Some(End::Reply(_))));
}

#[test]
fn after_the_reply_the_server_sends_newkeys_and_nothing_else() {
    for kind in [2u8, 3, 4, 7, 20, 31, 33, 52] {
        let payload = if kind == 31 { samples::reply(31, &samples::ed25519(9)) } else { vec![kind; 9] };
        for early in [true, false] {
            let mut talk = Talk::held();
            let before = talk.out.client.len();
            if early {
                talk.server(&frame(&payload)).release(9);
            } else {
                talk.release(9).server(&frame(&payload));
            }
            assert!(matches!(talk.out.end, Some(End::Server { message, .. }) if message == kind), "{kind}");
            assert_eq!(talk.out.client[before..], reply(31));
        }
    }
    let mut talk = Talk::held();
    talk.release(9).server(&frame(&[21, 0]));
    assert!(matches!(talk.out.end, Some(End::Server { message: 21, .. })));
}

#[test]
fn newkeys_of_the_client_do_not_pass_before_the_release() {
    let mut stages = [Talk::default(), Talk::offers(&Offer::default(), &Offer::default()), Talk::held()];
    stages[0].client(CLIENT);
    for talk in &mut stages {
        let before = talk.out.server.clone();
        talk.client(&newkeys());
        assert!(matches!(talk.out.end, Some(End::Client { message: 21, .. })));
        assert_eq!(talk.out.server, before);
    }
}

#[test]
fn the_client_may_send_ignore_but_no_service_request() {
    let mut talk = Talk::held();
    talk.client(&frame(&[2, 0, 0, 0, 0])).client(&frame(&[3, 0, 0, 0, 5]));
    assert!(talk.out.end.is_none());
    talk.client(&frame(&[5, 0, 0, 0, 0]));
    assert!(matches!(talk.out.end, Some(End::Client { message: 5, .. })));
    let offer = frame(&samples::kexinit(&Offer::default()));
    let mut talk = Talk::offers(&Offer::default(), &Offer::default());
    assert!(matches!(talk.client(&offer).out.end, Some(End::Client { message: 20, .. })));
}

#[test]
fn a_second_kexinit_of_the_server_is_refused_at_any_time() {
    let offer = frame(&samples::kexinit(&Offer::default()));
    let mut talk = Talk::default();
    talk.server(SERVER).server(&offer).server(&offer);
    assert!(matches!(talk.out.end, Some(End::Server { message: 20, .. })));
    assert_eq!(talk.out.client, [SERVER, &offer].concat());
}

#[test]
fn what_is_kept_behind_the_reply_is_bounded() {
    let mut talk = Talk::held();
    for _ in 0..4 {
        talk.server(&[0; 64 * 1024]);
    }
    assert!(talk.out.end.is_none());
    talk.server(&[0; 5]);
    assert_eq!(talk.out.end, Some(End::TooMuch(MAX_BEHIND_REPLY + 1)));
}
