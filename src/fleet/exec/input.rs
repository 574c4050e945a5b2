//! One standard input for many hosts: each of them gets all of it, however late it begins and however slowly it reads.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::Notify;

/// So much is kept in memory; more of it goes to a file that has no name.
const MEMORY: usize = 1024 * 1024;
/// How much is read at a time, in octets.
const PORTION: usize = 64 * 1024;

/// What has been read so far: nothing before a host wants it.
#[derive(Debug, Clone)]
pub struct Input(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// A host has read all that there is.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    memory: Vec<u8>,
    /// Holds everything, once there is more than memory takes.
    file: Option<File>,
    length: u64,
    is_over: bool,
    waiting: HashMap<u64, Waker>,
    readers: u64,
}

/// One host's reading.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    id: u64,
    at: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.file.is_none() && self.memory.len() + octets.len() > MEMORY {
            let file = tempfile::tempfile()?;
            file.write_all_at(&self.memory, 0)?;
            (self.file, self.memory) = (Some(file), Vec::new());
        }
        match &self.file {
            Some(file) => file.write_all_at(octets, self.length)?,
            None => self.memory.extend_from_slice(octets),
        }
        self.length += octets.len() as u64;
        Ok(())
    }

    /// What stands at `at`, at most as much as there is room for in `into`.
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        match &self.file {
            Some(file) => file.read_at(into, at),
            None => {
                let rest = usize::try_from(at).ok().and_then(|at| self.memory.get(at..)).unwrap_or_default();
                let length = rest.len().min(into.len());
                if let (Some(to), Some(from)) = (into.get_mut(..length), rest.get(..length)) {
                    to.copy_from_slice(from);
                }
                Ok(length)
            }
        }
    }

    fn wake(&mut self) {
        self.waiting.drain().for_each(|(_, waker)| waker.wake());
    }
}

impl Input {
    /// An input of which nothing has been read, and the work of reading `source`, which is to be done beside the hosts'. It
    /// ends with the source, or with an error, in which case the hosts' input is at its end as well.
    pub fn new(source: impl AsyncRead + Unpin) -> (Self, impl Future<Output = io::Result<()>>) {
        let shared = Arc::new(Shared { state: Mutex::default(), wanted: Notify::new() });
        let input = Input(Arc::clone(&shared));
        (input, fill(shared, source))
    }

    /// All of it, for one host.
    pub fn reader(&self) -> Reader {
        let mut state = self.0.state();
        state.readers += 1;
        Reader { shared: Arc::clone(&self.0), id: state.readers, at: 0 }
    }
}

async fn fill(shared: Arc<Shared>, mut source: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut portion = vec![0; PORTION];
    let outcome = loop {
        // Not ahead of the fastest host: what none of them reads stays where it is.
        while shared.state().waiting.is_empty() {
            shared.wanted.notified().await;
        }
        let taken = match source.read(&mut portion).await {
            Ok(0) => break Ok(()),
            Ok(length) => shared.state().add(portion.get(..length).unwrap_or_default()),
            Err(error) => Err(error),
        };
        if taken.is_err() {
            break taken;
        }
        shared.state().wake();
    };
    let mut state = shared.state();
    state.is_over = true;
    state.wake();
    outcome
}

impl AsyncRead for Reader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = this.shared.state();
        if this.at < state.length {
            let length = state.read(this.at, buf.initialize_unfilled())?;
            buf.advance(length);
            this.at += length as u64;
            return Poll::Ready(Ok(()));
        }
        if state.is_over {
            return Poll::Ready(Ok(()));
        }
        state.waiting.insert(this.id, cx.waker().clone());
        this.shared.wanted.notify_one();
        Poll::Pending
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.shared.state().waiting.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn early_and_late_readers_get_all_of_it() {
        for size in [0, 10, MEMORY - 1, MEMORY + 1, 5 * MEMORY + 7] {
            let octets: Vec<u8> = (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let (input, filling) = Input::new(io::Cursor::new(octets.clone()));
            let all = |mut reader: Reader| async move {
                let mut all = Vec::new();
                reader.read_to_end(&mut all).await.unwrap();
                all
            };
            let (early, filled, other) = tokio::join!(all(input.reader()), filling, all(input.reader()));
            filled.unwrap();
            assert!(early == octets && other == octets && all(input.reader()).await == octets, "{size}");
            let is_spilled = input.0.state().file.is_some();
            assert_eq!(is_spilled, size > MEMORY);
        }
    }

    #[tokio::test]
    async fn nothing_is_read_before_it_is_wanted_nor_far_ahead() {
        let (mut typed, source) = duplex(64);
        let (input, filling) = Input::new(source);
        let filling = tokio::spawn(filling);
        typed.write_all(&[b'x'; 64]).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(input.0.state().length, 0);
        let mut reader = input.reader();
        assert_eq!(reader.read(&mut [0; 100]).await.unwrap(), 64);
        // Nobody waits: what comes next stays where it is.
        typed.write_all(&[b'y'; 64]).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(input.0.state().length <= 128);
        drop(typed);
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), 64);
        filling.await.unwrap().unwrap();
    }
}
