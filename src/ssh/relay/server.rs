//! The server's end of a relayed connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::watched::Watched;

/// A connected server.
#[derive(Debug)]
pub enum Server {
    /// The server itself, with TCP_NODELAY set.
    Tcp(TcpStream),
    /// One end of a socket pair. The other is standard input and output of a program that reaches the server, such
    /// as `ssh -W`: shutting down this end for writing is the end of its input, its exit the end of its output.
    Program(UnixStream),
}

impl Server {
    /// For the data plane: its octets need not be seen any more.
    pub(super) fn watch(self) -> io::Result<Watched> {
        Watched::ours(match self {
            Server::Tcp(stream) => stream.into_std()?.into(),
            Server::Program(stream) => stream.into_std()?.into(),
        })
    }
}

impl From<TcpStream> for Server {
    fn from(stream: TcpStream) -> Self {
        Server::Tcp(stream)
    }
}

impl From<UnixStream> for Server {
    fn from(stream: UnixStream) -> Self {
        Server::Program(stream)
    }
}

impl AsyncRead for Server {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Server::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Server::Program(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Server {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Server::Tcp(stream) => Pin::new(stream).poll_write(cx, octets),
            Server::Program(stream) => Pin::new(stream).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Sockets keep nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Server::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Server::Program(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
