//! Octets that the kernel moves from one side to the other with splice(2), unseen and not copied.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};

use super::pace::Pace;
use super::watched::{Watched, now};

/// What one call may move, in octets. A pipe has room for less.
const MOST: usize = 1024 * 1024;
/// What is copied at once where splice(2) does not go on, in octets.
const BY_HAND: usize = 16 * 1024;

/// How moving ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// At the end of the octets.
    All,
    /// Not all, and nothing is lost: these two, or this kernel, do not splice.
    Unable,
}

/// Moves octets until `from` ends. `alive` is set with each portion. Who moves the client's octets leaves its pipe in
/// `client`, and who moves the server's looks there.
pub(super) async fn move_all(
    from: &Watched,
    to: &Watched,
    alive: &AtomicBool,
    client: &OnceLock<OwnedFd>,
) -> io::Result<Moved> {
    // A duplicate of a socket would keep it open where it is closed here.
    if from.is_pipe()
        && let Ok(pipe) = from.as_fd().try_clone_to_owned()
    {
        let _ = client.set(pipe);
    }
    if !to.takes_splices() {
        Ok(Moved::Unable)
    } else if from.is_pipe() || to.is_pipe() {
        directly(from, to, alive, client).await
    } else {
        match pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK) {
            Ok((out, into)) => through(from, (&into, out), to, alive).await,
            Err(_) => Ok(Moved::Unable),
        }
    }
}

/// One of the two is a pipe; the other, if it is a socket, is ours and does not block.
async fn directly(
    from: &Watched,
    to: &Watched,
    alive: &AtomicBool,
    client: &OnceLock<OwnedFd>,
) -> io::Result<Moved> {
    let mut pace = Pace::default();
    loop {
        from.readable().await?;
        to.writable().await?;
        let moved = portion(from, to, MOST);
        match moved {
            Ok(0) => return Ok(Moved::All),
            Ok(length) => {
                alive.store(true, Relaxed);
                pace.after(length, from, to, client.get()).await;
            }
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => {}
            Err(e) if is_inability(e) => return Ok(Moved::Unable),
            Err(e) => return Err(e.into()),
        }
        // Most often that was all there is for now. EAGAIN would not tell which of the two to wait for.
        let [has, takes] = now([(from, PollFlags::IN), (to, PollFlags::OUT)])?;
        if !has {
            from.is_not(Interest::READABLE);
        }
        if !takes {
            to.is_not(Interest::WRITABLE);
        }
        // Both are ready, and yet nothing goes: such as TCP urgent data, which splice(2) does not pass.
        if has && takes && moved.is_err() && by_hand(from, to, alive).await? == 0 {
            return Ok(Moved::All);
        }
    }
}

/// Neither is a pipe: there is one between them.
async fn through(
    from: &Watched,
    (into, out): (&OwnedFd, OwnedFd),
    to: &Watched,
    alive: &AtomicBool,
) -> io::Result<Moved> {
    loop {
        from.readable().await?;
        // Others' sockets might block.
        let [has] = now([(from, PollFlags::IN)])?;
        if !has {
            from.is_not(Interest::READABLE);
            continue;
        }
        // The pipe is empty: EAGAIN is not about it.
        let mut held = match portion(from, into, MOST) {
            Ok(0) => return Ok(Moved::All),
            Ok(length) => length,
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => match by_hand(from, to, alive).await? {
                0 => return Ok(Moved::All),
                _ => continue,
            },
            Err(e) if is_inability(e) => return Ok(Moved::Unable),
            Err(e) => return Err(e.into()),
        };
        alive.store(true, Relaxed);
        while held > 0 {
            to.writable().await?;
            match portion(&out, to, held) {
                Ok(length) => held = held.saturating_sub(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => to.is_not(Interest::WRITABLE),
                Err(e) if is_inability(e) => {
                    drain(&out, held, to).await?;
                    return Ok(Moved::Unable);
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

fn portion(from: impl AsFd, to: impl AsFd, most: usize) -> Result<usize, Errno> {
    splice(from, None, to, None, most, SpliceFlags::NONBLOCK)
}

/// Copies one portion: its length, or 0 at the end.
async fn by_hand(mut from: &Watched, mut to: &Watched, alive: &AtomicBool) -> io::Result<usize> {
    let mut portion = vec![0; BY_HAND];
    let length = from.read(&mut portion).await?;
    to.write_all(portion.get(..length).unwrap_or_default()).await?;
    alive.store(true, Relaxed);
    Ok(length)
}

/// Copies what the pipe between the two holds.
async fn drain(out: &OwnedFd, mut held: usize, mut to: &Watched) -> io::Result<()> {
    let mut portion = vec![0; BY_HAND];
    while held > 0 {
        let length = rustix::io::read(out, &mut portion[..])?;
        to.write_all(portion.get(..length).unwrap_or_default()).await?;
        held = held.saturating_sub(length);
    }
    Ok(())
}

/// What kernels, sandboxes and filters of system calls say that have no splice(2) for these two.
fn is_inability(e: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM].contains(&e)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, pipe};
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    const MUCH: usize = 5_000_000;

    fn octets() -> Vec<u8> {
        (0..MUCH as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    fn ours(stream: UnixStream) -> Watched {
        stream.set_nonblocking(true).unwrap();
        Watched::ours(stream.into()).unwrap()
    }

    /// Everything gets from one end to the other.
    async fn moves(
        mut source: impl Write + Send + 'static,
        from: Watched,
        to: Watched,
        mut sink: impl Read + Send + 'static,
    ) {
        let writing = thread::spawn(move || source.write_all(&octets()).unwrap());
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            sink.read_to_end(&mut all).unwrap();
            all
        });
        let alive = AtomicBool::new(false);
        assert_eq!(move_all(&from, &to, &alive, &OnceLock::new()).await.unwrap(), Moved::All);
        assert!(alive.into_inner());
        drop((from, to));
        assert!(reading.join().unwrap() == octets());
        writing.join().unwrap();
    }

    #[tokio::test]
    async fn pipes_and_sockets_splice_in_every_order() {
        let pair = || UnixStream::pair().unwrap();
        let reads = |fd: OwnedFd| Watched::theirs(fd, Interest::READABLE).unwrap();
        let writes = |fd: OwnedFd| Watched::theirs(fd, Interest::WRITABLE).unwrap();
        // Up from ssh, and down to it.
        let ((from, source), (to, sink)) = (pipe().unwrap(), pair());
        moves(source, reads(from.into()), ours(to), sink).await;
        let ((source, from), (sink, to)) = (pair(), pipe().unwrap());
        moves(source, ours(from), writes(to.into()), sink).await;
        // Up from asyncssh: through a pipe of our own.
        let ((source, from), (to, sink)) = (pair(), pair());
        moves(source, reads(from.into()), ours(to), sink).await;
        // Down to a socket that may block: not at all.
        let (from, to) = (pair(), pair());
        let moved = move_all(&ours(from.0), &writes(to.0.into()), &AtomicBool::new(false), &OnceLock::new())
            .await
            .unwrap();
        assert_eq!(moved, Moved::Unable);
    }

    #[tokio::test]
    async fn what_a_pipe_between_holds_can_be_copied() {
        let (out, mut into) = pipe().unwrap();
        let (to, mut sink) = UnixStream::pair().unwrap();
        let held = octets()[..50_000].to_vec();
        into.write_all(&held).unwrap();
        drain(&out.into(), held.len(), &ours(to)).await.unwrap();
        let mut all = Vec::new();
        sink.read_to_end(&mut all).unwrap();
        assert!(all == held);
    }
}
