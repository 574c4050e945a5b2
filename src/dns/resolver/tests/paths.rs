//! Where one way leads to an answer, it is found within the deadline, whatever stands beside it.

use std::sync::atomic::AtomicUsize;

use super::*;

const OPT: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0];

/// A reply with an OPT record: from somebody who knows EDNS.
fn with_edns(query: &[u8], flags: u16) -> Vec<u8> {
    let mut reply = reply(query, flags);
    reply[11] = 1;
    [&reply, &OPT[..]].concat()
}

fn good() -> Answers {
    Arc::new(|query, _| vec![with_edns(query, GOOD)])
}

/// Fails alone, and does not matter beside a server that is good, in either place.
async fn matters_only_alone(failing: Answers) {
    let (failing, good) = (server(failing).await, server(good()).await);
    let (outcome, took) = ask(vec![failing], SHORT).await;
    assert!(outcome.is_err() && took < LONG / 2, "{outcome:?} {took:?}");
    for servers in [vec![failing, good], vec![good, failing]] {
        let (outcome, took) = ask(servers, LONG).await;
        assert!(outcome.unwrap().edns);
        assert!(took < LONG / 2, "{took:?}");
    }
}

#[tokio::test]
async fn one_that_fails_beside_a_good_one() {
    const SERVFAIL: u16 = 2;
    const FORMERR: u16 = 1;
    matters_only_alone(Arc::new(|_, _| Vec::new())).await;
    matters_only_alone(Arc::new(|query, _| vec![reply(query, GOOD | SERVFAIL)])).await;
    matters_only_alone(Arc::new(|query, _| vec![reply(query, GOOD | FORMERR)])).await;
    matters_only_alone(Arc::new(|query, _| garbage(query))).await;
    // Truncated, and nothing but silence or garbage over TCP.
    matters_only_alone(Arc::new(|query, tcp| if tcp { vec![] } else { vec![reply(query, TRUNCATED)] })).await;
    matters_only_alone(Arc::new(|query, tcp| match tcp {
        true => garbage(query),
        false => vec![reply(query, TRUNCATED)],
    }))
    .await;
}

#[tokio::test]
async fn truncated_and_nobody_at_the_tcp_port() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let cut = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 2048];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&reply(&buffer[..length], TRUNCATED), peer).await;
        }
    });
    let (outcome, took) = ask(vec![cut], LONG).await;
    assert!(outcome.unwrap_err().contains("refused"));
    assert!(took < LONG / 2, "asking again changes nothing");
    let (outcome, took) = ask(vec![cut, server(good()).await], LONG).await;
    assert!(outcome.is_ok() && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn a_tcp_connection_that_stalls_is_not_the_last() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    let stalls_once: Answers = Arc::new(move |query, tcp| match tcp {
        false => vec![reply(query, TRUNCATED)],
        true if counter.fetch_add(1, Ordering::Relaxed) == 0 => Vec::new(),
        true => vec![with_edns(query, GOOD)],
    });
    let (outcome, took) = ask(vec![server(stalls_once).await], LONG).await;
    assert!(outcome.is_ok() && took < LONG / 2, "{took:?}");
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    // One that is slow, and not stalled, is heard.
    let slow: Answers = Arc::new(move |query, tcp| match tcp {
        false => vec![reply(query, TRUNCATED)],
        true => {
            std::thread::sleep(TCP_PATIENCE / 2);
            vec![with_edns(query, GOOD)]
        }
    });
    assert!(ask(vec![server(slow).await], LONG).await.0.is_ok());
}

#[tokio::test]
async fn a_server_without_edns_is_asked_in_vain_if_another_knows_it() {
    let plain: Answers = Arc::new(|query, _| vec![reply(query, GOOD)]);
    let plain = server(plain).await;
    let (outcome, _) = ask(vec![plain], LONG).await;
    assert!(!outcome.unwrap().edns, "better than nothing");
    let (outcome, took) = ask(vec![plain, server(good()).await], LONG).await;
    assert!(outcome.unwrap().edns && took < LONG / 2);
    let silent: Answers = Arc::new(|_, _| Vec::new());
    let (outcome, took) = ask(vec![plain, server(silent).await], LONG).await;
    assert!(!outcome.unwrap().edns && took < LONG / 2);
}

#[tokio::test]
async fn garbage_for_ever_takes_no_more_than_its_turn() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let hostile = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 2048];
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        loop {
            for datagram in garbage(&buffer[..length]) {
                let _ = socket.send_to(&datagram, peer).await;
            }
            tokio::task::yield_now().await;
        }
    });
    let (outcome, took) = ask(vec![hostile], SHORT).await;
    assert!(outcome.unwrap_err().contains("in time") && took < LONG / 2, "{took:?}");
    let (outcome, took) = ask(vec![hostile, server(good()).await], LONG).await;
    assert!(outcome.is_ok() && took < LONG / 2, "{took:?}");
}

