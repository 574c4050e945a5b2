//! The gate as a whole: each row of facts/ssh.md section 1, and the good case beside it.

use proptest::prelude::*;

use super::samples::{self, Offer};
use super::*;
use crate::proto::hostkey::HostKey;
use crate::proto::packet::frame;

const CLIENT: &[u8] = b"SSH-2.0-client\r\n";
const SERVER: &[u8] = b"SSH-2.0-server\r\n";

/// Everything that came out of a gate so far.
#[derive(Debug, Default, PartialEq)]
struct Out {
    client: Vec<u8>,
    server: Vec<u8>,
    decide: Vec<(Presented, Negotiated)>,
    opaque: usize,
    end: Option<End>,
}

/// A gate with what came out of it.
#[derive(Default)]
struct Talk {
    gate: Gate,
    out: Out,
}

impl Talk {
    fn take(&mut self, actions: Vec<Action>) -> &mut Self {
        for action in actions {
            assert!(self.out.end.is_none(), "an action after the end");
            match action {
                Action::ToClient(octets) => self.out.client.extend(octets),
                Action::ToServer(octets) => self.out.server.extend(octets),
                Action::Decide(presented, negotiated) => self.out.decide.push((presented, negotiated)),
                Action::Opaque => self.out.opaque += 1,
                Action::End(end) => self.out.end = Some(end),
            }
        }
        self
    }

    fn client(&mut self, octets: &[u8]) -> &mut Self {
        let actions = self.gate.from_client(octets);
        self.take(actions)
    }

    fn server(&mut self, octets: &[u8]) -> &mut Self {
        let actions = self.gate.from_server(octets);
        self.take(actions)
    }

    fn release(&mut self, key: u8) -> &mut Self {
        let actions = self.gate.release(&witness(key));
        self.take(actions)
    }

    fn offers(client: &Offer<'_>, server: &Offer<'_>) -> Self {
        let mut talk = Talk::default();
        talk.client(CLIENT).server(SERVER).server(&frame(&samples::kexinit(server)));
        talk.client(&frame(&samples::kexinit(client)));
        talk
    }

    /// Up to the held reply, by a direct method.
    fn held() -> Self {
        let mut talk = Talk::offers(&Offer::default(), &Offer::default());
        talk.client(&frame(&samples::init(30))).server(&reply(31));
        assert_eq!((talk.out.decide.len(), &talk.out.end), (1, &None));
        talk
    }
}

fn witness(key: u8) -> Anchored {
    Anchored::for_tests("web1.example.com", 22, &HostKey::from_blob(&samples::ed25519(key)).unwrap())
}

fn reply(message: u8) -> Vec<u8> {
    frame(&samples::reply(message, &samples::ed25519(9)))
}

fn newkeys() -> Vec<u8> {
    frame(&[21])
}

/// A packet with as much padding as fits, of a server that hides something there.
fn padded(payload: &[u8]) -> Vec<u8> {
    let padding = 255 - (4 + payload.len()) % 8;
    let mut packet = ((1 + payload.len() + padding) as u32).to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend(payload);
    packet.extend(b"HIDDEN".iter().cycle().take(padding));
    packet
}

#[test]
fn a_handshake_passes_once_it_is_released() {
    let mut talk = Talk::held();
    let before = talk.out.client.clone();
    let shown = Presented::from_blob(&samples::ed25519(9), "ssh-ed25519").unwrap();
    assert_eq!(talk.out.decide[0].0, shown);
    assert_eq!(talk.out.decide[0].1.kex, "curve25519-sha256");
    assert_eq!(before, [SERVER, &frame(&samples::kexinit(&Offer::default()))].concat());
    talk.release(9).server(&newkeys()).server(b"s1").client(&newkeys()).client(b"c1").server(b"s2");
    assert_eq!(talk.out.client, [before, reply(31), newkeys(), b"s1s2".to_vec()].concat());
    assert!(talk.out.server.ends_with(&[newkeys(), b"c1".to_vec()].concat()));
    assert_eq!((talk.out.opaque, &talk.out.end, talk.gate.is_opaque()), (1, &None, true));
}

#[test]
fn what_arrived_behind_the_reply_waits_for_the_release() {
    let mut talk = Talk::offers(&Offer::default(), &Offer::default());
    talk.client(&frame(&samples::init(30)));
    let before = talk.out.client.len();
    talk.server(&[reply(31), newkeys(), b"opaque".to_vec()].concat());
    assert_eq!(talk.out.client.len(), before);
    assert!(!talk.gate.wants_server());
    talk.release(9);
    assert_eq!(talk.out.client[before..], [reply(31), newkeys(), b"opaque".to_vec()].concat());
    assert!(talk.gate.wants_server());
}

