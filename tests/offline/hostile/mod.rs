//! Hostile SSH servers against the program itself: `sshanchor proxy` between a server made by hand and a client made
//! by hand. What the client would take for proof of the server (the signature) is nonsense throughout, so the
//! gate alone decides here; with a true exchange and ssh as the client, see `tests/interop/hostile.rs`.
//!
//! A table's row is a server's behaviour and how it has to end. Every refusal has a twin that passes: the same
//! but for the one thing that is wrong, or the honest server.

mod beginnings;
mod endings;
mod frames;
mod keys;
mod offers;
mod replies;
mod talk;

use std::collections::HashSet;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use sshanchor::lab::zone::{LabZone, Zones};
use sshanchor::proto::handshake::disconnect;
use sshanchor::proto::packet::{frame, message, parse};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::gate::samples::{self, Offer};
use talk::{Client, FROM_CLIENT, FROM_SERVER, Step};

const HOST: &str = "web1.hostile.example";
/// Rows at the same time: most of a row is waiting.
const AT_ONCE: usize = 16;
/// What a machine with much else to do may take beyond a row's own deadline.
const SLACK: Duration = Duration::from_secs(20);
/// How long the rows may take that do not wait for their deadline, in seconds.
const PATIENT: f64 = 30.0;

/// How a row has to end.
#[derive(Debug, Clone)]
enum Ending {
    /// Both sides get through, and their octets after that.
    Passes,
    /// Nothing of the reply reaches the client: exit status, and what its user reads.
    Refused(i32, String),
    /// The same after the reply was let go, for it was good.
    Broken(i32, String),
}

/// A server's behaviour.
#[derive(Debug, Clone)]
struct Row {
    name: String,
    client: Client,
    server: Vec<Step>,
    /// `--timeout`, in seconds.
    timeout: f64,
    /// The reason code of the DISCONNECT that the client gets.
    code: u32,
    ending: Ending,
    /// What passes in its place; the honest server if there is nothing closer.
    twin: Option<Vec<Step>>,
}

fn row(name: impl Into<String>, server: Vec<Step>, ending: Ending) -> Row {
    let (client, code) = (Client::default(), disconnect::HOST_KEY_NOT_VERIFIABLE);
    Row { name: name.into(), client, server, timeout: PATIENT, code, ending, twin: None }
}

/// A row that passes.
fn passes(name: impl Into<String>, server: Vec<Step>) -> Row {
    row(name, server, Ending::Passes)
}

/// A row that fails: the handshake breaks before anything of a reply has reached the client.
fn refused(name: impl Into<String>, server: Vec<Step>, says: impl Into<String>) -> Row {
    row(name, server, Ending::Refused(1, says.into()))
}

/// A row whose server shows a key that is none, or not the one to show.
fn rejected(name: impl Into<String>, server: Vec<Step>, says: impl Into<String>) -> Row {
    row(name, server, Ending::Refused(3, says.into()))
}

/// A row that fails after a good reply.
fn broken(name: impl Into<String>, server: Vec<Step>, says: impl Into<String>) -> Row {
    row(name, server, Ending::Broken(1, says.into()))
}

impl Row {
    fn twin(self, server: Vec<Step>) -> Row {
        Row { twin: Some(server), ..self }
    }

    fn client(self, client: Client) -> Row {
        Row { client, ..self }
    }

    /// The client's offer.
    fn offer(mut self, offer: Offer<'static>) -> Row {
        self.client.offer = offer;
        self
    }

    fn timeout(self, timeout: f64) -> Row {
        Row { timeout, ..self }
    }

    fn code(self, code: u32) -> Row {
        Row { code, ..self }
    }

    /// What passes in its place.
    fn as_twin(&self) -> Row {
        let server = self.twin.clone().unwrap_or_else(|| talk::honest(&self.client.offer));
        let client = Client { leaves: false, ..self.client.clone() };
        passes(format!("the twin of {}", self.name), server).client(client)
    }
}

/// Runs every row and its twin; tells of all that fail.
async fn table(rows: Vec<Row>) {
    let records: String = keys::published().iter().map(|line| format!("web1 SSHFP {line}\n")).collect();
    let zone = LabZone::new("hostile.example").records("web1 A 127.0.0.1").records(&records);
    let zones = Arc::new(Zones::start(vec![zone]).await.unwrap());
    let mut all: Vec<Row> =
        rows.iter().filter(|r| !matches!(r.ending, Ending::Passes)).map(Row::as_twin).collect();
    // Most rows share the honest twin.
    let mut seen = HashSet::new();
    all.retain(|twin| seen.insert(format!("{:?}{:?}", twin.client, twin.server)));
    all.extend(rows);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for row in all {
        let (zones, places) = (zones.clone(), places.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let name = row.name.clone();
            let outcome = tokio::spawn(async move { row.run(&zones).await }).await;
            outcome.err().map(|e| format!("{name}: {}", panic_text(e.into_panic())))
        });
    }
    let failed: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{} rows failed\n{}", failed.len(), failed.join("\n"));
}

