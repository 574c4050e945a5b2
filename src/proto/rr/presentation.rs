//! RDATA as zone files have it (RFC 1035 section 5.1), by the fields of each type.

use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXLOWER};

use super::RrType;
use crate::proto::name::Name;
use crate::proto::wire::Reader;

/// One field, or all that is left of the RDATA.
enum Field {
    U8,
    U16,
    U32,
    Ipv4,
    Ipv6,
    Name,
    /// A character string in quotes.
    Text,
    /// A character string without quotes, of letters and digits.
    Tag,
    /// A length and octets in hexadecimal digits; `-` if there are none.
    Salt,
    /// A length and octets in base 32.
    Hash,
    /// Sixteen bits in hexadecimal digits, four times.
    Groups,
    /// Character strings to the end, at least one.
    Texts,
    /// Octets to the end, at least one: in quotes, in hexadecimal digits, each pair apart, in base 64.
    Quoted,
    Hex,
    Pairs,
    Base64,
    /// 0x and hexadecimal digits to the end.
    Nsap,
    /// Types to the end (RFC 4034 section 4.1.2).
    Bitmap,
}

/// The fields of the types that have a form of their own here; LOC, SVCB and HTTPS are made of more.
fn fields(rtype: RrType) -> Option<&'static [Field]> {
    use Field::*;
    Some(match rtype.to_string().as_str() {
        "A" => &[Ipv4],
        "NS" | "MD" | "MF" | "CNAME" | "MB" | "MG" | "MR" | "PTR" | "NSAP-PTR" | "DNAME" => &[Name],
        "SOA" => &[Name, Name, U32, U32, U32, U32, U32],
        "HINFO" => &[Text, Text],
        "MINFO" | "RP" | "TALINK" => &[Name, Name],
        "MX" | "AFSDB" | "RT" | "KX" | "LP" => &[U16, Name],
        "TXT" | "NINFO" | "SPF" | "AVC" | "ISDN" => &[Texts],
        "X25" => &[Text],
        "NSAP" => &[Nsap],
        "KEY" | "DNSKEY" | "RKEY" | "CDNSKEY" => &[U16, U8, U8, Base64],
        "PX" => &[U16, Name, Name],
        "GPOS" => &[Text, Text, Text],
        "AAAA" => &[Ipv6],
        "SRV" => &[U16, U16, U16, Name],
        "NAPTR" => &[U16, U16, Text, Text, Text, Name],
        "CERT" => &[U16, U16, U8, Base64],
        "DS" | "CDS" | "DLV" => &[U16, U8, U8, Hex],
        "SSHFP" => &[U8, U8, Hex],
        "NSEC" => &[Name, Bitmap],
        "DHCID" | "OPENPGPKEY" => &[Base64],
        "NSEC3" => &[U8, U8, U16, Salt, Hash, Bitmap],
        "NSEC3PARAM" => &[U8, U8, U16, Salt],
        "TLSA" | "SMIMEA" => &[U8, U8, U8, Hex],
        "CSYNC" => &[U32, U16, Bitmap],
        "ZONEMD" => &[U32, U8, U8, Hex],
        "NID" | "L64" => &[U16, Groups],
        "L32" => &[U16, Ipv4],
        "EUI48" | "EUI64" => &[Pairs],
        "URI" => &[U16, U16, Quoted],
        "CAA" => &[U8, Tag, Quoted],
        _ => return None,
    })
}

/// RDATA in presentation form: the type's own where it has one here and the octets fit it, else that for
/// unknown types (RFC 3597 section 5), which zone files take for every type.
pub fn presentation(rtype: RrType, rdata: &[u8]) -> String {
    let own = match rtype.0 {
        29 => location(rdata),
        64 | 65 => service(rdata),
        _ => fields(rtype).and_then(|fields| by_fields(fields, rdata)),
    };
    own.unwrap_or_else(|| format!("\\# {} {}", rdata.len(), HEXLOWER.encode(rdata)).trim_end().to_owned())
}

fn by_fields(fields: &[Field], rdata: &[u8]) -> Option<String> {
    let mut reader = Reader::new(rdata);
    let words: Option<Vec<String>> = fields.iter().map(|field| word(field, &mut reader)).collect();
    reader.is_empty().then_some(words?.join(" ").trim_end().to_owned())
}

