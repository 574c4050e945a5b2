//! How long whom is waited for.

use std::net::UdpSocket;
use std::sync::mpsc;

use crate::dns::resolver::*;
use crate::proto::name::Name;
use crate::proto::rr::RrType;

/// A server that turns each question into an empty answer after `delay`, or is silent without one.
/// Tells of each question that it gets.
fn server(delay: Option<Duration>) -> (SocketAddr, mpsc::Receiver<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (asked, questions) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if asked.send(()).is_err() {
                return;
            }
            let Some(delay) = delay else { continue };
            let mut reply = buffer[..length].to_vec();
            reply[2] |= 0x80;
            let socket = socket.try_clone().unwrap();
            std::thread::spawn(move || {
                std::thread::sleep(delay);
                socket.send_to(&reply, from).unwrap();
            });
        }
    });
    (address, questions)
}

fn ask(resolver: &Resolver, timeout: Duration) -> Result<Response, String> {
    let question = Question::new(Name::from_text("h.example").unwrap(), RrType::SSHFP);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { resolver.ask(&question, true, Instant::now() + timeout).await })
}

#[test]
fn a_dead_server_is_waited_for_once_and_not_for_every_question() {
    let ((dead, at_dead), (alive, at_alive)) = (server(None), server(Some(Duration::ZERO)));
    let resolver = Resolver::new(vec![dead, alive]).unwrap();
    for _ in 0..5 {
        ask(&resolver, Duration::from_secs(10)).unwrap();
    }
    assert_eq!(at_alive.try_iter().count(), 5);
    assert!((1..=2).contains(&at_dead.try_iter().count()));
}

#[test]
fn the_only_server_may_take_its_time() {
    let (slow, _questions) = server(Some(Duration::from_millis(1300)));
    let started = Instant::now();
    ask(&Resolver::new(vec![slow]).unwrap(), Duration::from_secs(10)).unwrap();
    assert!(started.elapsed() < Duration::from_secs(2), "its first answer counts");
    let (silent, _questions) = server(None);
    let started = Instant::now();
    assert!(ask(&Resolver::new(vec![silent]).unwrap(), Duration::from_millis(300)).is_err());
    assert!(started.elapsed() < Duration::from_secs(2));
}
