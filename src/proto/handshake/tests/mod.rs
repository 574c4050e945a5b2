//! The gate as a whole: what passes, here; what is refused, rule by rule, in
//! `refusals`; what holds for any octets in any portions, in `properties`; recorded handshakes, in `splits`.

mod properties;
mod refusals;
mod splits;

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
fn lists_may_end_with_a_comma() {
    let libssh = Offer { kex: "curve25519-sha256,", cipher: "aes256-ctr,", mac: ",", ..Offer::default() };
    let mut talk = Talk::offers(&libssh, &libssh);
    talk.client(&frame(&samples::init(30))).server(&reply(31));
    assert_eq!((talk.out.decide.len(), talk.out.end), (1, None));
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
fn a_disconnect_of_the_server_passes_sanitised() {
    let nasty = frame(&samples::disconnect(b"go \x1b[31maway\r\n"));
    let harmless = frame(&samples::disconnect(b"go \\x1b[31maway\\r\\n"));
    let mut early = Talk::default();
    early.server(SERVER);
    let mut released = Talk::held();
    released.release(9);
    for mut talk in [early, Talk::offers(&Offer::default(), &Offer::default()), released] {
        talk.server(&nasty);
        let text = "go \\x1b[31maway\\r\\n".to_owned();
        assert_eq!(talk.out.end, Some(End::ServerLeft { code: 2, text }));
        assert!(talk.gate.farewell("no").ends_with(&harmless), "in place of our own");
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
fn a_client_that_says_nothing_is_what_is_waited_for() {
    let mut talk = Talk::default();
    assert_eq!(talk.gate.waiting_for(), "the server's version");
    assert_eq!(talk.server(SERVER).gate.waiting_for(), "the client's version");
    assert_eq!(talk.client(SERVER).gate.waiting_for(), "the server's KEXINIT");
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

#[test]
fn dbclient_is_left_without_a_disconnect() {
    let mut talk = Talk::default();
    talk.client(b"SSH-2.0-dropbear_2022.83\r\n");
    assert_eq!(talk.gate.farewell("no"), b"");
    let mut talk = Talk::default();
    talk.client(b"SSH-2.0-dropbear_2022.83\r\n").server(SERVER);
    let before = talk.out.client.len();
    talk.server(&frame(&samples::disconnect(b"a server's would pass for success too")));
    assert_eq!((talk.out.client.len(), talk.gate.farewell("no")), (before, vec![]));
}

#[test]
fn the_clients_version_is_still_learnt_after_the_end() {
    let mut gate = Gate::new();
    gate.end();
    for octets in [&b"SSH-2.0-Async"[..], b"SSH_2.24.0\r\n", &vec![b'x'; 5000]] {
        assert_eq!(gate.from_client(octets), []);
    }
    assert!(gate.client_is_asyncssh());
    assert!(gate.client.buffer.len() < 2 * 1024);
    let mut gate = Gate::new();
    gate.end();
    for _ in 0..100 {
        gate.from_client(&[b'x'; 1000]);
    }
    assert!(gate.client.buffer.len() <= 2 * 1024);
}
