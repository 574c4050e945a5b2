//! A key exchange made by hand (RFC 4253, RFC 8731), so that a server can lie in its reply. Without lies it is as any
//! other, up to its NEWKEYS.

use std::io;
use std::net::SocketAddr;
use std::thread;

use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sshanchor::proto::wire::Reader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How the reply departs from the truth; the default is honest.
#[derive(Default, Clone)]
pub struct Lies {
    /// Octets behind the end of K_S; they are hashed and signed like the rest of it.
    pub trailing: Vec<u8>,
    /// This K_S instead of the own one.
    pub shown: Option<Vec<u8>>,
    /// Flips a bit of the signature.
    pub bad_signature: bool,
    /// What the signature calls itself.
    pub signature_name: Option<&'static str>,
    /// The only host key algorithm that is offered.
    pub offered: Option<&'static str>,
    /// Another message before KEXINIT, which a strict key exchange forbids.
    pub early: Option<Vec<u8>>,
    /// No strict key exchange is offered.
    pub not_strict: bool,
}

pub fn string(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let length = (payload.len() + padding + 1) as u32;
    [&length.to_be_bytes()[..], &[padding as u8], payload, &vec![0; padding]].concat()
}

async fn read_packet(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    let padding = usize::from(body[0]);
    Ok(body[1..body.len() - padding].to_vec())
}

async fn read_line(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(stream.read_u8().await?);
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

async fn serve(mut stream: TcpStream, key: Ed25519KeyPair, lies: Lies) -> io::Result<()> {
    let version = b"SSH-2.0-handmade";
    stream.write_all(&[&version[..], b"\r\n"].concat()).await?;
    let their_version = read_line(&mut stream).await?;
    if let Some(early) = &lies.early {
        stream.write_all(&packet(early)).await?;
    }
    let mut kexinit = vec![20];
    kexinit.extend([7; 16]);
    let strict = if lies.not_strict { "" } else { ",kex-strict-s-v00@openssh.com" };
    let kex = &format!("curve25519-sha256{strict}");
    let host_key = lies.offered.unwrap_or("ssh-ed25519");
    let (cipher, mac) = ("chacha20-poly1305@openssh.com", "hmac-sha2-256");
    for list in [kex, host_key, cipher, cipher, mac, mac, "none", "none", "", ""] {
        kexinit.extend(string(list.as_bytes()));
    }
    kexinit.extend([0; 5]);
    stream.write_all(&packet(&kexinit)).await?;
    let their_kexinit = read_packet(&mut stream).await?;
    let init = read_packet(&mut stream).await?;
    let theirs = Reader::new(&init[1..]).string().unwrap().to_vec();

    let ephemeral = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
    let ours = ephemeral.compute_public_key().unwrap().as_ref().to_vec();
    let peer = UnparsedPublicKey::new(&X25519, theirs.clone());
    let secret = agree_ephemeral(ephemeral, &peer, |secret| {
        let significant: Vec<u8> = secret.iter().copied().skip_while(|octet| *octet == 0).collect();
        let sign = if significant[0] & 0x80 != 0 { vec![0] } else { vec![] };
        string(&[sign, significant].concat())
    })
    .unwrap();
    let mut shown = lies.shown.clone().unwrap_or_else(|| blob(&key));
    shown.extend(&lies.trailing);
    let mut hashed = Vec::new();
    for part in [&their_version, &version.to_vec(), &their_kexinit, &kexinit, &shown, &theirs, &ours] {
        hashed.extend(string(part));
    }
    hashed.extend(&secret);
    let mut signature = key.sign(digest(&SHA256, &hashed).as_ref()).as_ref().to_vec();
    signature[5] ^= u8::from(lies.bad_signature);
    let name = lies.signature_name.unwrap_or("ssh-ed25519");
    let signature = [string(name.as_bytes()), string(&signature)].concat();
    let reply = [&[31][..], &string(&shown), &string(&ours), &string(&signature)].concat();
    stream.write_all(&[packet(&reply), packet(&[21])].concat()).await?;
    // There is nothing behind this server: the first octets that are encrypted end it.
    read_packet(&mut stream).await?;
    stream.read_u8().await?;
    Ok(())
}

/// The key of this seed; the server's own is that of 1.
pub fn keypair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// Its public half as SSH has it.
pub fn blob(key: &Ed25519KeyPair) -> Vec<u8> {
    [string(b"ssh-ed25519"), string(key.public_key().as_ref())].concat()
}

/// A server for one client, in this runtime.
pub async fn start(lies: Lies) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = serve(stream, keypair(1), lies).await;
    });
    address
}

/// The same for any number of clients, in a thread that ends with the test's process.
pub fn start_for_many(lies: Lies) -> SocketAddr {
    in_thread(lies, usize::MAX)
}

/// The same for one client.
pub fn start_in_thread(lies: Lies) -> SocketAddr {
    in_thread(lies, 1)
}

fn in_thread(lies: Lies, clients: usize) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            let mut serving = JoinSet::new();
            for _ in 0..clients {
                let (stream, _) = listener.accept().await.unwrap();
                let lies = lies.clone();
                serving.spawn(async move { serve(stream, keypair(1), lies).await });
            }
            drop(listener);
            serving.join_all().await;
        });
    });
    address
}
