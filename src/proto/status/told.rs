//! A status in words, and from the document of another process.

use super::{Phase, Status, VERSION};
use crate::proto::moment;

/// Which form a document has, whatever else is in it.
#[derive(serde::Deserialize)]
struct Version {
    version: u32,
}

impl Status {
    /// From a document that another process has written. What it holds is hostile; fields that this program does not
    /// know are passed over.
    pub fn from_json(document: &[u8]) -> Result<Self, String> {
        let form: Version = serde_json::from_slice(document).map_err(|e| e.to_string())?;
        match form.version {
            VERSION => serde_json::from_slice(document).map_err(|e| e.to_string()),
            other => Err(format!("version {other} (this program knows {VERSION})")),
        }
    }

    /// What there is to say of it in one line.
    pub fn sentence(&self) -> String {
        let next = self.next_pass.map(|at| moment::text(at.0));
        let flaws = self.flaws();
        match (self.phase, flaws.as_slice()) {
            (Phase::Starting, _) => "starting".to_owned(),
            (_, []) => {
                let records: usize = self.owners.iter().map(|owner| owner.published.len()).sum();
                let looks = next.map(|at| format!("; looks again at {at}")).unwrap_or_default();
                let (records, names) = (count(records, "record"), count(self.owners.len(), "name"));
                format!("all is well: {records} at {names}{looks}")
            }
            (_, [first, more @ ..]) => {
                let owner = first.owner.as_ref().map(|owner| format!("{owner}: ")).unwrap_or_default();
                let more =
                    if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
                let tries = next.map(|at| format!("; looks again at {at}")).unwrap_or_default();
                format!("{owner}{}{more}{tries}", first.message)
            }
        }
    }
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{unwell, well};
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written_and_another_form_is_none() {
        for status in [well(), unwell()] {
            let document = serde_json::to_vec(&status).unwrap();
            assert_eq!(Status::from_json(&document).unwrap(), status);
            for length in 0..document.len() {
                assert!(Status::from_json(&document[..length]).is_err(), "{length}");
            }
        }
        let mut later = serde_json::to_value(well()).unwrap();
        later["owners"][0]["more"] = true.into();
        assert!(Status::from_json(&serde_json::to_vec(&later).unwrap()).is_ok(), "a field more");
        later["version"] = 2.into();
        let error = Status::from_json(&serde_json::to_vec(&later).unwrap()).unwrap_err();
        assert_eq!(error, "version 2 (this program knows 1)");
        for bad in ["", "[]", "{}", "{\"version\":1}", "{\"version\":-1}"] {
            assert!(Status::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_line_says_what_matters_most() {
        assert_eq!(
            well().sentence(),
            "all is well: 2 records at 1 name; looks again at 2027-01-15T08:14:00Z"
        );
        let sentence = unwell().sentence();
        assert!(sentence.starts_with("the clock is off (and 5 more); looks again at"), "{sentence}");
        assert_eq!(Status { phase: Phase::Starting, ..well() }.sentence(), "starting");
    }
}
