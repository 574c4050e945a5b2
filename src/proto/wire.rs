//! Bounded reading of hostile octets, in SSH's data types (RFC 4251 section 5) and DNS's integers.

/// A cursor over octets that never reads past their end: every method gives `None` instead.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over the whole of `octets`.
    pub fn new(octets: &'a [u8]) -> Self {
        Reader { rest: octets }
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` octets.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    /// One octet.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A big-endian 16-bit integer.
    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A big-endian 32-bit integer.
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// An SSH `string`: 32-bit length, then that many octets.
    pub fn string(&mut self) -> Option<&'a [u8]> {
        let mut ahead = self.clone();
        let length = ahead.u32()?;
        let string = ahead.take(usize::try_from(length).ok()?)?;
        *self = ahead;
        Some(string)
    }

    /// An SSH `mpint` that is positive and in its one canonical form; without the sign octet.
    pub fn mpint(&mut self) -> Option<&'a [u8]> {
        match self.string()? {
            [0, rest @ ..] if rest.first().is_some_and(|b| b & 0x80 != 0) => Some(rest),
            [first, ..] if *first == 0 || first & 0x80 != 0 => None,
            [] => None,
            positive => Some(positive),
        }
    }
}

/// Appends an SSH `string`: 32-bit length, then the octets.
pub fn put_string(out: &mut Vec<u8>, string: &[u8]) {
    out.extend((string.len() as u32).to_be_bytes());
    out.extend(string);
}
