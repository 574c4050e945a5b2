//! One server over TCP connections that are kept open: to open one costs more than a small message. Several messages are
//! under way on each (RFC 7766 section 6.2.1.1); replies come in any order and are told apart by their id. A server may
//! close a connection whenever it likes: the next message goes over another one. What had been sent is not sent again here:
//! whether it was done is not known.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Handle, Id};
use tokio::sync::{Mutex as AsyncMutex, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::TransportError;

/// Connections to a server at a time, as long as there is room on them.
const CONNECTIONS: usize = 4;
/// Messages under way on one: BIND reads no more than 23 ahead.
const MAX_WAITING: usize = 16;

/// A server and the connections that are open to it.
#[derive(Debug)]
pub struct Connections {
    server: SocketAddr,
    open: AsyncMutex<Vec<Arc<Connection>>>,
    /// The server has closed one with messages on it that it had not answered: each gets one of its own.
    alone: AtomicBool,
}

impl Connections {
    /// Opens nothing yet.
    pub fn new(server: SocketAddr) -> Self {
        Connections { server, open: AsyncMutex::default(), alone: AtomicBool::new(false) }
    }

    /// Whom they lead to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends `message` once, and waits until `deadline` for the reply with its id and opcode.
    pub async fn ask(&self, message: &[u8], deadline: Instant) -> Result<Vec<u8>, TransportError> {
        let io = |e| TransportError::Io(self.server, e);
        let too_long = |_| TransportError::TooLong(message.len());
        let length = u16::try_from(message.len()).map_err(too_long)?;
        let Some(&[high, low, flags]) = message.first_chunk() else {
            return Err(io(ErrorKind::InvalidInput.into()));
        };
        let (id, opcode) = (u16::from_be_bytes([high, low]), opcode(flags));
        let framed = [&length.to_be_bytes(), message].concat();
        let exchange = async {
            loop {
                let mut seat = self.seat(id, opcode).await.map_err(io)?;
                if !seat.connection.send(&framed).await {
                    continue;
                }
                return match (&mut seat.reply).await {
                    Ok(Ok(reply)) => Ok(reply),
                    Ok(Err(Broken { kind: _, answered: true })) => {
                        self.alone.store(true, Relaxed);
                        Err(TransportError::Closed(self.server))
                    }
                    Ok(Err(Broken { kind, answered: false })) => Err(io(kind.into())),
                    Err(_) => Err(io(ErrorKind::BrokenPipe.into())),
                };
            }
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(TransportError::Timeout(self.server)))
    }

    /// A place on the connection where the fewest wait, or on a new one.
    async fn seat(&self, id: u16, opcode: u8) -> std::io::Result<Seat> {
        // Held while one is opened: the others would all open some too.
        let mut open = self.open.lock().await;
        let runtime = Handle::current().id();
        open.retain(|connection| connection.runtime == runtime && !connection.shared.waiting().closed);
        let alone = self.alone.load(Relaxed);
        if !alone {
            open.sort_by_key(|connection| connection.shared.waiting().replies.len());
            let is_idle = |c: &Arc<Connection>| c.shared.waiting().replies.is_empty();
            if (open.len() >= CONNECTIONS || open.first().is_some_and(is_idle))
                && let Some(seat) = open.iter().find_map(|connection| connection.seat(id, opcode))
            {
                return Ok(seat);
            }
        }
        let connection = Arc::new(Connection::open(self.server, runtime).await?);
        let seat = connection.seat(id, opcode).ok_or(ErrorKind::BrokenPipe)?;
        if !alone {
            open.push(connection);
        }
        Ok(seat)
    }
}

fn opcode(flags: u8) -> u8 {
    (flags >> 3) & 0xf
}

/// A connection, with a task that reads from it.
#[derive(Debug)]
struct Connection {
    shared: Arc<Shared>,
    /// None once a message has gone out in part.
    writer: AsyncMutex<Option<OwnedWriteHalf>>,
    reader: AbortHandle,
    /// The runtime that drives both.
    runtime: Id,
}

impl Connection {
    async fn open(server: SocketAddr, runtime: Id) -> std::io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let shared = Arc::new(Shared::default());
        let reader = tokio::spawn(Reader(shared.clone()).run(reader)).abort_handle();
        Ok(Connection { shared, writer: AsyncMutex::new(Some(writer)), reader, runtime })
    }

    fn seat(self: &Arc<Self>, id: u16, opcode: u8) -> Option<Seat> {
        let mut waiting = self.shared.waiting();
        if waiting.closed || waiting.replies.len() >= MAX_WAITING || waiting.replies.contains_key(&id) {
            return None;
        }
        let (sender, reply) = oneshot::channel();
        waiting.replies.insert(id, (opcode, Some(sender)));
        drop(waiting);
        Some(Seat { connection: self.clone(), id, reply })
    }

    /// False if nothing has been sent. What was cut short shows where the reply is read.
    async fn send(&self, framed: &[u8]) -> bool {
        let mut place = self.writer.lock().await;
        // It stays out where this is given up in the middle: whatever followed would be read as the rest.
        let Some(mut writer) = place.take() else {
            self.shared.waiting().closed = true;
            return false;
        };
        match writer.write_all(framed).await {
            Ok(()) => *place = Some(writer),
            Err(_) => self.shared.waiting().closed = true,
        }
        true
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// One message under way. Its id is taken until it is dropped.
#[derive(Debug)]
struct Seat {
    connection: Arc<Connection>,
    id: u16,
    reply: oneshot::Receiver<Outcome>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut waiting = self.connection.shared.waiting();
        // A connection on which one waits in vain has stalled.
        if let Some((_, Some(_))) = waiting.replies.remove(&self.id) {
            waiting.closed = true;
        }
    }
}

/// A reply, or why there is none.
type Outcome = Result<Vec<u8>, Broken>;

/// A connection that ended before the reply.
#[derive(Debug, Clone, Copy)]
struct Broken {
    kind: ErrorKind,
    /// Others were answered on it.
    answered: bool,
}

/// What those who ask and the reader share.
#[derive(Debug, Default)]
struct Shared(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// By id: the opcode, and who waits; none once it was answered, for the id is taken as long as the [`Seat`] is.
    replies: HashMap<u16, (u8, Option<oneshot::Sender<Outcome>>)>,
    answered: bool,
    /// No more messages.
    closed: bool,
}

impl Shared {
    /// Gives a reply to whom it answers.
    fn deliver(&self, reply: Vec<u8>) {
        let Some(&[high, low, flags]) = reply.first_chunk() else { return };
        let id = u16::from_be_bytes([high, low]);
        let mut waiting = self.waiting();
        let asked =
            waiting.replies.get_mut(&id).filter(|(asked, _)| flags & 0x80 != 0 && *asked == opcode(flags));
        if let Some(asked) = asked.and_then(|(_, asked)| asked.take()) {
            waiting.answered = true;
            let _ = asked.send(Ok(reply));
        }
    }

    /// No more messages; those that wait are told.
    fn close(&self, kind: ErrorKind) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        let broken = Broken { kind, answered: waiting.answered };
        for (_, asked) in waiting.replies.values_mut() {
            let _ = asked.take().map(|asked| asked.send(Err(broken)));
        }
    }

    /// A panic elsewhere leaves nothing half-written here.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads from a connection. However it ends, with its runtime too, nobody goes on waiting.
struct Reader(Arc<Shared>);

impl Reader {
    async fn run(self, stream: OwnedReadHalf) {
        let mut stream = BufReader::new(stream);
        let error = loop {
            match message(&mut stream).await {
                Ok(message) => {
                    // A server that gathers small segments (BIND) holds the next reply back until this one is
                    // acknowledged, which Linux puts off for 40 ms where nothing goes the other way.
                    #[cfg(target_os = "linux")]
                    let _ = rustix::net::sockopt::set_tcp_quickack(stream.get_ref().as_ref(), true);
                    self.0.deliver(message);
                }
                Err(error) => break error,
            }
        };
        self.0.close(error.kind());
    }
}

async fn message(stream: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.close(ErrorKind::BrokenPipe);
    }
}

#[cfg(test)]
mod tests;
