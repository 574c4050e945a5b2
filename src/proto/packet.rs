//! SSH's binary packets while they are still in clear (RFC 4253 section 6): strict reading, and
//! framing with own padding.

use super::wire::Reader;

/// Largest `packet_length` that is read, in octets: OpenSSH's own limit.
pub const MAX_PACKET: usize = 256 * 1024;
/// Smallest `packet_length`: 16 octets in all, without the length field.
const MIN_PACKET: usize = 12;
/// Block size of the `none` cipher for padding.
const BLOCK: usize = 8;
const MIN_PADDING: usize = 4;

/// Message numbers (RFC 4250 section 4.1, RFC 4419 section 5).
pub mod message {
    /// `SSH_MSG_DISCONNECT`.
    pub const DISCONNECT: u8 = 1;
    /// `SSH_MSG_DEBUG`, the last of those a client may send at any time (1 to 4).
    pub const DEBUG: u8 = 4;
    /// `SSH_MSG_KEXINIT`.
    pub const KEXINIT: u8 = 20;
    /// `SSH_MSG_NEWKEYS`.
    pub const NEWKEYS: u8 = 21;
    /// The client's init of DH, ECDH and hybrids; with group exchange the request of old.
    pub const KEX_INIT: u8 = 30;
    /// The server's reply to it; with group exchange `SSH_MSG_KEX_DH_GEX_GROUP`.
    pub const KEX_REPLY: u8 = 31;
    /// `SSH_MSG_KEX_DH_GEX_INIT`.
    pub const GEX_INIT: u8 = 32;
    /// `SSH_MSG_KEX_DH_GEX_REPLY`.
    pub const GEX_REPLY: u8 = 33;
    /// `SSH_MSG_KEX_DH_GEX_REQUEST`.
    pub const GEX_REQUEST: u8 = 34;
    /// The last number that belongs to key exchange methods (from 30).
    pub const KEX_LAST: u8 = 49;
}

/// What is wrong with a packet's frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// `packet_length` out of bounds or not a whole number of blocks.
    #[error("packet length {0} (want 12 to 262144, and a multiple of 8 with its length field)")]
    Length(u32),
    /// Too little padding, or no room for a payload.
    #[error("{padding} octets of padding in a packet of {length}")]
    Padding {
        /// `padding_length`.
        padding: u8,
        /// `packet_length`.
        length: u32,
    },
}

/// One packet at the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The message number: the payload's first octet.
    pub message: u8,
    /// The payload, message number included.
    pub payload: &'a [u8],
    /// The packet as it was framed, length and padding included.
    pub framed: &'a [u8],
}

/// The packet at the front of `buffer`; `None` while it is incomplete. A wrong length is told as
/// soon as it is there, so no more than [`MAX_PACKET`] and its length field need to be kept.
pub fn parse(buffer: &[u8]) -> Result<Option<Packet<'_>>, FrameError> {
    let mut reader = Reader::new(buffer);
    let Some(length) = reader.u32() else { return Ok(None) };
    let size = usize::try_from(length).map_err(|_| FrameError::Length(length))?;
    if !(MIN_PACKET..=MAX_PACKET).contains(&size) || !(size + 4).is_multiple_of(BLOCK) {
        return Err(FrameError::Length(length));
    }
    let Some(body) = reader.take(size) else { return Ok(None) };
    let mut body = Reader::new(body);
    let padding = body.u8().unwrap_or(0);
    let bad = FrameError::Padding { padding, length };
    let payload = size.checked_sub(1 + usize::from(padding)).ok_or(bad)?;
    let payload = body.take(payload).ok_or(bad)?;
    match (payload.first(), buffer.get(..size + 4)) {
        (Some(message), Some(framed)) if usize::from(padding) >= MIN_PADDING => {
            Ok(Some(Packet { message: *message, payload, framed }))
        }
        _ => Err(bad),
    }
}

/// `payload` as a packet with the least padding there can be, of zeros: it is not secret, and not
/// part of the exchange hash.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let unpadded = 4 + 1 + payload.len();
    let padding = MIN_PADDING + (BLOCK - (unpadded + MIN_PADDING) % BLOCK) % BLOCK;
    let mut packet = Vec::with_capacity(unpadded + padding);
    packet.extend(((1 + payload.len() + padding) as u32).to_be_bytes());
    packet.push(padding as u8);
    packet.extend(payload);
    packet.resize(unpadded + padding, 0);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_packet_is_read_once_it_is_whole() {
        let framed = frame(b"\x15");
        assert_eq!(framed.len(), 16);
        for cut in 0..framed.len() {
            assert_eq!(parse(&framed[..cut]), Ok(None), "cut at {cut}");
        }
        let more = [framed.clone(), vec![9; 5]].concat();
        let packet = parse(&more).unwrap().unwrap();
        assert_eq!((packet.message, packet.payload, packet.framed), (21, &b"\x15"[..], &framed[..]));
    }

    #[test]
    fn lengths_out_of_bounds_are_refused_at_once() {
        for length in [0u32, 1, 4, 11, 13, 262_144, 262_148, 0x7fff_fffc, u32::MAX] {
            assert_eq!(parse(&length.to_be_bytes()), Err(FrameError::Length(length)), "{length}");
        }
        for length in [12u32, 20, 262_140] {
            assert_eq!(parse(&length.to_be_bytes()), Ok(None), "{length}");
        }
    }

    #[test]
    fn little_padding_and_empty_payloads_are_refused() {
        let mut packet = frame(&[20; 7]);
        for padding in [0u8, 1, 3, 11, 12, 255] {
            packet[4] = padding;
            assert_eq!(parse(&packet), Err(FrameError::Padding { padding, length: 12 }), "{padding}");
        }
        for padding in [4, 10] {
            packet[4] = padding;
            assert!(parse(&packet).unwrap().is_some());
        }
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back(payload in proptest::collection::vec(any::<u8>(), 1..600)) {
            let framed = frame(&payload);
            let packet = parse(&framed).unwrap().unwrap();
            prop_assert_eq!(packet.payload, &payload[..]);
            prop_assert_eq!(packet.framed.len(), framed.len());
        }

        #[test]
        fn any_octets_are_a_packet_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some(packet)) = parse(&octets) {
                prop_assert!(!packet.payload.is_empty());
            }
        }
    }
}
