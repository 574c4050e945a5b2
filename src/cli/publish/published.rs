//! The result of `publish` and `withdraw` for one set of records, in words.

use std::slice;

use crate::agent::proof::Proof;
use crate::agent::published::Published;
use crate::agent::readback::Status;
use crate::error::Error;
use crate::output::{Output, Report, Results};
use crate::proto::name::Name;
use crate::proto::sshfp::SshfpSet;

/// A line of JSON in any case; for people the result, or the error.
pub(in crate::cli) fn print(published: &Published, out: &Output, results: &mut Results) -> Result<(), Error> {
    let forms = Forms::of(slice::from_ref(published), out)?;
    forms.iter().try_for_each(|form| print_form(published, form, out, results))
}

/// What is printed of some results to standard output: one text, for so many have one after the other.
#[derive(Debug, Default)]
pub(super) struct Forms {
    text: String,
    /// Where that of each ends; none where nothing is printed: for people, if it has failed.
    ends: Vec<Option<usize>>,
}

impl Forms {
    pub(super) fn of(results: &[Published], out: &Output) -> Result<Self, Error> {
        let mut forms = Forms::default();
        for published in results {
            let is_printed = out.json || published.error.is_none();
            if is_printed {
                forms.text += &out.form(published)?;
            }
            forms.ends.push(is_printed.then_some(forms.text.len()));
        }
        Ok(forms)
    }

    /// That of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut begin = 0;
        self.ends.iter().map(move |end| {
            let end = (*end)?;
            self.text.get(std::mem::replace(&mut begin, end)..end)
        })
    }
}

/// The same as [`print`], with what [`Forms`] has of it.
pub(super) fn print_form(
    published: &Published,
    form: Option<&str>,
    out: &Output,
    results: &mut Results,
) -> Result<(), Error> {
    if let Some(form) = form {
        results.push_form(form)?;
    }
    if let Some(error) = &published.error {
        out.error_text(error);
    }
    Ok(())
}

fn heading(published: &Published) -> String {
    let zone = published.zone.as_ref().map_or_else(|| "unknown".to_owned(), Name::to_string);
    let place = format!("zone {zone} at {}", published.server);
    let counts: Vec<String> = [(&published.added, "add"), (&published.removed, "remove")]
        .into_iter()
        .filter(|(records, _)| !records.is_empty())
        .map(|(records, what)| match published.changed {
            true => format!("{} {}", past(what), records.len()),
            false => format!("{} to {what}", records.len()),
        })
        .collect();
    let mut parts = counts;
    match (published.ttl_before, published.ttl) {
        (Some(before), Some(ttl)) if before != ttl => parts.push(format!("TTL {before} -> {ttl}")),
        (_, Some(ttl)) if !parts.is_empty() => parts.push(format!("TTL {ttl}")),
        _ => {}
    }
    if parts.is_empty() {
        parts.push(match published.ttl {
            Some(ttl) if published.changed => format!("TTL set to {ttl}"),
            _ => "nothing to change".to_owned(),
        });
    }
    format!("; {}: {} ({place})", published.owner, parts.join(", "))
}

fn past(what: &str) -> &'static str {
    if what == "add" { "added" } else { "removed" }
}

/// A heading as a zone file comment, then the set as a difference; each line holds a record just as
/// `ssh-keygen -r` prints it.
impl Report for Published {
    fn text(&self) -> String {
        let owner = self.owner.to_string();
        let lines = |mark: &'static str, records: &SshfpSet| {
            records.iter().map(|r| format!("{mark} {}", r.line(&owner))).collect::<Vec<_>>()
        };
        let mut text = vec![heading(self)];
        text.extend(lines("-", &self.removed));
        text.extend(lines("+", &self.added));
        text.extend(lines(" ", &self.kept));
        if self.proof.as_ref().is_some_and(Proof::is_secure) {
            text.push("; proven as clients will prove it".to_owned());
        }
        let current = self.read_back.iter().filter(|seen| seen.status == Status::Current);
        let servers: Vec<&str> = current.map(|seen| &*seen.server).collect();
        if self.changed && !servers.is_empty() {
            text.push(format!("; read back from {}", servers.join(", ")));
        }
        text.join("\n")
    }
}
