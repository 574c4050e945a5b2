//! The probe against toy hosts and against servers that misbehave.

use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve};
use sshanchor::lab::host::{ToyHost, generate_key};
use sshanchor::proto::hostkey::{KeyType, Presented};
use sshanchor::ssh::probe::{Ask, ProbeError, Probed, probe};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

fn within(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

async fn toy(algorithm: Algorithm) -> ToyHost {
    let visitor = generate_key(Algorithm::Ed25519).unwrap().public_key().clone();
    ToyHost::start("web1.example", generate_key(algorithm).unwrap(), visitor).await.unwrap()
}

async fn ask(host: &ToyHost, offer: &[KeyType]) -> Result<Probed, ProbeError> {
    probe(TcpStream::connect(host.address()).await.unwrap(), &Ask::Keys(offer.to_vec()), within(20_000)).await
}

/// A server that sends `octets` and then waits for the client to leave.
async fn blurting(octets: &'static [u8]) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(octets).await.unwrap();
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    });
    (address, task)
}

#[tokio::test]
async fn a_probe_shows_the_key_and_authenticates_nobody() {
    for (algorithm, key_type) in [
        (Algorithm::Ed25519, KeyType::Ed25519),
        (Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }, KeyType::EcdsaP256),
        (Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }, KeyType::EcdsaP384),
        (Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }, KeyType::EcdsaP521),
    ] {
        let host = toy(algorithm).await;
        for offer in [&KeyType::ALL[..], &[key_type]] {
            let probed = ask(&host, offer).await.unwrap();
            assert_eq!(probed.presented, Presented::Plain(host.host_key().clone()));
            assert_eq!(probed.key_algorithm, key_type.name());
            assert_eq!(probed.kex, "curve25519-sha256");
            assert_eq!(probed.server_version, "SSH-2.0-sshanchor_toy_host");
            assert!(probed.strict_kex);
        }
        let tally = host.tally();
        assert_eq!((tally.connections, tally.authentications), (2, 0));
    }
}

#[tokio::test]
async fn a_server_without_the_types_asked_for_says_what_it_has() {
    let host = toy(Algorithm::Ed25519).await;
    match ask(&host, &[KeyType::EcdsaP256, KeyType::Rsa]).await {
        Err(ProbeError::NoCommonKeyType { server_offers }) => assert_eq!(server_offers, ["ssh-ed25519"]),
        other => panic!("{other:?}"),
    }
    assert!(ask(&host, &[KeyType::Rsa, KeyType::Ed25519]).await.is_ok());
    assert!(matches!(ask(&host, &[]).await, Err(ProbeError::NothingOffered)));
    assert_eq!(host.tally().key_exchanges, 1);
}

#[tokio::test]
async fn a_silent_server_costs_no_more_than_the_deadline_and_no_socket() {
    for octets in [&b""[..], b"SSH-2.0-slow\r\n", b"chatter\r\nchatter\r\n"] {
        let (address, server) = blurting(octets).await;
        let started = Instant::now();
        let outcome =
            probe(TcpStream::connect(address).await.unwrap(), &Ask::Keys(KeyType::ALL.to_vec()), within(150))
                .await;
        assert!(matches!(outcome, Err(ProbeError::Timeout { .. })), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
        // The server sees the end of the connection: nothing of the probe lives on.
        tokio::time::timeout(Duration::from_secs(5), server).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn servers_that_speak_something_else_are_told_apart() {
    let case = async |octets: &'static [u8]| {
        let (address, _server) = blurting(octets).await;
        probe(TcpStream::connect(address).await.unwrap(), &Ask::Keys(KeyType::ALL.to_vec()), within(2_000))
            .await
            .unwrap_err()
    };
    assert!(matches!(case(b"SSH-2.0-x\r\n\xff\xff\xff\xff....").await, ProbeError::Protocol(_)));
    assert!(matches!(case(b"SSH-1.5-old\r\n").await, ProbeError::Protocol(_)));
    let farewell =
        b"SSH-2.0-x\r\n\0\0\0\x24\x06\x01\0\0\0\x0c\0\0\0\x10full \x1b[31m house\0\0\0\0\0\0\0\0\0\0";
    match case(farewell).await {
        ProbeError::Disconnected(text) => assert_eq!(text, "full \\u{1b}[31m house"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_is_reported_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    drop(listener.accept().await.unwrap());
    assert!(matches!(
        probe(stream, &Ask::Keys(KeyType::ALL.to_vec()), within(2_000)).await,
        Err(ProbeError::Closed)
    ));
}
