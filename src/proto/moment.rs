//! Moments and spans of time in words.

/// A moment in seconds since 1970 as RFC 3339 in UTC; none beyond the year 9999.
pub fn rfc3339(seconds: u64) -> Option<String> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    moment.format(&Rfc3339).ok()
}

/// The same, or the bare number where there is no such date.
pub fn text(seconds: u64) -> String {
    rfc3339(seconds).unwrap_or_else(|| format!("{seconds} seconds since 1970"))
}

/// So many seconds as a person says it, in the largest unit of which there are two or more.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(rfc3339(1_795_219_200).unwrap(), "2026-11-21T00:00:00Z");
        assert_eq!(rfc3339(u64::MAX), None);
        assert_eq!(text(u64::MAX), "18446744073709551615 seconds since 1970");
    }

    #[test]
    fn spans_are_told_in_the_largest_unit_that_fits_twice() {
        let spans = [1, 119, 120, 7_199, 7_200, 172_799, 172_800].map(span);
        assert_eq!(
            spans,
            ["1 s", "119 s", "2 minutes", "119 minutes", "2 hours", "47 hours", "2 days"].map(str::to_owned)
        );
    }
}
