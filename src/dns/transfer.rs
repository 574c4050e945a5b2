//! A zone transfer (AXFR, RFC 5936): how the records of many names are read at one go. Nothing in it is proven, and the
//! replies' signatures are not looked at: it counts no more than what the server answers to questions.

use std::collections::BTreeSet;

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{DNSClass, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::authority::Authority;
use super::transport::{MAX_MESSAGE, TransportError};
use super::tsig::Key;
use super::update::{UpdateError, signer, wire_name};
use crate::proto::name::Name;
use crate::proto::transfer::{Contents, Transfer, TransferError};

/// Octets that a transfer may have for each name that is asked for; where a zone holds much else, questions cost less.
const OCTETS_A_NAME: usize = 2048;
/// Longest transfer that is read for the names in it, in octets: a million names, signed.
const MAX_ZONE: usize = 2 * 1024 * 1024 * 1024;

/// Why there is no transfer. None of it says anything about the zone: there are questions still.
#[derive(Debug, thiserror::Error)]
pub enum NoTransfer {
    /// No reply, or its end is missing.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// The query cannot be written or signed.
    #[error("{0}")]
    Encode(#[from] UpdateError),
    /// The server will not, or what it sends is none.
    #[error("{0}")]
    Reply(#[from] TransferError),
    /// The zone holds much more than what is wanted.
    #[error("more than {0} octets")]
    TooLong(usize),
    /// The zone holds more names than are wanted.
    #[error("more than {0} names")]
    TooMany(usize),
}

/// What `zone` holds at `names`, with the right of `key` where there is one. `now` is the time in seconds since 1970.
pub async fn transfer(
    primary: &Authority,
    zone: &Name,
    key: Option<&Key>,
    names: Vec<Name>,
    now: u64,
) -> Result<Contents, NoTransfer> {
    let most = names.len().saturating_mul(OCTETS_A_NAME);
    let begin = |id| Transfer::new(zone, id, names);
    exchange(primary, zone, key, begin, Most { octets: most, owners: usize::MAX }, now).await
}

/// The names in `zone` that have SSHFP records, at most `most` of them.
pub async fn owners(
    server: &Authority,
    zone: &Name,
    key: Option<&Key>,
    most: usize,
    now: u64,
) -> Result<BTreeSet<Name>, NoTransfer> {
    let begin = |id| Transfer::of_owners(zone, id);
    let most = Most { octets: MAX_ZONE, owners: most };
    Ok(exchange(server, zone, key, begin, most, now).await?.owners())
}

/// Where a transfer is broken off.
struct Most {
    octets: usize,
    owners: usize,
}

async fn exchange(
    primary: &Authority,
    zone: &Name,
    key: Option<&Key>,
    begin: impl FnOnce(u16) -> Transfer,
    most: Most,
    now: u64,
) -> Result<Contents, NoTransfer> {
    let encode = |e: ProtoError| UpdateError::Encode(e.to_string());
    let mut query = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    let mut question = Query::new();
    question.set_name(wire_name(zone)?).set_query_class(DNSClass::IN).set_query_type(RecordType::AXFR);
    query.add_query(question);
    if let Some(key) = key {
        query.finalize(&signer(key)?, now).map_err(encode)?;
    }
    let octets = query.to_vec().map_err(encode)?;
    let (server, deadline) = (primary.server, primary.until());
    let io = |e| TransportError::Io(server, e);
    let length = u16::try_from(octets.len()).map_err(|_| TransportError::TooLong(octets.len()))?;
    let exchange = async {
        let mut stream = TcpStream::connect(server).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        stream.write_all(&[&length.to_be_bytes(), octets.as_slice()].concat()).await.map_err(io)?;
        // The server is at work meanwhile.
        let mut transfer = begin(query.metadata.id);
        let mut stream = BufReader::with_capacity(MAX_MESSAGE, stream);
        let (mut message, mut received) = (Vec::new(), 0);
        loop {
            message.resize(usize::from(stream.read_u16().await.map_err(io)?), 0);
            stream.read_exact(&mut message).await.map_err(io)?;
            received += message.len();
            if received > most.octets {
                return Err(NoTransfer::TooLong(most.octets));
            }
            if transfer.push(&message)? {
                break;
            }
            if transfer.kept() > most.owners {
                return Err(NoTransfer::TooMany(most.owners));
            }
        }
        transfer.contents().ok_or(NoTransfer::Reply(TransferError::Malformed))
    };
    timeout_at(deadline, exchange).await.unwrap_or(Err(TransportError::Timeout(server).into()))
}
