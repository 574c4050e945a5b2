//! `SSH_MSG_KEXINIT` (RFC 4253 section 7.1), as either side sends it.

use crate::proto::packet::message;
use crate::proto::wire::Reader;

/// A comma-separated name-list. One comma at its end is tolerated: libssh 0.10 ends its lists so. Elsewhere an
/// empty name is refused: OpenSSH takes it for the end of the list, others skip it, and the gate has to see the
/// list that the client sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameList(String);

impl NameList {
    fn parse(list: &[u8]) -> Result<Self, KexInitError> {
        if !list.iter().all(u8::is_ascii_graphic) {
            return Err(KexInitError::Unprintable);
        }
        let text = String::from_utf8_lossy(list).into_owned();
        let names = text.strip_suffix(',').unwrap_or(&text);
        if !names.is_empty() && names.split(',').any(str::is_empty) {
            return Err(KexInitError::EmptyName);
        }
        Ok(NameList(names.to_owned()))
    }

    /// Its names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// Whether `name` is in it.
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|n| n == name)
    }

    /// What RFC 4253 section 7.1 negotiates: the client's first name that the server has too.
    pub fn first_in_common<'a>(&'a self, server: &NameList) -> Option<&'a str> {
        self.names().find(|name| server.has(name))
    }

    #[cfg(test)]
    pub fn of(names: &str) -> Self {
        NameList::parse(names.as_bytes()).unwrap()
    }
}

/// The parts of a KEXINIT that decide what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KexInit {
    /// `kex_algorithms`.
    pub kex: NameList,
    /// `server_host_key_algorithms`.
    pub host_key: NameList,
    /// `encryption_algorithms`: client to server, server to client.
    pub ciphers: [NameList; 2],
    /// `mac_algorithms`: client to server, server to client.
    pub macs: [NameList; 2],
    /// `first_kex_packet_follows`: the sender's next packet is a guess.
    pub guess_follows: bool,
}

/// Why a KEXINIT is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KexInitError {
    /// Cut short, or octets are left over.
    #[error("malformed KEXINIT")]
    Malformed,
    /// A name-list with other octets than printable ASCII.
    #[error("KEXINIT with a name-list that is not printable ASCII")]
    Unprintable,
    /// A name-list with an empty name before its end.
    #[error("KEXINIT with an empty name within a name-list")]
    EmptyName,
}

impl KexInit {
    /// From a payload, message number included.
    pub fn parse(payload: &[u8]) -> Result<Self, KexInitError> {
        use KexInitError::Malformed;
        let mut reader = Reader::new(payload);
        if reader.u8() != Some(message::KEXINIT) {
            return Err(Malformed);
        }
        let _cookie = reader.take(16).ok_or(Malformed)?;
        let mut list = || NameList::parse(reader.string().ok_or(Malformed)?);
        let (kex, host_key) = (list()?, list()?);
        let ciphers = [list()?, list()?];
        let macs = [list()?, list()?];
        let _compression_and_languages = [list()?, list()?, list()?, list()?];
        let guess_follows = reader.u8().ok_or(Malformed)? != 0;
        let _reserved = reader.u32().ok_or(Malformed)?;
        if !reader.is_empty() {
            return Err(Malformed);
        }
        Ok(KexInit { kex, host_key, ciphers, macs, guess_follows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::handshake::samples::{Offer, kexinit};

    #[test]
    fn a_kexinit_is_read() {
        let offer = Offer { kex: "a,b", host_key: "c", cipher: "d,", guess: true, ..Offer::default() };
        let read = KexInit::parse(&kexinit(&offer)).unwrap();
        assert_eq!(read.kex.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(read.ciphers[1].names().collect::<Vec<_>>(), ["d"]);
        assert!(read.host_key.has("c") && !read.host_key.has("") && read.guess_follows);
    }

    #[test]
    fn cut_and_prolonged_kexinits_are_refused() {
        let whole = kexinit(&Offer::default());
        for cut in 0..whole.len() {
            assert_eq!(KexInit::parse(&whole[..cut]), Err(KexInitError::Malformed), "cut at {cut}");
        }
        assert_eq!(KexInit::parse(&[whole, vec![0]].concat()), Err(KexInitError::Malformed));
    }

    #[test]
    fn name_lists_are_printable() {
        for bad in ["a\x1b[m", "a b", "a\0", "\u{e9}"] {
            let offer = Offer { host_key: bad, ..Offer::default() };
            assert_eq!(KexInit::parse(&kexinit(&offer)), Err(KexInitError::Unprintable), "{bad:?}");
        }
    }

    #[test]
    fn an_empty_name_is_tolerated_at_the_end_alone() {
        for good in ["", ",", "a,", "a,b,"] {
            assert!(KexInit::parse(&kexinit(&Offer { kex: good, ..Offer::default() })).is_ok(), "{good:?}");
        }
        for bad in [",,", ",a", "a,,", "a,,b"] {
            let offer = Offer { kex: bad, ..Offer::default() };
            assert_eq!(KexInit::parse(&kexinit(&offer)), Err(KexInitError::EmptyName), "{bad:?}");
        }
    }

    #[test]
    fn the_clients_order_decides() {
        let (client, server) = (NameList::of("x,b,a,"), NameList::of("a,b"));
        assert_eq!(client.first_in_common(&server), Some("b"));
        assert_eq!(server.first_in_common(&client), Some("a"));
        assert_eq!(NameList::of(",").first_in_common(&NameList::of("")), None);
    }
}
