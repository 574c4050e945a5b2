//! A relay between a client and a resolver that may change every reply, over UDP and TCP. The same
//! relay serves forgeries and their honest twins.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::namespace::needs_root;
use super::port::Port;
use super::wire::{Dns, TC};

/// What clients accept over UDP, in octets.
const UDP_PAYLOAD: usize = 1232;
/// How long upstream has for a reply.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many connections are kept: unbound has ten for all.
const MAX_IDLE: usize = 4;
/// Types of transfers (RFC 5936, RFC 1995).
const AXFR: u16 = 252;
const IXFR: u16 = 251;

/// How the question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// What goes back to the client, in order. An empty list is silence.
#[derive(Debug, Clone)]
pub enum Forged {
    /// This message, framed as the transport wants it; over UDP cut short beyond [`UDP_PAYLOAD`].
    Send(Vec<u8>),
    /// These octets without a frame of their own, over TCP; a datagram over UDP.
    Raw(Vec<u8>),
    /// Nothing for so long.
    Wait(Duration),
    /// TCP ends here.
    Close,
}

/// A question and the resolver's honest reply.
#[derive(Debug)]
pub struct Exchange {
    pub transport: Transport,
    pub question: Vec<u8>,
    pub reply: Vec<u8>,
}

impl Exchange {
    /// The reply, taken apart.
    pub fn message(&self) -> Dns {
        Dns::read(&self.reply)
    }
}

type Rule = dyn Fn(&Exchange) -> Vec<Forged> + Send + Sync;

struct Shared {
    upstream: SocketAddr,
    rule: Mutex<Arc<Rule>>,
    asked: Mutex<Vec<(Transport, Dns)>>,
    /// Connections to upstream on which nothing is under way.
    idle: Mutex<Vec<TcpStream>>,
    stop: AtomicBool,
}

/// A running relay, ended when dropped.
pub struct Forger {
    addr: SocketAddr,
    udp: UdpSocket,
    shared: Arc<Shared>,
    /// Nobody else is given it.
    _port: Option<Port>,
}

impl Forger {
    /// A relay to `upstream` that changes nothing yet.
    pub fn start(upstream: SocketAddr) -> Forger {
        // A process that another thread is just starting holds all sockets of this one for a moment, that by which the
        // port was found to be free included.
        let bound = (0..50).find_map(|_| {
            let port = Port::free();
            Some((sockets(port.addr())?, port))
        });
        let (sockets, port) = bound.unwrap();
        let mut forger = Forger::serve(upstream, sockets);
        forger._port = Some(port);
        forger
    }

    /// The same on port 53 of a loopback address of its own, where a resolv.conf can send a client. Takes root.
    #[track_caller]
    pub fn start_on_port_53(upstream: SocketAddr) -> Forger {
        needs_root();
        let first = std::process::id();
        let bound = (0..50).find_map(|next| {
            let [.., a, b] = (first + next * 257).to_be_bytes();
            sockets((Ipv4Addr::new(127, 53, a, b.clamp(1, 254)), 53).into())
        });
        Forger::serve(upstream, bound.unwrap())
    }

