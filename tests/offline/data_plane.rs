//! The octets of a relayed connection, with whatever clients hand to their ProxyCommand: pipes, socket pairs, one
//! socket pair for both, files. The host is one that policy passes, so that every octet counts from the first on.

mod world;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use self::world::{CLIENTS, Client, MUCH, Proxy, World, octets, receive, send, world};

#[test]
fn much_passes_both_ways_at_once_and_each_end_is_passed_on() {
    let (up, down) = (octets(1), octets(2));
    for client in CLIENTS {
        let World { to, from, server, mut proxy } = world(client);
        let (at_server, at_client) = (receive(server.try_clone().unwrap()), receive(from));
        let (sending, serving) = (send(to, &up), send(server, &down));
        sending.join().unwrap().close();
        // The client has ended its octets; the server knows, and is heard all the same.
        assert!(at_server.join().unwrap() == *up, "{client:?}");
        let mut server = serving.join().unwrap();
        server.write_all(b"last").unwrap();
        drop(server);
        assert!(proxy.ends().success());
        drop(proxy);
        assert!(at_client.join().unwrap() == [&down[..], b"last"].concat(), "{client:?}");
    }
}

#[test]
fn a_server_that_reads_no_more_is_heard_to_its_end() {
    let down = octets(3);
    for client in CLIENTS {
        let World { mut to, from, server, mut proxy } = world(client);
        server.shutdown(Shutdown::Read).unwrap();
        let at_client = receive(from);
        let _ = to.write_all(b"nobody reads this");
        // Closing with octets unread would be a reset (RFC 2525 section 2.17).
        let server = send(server, &down).join().unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        assert!(proxy.ends().success());
        drop((proxy, to));
        assert!(at_client.join().unwrap() == *down, "{client:?}");
    }
}

#[test]
fn a_slow_reader_holds_the_other_side_back_and_nothing_is_hoarded() {
    let small = octets(4);
    for client in CLIENTS {
        let World { to, mut from, mut server, proxy } = world(client);
        // Down: the client reads nothing until the server can write no more.
        server.set_nonblocking(true).unwrap();
        let (mut sent, mut blocked) = (0, None);
        while blocked.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(300)) {
            match server.write(&small[sent..]) {
                Ok(length) => (sent, blocked) = (sent + length, None),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    blocked.get_or_insert_with(Instant::now);
                    thread::sleep(Duration::from_millis(10));
                }
                Err(e) => panic!("{e}"),
            }
            assert!(sent < small.len(), "{client:?}: it never was held back");
        }
        proxy.rests();
        let mut read = vec![0; sent];
        from.read_exact(&mut read).unwrap();
        assert!(read == small[..sent], "{client:?}");
        proxy.rests();
        // Up: the server reads nothing for a while, and the client is held back; then everything comes.
        server.set_nonblocking(false).unwrap();
        let sending = send(to, &small);
        thread::sleep(Duration::from_millis(300));
        proxy.rests();
        assert!(!sending.is_finished(), "{client:?}: it never was held back");
        let mut read = vec![0; small.len()];
        server.read_exact(&mut read).unwrap();
        assert!(read == *small, "{client:?}");
        sending.join().unwrap();
    }
}

#[test]
fn a_slow_writer_is_waited_for_without_work() {
    for client in CLIENTS {
        let World { mut to, mut from, mut server, mut proxy } = world(client);
        for octet in 0..20 {
            thread::sleep(Duration::from_millis(5));
            to.write_all(&[octet]).unwrap();
            let mut read = [0];
            server.read_exact(&mut read).unwrap();
            server.write_all(&read).unwrap();
            from.read_exact(&mut read).unwrap();
            assert_eq!(read, [octet]);
        }
        assert!(proxy.ticks() < 20, "{client:?}");
        proxy.rests();
        // The client is killed: the server is told, and closes as servers do.
        drop((to, from));
        assert_eq!(server.read(&mut [0]).unwrap(), 0, "{client:?}");
        proxy.rests();
        drop(server);
        assert!(proxy.ends().success(), "{client:?}");
    }
}

#[test]
fn a_client_that_is_gone_ends_a_server_that_goes_on() {
    for client in CLIENTS {
        let World { to, from, mut server, mut proxy } = world(client);
        drop((to, from));
        while server.write_all(&[0; 100_000]).is_ok() {}
        // By itself, not by a signal.
        assert_eq!(proxy.ends().signal(), None, "{client:?}");
    }
}

