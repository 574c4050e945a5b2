//! Pipes and stream sockets that are read and written as soon as they are ready, by this thread, and whose octets
//! the kernel can move without showing them here.
//!
//! A ProxyCommand's standard input and output are somebody else's: O_NONBLOCK would be set on the open file
//! description, for every process that holds it (the client's shell, a sibling in a pipeline, standard error of the
//! same socket pair), and it would stay after this process. So it is never set. In its place:
//!
//! * sockets are read and written with MSG_DONTWAIT;
//! * a pipe is asked first, with poll(2). One that is readable gives what it has; one that is writable takes
//!   PIPE_BUF octets without waiting (POSIX). Neither blocks, unless another process reads or writes the same pipe,
//!   and then the connection is broken anyway;
//! * splice(2) has SPLICE_F_NONBLOCK.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::socket_type;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketType, recv, send, shutdown};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, BufWriter, Interest, ReadBuf, ReadHalf, WriteHalf};

/// What a pipe that polls as writable takes at once (`<linux/limits.h>`; it is a page at least).
const PIPE_BUF: usize = 4096;

/// One side of a connection, as the data plane sees it.
pub trait Side {
    /// Its pipe or socket, if nothing is between here and there: no buffer, and nobody who wants to see the octets.
    fn watched(&self) -> Option<&Watched> {
        None
    }
}

impl<T> Side for ReadHalf<T> {}
impl<T> Side for WriteHalf<T> {}
impl<T> Side for BufWriter<T> {}

/// A pipe or a stream socket in the care of the runtime.
#[derive(Debug)]
pub struct Watched {
    fd: AsyncFd<OwnedFd>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pipe,
    /// `ours` if no other process has it: it has O_NONBLOCK, and may be shut down.
    Socket {
        ours: bool,
    },
}

impl Watched {
    /// A socket of this process alone, with O_NONBLOCK set.
    pub(super) fn ours(fd: OwnedFd) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        Ok(Watched { fd: register(fd, both)?, kind: Kind::Socket { ours: true } })
    }

    /// What others may have as well, to be read or to be written by `interest`. None if it is neither a pipe nor a
    /// stream socket: those cannot be waited for, or (a terminal) not be used without O_NONBLOCK.
    pub(super) fn theirs(fd: OwnedFd, interest: Interest) -> Option<Self> {
        let kind = match FileType::from_raw_mode(fstat(&fd).ok()?.st_mode) {
            FileType::Fifo => Kind::Pipe,
            FileType::Socket if socket_type(&fd).ok()? == SocketType::STREAM => Kind::Socket { ours: false },
            _ => return None,
        };
        Some(Watched { fd: register(fd, interest).ok()?, kind })
    }

    /// splice(2) wants one on one side.
    pub(super) fn is_pipe(&self) -> bool {
        self.kind == Kind::Pipe
    }

    /// Whether splice(2) into it cannot block: the kernel looks at a socket's own O_NONBLOCK alone, and a socket
    /// that polls as writable may have less room than is to be moved.
    pub(super) fn takes_splices(&self) -> bool {
        !matches!(self.kind, Kind::Socket { ours: false })
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.fd.poll_read_ready(cx).map_ok(drop)).await
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| self.fd.poll_write_ready(cx).map_ok(drop)).await
    }

    /// Waits for the next event: it is not `interest` (readable or writable) now.
    pub(super) fn is_not(&self, interest: Interest) {
        let _ = self.fd.try_io(interest, |_| Err::<(), _>(ErrorKind::WouldBlock.into()));
    }

    /// What it has, without waiting; 0 is the end.
    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let length = match self.kind {
            Kind::Socket { .. } => {
                retry_on_intr(|| recv(self, &mut *into, RecvFlags::DONTWAIT)).map(|(_, length)| length)?
            }
            Kind::Pipe => {
                self.ask(PollFlags::IN)?;
                retry_on_intr(|| rustix::io::read(self, &mut *into))?
            }
        };
        Ok(length)
    }

    /// As many of these as it takes without waiting.
    fn write(&self, octets: &[u8]) -> io::Result<usize> {
        let length = match self.kind {
            Kind::Socket { .. } => {
                retry_on_intr(|| send(self, octets, SendFlags::DONTWAIT | SendFlags::NOSIGNAL))?
            }
            Kind::Pipe => {
                self.ask(PollFlags::OUT)?;
                let octets = octets.get(..PIPE_BUF).unwrap_or(octets);
                retry_on_intr(|| rustix::io::write(self, octets))?
            }
        };
        Ok(length)
    }

    fn ask(&self, flags: PollFlags) -> io::Result<()> {
        let [ready] = now([(self, flags)])?;
        if ready { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
    }
}

/// Which of these are ready now: for what is asked, or because they are broken, which the next call tells.
pub(super) fn now<const N: usize>(ends: [(&Watched, PollFlags); N]) -> io::Result<[bool; N]> {
    let mut asked = ends.map(|(end, flags)| PollFd::new(end, flags));
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    retry_on_intr(|| poll(&mut asked, Some(&at_once)))?;
    Ok(asked.map(|end| !end.revents().is_empty()))
}

fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "for what does not own its descriptor; an OwnedFd does, and the successor is unsafe"
    )]
    AsyncFd::with_interest(fd, interest)
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.get_ref().as_fd()
    }
}

impl Side for &Watched {
    fn watched(&self) -> Option<&Watched> {
        Some(self)
    }
}

impl AsyncRead for &Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(cx))?;
            if let Ok(outcome) = guard.try_io(|_| self.read(buf.initialize_unfilled())) {
                return Poll::Ready(outcome.map(|length| buf.advance(length)));
            }
        }
    }
}

impl AsyncWrite for &Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_write_ready(cx))?;
            if let Ok(outcome) = guard.try_io(|_| self.write(octets)) {
                return Poll::Ready(outcome);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Others may go on with what they have too: that ends with this process.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.kind {
            Kind::Socket { ours: true } => shutdown(*self, Shutdown::Write).map_err(Errno::into),
            _ => Ok(()),
        })
    }
}
