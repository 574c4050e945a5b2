//! A plain DNS client: one question, one answer, nothing believed.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use hickory_proto::serialize::binary::BinDecodable;

/// A question with DO and CD set, as `sshanchor` sends it.
pub fn question(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = true;
    message.add_query(Query::query(Name::from_str(name).unwrap(), rtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232).set_version(0).set_dnssec_ok(true);
    message.set_edns(edns);
    message
}

/// Asks over UDP what `sshanchor` would ask; None when nothing that fits comes back within half a second.
pub fn ask(server: SocketAddr, name: &str, rtype: RecordType) -> Option<Message> {
    exchange(server, &question(name, rtype))
}

/// Sends `question` over UDP; None when nothing that fits comes back within half a second.
pub fn exchange(server: SocketAddr, question: &Message) -> Option<Message> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.connect(server).ok()?;
    socket.send(&question.to_vec().unwrap()).ok()?;
    let mut buffer = [0; 65_535];
    let length = socket.recv(&mut buffer).ok()?;
    let answer = Message::from_bytes(&buffer[..length]).ok()?;
    (answer.metadata.id == question.metadata.id).then_some(answer)
}

/// Whether `server` answers for `name` and `rtype` with at least one signature beside the data.
pub fn is_signed(server: SocketAddr, name: &str, rtype: RecordType) -> bool {
    ask(server, name, rtype).is_some_and(|answer| {
        let has = |wanted| answer.answers.iter().any(|record| record.record_type() == wanted);
        has(rtype) && has(RecordType::RRSIG)
    })
}