#[test]
fn the_signals_that_clients_send_end_it() {
    use rustix::process::{Pid, Signal, kill_process};
    for signal in [Signal::HUP, Signal::TERM] {
        let World { to, from, mut server, mut proxy } = world(Client::Pipes);
        kill_process(Pid::from_child(&proxy.child), signal).unwrap();
        assert_eq!(proxy.ends().signal(), Some(signal.as_raw()));
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        drop((to, from));
    }
}

#[test]
fn a_server_that_resets_has_ended() {
    for client in CLIENTS {
        let World { mut to, from, mut server, mut proxy } = world(client);
        let at_client = receive(from);
        server.write_all(b"hello").unwrap();
        // It is there, and unread: closing is a reset then (RFC 2525 section 2.17).
        to.write_all(b"unread").unwrap();
        server.peek(&mut [0]).unwrap();
        drop(server);
        assert!(proxy.ends().success(), "{client:?}");
        drop(proxy);
        drop(to);
        assert!(b"hello".starts_with(&at_client.join().unwrap()), "{client:?}");
    }
}

#[test]
fn urgent_data_neither_stops_nor_spins() {
    for client in CLIENTS {
        let World { to, mut from, mut server, proxy } = world(client);
        server.write_all(b"before").unwrap();
        let mut read = [0; 6];
        from.read_exact(&mut read).unwrap();
        // splice(2) does not go past the mark. The urgent octet itself is not part of the stream.
        rustix::net::send(&server, b"u", rustix::net::SendFlags::OOB).unwrap();
        server.write_all(b"after.").unwrap();
        from.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"after.", "{client:?}");
        proxy.rests();
        drop(to);
    }
}

#[test]
fn urgent_data_amid_bulk_loses_nothing() {
    let down = octets(7);
    for client in CLIENTS {
        let World { to, from, mut server, mut proxy } = world(client);
        let at_client = receive(from);
        for part in down.chunks(MUCH / 8) {
            server.write_all(part).unwrap();
            rustix::net::send(&server, b"u", rustix::net::SendFlags::OOB).unwrap();
        }
        drop(server);
        assert!(proxy.ends().success());
        drop((proxy, to));
        let all = at_client.join().unwrap();
        let mut rest = &all[..];
        for part in down.chunks(MUCH / 8) {
            // An urgent octet that another one has overtaken is one of the stream.
            rest = rest
                .strip_prefix(part)
                .or_else(|| rest.strip_prefix(b"u")?.strip_prefix(part))
                .unwrap_or_else(|| {
                    panic!("{client:?}: {} octets from the end", rest.len());
                });
        }
        assert!(rest.is_empty() || rest == b"u", "{client:?}");
    }
}

/// Clients may have set O_NONBLOCK on the very ends that they hand over.
#[test]
fn pipes_that_do_not_block_serve() {
    use rustix::fs::{OFlags, fcntl_setfl};
    let (up, down) = (octets(8), octets(9));
    let ((stdin, to), (from, stdout)) = (io::pipe().unwrap(), io::pipe().unwrap());
    fcntl_setfl(&stdin, OFlags::NONBLOCK).unwrap();
    fcntl_setfl(&stdout, OFlags::NONBLOCK).unwrap();
    let (mut proxy, server) = Proxy::start(stdin, stdout);
    proxy.rests();
    let at_server = receive(server.try_clone().unwrap());
    let serving = send(server, &down);
    // Nobody reads the one pipe for a while, and the other direction goes on.
    drop(send(to, &up).join().unwrap());
    assert!(at_server.join().unwrap() == *up);
    proxy.rests();
    let at_client = receive(from);
    drop(serving.join().unwrap());
    assert!(proxy.ends().success());
    drop(proxy);
    assert!(at_client.join().unwrap() == *down);
}

#[test]
fn a_client_that_reads_no_more_ends_it_though_its_upload_is_held_back() {
    for client in [Client::Pipes, Client::SocketAndPipe] {
        let World { mut to, from, mut server, mut proxy } = world(client);
        // The server reads nothing of this, until no more goes.
        let sending = thread::spawn(move || while to.write_all(&[0; 100_000]).is_ok() {});
        thread::sleep(Duration::from_millis(300));
        proxy.rests();
        drop(from);
        server.write_all(b"nobody reads this").unwrap();
        assert_eq!(proxy.ends().signal(), None, "{client:?}");
        drop(proxy);
        sending.join().unwrap();
    }
}

