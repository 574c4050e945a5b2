//! Prometheus's text exposition format (version 0.0.4, as its documentation has it under "Exposition formats").

use std::collections::HashSet;
use std::fmt::Write;

/// What a scraper is told that this is.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Octets of a label's value at most: names and words, not whatever a peer has sent.
const LABEL: usize = 512;

/// One family: name, kind, what it says.
pub type Family = (&'static str, &'static str, &'static str);

/// A label and its value.
pub type Label<'a> = (&'a str, &'a str);

/// An exposition, family by family.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// A family with its samples; nothing at all where there is none. Of samples with the same labels the first counts:
    /// Prometheus would refuse them all.
    pub fn family<'a>(
        &mut self,
        (name, kind, help): Family,
        samples: impl IntoIterator<Item = (Vec<Label<'a>>, u64)>,
    ) {
        let mut seen = HashSet::new();
        for (labels, value) in samples {
            let mut series = name.to_owned();
            for (at, (label, content)) in labels.iter().enumerate() {
                let before = if at == 0 { '{' } else { ',' };
                // Writing to a String does not fail.
                let _ = write!(series, "{before}{label}=\"{}\"", escaped(content));
            }
            if !labels.is_empty() {
                series.push('}');
            }
            if seen.contains(&series) {
                continue;
            }
            if seen.is_empty() {
                let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
            }
            let _ = writeln!(self.0, "{series} {value}");
            seen.insert(series);
        }
    }

    /// All of it.
    pub fn text(self) -> String {
        self.0
    }
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
mod tests {
    use super::*;

    const HOSTS: Family = ("hosts", "gauge", "Hosts.");

    #[test]
    fn a_family_has_its_head_once_and_none_without_samples() {
        let mut told = Exposition::default();
        told.family(("none", "gauge", "Nothing."), []);
        told.family(HOSTS, [(vec![("name", "a")], 1), (vec![("name", "b"), ("kind", "c")], 2)]);
        told.family(("time", "gauge", "Time."), [(vec![], 3)]);
        assert_eq!(
            told.text(),
            "# HELP hosts Hosts.\n# TYPE hosts gauge\nhosts{name=\"a\"} 1\nhosts{name=\"b\",kind=\"c\"} 2\n\
             # HELP time Time.\n# TYPE time gauge\ntime 3\n"
        );
    }

    #[test]
    fn a_series_stands_once() {
        let mut told = Exposition::default();
        // What is left out makes two names one.
        told.family(
            HOSTS,
            [(vec![("name", "a")], 1), (vec![("name", "a\x1b")], 2), (vec![("name", "a")], 3)],
        );
        assert_eq!(told.text().lines().filter(|line| !line.starts_with('#')).count(), 1);
    }

    #[test]
    fn no_value_breaks_its_line_or_fills_it() {
        assert_eq!(escaped("a \"b\" \\ \n\x1b[31m"), "a \\\"b\\\" \\\\ \\n[31m");
        let long = escaped(&"\"".repeat(100_000));
        assert!(long.len() <= LABEL + 1 && long.len().is_multiple_of(2), "{}", long.len());
    }
}
