//! The two sides, made by hand: a server that takes the steps of its row, and a client that does what it should.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::sleep;

use sshanchor::proto::packet::{frame, message, parse};

use super::keys;
use super::samples::{self, Offer};

pub const VERSION: &[u8] = b"SSH-2.0-hostile\r\n";
pub const GEX: &str = "diffie-hellman-group-exchange-sha256";
/// What each side says last, behind its NEWKEYS. The server's begins like a packet that is none.
pub const FROM_SERVER: &[u8] = b"\0\0\0\0\x1b[31m the server's octets";
pub const FROM_CLIENT: &[u8] = b"\xff\xff\xff\xff the client's octets";

/// One step of a server.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends octets.
    Send(Vec<u8>),
    /// Sends octets one by one, so many milliseconds apart.
    Drip(Vec<u8>, u64),
    /// Sends these octets again and again, reading nothing, until nobody takes them.
    Flood(Vec<u8>),
    /// Reads until this message of the client has come.
    After(u8),
    /// Reads until the client's version has come.
    AfterVersion,
    /// Ends its octets; it goes on reading.
    Close,
    /// Resets the connection.
    Reset,
}

use Step::{After, AfterVersion, Close, Drip, Flood, Reset, Send};

/// What a client offers and does.
#[derive(Debug, Clone)]
pub struct Client {
    pub version: &'static str,
    pub offer: Offer<'static>,
    /// It has nothing in common with the server, and leaves.
    pub leaves: bool,
}

impl Default for Client {
    fn default() -> Self {
        let offer = Offer {
            kex: "curve25519-sha256",
            host_key: "ssh-ed25519,rsa-sha2-512,ecdsa-sha2-nistp256",
            ..Offer::default()
        };
        Client { version: "SSH-2.0-client", offer, leaves: false }
    }
}

/// The server's version and KEXINIT.
pub fn opening(offer: &Offer<'_>) -> Vec<u8> {
    [VERSION, &frame(&samples::kexinit(offer))].concat()
}

/// The first name of a list.
fn first(list: &str) -> &str {
    list.split(',').next().unwrap_or_default()
}

/// What an honest server sends behind its reply.
pub fn behind_reply() -> Vec<u8> {
    [frame(&[message::NEWKEYS]), FROM_SERVER.to_vec()].concat()
}

/// The reply with the key of this host key algorithm.
pub fn reply(number: u8, algorithm: &str) -> Vec<u8> {
    frame(&keys::reply(number, &keys::of(algorithm), keys::signs_as(algorithm)))
}

/// A server that agrees to the client's first choices, and holds the published key.
pub fn honest(client: &Offer<'static>) -> Vec<Step> {
    let offer = Offer { kex: first(client.kex), host_key: first(client.host_key), ..*client };
    honest_with(Send(opening(&Offer { guess: false, ..offer })), client)
}

/// The same with another beginning.
pub fn honest_with(opening: Step, client: &Offer<'static>) -> Vec<Step> {
    let algorithm = first(client.host_key);
    let mut steps = vec![opening];
    let number = if first(client.kex) == GEX {
        steps.extend([After(34), Send(frame(&samples::group())), After(32)]);
        33
    } else {
        steps.push(After(30));
        31
    };
    steps.push(Send([reply(number, algorithm), behind_reply()].concat()));
    steps
}

/// Behind an honest beginning, once the client's init is here: these octets.
pub fn instead_of_reply(octets: Vec<u8>) -> Vec<Step> {
    vec![Send(opening(&Offer::default())), After(30), Send(octets)]
}

/// Message numbers of one side's packets in clear.
pub fn numbers(octets: &[u8]) -> Vec<u8> {
    payloads(octets).iter().map(|payload| payload[0]).collect()
}

/// The packets of one side so far, behind its version, up to NEWKEYS.
fn payloads(octets: &[u8]) -> Vec<Vec<u8>> {
    let Some(end) = octets.iter().position(|octet| *octet == b'\n') else { return Vec::new() };
    let (mut rest, mut payloads) = (&octets[end + 1..], Vec::new());
    while let Ok(Some(packet)) = parse(rest) {
        payloads.push(packet.payload.to_vec());
        rest = &rest[packet.framed.len()..];
        if packet.message == message::NEWKEYS {
            break;
        }
    }
    payloads
}

/// Takes its steps on one connection, then reads until the other side closes. Gives all that came.
pub async fn serve(listener: TcpListener, steps: Vec<Step>) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut read = Vec::new();
    for step in steps {
        if matches!(step, Reset) {
            stream.set_zero_linger().unwrap();
            return read;
        }
        if take(step, &mut stream, &mut read).await.is_none() {
            break;
        }
    }
    while more(&mut stream, &mut read).await.is_some() {}
    read
}

async fn take(step: Step, stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    match step {
        Send(octets) => stream.write_all(&octets).await.ok(),
        Drip(octets, pause) => {
            for octet in octets {
                stream.write_all(&[octet]).await.ok()?;
                sleep(Duration::from_millis(pause)).await;
            }
            Some(())
        }
        Flood(octets) => {
            while stream.write_all(&octets).await.is_ok() {}
            None
        }
        After(number) => {
            while !numbers(read).contains(&number) {
                more(stream, read).await?;
            }
            Some(())
        }
        AfterVersion => {
            while !read.contains(&b'\n') {
                more(stream, read).await?;
            }
            Some(())
        }
        Close => stream.shutdown().await.ok(),
        Reset => None,
    }
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    let mut portion = [0; 4096];
    let length = stream.read(&mut portion).await.ok().filter(|length| *length > 0)?;
    read.extend(&portion[..length]);
    Some(())
}

/// Answers each of the server's messages as it should, and would go on after a reply if it got one. Gives all that
/// came.
pub async fn obey(mut from: ChildStdout, to: ChildStdin, client: Client) -> Vec<u8> {
    let mut to = Some(to);
    let begin = [client.version.as_bytes(), b"\r\n", &frame(&samples::kexinit(&client.offer))].concat();
    say(&mut to, &begin).await;
    let gex = first(client.offer.kex) == GEX;
    let (mut read, mut portion, mut answered) = (Vec::new(), vec![0; 64 * 1024], 0);
    while let Ok(length @ 1..) = from.read(&mut portion).await {
        read.extend(&portion[..length]);
        for payload in payloads(&read).iter().skip(answered) {
            answered += 1;
            match payload[0] {
                message::KEXINIT if client.leaves => to = None,
                message::KEXINIT if gex => say(&mut to, &frame(&samples::group_request())).await,
                message::KEXINIT => say(&mut to, &frame(&samples::init(30))).await,
                message::KEX_REPLY if gex => say(&mut to, &frame(&samples::init(32))).await,
                message::KEX_REPLY | message::GEX_REPLY => say(&mut to, &frame(&[message::NEWKEYS])).await,
                message::DISCONNECT => to = None,
                _ => {}
            }
        }
        if read.ends_with(FROM_SERVER) {
            say(&mut to, FROM_CLIENT).await;
            to = None;
        }
    }
    read
}

async fn say(to: &mut Option<ChildStdin>, octets: &[u8]) {
    if let Some(to) = to {
        let _ = to.write_all(octets).await;
        let _ = to.flush().await;
    }
}
