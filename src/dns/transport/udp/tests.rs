//! Many questions over few sockets, on loopback.

use std::collections::HashSet;
use std::net::UdpSocket as Plain;

use tokio::task::JoinSet;

use super::*;
use crate::proto::name::Name;
use crate::proto::rr::RrType;

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(200);
const RESEND: Duration = Duration::from_secs(3);

fn question(number: usize) -> Question {
    Question::new(Name::from_text(&format!("h{number}.example")).unwrap(), RrType::SSHFP)
}

async fn ask(udp: &Udp, number: usize, wait: Duration) -> Result<Response, TransportError> {
    let question = question(number);
    udp.ask(&question, |id| question.query(id, true, 1232), Instant::now() + wait, RESEND).await
}

/// A server that is read by hand.
fn server() -> (Plain, SocketAddr) {
    let socket = Plain::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn receive(server: &Plain) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    (buffer[..length].to_vec(), from)
}

/// The reply to `query`: NOERROR, or the response code that is the last digit of the name.
fn reply(query: &[u8]) -> Vec<u8> {
    let mut reply = query.to_vec();
    reply[2] |= 0x80;
    reply[3] |= query[12 + usize::from(query[12])] - b'0';
    reply
}

/// A server that replies to all, and keeps who asked.
fn replying() -> (SocketAddr, Arc<Mutex<Vec<SocketAddr>>>) {
    let (server, address) = server();
    let asked: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let log = asked.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = server.recv_from(&mut buffer) {
            log.lock().unwrap().push(from);
            server.send_to(&reply(&buffer[..length]), from).unwrap();
        }
    });
    (address, asked)
}

async fn settled() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn questions_share_sockets_and_ports_keep_changing() {
    let (address, asked) = replying();
    let udp = Udp::new(address);
    for number in 0..3 * MAX_QUESTIONS as usize {
        ask(&udp, number, LONG).await.unwrap();
    }
    let ports: HashSet<_> = asked.lock().unwrap().iter().copied().collect();
    assert_eq!(ports.len(), 3);
    // What is given up is closed.
    ask(&udp, 0, LONG).await.unwrap();
    assert_eq!(lock(&udp.open).len(), 1);
    settled().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 1);
    drop(udp);
    settled().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn each_gets_its_own_reply_in_whatever_order_they_come() {
    let (server, address) = server();
    let udp = Arc::new(Udp::new(address));
    let count = 2 * MAX_WAITING + 8;
    let replies = std::thread::spawn(move || {
        let mut queries: Vec<_> = (0..count).map(|_| receive(&server)).collect();
        queries.reverse();
        let ports: HashSet<_> = queries.iter().map(|(_, from)| *from).collect();
        let ids: HashSet<_> = queries.iter().map(|(query, from)| (query[..2].to_vec(), *from)).collect();
        for (query, from) in &queries {
            server.send_to(&reply(query), from).unwrap();
        }
        (ports.len(), ids.len())
    });
    let mut under_way = JoinSet::new();
    for number in 0..count {
        let udp = udp.clone();
        under_way.spawn(async move { (number, ask(&udp, number, LONG).await.unwrap().rcode) });
    }
    while let Some(outcome) = under_way.join_next().await {
        let (number, rcode) = outcome.unwrap();
        assert_eq!(usize::from(rcode), number % 10);
    }
    assert_eq!(replies.join().unwrap(), (3, count), "sockets and different ids at them");
}

#[tokio::test]
async fn a_reply_fits_by_sender_id_and_question() {
    let (server, address) = server();
    let udp = Udp::new(address);
    let honest = |also: bool| {
        let server = server.try_clone().unwrap();
        std::thread::spawn(move || {
            let ((first, from), (second, _)) = (receive(&server), receive(&server));
            let swapped = |query: &[u8], id: &[u8]| [&id[..2], &reply(query)[2..]].concat();
            let elsewhere = Plain::bind("127.0.0.1:0").unwrap();
            for query in [&first, &second] {
                elsewhere.send_to(&reply(query), from).unwrap();
                let free = [query[0], query[1] ^ 1];
                for datagram in [vec![], query[..1].to_vec(), query.clone(), swapped(query, &free)] {
                    server.send_to(&datagram, from).unwrap();
                }
                server.send_to(&reply(query)[..20], from).unwrap();
            }
            server.send_to(&swapped(&first, &second), from).unwrap();
            server.send_to(&swapped(&second, &first), from).unwrap();
            for query in [first, second].iter().filter(|_| also) {
                server.send_to(&reply(query), from).unwrap();
                // Once more: the question is answered already.
                server.send_to(&reply(query), from).unwrap();
            }
        })
    };
    let thread = honest(false);
    let (one, two) = tokio::join!(ask(&udp, 1, SHORT), ask(&udp, 2, SHORT));
    assert!(matches!((one, two), (Err(TransportError::Timeout(_)), Err(TransportError::Timeout(_)))));
    thread.join().unwrap();
    let thread = honest(true);
    let (one, two) = tokio::join!(ask(&udp, 1, LONG), ask(&udp, 2, LONG));
    assert_eq!((one.unwrap().rcode, two.unwrap().rcode), (1, 2));
    thread.join().unwrap();
}

