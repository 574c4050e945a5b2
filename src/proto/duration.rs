//! Spans of time as people write them: `90s`, `15m`, `6h`, `14d`, `1h30m`.

use std::time::Duration;

use crate::proto::text::cut;

/// Letters and what they stand for, in seconds; the same as in ssh_config(5), TIME FORMATS.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
/// The longest span, in seconds: what the times in an RRSIG can count (136 years).
const MAX: u64 = u32::MAX as u64;

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not numbers with a unit each.
    #[error("{0:?} is not a span of time (want \"90s\", \"15m\", \"6h\", \"14d\" or \"1h30m\")")]
    Form(String),
    /// Longer than anything lasts.
    #[error("{0:?} is too long a span of time (at most 136 years)")]
    Long(String),
}

/// From whole numbers with a unit each (`w`, `d`, `h`, `m`, `s`), which are added up; or `0`.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let form = || DurationError::Form(cut(text, 40).into_owned());
    let long = || DurationError::Long(cut(text, 40).into_owned());
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() || text.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?);
        let mut letters = after.chars();
        let unit = letters.next().and_then(|c| UNITS.into_iter().find(|(letter, _)| *letter == c));
        let (_, seconds) = unit.filter(|_| !digits.is_empty()).ok_or_else(form)?;
        let part = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
        let sum = part.and_then(|part| total.checked_add(part)).filter(|sum| *sum <= MAX);
        total = sum.ok_or_else(long)?;
        rest = letters.as_str();
    }
    Ok(Duration::from_secs(total))
}

/// In whole seconds, as [`parse`] reads it: the largest units first, days at most.
pub fn text(span: Duration) -> String {
    let mut left = span.as_secs();
    let mut parts = String::new();
    for (letter, seconds) in UNITS.into_iter().skip(1) {
        if left >= seconds {
            parts += &format!("{}{letter}", left / seconds);
            left %= seconds;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_numbers_with_units() {
        for (written, seconds, shown) in [
            ("90s", 90, "1m30s"),
            ("15m", 900, "15m"),
            ("6h", 21_600, "6h"),
            ("14d", 1_209_600, "14d"),
            ("2w", 1_209_600, "14d"),
            ("1h30m", 5400, "1h30m"),
            ("30m1h", 5400, "1h30m"),
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
        ] {
            let span = parse(written).unwrap();
            assert_eq!((span.as_secs(), text(span).as_str()), (seconds, shown), "{written}");
            assert_eq!(parse(shown).unwrap(), span);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "90", "h", "1.5h", "-1h", "1 h", "1h ", "1x", "1H", "h1", "1hh", "1h30", "1é"] {
            assert!(matches!(parse(bad), Err(DurationError::Form(_))), "{bad:?}");
        }
        for long in ["99999999999999999999s", "4294967296s", "99999999999w", "4294967295s1s"] {
            assert!(matches!(parse(long), Err(DurationError::Long(_))), "{long:?}");
        }
    }
}
