//! Octets from one side to the other, once the gate has nothing more to say.

use std::io;
use std::pin::pin;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::relay::PORTION;

/// Until the server has closed and its octets are delivered, or the client takes no more. The end of
/// the client's octets, or of the server's wish to read them, leaves the other way open.
pub(super) async fn both_ways<R, W>(client_in: R, client_out: W, server: TcpStream)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (from_server, to_server) = server.into_split();
    let mut up = pin!(one_way(client_in, to_server));
    let mut down = pin!(one_way(from_server, client_out));
    tokio::select! {
        () = &mut down => {}
        () = &mut up => down.await,
    }
}

/// Until one of them fails or ends; the writing side is told the end.
async fn one_way(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let _ = transfer(&mut from, &mut to).await;
    // Standard output's shutdown does not flush.
    let _ = to.flush().await;
    let _ = to.shutdown().await;
}

async fn transfer(from: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let mut portion = vec![0; PORTION];
    let mut unflushed = false;
    loop {
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
        to.write_all(portion.get(..length).unwrap_or_default()).await?;
        unflushed = true;
    }
}
