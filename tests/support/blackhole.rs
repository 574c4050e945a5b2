//! An address at which nobody answers, without leaving loopback: a listener whose queue is full drops what comes.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

/// A silent address, while it lives.
#[derive(Debug)]
pub struct Blackhole {
    _listener: OwnedFd,
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    /// Nobody answers at `address` any more.
    pub fn at(address: SocketAddr) -> Blackhole {
        let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let listener = socket(family, SocketType::STREAM, None).unwrap();
        bind(&listener, &address).unwrap();
        listen(&listener, 0).unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queued.push(stream);
            assert!(queued.len() < 50, "{address} answers for ever");
        }
        Blackhole { _listener: listener, _queued: queued }
    }
}
