//! DNS messages (RFC 1035 section 4): building a question, reading a reply strictly.

mod raw;
mod rdata;

use super::name::{Builder, Name, NameError};
use super::rr::{CLASS_IN, Record, RrType};
use super::wire::Reader;

pub use self::raw::{RawMessage, RawRecord};

/// A question of class IN.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The name asked for.
    pub name: Name,
    /// The type asked for.
    pub rtype: RrType,
}

impl Question {
    /// Of this name and type.
    pub fn new(name: Name, rtype: RrType) -> Self {
        Question { name, rtype }
    }

    /// A query that asks for DNSSEC data (DO, RFC 3225), recursion, and with `checking_disabled` (CD,
    /// RFC 4035 section 3.2.2) for data that the resolver could not validate itself.
    pub fn query(&self, id: u16, checking_disabled: bool, udp_payload: u16) -> Vec<u8> {
        const RD: u16 = 0x0100;
        const CD: u16 = 0x0010;
        let flags = RD | if checking_disabled { CD } else { 0 };
        let mut out = Vec::with_capacity(28 + self.name.wire().len());
        for field in [id, flags, 1, 0, 0, 1] {
            out.extend(field.to_be_bytes());
        }
        out.extend(self.name.wire());
        out.extend(self.rtype.0.to_be_bytes());
        out.extend(CLASS_IN.to_be_bytes());
        // OPT: root owner, payload size as class, DO as the top bit of the lower half of the TTL
        // (RFC 6891 section 6.1), no options.
        out.push(0);
        for field in [RrType::OPT.0, udp_payload, 0, 0x8000, 0] {
            out.extend(field.to_be_bytes());
        }
        out
    }
}

/// A reply, fully read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The response code with its EDNS part (RFC 6891 section 6.1.3).
    pub rcode: u16,
    /// TC: the rest is to be had over TCP.
    pub truncated: bool,
    /// AA: the server holds the zone.
    pub authoritative: bool,
    /// There is an OPT record. Whoever leaves it out does not know EDNS (RFC 6891 section 7), and so
    /// nothing of DNSSEC.
    pub edns: bool,
    /// The answer section.
    pub answer: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
}

/// Response code NOERROR.
pub const NOERROR: u16 = 0;
/// Response code NXDOMAIN.
pub const NXDOMAIN: u16 = 3;

/// The mnemonic of a response code (IANA's registry); `RCODE99` for those without.
pub fn rcode_name(rcode: u16) -> String {
    let names = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
        "NOTAUTH", "NOTZONE",
    ];
    match (names.get(usize::from(rcode)), rcode) {
        (Some(name), _) => (*name).to_owned(),
        (None, 16) => "BADVERS".to_owned(),
        _ => format!("RCODE{rcode}"),
    }
}

/// Why octets are no reply to our question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Cut short, or a count, name or RDATA out of form.
    #[error("malformed DNS message")]
    Malformed,
    /// Another id, another question, or no reply at all: not ours.
    #[error("not a reply to this question")]
    NotOurs,
}

impl From<NameError> for MessageError {
    fn from(_: NameError) -> Self {
        MessageError::Malformed
    }
}

/// The octets look like a reply to the query `id`, `question`: cheap enough for every datagram.
pub fn is_reply_to(message: &[u8], id: u16, question: &Question) -> bool {
    header(message, id, question).is_ok()
}

struct Header {
    flags: u16,
    counts: [u16; 3],
    at: usize,
}