#[test]
fn a_hundred_mib_both_ways_at_once_are_what_they_were() {
    const PIECES: u32 = 1600;
    // No piece is like another, and both sides know them all.
    let piece = |seed: u32, number: u32| -> Vec<u8> {
        (0..16 * 1024u32)
            .flat_map(|i| (i ^ number.wrapping_mul(seed)).wrapping_mul(2_654_435_761).to_le_bytes())
            .collect()
    };
    let World { mut to, mut from, mut server, mut proxy } = world(Client::Pipes);
    let (mut from_client, to_server) = (
        server.try_clone().unwrap(),
        thread::spawn(move || {
            (0..PIECES).for_each(|number| to.write_all(&piece(3, number)).unwrap());
            to.close();
        }),
    );
    let at_server = thread::spawn(move || {
        let mut read = vec![0; 64 * 1024];
        for number in 0..PIECES {
            from_client.read_exact(&mut read).unwrap();
            assert!(read == piece(3, number), "up, {number}");
        }
        assert_eq!(from_client.read(&mut read).unwrap(), 0);
    });
    let to_client = thread::spawn(move || {
        (0..PIECES).for_each(|number| server.write_all(&piece(5, number)).unwrap());
        server
    });
    let mut read = vec![0; 64 * 1024];
    for number in 0..PIECES {
        from.read_exact(&mut read).unwrap();
        assert!(read == piece(5, number), "down, {number}");
    }
    to_server.join().unwrap();
    at_server.join().unwrap();
    let mut server = to_client.join().unwrap();
    server.write_all(b"last").unwrap();
    drop(server);
    let mut last = Vec::new();
    from.read_to_end(&mut last).unwrap();
    assert_eq!(last, b"last");
    assert!(proxy.ends().success());
}

/// Answers to so many questions, of this length each; then how much the client's pipe holds.
fn pipe_after(answers: usize, length: usize) -> usize {
    let ((stdin, mut to), (mut from, stdout)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let (_proxy, mut server) = Proxy::start(stdin, stdout);
    server.set_nodelay(true).unwrap();
    let (mut question, mut answer) = ([0; 8], vec![0; length]);
    for number in 0..answers {
        to.write_all(b"question").unwrap();
        server.read_exact(&mut question).unwrap();
        server.write_all(&vec![number as u8; length]).unwrap();
        from.read_exact(&mut answer).unwrap();
        assert!(answer.iter().all(|octet| *octet == number as u8));
    }
    rustix::pipe::fcntl_getpipe_size(&from).unwrap()
}

#[test]
fn the_clients_pipe_is_made_wide_for_bulk_data_and_left_as_it_is_without() {
    let (usual, _) = io::pipe().unwrap();
    let usual = rustix::pipe::fcntl_getpipe_size(&usual).unwrap();
    assert_eq!(pipe_after(100, 4000), usual);
    assert_eq!(pipe_after(10, 30_000), usual);
    assert!(pipe_after(100, 30_000) > usual);
}

#[test]
fn files_serve_as_standard_input_and_output() {
    let (up, down) = (octets(5), octets(6));
    let (mut stdin, mut stdout) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    stdin.write_all(&up).unwrap();
    stdin.rewind().unwrap();
    let (mut proxy, server) = Proxy::start(stdin, stdout.try_clone().unwrap());
    let at_server = receive(server.try_clone().unwrap());
    drop(send(server, &down).join().unwrap());
    assert!(at_server.join().unwrap() == *up);
    assert!(proxy.ends().success());
    let mut all = Vec::new();
    stdout.rewind().unwrap();
    stdout.read_to_end(&mut all).unwrap();
    assert!(all == *down);
    // And nothing: the server's octets are all there is.
    let (mut proxy, mut server) = Proxy::start(File::open("/dev/null").unwrap(), Stdio::piped());
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    server.write_all(b"hello").unwrap();
    drop(server);
    let mut heard = String::new();
    proxy.child.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
    assert!(proxy.ends().success());
}

/// What others hold too keeps its flags: a shell behind a pipe or a terminal would find its reads failing.
#[test]
fn what_others_hold_stays_blocking() {
    let (stdin, mut to) = io::pipe().unwrap();
    let (mut near, far) = UnixStream::pair().unwrap();
    let (of_stdin, of_stdout) = (stdin.try_clone().unwrap(), far.try_clone().unwrap());
    let (mut proxy, mut server) = Proxy::start(stdin, OwnedFd::from(far));
    to.write_all(b"up").unwrap();
    server.read_exact(&mut [0; 2]).unwrap();
    server.write_all(b"down").unwrap();
    near.read_exact(&mut [0; 4]).unwrap();
    for flags in [rustix::fs::fcntl_getfl(&of_stdin), rustix::fs::fcntl_getfl(&of_stdout)] {
        assert!(!flags.unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    }
    drop(server);
    assert!(proxy.ends().success());
}
