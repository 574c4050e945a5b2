//! A plain relay, for hosts that policy passes: every octet as it comes, and nothing is judged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::SILENCE;
use super::copy;
use super::server::Server;
use super::watched::{Side, Watched};

/// Relays one connection until the server has closed and its octets are delivered. `client_in` and `client_out`
/// are what a ProxyCommand has as its standard input and output; `server` is connected.
///
/// `tell` is for lines on standard error. It is called once the client has named itself, and not at all if that is
/// asyncssh, which reads standard error as the SSH stream.
///
/// # Errors
/// The server's socket cannot be watched, and nothing was relayed.
pub async fn pass<R, W, T>(client_in: R, client_out: W, server: impl Into<Server>, tell: T) -> io::Result<()>
where
    R: AsyncRead + Unpin + Side,
    W: AsyncWrite + Unpin + Side,
    T: FnOnce() + Unpin,
{
    copy::both_ways(Naming { client: client_in, tell: Some(tell) }, client_out, server.into(), SILENCE).await
}

/// A client whose first octets are looked at, and passed on as they are.
struct Naming<R, T> {
    client: R,
    tell: Option<T>,
}

impl<R: Side, T> Side for Naming<R, T> {
    fn watched(&self) -> Option<&Watched> {
        if self.tell.is_some() { None } else { self.client.watched() }
    }
}

impl<R: AsyncRead + Unpin, T: FnOnce() + Unpin> AsyncRead for Naming<R, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.client).poll_read(cx, buf))?;
        let first = buf.filled().get(before..).unwrap_or_default();
        if let Some(tell) = self.tell.take_if(|_| !first.is_empty()) {
            // A version line that comes in pieces is not waited for: silence does no harm.
            let line = first.split_inclusive(|octet| *octet == b'\n').next().unwrap_or_default();
            let name = String::from_utf8_lossy(line).to_ascii_lowercase();
            if name.ends_with('\n') && !name.contains("asyncssh") {
                tell();
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
    use tokio::net::{TcpListener, TcpStream};

    /// Whether anything was told to a client that begins like this.
    async fn told(begins: &[u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut far = listener.accept().await.unwrap().0;
        let (mut client, proxy) = duplex(1024);
        let (client_in, client_out) = split(proxy);
        let told = Cell::new(false);
        let talk = async {
            // The server speaks first, and no SSH at all.
            far.write_all(b"220 hello").await.unwrap();
            let mut heard = [0; 9];
            client.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"220 hello");
            client.write_all(begins).await.unwrap();
            client.shutdown().await.unwrap();
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, begins);
            drop(far);
        };
        let (passed, ()) = tokio::join!(pass(client_in, client_out, near, || told.set(true)), talk);
        passed.unwrap();
        told.get()
    }

    #[tokio::test]
    async fn octets_pass_as_they_are_and_asyncssh_is_told_nothing() {
        assert!(told(b"SSH-2.0-OpenSSH_10.0\r\n").await);
        assert!(!told(b"SSH-2.0-AsyncSSH_2.24.0\r\n").await);
        assert!(!told(b"SSH").await);
        assert!(!told(b"").await);
    }
}