fn panic_text(panic: Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// What came of a row.
struct Seen {
    code: Option<i32>,
    stderr: String,
    /// All that the client received.
    client: Vec<u8>,
    /// All that the server received.
    server: Vec<u8>,
}

impl Row {
    async fn run(self, zones: &Zones) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut proxy = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
        proxy.env_clear().env("HOME", zones.folder()).kill_on_drop(true);
        proxy.args(["--config", "none", "--cache", "off", "--timeout", &self.timeout.to_string()]);
        proxy.args(["--resolver", &zones.address().to_string()]);
        proxy.arg("--trust-anchor").arg(zones.anchor_file("hostile.example"));
        proxy.args(["proxy", HOST, &port.to_string()]);
        proxy.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = proxy.spawn().unwrap();
        let (to_proxy, from_proxy) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let serving = tokio::spawn(talk::serve(listener, self.server.clone()));
        let talking = tokio::spawn(talk::obey(from_proxy, to_proxy, self.client.clone()));
        let limit = Duration::from_secs_f64(self.timeout) + SLACK;
        let output = timeout(limit, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("still there after {:?}", started.elapsed())).unwrap();
        let client = timeout(SLACK, talking).await.expect("the client hangs").unwrap();
        let server = timeout(SLACK, serving).await.expect("the server hangs").unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        self.check(&Seen { code: output.status.code(), stderr, client, server });
    }

    fn check(&self, seen: &Seen) {
        let Seen { code, stderr, .. } = seen;
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert!(stderr.bytes().all(|octet| matches!(octet, b' '..=b'~' | b'\n')), "{stderr:?}");
        let packets = seen.packets();
        let numbers: Vec<u8> = packets.iter().map(|payload| payload[0]).collect();
        let reply_is_out = keys::IN_REPLIES.iter().any(|part| contains(&seen.client, part));
        let (status, says) = match &self.ending {
            Ending::Passes => {
                assert_eq!((*code, stderr.as_str()), (Some(0), ""), "{numbers:?}");
                assert!(reply_is_out, "no reply: {numbers:?}");
                assert!(seen.client.ends_with(FROM_SERVER), "{numbers:?}");
                assert!(seen.server.ends_with(FROM_CLIENT), "{numbers:?}");
                return;
            }
            Ending::Refused(status, says) => {
                assert!(!reply_is_out, "the key got through: {numbers:?}");
                assert!(!numbers.contains(&message::GEX_REPLY), "a reply got through");
                assert!(!talk::numbers(&seen.server).contains(&message::NEWKEYS), "the client went on");
                (*status, says)
            }
            Ending::Broken(status, says) => {
                assert!(reply_is_out, "the reply was held: {numbers:?}");
                (*status, says)
            }
        };
        assert_eq!(*code, Some(status), "{stderr}");
        assert!(!numbers.contains(&message::NEWKEYS), "NEWKEYS got through");
        // asyncssh reads standard error as the SSH stream; dbclient takes a DISCONNECT for success.
        if self.client.version.contains("AsyncSSH") {
            assert_eq!(stderr, "");
        } else {
            assert!(
                stderr.starts_with("sshanchor: ") && stderr.contains(says),
                "{says:?} is not in {stderr:?}"
            );
        }
        if self.client.version.contains("dropbear") {
            assert!(!numbers.contains(&message::DISCONNECT));
            return;
        }
        // A client that has left is told nothing more.
        let last = packets.last().filter(|payload| payload[0] == message::DISCONNECT);
        let Some(last) = last else { panic!("no DISCONNECT at the end: {numbers:?}, {stderr}") };
        assert_eq!(numbers.iter().filter(|number| **number == message::DISCONNECT).count(), 1);
        let octets = &last[9..last.len() - 4];
        assert!(octets.iter().all(|octet| matches!(octet, b' '..=b'~')), "{:?}", octets.escape_ascii());
        let (code, text) = disconnect::read(last);
        assert!(code == self.code && text.contains(says), "{says:?} is not in {text:?} ({code})");
    }
}

impl Seen {
    /// The packets that the client got in clear. What is before them must be a version, each must be as the gate
    /// frames it, and of a number that may come.
    fn packets(&self) -> Vec<Vec<u8>> {
        let Some(end) = self.client.iter().position(|octet| *octet == b'\n') else {
            assert_eq!(self.client, b"", "no version");
            return Vec::new();
        };
        let version = &self.client[..=end];
        assert!(version.starts_with(b"SSH-2.0-") || version.starts_with(b"SSH-1.99-"), "{version:?}");
        assert!(version.ends_with(b"\r\n") && version.len() <= 255, "{version:?}");
        let (mut rest, mut payloads) = (&self.client[end + 1..], Vec::new());
        while let Some(packet) = parse(rest).expect("a broken packet") {
            assert_eq!(packet.framed, frame(packet.payload), "the server's own frame");
            assert!([1, 20, 21, 31, 33].contains(&packet.message), "message {}", packet.message);
            payloads.push(packet.payload.to_vec());
            rest = &rest[packet.framed.len()..];
            if packet.message == message::NEWKEYS {
                return payloads;
            }
        }
        assert!(rest.is_empty(), "half a packet at the end");
        payloads
    }
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}
