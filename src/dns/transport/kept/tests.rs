use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

async fn listener() -> (TcpListener, Arc<Connections>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connections = Arc::new(Connections::new(listener.local_addr().unwrap()));
    (listener, connections)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

async fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut message = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut message).await.unwrap();
    message
}

async fn answer(stream: &mut TcpStream, message: &[u8]) {
    let mut reply = message.to_vec();
    reply[2] |= 0x80;
    stream.write_u16(reply.len() as u16).await.unwrap();
    stream.write_all(&reply).await.unwrap();
}

/// An update with this id.
fn message(id: u16) -> Vec<u8> {
    [&id.to_be_bytes()[..], &[5 << 3, 0]].concat()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Asks under so many ids at the same time; the outcomes by id.
fn ask(
    connections: &Arc<Connections>,
    ids: std::ops::Range<u16>,
) -> JoinSet<(u16, Result<Vec<u8>, TransportError>)> {
    let mut asked = JoinSet::new();
    for id in ids {
        let connections = connections.clone();
        asked.spawn(async move { (id, connections.ask(&message(id), soon()).await) });
    }
    asked
}

#[tokio::test]
async fn a_connection_carries_one_message_after_another() {
    let (listener, connections) = listener().await;
    let serving = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        for _ in 0..3 {
            let message = read(&mut stream).await;
            answer(&mut stream, &message).await;
        }
    });
    for id in 0..3 {
        let reply = connections.ask(&message(id), soon()).await.unwrap();
        assert_eq!(reply[..2], id.to_be_bytes());
    }
    serving.await.unwrap();
}

#[tokio::test]
async fn replies_in_any_order_find_who_asked() {
    let (listener, connections) = listener().await;
    const MANY: u16 = 3 * CONNECTIONS as u16;
    tokio::spawn(async move {
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            streams.push(accept(&listener).await);
        }
        for stream in &mut streams {
            let mut read_so_far = Vec::new();
            for _ in 0..3 {
                read_so_far.push(read(stream).await);
            }
            // Neither a question, nor a reply of another kind, nor one to nobody counts.
            stream.write_all(&[&[0, 4][..], &read_so_far[0]].concat()).await.unwrap();
            let id = &read_so_far[0][..2];
            stream.write_all(&[&[0, 4][..], id, &[0x80, 0]].concat()).await.unwrap();
            answer(stream, &message(0xffff)).await;
            for message in read_so_far.iter().rev() {
                answer(stream, message).await;
            }
        }
        std::future::pending::<()>().await;
    });
    for (id, outcome) in ask(&connections, 0..MANY).join_all().await {
        assert_eq!(outcome.unwrap(), [&id.to_be_bytes()[..], &[0x80 | 5 << 3, 0]].concat());
    }
}

/// Of a thousand messages some have the id of one that was answered just before, and whose task has not run since.
#[tokio::test]
async fn an_id_is_anothers_once_whoever_asked_is_gone() {
    let (listener, _) = listener().await;
    let server = listener.local_addr().unwrap();
    let connection = Arc::new(Connection::open(server, Handle::current().id()).await.unwrap());
    let reply = [0, 7, 0x80 | 5 << 3, 0].to_vec();
    let mut first = connection.seat(7, 5).unwrap();
    connection.shared.deliver(reply.clone());
    assert!(connection.seat(7, 5).is_none(), "it is taken still");
    connection.shared.deliver(reply.clone());
    assert_eq!((&mut first.reply).await.unwrap().unwrap(), reply);
    drop(first);
    let mut second = connection.seat(7, 5).unwrap();
    connection.shared.deliver(reply.clone());
    assert_eq!((&mut second.reply).await.unwrap().unwrap(), reply);
    drop(second);
    assert!(!connection.shared.waiting().closed);
    // One that waits in vain takes the connection with it.
    drop(connection.seat(7, 5).unwrap());
    assert!(connection.shared.waiting().closed && connection.seat(8, 5).is_none());
}

#[tokio::test]
async fn nothing_is_sent_twice_and_the_next_message_gets_a_connection_of_its_own() {
    let (listener, connections) = listener().await;
    let serving = tokio::spawn(async move {
        // One message, and no more, on each.
        let mut seen = Vec::new();
        let mut first = accept(&listener).await;
        seen.push(read(&mut first).await);
        answer(&mut first, &seen[0]).await;
        // Sent over the one that is there, which then goes.
        seen.push(read(&mut first).await);
        drop(first);
        for _ in 0..2 {
            let mut stream = accept(&listener).await;
            let message = read(&mut stream).await;
            answer(&mut stream, &message).await;
            seen.push(message);
        }
        seen
    });
    connections.ask(&message(1), soon()).await.unwrap();
    let cut = connections.ask(&message(2), soon()).await;
    assert!(matches!(cut, Err(TransportError::Closed(_))), "{cut:?}");
    for id in [3, 4] {
        connections.ask(&message(id), soon()).await.unwrap();
    }
    assert_eq!(serving.await.unwrap(), [1, 2, 3, 4].map(message));
}

#[tokio::test]
async fn a_connection_that_ends_while_nobody_waits_is_no_error() {
    let (listener, connections) = listener().await;
    let (closed, mut is_closed) = oneshot::channel();
    tokio::spawn(async move {
        let mut first = accept(&listener).await;
        let message = read(&mut first).await;
        answer(&mut first, &message).await;
        drop(first);
        closed.send(()).unwrap();
        let mut second = accept(&listener).await;
        let message = read(&mut second).await;
        answer(&mut second, &message).await;
        std::future::pending::<()>().await;
    });
    connections.ask(&message(1), soon()).await.unwrap();
    (&mut is_closed).await.unwrap();
    // Until its reader has seen it.
    while !connections.open.lock().await[0].shared.waiting().closed {
        tokio::task::yield_now().await;
    }
    connections.ask(&message(2), soon()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_never_answers_is_told_as_before() {
    let (listener, connections) = listener().await;
    let serving = tokio::spawn(async move {
        let mut stream = accept(&listener).await;
        read(&mut stream).await;
        drop(stream);
        // Silent; kept open.
        accept(&listener).await
    });
    let cut = connections.ask(&message(1), soon()).await;
    assert!(matches!(cut, Err(TransportError::Io(..))), "{cut:?}");
    let late = connections.ask(&message(2), Instant::now() + Duration::from_millis(50)).await;
    assert!(matches!(late, Err(TransportError::Timeout(_))), "{late:?}");
    // Where one waited in vain no other waits.
    assert!(connections.open.lock().await[0].shared.waiting().closed);
    drop(serving.await.unwrap());
    let nobody = connections.ask(&message(3), soon()).await;
    assert!(matches!(nobody, Err(TransportError::Io(..))), "{nobody:?}");
}
