//! A stream of octets, line by line.

/// Longest line that stays whole, in octets.
pub const MAX_LINE: usize = 64 * 1024;

/// A stream; what has come of a line that is not at its end.
#[derive(Debug, Default)]
pub struct Lines {
    /// At most [`MAX_LINE`] octets.
    begun: Vec<u8>,
}

impl Lines {
    /// Takes what came, and gives each line that is at its end to `line`, without the line feed. A line that is longer than
    /// [`MAX_LINE`] is split.
    pub fn push(&mut self, octets: &[u8], mut line: impl FnMut(&[u8])) {
        for part in octets.split_inclusive(|octet| *octet == b'\n') {
            let (mut part, is_whole) = match part.split_last() {
                Some((b'\n', part)) => (part, true),
                _ => (part, false),
            };
            while self.begun.len() + part.len() > MAX_LINE {
                let (now, later) = part.split_at(MAX_LINE - self.begun.len());
                self.begun.extend_from_slice(now);
                line(&self.begun);
                self.begun.clear();
                part = later;
            }
            if is_whole && self.begun.is_empty() {
                line(part);
                continue;
            }
            self.begun.extend_from_slice(part);
            if is_whole {
                line(&self.begun);
                self.begun.clear();
            }
        }
    }

    /// Nothing more comes: what has no line feed is a line as well.
    pub fn end(&mut self, mut line: impl FnMut(&[u8])) {
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            line(&begun);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(portions: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for portion in portions {
            lines.push(portion, |line| all.push(line.to_vec()));
        }
        lines.end(|line| all.push(line.to_vec()));
        all
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        assert_eq!(lines(&[b"a\n\nb", b"c", b"\nd"]), [&b"a"[..], b"", b"bc", b"d"]);
        assert_eq!(lines(&[b"", b"a", b"\n"]), [b"a"]);
        assert!(lines(&[]).is_empty());
    }

    #[test]
    fn a_line_is_split_where_it_is_too_long_and_not_before() {
        let most = vec![b'x'; MAX_LINE];
        assert_eq!(lines(&[&most, b"\n", b"y\n"]), [most.clone(), b"y".to_vec()]);
        assert_eq!(lines(&[&most, b"x", b"\n"]), [most.clone(), b"x".to_vec()]);
        assert_eq!(lines(&[&[most.clone(), most.clone(), b"z".to_vec()].concat()]).len(), 3);
    }

    proptest! {
        #[test]
        fn portions_make_no_difference(text in "[ab\n]{0,40}", at in 0usize..40) {
            let (near, far) = text.as_bytes().split_at(at.min(text.len()));
            prop_assert_eq!(lines(&[near, far]), lines(&[text.as_bytes()]));
        }
    }
}