fn word(field: &Field, reader: &mut Reader<'_>) -> Option<String> {
    Some(match field {
        Field::U8 => reader.u8()?.to_string(),
        Field::U16 => reader.u16()?.to_string(),
        Field::U32 => reader.u32()?.to_string(),
        Field::Ipv4 => Ipv4Addr::from(<[u8; 4]>::try_from(reader.take(4)?).ok()?).to_string(),
        Field::Ipv6 => Ipv6Addr::from(<[u8; 16]>::try_from(reader.take(16)?).ok()?).to_string(),
        Field::Name => name(reader)?,
        Field::Text => quoted(string(reader)?),
        Field::Tag => plain(string(reader)?, b"")?,
        Field::Salt => match string(reader)? {
            [] => "-".to_owned(),
            salt => HEXLOWER.encode(salt),
        },
        Field::Hash => BASE32HEX_NOPAD.encode(string(reader)?),
        Field::Groups => {
            let groups: Vec<String> = reader.take(8)?.chunks(2).map(|two| HEXLOWER.encode(two)).collect();
            groups.join(":")
        }
        Field::Texts => {
            let mut strings = vec![quoted(string(reader)?)];
            while !reader.is_empty() {
                strings.push(quoted(string(reader)?));
            }
            strings.join(" ")
        }
        Field::Quoted => quoted(rest(reader)?),
        Field::Hex => HEXLOWER.encode(rest(reader)?),
        Field::Pairs => {
            let pairs: Vec<String> = rest(reader)?.iter().map(|octet| format!("{octet:02x}")).collect();
            pairs.join("-")
        }
        Field::Base64 => BASE64.encode(rest(reader)?),
        Field::Nsap => format!("0x{}", HEXLOWER.encode(rest(reader)?)),
        Field::Bitmap => bitmap(reader)?,
    })
}

/// What is left, if anything is.
fn rest<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let rest = reader.rest();
    reader.take(rest.len()).filter(|octets| !octets.is_empty())
}

/// A length and as many octets.
fn string<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::from(reader.u8()?);
    reader.take(length)
}

fn name(reader: &mut Reader<'_>) -> Option<String> {
    let (name, used) = Name::read_wire(reader.rest()).ok()?;
    reader.take(used)?;
    Some(if name.is_root() { name.to_string() } else { format!("{name}.") })
}

fn quoted(octets: &[u8]) -> String {
    let escaped: String = octets
        .iter()
        .map(|&byte| match byte {
            b'"' | b'\\' => format!("\\{}", byte as char),
            0x20..=0x7e => (byte as char).to_string(),
            _ => format!("\\{byte:03}"),
        })
        .collect();
    format!("\"{escaped}\"")
}

/// Octets that need no quotes: letters, digits and those of `more`.
fn plain(octets: &[u8], more: &[u8]) -> Option<String> {
    let fine = |octet: &u8| octet.is_ascii_alphanumeric() || more.contains(octet);
    (!octets.is_empty() && octets.iter().all(fine)).then(|| String::from_utf8_lossy(octets).into_owned())
}

fn bitmap(reader: &mut Reader<'_>) -> Option<String> {
    let mut types = Vec::new();
    while !reader.is_empty() {
        let (window, octets) = (u16::from(reader.u8()?), string(reader)?);
        for (at, octet) in (0u16..256).step_by(8).zip(octets) {
            let bits = (0..8).filter(|bit| octet & (0x80 >> bit) != 0);
            types.extend(bits.map(|bit| RrType((window << 8) | (at + bit)).to_string()));
        }
    }
    Some(types.join(" "))
}

/// LOC (RFC 1876).
fn location(rdata: &[u8]) -> Option<String> {
    let mut reader = Reader::new(rdata);
    let (0, sizes) = (reader.u8()?, [reader.u8()?, reader.u8()?, reader.u8()?]) else { return None };
    let angle = |raw: u32, limit: i64, hemispheres: [char; 2]| {
        let thousandths = i64::from(raw) - (1 << 31);
        let [positive, negative] = hemispheres;
        let hemisphere = if thousandths < 0 { negative } else { positive };
        let size = thousandths.abs();
        let (degrees, minutes) = (size / 3_600_000, size / 60_000 % 60);
        let (seconds, part) = (size / 1000 % 60, size % 1000);
        (size <= limit * 3_600_000).then(|| format!("{degrees} {minutes} {seconds}.{part:03} {hemisphere}"))
    };
    let latitude = angle(reader.u32()?, 90, ['N', 'S'])?;
    let longitude = angle(reader.u32()?, 180, ['E', 'W'])?;
    let centimetres = |size: i64| {
        let sign = if size < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}m", size.abs() / 100, size.abs() % 100)
    };
    let altitude = centimetres(i64::from(reader.u32()?) - 10_000_000);
    let precision = |octet: u8| {
        let (digit, power) = (octet >> 4, octet & 15);
        (digit < 10 && power < 10).then(|| centimetres(i64::from(digit) * 10i64.pow(u32::from(power))))
    };
    let sizes: Option<Vec<String>> = sizes.into_iter().map(precision).collect();
    reader.is_empty().then_some(format!("{latitude} {longitude} {altitude} {}", sizes?.join(" ")))
}

