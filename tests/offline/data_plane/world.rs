//! A proxy that runs between a server and what clients hand to their ProxyCommand.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);
/// More than all the buffers on the way hold.
pub const MUCH: usize = 24_000_000;

/// A running `sshanchor proxy`, ended with its guard.
pub struct Proxy {
    pub child: Child,
    _home: TempDir,
}

impl Proxy {
    /// With the server's end of its connection.
    pub fn start(stdin: impl Into<Stdio>, stdout: impl Into<Stdio>) -> (Proxy, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config.toml");
        std::fs::write(&config, "version = 1\n[[host]]\nmatch = \"127.*\"\nmode = \"pass\"\n").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshanchor"));
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("SSHANCHOR_")) {
            command.env_remove(name);
        }
        command.env("HOME", home.path()).env("SSHANCHOR_CACHE", "off").env("SSHANCHOR_CONFIG", config);
        command.args(["proxy", "127.0.0.1", &listener.local_addr().unwrap().port().to_string()]);
        let child = command.stdin(stdin).stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
        let mut proxy = Proxy { child, _home: home };
        listener.set_nonblocking(true).unwrap();
        loop {
            match listener.accept() {
                Ok((server, _)) => {
                    server.set_nonblocking(false).unwrap();
                    return (proxy, server);
                }
                Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
            }
            assert_eq!(proxy.child.try_wait().unwrap(), None, "it never came");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Its exit, which has to come.
    pub fn ends(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < LIMIT, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Processor time that it has used so far, in ticks of a hundredth of a second.
    pub fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// It waits, and does not spin.
    #[track_caller]
    pub fn rests(&self) {
        let before = self.ticks();
        thread::sleep(Duration::from_millis(400));
        let used = self.ticks() - before;
        assert!(used <= 3, "{used} ticks while nothing could be done");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a client gives to its ProxyCommand.
#[derive(Debug, Clone, Copy)]
pub enum Client {
    /// ssh, paramiko.
    Pipes,
    /// asyncssh: its standard input is a socket.
    SocketAndPipe,
    /// One socket pair for both.
    Socket,
    /// TCP, as from inetd.
    Tcp,
}

pub const CLIENTS: [Client; 4] = [Client::Pipes, Client::SocketAndPipe, Client::Socket, Client::Tcp];

/// The client's own two ends, and the server's.
pub struct World {
    pub to: Box<dyn WriteEnd>,
    pub from: Box<dyn Read + Send>,
    pub server: TcpStream,
    pub proxy: Proxy,
}

pub trait WriteEnd: Write + Send {
    /// Says that there are no more octets.
    fn close(self: Box<Self>) {}
}

impl WriteEnd for io::PipeWriter {}

impl WriteEnd for UnixStream {
    fn close(self: Box<Self>) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl WriteEnd for TcpStream {
    fn close(self: Box<Self>) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

pub fn world(client: Client) -> World {
    let (to, from, (proxy, server)): (Box<dyn WriteEnd>, Box<dyn Read + Send>, _) = match client {
        Client::Pipes => {
            let ((stdin, to), (from, stdout)) = (io::pipe().unwrap(), io::pipe().unwrap());
            (Box::new(to), Box::new(from), Proxy::start(stdin, stdout))
        }
        Client::SocketAndPipe => {
            let ((stdin, to), (from, stdout)) = (UnixStream::pair().unwrap(), io::pipe().unwrap());
            (Box::new(to), Box::new(from), Proxy::start(OwnedFd::from(stdin), stdout))
        }
        Client::Socket => {
            let (near, far) = UnixStream::pair().unwrap();
            let (stdin, stdout) = (OwnedFd::from(far.try_clone().unwrap()), OwnedFd::from(far));
            (Box::new(near.try_clone().unwrap()), Box::new(near), Proxy::start(stdin, stdout))
        }
        Client::Tcp => {
            let (near, far) = tcp_pair();
            let (stdin, stdout) = (OwnedFd::from(far.try_clone().unwrap()), OwnedFd::from(far));
            (Box::new(near.try_clone().unwrap()), Box::new(near), Proxy::start(stdin, stdout))
        }
    };
    World { to, from, server, proxy }
}

pub fn octets(seed: u32) -> Arc<Vec<u8>> {
    Arc::new((0..MUCH as u32).map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect())
}

/// Writes all of it in pieces of many sizes.
pub fn send<W: Write + Send + 'static>(mut to: W, octets: &Arc<Vec<u8>>) -> JoinHandle<W> {
    let octets = octets.clone();
    thread::spawn(move || {
        let (mut rest, mut size) = (&octets[..], 1);
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(size.min(rest.len()));
            to.write_all(piece).unwrap();
            (rest, size) = (more, size * 7 % 400_009 + 1);
        }
        to
    })
}

/// Reads to the end.
pub fn receive<R: Read + Send + 'static>(mut from: R) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}
