//! Records of a message as they lie there: for messages of which little is wanted, as those of a zone transfer.

use super::{MessageError, read_name};
use crate::proto::name::Name;
use crate::proto::rr::{CLASS_IN, RrType};
use crate::proto::wire::Reader;

/// A message of a response whose questions are not looked at: further messages of a transfer may leave them out
/// (RFC 5936 section 2.2.1).
#[derive(Debug)]
pub struct RawMessage<'a> {
    message: &'a [u8],
    flags: u16,
    /// Records of the answer section that are still to come.
    left: u16,
    at: usize,
}

/// A record whose owner and data are still where they were.
#[derive(Debug)]
pub struct RawRecord<'a> {
    message: &'a [u8],
    owner: usize,
    /// Its type.
    pub rtype: RrType,
    /// Its time to live on the wire, in seconds.
    pub ttl: u32,
    /// RDATA as it came, names in it perhaps compressed.
    pub rdata: &'a [u8],
}

impl RawRecord<'_> {
    /// Its owner.
    pub fn owner(&self) -> Result<Name, MessageError> {
        Ok(read_name(self.message, self.owner)?.0)
    }
}

impl<'a> RawMessage<'a> {
    /// The response with this id.
    pub fn read(message: &'a [u8], id: u16) -> Result<Self, MessageError> {
        let mut reader = Reader::new(message);
        let mut next = || reader.u16().ok_or(MessageError::Malformed);
        let (their_id, flags, questions, left) = (next()?, next()?, next()?, next()?);
        if their_id != id || flags & 0x8000 == 0 || (flags >> 11) & 0xf != 0 {
            return Err(MessageError::NotOurs);
        }
        let mut at = 12;
        for _ in 0..questions {
            at = skip_name(message, at)? + 4;
        }
        Ok(RawMessage { message, flags, left, at })
    }

    /// The response code, without its EDNS part.
    pub fn rcode(&self) -> u16 {
        self.flags & 0xf
    }

    /// AA: the server holds the zone.
    pub fn is_authoritative(&self) -> bool {
        self.flags & 0x0400 != 0
    }

    /// The next record of the answer section; other classes than IN are malformed here.
    pub fn next_answer(&mut self) -> Result<Option<RawRecord<'a>>, MessageError> {
        if self.left == 0 {
            return Ok(None);
        }
        let (message, owner) = (self.message, self.at);
        let start = skip_name(message, owner)?;
        let mut reader = Reader::new(message.get(start..).ok_or(MessageError::Malformed)?);
        let fields = (|| Some((reader.u16()?, reader.u16()?, reader.u32()?, reader.u16()?)))();
        let (rtype, class, ttl, length) = fields.ok_or(MessageError::Malformed)?;
        let rdata = reader.take(usize::from(length)).ok_or(MessageError::Malformed)?;
        if class != CLASS_IN {
            return Err(MessageError::Malformed);
        }
        self.left -= 1;
        self.at = start + 10 + usize::from(length);
        Ok(Some(RawRecord { message, owner, rtype: RrType(rtype), ttl, rdata }))
    }
}

/// The offset after a name, which is not read.
fn skip_name(message: &[u8], mut at: usize) -> Result<usize, MessageError> {
    loop {
        match *message.get(at).ok_or(MessageError::Malformed)? {
            0 => return Ok(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xc0..=0xff => return Ok(at + 2),
            _ => return Err(MessageError::Malformed),
        }
    }
}
