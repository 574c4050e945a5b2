//! Resolvers that misbehave, on loopback.

mod paths;
mod patience;

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::proto::name::Name;
use crate::proto::rr::RrType;

/// What a server sends back for a query: some datagrams, or over TCP some messages.
pub(in crate::dns) type Answers = Arc<dyn Fn(&[u8], bool) -> Vec<Vec<u8>> + Send + Sync>;

/// A server on UDP and TCP that lives as long as the test's runtime.
pub(in crate::dns) async fn server(answers: Answers) -> SocketAddr {
    let (udp, tcp) = bound().await;
    let address = udp.local_addr().unwrap();
    serve(udp, tcp, answers);
    address
}

/// Both sockets of one port.
async fn bound() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

fn serve(udp: UdpSocket, tcp: TcpListener, answers: Answers) {
    let over_udp = answers.clone();
    tokio::spawn(async move {
        let mut buffer = vec![0; 2048];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer).await {
            for reply in over_udp(&buffer[..length], false) {
                let _ = udp.send_to(&reply, peer).await;
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                let length = stream.read_u16().await.unwrap();
                let mut query = vec![0; usize::from(length)];
                stream.read_exact(&mut query).await.unwrap();
                for reply in answers(&query, true) {
                    let framed = [&(reply.len() as u16).to_be_bytes(), reply.as_slice()].concat();
                    if stream.write_all(&framed).await.is_err() {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            });
        }
    });
}

fn question() -> Question {
    Question::new(Name::from_text("host.example.test").unwrap(), RrType::SSHFP)
}

/// An empty reply to `query` with these flags.
pub(in crate::dns) fn reply(query: &[u8], flags: u16) -> Vec<u8> {
    let length = query[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    let head = [&query[..2], &flags.to_be_bytes(), &[0, 1, 0, 0, 0, 0, 0, 0]].concat();
    [head, query[12..12 + length].to_vec()].concat()
}

const GOOD: u16 = 0x8180;
const TRUNCATED: u16 = 0x8380;

async fn ask(servers: Vec<SocketAddr>, wait: Duration) -> (Result<Response, String>, Duration) {
    let begun = Instant::now();
    let resolver = Resolver::new(servers).unwrap();
    let outcome = resolver.ask(&question(), true, begun + wait).await;
    (outcome, begun.elapsed())
}

const LONG: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);

/// Nothing in here answers the query.
fn garbage(query: &[u8]) -> Vec<Vec<u8>> {
    let mut wrong_id = reply(query, GOOD);
    wrong_id[0] ^= 1;
    let mut other_question = reply(query, GOOD);
    other_question[13] ^= 1;
    let mut counts = reply(query, GOOD);
    counts[7] = 1;
    let no_response = reply(query, 0x0100);
    vec![Vec::new(), vec![0; 3], query.to_vec(), wrong_id, other_question, counts, no_response]
}

#[tokio::test]
async fn datagrams_that_do_not_fit_are_passed_over() {
    let mixed: Answers = Arc::new(|query, _| [garbage(query), vec![reply(query, GOOD)]].concat());
    let (outcome, took) = ask(vec![server(mixed).await], LONG).await;
    assert_eq!(outcome.unwrap().rcode, NOERROR);
    assert!(took < LONG / 2);
    let only: Answers = Arc::new(|query, _| garbage(query));
    let (outcome, took) = ask(vec![server(only).await], SHORT).await;
    assert!(outcome.is_err() && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_comes_over_tcp() {
    let cut: Answers = Arc::new(|query, tcp| match tcp {
        false => vec![reply(query, TRUNCATED)],
        true => [garbage(query), vec![reply(query, GOOD)]].concat(),
    });
    let (outcome, _) = ask(vec![server(cut).await], LONG).await;
    assert!(!outcome.unwrap().truncated);
    let always: Answers = Arc::new(|query, _| vec![reply(query, TRUNCATED)]);
    let (outcome, took) = ask(vec![server(always).await], SHORT).await;
    assert!(outcome.is_err() && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn silence_and_floods_end_at_the_deadline() {
    let silent: Answers = Arc::new(|_, _| Vec::new());
    let (outcome, took) = ask(vec![server(silent).await], SHORT).await;
    assert!(outcome.unwrap_err().contains("in time"));
    assert!(took < LONG / 2, "{took:?}");
    let flood: Answers = Arc::new(|query, tcp| match tcp {
        false => vec![garbage(query); 2000].concat(),
        true => Vec::new(),
    });
    let (outcome, took) = ask(vec![server(flood).await], SHORT).await;
    assert!(outcome.is_err() && took < LONG, "{took:?}");
}

#[tokio::test]
async fn a_server_that_cannot_help_is_passed_over() {
    let refusing = || -> Answers { Arc::new(|query, _| vec![reply(query, GOOD | 5)]) };
    let good: Answers = Arc::new(|query, _| vec![reply(query, GOOD | NXDOMAIN)]);
    let good = server(good).await;
    let (outcome, took) = ask(vec![server(refusing()).await, good], LONG).await;
    assert_eq!(outcome.unwrap().rcode, NXDOMAIN);
    assert!(took < LONG / 2);
    let (outcome, took) = ask(vec![server(refusing()).await], LONG).await;
    assert_eq!(outcome.unwrap_err(), "the resolver answered REFUSED");
    assert!(took < LONG / 2, "asking again changes nothing");
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let (outcome, _) = ask(vec![nobody, good], LONG).await;
    assert!(outcome.is_ok());
}

#[test]
fn there_is_at_least_one_server_and_not_too_many() {
    assert!(matches!(Resolver::new(Vec::new()), Err(ResolverError::NoServer)));
    let many = (1..100).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect();
    assert_eq!(Resolver::new(many).unwrap().servers().len(), MAX_SERVERS);
}

#[tokio::test]
async fn without_any_server_every_question_ends_at_once_with_the_reason() {
    let resolver = Resolver::none(&ResolverError::NoServer);
    for resolver in [resolver.another(0), resolver] {
        let outcome = resolver.ask(&question(), true, Instant::now() + LONG).await;
        assert_eq!(outcome.unwrap_err(), ResolverError::NoServer.to_string());
    }
}
