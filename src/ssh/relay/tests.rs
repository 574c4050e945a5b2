//! The relay between a client on a pipe and a server on loopback. What hostile servers meet is in
//! `tests/offline/gate.rs`; here is what needs a witness.

use std::sync::Mutex;

use tokio::io::{DuplexStream, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::proto::handshake::samples::{self, Offer};
use crate::proto::hostkey::HostKey;
use crate::proto::packet::frame;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn witness(key: &HostKey) -> Anchored {
    Anchored::for_tests("web1.example.com", 22, key)
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

type Outcome = Result<Relayed, RelayError>;

/// A relay that accepts whatever key there is: the client's end, the server's end, its outcome.
async fn accepting(deadline: Instant) -> (DuplexStream, TcpStream, JoinHandle<Outcome>) {
    let (client, proxy) = duplex(64 * 1024);
    let (near, far) = pair().await;
    let relaying = tokio::spawn(async move {
        let (client_in, client_out) = split(proxy);
        let decide = async |presented: Presented, _, _| Ok(witness(presented.key()));
        relay(client_in, client_out, near, deadline, decide, async |cause| cause, |_| None).await
    });
    (client, far, relaying)
}

async fn expect(from: &mut (impl AsyncRead + Unpin), octets: &[u8]) {
    let mut read = vec![0; octets.len()];
    from.read_exact(&mut read).await.unwrap();
    assert_eq!(read, octets);
}

/// Plays both ends up to the client's init.
async fn offers(client: &mut DuplexStream, server: &mut TcpStream) {
    let offer = frame(&samples::kexinit(&Offer::default()));
    let begin = [b"SSH-2.0-end\r\n", &offer[..]].concat();
    let init = frame(&samples::init(30));
    client.write_all(&begin).await.unwrap();
    server.write_all(&begin).await.unwrap();
    expect(client, &begin).await;
    client.write_all(&init).await.unwrap();
    expect(server, &[begin, init].concat()).await;
}

/// As [`offers`], then up to NEWKEYS of the server.
async fn handshake(client: &mut DuplexStream, server: &mut TcpStream) {
    offers(client, server).await;
    let reply = [frame(&samples::reply(31, &samples::ed25519(9))), frame(&[21])].concat();
    server.write_all(&reply).await.unwrap();
    expect(client, &reply).await;
}

/// As [`handshake`], and the client's NEWKEYS.
async fn through(client: &mut DuplexStream, server: &mut TcpStream) {
    handshake(client, server).await;
    client.write_all(&frame(&[21])).await.unwrap();
    expect(server, &frame(&[21])).await;
}

#[tokio::test]
async fn octets_pass_both_ways_to_the_last() {
    let (mut client, mut server, relaying) = accepting(soon()).await;
    through(&mut client, &mut server).await;
    let much: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let (mut from_client, mut to_client) = server.into_split();
    let (mut from_server, mut to_server) = split(client);
    let up = async {
        to_server.write_all(&much).await.unwrap();
        to_server.shutdown().await.unwrap();
    };
    let down = async {
        to_client.write_all(&much).await.unwrap();
        // The client has ended its octets: the server reads that, and is heard all the same.
        let mut all = Vec::new();
        from_client.read_to_end(&mut all).await.unwrap();
        assert!(all == much);
        to_client.write_all(b"last").await.unwrap();
        drop(to_client);
    };
    let read = async {
        let mut all = Vec::new();
        from_server.read_to_end(&mut all).await.unwrap();
        assert!(all == [&much[..], b"last"].concat());
    };
    tokio::join!(up, down, read);
    let relayed = relaying.await.unwrap().unwrap();
    assert_eq!((relayed.negotiated.kex.as_str(), relayed.client_is_asyncssh), ("curve25519-sha256", false));
    assert_eq!(relayed.server_version, "SSH-2.0-end");
    assert_eq!(relayed.witness.key_sha256(), &HostKey::from_blob(&samples::ed25519(9)).unwrap().sha256());
}

#[tokio::test]
async fn a_server_that_closes_ends_it_though_the_client_stays() {
    let (mut client, mut server, relaying) = accepting(soon()).await;
    through(&mut client, &mut server).await;
    server.write_all(b"bye").await.unwrap();
    drop(server);
    expect(&mut client, b"bye").await;
    assert!(relaying.await.unwrap().is_ok());
    assert_eq!(client.read(&mut [0; 9]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_server_that_resets_has_closed_and_its_last_line_is_told() {
    let (mut client, mut server, relaying) = accepting(soon()).await;
    client.write_all(b"SSH-2.0-unread\r\n").await.unwrap();
    server.readable().await.unwrap();
    server.write_all(b"Exceeded MaxStartups\r\n").await.unwrap();
    // Closing with octets unread is a reset (RFC 2525 section 2.17).
    drop(server);
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    drop(client);
    let cause = relaying.await.unwrap().unwrap_err().cause;
    assert!(cause.to_string().ends_with("version: Exceeded MaxStartups"), "{cause}");
}

#[tokio::test]
async fn a_client_that_is_gone_ends_it() {
    let (mut client, mut server, relaying) = accepting(soon()).await;
    through(&mut client, &mut server).await;
    drop(client);
    assert_eq!(server.read(&mut [0; 9]).await.unwrap(), 0);
    let _ = server.write_all(&vec![0; 500_000]).await;
    assert!(relaying.await.unwrap().is_ok());
}

#[tokio::test]
async fn the_clients_own_question_may_outlast_the_deadline() {
    let (mut client, mut server, relaying) = accepting(Instant::now() + Duration::from_millis(400)).await;
    handshake(&mut client, &mut server).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    client.write_all(&[frame(&[21]), b"x".to_vec()].concat()).await.unwrap();
    expect(&mut server, &[frame(&[21]), b"x".to_vec()].concat()).await;
    drop(server);
    assert!(relaying.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_witness_for_another_key_releases_nothing() {
    let (mut client, proxy) = duplex(64 * 1024);
    let (near, mut server) = pair().await;
    let relaying = tokio::spawn(async move {
        let (client_in, client_out) = split(proxy);
        let other = HostKey::from_blob(&samples::ed25519(8)).unwrap();
        relay(
            client_in,
            client_out,
            near,
            soon(),
            async |_, _, _| Ok(witness(&other)),
            async |cause| cause,
            |_| None,
        )
        .await
    });
    offers(&mut client, &mut server).await;
    server.write_all(&frame(&samples::reply(31, &samples::ed25519(9)))).await.unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    let told = packet(&all);
    assert_eq!(told.0, 9);
    assert!(told.1.contains("not about the key"), "{told:?}");
    drop(client);
    let error = relaying.await.unwrap().unwrap_err();
    assert!(matches!(error.cause, Cause::Handshake(End::WrongWitness)), "{error:?}");
}

/// Code and text of the only packet in here, which is a DISCONNECT.
fn packet(octets: &[u8]) -> (u32, String) {
    let packet = crate::proto::packet::parse(octets).unwrap().unwrap();
    assert_eq!((packet.message, packet.framed.len()), (1, octets.len()));
    crate::proto::handshake::disconnect::read(packet.payload)
}

#[tokio::test]
async fn a_buffered_client_gets_its_octets_while_the_server_is_silent() {
    let (mut client, proxy) = duplex(64 * 1024);
    let (near, mut server) = pair().await;
    let relaying = tokio::spawn(async move {
        let (client_in, client_out) = split(proxy);
        let client_out = tokio::io::BufWriter::new(client_out);
        let decide = async |presented: Presented, _, _| Ok(witness(presented.key()));
        relay(client_in, client_out, near, soon(), decide, async |cause| cause, |_| None).await
    });
    through(&mut client, &mut server).await;
    for _ in 0..3 {
        server.write_all(b"prompt").await.unwrap();
        expect(&mut client, b"prompt").await;
    }
    drop(server);
    assert!(relaying.await.unwrap().is_ok());
}

/// What a client sees that is refused outright, and whether standard error was written to.
async fn refused_outright(version: &'static [u8], is_read: bool) -> (Vec<u8>, bool, bool) {
    let (mut client, proxy) = duplex(64 * 1024);
    let told = Mutex::new(false);
    let client = async move {
        client.write_all(version).await.unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        all
    };
    let (client_in, client_out) = split(proxy);
    let refuse = refuse_client(client_in, client_out, "no\x1b", || {
        *told.lock().unwrap() = true;
        is_read.then(|| "brief".to_owned())
    });
    let (all, asyncssh) = tokio::join!(client, refuse);
    let told = *told.lock().unwrap();
    (all, told, asyncssh)
}

#[tokio::test]
async fn a_client_without_a_server_is_told_why() {
    let (all, told, asyncssh) = refused_outright(b"SSH-2.0-OpenSSH_9.2p1\r\n", false).await;
    let packet = packet(all.strip_prefix(b"SSH-2.0-sshanchor\r\n").unwrap());
    assert_eq!((packet, told, asyncssh), ((9, "no\\x1b".into()), true, false));
}

#[tokio::test]
async fn openssh_is_brief_about_what_its_user_has_read() {
    let text = async |version| {
        let (all, _, _) = refused_outright(version, true).await;
        packet(all.strip_prefix(b"SSH-2.0-sshanchor\r\n").unwrap()).1
    };
    assert_eq!(text(b"SSH-2.0-OpenSSH_9.2p1\r\n").await, "brief");
    assert_eq!(text(b"SSH-2.0-paramiko_5.1.0\r\n").await, "no\\x1b");
}

#[tokio::test]
async fn nothing_is_printed_for_asyncssh() {
    let (all, told, asyncssh) = refused_outright(b"SSH-2.0-AsyncSSH_2.24.0\r\n", true).await;
    assert!(all.starts_with(b"SSH-2.0-sshanchor\r\n"));
    assert_eq!((told, asyncssh), (false, true));
}

#[tokio::test]
async fn a_client_that_says_nothing_is_told_all_the_same() {
    let (all, told, asyncssh) = refused_outright(b"", false).await;
    assert!(all.starts_with(b"SSH-2.0-sshanchor\r\n"));
    assert_eq!((told, asyncssh), (true, false));
}

#[cfg(feature = "lab")]
mod with_russh {
    use std::sync::Arc;

    use russh::keys::{Algorithm, PublicKeyOrCertificate};
    use russh::{Preferred, client, kex};

    use super::*;
    use crate::lab::host::{ToyHost, generate_key};

    struct Believer;

    impl client::Handler for Believer {
        type Error = russh::Error;

        async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
            Ok(true)
        }
    }

    /// A real client through the relay to a toy host; true if its key exchange went through.
    async fn exchange(host: &ToyHost, accepted: HostKey, method: kex::Name) -> (bool, Outcome) {
        let (client, proxy) = duplex(64 * 1024);
        let server = TcpStream::connect(host.address()).await.unwrap();
        let relaying = tokio::spawn(async move {
            let (client_in, client_out) = split(proxy);
            let decide = async |presented: Presented, _, _| {
                if *presented.key() == accepted {
                    Ok(witness(&accepted))
                } else {
                    Err(Refusal { text: "no".into() })
                }
            };
            relay(client_in, client_out, server, soon(), decide, async |cause| cause, |_| None).await
        });
        let preferred = Preferred { kex: vec![method].into(), ..Preferred::default() };
        let config = Arc::new(client::Config { preferred, ..client::Config::default() });
        let session = client::connect_stream(config, client, Believer).await;
        let through = session.is_ok();
        drop(session);
        (through, relaying.await.unwrap())
    }

    #[tokio::test]
    async fn a_real_client_is_let_through_or_not_by_the_witness() {
        let visitor = generate_key(Algorithm::Ed25519).unwrap().public_key().clone();
        let key = generate_key(Algorithm::Ed25519).unwrap();
        let host = ToyHost::start("web1.example.com", key, visitor).await.unwrap();
        for method in [kex::CURVE25519, kex::MLKEM768X25519_SHA256] {
            let (through, outcome) = exchange(&host, host.host_key().clone(), method).await;
            assert!(through && outcome.is_ok(), "{outcome:?}");
            let other = HostKey::from_blob(&samples::ed25519(8)).unwrap();
            let (through, outcome) = exchange(&host, other, method).await;
            assert!(!through && matches!(outcome.unwrap_err().cause, Cause::Refused(_)));
        }
        // Where it was refused, the client's NEWKEYS did not reach the host.
        assert!(host.tally().key_exchanges <= 2);
        assert_eq!(host.tally().authentications, 0);
    }
}
