//! DNS names in canonical wire form, and the strict grammar of host names.

mod host;

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::sync::Arc;

pub use self::host::{HostName, HostNameError};

/// Longest name on the wire, in octets, root label included (RFC 1035 section 3.1).
const MAX_WIRE: usize = 255;
/// Longest label in octets (RFC 1035 section 3.1).
const MAX_LABEL: usize = 63;
/// Most labels in a name: an octet each, and its length.
const MAX_LABELS: usize = MAX_WIRE / 2;

/// An absolute DNS name: uncompressed wire form, ASCII letters in lower case, the form that DNSSEC
/// signs (RFC 4034 section 6.2). Two names that differ only in case are the same value; the order is
/// the canonical one of RFC 4034 section 6.1.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<[u8]>);

/// Why something is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The wire form ends early, is too long, or holds a label type other than 00.
    #[error("malformed DNS name")]
    Malformed,
    /// More than 255 octets on the wire or a label of more than 63.
    #[error("DNS name or label too long")]
    TooLong,
    /// An empty label inside the name.
    #[error("empty label in a DNS name")]
    EmptyLabel,
    /// A backslash that starts no valid escape (RFC 1035 section 5.1).
    #[error("bad escape in a DNS name")]
    BadEscape,
}

/// A name that is being put together: names are made by the ten thousand, and need no more than their own octets.
pub(super) struct Builder {
    octets: [u8; MAX_WIRE],
    length: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Builder { octets: [0; MAX_WIRE], length: 0 }
    }
}