    fn serve(upstream: SocketAddr, (udp, tcp): (UdpSocket, TcpListener)) -> Forger {
        let honest: Arc<Rule> = Arc::new(|exchange: &Exchange| vec![Forged::Send(exchange.reply.clone())]);
        let shared = Arc::new(Shared {
            upstream,
            rule: Mutex::new(honest),
            asked: Mutex::default(),
            idle: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let addr = udp.local_addr().unwrap();
        let (a, b) = (Arc::clone(&shared), Arc::clone(&shared));
        let datagrams = udp.try_clone().unwrap();
        thread::spawn(move || serve_udp(&datagrams, &a));
        thread::spawn(move || serve_tcp(&tcp, &b));
        Forger { addr, udp, shared, _port: None }
    }

    /// Where clients ask.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on replies as `rule` says.
    pub fn rule(&self, rule: impl Fn(&Exchange) -> Vec<Forged> + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
        self.shared.asked.lock().unwrap().clear();
    }

    /// From now on passes replies on after `change`.
    pub fn change(&self, change: impl Fn(&mut Dns) + Send + Sync + 'static) {
        self.rule(move |exchange| {
            let mut message = exchange.message();
            change(&mut message);
            vec![Forged::Send(message.write())]
        });
    }

    /// From now on changes nothing.
    pub fn honest(&self) {
        self.rule(|exchange| vec![Forged::Send(exchange.reply.clone())]);
    }

    /// From now on the system rejects datagrams (ICMP: port unreachable), as a firewall does: a connected socket is for its
    /// peer alone, which is this one itself.
    pub fn reject_datagrams(&self) {
        self.udp.connect(self.addr).unwrap();
    }

    /// The questions since the rule was set.
    pub fn asked(&self) -> Vec<(Transport, Dns)> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Forger {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes both threads.
        let _ = TcpStream::connect(self.addr());
        let _ = self.udp.send_to(&[], self.addr());
    }
}

fn sockets(addr: SocketAddr) -> Option<(UdpSocket, TcpListener)> {
    Some((UdpSocket::bind(addr).ok()?, TcpListener::bind(addr).ok()?))
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Asks upstream, over TCP so that replies are whole, and applies the rule.
    fn answer(&self, transport: Transport, question: Vec<u8>) -> Vec<Forged> {
        if question.len() < 12 {
            return Vec::new();
        }
        let asked = Dns::read(&question);
        let is_transfer = matches!(asked.rtype, AXFR | IXFR);
        self.asked.lock().unwrap().push((transport, asked));
        let reply = if is_transfer { ask_tcp(self.upstream, &question) } else { self.ask(&question) };
        let Some(reply) = reply else { return Vec::new() };
        let rule = Arc::clone(&self.rule.lock().unwrap());
        rule(&Exchange { transport, question, reply })
    }

    /// Asks on a connection that an earlier question left open: a new one for each is more than a busy server's listen
    /// queue takes. What is answered by several messages leaves some behind, so transfers are not for this.
    fn ask(&self, question: &[u8]) -> Option<Vec<u8>> {
        let idle = self.idle.lock().unwrap().pop();
        let used = idle.and_then(|mut stream| Some((ask_on(&mut stream, question)?, stream)));
        let (reply, stream) = used.or_else(|| {
            let mut stream = connect(self.upstream)?;
            Some((ask_on(&mut stream, question)?, stream))
        })?;
        let mut idle = self.idle.lock().unwrap();
        if idle.len() < MAX_IDLE {
            idle.push(stream);
        }
        Some(reply)
    }
}

fn serve_udp(socket: &UdpSocket, shared: &Arc<Shared>) {
    let mut buffer = [0; 65_535];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        if shared.stopped() {
            break;
        }
        let question = buffer[..length].to_vec();
        let (socket, shared) = (socket.try_clone().unwrap(), Arc::clone(shared));
        thread::spawn(move || {
            for forged in shared.answer(Transport::Udp, question) {
                match forged {
                    Forged::Send(message) => drop(socket.send_to(&cut(message), client)),
                    Forged::Raw(octets) => drop(socket.send_to(&octets, client)),
                    Forged::Wait(time) => thread::sleep(time),
                    Forged::Close => {}
                }
            }
        });
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped() {
            break;
        }
        let (Ok(mut stream), shared) = (stream, Arc::clone(shared)) else { continue };
        thread::spawn(move || {
            while let Some(question) = read_framed(&mut stream) {
                for forged in shared.answer(Transport::Tcp, question) {
                    match forged {
                        Forged::Send(message) => drop(stream.write_all(&framed(&message))),
                        Forged::Raw(octets) => drop(stream.write_all(&octets)),
                        Forged::Wait(time) => thread::sleep(time),
                        Forged::Close => return,
                    }
                }
            }
        });
    }
}

/// As a server answers that has more than fits: without records, TC set.
fn cut(message: Vec<u8>) -> Vec<u8> {
    if message.len() <= UDP_PAYLOAD { message } else { truncated(&message) }
}

/// The message without records, TC set.
pub fn truncated(message: &[u8]) -> Vec<u8> {
    let whole = Dns::read(message);
    Dns { flags: whole.flags | TC, additional: Vec::new(), ..whole.answered(Vec::new()) }.write()
}

/// A message with its length before it, as TCP wants it (RFC 1035 section 4.2.2).
pub fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// Asks over TCP and gives the reply, whatever it is.
pub fn ask_tcp(server: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    ask_on(&mut connect(server)?, question)
}

fn connect(server: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(server).ok()?;
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    Some(stream)
}

fn ask_on(stream: &mut TcpStream, question: &[u8]) -> Option<Vec<u8>> {
    stream.write_all(&framed(question)).ok()?;
    read_framed(stream)
}
