//! DNS messages taken apart and put together octet by octet: a second opinion, independent of the
//! crate's and of hickory's reading, and free to write what no library would.

/// Record types that tests name.
pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const SOA: u16 = 6;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const DNAME: u16 = 39;
pub const DS: u16 = 43;
pub const SSHFP: u16 = 44;
pub const RRSIG: u16 = 46;
pub const NSEC: u16 = 47;
pub const DNSKEY: u16 = 48;
pub const NSEC3: u16 = 50;

/// The bit of the flags that says that an answer is cut short.
pub const TC: u16 = 0x0200;
/// Set in answers.
pub const QR: u16 = 0x8000;

/// A name in wire form, lower case, without compression.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireName(pub Vec<u8>);

impl WireName {
    /// From `web1.example.test.` or `.`; no escapes.
    pub fn new(text: &str) -> WireName {
        let mut octets = Vec::new();
        for label in text.trim_end_matches('.').split('.').filter(|label| !label.is_empty()) {
            octets.push(u8::try_from(label.len()).unwrap());
            octets.extend(label.to_ascii_lowercase().bytes());
        }
        octets.push(0);
        WireName(octets)
    }

    /// How many labels it has, the root's not counted, nor a leading `*` (RFC 4034 section 3.1.3).
    pub fn labels(&self) -> u8 {
        let (mut count, mut at) = (0, 0);
        while self.0[at] != 0 {
            count += 1;
            at += usize::from(self.0[at]) + 1;
        }
        if self.0.starts_with(b"\x01*") { count - 1 } else { count }
    }
}

impl std::fmt::Debug for WireName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut at = 0;
        while self.0[at] != 0 {
            let next = at + 1 + usize::from(self.0[at]);
            write!(f, "{}.", String::from_utf8_lossy(&self.0[at + 1..next]))?;
            at = next;
        }
        if at == 0 { f.write_str(".") } else { Ok(()) }
    }
}

/// One record; names in its data are whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rr {
    pub name: WireName,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

impl Rr {
    /// A record of class IN with a TTL of a minute.
    pub fn new(name: &str, rtype: u16, data: Vec<u8>) -> Rr {
        Rr { name: WireName::new(name), rtype, class: 1, ttl: 60, data }
    }

    /// An SSHFP record with a SHA-256 digest.
    pub fn sshfp(name: &str, algorithm: u8, digest: [u8; 32]) -> Rr {
        Rr::new(name, SSHFP, [&[algorithm, 2][..], &digest].concat())
    }

    /// A CNAME record.
    pub fn cname(name: &str, target: &str) -> Rr {
        Rr::new(name, CNAME, WireName::new(target).0)
    }

    /// Whether this is a signature over records of type `rtype`.
    pub fn signs(&self, rtype: u16) -> bool {
        self.rtype == RRSIG && self.data.starts_with(&rtype.to_be_bytes())
    }

    /// Whether it is of type `rtype` or a signature over such.
    pub fn concerns(&self, rtype: u16) -> bool {
        self.rtype == rtype || self.signs(rtype)
    }
}

/// A message with one question. EDNS stays among `additional`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    pub id: u16,
    pub flags: u16,
    pub name: WireName,
    pub rtype: u16,
    pub answer: Vec<Rr>,
    pub authority: Vec<Rr>,
    pub additional: Vec<Rr>,
}

impl Dns {
    /// Reads a message that a real server or client wrote.
    pub fn read(octets: &[u8]) -> Dns {
        let mut at = 12;
        let half = |i: usize| u16::from_be_bytes([octets[i], octets[i + 1]]);
        assert_eq!(half(4), 1, "one question is expected");
        let name = read_name(octets, &mut at);
        let rtype = half(at);
        at += 4;
        let mut section = |count: u16| (0..count).map(|_| read_record(octets, &mut at)).collect();
        let (answer, authority, additional) = (section(half(6)), section(half(8)), section(half(10)));
        Dns { id: half(0), flags: half(2), name, rtype, answer, authority, additional }
    }

    /// Writes it, without compression.
    pub fn write(&self) -> Vec<u8> {
        let count = |section: &[Rr]| u16::try_from(section.len()).unwrap();
        let counts = [1, count(&self.answer), count(&self.authority), count(&self.additional)];
        let mut out = [self.id.to_be_bytes(), self.flags.to_be_bytes()].concat();
        out.extend(counts.iter().flat_map(|n| n.to_be_bytes()));
        out.extend(&self.name.0);
        out.extend([self.rtype.to_be_bytes(), 1u16.to_be_bytes()].concat());
        for rr in self.answer.iter().chain(&self.authority).chain(&self.additional) {
            out.extend(&rr.name.0);
            out.extend([rr.rtype.to_be_bytes(), rr.class.to_be_bytes()].concat());
            out.extend(rr.ttl.to_be_bytes());
            out.extend(u16::try_from(rr.data.len()).unwrap().to_be_bytes());
            out.extend(&rr.data);
        }
        out
    }

    /// Whether this asks, or answers, for `rtype` at `name`.
    pub fn is_for(&self, name: &str, rtype: u16) -> bool {
        self.rtype == rtype && self.name == WireName::new(name)
    }

    /// This question answered by `answer` and nothing else.
    pub fn answered(&self, answer: Vec<Rr>) -> Dns {
        Dns { answer, authority: Vec::new(), ..self.clone() }.no_error()
    }

    /// With NOERROR for its response code, marked as an answer.
    pub fn no_error(mut self) -> Dns {
        self.flags = (self.flags | QR) & !0xf;
        self
    }
}

fn read_name(octets: &[u8], at: &mut usize) -> WireName {
    let (mut name, mut here, mut jumped) = (Vec::new(), *at, false);
    loop {
        let length = usize::from(octets[here]);
        if length >= 0xc0 {
            if !jumped {
                *at = here + 2;
            }
            (here, jumped) = (((length & 0x3f) << 8) | usize::from(octets[here + 1]), true);
            continue;
        }
        name.extend(octets[here..=here + length].to_ascii_lowercase());
        here += length + 1;
        if length == 0 {
            break;
        }
    }
    if !jumped {
        *at = here;
    }
    WireName(name)
}

fn read_record(octets: &[u8], at: &mut usize) -> Rr {
    let name = read_name(octets, at);
    let half = |i: usize| u16::from_be_bytes([octets[i], octets[i + 1]]);
    let (rtype, class, length) = (half(*at), half(*at + 2), usize::from(half(*at + 8)));
    let ttl = u32::from_be_bytes(octets[*at + 4..*at + 8].try_into().unwrap());
    let start = *at + 10;
    *at = start + length;
    let mut here = start;
    let data = match rtype {
        NS | CNAME | DNAME => read_name(octets, &mut here).0,
        SOA => {
            let names = [read_name(octets, &mut here).0, read_name(octets, &mut here).0].concat();
            [&names, &octets[here..*at]].concat()
        }
        _ => octets[start..*at].to_vec(),
    };
    Rr { name, rtype, class, ttl, data }
}
