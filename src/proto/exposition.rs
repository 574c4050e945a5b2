//! Prometheus's text exposition format (version 0.0.4, as its documentation has it under "Exposition formats").

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write;

/// What a scraper is told that this is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Octets of a label's value at most: names and words, not whatever a peer has sent.
const LABEL: usize = 512;

/// One sample of a family.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    labels: Vec<(&'static str, Cow<'a, str>)>,
    value: u64,
}

impl<'a> Sample<'a> {
    /// Without labels.
    pub fn new(value: u64) -> Self {
        Sample { labels: Vec::new(), value }
    }

    /// With one more label.
    #[must_use]
    pub fn label(mut self, name: &'static str, content: impl Into<Cow<'a, str>>) -> Self {
        self.labels.push((name, content.into()));
        self
    }

    /// Name and labels, as they stand in the line.
    fn series(&self, name: &str) -> String {
        let mut series = name.to_owned();
        for (at, (label, content)) in self.labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            // Writing to a String does not fail.
            let _ = write!(series, "{before}{label}=\"{}\"", escaped(content));
        }
        if !self.labels.is_empty() {
            series.push('}');
        }
        series
    }
}

/// The samples of a family that there are of a `T`.
pub type Samples<T> = for<'a> fn(&'a T) -> Vec<Sample<'a>>;

/// One family of what is told of a `T`: a row of a table.
#[derive(Debug)]
pub struct Family<T> {
    /// What it is called.
    pub name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: Samples<T>,
}

/// A family of what goes up and down.
pub const fn gauge<T>(name: &'static str, help: &'static str, samples: Samples<T>) -> Family<T> {
    Family { name, kind: "gauge", help, samples }
}

/// A family of what only grows.
pub const fn counter<T>(name: &'static str, help: &'static str, samples: Samples<T>) -> Family<T> {
    Family { name, kind: "counter", help, samples }
}

/// The exposition, family by family; of one without samples there is nothing at all. Of samples with the same labels the
/// first counts: Prometheus would refuse them all.
pub fn text<T>(families: &[Family<T>], of: &T) -> String {
    let mut text = String::new();
    for Family { name, kind, help, samples } in families {
        let mut seen = HashSet::new();
        for sample in samples(of) {
            let series = sample.series(name);
            if seen.contains(&series) {
                continue;
            }
            if seen.is_empty() {
                let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            }
            let _ = writeln!(text, "{series} {}", sample.value);
            seen.insert(series);
        }
    }
    text
}

/// A label's value: backslash, quote and line feed are escaped; other controls, which the format would take, are left
/// out all the same, for they end up on terminals.
fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len().min(LABEL));
    for c in text.chars() {
        if value.len() >= LABEL {
            break;
        }
        match c {
            '\\' => value.push_str("\\\\"),
            '"' => value.push_str("\\\""),
            '\n' => value.push_str("\\n"),
            c if c.is_control() => {}
            c => value.push(c),
        }
    }
    value
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The value of a series.
    #[track_caller]
    pub(crate) fn value(text: &str, series: &str) -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} in\n{text}")).parse().unwrap()
    }

    #[test]
    fn a_family_has_its_head_once_and_none_without_samples() {
        let families: [Family<u64>; 3] = [
            gauge("none", "Nothing.", |_| Vec::new()),
            gauge("hosts", "Hosts.", |count| {
                let more = Sample::new(*count).label("name", "b").label("kind", "c");
                vec![Sample::new(1).label("name", "a"), more]
            }),
            counter("time", "Time.", |_| vec![Sample::new(3)]),
        ];
        assert_eq!(
            text(&families, &2),
            "# HELP hosts Hosts.\n# TYPE hosts gauge\nhosts{name=\"a\"} 1\nhosts{name=\"b\",kind=\"c\"} 2\n\
             # HELP time Time.\n# TYPE time counter\ntime 3\n"
        );
    }

    #[test]
    fn a_series_stands_once() {
        let hosts: Family<()> = gauge("hosts", "Hosts.", |()| {
            // What is left out makes two names one.
            ["a", "a\x1b", "a"].map(|name| Sample::new(1).label("name", name)).to_vec()
        });
        assert_eq!(text(&[hosts], &()).lines().filter(|line| !line.starts_with('#')).count(), 1);
    }

    #[test]
    fn no_value_breaks_its_line_or_fills_it() {
        assert_eq!(escaped("a \"b\" \\ \n\x1b[31m"), "a \\\"b\\\" \\\\ \\n[31m");
        let long = escaped(&"\"".repeat(100_000));
        assert!(long.len() <= LABEL + 1 && long.len().is_multiple_of(2), "{}", long.len());
    }
}
