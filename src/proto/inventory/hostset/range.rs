//! Ranges of numbers: `7`, `1-20`, `001-100`, `0-10/2`.

/// Most digits of a number: what a `u64` holds whatever they are.
const MAX_DIGITS: usize = 19;

/// Numbers from the first to the last, with a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    first: u64,
    step: u64,
    count: u64,
    /// Digits at least; zeros fill them up.
    width: usize,
}

impl Range {
    /// Reads one; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (numbers, step) = text.split_once('/').map_or((text, None), |(n, step)| (n, Some(step)));
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let (first, last) = (first.trim(), last.trim());
        let (from, to) = (number(first)?, number(last)?);
        let step = step.map_or(Ok(1), |step| number(step.trim()))?;
        let is_padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
        if (is_padded(first) || is_padded(last)) && first.len() != last.len() {
            return Err("with zeros in front, both ends have as many digits");
        }
        if step == 0 {
            return Err("the step is at least 1");
        }
        let span = to.checked_sub(from).ok_or("it runs from the smaller to the greater")?;
        let width = if is_padded(first) { first.len() } else { 0 };
        Ok(Range { first: from, step, count: (span / step).saturating_add(1), width })
    }

    /// How many numbers.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

/// The number in that place of several ranges, one behind the other.
pub(super) fn nth(ranges: &[Range], mut at: u64) -> String {
    for range in ranges {
        if at < range.count {
            let number = range.first.saturating_add(at.saturating_mul(range.step));
            return format!("{number:0width$}", width = range.width);
        }
        at -= range.count;
    }
    String::new()
}

fn number(digits: &str) -> Result<u64, &'static str> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("want digits, FIRST-LAST or FIRST-LAST/STEP");
    }
    match digits.len() {
        0..=MAX_DIGITS => digits.parse().map_err(|_| "a number with too many digits"),
        _ => Err("a number with too many digits"),
    }
}
