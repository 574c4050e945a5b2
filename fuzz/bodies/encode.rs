//! A second hand that writes what the crate reads: replies, without compression.

use sshanchor::proto::message::{Question, Response};
use sshanchor::proto::rr::{CLASS_IN, Record, RrType};

/// The reply `id` to `question`. What does not fit into its fields is the caller's mistake.
pub fn reply(id: u16, question: &Question, response: &Response) -> Vec<u8> {
    let flag = |set: bool, bit: u16| if set { bit } else { 0 };
    let flags = 0x8000
        | flag(response.authoritative, 0x0400)
        | flag(response.truncated, 0x0200)
        | (response.rcode & 0xf);
    let counts = [response.answer.len(), response.authority.len(), usize::from(response.edns)];
    let mut out = Vec::new();
    for field in [id, flags, 1].into_iter().chain(counts.map(|count| u16::try_from(count).unwrap())) {
        out.extend(field.to_be_bytes());
    }
    out.extend(question.name.wire());
    out.extend([question.rtype.0.to_be_bytes(), CLASS_IN.to_be_bytes()].concat());
    for record in response.answer.iter().chain(&response.authority) {
        put_record(&mut out, record);
    }
    if response.edns {
        out.push(0);
        out.extend([RrType::OPT.0, 1232].map(u16::to_be_bytes).concat());
        out.extend((u32::from(response.rcode >> 4) << 24).to_be_bytes());
        out.extend([0, 0]);
    }
    out
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    out.extend(record.owner.wire());
    out.extend([record.rtype.0, record.class].map(u16::to_be_bytes).concat());
    out.extend(record.ttl.to_be_bytes());
    out.extend(u16::try_from(record.rdata.len()).unwrap().to_be_bytes());
    out.extend(&*record.rdata);
}