#[tokio::test]
async fn a_second_opinion_begins_elsewhere() {
    let (one, two) = (server(good()).await, server(good()).await);
    let resolver = Resolver::new(vec![one, two]).unwrap();
    let another = resolver.another(0);
    another.ask(&question(), false, Instant::now() + LONG).await.unwrap();
    assert_eq!((resolver.place(), another.place()), (0, 1));
    resolver.prefer(&another);
    assert_eq!((resolver.place(), resolver.another(1).place()), (1, 0));
    // Who began with the bad one and comes later is not led back there.
    assert_eq!(resolver.another(0).place(), 1);
    assert_eq!(Resolver::new(vec![one]).unwrap().another(0).place(), 0);
}

#[tokio::test]
async fn a_late_reply_does_not_make_its_server_the_first_again() {
    let late: Answers = Arc::new(|query, _| vec![with_edns(query, GOOD)]);
    let resolver = Resolver::new(vec![server(late).await, server(good()).await]).unwrap();
    let asked = question();
    let mut asking = std::pin::pin!(resolver.ask(&asked, true, Instant::now() + LONG));
    // It is sent, and the reply is not looked at before another has been found to be better.
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(asking.as_mut().poll(cx).is_pending())).await);
    resolver.prefer(&resolver.another(0));
    assert!(asking.await.is_ok());
    assert_eq!(resolver.place(), 1);
}

#[tokio::test]
async fn where_no_datagram_comes_through_tcp_is_a_way() {
    let by_tcp = |counted: Arc<AtomicUsize>, udp: bool| -> Answers {
        Arc::new(move |query, tcp| match tcp {
            true => {
                counted.fetch_add(1, Ordering::Relaxed);
                vec![with_edns(query, GOOD)]
            }
            false if udp => vec![with_edns(query, GOOD)],
            false => Vec::new(),
        })
    };
    let connections = Arc::new(AtomicUsize::new(0));
    let resolver = Resolver::new(vec![server(by_tcp(connections.clone(), false)).await]).unwrap();
    for patient in [true, false] {
        let begun = Instant::now();
        assert!(resolver.ask(&question(), true, begun + LONG).await.unwrap().edns);
        // The next question goes both ways at once.
        assert_eq!(begun.elapsed() >= FIRST_WAIT_ALONE / 2, patient, "{:?}", begun.elapsed());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    let none = || by_tcp(Arc::default(), false);
    let (outcome, took) = ask(vec![server(none()).await, server(none()).await], LONG).await;
    assert!(outcome.is_ok(), "{outcome:?} after {took:?}");
    // Whoever answers by datagrams is asked for nothing else, though it comes second.
    let connections = Arc::new(AtomicUsize::new(0));
    let both = server(by_tcp(connections.clone(), true)).await;
    for servers in [vec![both], vec![server(none()).await, both]] {
        assert!(ask(servers, LONG).await.0.is_ok());
    }
    assert_eq!(connections.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn where_datagrams_are_rejected_tcp_is_the_way_at_once() {
    let rejecting = async |answers: Answers| {
        let (udp, tcp) = bound().await;
        // A connected socket is for its peer alone: the system rejects what comes from others.
        udp.connect((Ipv4Addr::LOCALHOST, 9)).await.unwrap();
        let address = udp.local_addr().unwrap();
        serve(udp, tcp, answers);
        address
    };
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    let counted: Answers = Arc::new(move |query, tcp| {
        assert!(tcp);
        counter.fetch_add(1, Ordering::Relaxed);
        vec![with_edns(query, GOOD)]
    });
    let rejects = rejecting(counted).await;
    for servers in [vec![rejects], vec![rejects, server(good()).await]] {
        let (outcome, took) = ask(servers, LONG).await;
        // Sooner than where nothing comes back; and by the first of two, as the count shows.
        assert!(outcome.unwrap().edns && took < FIRST_WAIT_ALONE / 2, "{took:?}");
    }
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    // Where nothing comes that way either, the next one is asked after its turn.
    let silent = rejecting(Arc::new(|_, _| Vec::new())).await;
    let (outcome, took) = ask(vec![silent, server(good()).await], LONG).await;
    assert!(outcome.unwrap().edns && took < LONG / 2, "{took:?}");
    let (outcome, took) = ask(vec![silent], SHORT).await;
    assert!(outcome.unwrap_err().contains("refused") && took < LONG / 2, "{took:?}");
}
