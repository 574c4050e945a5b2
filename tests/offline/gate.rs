//! Hostile SSH servers against the relay of `sshanchor proxy`. No decision here accepts anything (no
//! witness can be made outside the crate); the accepting twins are beside `ssh::relay`.

#[allow(dead_code)]
#[path = "../../src/proto/handshake/samples.rs"]
pub(super) mod samples;

use std::sync::Mutex;
use std::time::Duration;

use samples::Offer;
use sshanchor::proto::handshake::disconnect;
use sshanchor::proto::hostkey::{HostKey, Presented};
use sshanchor::proto::packet::{frame, parse};
use sshanchor::ssh::relay::{Cause, Refusal, RelayError, relay};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const VERSION: &[u8] = b"SSH-2.0-hostile\r\n";
const GEX: &str = "diffie-hellman-group-exchange-sha256";
/// What the decision says against the honest server.
const DECISION: &str = "no record proves this key";

/// A turn of a server: once this message of the client has come (0: at once), send these octets.
type Turn = (u8, Vec<u8>);

/// What came of a connection.
struct Seen {
    /// What was asked about, if anything.
    asked: Option<Presented>,
    error: RelayError,
    /// What was to be printed.
    told: Option<String>,
    /// All that the client received.
    client: Vec<u8>,
    /// Message numbers of the client's packets that reached the server.
    server: Vec<u8>,
}

impl Seen {
    /// Code and text of the DISCONNECT with which the client's octets end. All of them must be a
    /// version and whole packets, and no key may be among them.
    fn farewell(&self) -> (u32, String) {
        let key = samples::ed25519(9);
        assert!(!self.client.windows(key.len()).any(|window| window == key), "the key got through");
        let end = self.client.iter().position(|octet| *octet == b'\n').expect("no version") + 1;
        assert!(self.client.starts_with(b"SSH-2.0-"));
        let mut rest = &self.client[end..];
        let mut last = None;
        while let Some(packet) = parse(rest).expect("a broken packet") {
            assert!(matches!(packet.message, 1 | 20 | 31), "message {} got through", packet.message);
            last = (packet.message == 1).then(|| disconnect::read(packet.payload));
            rest = &rest[packet.framed.len()..];
        }
        assert!(rest.is_empty(), "half a packet at the end");
        last.expect("no DISCONNECT at the end")
    }
}

/// The packets of one side so far, behind its version.
fn packets(octets: &[u8]) -> Vec<Vec<u8>> {
    let Some(end) = octets.iter().position(|octet| *octet == b'\n') else { return Vec::new() };
    let (mut rest, mut payloads) = (&octets[end + 1..], Vec::new());
    while let Ok(Some(packet)) = parse(rest) {
        payloads.push(packet.payload.to_vec());
        rest = &rest[packet.framed.len()..];
    }
    payloads
}

/// Takes its turns, then reads until the relay closes; says what messages came.
async fn serve(mut stream: TcpStream, turns: Vec<Turn>, close: bool) -> Vec<u8> {
    let (mut read, mut portion) = (Vec::new(), vec![0; 4096]);
    let came = |read: &[u8]| packets(read).iter().map(|payload| payload[0]).collect::<Vec<_>>();
    for (awaited, octets) in turns {
        while awaited != 0 && !came(&read).contains(&awaited) {
            match stream.read(&mut portion).await {
                Ok(0) | Err(_) => return came(&read),
                Ok(length) => read.extend(&portion[..length]),
            }
        }
        if stream.write_all(&octets).await.is_err() {
            break;
        }
    }
    if close {
        let _ = stream.shutdown().await;
    }
    while let Ok(length @ 1..) = stream.read(&mut portion).await {
        read.extend(&portion[..length]);
    }
    came(&read)
}

