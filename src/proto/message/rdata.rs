//! RDATA in the form that DNSSEC signs (RFC 4034 section 6.2): which types hold names, and where.

use super::{MessageError, read_name};
use crate::proto::rr::RrType;

/// What RDATA is made of, as far as names in it go.
enum Part {
    /// That many octets.
    Octets(usize),
    /// A character string: one octet of length and its text.
    Text,
    /// All of A6 (RFC 2874 section 3.1): the length of the prefix in bits, the octets of the address that
    /// are left, and unless there is no prefix the name that has it, in lower case.
    Suffix,
    /// A name in lower case.
    Name,
    /// A name whose case is kept (RFC 6840 section 5.1).
    NameAsIs,
    /// Whatever is left.
    Rest,
}

/// The types with names in their RDATA (RFC 4034 section 6.2 as corrected by RFC 6840 section 5.1);
/// all others are opaque.
fn parts(rtype: RrType) -> &'static [Part] {
    use Part::*;
    match rtype.0 {
        // NS MD MF CNAME MB MG MR PTR DNAME
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => &[Name],
        // SOA
        6 => &[Name, Name, Octets(20)],
        // MINFO RP
        14 | 17 => &[Name, Name],
        // MX AFSDB RT KX
        15 | 18 | 21 | 36 => &[Octets(2), Name],
        // SIG RRSIG
        24 | 46 => &[Octets(18), Name, Rest],
        // PX
        26 => &[Octets(2), Name, Name],
        // NXT
        30 => &[Name, Rest],
        // SRV
        33 => &[Octets(6), Name],
        // NAPTR
        35 => &[Octets(4), Text, Text, Text, Name],
        // A6
        38 => &[Suffix],
        // NSEC
        47 => &[NameAsIs, Rest],
        _ => &[Rest],
    }
}

/// The RDATA between `start` and `end` in canonical form (RFC 4034 section 6.2): names whole, in lower case.
pub(super) fn canonical(
    message: &[u8],
    rtype: RrType,
    start: usize,
    end: usize,
) -> Result<Box<[u8]>, MessageError> {
    let mut out = Vec::with_capacity(end - start);
    let mut at = start;
    // Names may point backwards out of the RDATA, but nothing may reach past its end.
    let bounded = message.get(..end).ok_or(MessageError::Malformed)?;
    for part in parts(rtype) {
        let take = |length: usize| bounded.get(at..at + length).ok_or(MessageError::Malformed);
        match part {
            Part::Octets(length) => {
                out.extend(take(*length)?);
                at += length;
            }
            Part::Text => {
                let length = 1 + usize::from(*bounded.get(at).ok_or(MessageError::Malformed)?);
                out.extend(take(length)?);
                at += length;
            }
            Part::Suffix => {
                let prefix = usize::from(*bounded.get(at).ok_or(MessageError::Malformed)?);
                let suffix = 128usize.checked_sub(prefix).ok_or(MessageError::Malformed)?.div_ceil(8);
                out.extend(take(1 + suffix)?);
                at += 1 + suffix;
                if prefix > 0 {
                    let (name, next) = read_name(bounded, at)?;
                    out.extend(name.wire());
                    at = next;
                }
            }
            Part::Name => {
                let (name, next) = read_name(bounded, at)?;
                out.extend(name.wire());
                at = next;
            }
            Part::NameAsIs => {
                let (name, next) = read_name(bounded, at)?;
                match take(next - at)? {
                    as_is if as_is.len() == name.wire().len() => out.extend(as_is),
                    _ => out.extend(name.wire()),
                }
                at = next;
            }
            Part::Rest => {
                out.extend(bounded.get(at..).ok_or(MessageError::Malformed)?);
                at = end;
            }
        }
    }
    if at == end { Ok(out.into()) } else { Err(MessageError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The canonical form of RDATA that stands in a message behind this name.
    fn form(rtype: u16, rdata: &[u8]) -> Result<Vec<u8>, MessageError> {
        let message = [b"\x07Example\x00", rdata].concat();
        canonical(&message, RrType(rtype), 9, message.len()).map(Vec::from)
    }

    #[test]
    fn names_lose_their_case_where_dnssec_says_so() {
        for (rtype, rdata, want) in [
            (2u16, &b"\x01B\xc0\x00"[..], &b"\x01b\x07example\x00"[..]),
            (47, b"\x01B\x00\x00\x01\x40", b"\x01B\x00\x00\x01\x40"), // NSEC: RFC 6840 section 5.1
            (33, b"\x00\x01\x00\x02\x00\x03\x01B\x00", b"\x00\x01\x00\x02\x00\x03\x01b\x00"),
            (44, b"\x01AB", b"\x01AB"),
            // A6 with a suffix of one octet and a name, and with all of the address.
            (38, b"\x78A\x01B\x00", b"\x78A\x01b\x00"),
            (38, b"\x00ABCDEFGHIJKLMNOP", b"\x00ABCDEFGHIJKLMNOP"),
        ] {
            assert_eq!(form(rtype, rdata).unwrap(), want, "{rtype}");
        }
    }

    #[test]
    fn rdata_out_of_form_is_refused() {
        for (rtype, rdata) in [
            (38u16, &b""[..]),
            (38, b"\x00ABCDEFGHIJKLMNO"),
            (38, b"\x00ABCDEFGHIJKLMNOP\x01b"),
            (38, b"\x78A"),
            (38, b"\x81\x01b\x00"),
            (33, b"\x00\x01"),
            (2, b"\x01b\x00x"),
        ] {
            assert!(form(rtype, rdata).is_err(), "{rtype} {rdata:?}");
        }
    }
}
