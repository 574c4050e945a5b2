//! One server over UDP. Questions share connected sockets: opening one costs more than all the rest of
//! an exchange. Each socket has a random port and is given up after a number of questions, some seconds, or
//! silence; each question has a random id, and a reply counts only if it comes from the server, bears
//! the id, repeats the question and can be read in full. Whatever else arrives is passed over, since the
//! real reply may follow.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result as IoResult};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::TransportError;
use crate::proto::message::{Question, Response};

/// How often a datagram is sent.
const MAX_SENDS: u32 = 3;
/// Questions that wait at one socket at the same time.
const MAX_WAITING: usize = 32;
/// Questions that one socket takes altogether, and for how long it takes any.
const MAX_QUESTIONS: u32 = 64;
const MAX_AGE: Duration = Duration::from_secs(5);
/// So many questions need not wait for datagrams once one waited in vain.
const IMPATIENT: u32 = 256;
/// Octets of the largest datagram that is read whole: more than is offered, for servers that send as much as they always did.
const LARGEST: usize = 4096;

/// A server and the sockets that are open to it.
#[derive(Debug)]
pub struct Udp {
    server: SocketAddr,
    open: Mutex<Vec<Arc<Socket>>>,
    /// Questions that are still to go another way at once.
    impatient: AtomicU32,
}

impl Udp {
    /// Opens nothing yet.
    pub fn new(server: SocketAddr) -> Self {
        Udp { server, open: Mutex::default(), impatient: AtomicU32::new(0) }
    }

    /// How long the next question has to wait before it goes another way as well: as a rule for the `silence` that is
    /// given, and not at all where one before it waited in vain.
    pub fn patience(&self, silence: Duration) -> Duration {
        let taken = self.impatient.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if taken.is_ok() { Duration::ZERO } else { silence }
    }

    /// Another way brought a reply where this one was silent.
    pub fn was_silent(&self) {
        self.impatient.store(IMPATIENT, Relaxed);
    }

    /// Where it sends to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends `question`, as `query` writes it for an id, and waits until `deadline` for the reply. Sends
    /// again after `resend`, and once more after three times that.
    pub async fn ask(
        &self,
        question: &Question,
        query: impl FnOnce(u16) -> Vec<u8>,
        deadline: Instant,
        resend: Duration,
    ) -> Result<Response, TransportError> {
        let io = |e| TransportError::Io(self.server, e);
        let mut seat = self.seat(question).map_err(io)?;
        let query = query(seat.id);
        for sends in 1..=MAX_SENDS {
            seat.socket.shared.send(&query).await.map_err(io)?;
            let pause = resend * (2 * sends - 1);
            let until = if sends < MAX_SENDS { deadline.min(Instant::now() + pause) } else { deadline };
            match timeout_at(until, &mut seat.reply).await {
                Ok(Ok(outcome)) => return outcome.map_err(io),
                Ok(Err(_)) => return Err(io(ErrorKind::BrokenPipe.into())),
                Err(_) if Instant::now() >= deadline => break,
                Err(_) => {}
            }
        }
        // What lies between may treat another port better.
        seat.socket.shared.waiting().asked = MAX_QUESTIONS;
        Err(TransportError::Timeout(self.server))
    }

    /// A place at a socket that has room, or at a new one.
    fn seat(&self, question: &Question) -> IoResult<Seat> {
        let mut open = lock(&self.open);
        let runtime = Handle::current().id();
        // Those that are given up go on for the questions that wait there.
        open.retain(|socket| socket.takes_questions(runtime));
        if let Some(seat) = open.iter().rev().find_map(|socket| socket.seat(question)) {
            return Ok(seat);
        }
        let socket = Arc::new(Socket::open(self.server, runtime)?);
        open.push(socket.clone());
        socket.seat(question).ok_or_else(|| ErrorKind::BrokenPipe.into())
    }
}

/// A socket, with a task that reads from it for as long as somebody may wait.
#[derive(Debug)]
struct Socket {
    shared: Arc<Shared>,
    reader: AbortHandle,
    /// The runtime that drives both.
    runtime: Id,
    opened: Instant,
}