/// An obedient client: it answers each of the server's messages as it should, and would go on after
/// a reply if it got one.
async fn obey(mut stream: DuplexStream, kex: &str) -> Vec<u8> {
    let offer = Offer { kex, host_key: "ssh-ed25519,rsa-sha2-512", ..Offer::default() };
    let begin = [b"SSH-2.0-client\r\n", &frame(&samples::kexinit(&offer))[..]].concat();
    stream.write_all(&begin).await.unwrap();
    let (mut read, mut portion, mut answered) = (Vec::new(), vec![0; 4096], 0);
    while let Ok(length @ 1..) = stream.read(&mut portion).await {
        read.extend(&portion[..length]);
        for payload in packets(&read).iter().skip(answered) {
            answered += 1;
            let answer = match payload[0] {
                20 if kex == GEX => samples::group_request(),
                20 => samples::init(30),
                31 if kex == GEX => samples::init(32),
                31 | 33 => vec![21],
                _ => continue,
            };
            let _ = stream.write_all(&frame(&answer)).await;
        }
    }
    read
}

struct Setting {
    kex: &'static str,
    turns: Vec<Turn>,
    /// The server closes after its turns; otherwise it waits.
    close: bool,
    deadline: Duration,
    deciding: Duration,
}

impl Setting {
    fn of(turns: Vec<Turn>) -> Self {
        let (deadline, deciding) = (Duration::from_secs(20), Duration::ZERO);
        Setting { kex: "curve25519-sha256", turns, close: false, deadline, deciding }
    }

    async fn run(self) -> Seen {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let (client, proxy) = duplex(64 * 1024);
        let (client_in, client_out) = split(proxy);
        let (asked, told) = (Mutex::new(None), Mutex::new(None));
        let decide = async |presented: Presented, _| {
            *asked.lock().unwrap() = Some(presented);
            tokio::time::sleep(self.deciding).await;
            Err(Refusal { text: DECISION.into() })
        };
        let tell = |cause: &Cause| *told.lock().unwrap() = Some(cause.to_string());
        let relaying = relay(client_in, client_out, near, Instant::now() + self.deadline, decide, tell);
        let serving = tokio::spawn(serve(far, self.turns, self.close));
        let obeying = tokio::spawn(obey(client, self.kex));
        let error = relaying.await.unwrap_err();
        let (server, client) = (serving.await.unwrap(), obeying.await.unwrap());
        // A refusal means that the client never went on.
        assert!(!server.contains(&21), "NEWKEYS reached the server");
        let (asked, told) = (asked.lock().unwrap().take(), told.lock().unwrap().take());
        Seen { asked, error, told, client, server }
    }
}

/// The server is refused unasked, and both the client and the user learn why.
async fn refused(turns: Vec<Turn>, why: &str) {
    check(Setting::of(turns), why).await;
}

