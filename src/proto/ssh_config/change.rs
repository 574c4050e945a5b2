//! Files before and after.

use std::path::PathBuf;

/// A file that may change; none is no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub path: PathBuf,
    /// What is in it.
    pub before: Option<Vec<u8>>,
    /// What is to be in it.
    pub after: Option<Vec<u8>>,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It stays as it is, or away.
    None,
    /// It is made.
    Create,
    /// It gets other lines.
    Change,
    /// It goes.
    Remove,
}

impl Change {
    /// What becomes of it.
    pub fn kind(&self) -> Kind {
        match (&self.before, &self.after) {
            (before, after) if before == after => Kind::None,
            (None, _) => Kind::Create,
            (_, None) => Kind::Remove,
            _ => Kind::Change,
        }
    }

    /// The lines that go, each behind a `-`, and those that come, behind a `+`; those before and behind them that
    /// stay are left out.
    pub fn diff(&self) -> Vec<String> {
        let lines = |text: &Option<Vec<u8>>| -> Vec<String> {
            let text = text.as_deref().unwrap_or_default();
            text.split_inclusive(|octet| *octet == b'\n')
                .map(|line| String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
                .collect()
        };
        let (before, after) = (lines(&self.before), lines(&self.after));
        let head = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
        let (before, after) = (before.get(head..).unwrap_or_default(), after.get(head..).unwrap_or_default());
        let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        let gone = before.iter().take(before.len() - tail).map(|line| format!("-{line}"));
        let come = after.iter().take(after.len() - tail).map(|line| format!("+{line}"));
        gone.chain(come).collect()
    }
}