#[test]
fn either_side_may_begin() {
    let offer = frame(&samples::kexinit(&Offer::default()));
    let mut late = Talk::default();
    late.server(SERVER).server(&offer);
    assert_eq!(late.out.client, [SERVER, &offer].concat());
    late.client(CLIENT).client(&offer).client(&frame(&samples::init(30))).server(&reply(31));
    let mut first = Talk::default();
    first.client(CLIENT).client(&offer);
    assert_eq!(first.out.server, [CLIENT, &offer].concat());
    first.server(SERVER).server(&offer).client(&frame(&samples::init(30))).server(&reply(31));
    assert_eq!((late.out.decide.len(), &late.out.end), (1, &None));
    assert_eq!(first.out, late.out);
}

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
fn lines_before_the_version_are_dropped() {
    let mut talk = Talk::default();
    talk.server(b"hello\r\n\x1b[31m\n\n").server(SERVER);
    assert_eq!((talk.out.client, talk.out.end), (SERVER.to_vec(), None));
    let mut talk = Talk::default();
    talk.server(&b"x\n".repeat(50)).server(SERVER);
    assert_eq!((talk.out.client, talk.out.end), (SERVER.to_vec(), None));
    let mut talk = Talk::default();
    talk.server(&b"x\n".repeat(51));
    assert!(matches!(talk.out.end, Some(End::ServerVersion(_))));
    assert_eq!(talk.out.client, b"");
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
fn the_servers_line_end_and_padding_do_not_pass() {
    let offer = samples::kexinit(&Offer::default());
    let mut talk = Talk::default();
    talk.server(b"SSH-1.99-server\n").server(&padded(&offer));
    assert_eq!(talk.out.client, [&b"SSH-1.99-server\r\n"[..], &frame(&offer)].concat());
    talk.client(CLIENT).client(&frame(&offer)).client(&frame(&samples::init(30)));
    talk.server(&padded(&samples::reply(31, &samples::ed25519(9)))).release(9).server(&padded(&[21]));
    assert!(talk.out.client.ends_with(&[reply(31), newkeys()].concat()));
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
fn a_wrong_guess_of_the_client_passes_and_counts_for_nothing() {
    let theirs = Offer { kex: "ecdh-sha2-nistp256,curve25519-sha256", ..Offer::default() };
    let ours = Offer { kex: "curve25519-sha256,ecdh-sha2-nistp256", guess: true, ..Offer::default() };
    let guess = frame(&samples::init(30));
    for early in [true, false] {
        let mut talk = Talk::default();
        talk.client(CLIENT).client(&frame(&samples::kexinit(&ours)));
        if early {
            talk.client(&guess);
        }
        talk.server(SERVER).server(&frame(&samples::kexinit(&theirs)));
        if !early {
            talk.client(&guess);
        }
        assert!(talk.out.server.ends_with(&guess));
        talk.client(&frame(&samples::init(30))).server(&reply(31));
        assert_eq!((talk.out.decide.len(), &talk.out.end), (1, &None));
    }
    // Without the second init the reply is too early.
    let mut talk = Talk::offers(&ours, &theirs);
    talk.client(&guess).server(&reply(31));
    assert!(matches!(talk.out.end, Some(End::Server { message: 31, .. })));
}

#[test]
fn a_right_guess_of_the_client_is_its_init() {
    let ours = Offer { guess: true, ..Offer::default() };
    let mut late = Talk::offers(&ours, &Offer::default());
    late.client(&frame(&samples::init(30))).server(&reply(31));
    let mut early = Talk::default();
    early.client(CLIENT).client(&frame(&samples::kexinit(&ours))).client(&frame(&samples::init(30)));
    early.server(SERVER).server(&frame(&samples::kexinit(&Offer::default()))).server(&reply(31));
    assert_eq!((late.out.decide.len(), &late.out.end), (1, &None));
    assert_eq!(early.out, late.out);
    late.client(&frame(&samples::init(30)));
    assert!(matches!(late.out.end, Some(End::Client { message: 30, .. })));
}

#[test]
fn names_may_be_empty() {
    let libssh = Offer { kex: "curve25519-sha256,", cipher: "aes256-ctr,", mac: ",", ..Offer::default() };
    let mut talk = Talk::offers(&libssh, &libssh);
    talk.client(&frame(&samples::init(30))).server(&reply(31));
    assert_eq!((talk.out.decide.len(), talk.out.end), (1, None));
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
fn with_nothing_in_common_the_client_is_left_to_say_so() {
    let nothing = || Talk::offers(&Offer::default(), &Offer { host_key: "ssh-dss", ..Offer::default() });
    let why = Some(End::Disagreement(Disagreement::Nothing("host key algorithm")));
    let mut talk = nothing();
    assert!(talk.out.end.is_none());
    assert!(talk.out.client.len() > SERVER.len());
    let actions = talk.gate.client_closed();
    assert_eq!(talk.take(actions).out.end, why);
    assert_eq!(nothing().client(&frame(&samples::disconnect(b"no match"))).out.end, why);
    assert_eq!(nothing().client(&frame(&samples::init(30))).out.end, why);
    assert!(matches!(nothing().server(&reply(31)).out.end, Some(End::Server { .. })));
}

#[test]
fn group_exchange_passes_in_its_order() {
    let gex = Offer { kex: "diffie-hellman-group-exchange-sha256", ..Offer::default() };
    for request in [samples::group_request(), vec![30, 0, 0, 8, 0]] {
        let mut talk = Talk::offers(&gex, &gex);
        talk.client(&frame(&request)).server(&frame(&samples::group())).client(&frame(&samples::init(32)));
        assert!(talk.out.client.ends_with(&frame(&samples::group())));
        talk.server(&reply(33)).release(9).server(&newkeys()).client(&newkeys());
        assert_eq!((talk.out.opaque, talk.out.end), (1, None));
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
fn a_disconnect_of_the_server_passes_sanitised() {
    let nasty = frame(&samples::disconnect(b"go \x1b[31maway\r\n"));
    let harmless = frame(&samples::disconnect(b"go \\x1b[31maway\\r\\n"));
    let mut early = Talk::default();
    early.server(SERVER);
    let mut released = Talk::held();
    released.release(9);
    for mut talk in [early, Talk::offers(&Offer::default(), &Offer::default()), released] {
        talk.server(&nasty);
        assert!(talk.out.client.ends_with(&harmless));
        let text = "go \\x1b[31maway\\r\\n".to_owned();
        assert_eq!(talk.out.end, Some(End::ServerLeft { code: 2, text }));
        assert_eq!(talk.gate.farewell("more"), b"");
    }
}

#[test]
fn a_disconnect_of_the_client_passes() {
    let packet = frame(&samples::disconnect(b"bye"));
    let mut talk = Talk::held();
    talk.client(&packet);
    assert!(talk.out.server.ends_with(&packet));
    assert_eq!(talk.out.end, Some(End::ClientClosed));
}

#[test]
fn the_farewell_has_a_version_only_where_the_client_has_none() {
    let packet = frame(&disconnect::payload(9, "no"));
    assert_eq!(Talk::default().gate.farewell("no"), [OWN_VERSION, &packet].concat());
    let mut talk = Talk::held();
    assert_eq!(talk.gate.farewell("no"), packet);
    assert_eq!(talk.gate.farewell("no"), b"");
    let mut talk = Talk::held();
    talk.release(9).server(&newkeys());
    assert_eq!(talk.gate.farewell("no"), b"", "the client expects encrypted packets");
}

#[test]
fn a_close_says_what_was_missing() {
    let mut talk = Talk::default();
    talk.server(b"Exceeded MaxStartups\x1b\r\n");
    let Some(Action::End(end)) = talk.gate.server_closed().pop() else { panic!("no end") };
    assert_eq!(
        end.to_string(),
        "the server closed the connection before the server's version: Exceeded MaxStartups\\x1b"
    );
    let Some(Action::End(end)) = Talk::held().gate.client_closed().pop() else { panic!("no end") };
    assert_eq!(end, End::ClientClosed);
}

#[test]
fn asyncssh_is_known_by_its_version() {
    let mut talk = Talk::default();
    assert!(!talk.client(b"SSH-2.0-AsyncSSH_2.24.0").gate.client_is_asyncssh());
    assert!(talk.client(b"\r\n").gate.client_is_asyncssh());
    assert!(!Talk::held().gate.client_is_asyncssh());
}

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

proptest! {
    #[test]
    fn portions_do_not_matter(gex: bool, sizes in proptest::collection::vec(1usize..80, 1..20)) {
        let whole = play(&script(gex), &[usize::MAX], true);
        prop_assert_eq!((whole.opaque, &whole.end), (1, &None));
        prop_assert!(whole.client.ends_with(b"from the server") && whole.server.ends_with(b"from the client"));
        prop_assert_eq!(play(&script(gex), &sizes, true), whole);
    }

    #[test]
    fn portions_do_not_matter_to_refusals(
        gex: bool, at: prop::sample::Index, to: u8, sizes in proptest::collection::vec(1usize..80, 1..20),
    ) {
        let mut script = script(gex);
        let turn = at.index(script.len());
        let octet = at.index(script[turn].1.len());
        script[turn].1[octet] = to;
        let whole = play(&script, &[usize::MAX], true);
        prop_assert_eq!(play(&script, &sizes, true), whole);
    }

    #[test]
    fn no_mutation_releases_what_is_held(
        gex: bool,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..4, any::<u8>()), 0..6),
        sizes in proptest::collection::vec(1usize..200, 1..8),
    ) {
        let mut script = script(gex);
        for (turn, at, how, to) in changes {
            let turn = turn.index(script.len());
            let octets = &mut script[turn].1;
            if octets.is_empty() { continue }
            let at = at.index(octets.len());
            match how {
                0 => octets[at] = to,
                1 => octets.insert(at, to),
                2 => { octets.remove(at); }
                _ => script.swap(turn, at % 4),
            }
        }
        let out = play(&script, &sizes, false);
        prop_assert!(!reply_is_out(&out));
        prop_assert_eq!(out.opaque, 0);
        let newkeys = newkeys();
        prop_assert!(!out.server.windows(newkeys.len()).any(|window| window == newkeys));
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