fn header(message: &[u8], id: u16, question: &Question) -> Result<Header, MessageError> {
    let mut reader = Reader::new(message);
    let mut next = || reader.u16().ok_or(MessageError::Malformed);
    let (their_id, flags, questions) = (next()?, next()?, next()?);
    let counts = [next()?, next()?, next()?];
    let (is_response, opcode) = (flags & 0x8000 != 0, (flags >> 11) & 0xf);
    if their_id != id || !is_response || opcode != 0 {
        return Err(MessageError::NotOurs);
    }
    // Whoever cannot or will not read a question may answer it with a bare header.
    let is_refusal = !matches!(flags & 0xf, NOERROR | NXDOMAIN);
    if questions == 0 && is_refusal && matches!(counts, [0, 0, _]) {
        return Ok(Header { flags, counts, at: 12 });
    }
    if questions != 1 {
        return Err(MessageError::NotOurs);
    }
    let (name, at) = read_name(message, 12)?;
    let mut reader = Reader::new(message.get(at..).ok_or(MessageError::Malformed)?);
    let (rtype, class) = (reader.u16(), reader.u16());
    if name != question.name || rtype != Some(question.rtype.0) || class != Some(CLASS_IN) {
        return Err(MessageError::NotOurs);
    }
    Ok(Header { flags, counts, at: at + 4 })
}

impl Response {
    /// Reads a reply to the query `id`, `question`.
    pub fn read(message: &[u8], id: u16, question: &Question) -> Result<Self, MessageError> {
        let Header { flags, counts: [answers, authorities, additionals], mut at } =
            header(message, id, question)?;
        let (authoritative, truncated) = (flags & 0x0400 != 0, flags & 0x0200 != 0);
        let mut rcode = flags & 0xf;
        let mut section = |count: u16| -> Result<Vec<Record>, MessageError> {
            let mut records = Vec::with_capacity(usize::from(count).min(64));
            for _ in 0..count {
                let (record, next) = read_record(message, at)?;
                records.push(record);
                at = next;
            }
            Ok(records)
        };
        if truncated {
            return Ok(Response { rcode, truncated, authoritative, ..Response::default() });
        }
        let (answer, authority, additional) =
            (section(answers)?, section(authorities)?, section(additionals)?);
        let opt = additional.iter().find(|r| r.rtype == RrType::OPT);
        if let Some(opt) = opt {
            rcode |= ((opt.ttl >> 24) as u16) << 4;
        }
        Ok(Response { rcode, truncated, authoritative, edns: opt.is_some(), answer, authority })
    }
}

/// Reads a name that may be compressed; gives the offset after it. Pointers must go backwards, each
/// further than the one before, so that no loop is possible.
fn read_name(message: &[u8], start: usize) -> Result<(Name, usize), MessageError> {
    let mut name = Builder::default();
    let (mut at, mut lowest, mut after) = (start, start, None);
    loop {
        let length = *message.get(at).ok_or(MessageError::Malformed)?;
        match length {
            0 => {
                return Ok((name.name()?, after.unwrap_or(at + 1)));
            }
            1..=63 => {
                let end = at + 1 + usize::from(length);
                name.label(message.get(at + 1..end).ok_or(MessageError::Malformed)?)?;
                at = end;
            }
            0xc0..=0xff => {
                let low = *message.get(at + 1).ok_or(MessageError::Malformed)?;
                let target = usize::from(u16::from_be_bytes([length & 0x3f, low]));
                if target >= lowest {
                    return Err(MessageError::Malformed);
                }
                after.get_or_insert(at + 2);
                lowest = target;
                at = target;
            }
            _ => return Err(MessageError::Malformed),
        }
    }
}

fn read_record(message: &[u8], at: usize) -> Result<(Record, usize), MessageError> {
    let malformed = MessageError::Malformed;
    let (owner, at) = read_name(message, at)?;
    let mut reader = Reader::new(message.get(at..).ok_or(malformed.clone())?);
    let mut next = || reader.u16().ok_or(MessageError::Malformed);
    let (rtype, class, ttl_high, ttl_low, length) = (RrType(next()?), next()?, next()?, next()?, next()?);
    let start = at + 10;
    let end = start + usize::from(length);
    if message.len() < end {
        return Err(malformed);
    }
    let mut ttl = u32::from(ttl_high) << 16 | u32::from(ttl_low);
    if rtype != RrType::OPT && ttl > i32::MAX as u32 {
        ttl = 0; // RFC 2181 section 8
    }
    let rdata = rdata::canonical(message, rtype, start, end)?;
    Ok((Record { owner, rtype, class, ttl, rdata }, end))
}

#[cfg(test)]
mod tests;
