//! A key exchange made by hand (RFC 4253, RFC 8731), so that a server can lie in its reply; and the
//! lies that a probe must see through. Each has its honest twin in the same code.

use std::net::SocketAddr;
use std::time::Duration;

use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sshanchor::proto::hostkey::{HostKey, HostKeyError, KeyType, Presented};
use sshanchor::proto::wire::Reader;
use sshanchor::ssh::probe::{ProbeError, Probed, probe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How the reply departs from the truth; the default is honest.
#[derive(Default, Clone)]
struct Lies {
    /// Octets behind the end of K_S; they are hashed and signed like the rest of it.
    trailing: Vec<u8>,
    /// This K_S instead of the own one.
    shown: Option<Vec<u8>>,
    /// Flips a bit of the signature.
    bad_signature: bool,
    /// What the signature calls itself.
    signature_name: Option<&'static str>,
    /// The only host key algorithm that is offered.
    offered: Option<&'static str>,
    /// Another message before KEXINIT, which a strict key exchange forbids.
    early: Option<Vec<u8>>,
}

fn string(octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes(), octets].concat()
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let length = (payload.len() + padding + 1) as u32;
    [&length.to_be_bytes()[..], &[padding as u8], payload, &vec![0; padding]].concat()
}

async fn read_packet(stream: &mut TcpStream) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap();
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.unwrap();
    let padding = usize::from(body[0]);
    body[1..body.len() - padding].to_vec()
}

async fn read_line(stream: &mut TcpStream) -> Vec<u8> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(stream.read_u8().await.unwrap());
    }
    line.truncate(line.len() - 2);
    line
}

async fn serve(mut stream: TcpStream, key: Ed25519KeyPair, lies: Lies) {
    let version = b"SSH-2.0-handmade";
    stream.write_all(&[&version[..], b"\r\n"].concat()).await.unwrap();
    let their_version = read_line(&mut stream).await;
    if let Some(early) = &lies.early {
        stream.write_all(&packet(early)).await.unwrap();
    }
    let mut kexinit = vec![20];
    kexinit.extend([7; 16]);
    let kex = "curve25519-sha256,kex-strict-s-v00@openssh.com";
    let host_key = lies.offered.unwrap_or("ssh-ed25519");
    let (cipher, mac) = ("chacha20-poly1305@openssh.com", "hmac-sha2-256");
    for list in [kex, host_key, cipher, cipher, mac, mac, "none", "none", "", ""] {
        kexinit.extend(string(list.as_bytes()));
    }
    kexinit.extend([0; 5]);
    stream.write_all(&packet(&kexinit)).await.unwrap();
    let their_kexinit = read_packet(&mut stream).await;
    let init = read_packet(&mut stream).await;
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
    stream.write_all(&[packet(&reply), packet(&[21])].concat()).await.unwrap();
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

fn keypair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn blob(key: &Ed25519KeyPair) -> Vec<u8> {
    [string(b"ssh-ed25519"), string(key.public_key().as_ref())].concat()
}

async fn start(lies: Lies) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, keypair(1), lies).await;
    });
    address
}

async fn ask(lies: Lies) -> Result<Probed, ProbeError> {
    let stream = TcpStream::connect(start(lies).await).await.unwrap();
    probe(stream, &KeyType::ALL, Instant::now() + Duration::from_secs(10)).await
}

#[tokio::test]
async fn the_honest_exchange_is_believed() {
    let probed = ask(Lies::default()).await.unwrap();
    assert_eq!(probed.presented, Presented::Plain(HostKey::from_blob(&blob(&keypair(1))).unwrap()));
    assert!(probed.strict_kex);
    assert_eq!(probed.server_version, "SSH-2.0-handmade");
}

#[tokio::test]
async fn octets_behind_the_key_are_refused_although_they_are_signed() {
    let refused = ask(Lies { trailing: vec![0], ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::BadHostKey(HostKeyError::Malformed(..)))), "{refused:?}");
}

#[tokio::test]
async fn somebody_elses_key_is_refused_for_want_of_its_signature() {
    let refused = ask(Lies { shown: Some(blob(&keypair(2))), ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::BadSignature)), "{refused:?}");
    let refused = ask(Lies { bad_signature: true, ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::BadSignature)), "{refused:?}");
}

#[tokio::test]
async fn a_key_of_another_type_than_agreed_is_refused() {
    let refused = ask(Lies { offered: Some("ecdsa-sha2-nistp256"), ..Lies::default() }).await;
    assert!(
        matches!(refused, Err(ProbeError::BadHostKey(HostKeyError::NotNegotiated { .. }))),
        "{refused:?}"
    );
    let refused = ask(Lies { offered: Some("rsa-sha2-512"), ..Lies::default() }).await;
    assert!(
        matches!(refused, Err(ProbeError::BadHostKey(HostKeyError::NotNegotiated { .. }))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_signature_by_another_name_is_refused() {
    for name in ["sk-ssh-ed25519@openssh.com", "ssh-rsa", ""] {
        assert!(ask(Lies { signature_name: Some(name), ..Lies::default() }).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_key_at_all_is_refused() {
    for shown in [vec![], b"\0\0\0\x0bssh-ed25519".to_vec(), string(b"ssh-dss")] {
        let refused = ask(Lies { shown: Some(shown), ..Lies::default() }).await;
        let told = matches!(refused, Err(ProbeError::BadHostKey(_) | ProbeError::Protocol(_)));
        assert!(told, "{refused:?}");
    }
}

#[tokio::test]
async fn a_strict_exchange_begins_with_its_kexinit() {
    let refused = ask(Lies { early: Some(vec![2, 0, 0, 0, 0]), ..Lies::default() }).await;
    assert!(matches!(refused, Err(ProbeError::Protocol(_))), "{refused:?}");
}
