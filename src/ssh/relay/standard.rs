//! Standard input and output, as a ProxyCommand has them: pipes from ssh and paramiko, a socket pair and a pipe from
//! asyncssh, one socket pair for both from others; a file or a terminal from somebody who tries it out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Stdin, Stdout};

use super::watched::{Side, Watched};

/// Standard input. It is not read but when it is asked for octets: none are held back here.
#[derive(Debug)]
pub struct Input(From);

#[derive(Debug)]
enum From {
    Watched(Watched),
    /// A thread reads ahead, and may hang in a read for ever.
    Thread(Stdin),
}

/// Standard output.
#[derive(Debug)]
pub struct Output(To);

#[derive(Debug)]
enum To {
    Watched(Watched),
    Thread(Stdout),
}

/// Standard input of this process, for one reader.
pub fn stdin() -> Input {
    Input(match watched(io::stdin().as_fd(), Interest::READABLE) {
        Some(watched) => From::Watched(watched),
        None => From::Thread(tokio::io::stdin()),
    })
}

/// Standard output of this process, for one writer.
pub fn stdout() -> Output {
    Output(match watched(io::stdout().as_fd(), Interest::WRITABLE) {
        Some(watched) => To::Watched(watched),
        None => To::Thread(tokio::io::stdout()),
    })
}

/// A pipe or socket, where it is known how those behave.
fn watched(standard: BorrowedFd<'_>, interest: Interest) -> Option<Watched> {
    cfg!(target_os = "linux")
        .then(|| standard.try_clone_to_owned().ok())?
        .and_then(|fd| Watched::theirs(fd, interest))
}

impl Side for Input {
    fn watched(&self) -> Option<&Watched> {
        match &self.0 {
            From::Watched(watched) => Some(watched),
            From::Thread(_) => None,
        }
    }
}

impl Side for Output {
    fn watched(&self) -> Option<&Watched> {
        match &self.0 {
            To::Watched(watched) => Some(watched),
            To::Thread(_) => None,
        }
    }
}

impl AsyncRead for Input {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            From::Watched(watched) => Pin::new(&mut &*watched).poll_read(cx, buf),
            From::Thread(stdin) => Pin::new(stdin).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            To::Watched(watched) => Pin::new(&mut &*watched).poll_write(cx, octets),
            To::Thread(stdout) => Pin::new(stdout).poll_write(cx, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            To::Watched(watched) => Pin::new(&mut &*watched).poll_flush(cx),
            To::Thread(stdout) => Pin::new(stdout).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            To::Watched(watched) => Pin::new(&mut &*watched).poll_shutdown(cx),
            To::Thread(stdout) => Pin::new(stdout).poll_shutdown(cx),
        }
    }
}
