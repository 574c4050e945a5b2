//! One DNS message out, one in: connected UDP sockets with random ports, TCP where UDP is cut short.
//! Nothing here believes anything: replies are matched to questions, proofs are made elsewhere.

mod kept;
mod udp;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout, timeout_at};

pub use self::kept::Connections;
pub use self::udp::Udp;

/// Largest DNS message, in octets (16-bit length over TCP, RFC 1035 section 4.2.2).
pub const MAX_MESSAGE: usize = 65_535;
/// UDP payload size that is offered (EDNS), in octets: avoids fragments (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;

/// Why no reply came.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Nothing fitting arrived in time.
    #[error("no answer from {0} in time")]
    Timeout(SocketAddr),
    /// The system said no: unreachable, refused, reset.
    #[error("cannot talk to {0}: {1}")]
    Io(SocketAddr, std::io::Error),
    /// A connection that had carried other replies ended before this one: a server may do that at any time.
    #[error("{0} closed the connection before it answered")]
    Closed(SocketAddr),
    /// A message longer than TCP can carry.
    #[error("a message of {0} octets does not fit")]
    TooLong(usize),
}

impl TransportError {
    /// This way is closed, and another to the same server need not be: a firewall may reject datagrams alone, by ICMP.
    pub fn leaves_another_way(&self) -> bool {
        matches!(self, TransportError::Io(..))
    }
}

/// Sends `message` over a UDP socket of its own, every `resend`, and gives the first reply that `fits` as it
/// came: for whoever looks at servers and not for answers.
pub async fn udp_raw(
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
    while Instant::now() < deadline {
        socket.send(message).await.map_err(io)?;
        let until = deadline.min(Instant::now() + resend);
        while let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await {
            let length = received.map_err(io)?;
            if let Some(datagram) = buffer.get(..length).filter(|d| fits(d)) {
                return Ok(datagram.to_vec());
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

/// The same for a question, which may be sent twice: over a second connection as well once the first has
/// been silent for `patience`, since one that has stalled stays so.
pub async fn tcp_again(
    server: SocketAddr,
    message: &[u8],
    deadline: Instant,
    patience: Duration,
    fits: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, TransportError> {
    let again = || tcp(server, message, deadline, &fits);
    or_else_both(again(), patience, again(), |_| false).await
}

/// The outcome of `first`; where it has none after `patience`, the first success of it and `second`, else its error. Within
/// `patience` an error is what came of both, unless it `leaves` the other way: then that is gone at once.
pub async fn or_else_both<T, E>(
    first: impl Future<Output = Result<T, E>>,
    patience: Duration,
    second: impl Future<Output = Result<T, E>>,
    leaves: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let mut first = pin!(first);
    match timeout(patience, &mut first).await {
        Ok(Err(error)) if leaves(&error) => return second.await.map_err(|_| error),
        Ok(outcome) => return outcome,
        Err(_) => {}
    }
    let mut second = pin!(second);
    tokio::select! {
        outcome = &mut first => match outcome {
            Err(error) => second.await.map_err(|_| error),
            success => success,
        },
        outcome = &mut second => match outcome {
            Err(_) => first.await,
            success => success,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn whichever_succeeds_and_else_the_first_ones_error() {
        const NOW: Duration = Duration::ZERO;
        type Outcome = Result<u8, u8>;
        async fn later(outcome: Outcome) -> Outcome {
            tokio::time::sleep(Duration::from_millis(20)).await;
            outcome
        }
        let never = pending::<Outcome>;
        // In time the first alone counts, its error too.
        assert_eq!(or_else_both(ready(Ok(1)), NOW, never(), |_| false).await, Ok::<_, u8>(1));
        assert_eq!(or_else_both(ready(Err(1)), NOW, ready(Ok(2)), |_| false).await, Err::<u8, _>(1));
        assert_eq!(or_else_both(never(), NOW, later(Ok(2)), |_| false).await, Ok(2));
        assert_eq!(or_else_both(later(Ok(1)), NOW, never(), |_| false).await, Ok(1));
        assert_eq!(or_else_both(later(Ok(1)), NOW, ready(Err(2)), |_| false).await, Ok(1));
        assert_eq!(or_else_both(later(Err(1)), NOW, later(later(Ok(2)).await), |_| false).await, Ok(2));
        assert_eq!(or_else_both(later(Err(1)), NOW, ready(Err(2)), |_| false).await, Err(1));
        // An error that leaves the other way: that one, at once, and the first's error where it fails as well.
        const HOUR: Duration = Duration::from_secs(3600);
        assert_eq!(or_else_both(ready(Err(1)), HOUR, later(Ok(2)), |e| *e == 1).await, Ok(2));
        assert_eq!(or_else_both(ready(Err(1)), HOUR, ready(Err(2)), |e| *e == 1).await, Err::<u8, _>(1));
        // A second one that is not needed never begins.
        let mut begun = false;
        let begins = async {
            begun = true;
            Ok(2)
        };
        assert_eq!(or_else_both(later(Ok(1)), HOUR, begins, |_| false).await, Ok(1));
        assert!(!begun);
    }
}