impl Builder {
    /// One more label, behind those that are there.
    pub(super) fn label(&mut self, label: &[u8]) -> Result<(), NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::TooLong);
        }
        let end = self.length + 1 + label.len();
        let place = self.octets.get_mut(self.length..end).and_then(<[u8]>::split_first_mut);
        let (length, place) = place.ok_or(NameError::TooLong)?;
        *length = label.len() as u8;
        place.copy_from_slice(label);
        place.make_ascii_lowercase();
        self.length = end;
        Ok(())
    }

    /// With the root's label, which is there already.
    pub(super) fn name(&self) -> Result<Name, NameError> {
        self.octets.get(..=self.length).map(|wire| Name(wire.into())).ok_or(NameError::TooLong)
    }
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Name(Arc::new([0]))
    }

    /// From labels, most specific first.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, NameError> {
        let mut wire = Builder::default();
        for label in labels {
            wire.label(label)?;
        }
        wire.name()
    }

    /// From an uncompressed wire form that fills `wire` exactly.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let (name, used) = Self::read_wire(wire)?;
        if used == wire.len() { Ok(name) } else { Err(NameError::Malformed) }
    }

    /// Reads an uncompressed name at the front of `wire`; also says how many octets it took.
    pub fn read_wire(wire: &[u8]) -> Result<(Self, usize), NameError> {
        let (mut name, mut at) = (Builder::default(), 0);
        loop {
            let len = *wire.get(at).ok_or(NameError::Malformed)? as usize;
            at += 1;
            if len == 0 {
                return Ok((name.name()?, at));
            }
            if len > MAX_LABEL || at > MAX_WIRE {
                return Err(NameError::Malformed);
            }
            name.label(wire.get(at..at + len).ok_or(NameError::Malformed)?)?;
            at += len;
        }
    }

    /// From presentation form (RFC 1035 section 5.1, escapes included). Always taken as absolute,
    /// with or without the final dot.
    pub fn from_text(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let (mut wire, mut label) = (Builder::default(), Vec::with_capacity(MAX_LABEL));
        let mut bytes = text.bytes();
        let mut ended_with_dot = false;
        while let Some(byte) = bytes.next() {
            ended_with_dot = false;
            match byte {
                b'.' => {
                    if label.is_empty() {
                        return Err(NameError::EmptyLabel);
                    }
                    wire.label(&label)?;
                    label.clear();
                    ended_with_dot = true;
                }
                b'\\' => label.push(unescape(&mut bytes)?),
                other => label.push(other),
            }
        }
        if !label.is_empty() {
            wire.label(&label)?;
        } else if !ended_with_dot {
            return Err(NameError::EmptyLabel);
        }
        wire.name()
    }

    /// The wire form, lower case, uncompressed.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels, most specific first, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (&len, after) = rest.split_first()?;
            if len == 0 || after.len() < len as usize {
                return None;
            }
            let (label, next) = after.split_at(len as usize);
            rest = next;
            Some(label)
        })
    }

    /// Where each label begins, and how many there are: comparisons are too many for a vector each.
    fn starts(&self) -> ([u8; MAX_LABELS], usize) {
        let (mut starts, mut count, mut at) = ([0; MAX_LABELS], 0, 0_u8);
        for (label, start) in self.labels().zip(&mut starts) {
            // No name is longer than an octet counts.
            *start = at;
            at = at.saturating_add(label.len() as u8 + 1);
            count += 1;
        }
        (starts, count)
    }

    /// The label that begins there.
    fn label_at(&self, start: u8) -> &[u8] {
        let rest = self.0.get(usize::from(start)..).unwrap_or_default();
        rest.split_first().and_then(|(length, rest)| rest.get(..usize::from(*length))).unwrap_or_default()
    }

    /// How many labels, without the root's.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The presentation form of a name in which nothing is to be escaped, made in `room`.
    fn plain<'a>(&self, room: &'a mut [u8; MAX_WIRE]) -> Option<&'a str> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let mut end = 0;
        for label in self.labels() {
            if !label.iter().all(is_plain) {
                return None;
            }
            // The octet that says how long a label is gives way to the dot behind it.
            let (place, dot) = room.get_mut(end..=end + label.len())?.split_at_mut(label.len());
            place.copy_from_slice(label);
            dot.fill(b'.');
            end += label.len() + 1;
        }
        std::str::from_utf8(room.get(..end.checked_sub(1)?)?).ok()
    }

    /// True for the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// True if the first label is `*` (RFC 4592).
    pub fn is_wildcard(&self) -> bool {
        self.labels().next() == Some(b"*")
    }

    /// The name without its first label; none for the root.
    pub fn parent(&self) -> Option<Name> {
        let first = self.labels().next()?.len();
        self.0.get(first + 1..).map(|rest| Name(rest.into()))
    }

    /// True if `parent` is this name without its first label.
    pub fn is_right_below(&self, parent: &Name) -> bool {
        self.split_first().is_some_and(|(_, above)| above == parent.wire())
    }

    /// This name with one more label in front.
    pub fn child(&self, label: &[u8]) -> Result<Name, NameError> {
        Self::from_labels(std::iter::once(label).chain(self.labels()))
    }

    /// The first label, and the wire form of what is above it; both are empty for the root.
    fn split_first(&self) -> Option<(&[u8], &[u8])> {
        let (length, rest) = self.0.split_first()?;
        rest.split_at_checked(usize::from(*length))
    }

    /// True if this name is `ancestor` or below it.
    pub fn is_at_or_below(&self, ancestor: &Name) -> bool {
        let extra = match self.0.len().checked_sub(ancestor.0.len()) {
            Some(extra) => extra,
            None => return false,
        };
        // A suffix counts only where it begins at a label.
        let mut at = 0;
        while at < extra {
            match self.0.get(at) {
                Some(&len) => at += len as usize + 1,
                None => return false,
            }
        }
        at == extra && self.0.get(extra..) == Some(&*ancestor.0)
    }

    /// The ancestor that keeps the last `count` labels; itself if it has no more than that.
    pub fn last_labels(&self, count: usize) -> Name {
        let mut name = self.clone();
        while name.label_count() > count {
            match name.parent() {
                Some(parent) => name = parent,
                None => break,
            }
        }
        name
    }
}

/// One escape after the backslash: three decimal digits, or a character that stands for itself.
fn unescape(bytes: &mut std::str::Bytes<'_>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = bytes.next().filter(u8::is_ascii_digit).ok_or(NameError::BadEscape)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| NameError::BadEscape)
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // Names that stand side by side, as a rule: the first label decides.
        if let (Some((left, above)), Some((right, beside))) = (self.split_first(), other.split_first())
            && above == beside
        {
            return left.cmp(right);
        }
        let ((left, lefts), (right, rights)) = (self.starts(), other.starts());
        let left = left.iter().take(lefts).rev().map(|at| self.label_at(*at));
        left.cmp(right.iter().take(rights).rev().map(|at| other.label_at(*at)))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Presentation form without the final dot (the root is `.`); anything unusual is escaped, so it is
/// always printable ASCII.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        // As most are, and they are written by the ten thousand.
        let mut room = [0; MAX_WIRE];
        if let Some(plain) = self.plain(&mut room) {
            return f.write_str(plain);
        }
        for (at, label) in self.labels().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        write!(f, "\\{}", byte as char)?
                    }
                    0x21..=0x7e => f.write_char(byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