async fn check(setting: Setting, why: &str) {
    let seen = setting.run().await;
    let (code, text) = seen.farewell();
    assert_eq!(code, 9);
    assert!(text.contains(why), "{text:?} does not say {why:?}");
    assert_eq!(seen.asked, None, "{why}");
    assert_eq!(seen.told.as_deref(), Some(seen.error.to_string().as_str()));
    assert!(text.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
}

fn offer(offer: &Offer<'_>) -> Vec<u8> {
    [VERSION, &frame(&samples::kexinit(offer))].concat()
}

fn opening() -> Turn {
    (0, offer(&Offer::default()))
}

fn gex_opening() -> Turn {
    (0, offer(&Offer { kex: GEX, ..Offer::default() }))
}

fn reply(message: u8) -> Vec<u8> {
    frame(&samples::reply(message, &samples::ed25519(9)))
}

#[tokio::test]
async fn the_honest_server_is_asked_about_and_held_until_the_answer() {
    let direct = vec![opening(), (30, [reply(31), frame(&[21])].concat())];
    let gex = vec![gex_opening(), (34, frame(&samples::group())), (32, [reply(33), frame(&[21])].concat())];
    for (kex, turns, messages) in [("curve25519-sha256", direct, vec![20, 30]), (GEX, gex, vec![20, 34, 32])]
    {
        let seen = Setting { kex, ..Setting::of(turns) }.run().await;
        let key = HostKey::from_blob(&samples::ed25519(9)).unwrap();
        assert_eq!(seen.asked, Some(Presented::Plain(key)));
        assert_eq!(seen.farewell(), (9, DECISION.to_owned()));
        assert_eq!((seen.told.as_deref(), seen.server), (Some(DECISION), messages));
    }
}

#[tokio::test]
async fn beginnings_that_are_none() {
    refused(vec![(0, b"x\r\n".repeat(51))], "more than 50 lines").await;
    refused(vec![(0, vec![b'x'; 100_000])], "a line of 1024 octets").await;
    refused(vec![(0, b"SSH-1.5-old\r\n".to_vec())], "other than SSH version 2").await;
    refused(vec![(0, b"SSH-2.0-\x1b[2J\r\n".to_vec())], "not printable").await;
    refused(vec![(0, [&b"SSH-2.0-"[..], &[b'x'; 300], b"\r\n"].concat())], "version line of 308").await;
}

#[tokio::test]
async fn frames_that_are_none() {
    let after_version = |octets: &[u8]| vec![(0, [VERSION, octets].concat())];
    for length in [0u32, 4, 11, 13, 262_148, u32::MAX] {
        refused(after_version(&length.to_be_bytes()), &format!("packet length {length}")).await;
    }
    for padding in [0u8, 3, 11, 200] {
        let mut packet = frame(&[20; 7]);
        packet[4] = padding;
        refused(after_version(&packet), "octets of padding").await;
    }
    refused(after_version(b"HTTP/1.1 400 Bad Request\r\n"), "packet length").await;
}

#[tokio::test]
async fn anything_before_kexinit() {
    for message in [2u8, 3, 4, 7, 21, 31, 52] {
        let octets = [VERSION, &frame(&[message, 0, 0, 0, 0])].concat();
        refused(vec![(0, octets)], &format!("message {message} out of turn")).await;
    }
    refused(vec![(0, [VERSION, &reply(31)].concat())], "message 31 out of turn").await;
}

#[tokio::test]
async fn kexinits_that_lead_nowhere() {
    let gss = "gss-group14-sha256-toWM5Slw5Ew8Mqkay+al2g==";
    for (kex, name) in [(gss, "gss-group14"), ("rsa2048-sha256", "rsa2048"), ("new@example.com", "new@")] {
        let turns = vec![(0, offer(&Offer { kex, ..Offer::default() }))];
        check(Setting { kex, ..Setting::of(turns) }, name).await;
    }
    let guess = Offer { guess: true, ..Offer::default() };
    refused(vec![(0, offer(&guess))], "first_kex_packet_follows").await;
    let mut cut = samples::kexinit(&Offer::default());
    cut.pop();
    refused(vec![(0, [VERSION, &frame(&cut)].concat())], "malformed KEXINIT").await;
    let twice = [offer(&Offer::default()), frame(&samples::kexinit(&Offer::default()))].concat();
    refused(vec![(0, twice)], "message 20 out of turn").await;
}

#[tokio::test]
async fn messages_in_mid_exchange() {
    refused(vec![(0, [offer(&Offer::default()), reply(31)].concat())], "message 31 out of turn").await;
    for message in [2u8, 3, 4, 6, 7, 21, 30, 33, 52] {
        let turns = vec![opening(), (30, [frame(&[message, 0, 0, 0, 0]), reply(31)].concat())];
        refused(turns, &format!("message {message} out of turn")).await;
    }
}

#[tokio::test]
async fn keys_and_replies_out_of_form() {
    let good = samples::ed25519(9);
    let shown = |blob: &[u8]| vec![opening(), (30, frame(&samples::reply(31, blob)))];
    refused(shown(&[good.clone(), vec![0]].concat()), "host key is refused").await;
    refused(shown(&good[..50]), "host key is refused").await;
    refused(shown(b""), "host key is refused").await;
    refused(shown(b"\0\0\0\x07ssh-\x1b[m"), "host key is refused").await;
    let rsa = vec![
        (0, offer(&Offer { host_key: "rsa-sha2-512", ..Offer::default() })),
        (30, frame(&samples::reply(31, &good))),
    ];
    refused(rsa, "rsa-sha2-512 was negotiated but the key shown is ssh-ed25519").await;
    let long = frame(&[samples::reply(31, &good), vec![0]].concat());
    refused(vec![opening(), (30, long)], "malformed key exchange reply").await;
}

#[tokio::test]
async fn groups_that_are_none() {
    let gex = |turn| Setting { kex: GEX, ..Setting::of(vec![gex_opening(), turn]) };
    check(gex((34, reply(31))), "malformed group").await;
    check(gex((34, reply(33))), "message 33 out of turn").await;
    check(gex((34, [frame(&samples::group()), reply(33)].concat())), "message 33 out of turn").await;
    let second = vec![gex_opening(), (34, frame(&samples::group())), (32, reply(31))];
    check(Setting { kex: GEX, ..Setting::of(second) }, "message 31 out of turn").await;
}

#[tokio::test]
async fn silence_costs_no_more_than_the_deadline() {
    for (turns, missing) in [
        (vec![], "the server's version"),
        (vec![(0, VERSION.to_vec())], "the server's KEXINIT"),
        (vec![opening()], "the server's key exchange reply"),
        (vec![opening(), (30, reply(31)[..40].to_vec())], "the server's key exchange reply"),
    ] {
        let started = Instant::now();
        let deadline = Duration::from_millis(200);
        check(Setting { deadline, ..Setting::of(turns) }, &format!("timed out while waiting for {missing}"))
            .await;
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_decision_that_comes_too_late_is_none() {
    let turns = vec![opening(), (30, reply(31))];
    let (deadline, deciding) = (Duration::from_millis(200), Duration::from_secs(60));
    let seen = Setting { deadline, deciding, ..Setting::of(turns) }.run().await;
    assert_eq!(seen.farewell(), (9, "timed out while waiting for the verdict".into()));
}

#[tokio::test]
async fn a_flood_behind_the_held_reply_waits_in_the_socket() {
    let flood = [reply(31), vec![0; 20_000_000]].concat();
    let deciding = Duration::from_millis(100);
    let seen = Setting { deciding, ..Setting::of(vec![opening(), (30, flood)]) }.run().await;
    assert_eq!(seen.farewell(), (9, DECISION.to_owned()));
}

#[tokio::test]
async fn a_close_says_what_is_missing() {
    for (turns, missing) in [
        (vec![], "closed the connection before the server's version"),
        (vec![(0, b"Exceeded \x1bMaxStartups\r\n".to_vec())], "version: Exceeded \\x1bMaxStartups"),
        (vec![(0, VERSION.to_vec())], "before the server's KEXINIT"),
        (vec![opening(), (30, reply(31)[..40].to_vec())], "before the server's key exchange reply"),
    ] {
        check(Setting { close: true, ..Setting::of(turns) }, missing).await;
    }
}

#[tokio::test]
async fn a_disconnect_arrives_sanitised_and_once() {
    let packet = frame(&samples::disconnect(b"too \x1b[31mmany\r\n"));
    for turns in [
        vec![(0, [VERSION, &packet].concat())],
        vec![opening(), (30, packet.clone())],
        vec![opening(), (30, [packet.clone(), reply(31)].concat())],
    ] {
        let seen = Setting::of(turns).run().await;
        assert_eq!(seen.farewell(), (2, "too \\x1b[31mmany\\r\\n".into()));
        assert_eq!(packets(&seen.client).iter().filter(|payload| payload[0] == 1).count(), 1);
    }
}
