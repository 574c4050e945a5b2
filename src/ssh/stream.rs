//! The TCP stream under a russh connection: it ends with its owner, and notes the server's version.
//!
//! russh runs a connection in a task of its own that outlives the future which started it, and it
//! does not tell the server's version; both are mended here, below it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Longest line kept while the version is sought, in octets: RFC 4253 section 4.2 allows 255.
const MAX_LINE: usize = 256;

/// Holds a [`Tethered`] stream open: when this is dropped, every read and write of the stream fails.
#[derive(Debug)]
pub(crate) struct Tether {
    _held: oneshot::Sender<Infallible>,
    version: Arc<OnceLock<Vec<u8>>>,
}

impl Tether {
    /// The server's version line without its line end, once it has been read. Hostile octets.
    pub(crate) fn server_version(&self) -> Option<&[u8]> {
        self.version.get().map(Vec::as_slice)
    }
}

/// A stream that ends when its [`Tether`] is dropped.
#[derive(Debug)]
pub(crate) struct Tethered {
    inner: TcpStream,
    /// `None` once cut.
    tether: Option<oneshot::Receiver<Infallible>>,
    line: Vec<u8>,
    version: Arc<OnceLock<Vec<u8>>>,
}

impl Tethered {
    pub(crate) fn new(inner: TcpStream) -> (Tethered, Tether) {
        let (held, tether) = oneshot::channel();
        let version = Arc::new(OnceLock::new());
        let stream =
            Tethered { inner, tether: Some(tether), line: Vec::new(), version: Arc::clone(&version) };
        (stream, Tether { _held: held, version })
    }

    fn check_tether(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let held = self.tether.as_mut().is_some_and(|tether| Pin::new(tether).poll(cx).is_pending());
        if !held {
            self.tether = None;
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// Keeps the first line that can be a version; no more than one line is ever held.
    fn note_version(&mut self, octets: &[u8]) {
        for &octet in octets {
            if self.version.get().is_some() {
                return;
            }
            if octet != b'\n' {
                if self.line.len() < MAX_LINE {
                    self.line.push(octet);
                }
                continue;
            }
            let mut line = std::mem::take(&mut self.line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if line.starts_with(b"SSH-") {
                let _ = self.version.set(line);
            }
        }
    }
}

impl AsyncRead for Tethered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_tether(cx)?;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        if let Some(new) = buf.filled().get(before..) {
            this.note_version(new);
        }
        read
    }
}

impl AsyncWrite for Tethered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_tether(cx)?;
        Pin::new(&mut this.inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn the_first_line_that_can_be_a_version_is_kept_and_bounded() {
        let (near, mut far) = pair().await;
        let (mut stream, tether) = Tethered::new(near);
        far.write_all(b"hello\r\nSSH-2.0-x \x1b[31m\r\nSSH-2.0-later\r\n").await.unwrap();
        far.write_all(&vec![b'a'; 10_000]).await.unwrap();
        drop(far);
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(tether.server_version(), Some(&b"SSH-2.0-x \x1b[31m"[..]));
        assert!(stream.line.len() <= MAX_LINE);
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_tether_and_not_before() {
        let (near, mut far) = pair().await;
        let (mut stream, tether) = Tethered::new(near);
        far.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        let reading = tokio::spawn(async move {
            let first = stream.read_u8().await;
            (first, stream.write_u8(1).await)
        });
        tokio::task::yield_now().await;
        drop(tether);
        let (read, written) = reading.await.unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}
