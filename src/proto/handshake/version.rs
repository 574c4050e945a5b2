//! The line with which each side begins (RFC 4253 section 4.2).

/// Longest version line without its line end, in octets.
pub const MAX_VERSION: usize = 253;
/// Lines that a server may send before its version: this many ...
pub const MAX_LINES: usize = 50;
/// ... each shorter than this, in octets with its line end.
pub const MAX_LINE: usize = 1024;

/// What is wrong with a beginning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// More than [`MAX_LINES`] lines and still no version.
    #[error("more than {MAX_LINES} lines before the version")]
    Lines,
    /// A line that does not end in time.
    #[error("a line of {MAX_LINE} octets or more before the version")]
    Line,
    /// A version line that is too long for the protocol.
    #[error("a version line of {0} octets (want at most {MAX_VERSION})")]
    Long(usize),
    /// A version line with control characters, or octets outside ASCII.
    #[error("a version line that is not printable ASCII")]
    Unprintable,
    /// Another version of the protocol, or something that is not SSH.
    #[error("something other than SSH version 2: {0:?}")]
    Other(String),
}

/// The first line of `buffer` and its length with the line end; `None` while it is incomplete.
fn line(buffer: &[u8]) -> Result<Option<(&[u8], usize)>, VersionError> {
    let window = buffer.get(..MAX_LINE - 1).unwrap_or(buffer);
    match window.iter().position(|octet| *octet == b'\n') {
        Some(end) => {
            let line = buffer.get(..end).unwrap_or_default();
            Ok(Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1)))
        }
        None if window.len() == MAX_LINE - 1 => Err(VersionError::Line),
        None => Ok(None),
    }
}

/// A line checked as a version.
fn checked(line: &[u8]) -> Result<String, VersionError> {
    if line.len() > MAX_VERSION {
        return Err(VersionError::Long(line.len()));
    }
    if !line.iter().all(|octet| matches!(octet, b' '..=b'~')) {
        return Err(VersionError::Unprintable);
    }
    let text = String::from_utf8_lossy(line).into_owned();
    if text.starts_with("SSH-2.0-") || text.starts_with("SSH-1.99-") {
        Ok(text)
    } else {
        Err(VersionError::Other(text))
    }
}

/// What a server's beginning holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLine {
    /// A line before the version, not to be forwarded; for a report, sanitised and cut.
    Other(String),
    /// The version, without its line end.
    Version(String),
}

/// The server's next line and its length in `buffer`; `seen` lines went before.
pub fn server(buffer: &[u8], seen: usize) -> Result<Option<(ServerLine, usize)>, VersionError> {
    let Some((line, length)) = line(buffer)? else { return Ok(None) };
    if line.starts_with(b"SSH-") {
        return Ok(Some((ServerLine::Version(checked(line)?), length)));
    }
    if seen >= MAX_LINES {
        return Err(VersionError::Lines);
    }
    Ok(Some((ServerLine::Other(super::disconnect::printable(line, 120)), length)))
}

/// The client's version, which must be its first line, and its length in `buffer`.
pub fn client(buffer: &[u8]) -> Result<Option<(String, usize)>, VersionError> {
    let Some((line, length)) = line(buffer)? else { return Ok(None) };
    Ok(Some((checked(line)?, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(line: &[u8]) -> Result<Option<(ServerLine, usize)>, VersionError> {
        server(line, 0)
    }

    #[test]
    fn versions_are_read_without_their_line_end() {
        for (line, length) in [(&b"SSH-2.0-x y\r\nmore"[..], 13), (b"SSH-2.0-x y\n", 12)] {
            assert_eq!(version(line), Ok(Some((ServerLine::Version("SSH-2.0-x y".into()), length))));
            assert_eq!(client(line), Ok(Some(("SSH-2.0-x y".into(), length))));
        }
        assert!(version(b"SSH-1.99-x\r\n").unwrap().is_some());
        assert_eq!(version(b"SSH-2.0-x y\r"), Ok(None));
        assert_eq!(version(b""), Ok(None));
    }

    #[test]
    fn what_is_not_a_version_of_ssh_2_is_refused() {
        for line in ["SSH-1.5-old\r\n", "SSH-2.1-x\n", "SSH-\n", "SSH-2.0\n"] {
            assert!(matches!(version(line.as_bytes()), Err(VersionError::Other(_))), "{line:?}");
        }
        for line in [&b"SSH-2.0-a\x1b[31m\r\n"[..], b"SSH-2.0-a\0\n", b"SSH-2.0-\xff\n", b"SSH-2.0-a\r\r\n"] {
            assert_eq!(version(line), Err(VersionError::Unprintable), "{line:?}");
        }
        assert!(matches!(client(b"GET / HTTP/1.1\r\n"), Err(VersionError::Other(_))));
    }

    #[test]
    fn a_version_of_253_octets_is_the_longest() {
        let long = |n: usize| [b"SSH-2.0-".to_vec(), vec![b'a'; n - 8], b"\r\n".to_vec()].concat();
        assert!(version(&long(253)).unwrap().is_some());
        assert_eq!(version(&long(254)), Err(VersionError::Long(254)));
    }

    #[test]
    fn lines_before_the_version_are_bounded() {
        let of = |n: usize| [vec![b'a'; n - 1], b"\n".to_vec()].concat();
        assert!(version(&of(1023)).unwrap().is_some());
        assert_eq!(version(&of(1024)), Err(VersionError::Line));
        assert_eq!(version(&vec![b'a'; 1022]), Ok(None));
        assert_eq!(version(&vec![b'a'; 1023]), Err(VersionError::Line));
        assert!(server(b"hello\r\n", 49).unwrap().is_some());
        assert_eq!(server(b"hello\r\n", 50), Err(VersionError::Lines));
        assert!(server(b"SSH-2.0-x\r\n", 50).unwrap().is_some());
    }

    #[test]
    fn other_lines_are_sanitised() {
        let (line, length) = version(b"a\x1b]0;b\r\nSSH-").unwrap().unwrap();
        assert_eq!((line, length), (ServerLine::Other("a\\x1b]0;b".into()), 8));
    }
}
