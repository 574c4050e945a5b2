//! Many SSH hosts behind one listener: the address that is connected to says which host it is. Each speaks SSH up to the
//! reply that its own Ed25519 key signs, and ends the connection when the client has said NEWKEYS or gone; or it goes on to
//! a command. `benches/fleet` builds and starts it.
//!
//!     simulator records COUNT            a line a host: name, address, SHA-256 of its key, the key in base64
//!     simulator serve PORT[:MANNER]...   until standard input ends; MANNER is a number, of which many hosts one shows a key
//!                                        that is not its own, or shell: everybody may log in, and each command ends with 0
#![allow(missing_docs)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod shell;

use std::io::{Error, Read, Result, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;

use data_encoding::{BASE64, HEXLOWER};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sshanchor::proto::packet::{frame, message, parse};
use sshanchor::proto::wire::{Reader, put_string};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const VERSION: &[u8] = b"SSH-2.0-simulated";
/// Threads, each with a listener of its own to the same port.
const THREADS: usize = 2;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["records", count] => {
            let mut out = std::io::stdout().lock();
            for number in 1..=count.parse().unwrap() {
                let blob = blob(&keypair(number, false));
                let (digest, key) = (HEXLOWER.encode(digest(&SHA256, &blob).as_ref()), BASE64.encode(&blob));
                writeln!(out, "h{number:05}.fleet.example {} {digest} {key}", address(number)).unwrap();
            }
        }
        ["serve", places @ ..] if !places.is_empty() => serve_all(places),
        // What `cargo bench` runs.
        _ => println!("want: records COUNT, or: serve PORT[:MANNER]...; see benches/fleet"),
    }
}

/// The address of a host: 127.100.0.1 and up.
fn address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 100, 0, 0)) + number)
}

fn number(address: IpAddr) -> u32 {
    let IpAddr::V4(address) = address else { return 0 };
    u32::from(address).wrapping_sub(u32::from(Ipv4Addr::new(127, 100, 0, 0)))
}

fn seed(number: u32, impostor: bool) -> [u8; 32] {
    let seed = digest(&SHA256, format!("simulated host {number} {impostor}").as_bytes());
    seed.as_ref().try_into().unwrap()
}

fn keypair(number: u32, impostor: bool) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&seed(number, impostor)).unwrap()
}

fn blob(key: &Ed25519KeyPair) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, b"ssh-ed25519");
    put_string(&mut blob, key.public_key().as_ref());
    blob
}

/// How the hosts of a port behave.
#[derive(Clone, Copy)]
enum Manner {
    /// Up to the key exchange; of so many hosts one shows a key that is not its own, of 0 none does.
    Shows(u32),
    /// They let everybody in.
    Shell,
}

