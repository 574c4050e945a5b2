//! One DNS message out, one in: connected UDP sockets with random ports, TCP where UDP is cut short.
//! Nothing here believes anything: replies are matched to questions, proofs are made elsewhere.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

/// Largest DNS message, in octets (16-bit length over TCP, RFC 1035 section 4.2.2).
pub const MAX_MESSAGE: usize = 65_535;
/// UDP payload size that is offered (EDNS), in octets: avoids fragments (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;

/// How often a datagram is sent.
const MAX_SENDS: u32 = 3;

/// Why no reply came.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Nothing fitting arrived in time.
    #[error("no answer from {0} in time")]
    Timeout(SocketAddr),
    /// The system said no: unreachable, refused, reset.
    #[error("cannot talk to {0}: {1}")]
    Io(SocketAddr, std::io::Error),
    /// A message longer than TCP can carry.
    #[error("a message of {0} octets does not fit")]
    TooLong(usize),
}

/// Sends `message` over UDP and waits until `deadline` for a datagram that `fits`; others are dropped
/// unseen, so that a forger has to guess right rather than first. Sends again after `resend`, and once
/// more after three times that.
pub async fn udp(
    server: SocketAddr,
    message: &[u8],
    deadline: Instant,
    resend: Duration,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, TransportError> {
    let io = |e| TransportError::Io(server, e);
    let local: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await.map_err(io)?;
    socket.connect(server).await.map_err(io)?;
    let mut buffer = vec![0; MAX_MESSAGE];
    for sends in 1..=MAX_SENDS {
        socket.send(message).await.map_err(io)?;
        let pause = resend * (2 * sends - 1);
        let until = if sends < MAX_SENDS { deadline.min(Instant::now() + pause) } else { deadline };
        loop {
            match timeout_at(until, socket.recv(&mut buffer)).await {
                Ok(Ok(length)) => {
                    if let Some(datagram) = buffer.get(..length).filter(|d| fits(d)) {
                        return Ok(datagram.to_vec());
                    }
                }
                Ok(Err(e)) => return Err(io(e)),
                Err(_) if Instant::now() >= deadline => return Err(TransportError::Timeout(server)),
                Err(_) => break,
            }
        }
    }
    Err(TransportError::Timeout(server))
}

/// Sends `message` over a TCP connection of its own and reads one reply that `fits`.
pub async fn tcp(
    server: SocketAddr,
    message: &[u8],
    deadline: Instant,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, TransportError> {
    let io = |e| TransportError::Io(server, e);
    let length = u16::try_from(message.len()).map_err(|_| TransportError::TooLong(message.len()))?;
    let exchange = async {
        let mut stream = TcpStream::connect(server).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        stream.write_all(&[&length.to_be_bytes(), message].concat()).await.map_err(io)?;
        loop {
            let length = stream.read_u16().await.map_err(io)?;
            let mut reply = vec![0; usize::from(length)];
            stream.read_exact(&mut reply).await.map_err(io)?;
            if fits(&reply) {
                return Ok(reply);
            }
        }
    };
    timeout_at(deadline, exchange).await.unwrap_or(Err(TransportError::Timeout(server)))
}
