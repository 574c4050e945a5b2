//! Moments and spans of time in words.

/// A moment in seconds since 1970 as RFC 3339 in UTC; none beyond the year 9999.
pub fn rfc3339(seconds: u64) -> Option<String> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    moment.format(&Rfc3339).ok()
}

/// A moment as RFC 3339 has it, in seconds since 1970; none before that, and none with a part of a second.
pub fn parse(text: &str) -> Option<u64> {
    use time::OffsetDateTime;
    use time::format_description::well_known::Rfc3339;
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    (moment.nanosecond() == 0).then(|| u64::try_from(moment.unix_timestamp()).ok()).flatten()
}

/// A moment as [`rfc3339`], or the bare number where there is no such date.
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
        assert_eq!(parse("2026-11-21T00:00:00Z"), Some(1_795_219_200));
        assert_eq!(parse("2026-11-21T01:00:00+01:00"), Some(1_795_219_200));
        for none in ["", "2026-11-21", "1969-12-31T23:59:59Z", "2026-11-21T00:00:00.5Z"] {
            assert_eq!(parse(none), None, "{none}");
        }
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