fn serve_all(places: &[&str]) {
    let places: Vec<(u16, Manner)> = places
        .iter()
        .map(|place| {
            let (port, manner) = place.split_once(':').unwrap_or((place, "0"));
            let manner = match manner {
                "shell" => Manner::Shell,
                every => Manner::Shows(every.parse().unwrap()),
            };
            (port.parse().unwrap(), manner)
        })
        .collect();
    for _ in 0..THREADS {
        let places = places.clone();
        let (ready, is_ready) = std::sync::mpsc::channel();
        thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
                for (port, manner) in places {
                    let socket = TcpSocket::new_v4().unwrap();
                    socket.set_reuseaddr(true).unwrap();
                    socket.set_reuseport(true).unwrap();
                    socket.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).unwrap();
                    let listener = socket.listen(BACKLOG).unwrap();
                    tokio::spawn(async move {
                        loop {
                            let (stream, _) = listener.accept().await.unwrap();
                            tokio::spawn(async move {
                                match manner {
                                    Manner::Shows(every) => serve(stream, every).await,
                                    Manner::Shell => {
                                        let number = number(stream.local_addr()?.ip());
                                        shell::serve(stream, &seed(number, false)).await;
                                        Ok(())
                                    }
                                }
                            });
                        }
                    });
                }
                ready.send(()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        is_ready.recv().unwrap();
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// One connection. Errors are the client's going away.
async fn serve(mut stream: TcpStream, every: u32) -> Result<()> {
    stream.set_nodelay(true)?;
    let number = number(stream.local_addr()?.ip());
    let ours = kexinit();
    stream.write_all(&[VERSION, b"\r\n", &frame(&ours)].concat()).await?;
    let mut buffer = Vec::with_capacity(4096);
    let end = loop {
        if let Some(end) = buffer.iter().position(|octet| *octet == b'\n') {
            break end;
        }
        more(&mut stream, &mut buffer).await?;
    };
    let version = buffer[..end].strip_suffix(b"\r").unwrap_or(&buffer[..end]).to_vec();
    buffer.drain(..=end);
    let theirs = packet(&mut stream, &mut buffer).await?;
    if !agrees(&theirs) {
        return Ok(());
    }
    let init = packet(&mut stream, &mut buffer).await?;
    let key = keypair(number, every > 0 && number % every == every / 2);
    let reply = reply(&key, [&version, VERSION, &theirs, &ours], &init).ok_or(Error::other("no init"))?;
    stream.write_all(&[frame(&reply), frame(&[message::NEWKEYS])].concat()).await?;
    // NEWKEYS, or the end.
    packet(&mut stream, &mut buffer).await?;
    Ok(())
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// The payload of the next packet.
async fn packet(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Vec<u8>> {
    loop {
        if let Some(packet) = parse(buffer).map_err(Error::other)? {
            let (payload, length) = (packet.payload.to_vec(), packet.framed.len());
            buffer.drain(..length);
            return Ok(payload);
        }
        more(stream, buffer).await?;
    }
}

fn kexinit() -> Vec<u8> {
    let mut payload = vec![message::KEXINIT];
    payload.extend([7; 16]);
    let kex = "curve25519-sha256,curve25519-sha256@libssh.org,kex-strict-s-v00@openssh.com";
    let ciphers = "chacha20-poly1305@openssh.com,aes128-ctr,aes256-gcm@openssh.com";
    let macs = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256";
    let compression = "none,zlib@openssh.com";
    for list in [kex, "ssh-ed25519", ciphers, ciphers, macs, macs, compression, compression, "", ""] {
        put_string(&mut payload, list.as_bytes());
    }
    payload.extend([0; 5]);
    payload
}

/// The client takes the one key exchange and the one type of key that there are.
fn agrees(kexinit: &[u8]) -> bool {
    let mut reader = Reader::new(kexinit.get(17..).unwrap_or_default());
    let has = |list: Option<&[u8]>, name: &[u8]| {
        list.is_some_and(|list| list.split(|octet| *octet == b',').any(|one| one == name))
    };
    has(reader.string(), b"curve25519-sha256") && has(reader.string(), b"ssh-ed25519")
}

/// The signed reply (RFC 8731 section 3) to `init`; `hashed` is what both sides said before.
fn reply(key: &Ed25519KeyPair, hashed: [&[u8]; 4], init: &[u8]) -> Option<Vec<u8>> {
    let theirs = Reader::new(init.get(1..)?).string()?;
    let ephemeral = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).ok()?;
    let ours = ephemeral.compute_public_key().ok()?;
    let shown = blob(key);
    let mut exchange = Vec::new();
    for part in hashed.into_iter().chain([&shown[..], theirs, ours.as_ref()]) {
        put_string(&mut exchange, part);
    }
    let peer = UnparsedPublicKey::new(&X25519, theirs);
    agree_ephemeral(ephemeral, &peer, |secret| {
        let mut secret: Vec<u8> = secret.iter().copied().skip_while(|octet| *octet == 0).collect();
        if secret.first().is_some_and(|first| first & 0x80 != 0) {
            secret.insert(0, 0);
        }
        put_string(&mut exchange, &secret);
    })
    .ok()?;
    let mut signature = Vec::new();
    put_string(&mut signature, b"ssh-ed25519");
    put_string(&mut signature, key.sign(digest(&SHA256, &exchange).as_ref()).as_ref());
    let mut reply = vec![message::KEX_REPLY];
    for part in [&shown[..], ours.as_ref(), &signature] {
        put_string(&mut reply, part);
    }
    Some(reply)
}
