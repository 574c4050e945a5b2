//! The relay of `sshanchor proxy` while it waits for a decision, which takes as long as a test wants. No decision here
//! accepts anything (no witness can be made outside the crate); the accepting twins are beside `ssh::relay`. For
//! everything else that a server may do, see `hostile`.

#[allow(dead_code)]
#[path = "../../src/proto/handshake/samples.rs"]
pub(super) mod samples;

use std::sync::Mutex;
use std::time::Duration;

use samples::Offer;
use sshanchor::proto::handshake::disconnect;
use sshanchor::proto::hostkey::{HostKey, Presented};
use sshanchor::proto::packet::{frame, parse};
use sshanchor::ssh::relay::{Cause, Refusal, relay};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const VERSION: &[u8] = b"SSH-2.0-hostile\r\n";
const DIRECT: &str = "curve25519-sha256";
const GEX: &str = "diffie-hellman-group-exchange-sha256";
/// What the decision says against the honest server.
const DECISION: &str = "no record proves this key";

/// A turn of a server: once this message of the client has come (0: at once), send these octets.
type Turn = (u8, Vec<u8>);

/// What came of a connection.
struct Seen {
    /// What was asked about, if anything.
    asked: Option<Presented>,
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
async fn serve(mut stream: TcpStream, turns: Vec<Turn>) -> Vec<u8> {
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
    deadline: Duration,
    deciding: Duration,
}

impl Setting {
    fn of(turns: Vec<Turn>) -> Self {
        let (deadline, deciding) = (Duration::from_secs(20), Duration::ZERO);
        Setting { kex: DIRECT, turns, deadline, deciding }
    }

    async fn run(self) -> Seen {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let (client, proxy) = duplex(64 * 1024);
        let (client_in, client_out) = split(proxy);
        let (asked, told) = (Mutex::new(None), Mutex::new(None));
        let decide = async |presented: Presented, _, _| {
            *asked.lock().unwrap() = Some(presented);
            tokio::time::sleep(self.deciding).await;
            Err(Refusal { text: DECISION.into() })
        };
        let tell = |cause: &Cause| {
            *told.lock().unwrap() = Some(cause.to_string());
            None
        };
        let deadline = Instant::now() + self.deadline;
        let relaying = relay(client_in, client_out, near, deadline, decide, async |cause| cause, tell);
        let serving = tokio::spawn(serve(far, self.turns));
        let obeying = tokio::spawn(obey(client, self.kex));
        assert!(relaying.await.is_err());
        let (server, client) = (serving.await.unwrap(), obeying.await.unwrap());
        // A refusal means that the client never went on.
        assert!(!server.contains(&21), "NEWKEYS reached the server");
        let (asked, told) = (asked.lock().unwrap().take(), told.lock().unwrap().take());
        Seen { asked, told, client, server }
    }
}

fn opening(kex: &str) -> Turn {
    (0, [VERSION, &frame(&samples::kexinit(&Offer { kex, ..Offer::default() }))].concat())
}

fn reply(message: u8) -> Vec<u8> {
    frame(&samples::reply(message, &samples::ed25519(9)))
}

#[tokio::test]
async fn the_honest_server_is_asked_about_and_held_until_the_answer() {
    let direct = vec![opening(DIRECT), (30, [reply(31), frame(&[21])].concat())];
    let gex = vec![opening(GEX), (34, frame(&samples::group())), (32, [reply(33), frame(&[21])].concat())];
    for (kex, turns, messages) in [(DIRECT, direct, vec![20, 30]), (GEX, gex, vec![20, 34, 32])] {
        let seen = Setting { kex, ..Setting::of(turns) }.run().await;
        let key = HostKey::from_blob(&samples::ed25519(9)).unwrap();
        assert_eq!(seen.asked, Some(Presented::Plain(key)));
        assert_eq!(seen.farewell(), (9, DECISION.to_owned()));
        assert_eq!((seen.told.as_deref(), seen.server), (Some(DECISION), messages));
    }
}

#[tokio::test]
async fn a_decision_that_comes_too_late_is_none() {
    let turns = vec![opening(DIRECT), (30, reply(31))];
    let (deadline, deciding) = (Duration::from_millis(200), Duration::from_secs(60));
    let seen = Setting { deadline, deciding, ..Setting::of(turns) }.run().await;
    assert_eq!(seen.farewell(), (9, "timed out while waiting for the verdict".into()));
}

#[tokio::test]
async fn a_flood_behind_the_held_reply_waits_in_the_socket() {
    let flood = [reply(31), vec![0; 20_000_000]].concat();
    let deciding = Duration::from_millis(100);
    let seen = Setting { deciding, ..Setting::of(vec![opening(DIRECT), (30, flood)]) }.run().await;
    assert_eq!(seen.farewell(), (9, DECISION.to_owned()));
}