#[tokio::test]
async fn a_question_that_is_given_up_frees_its_id_and_its_late_reply_disturbs_nobody() {
    let (server, address) = server();
    let udp = Udp::new(address);
    let ids_taken = |udp: &Udp| lock(&udp.open)[0].shared.waiting().questions.len();
    {
        let mut asking = Box::pin(ask(&udp, 1, LONG));
        assert!(tokio::time::timeout(SHORT, &mut asking).await.is_err());
        assert_eq!(ids_taken(&udp), 1);
    }
    assert_eq!(ids_taken(&udp), 0);
    let (late, from) = receive(&server);
    let thread = std::thread::spawn(move || {
        let (query, same) = receive(&server);
        assert_eq!(from, same, "one socket");
        server.send_to(&reply(&late), from).unwrap();
        server.send_to(&reply(&query), from).unwrap();
    });
    assert_eq!(ask(&udp, 2, LONG).await.unwrap().rcode, 2);
    assert_eq!(ids_taken(&udp), 0);
    thread.join().unwrap();
}

#[tokio::test]
async fn after_silence_the_port_is_another() {
    let (server, address) = server();
    let udp = Udp::new(address);
    assert!(ask(&udp, 1, SHORT).await.is_err());
    assert!(ask(&udp, 1, SHORT).await.is_err());
    let ((_, first), (_, second)) = (receive(&server), receive(&server));
    assert_ne!(first, second);
}

#[tokio::test]
async fn when_nobody_listens_all_who_wait_are_told() {
    let (socket, address) = server();
    drop(socket);
    let udp = Arc::new(Udp::new(address));
    let begun = Instant::now();
    let mut under_way = JoinSet::new();
    for number in 0..8 {
        let udp = udp.clone();
        under_way.spawn(async move { ask(&udp, number, LONG).await });
    }
    while let Some(outcome) = under_way.join_next().await {
        let error = outcome.unwrap().unwrap_err();
        assert!(
            matches!(&error, TransportError::Io(_, e) if e.kind() == ErrorKind::ConnectionRefused),
            "{error}"
        );
    }
    assert!(begun.elapsed() < RESEND);
}

#[test]
fn it_works_in_one_runtime_after_another() {
    let (address, _) = replying();
    let (silent, at_silent) = server();
    let (udp, unanswered) = (Udp::new(address), Arc::new(Udp::new(at_silent)));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let one = runtime();
    for number in 0..20 {
        one.block_on(ask(&udp, number, LONG)).unwrap();
    }
    // Another while the first is there, and after it has gone with a question under way.
    runtime().block_on(ask(&udp, 1, LONG)).unwrap();
    let waits = unanswered.clone();
    one.spawn(async move { ask(&waits, 1, LONG).await });
    one.block_on(settled());
    drop(one);
    let two = runtime();
    two.block_on(ask(&udp, 2, LONG)).unwrap();
    let waits = unanswered.clone();
    let asking = two.spawn(async move { ask(&waits, 3, LONG).await.map(|reply| reply.rcode) });
    two.block_on(settled());
    let (first, _) = receive(&silent);
    let (second, from) = receive(&silent);
    assert_ne!(first[12..], second[12..]);
    silent.send_to(&reply(&second), from).unwrap();
    assert_eq!(two.block_on(asking).unwrap().unwrap(), 3);
}

#[test]
fn after_one_that_waited_in_vain_the_next_ones_do_not_wait() {
    const SILENCE: Duration = Duration::from_secs(1);
    let udp = Udp::new((Ipv4Addr::LOCALHOST, 53).into());
    assert_eq!(udp.patience(SILENCE), SILENCE);
    udp.was_silent();
    assert!((0..IMPATIENT).all(|_| udp.patience(SILENCE).is_zero()));
    assert_eq!(udp.patience(SILENCE), SILENCE, "and then it is tried again");
}
