//! Octets from one side to the other, once the gate has nothing more to say.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::PORTION;
use super::server::Server;
#[cfg(target_os = "linux")]
use super::splice::{Moved, move_all};
use super::watched::Side;

/// Until the server has closed and its octets are delivered, or the client takes no more. The end of
/// the client's octets, or of the server's wish to read them, leaves the other way open, until the server
/// has been silent for `silence`: a client that was killed can show no other sign, and a server that does
/// not close then would keep this process for ever.
///
/// # Errors
/// The server's socket cannot be watched, and nothing was moved.
pub(super) async fn both_ways<R, W>(
    client_in: R,
    client_out: W,
    server: Server,
    silence: Duration,
) -> io::Result<()>
where
    R: AsyncRead + Unpin + Side,
    W: AsyncWrite + Unpin + Side,
{
    let server = server.watch()?;
    let (sent, heard) = (AtomicBool::new(false), AtomicBool::new(false));
    let client = OnceLock::new();
    let mut up = pin!(one_way(client_in, &server, &sent, &client));
    let mut down = pin!(one_way(&server, client_out, &heard, &client));
    tokio::select! {
        () = &mut down => return Ok(()),
        () = &mut up => {}
    }
    // What came before the client's end does not count.
    heard.store(false, Relaxed);
    loop {
        let ended = timeout(silence, &mut down).await.is_ok();
        if ended || !heard.swap(false, Relaxed) {
            return Ok(());
        }
    }
}

/// Until one of them fails or ends; the writing side is told the end. `alive` is set with each portion; `client` is for
/// whoever can splice.
async fn one_way(
    mut from: impl AsyncRead + Unpin + Side,
    mut to: impl AsyncWrite + Unpin + Side,
    alive: &AtomicBool,
    client: &OnceLock<OwnedFd>,
) {
    let _ = transfer(&mut from, &mut to, alive, client).await;
    // Standard output's shutdown does not flush.
    let _ = to.flush().await;
    let _ = to.shutdown().await;
}

#[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
async fn transfer<R, W>(
    from: &mut R,
    to: &mut W,
    alive: &AtomicBool,
    client: &OnceLock<OwnedFd>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin + Side,
    W: AsyncWrite + Unpin + Side,
{
    let (mut portion, mut unflushed, mut may_splice) = (Vec::new(), false, cfg!(target_os = "linux"));
    loop {
        // Asked each time: who wants to see the first octets does not want to see them all.
        #[cfg(target_os = "linux")]
        if may_splice && let (Some(from), Some(to)) = (from.watched(), to.watched()) {
            match move_all(from, to, alive, client).await? {
                Moved::All => return Ok(()),
                Moved::Unable => may_splice = false,
            }
        }
        portion.resize(PORTION, 0);
        // Flush only while nothing more is there to read: reading and a buffered writer overlap.
        let length = tokio::select! {
            biased;
            length = from.read(&mut portion) => length?,
            flushed = to.flush(), if unflushed => {
                flushed?;
                unflushed = false;
                continue;
            }
        };
        if length == 0 {
            return Ok(());
        }
        alive.store(true, Relaxed);
        to.write_all(portion.get(..length).unwrap_or_default()).await?;
        unflushed = true;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{duplex, split};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::sleep;

    use super::*;

    const SILENCE: Duration = Duration::from_millis(400);

    #[tokio::test]
    async fn a_server_that_does_not_close_is_left_once_it_is_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut far = listener.accept().await.unwrap().0;
        let (mut client, proxy) = duplex(1024);
        let (client_in, client_out) = split(proxy);
        let copying = tokio::spawn(both_ways(client_in, client_out, near.into(), SILENCE));
        // While both are there silence means nothing, nor does the client's end while the server talks.
        sleep(SILENCE * 2).await;
        client.shutdown().await.unwrap();
        for _ in 0..6 {
            sleep(SILENCE / 2).await;
            far.write_all(b"x").await.unwrap();
            assert_eq!(client.read_u8().await.unwrap(), b'x');
        }
        timeout(Duration::from_secs(20), copying).await.unwrap().unwrap().unwrap();
        drop((far, client));
    }
}