impl Socket {
    fn open(server: SocketAddr, runtime: Id) -> IoResult<Self> {
        let local: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = std::net::UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        socket.connect(server)?;
        let shared = Arc::new(Shared { socket: UdpSocket::from_std(socket)?, waiting: Mutex::default() });
        let reader = tokio::spawn(Reader(shared.clone()).run()).abort_handle();
        Ok(Socket { shared, reader, runtime, opened: Instant::now() })
    }

    fn takes_questions(&self, runtime: Id) -> bool {
        let waiting = self.shared.waiting();
        let fresh = waiting.asked < MAX_QUESTIONS && self.opened.elapsed() < MAX_AGE;
        fresh && !waiting.closed && self.runtime == runtime
    }

    fn seat(self: &Arc<Self>, question: &Question) -> Option<Seat> {
        let mut waiting = self.shared.waiting();
        if waiting.closed || waiting.questions.len() >= MAX_WAITING {
            return None;
        }
        let mut id: u16 = rand::random();
        while waiting.questions.contains_key(&id) {
            id = rand::random();
        }
        let (sender, reply) = oneshot::channel();
        waiting.asked += 1;
        waiting.questions.insert(id, Waiting { question: question.clone(), reply: Some(sender) });
        drop(waiting);
        Some(Seat { socket: self.clone(), id, reply })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// One question under way. Its id is taken until it is dropped.
#[derive(Debug)]
struct Seat {
    socket: Arc<Socket>,
    id: u16,
    reply: oneshot::Receiver<IoResult<Response>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.socket.shared.waiting().questions.remove(&self.id);
    }
}

/// What those who ask and the reader share.
#[derive(Debug)]
struct Shared {
    socket: UdpSocket,
    waiting: Mutex<WaitingList>,
}

#[derive(Debug, Default)]
struct WaitingList {
    questions: HashMap<u16, Waiting>,
    /// Questions so far.
    asked: u32,
    /// Nobody reads any more.
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    question: Question,
    /// None once it has been answered.
    reply: Option<oneshot::Sender<IoResult<Response>>>,
}

impl Shared {
    /// An error may be the system's word about an earlier datagram (ICMP: nobody listens there), so it
    /// concerns everybody.
    async fn send(&self, message: &[u8]) -> IoResult<()> {
        let sent = self.socket.send(message).await;
        sent.map(|_| ()).inspect_err(|error| self.close(|| Some(copy(error))))
    }

    /// Gives a datagram to whom it answers.
    fn deliver(&self, datagram: &[u8]) {
        let Some(&[high, low]) = datagram.first_chunk() else { return };
        let id = u16::from_be_bytes([high, low]);
        let mut waiting = self.waiting();
        let Some(asked) = waiting.questions.get_mut(&id).filter(|asked| asked.reply.is_some()) else {
            return;
        };
        let Ok(response) = Response::read(datagram, id, &asked.question) else { return };
        if let Some(reply) = asked.reply.take() {
            let _ = reply.send(Ok(response));
        }
    }

    /// No more questions; those that wait are told of the error, if there is one.
    fn close(&self, error: impl Fn() -> Option<Error>) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        for reply in waiting.questions.values_mut().filter_map(|asked| asked.reply.take()) {
            if let Some(error) = error() {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, WaitingList> {
        lock(&self.waiting)
    }
}

/// Reads from a socket. However it ends, with its runtime too, nobody goes on waiting.
struct Reader(Arc<Shared>);

impl Reader {
    async fn run(self) {
        let mut buffer = vec![0; LARGEST];
        let error = loop {
            match self.0.socket.recv(&mut buffer).await {
                Ok(length) => self.0.deliver(buffer.get(..length).unwrap_or_default()),
                Err(error) => break error,
            }
        };
        self.0.close(|| Some(copy(&error)));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.close(|| None);
    }
}

/// The same error for several.
fn copy(error: &Error) -> Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), Error::from_raw_os_error)
}

/// A panic elsewhere leaves nothing half-written here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
