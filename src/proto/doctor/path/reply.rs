//! A reply with what proofs have no use for, and a look at the way does: EDNS, CD, its length.

use crate::proto::message::{Question, Response};
use crate::proto::rr::RrType;
use crate::proto::wire::Reader;

/// A reply, and what it shows of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its content.
    pub response: Response,
    /// It has an OPT record (RFC 6891): its sender knows EDNS.
    pub edns: bool,
    /// CD is set, as it was in the question (RFC 4035 section 3.2.2).
    pub checking_disabled: bool,
    /// Its length.
    pub octets: usize,
}

impl Reply {
    /// Reads a reply to the query `id`, `question`; none if it is out of form.
    pub fn read(message: &[u8], id: u16, question: &Question) -> Option<Self> {
        const CD: u8 = 0x10;
        Some(Reply {
            response: Response::read(message, id, question).ok()?,
            edns: has_opt(message).unwrap_or(false),
            checking_disabled: message.get(3)? & CD != 0,
            octets: message.len(),
        })
    }
}

/// Whether any record is an OPT; none if the message ends early.
fn has_opt(message: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(message.get(4..)?);
    let questions = reader.u16()?;
    let records = [reader.u16()?, reader.u16()?, reader.u16()?].map(u32::from).iter().sum();
    for _ in 0..questions {
        skip_name(&mut reader)?;
        reader.take(4)?;
    }
    for _ in 0u32..records {
        skip_name(&mut reader)?;
        let rtype = reader.u16()?;
        reader.take(6)?;
        let length = reader.u16()?;
        reader.take(usize::from(length))?;
        if rtype == RrType::OPT.0 {
            return Some(true);
        }
    }
    Some(false)
}

fn skip_name(reader: &mut Reader<'_>) -> Option<()> {
    loop {
        match reader.u8()? {
            0 => return Some(()),
            length @ 1..=63 => reader.take(usize::from(length)).map(drop)?,
            0xc0..=0xff => return reader.take(1).map(drop),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::name::Name;

    #[test]
    fn edns_and_cd_are_seen_and_their_absence_too() {
        let question = Question::new(Name::from_text("example.test").unwrap(), RrType::SOA);
        let mut with = question.query(7, true, 1232);
        with[2] |= 0x80;
        let reply = Reply::read(&with, 7, &question).unwrap();
        assert_eq!((reply.edns, reply.checking_disabled, reply.octets), (true, true, with.len()));
        let mut without = with[..with.len() - 11].to_vec();
        (without[11], without[3]) = (0, 0x80);
        let reply = Reply::read(&without, 7, &question).unwrap();
        assert_eq!((reply.edns, reply.checking_disabled), (false, false));
        assert_eq!(Reply::read(&with, 8, &question), None);
        for cut in 0..with.len() {
            assert_eq!(Reply::read(&with[..cut], 7, &question), None, "{cut}");
        }
    }
}
