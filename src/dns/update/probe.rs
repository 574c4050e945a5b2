//! What a server makes of a key, without a change to anything.

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::SSHFP;
use hickory_proto::rr::rdata::sshfp::{Algorithm, FingerprintType};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use tokio::time::Instant;

use super::message::wire_name;
use super::{Asked, UpdateError, exchange};
use crate::dns::transport::TransportError;
use crate::proto::name::Name;

/// Whether the server knows the key and its clock agrees with ours: a signed question for the zone's SOA.
pub async fn try_key(asked: Asked<'_>, deadline: Instant) -> Result<(), UpdateError> {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.add_query(soa(asked.zone)?);
    ask(message, asked, deadline).await
}

/// Whether the key may change SSHFP at `owner`: an update that deletes one record which does not stand there. Servers ask
/// for the right to do so all the same, and then do nothing (RFC 2136 section 3.4.2.4: "silently ignored"); BIND and Knot
/// neither raise the serial nor write to their journal.
pub async fn try_rights(asked: Asked<'_>, owner: &Name, deadline: Instant) -> Result<(), UpdateError> {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Update);
    message.add_query(soa(asked.zone)?);
    // Nobody has a key of this digest: it is made up now.
    let digest: [u8; 32] = rand::random();
    let rdata = SSHFP::new(Algorithm::Ed25519, FingerprintType::SHA256, digest.to_vec());
    let mut record = Record::from_rdata(wire_name(owner)?, 0, RData::SSHFP(rdata));
    record.dns_class = DNSClass::NONE;
    message.add_authority(record);
    ask(message, asked, deadline).await
}

/// These do nothing, and may be sent twice: over another connection where the server closes one that was used before.
async fn ask(message: Message, asked: Asked<'_>, deadline: Instant) -> Result<(), UpdateError> {
    match exchange(message.clone(), asked, deadline).await {
        Err(UpdateError::Transport(TransportError::Closed(_))) => exchange(message, asked, deadline).await,
        outcome => outcome,
    }
}

fn soa(zone: &Name) -> Result<Query, UpdateError> {
    let mut query = Query::new();
    query.set_name(wire_name(zone)?).set_query_class(DNSClass::IN).set_query_type(RecordType::SOA);
    Ok(query)
}