/// SVCB and HTTPS (RFC 9460 section 2.1).
fn service(rdata: &[u8]) -> Option<String> {
    let mut reader = Reader::new(rdata);
    let mut words = vec![reader.u16()?.to_string(), name(&mut reader)?];
    while !reader.is_empty() {
        let (key, length) = (reader.u16()?, usize::from(reader.u16()?));
        words.push(parameter(key, reader.take(length)?)?);
    }
    Some(words.join(" "))
}

fn parameter(key: u16, value: &[u8]) -> Option<String> {
    const KEYS: [&str; 7] = ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint"];
    let word = |key: u16| KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |k| (*k).to_owned());
    let mut reader = Reader::new(value);
    let mut list = |item: &dyn Fn(&mut Reader<'_>) -> Option<String>| {
        let mut items = vec![item(&mut reader)?];
        while !reader.is_empty() {
            items.push(item(&mut reader)?);
        }
        Some(items.join(","))
    };
    let text = match key {
        0 => list(&|reader| Some(word(reader.u16()?)))?,
        1 => list(&|reader| plain(string(reader)?, b"-_./"))?,
        2 if value.is_empty() => return Some(word(key)),
        3 if value.len() == 2 => list(&|reader| Some(reader.u16()?.to_string()))?,
        4 => list(&|reader| self::word(&Field::Ipv4, reader))?,
        5 if !value.is_empty() => BASE64.encode(value),
        6 => list(&|reader| self::word(&Field::Ipv6, reader))?,
        2 | 3 | 5 => return None,
        _ if value.is_empty() => return Some(word(key)),
        _ => quoted(value),
    };
    Some(format!("{}={text}", word(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presentation_forms() {
        for (rtype, rdata, want) in [
            (RrType::A, &[192, 0, 2, 1][..], "192.0.2.1"),
            (RrType::SSHFP, &[4, 2, 0xab], "4 2 ab"),
            (RrType::TXT, b"\x03a\"b\x01\x07", r#""a\"b" "\007""#),
            (RrType::CNAME, b"\x01a\x01b\x00", "a.b."),
            (RrType::DNAME, b"\x01a\x01b\x00", "a.b."),
            (RrType::NS, b"\x00", "."),
            (
                RrType(65),
                b"\x00\x01\x00\x00\x01\x00\x06\x02h2\x02h3\x00\x02\x00\x00",
                "1 . alpn=h2,h3 no-default-alpn",
            ),
            (RrType(65), b"\x00\x01\x00\x00\x01\x00\x04\x03a,b", r"\# 11 0001000001000403612c62"),
            (RrType(65280), &[1, 2], r"\# 2 0102"),
        ] {
            assert_eq!(presentation(rtype, rdata), want);
        }
    }

    #[test]
    fn octets_that_do_not_fit_the_type_are_shown_as_they_are() {
        for number in 0..300 {
            for length in 0..40 {
                for octet in [0, 1, 5, 0x7f, 0xff] {
                    let rdata = vec![octet; length];
                    let shown = presentation(RrType(number), &rdata);
                    assert!(!shown.is_empty() && shown.bytes().all(|b| (0x20..0x7f).contains(&b)), "{shown}");
                }
            }
        }
        assert_eq!(presentation(RrType::A, &[1]), r"\# 1 01");
        assert_eq!(presentation(RrType::A, &[1, 2, 3, 4, 5]), r"\# 5 0102030405");
        assert_eq!(presentation(RrType::TXT, &[]), r"\# 0");
        assert_eq!(presentation(RrType::TXT, &[2, 1]), r"\# 2 0201");
    }
}
