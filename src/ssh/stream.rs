//! The stream under a russh connection: it ends with its owner, and reads the server's beginning.
//!
//! russh runs a connection in a task of its own that outlives the future which started it; it does not
//! tell the server's version, and is stricter than OpenSSH about lines before it. These are mended here,
//! below it: what goes on to russh begins with the version line, judged by the rules of the gate.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::proto::handshake::VersionError;
use crate::proto::handshake::version::{self, ServerLine};

/// How much is read at a time while the version is sought, in octets.
const PORTION: usize = 1024;

/// Why a server's beginning is none; travels through russh inside an [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BeginningError {
    /// Not a beginning of SSH.
    #[error("it sent {0}")]
    Version(#[from] VersionError),
    /// It closed, and this was the last line it sent instead of a version; sanitised.
    #[error("{0}")]
    Said(String),
}

/// Holds a [`Tethered`] stream open: when this is dropped, every read and write of the stream fails.
#[derive(Debug)]
pub(crate) struct Tether {
    held: oneshot::Sender<()>,
    version: Arc<OnceLock<String>>,
}

impl Tether {
    /// The server's version line without its line end, once it has been read: printable ASCII.
    pub(crate) fn server_version(&self) -> Option<&str> {
        self.version.get().map(String::as_str)
    }

    /// The stream stays open without it from here on.
    pub(crate) fn let_go(self) {
        // If nobody has the stream any more, nothing is lost.
        let _ = self.held.send(());
    }
}

/// A stream that ends when its [`Tether`] is dropped.
#[derive(Debug)]
pub(crate) struct Tethered<S = TcpStream> {
    inner: S,
    hold: Hold,
    /// Read and not handed on yet; once the version is found this only shrinks.
    buffer: Vec<u8>,
    /// Lines before the version, and the last of them.
    lines: usize,
    last_line: Option<String>,
    version: Arc<OnceLock<String>>,
}

/// What holds a stream open.
#[derive(Debug)]
enum Hold {
    Tether(oneshot::Receiver<()>),
    /// It was let go.
    Free,
    Cut,
}

impl<S> Tethered<S> {
    pub(crate) fn new(inner: S) -> (Tethered<S>, Tether) {
        let (held, tether) = oneshot::channel();
        let version = Arc::new(OnceLock::new());
        let stream = Tethered {
            inner,
            hold: Hold::Tether(tether),
            buffer: Vec::new(),
            lines: 0,
            last_line: None,
            version: Arc::clone(&version),
        };
        (stream, Tether { held, version })
    }

    fn check_tether(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if let Hold::Tether(tether) = &mut self.hold {
            match Pin::new(tether).poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) => self.hold = Hold::Free,
                Poll::Ready(Err(_)) => self.hold = Hold::Cut,
            }
        }
        match self.hold {
            Hold::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
            Hold::Tether(_) | Hold::Free => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> Tethered<S> {
    /// Reads on until the version line is at the front of the buffer. False if the server closed instead,
    /// without a word.
    fn poll_beginning(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.version.get().is_none() {
            let line = version::server(&self.buffer, self.lines);
            match line.map_err(|e| io::Error::other(BeginningError::from(e)))? {
                Some((ServerLine::Version(version), _)) => drop(self.version.set(version)),
                Some((ServerLine::Other(line), length)) => {
                    self.buffer.drain(..length);
                    self.lines += 1;
                    self.last_line = Some(line).filter(|line| !line.is_empty()).or(self.last_line.take());
                }
                None => {
                    let mut portion = [0; PORTION];
                    let mut read = ReadBuf::new(&mut portion);
                    let closed = match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read)) {
                        Ok(()) => read.filled().is_empty(),
                        // Our own version may have arrived after it closed.
                        Err(e) if e.kind() == io::ErrorKind::ConnectionReset => true,
                        Err(e) => return Poll::Ready(Err(e)),
                    };
                    if closed {
                        return Poll::Ready(match self.last_line.take() {
                            Some(line) => Err(io::Error::other(BeginningError::Said(line))),
                            None => Ok(false),
                        });
                    }
                    self.buffer.extend_from_slice(read.filled());
                }
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tethered<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_tether(cx)?;
        if !ready!(this.poll_beginning(cx))? {
            return Poll::Ready(Ok(()));
        }
        if this.buffer.is_empty() {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let length = this.buffer.len().min(buf.remaining());
        buf.put_slice(this.buffer.get(..length).unwrap_or_default());
        this.buffer.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tethered<S> {
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

    async fn read(octets: &[u8]) -> (io::Result<Vec<u8>>, Option<String>) {
        let (near, mut far) = pair().await;
        let (mut stream, tether) = Tethered::new(near);
        far.write_all(octets).await.unwrap();
        drop(far);
        let mut all = Vec::new();
        let outcome = stream.read_to_end(&mut all).await;
        (outcome.map(|_| all), tether.server_version().map(str::to_owned))
    }

    fn beginning(error: &io::Error) -> &BeginningError {
        error.get_ref().unwrap().downcast_ref().unwrap()
    }

    #[tokio::test]
    async fn lines_before_the_version_do_not_reach_russh() {
        let lines = [[b'a'; 1000].as_slice(), b"\r\n", &b"hello\x1b[31m\n".repeat(49)].concat();
        let rest = [b"SSH-2.0-x y\r\n".as_slice(), &[7; 9999]].concat();
        let (read, version) = read(&[lines, rest.clone()].concat()).await;
        assert_eq!((read.unwrap(), version.as_deref()), (rest, Some("SSH-2.0-x y")));
    }

    #[tokio::test]
    async fn what_is_no_beginning_of_ssh_is_told_at_once() {
        for bad in [b"SSH-1.5-old\n".to_vec(), b"SSH-2.0-\x1b[31m\n".to_vec(), b"x\n".repeat(51)] {
            let (read, version) = read(&bad).await;
            let error = read.unwrap_err();
            assert!(matches!(beginning(&error), BeginningError::Version(_)), "{error}");
            assert_eq!(version, None);
        }
    }

    #[tokio::test]
    async fn the_last_line_of_a_server_that_closes_is_told() {
        let (outcome, _) = read(b"hello\r\nExceeded MaxStartups\x07\r\n").await;
        let error = outcome.unwrap_err();
        assert_eq!(beginning(&error), &BeginningError::Said("Exceeded MaxStartups\\x07".into()));
        assert_eq!(read(b"").await.0.unwrap(), b"");
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_tether_and_not_before() {
        let (near, mut far) = pair().await;
        let (mut stream, tether) = Tethered::new(near);
        far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        stream.read_exact(&mut [0; 11]).await.unwrap();
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

    #[tokio::test]
    async fn a_stream_that_was_let_go_needs_no_tether() {
        let (near, mut far) = pair().await;
        let (mut stream, tether) = Tethered::new(near);
        far.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        stream.read_exact(&mut [0; 11]).await.unwrap();
        tether.let_go();
        stream.write_u8(7).await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), 7);
    }
}
